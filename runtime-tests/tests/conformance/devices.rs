//! config-linux.md, "Devices", "Default Devices"; runtime-linux.md, "Dev symbolic links".

use std::fs;

use runtime_tests::{Bundle, Case, convention, may, must};
use serde_json::json;

const CHAPTER: &str = "config-linux.md: Devices";

#[must(
    "In addition to any devices configured with this setting, the runtime MUST also supply /dev/null, /dev/zero, /dev/full, /dev/random, /dev/urandom, /dev/tty and /dev/ptmx."
)]
fn default_nodes(case: &mut Case) {
    let bundle = case.bundle();
    let facts = case.facts(&bundle);
    for (name, number) in [
        ("null", "1:3"),
        ("zero", "1:5"),
        ("full", "1:7"),
        ("random", "1:8"),
        ("urandom", "1:9"),
        ("tty", "5:0"),
    ] {
        assert_eq!(
            facts.text(&format!("/dev/{name}")),
            format!("c {number} 666 0:0")
        );
    }
    let ptmx = facts.text("/dev/ptmx");
    assert!(ptmx == "l pts/ptmx" || ptmx == "l /dev/pts/ptmx", "{ptmx}");
}

#[must(
    "Runtimes MUST create the following symlinks if the source file exists after processing mounts: /dev/fd, /dev/stdin, /dev/stdout, /dev/stderr."
)]
fn standard_links(case: &mut Case) {
    let bundle = case.bundle();
    let facts = case.facts(&bundle);
    for (name, target) in [
        ("fd", ""),
        ("stdin", "/0"),
        ("stdout", "/1"),
        ("stderr", "/2"),
    ] {
        assert_eq!(
            facts.text(&format!("/dev/{name}")),
            format!("l /proc/self/fd{target}")
        );
    }
}

/// They are in the list of allowed devices, too.
#[must("The runtime MUST also supply (the default devices).")]
fn default_nodes_work(case: &mut Case) {
    let mut bundle = case.bundle();
    let line = "echo x > /dev/null && head -c 4 /dev/zero | wc -c && head -c 4 /dev/urandom | wc -c; \
        echo x 2>/dev/null > /dev/full || echo full";
    assert_eq!(case.shell(&mut bundle, line), "4\n4\nfull");
}

#[must(
    "devices (array of objects, OPTIONAL) lists devices that MUST be available in the container."
)]
fn configured_nodes(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set(
        "/linux/devices",
        json!([
            {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 1000, "gid": 1001},
            {"path": "/dev/disk", "type": "b", "major": 7, "minor": 0, "fileMode": 0o600, "uid": 0, "gid": 0}
        ]),
    );
    let facts = case.facts(&bundle);
    assert_eq!(facts.text("/dev/fuse"), "c 10:229 640 1000:1001");
    assert_eq!(facts.text("/dev/disk"), "b 7:0 600 0:0");
}

/// Directories on the way are made.
#[must(
    "devices (array of objects, OPTIONAL) lists devices that MUST be available in the container."
)]
fn configured_node_in_a_new_directory(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set(
        "/linux/devices",
        json!([{"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666}]),
    );
    bundle
        .config
        .args(&["/bin/probe", "stat", "/dev/net", "/dev/net/tun"]);
    assert_eq!(
        case.run(&bundle).ok().stdout,
        "d - 755 0:0\nc 10:200 666 0:0\n"
    );
}

/// A FIFO needs no numbers.
#[must("type (string, REQUIRED) - type of device: c, b, u or p.")]
fn fifo(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set(
        "/linux/devices",
        json!([{"path": "/dev/pipe", "type": "p", "fileMode": 0o622}]),
    );
    assert_eq!(case.facts(&bundle).text("/dev/pipe"), "p - 622 0:0");
}

/// One that matches is fine.
#[must(
    "devices (array of objects, OPTIONAL) lists devices that MUST be available in the container."
)]
fn same_node_is_no_error(case: &mut Case) {
    let mut bundle = case.bundle();
    let node = bundle.rootfs().join("node");
    case.program("mknod")
        .args([&node.to_string_lossy(), "c", "1", "5"])
        .run()
        .ok();
    bundle.config.set(
        "/linux/devices",
        json!([{"path": "/node", "type": "c", "major": 1, "minor": 5}]),
    );
    bundle.config.args(&["/bin/probe", "stat", "/node"]);
    assert!(case.run(&bundle).ok().stdout.starts_with("c 1:5 "));
}

#[must(
    "If a file already exists at path that does not match the requested device, the runtime MUST generate an error."
)]
fn other_file_in_its_place_is_an_error(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    fs::write(bundle.rootfs().join("node"), "a file").unwrap();
    bundle.config.set(
        "/linux/devices",
        json!([{"path": "/node", "type": "c", "major": 1, "minor": 5}]),
    );
    case.run(&bundle).exits(1).says("linux.devices[0]");
}

