//! config.md, "User" and "Linux Process": who the program is and what it may do.

use runtime_tests::{Bundle, Case, Facts, convention, falls_without, must, should};
use serde_json::{Value, json};

use crate::annotations::facts_of_a_caller_with_groups;

const CHAPTER: &str = "config.md: User and capabilities";

const KILL: u64 = 1 << 5;
const NET_BIND_SERVICE: u64 = 1 << 10;
const AUDIT_WRITE: u64 = 1 << 29;
const CHOWN: u64 = 1 << 0;
const SYS_ADMIN: u64 = 1 << 21;

#[must(
    "uid (int, REQUIRED) specifies the user ID in the container namespace; gid (int, REQUIRED) specifies the group ID."
)]
fn uid_and_gid(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/process/user", json!({"uid": 1000, "gid": 1001}));
    let facts = case.facts(&bundle);
    assert_eq!(facts.status("Uid"), "1000 1000 1000 1000");
    assert_eq!(facts.status("Gid"), "1001 1001 1001 1001");
}

/// Root with another group.
#[must("gid (int, REQUIRED) specifies the group ID in the container namespace.")]
fn gid_alone(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/process/user", json!({"uid": 0, "gid": 5}));
    let facts = case.facts(&bundle);
    assert_eq!(facts.status("Uid"), "0 0 0 0");
    assert_eq!(facts.status("Gid"), "5 5 5 5");
}

#[must(
    "additionalGids (array of ints, OPTIONAL) specifies additional group IDs in the container namespace to be added to the process."
)]
fn additional_gids(case: &mut Case) {
    let mut bundle = case.bundle();
    let user = json!({"uid": 1000, "gid": 1000, "additionalGids": [4242, 10]});
    bundle.config.set("/process/user", user);
    let facts = case.facts(&bundle);
    let mut groups: Vec<&str> = facts.status("Groups").split(' ').collect();
    groups.sort_unstable();
    assert_eq!(groups, ["10", "4242"]);
}

/// None of the caller's come along.
#[must(
    "additionalGids (array of ints, OPTIONAL) specifies additional group IDs in the container namespace to be added to the process."
)]
fn no_additional_gids(case: &mut Case) {
    let facts = facts_of_a_caller_with_groups(case, None);
    assert_eq!(facts.at("/groups"), &json!([]));
}

/// 32 bits wide and unsigned.
#[must("uid (int, REQUIRED) specifies the user ID in the container namespace.")]
fn high_ids(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = 2_147_483_650_u32;
    bundle
        .config
        .set("/process/user", json!({"uid": id, "gid": id}));
    let facts = case.facts(&bundle);
    assert_eq!(facts.at("/uid"), &json!(id));
    assert_eq!(facts.at("/gid"), &json!(id));
}

fn with_capabilities(bundle: &mut Bundle, sets: Value) {
    bundle.config.set("/process/capabilities", sets);
}

/// Each of the sets is what the config says.
#[must(
    "capabilities (object, OPTIONAL) is an object containing arrays that specifies the sets of capabilities for the process."
)]
fn capabilities_of_each_set(case: &mut Case) {
    let mut bundle = case.bundle();
    with_capabilities(
        &mut bundle,
        json!({
            "bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"],
            "permitted": ["CAP_KILL", "CAP_CHOWN"],
            "effective": ["CAP_KILL"],
            "inheritable": ["CAP_CHOWN"]
        }),
    );
    bundle
        .config
        .set("/process/user", json!({"uid": 0, "gid": 0}));
    let facts = case.facts(&bundle);
    assert_eq!(
        facts.capabilities("CapBnd"),
        KILL | CHOWN | NET_BIND_SERVICE
    );
    assert_eq!(facts.capabilities("CapInh"), CHOWN);
    assert_eq!(facts.capabilities("CapAmb"), 0);
    // execve would give root its whole bounding set; no_new_privs keeps it to the permitted one.
    assert_eq!(facts.capabilities("CapPrm"), KILL | CHOWN);
    assert_eq!(facts.capabilities("CapEff"), KILL | CHOWN);
}

/// A set that is not named is empty.
#[must(
    "effective (array of strings, OPTIONAL) ... is an array of effective capabilities that are kept for the process."
)]
fn capabilities_absent_sets_are_empty(case: &mut Case) {
    let mut bundle = case.bundle();
    with_capabilities(&mut bundle, json!({"bounding": []}));
    let facts = case.facts(&bundle);
    for set in ["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(facts.capabilities(set), 0, "{set}");
    }
}

