//! Broken configurations, each with the one line that a user will read.

// A table is as long as it is; a test that cannot go on panics.
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

use plan::{HostFacts, Lsm, Request, TerminalHost};
use serde_json::{Value, json};

/// The template of `corten spec` without a terminal, with one value changed:
/// `/` separated path, `null` removes.
fn with(path: &str, value: Value) -> Value {
    let mut config: Value = serde_json::from_str(&plan::template(None)).unwrap();
    set(&mut config, "process/terminal", json!(false));
    set(&mut config, path, value);
    config
}

fn set(config: &mut Value, path: &str, value: Value) {
    let mut at = config;
    let (parents, last) = match path.rsplit_once('/') {
        Some((parents, last)) => (parents.split('/').collect(), last),
        None => (Vec::new(), path),
    };
    for part in parents {
        at = match part.parse::<usize>() {
            Ok(index) => at.get_mut(index).unwrap(),
            Err(_) => {
                if at.get(part).is_none() {
                    at[part] = json!({});
                }
                at.get_mut(part).unwrap()
            }
        };
    }
    match (last.parse::<usize>(), value) {
        (Ok(index), value) if at.is_array() => match at.as_array_mut().unwrap() {
            list if index < list.len() => list[index] = value,
            list => list.push(value),
        },
        (_, Value::Null) => drop(at.as_object_mut().unwrap().remove(last)),
        (_, value) => at[last] = value,
    }
}

fn request() -> Request {
    Request::create("demo", "/bundle")
}

/// All problems, one a line.
fn problems_of(config: &[u8], request: &Request, host: &HostFacts) -> Vec<String> {
    let built = plan::spec::load(config).and_then(|spec| plan::build(&spec, request, host));
    match built {
        Ok(_) => Vec::new(),
        Err(errors) => errors.all().iter().map(ToString::to_string).collect(),
    }
}

fn check(config: &Value, expected: &[&str]) {
    let text = config.to_string();
    let found = problems_of(text.as_bytes(), &request(), &HostFacts::v2_root());
    assert_eq!(found, expected, "\n{text}");
    assert!(found.iter().all(|line| !line.contains('\n')));
}

fn check_table(table: &[(&str, Value, &str)]) {
    for (path, value, expected) in table {
        check(&with(path, value.clone()), &[expected]);
    }
}

#[test]
fn the_base_of_these_tests_is_fine() {
    check(&with("hostname", json!("corten")), &[]);
}

