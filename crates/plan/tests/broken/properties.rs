//! Values of the right type that say something impossible.

use serde_json::json;

use crate::check_table;

#[test]
fn top_level_and_namespaces() {
    check_table(&[
        (
            "ociVersion",
            json!(null),
            r#"ociVersion: missing: the version of the runtime spec, as "1.3.0""#,
        ),
        (
            "ociVersion",
            json!("2.0.0"),
            r#"ociVersion: expected a version of the runtime spec from 1.0.0 to 1.3.x, found "2.0.0""#,
        ),
        (
            "ociVersion",
            json!("1.4.0"),
            r#"ociVersion: expected a version of the runtime spec from 1.0.0 to 1.3.x, found "1.4.0""#,
        ),
        (
            "ociVersion",
            json!("0.9"),
            r#"ociVersion: expected a version of the runtime spec from 1.0.0 to 1.3.x, found "0.9""#,
        ),
        (
            "process",
            json!(null),
            "process: missing: the program to run",
        ),
        (
            "annotations",
            json!({"": "x"}),
            r#"annotations[""]: expected a key that is not empty, found """#,
        ),
        (
            "hostname",
            json!("x".repeat(65)),
            "hostname: expected at most 64 bytes, found 65 bytes",
        ),
        (
            "linux/namespaces/6",
            json!({"type": "uts"}),
            r#"linux.namespaces[6].type: duplicate namespace "uts" (already at linux.namespaces[3])"#,
        ),
        (
            "linux/namespaces/1/path",
            json!("proc/1/ns/net"),
            r#"linux.namespaces[1].path: expected an absolute path, found "proc/1/ns/net""#,
        ),
        (
            "linux/timeOffsets",
            json!({"boottime": {"secs": 1}}),
            "linux.timeOffsets: needs a new time namespace (without a path) in linux.namespaces",
        ),
        (
            "linux/netDevices",
            json!({"eth/0": {}}),
            r#"linux.netDevices["eth/0"]: expected a name of 1 to 15 bytes without slash, colon and blank, found "eth/0""#,
        ),
        (
            "linux/intelRdt",
            json!({}),
            "linux.intelRdt: needs resctrl, which is not mounted on this host (mount -t resctrl resctrl /sys/fs/resctrl, where the processor has Intel RDT)",
        ),
        (
            "linux/namespaces",
            json!([{"type": "mount"}, {"type": "time", "path": 7}]),
            "linux.namespaces[1].path: expected a string, found 7",
        ),
        (
            "linux/sysctl",
            json!({"kernel.shm_rmid": "1"}),
            r#"linux.sysctl["kernel.shm_rmid"]: sysctl "kernel.shm_rmid" is not in a separate kernel namespace"#,
        ),
        (
            "linux/sysctl",
            json!({"vm.overcommit_memory": "1"}),
            r#"linux.sysctl["vm.overcommit_memory"]: sysctl "vm.overcommit_memory" is not in a separate kernel namespace"#,
        ),
        (
            "linux/sysctl",
            json!({"kernel.hostname": "x"}),
            r#"linux.sysctl["kernel.hostname"]: is set by the property hostname, not by a sysctl"#,
        ),
        (
            "linux/sysctl",
            json!({"net/../kernel/core_pattern": "x"}),
            r#"linux.sysctl["net/../kernel/core_pattern"]: expected a name like net.ipv4.ip_forward, found "net/../kernel/core_pattern""#,
        ),
        (
            "linux/sysctl",
            json!({"net.ipv4.ip_forward": "1", "net/ipv4/ip_forward": "0"}),
            r#"linux.sysctl["net/ipv4/ip_forward"]: duplicate sysctl "net/ipv4/ip_forward" (already at linux.sysctl["net.ipv4.ip_forward"])"#,
        ),
        (
            "linux/sysctl",
            json!({"user.max_user_namespaces": "1"}),
            r#"linux.sysctl["user.max_user_namespaces"]: sysctl "user.max_user_namespaces" is not in a separate kernel namespace: it needs a user namespace in linux.namespaces"#,
        ),
        (
            "linux/sysctl",
            json!({"net.ipv4.ip_forward": ""}),
            r#"linux.sysctl["net.ipv4.ip_forward"]: expected a value, found """#,
        ),
    ]);
}