#[convention(
    "A user other than root keeps none across execve without ambient ones (CVE-2016-8867)."
)]
#[falls_without("nothing-ambient")]
fn capabilities_of_non_root_are_dropped(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.config.set("/process/noNewPrivileges", json!(false));
    let facts = case.facts(&bundle);
    assert_eq!(
        facts.capabilities("CapBnd"),
        KILL | NET_BIND_SERVICE | AUDIT_WRITE
    );
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(facts.capabilities(set), 0, "{set}");
    }
}

/// A user other than root keeps these.
#[must(
    "ambient (array of strings, OPTIONAL) ... is an array of ambient capabilities that are kept for the process."
)]
fn ambient_capabilities(case: &mut Case) {
    let mut bundle = case.bundle();
    let set = json!(["CAP_NET_BIND_SERVICE"]);
    with_capabilities(
        &mut bundle,
        json!({"bounding": set, "permitted": set, "effective": set, "inheritable": set, "ambient": set}),
    );
    bundle
        .config
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let facts = case.facts(&bundle);
    for set in ["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(facts.capabilities(set), NET_BIND_SERVICE, "{set}");
    }
}

#[must(
    "Any value which cannot be mapped to a relevant kernel interface, or cannot be granted otherwise MUST be logged as a warning by the runtime."
)]
fn unknown_capability_is_ignored(case: &mut Case) {
    let mut bundle = case.bundle();
    for set in ["bounding", "effective", "permitted"] {
        bundle
            .config
            .push(&format!("/process/capabilities/{set}"), json!("CAP_BOGUS"));
    }
    let facts = case.facts(&bundle);
    assert_eq!(
        facts.capabilities("CapBnd"),
        KILL | NET_BIND_SERVICE | AUDIT_WRITE
    );
}

const NAMES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

fn all_names() -> Value {
    NAMES.iter().map(|name| format!("CAP_{name}")).collect()
}

fn own_bounding() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
}

/// All 41 are asked for, as a privileged container does; the bounding set of the host decides.
#[should(
    "Runtimes SHOULD NOT fail if the container configuration requests capabilities that cannot be granted."
)]
fn capability_the_host_lacks_is_no_error(case: &mut Case) {
    let mut bundle = case.bundle();
    let all = all_names();
    with_capabilities(
        &mut bundle,
        json!({"bounding": all, "permitted": all, "effective": all}),
    );
    let facts = case.facts(&bundle);
    assert_eq!(facts.capabilities("CapEff"), own_bounding());
}

/// All that the host has, by name.
#[must("Valid values are defined in the capabilities(7) man page, such as CAP_CHOWN.")]
fn all_capabilities_work(case: &mut Case) {
    let mut bundle = case.bundle();
    let own = own_bounding();
    let held: Value = NAMES
        .iter()
        .enumerate()
        .filter(|(bit, _)| own & (1 << bit) != 0)
        .map(|(_, name)| format!("CAP_{name}"))
        .collect();
    with_capabilities(
        &mut bundle,
        json!({"bounding": held, "permitted": held, "effective": held}),
    );
    let facts = case.facts(&bundle);
    assert_eq!(facts.capabilities("CapBnd"), own);
    assert_eq!(facts.capabilities("CapEff"), own);
    assert_ne!(own & SYS_ADMIN, 0);
}

/// What was not given does not work.
#[must(
    "bounding (array of strings, OPTIONAL) ... is an array of bounding capabilities that are kept for the process."
)]
fn capability_is_enforced(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&[
        "/bin/probe",
        "call",
        "sethostname",
        "mount",
        "chroot",
        "mknod",
    ]);
    let output = case.run(&bundle).ok().stdout;
    assert_eq!(output, "sethostname 1\nmount 1\nchroot 1\nmknod 1\n");
}

/// What was given works.
#[must(
    "effective (array of strings, OPTIONAL) ... is an array of effective capabilities that are kept for the process."
)]
fn kept_capability_works(case: &mut Case) {
    let mut bundle = case.bundle();
    let set = json!(["CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_MKNOD"]);
    with_capabilities(
        &mut bundle,
        json!({"bounding": set, "permitted": set, "effective": set}),
    );
    bundle.config.args(&[
        "/bin/probe",
        "call",
        "sethostname",
        "mount",
        "chroot",
        "mknod",
    ]);
    let output = case.run(&bundle).ok().stdout;
    assert_eq!(output, "sethostname 0\nmount 0\nchroot 0\nmknod 0\n");
}

#[convention("Each container has a session keyring of its own, named after it.")]
fn session_keyring_is_new(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/linux/maskedPaths", json!([]));
    bundle
        .config
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.write();
    let id = case.id();
    let finished = case.run_command(&bundle, &id, &[]).run().ok();
    let facts = Facts::parse(&finished.stdout);
    let own = format!("_ses.{id}");
    let keys = facts.at("/session_keyring").to_string();
    assert!(
        keys.is_empty() || keys == "[]" || keys.contains(&own),
        "{keys}"
    );
}