/// CAP_SYSLOG so that nothing but the list of devices can refuse kmsg.
fn may_make_nodes(bundle: &mut Bundle) {
    for set in ["bounding", "effective", "permitted"] {
        for name in ["CAP_MKNOD", "CAP_SYSLOG"] {
            bundle
                .config
                .push(&format!("/process/capabilities/{set}"), json!(name));
        }
    }
}

/// What is not on it is refused, even to a process that may make nodes.
#[must("devices (array of objects, OPTIONAL) configures the allowed device list.")]
fn access_is_denied_by_default(case: &mut Case) {
    let mut bundle = case.bundle();
    may_make_nodes(&mut bundle);
    // 1:11 is kmsg: on no list, but always there to be opened.
    let line = "mknod /run/kmsg c 1 11 && (: < /run/kmsg) 2>/dev/null || echo refused";
    assert_eq!(case.shell(&mut bundle, line), "refused");
}

/// An allow rule after the deny rule.
#[must("allow (boolean, REQUIRED) - whether the entry is allowed or denied.")]
fn access_is_granted(case: &mut Case) {
    let mut bundle = case.bundle();
    may_make_nodes(&mut bundle);
    let rule = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"});
    bundle.config.push("/linux/resources/devices", rule);
    let line = "mknod /run/kmsg c 1 11; (: < /run/kmsg) && echo read; (: > /run/kmsg) 2>/dev/null || echo no write";
    assert_eq!(case.shell(&mut bundle, line), "read\nno write");
}

#[convention("A `/dev` that is a bind belongs to the caller: nothing is made in it.")]
fn no_device_set_up_when_dev_is_bound(case: &mut Case) {
    let mut bundle = case.bundle();
    let source = case.directory.join("dev");
    fs::create_dir(&source).unwrap();
    case.program("mknod")
        .args([
            "-m",
            "666",
            &source.join("null").to_string_lossy(),
            "c",
            "1",
            "3",
        ])
        .run()
        .ok();
    let list = bundle.config.0["mounts"].as_array_mut().unwrap();
    list.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    bundle.config.bind(&source, "/dev", &["rbind"]);
    bundle.config.shell("ls /dev");
    assert_eq!(case.run(&bundle).ok().stdout, "null\n");
    assert_eq!(fs::read_dir(&source).unwrap().count(), 1);
}

/// In a user namespace mknod is refused by the kernel; the nodes are there all the same.
#[may(
    "The runtime MAY supply them however it likes (with mknod, by bind mounting from the runtime mount namespace, using symlinks, etc.)."
)]
fn nodes_in_a_user_namespace(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    bundle.give_directories_to(100_000);
    let facts = case.facts(&bundle);
    for (name, number) in [("null", "1:3"), ("zero", "1:5"), ("urandom", "1:9")] {
        let seen = facts.text(&format!("/dev/{name}"));
        assert!(
            seen.starts_with(&format!("c {number} 666 ")),
            "{name}: {seen}"
        );
    }
    assert_eq!(
        case.shell(
            &mut bundle,
            "echo x > /dev/null && head -c 4 /dev/zero | wc -c"
        ),
        "4"
    );
}

/// Engines see 0666 without it.
#[must("fileMode (uint32, OPTIONAL) - file mode for the device.")]
fn mode_default(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set(
        "/linux/devices",
        json!([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}]),
    );
    assert_eq!(case.facts(&bundle).text("/dev/fuse"), "c 10:229 666 0:0");
}
