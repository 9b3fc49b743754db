//! Values of the wrong type, and words that are none of a list.

use serde_json::json;

use crate::{check, check_table, with};

#[test]
fn types() {
    check_table(&[
        (
            "linux/resources/memory/limit",
            json!("lots"),
            r#"linux.resources.memory.limit: expected an integer number of bytes, found the string "lots""#,
        ),
        (
            "linux/resources/memory/limit",
            json!(1.5),
            "linux.resources.memory.limit: expected an integer number of bytes, found 1.5",
        ),
        (
            "linux/resources/cpu/shares",
            json!(-1),
            "linux.resources.cpu.shares: expected an integer from 0, found -1",
        ),
        (
            "linux/resources/pids/limit",
            json!("x"),
            r#"linux.resources.pids.limit: expected an integer, found the string "x""#,
        ),
        (
            "linux/resources/devices/0/allow",
            json!("no"),
            r#"linux.resources.devices[0].allow: expected true or false, found the string "no""#,
        ),
        (
            "linux/resources/devices",
            json!([{"allow": false, "access": "rwm"}, {"type": "c", "access": "r"}]),
            "linux.resources.devices[1].allow: missing: the spec requires it",
        ),
        (
            "linux/resources/devices",
            json!([{"allow": null, "access": "r"}]),
            "linux.resources.devices[0].allow: missing: the spec requires it",
        ),
        (
            "linux/resources/hugepageLimits",
            json!([{"pageSize": "2MB"}]),
            "linux.resources.hugepageLimits[0].limit: missing: the spec requires it",
        ),
        (
            "linux/resources/blockIO",
            json!({"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": null}]}),
            "linux.resources.blockIO.throttleReadBpsDevice[0].rate: missing: the spec requires it",
        ),
        (
            "process/rlimits/0",
            json!({"type": "RLIMIT_CORE", "hard": 5}),
            "process.rlimits[0].soft: missing: the spec requires it",
        ),
        (
            "linux/resources",
            json!([]),
            "linux.resources: expected an object, found a list",
        ),
        (
            "root",
            json!(["rootfs", true]),
            "root: expected an object, found a list",
        ),
        (
            "mounts/0",
            json!(["/proc", "proc"]),
            "mounts[0]: expected an object, found a list",
        ),
        (
            "linux/resources/unified",
            json!({"memory.max": 1}),
            r#"linux.resources.unified["memory.max"]: expected a string, found 1"#,
        ),
        (
            "process/args",
            json!("sh"),
            r#"process.args: expected a list, found the string "sh""#,
        ),
        (
            "process/args/0",
            json!(5),
            "process.args[0]: expected a string, found 5",
        ),
        (
            "process/user/uid",
            json!(-1),
            "process.user.uid: expected an integer from 0 to 4294967295, found -1",
        ),
        (
            "process/user/uid",
            json!(4_294_967_296_u64),
            "process.user.uid: expected an integer from 0 to 4294967295, found 4294967296",
        ),
        (
            "process/user",
            json!("root"),
            r#"process.user: expected an object, found the string "root""#,
        ),
        (
            "process/terminal",
            json!("yes"),
            r#"process.terminal: expected true or false, found the string "yes""#,
        ),
        (
            "process/cwd",
            json!(5),
            "process.cwd: expected a string, found 5",
        ),
        (
            "process/rlimits/0/type",
            json!("RLIMIT_NOFIL"),
            r#"process.rlimits[0].type: unknown resource limit "RLIMIT_NOFIL" (one of: RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_LOCKS, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RSS, RLIMIT_RTPRIO, RLIMIT_RTTIME, RLIMIT_SIGPENDING, RLIMIT_STACK)"#,
        ),
        (
            "process/rlimits/0",
            json!({"soft": 1, "hard": 1}),
            "process.rlimits[0].type: missing: the spec requires it",
        ),
        (
            "process/capabilities/bounding/0",
            json!(7),
            "process.capabilities.bounding[0]: expected a string, found 7",
        ),
        (
            "process/execCPUAffinity",
            json!({"initial": "a-b"}),
            r#"process.execCPUAffinity.initial: expected a list of CPUs like "0-3,7", found the string "a-b""#,
        ),
        (
            "ociVersion",
            json!(1),
            "ociVersion: expected a string, found 1",
        ),
        (
            "hostname",
            json!(["a"]),
            "hostname: expected a string, found a list",
        ),
        (
            "annotations",
            json!({"a.b/c": 1}),
            r#"annotations["a.b/c"]: expected a string, found 1"#,
        ),
        (
            "mounts",
            json!({}),
            "mounts: expected a list, found an object",
        ),
        (
            "mounts/2/options",
            json!("ro"),
            r#"mounts[2].options: expected a list, found the string "ro""#,
        ),
        (
            "mounts/2/options/1",
            json!(5),
            "mounts[2].options[1]: expected a string, found 5",
        ),
        (
            "mounts/2/destination",
            json!(null),
            "mounts[2].destination: missing: the spec requires it",
        ),
        (
            "linux/namespaces/1/type",
            json!("pidd"),
            r#"linux.namespaces[1].type: unknown namespace "pidd" (one of: cgroup, ipc, mount, network, pid, time, user, uts)"#,
        ),
        (
            "linux/namespaces/1/type",
            json!({"pid": null}),
            "linux.namespaces[1].type: expected a string, found an object",
        ),
        (
            "linux/seccomp",
            json!({"defaultAction": {"SCMP_ACT_ALLOW": null}}),
            "linux.seccomp.defaultAction: expected a string, found an object",
        ),
        (
            "linux/namespaces/1",
            json!("pid"),
            r#"linux.namespaces[1]: expected an object, found the string "pid""#,
        ),
        (
            "linux/devices",
            json!([{"path": "/dev/x", "type": "z", "major": 1, "minor": 3}]),
            r#"linux.devices[0].type: unknown device type "z" (one of: b, c, p, u)"#,
        ),
        (
            "linux/devices",
            json!([{"path": "/dev/x", "type": "c", "major": 1}]),
            "linux.devices[0].minor: missing: a device number, required but for a FIFO",
        ),
        (
            "linux/sysctl",
            json!({"net.ipv4.ip_forward": 1}),
            r#"linux.sysctl["net.ipv4.ip_forward"]: expected a string, found 1"#,
        ),
        (
            "linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALOW"}),
            r#"linux.seccomp.defaultAction: unknown action "SCMP_ACT_ALOW" (one of: SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_ACT_KILL, SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, SCMP_ACT_LOG, SCMP_ACT_NOTIFY, SCMP_ACT_TRACE, SCMP_ACT_TRAP)"#,
        ),
        (
            "hooks",
            json!({"poststart": [{"args": ["x"]}]}),
            "hooks.poststart[0].path: missing: the spec requires it",
        ),
        (
            "hooks",
            json!({"prestart": [{"path": "/x", "timeout": "soon"}]}),
            r#"hooks.prestart[0].timeout: expected an integer, found the string "soon""#,
        ),
        (
            "linux/personality",
            json!({"domain": "BSD"}),
            r#"linux.personality.domain: unknown domain "BSD" (one of: LINUX, LINUX32)"#,
        ),
    ]);
}

#[test]
fn maps_of_mounts() {
    let mount = json!({"destination": "/d", "source": "/s", "options": ["bind"],
        "uidMappings": [{"containerID": 0, "size": 1}], "gidMappings": [{"hostID": 5, "size": 1}]});
    check(
        &with("mounts/7", mount),
        &[
            "mounts[7].uidMappings[0].hostID: missing: the spec requires it",
            "mounts[7].gidMappings[0].containerID: missing: the spec requires it",
        ],
    );
}