#[test]
fn documents() {
    let host = HostFacts::v2_root();
    let deep = "[".repeat(10_000);
    let nested = format!("{{\"x\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let long = vec![b' '; 50_000_000];
    let table: [(&[u8], &str); 14] = [
        (b"", "config.json: is empty"),
        (b" \n\t", "config.json: is empty"),
        (
            b"\xef\xbb\xbf{}",
            "config.json: begins with a byte order mark, which JSON does not allow",
        ),
        (
            b"{\"hostname\": \"\xff\"}",
            "config.json: is not UTF-8 (at byte 14)",
        ),
        (b"\xff\xfe{\0}\0", "config.json: is not UTF-8 (at byte 0)"),
        (
            &long,
            "config.json: is 50000000 bytes long, the limit is 16777216",
        ),
        (
            b"{",
            "config.json: line 1, column 1: EOF while parsing an object",
        ),
        (
            b"{\"a\": 1,\n\n \"b\" 2}",
            "config.json: line 3, column 6: expected `:`",
        ),
        (
            b"{\"a\": 1}}",
            "config.json: line 1, column 9: trailing characters",
        ),
        (
            b"{'a': 1}",
            "config.json: line 1, column 2: key must be a string",
        ),
        (
            b"{\"a\0\": 1}",
            "config.json: line 1, column 4: control character (\\u0000-\\u001F) found while parsing a string",
        ),
        (
            deep.as_bytes(),
            "config.json: line 1, column 128: nested more than 128 levels deep",
        ),
        (
            nested.as_bytes(),
            "config.json: line 1, column 132: nested more than 128 levels deep",
        ),
        (b"[1, 2]", "config.json: expected an object, found a list"),
    ];
    for (bytes, expected) in table {
        assert_eq!(problems_of(bytes, &request(), &host), [expected]);
    }
}

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
            "process.rlimits[0].type: missing: a required property",
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
            "mounts[2].destination: missing: a required property",
        ),
        (
            "linux/namespaces/1/type",
            json!("pidd"),
            r#"linux.namespaces[1].type: unknown namespace "pidd" (one of: cgroup, ipc, mount, network, pid, time, user, uts)"#,
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
            "hooks.poststart[0].path: missing: a required property",
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
            "linux.timeOffsets: not supported yet",
        ),
        (
            "linux/netDevices",
            json!({"eth0": {}}),
            "linux.netDevices: not supported yet",
        ),
        (
            "linux/intelRdt",
            json!({}),
            "linux.intelRdt: not supported yet",
        ),
        (
            "linux/memoryPolicy",
            json!({"mode": "MPOL_LOCAL"}),
            "linux.memoryPolicy: not supported yet",
        ),
        (
            "linux/personality",
            json!({"domain": "LINUX32"}),
            "linux.personality.domain: not supported yet",
        ),
        (
            "process/scheduler",
            json!({"policy": "SCHED_FIFO", "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"]}),
            "process.scheduler: not supported yet",
        ),
        (
            "process/ioPriority",
            json!({"class": "IOPRIO_CLASS_IDLE"}),
            "process.ioPriority: not supported yet",
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
            r#"process.apparmorProfile: "docker-default" needs AppArmor, which is not active on this host"#,
        ),
        (
            "process/selinuxLabel",
            json!("system_u:x"),
            r#"process.selinuxLabel: "system_u:x" needs SELinux, which is not active on this host"#,
        ),
        (
            "hooks",
            json!({"prestart": [{"path": "bin/x"}]}),
            r#"hooks.prestart[0].path: expected an absolute path, found "bin/x""#,
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

/// The template with a user namespace and these maps.
fn with_maps(uids: Value, gids: Value) -> Value {
    let mut config = with("linux/uidMappings", uids);
    set(&mut config, "linux/gidMappings", gids);
    set(&mut config, "linux/namespaces/6", json!({"type": "user"}));
    config
}

fn map(container: u32, host: u32, size: u32) -> Value {
    json!({"containerID": container, "hostID": host, "size": size})
}

#[test]
fn user_namespaces() {
    let fine = || json!([map(0, 100_000, 65_536)]);
    check(&with_maps(fine(), fine()), &[]);
    let many: Vec<Value> = (0..341).map(|n| map(n, n + 1000, 1)).collect();
    for (uids, gids, expected) in [
        (
            json!([]),
            fine(),
            "linux.uidMappings: missing: at least one mapping, because the container has a user namespace",
        ),
        (
            fine(),
            json!([]),
            "linux.gidMappings: missing: at least one mapping, because the container has a user namespace",
        ),
        (
            json!([map(0, 1, 0)]),
            fine(),
            "linux.uidMappings[0].size: expected a size of at least 1, found 0",
        ),
        (
            json!([map(0, 1000, 10), map(9, 2000, 10)]),
            fine(),
            "linux.uidMappings[1].containerID: overlaps linux.uidMappings[0]",
        ),
        (
            fine(),
            json!([map(0, 1000, 10), map(10, 1009, 10)]),
            "linux.gidMappings[1].hostID: overlaps linux.gidMappings[0]",
        ),
        (
            json!([map(0, 4_294_967_000, 1000)]),
            fine(),
            "linux.uidMappings[0].hostID: expected ids up to 4294967294, found 4294967000 with size 1000",
        ),
        (
            json!([map(1, 1000, 10)]),
            fine(),
            "linux.uidMappings: must map id 0 of the container, which builds it",
        ),
        (
            json!(many),
            fine(),
            "linux.uidMappings: expected at most 340 mappings, the kernel's limit, found 341",
        ),
    ] {
        let mut config = with_maps(uids.clone(), gids);
        // An id that is not mapped would be a second problem.
        if uids == json!([map(1, 1000, 10)]) {
            set(&mut config, "process/user/uid", json!(5));
        }
        let text = config.to_string();
        let found = problems_of(text.as_bytes(), &request(), &HostFacts::v2_root());
        assert!(
            found.contains(&expected.to_owned()),
            "{expected}\n{found:#?}"
        );
    }
    let mut config = with_maps(fine(), fine());
    set(&mut config, "process/user/uid", json!(65_536));
    set(
        &mut config,
        "process/user/additionalGids",
        json!([5, 70_000]),
    );
    check(
        &config,
        &[
            "process.user.uid: 65536 is not mapped by linux.uidMappings",
            "process.user.additionalGids[1]: 70000 is not mapped by linux.gidMappings",
        ],
    );
    check(
        &with("linux/uidMappings", fine()),
        &["linux.uidMappings: needs a user namespace in linux.namespaces"],
    );
}

#[test]
fn joined_user_namespaces() {
    let fine = || json!([map(0, 100_000, 65_536)]);
    let mut config = with_maps(fine(), fine());
    set(
        &mut config,
        "linux/namespaces/6/path",
        json!("/proc/42/ns/user"),
    );
    check(&config, &[]);
    set(&mut config, "linux/gidMappings", json!(null));
    check(
        &config,
        &[
            "linux.gidMappings: missing: at least one mapping, because the container has a user namespace",
        ],
    );
    set(&mut config, "linux/uidMappings", json!(null));
    check(&config, &[]);
    let mut config = with_maps(fine(), fine());
    set(
        &mut config,
        "linux/namespaces/0/path",
        json!("/proc/42/ns/pid"),
    );
    check(
        &config,
        &[
            "linux.namespaces[0].path: a pid namespace cannot be joined from a new user namespace, because only its owner may: name the path of the user namespace it belongs to as well",
        ],
    );
}

#[test]
fn names_without_a_uts_namespace() {
    let mut config = with("domainname", json!("example.org"));
    let all = config["linux"]["namespaces"].as_array().unwrap();
    let rest: Vec<Value> = all.iter().filter(|n| n["type"] != "uts").cloned().collect();
    set(&mut config, "linux/namespaces", json!(rest));
    set(
        &mut config,
        "linux/sysctl",
        json!({"kernel.domainname": "x"}),
    );
    check(
        &config,
        &[
            "hostname: needs a uts namespace in linux.namespaces",
            "domainname: needs a uts namespace in linux.namespaces",
            r#"linux.sysctl["kernel.domainname"]: sysctl "kernel.domainname" is not in a separate kernel namespace: it needs a uts namespace in linux.namespaces"#,
        ],
    );
    // The runtime's own namespace by its path is none of the container's.
    set(
        &mut config,
        "linux/namespaces/5",
        json!({"type": "uts", "path": "/proc/self/ns/uts"}),
    );
    set(&mut config, "linux/sysctl", json!(null));
    check(
        &config,
        &[
            "hostname: needs a uts namespace in linux.namespaces",
            "domainname: needs a uts namespace in linux.namespaces",
        ],
    );
}

#[test]
fn terminals() {
    let host = HostFacts::v2_root();
    let mut config = with("process/terminal", json!(true));
    assert_eq!(
        problems_of(config.to_string().as_bytes(), &request(), &host),
        [
            "process.terminal: cannot allocate tty if corten will detach without setting console socket (give --console-socket, or set process.terminal to false)"
        ]
    );
    let socket = Request {
        terminal: TerminalHost::Socket,
        ..request()
    };
    assert_eq!(
        problems_of(config.to_string().as_bytes(), &socket, &host),
        [""; 0]
    );
    set(
        &mut config,
        "process/consoleSize",
        json!({"height": 70_000, "width": 80}),
    );
    assert_eq!(
        problems_of(config.to_string().as_bytes(), &socket, &host),
        ["process.consoleSize.height: expected at most 65535 cells, found 70000"]
    );
    // Ignored without a terminal, as the spec demands.
    set(&mut config, "process/terminal", json!(false));
    assert_eq!(
        problems_of(config.to_string().as_bytes(), &request(), &host),
        [""; 0]
    );
    assert_eq!(
        problems_of(config.to_string().as_bytes(), &socket, &host),
        [
            "--console-socket: cannot use console socket if corten will not detach or allocate tty (set process.terminal to true)"
        ]
    );
}

#[test]
fn without_privilege() {
    let host = HostFacts {
        effective_uid: 1000,
        effective_gid: 1000,
        effective_capabilities: 0,
        ..HostFacts::v2_root()
    };
    let mut config: Value = serde_json::from_str(&plan::template(Some((1000, 1000)))).unwrap();
    set(&mut config, "process/terminal", json!(false));
    let disabled = Request {
        cgroups_disabled: true,
        ..request()
    };
    let problems = |config: &Value| problems_of(config.to_string().as_bytes(), &disabled, &host);
    assert_eq!(problems(&config), [""; 0]);
    set(&mut config, "process/user/additionalGids", json!([0]));
    set(&mut config, "linux/uidMappings/0/hostID", json!(1001));
    assert_eq!(
        problems(&config),
        [
            "process.user.additionalGids: setgroups is not allowed in an unprivileged user namespace",
            "linux.uidMappings: an unprivileged runtime can map only its own id: one mapping with hostID 1000 and size 1",
        ]
    );
    let found = problems(&with("linux/resources", json!(null)));
    assert!(found.contains(&r#"linux.namespaces: a user namespace is needed, because the runtime does not have CAP_SYS_ADMIN (add {"type": "user"} with uidMappings and gidMappings, or run as root)"#.to_owned()), "{found:#?}");
}

#[test]
fn labels_on_a_host_that_has_the_module() {
    let host = HostFacts {
        lsm: vec![Lsm::AppArmor],
        ..HostFacts::v2_root()
    };
    let config = with("process/apparmorProfile", json!("docker-default")).to_string();
    assert_eq!(
        problems_of(config.as_bytes(), &request(), &host),
        [r#"process.apparmorProfile: "docker-default": AppArmor is not supported yet"#]
    );
    let config = with("process/apparmorProfile", json!("unconfined")).to_string();
    assert_eq!(problems_of(config.as_bytes(), &request(), &host), [""; 0]);
}

/// Everything that is wrong is said at once, with the numbers of the document,
/// and nothing that only follows from something else.
#[test]
fn many_problems() {
    let mut config = with("ociVersion", json!("9.0.0"));
    set(&mut config, "process/args", json!([1, "x", 2]));
    set(&mut config, "process/cwd", json!(1));
    set(&mut config, "process/oomScoreAdj", json!(-2000));
    set(&mut config, "mounts/1", json!({"type": "tmpfs"}));
    set(&mut config, "mounts/3/options", json!(true));
    set(&mut config, "linux/resources/memory/limit", json!("a"));
    set(&mut config, "linux/resources/memory/swap", json!("b"));
    set(&mut config, "linux/sysctl", json!({"vm.x": "1"}));
    check(
        &config,
        &[
            r#"ociVersion: expected a version of the runtime spec from 1.0.0 to 1.3.x, found "9.0.0""#,
            "process.args[0]: expected a string, found 1",
            "process.args[2]: expected a string, found 2",
            "process.cwd: expected a string, found 1",
            "process.oomScoreAdj: expected an integer from -1000 to 1000, found -2000",
            "mounts[1].destination: missing: a required property",
            "mounts[3].options: expected a list, found true",
            r#"linux.resources.memory.limit: expected an integer number of bytes, found the string "a""#,
            r#"linux.resources.memory.swap: expected an integer number of bytes, found the string "b""#,
            r#"linux.sysctl["vm.x"]: sysctl "vm.x" is not in a separate kernel namespace"#,
        ],
    );
}
