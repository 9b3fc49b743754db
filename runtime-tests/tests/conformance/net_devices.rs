//! config-linux.md, "Network Devices". Each test's host is a network namespace that
//! the test makes itself, with veth devices in it.

use runtime_tests::{Bundle, Case, Finished, convention, must, skip};
use serde_json::{Value, json};

const CHAPTER: &str = "config-linux.md: Network devices";

/// Runs `before`, the container and `after` in a new network namespace, all on one
/// shell's output.
fn on_a_host_of_its_own(case: &mut Case, bundle: &Bundle, before: &str, after: &str) -> Finished {
    if !["/sbin/ip", "/usr/sbin/ip", "/bin/ip"]
        .iter()
        .any(|ip| std::path::Path::new(ip).exists())
    {
        skip("iproute2 is not installed");
    }
    if case.version().starts_with("runc version 1.1.")
        || case.version().starts_with("crun version 1.8")
    {
        skip("a property that came after this version, which ignores it");
    }
    bundle.write();
    let id = case.id();
    let run = format!(
        "{} --root {} run --bundle {} {id}",
        case.runtime_path(),
        case.state_root().display(),
        bundle.path.display(),
    );
    let script = format!("{{ {before}; }} || exit 99; {run}; code=$?; {after}; exit $code");
    let host = case.program("unshare").args(["--net", "sh", "-c", &script]);
    let finished = host.run();
    if finished.stderr.contains("Unknown device type") {
        skip("the kernel has no veth");
    }
    finished
}

const VETH: &str = "ip link add host0 type veth peer name peer0";

fn bundle_with(case: &mut Case, devices: Value, line: &str) -> Bundle {
    let mut bundle = case.bundle();
    bundle.config.set("/linux/netDevices", devices);
    bundle.config.shell(line);
    bundle
}

#[must(
    "The runtime MUST set the network device state to \"up\" after moving it to the network namespace ..."
)]
fn device_is_moved_and_up(case: &mut Case) {
    let line = "ip -o link show host0 | grep -o '<.*UP.*>'";
    let bundle = bundle_with(case, json!({"host0": {}}), line);
    let finished = on_a_host_of_its_own(
        case,
        &bundle,
        VETH,
        "ip link show host0 2>&1 | grep -c mtu; true",
    );
    let seen = finished.ok().stdout;
    let mut lines = seen.lines();
    assert!(lines.next().unwrap_or_default().contains("UP"), "{seen}");
    assert_eq!(lines.next(), Some("0"), "the host has it no more: {seen}");
}

#[must("name (string, OPTIONAL) - the name of the network device inside the container namespace.")]
fn device_is_renamed(case: &mut Case) {
    let bundle = bundle_with(
        case,
        json!({"host0": {"name": "eth0"}}),
        "ls /sys/class/net",
    );
    let finished = on_a_host_of_its_own(case, &bundle, VETH, "true");
    assert_eq!(finished.ok().stdout, "eth0\nlo\n");
}

#[convention("A `%d` in the name is the lowest number that is free in the container.")]
fn name_template(case: &mut Case) {
    let devices = json!({"host0": {"name": "net%d"}, "peer0": {"name": "net%d"}});
    let bundle = bundle_with(case, devices, "ls /sys/class/net");
    let finished = on_a_host_of_its_own(case, &bundle, VETH, "true");
    assert_eq!(finished.ok().stdout, "lo\nnet0\nnet1\n");
}

#[must(
    "The runtime MUST preserve existing network interface attributes, including all permanent IP addresses ... of any family with global scope ..."
)]
fn permanent_addresses_are_kept(case: &mut Case) {
    let before = format!(
        "{VETH} && ip addr add 192.0.2.7/24 dev host0 && ip addr add 192.0.2.8/24 dev host0 \
         && ip addr add 2001:db8::7/64 dev host0 && ip addr add 169.254.7.7/16 scope link dev host0 \
         && ip addr add 198.51.100.7/24 valid_lft 600 preferred_lft 600 dev host0 && ip link set host0 up"
    );
    let line = "ip addr show dev eth0 | grep -o 'inet6* [^ ]*' | grep -v fe80 | sort";
    let bundle = bundle_with(case, json!({"host0": {"name": "eth0"}}), line);
    let finished = on_a_host_of_its_own(case, &bundle, &before, "true");
    let wanted = "inet 192.0.2.7/24\ninet 192.0.2.8/24\ninet6 2001:db8::7/64\n";
    assert_eq!(finished.ok().stdout, wanted);
}

