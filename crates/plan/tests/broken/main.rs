//! Broken configurations, each with the one line that a user will read.

// A table is as long as it is; a test that cannot go on panics.
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

mod properties;
mod types;
mod user_namespaces;

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
            "config.json: line 1, column 1: the text ends inside an object",
        ),
        (
            b"{\"a\": 1,\n\n \"b\" 2}",
            "config.json: line 3, column 6: expected `:`",
        ),
        (
            b"{\"a\": 1}}",
            "config.json: line 1, column 9: expected nothing after the end of the document",
        ),
        (
            b"{'a': 1}",
            "config.json: line 1, column 2: expected a property's name in double quotes",
        ),
        (
            b"{\"a\0\": 1}",
            "config.json: line 1, column 4: a control character inside a string, which JSON writes as \\u0000 to \\u001f",
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

/// No value makes an error line long, wherever it stands.
#[test]
fn long_values_are_cut() {
    let long = "x".repeat(5000);
    for (path, value) in [
        ("ociVersion", json!(long)),
        ("process/cwd", json!(long)),
        ("process/env/1", json!(long)),
        ("process/rlimits/0/type", json!(long)),
        ("process/args", json!(long)),
        ("process/selinuxLabel", json!(long)),
        ("hooks", json!({"prestart": [{"path": long}]})),
        ("mounts/1/destination", json!(format!("/proc/{long}"))),
        ("mounts/1/type", json!(format!("\0{long}"))),
        ("linux/namespaces/1/type", json!(long)),
        ("linux/namespaces/1/path", json!(long)),
        ("linux/sysctl", json!({ &long: "1" })),
        ("linux/sysctl", json!({ format!("net.{long}"): "" })),
        ("linux/devices", json!([{"path": long, "type": "p"}])),
        ("linux/maskedPaths", json!([long])),
        ("linux/rootfsPropagation", json!(long)),
        ("linux/cgroupsPath", json!(format!("/../{long}"))),
        ("linux/resources/cpu/cpus", json!(long)),
        ("linux/resources/unified", json!({ &long: "1" })),
        ("linux/resources/rdma", json!({ format!("a b{long}"): {} })),
        ("linux/seccomp", json!({"defaultAction": long})),
        ("annotations", json!({ &long: 1 })),
    ] {
        let config = with(path, value).to_string();
        let found = problems_of(config.as_bytes(), &request(), &HostFacts::v2_root());
        assert!(!found.is_empty(), "{path}");
        for line in found {
            assert!(line.len() < 600 && line.starts_with(&path[..4]), "{line}");
            assert!(!line.contains(&"x".repeat(129)), "{line}");
        }
    }
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
        ["process.user.additionalGids: setgroups is not allowed in an unprivileged user namespace",]
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
    for profile in ["docker-default", "unconfined", ""] {
        let config = with("process/apparmorProfile", json!(profile)).to_string();
        assert_eq!(problems_of(config.as_bytes(), &request(), &host), [""; 0]);
    }
    let config = with("process/apparmorProfile", json!("a\nb")).to_string();
    assert_eq!(
        problems_of(config.as_bytes(), &request(), &host),
        [
            r#"process.apparmorProfile: expected the name of a profile, without line ends and NUL bytes, found "a\nb""#
        ]
    );
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
            "mounts[1].destination: missing: the spec requires it",
            "mounts[3].options: expected a list, found true",
            r#"linux.resources.memory.limit: expected an integer number of bytes, found the string "a""#,
            r#"linux.resources.memory.swap: expected an integer number of bytes, found the string "b""#,
            r#"linux.sysctl["vm.x"]: sysctl "vm.x" is not in a separate kernel namespace"#,
        ],
    );
}