#[test]
fn process() {
    check_table(&[
        (
            "process/args",
            json!([]),
            "process.args: must name a program",
        ),
        (
            "process/args",
            json!(null),
            "process.args: must name a program",
        ),
        (
            "process/args/0",
            json!(""),
            r#"process.args[0]: expected the name of a program, found """#,
        ),
        (
            "process/args/0",
            json!("a\0b"),
            r#"process.args[0]: expected text without NUL characters, found "a\u0000b""#,
        ),
        (
            "process/cwd",
            json!("rel"),
            r#"process.cwd: expected an absolute path, found "rel""#,
        ),
        (
            "process/cwd",
            json!(""),
            r#"process.cwd: expected an absolute path, found """#,
        ),
        (
            "process/cwd",
            json!(null),
            "process.cwd: missing: the working directory, an absolute path",
        ),
        (
            "process/env/1",
            json!("TERM"),
            r#"process.env[1]: expected NAME=value, found "TERM""#,
        ),
        (
            "process/env/1",
            json!("=x"),
            r#"process.env[1]: expected NAME=value, found "=x""#,
        ),
        (
            "process/env/1",
            json!(""),
            r#"process.env[1]: expected NAME=value, found """#,
        ),
        (
            "process/env/1",
            json!("A=\0"),
            r#"process.env[1]: expected text without NUL characters, found "A=\u0000""#,
        ),
        (
            "process/user/uid",
            json!(4_294_967_295_u64),
            "process.user.uid: expected an id from 0 to 4294967294, found 4294967295",
        ),
        (
            "process/user/additionalGids",
            json!([1, 4_294_967_295_u64]),
            "process.user.additionalGids[1]: expected an id from 0 to 4294967294, found 4294967295",
        ),
        (
            "process/user/umask",
            json!(0o1777),
            "process.user.umask: expected permission bits, at most 511 (octal 0777), found 1023",
        ),
        (
            "process/oomScoreAdj",
            json!(1001),
            "process.oomScoreAdj: expected an integer from -1000 to 1000, found 1001",
        ),
        (
            "process/rlimits/0/soft",
            json!(2048),
            "process.rlimits[0].soft: 2048 is above the hard limit 1024 (RLIMIT_NOFILE)",
        ),
        (
            "process/rlimits/1",
            json!({"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}),
            r#"process.rlimits[1].type: duplicate resource limit "RLIMIT_NOFILE" (already at process.rlimits[0])"#,
        ),
        (
            "process/apparmorProfile",
            json!("docker-default"),
            r#"process.apparmorProfile: "docker-default" needs AppArmor, which is not active on this host (remove the property)"#,
        ),
        (
            "process/selinuxLabel",
            json!("system_u:r:x"),
            r#"process.selinuxLabel: "system_u:r:x" needs SELinux, which is not active on this host (remove the property)"#,
        ),
        (
            "hooks",
            json!({"prestart": [{"path": "bin/x"}]}),
            r#"hooks.prestart[0].path: expected an absolute path, found "bin/x""#,
        ),
        (
            "hooks",
            json!({"createRuntime": [{"path": "/x", "env": ["A=b", "HOME"]}]}),
            r#"hooks.createRuntime[0].env[1]: expected NAME=value, found "HOME""#,
        ),
        (
            "hooks",
            json!({"poststop": [{"path": "/x", "env": ["=b"]}]}),
            r#"hooks.poststop[0].env[0]: expected NAME=value, found "=b""#,
        ),
        (
            "hooks",
            json!({"poststop": [{"path": "/x"}, {"path": ""}]}),
            r#"hooks.poststop[1].path: expected an absolute path, found """#,
        ),
        (
            "hooks",
            json!({"createContainer": [{"path": "/x", "timeout": 0}]}),
            "hooks.createContainer[0].timeout: expected seconds from 1 to 4294967295, found 0",
        ),
        (
            "hooks",
            json!({"startContainer": [{"path": "/x", "timeout": -1}]}),
            "hooks.startContainer[0].timeout: expected seconds from 1 to 4294967295, found -1",
        ),
    ]);
}