/// Each of several.
#[must(
    "netDevices (object, OPTIONAL) - A set of network devices that are made available in the container. The runtime is responsible for moving these devices ..."
)]
fn several_devices(case: &mut Case) {
    let devices = json!({"peer0": {"name": "a"}, "host0": {"name": "b"}});
    let bundle = bundle_with(case, devices, "ls /sys/class/net");
    let finished = on_a_host_of_its_own(case, &bundle, VETH, "true");
    assert_eq!(finished.ok().stdout, "a\nb\nlo\n");
}

/// To the network namespace of a user namespace.
#[must(
    "netDevices (object, OPTIONAL) - A set of network devices that are made available in the container. The runtime is responsible for moving these devices ..."
)]
fn user_namespace(case: &mut Case) {
    let mut bundle = bundle_with(
        case,
        json!({"host0": {"name": "eth0"}}),
        "ls /sys/class/net",
    );
    bundle.config.user_namespace(100_000);
    bundle.give_directories_to(100_000);
    let finished = on_a_host_of_its_own(case, &bundle, VETH, "true");
    assert_eq!(finished.ok().stdout, "eth0\nlo\n");
}

/// To a network namespace that others made.
#[must(
    "netDevices (object, OPTIONAL) - A set of network devices that are made available in the container. The runtime is responsible for moving these devices ..."
)]
fn joined_network(case: &mut Case) {
    let mut holder = case.bundle();
    holder.config.args(&["/bin/sleep", "60"]);
    let id = case.launch(&holder);
    let mut bundle = bundle_with(
        case,
        json!({"host0": {"name": "eth0"}}),
        "ip -o link show | grep -c eth0",
    );
    let path = format!("/proc/{}/ns/net", case.pid(&id));
    bundle.config.join_namespace("network", &path);
    let finished = on_a_host_of_its_own(case, &bundle, VETH, "true");
    case.destroy(&id);
    assert_eq!(finished.ok().stdout, "1\n");
}

#[convention("A sysctl may be about a device that was moved.")]
fn sysctl_of_a_moved_device(case: &mut Case) {
    let line = "cat /proc/sys/net/ipv4/conf/eth0/forwarding";
    let mut bundle = bundle_with(case, json!({"host0": {"name": "eth0"}}), line);
    bundle.config.set(
        "/linux/sysctl",
        json!({"net.ipv4.conf.eth0.forwarding": "1"}),
    );
    let finished = on_a_host_of_its_own(case, &bundle, VETH, "true");
    assert_eq!(finished.ok().stdout, "1\n");
}

/// Errors leave the environment as it was.
#[must(
    "If a network device with the specified name already exists in the container namespace, the runtime MUST throw an error ..."
)]
fn taken_name_is_an_error_and_the_device_comes_back(case: &mut Case) {
    case.only_corten();
    let before = format!("{VETH} && ip addr add 192.0.2.7/24 dev host0 && ip link set host0 up");
    let bundle = bundle_with(case, json!({"host0": {"name": "lo"}}), "true");
    let after = "ip -o addr show dev host0 up | grep -o 192.0.2.7/24";
    let finished = on_a_host_of_its_own(case, &bundle, &before, after).exits(1);
    assert_eq!(finished.stdout, "192.0.2.7/24\n", "{}", finished.describe());
    finished
        .says("linux.netDevices[\"host0\"]")
        .says("file exists");
}

/// And a moved device is back where it was.
#[must(
    "If any createRuntime hook fails, the runtime MUST generate an error, stop the container, and continue the lifecycle at step 12 (the container MUST be destroyed by undoing the steps performed during create phase)."
)]
fn failed_hook_brings_it_back(case: &mut Case) {
    case.only_corten();
    let before = format!("{VETH} && ip addr add 192.0.2.7/24 dev host0 && ip link set host0 up");
    let mut bundle = bundle_with(case, json!({"host0": {"name": "eth0"}}), "true");
    bundle.config.hook("createRuntime", "exit 3");
    let after = "ip -o addr show dev host0 up | grep -o 192.0.2.7/24";
    let finished = on_a_host_of_its_own(case, &bundle, &before, after).exits(1);
    assert_eq!(finished.stdout, "192.0.2.7/24\n", "{}", finished.describe());
}
