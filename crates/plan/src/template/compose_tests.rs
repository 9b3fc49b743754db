use serde_json::{Value, json};

use super::{Wishes, compose, quota};
use crate::{HostFacts, Request, build, spec};

fn composed(wishes: &Wishes) -> Value {
    let text = compose(None, wishes).unwrap();
    let spec = spec::load(text.as_bytes()).unwrap();
    build(&spec, &Request::create("c1", "/b"), &HostFacts::v2_root()).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn no_wish_is_the_template() {
    let text = compose(None, &Wishes::default()).unwrap();
    assert_eq!(text, super::template(None));
}

#[test]
fn limits_and_program() {
    let config = composed(&Wishes {
        memory: Some("512M".into()),
        cpus: Some("1.5".into()),
        pids: Some(7),
        args: words(&["sh", "-c", "true"]),
        env: words(&["PATH=/bin", "A=b=c"]),
        user: Some("1000:100".into()),
        ..Wishes::default()
    });
    let resources = &config["linux"]["resources"];
    assert_eq!(resources["memory"]["limit"], 536_870_912);
    assert_eq!(
        resources["cpu"],
        json!({"quota": 150_000, "period": 100_000})
    );
    assert_eq!(resources["pids"]["limit"], 7);
    let process = &config["process"];
    assert_eq!(process["args"], json!(["sh", "-c", "true"]));
    assert_eq!(process["env"], json!(["TERM=xterm", "PATH=/bin", "A=b=c"]));
    assert_eq!(process["user"], json!({"uid": 1000, "gid": 100}));
    assert_eq!(process["terminal"], false);
    assert_eq!(config["root"]["readonly"], false);
}

#[test]
fn capabilities_are_dropped_first() {
    let config = composed(&Wishes {
        cap_drop: words(&["all"]),
        cap_add: words(&["net_admin", "CAP_KILL", "KILL"]),
        ..Wishes::default()
    });
    let wanted = json!(["CAP_NET_ADMIN", "CAP_KILL"]);
    assert_eq!(config["process"]["capabilities"]["effective"], wanted);
}

#[test]
fn privileged_is_everything() {
    let config = composed(&Wishes {
        privileged: true,
        own_network: Some(false),
        mounts: words(&["/:/host:ro", "tmpfs:/scratch:size=1m"]),
        ..Wishes::default()
    });
    let bounding = config["process"]["capabilities"]["bounding"].as_array();
    assert_eq!(bounding.map(Vec::len), Some(41));
    assert_eq!(config["linux"]["maskedPaths"], json!([]));
    let mounts = config["mounts"].as_array().unwrap();
    let last = &mounts[mounts.len() - 2..];
    assert_eq!(
        last[0],
        json!({"destination": "/host", "type": "bind", "source": "/", "options": ["rbind", "ro"]})
    );
    assert_eq!(last[1]["options"], json!(["nosuid", "nodev", "size=1m"]));
    let namespaces = config["linux"]["namespaces"].to_string();
    assert!(!namespaces.contains("network"), "{namespaces}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let errors = compose(
        None,
        &Wishes {
            memory: Some("lots".into()),
            cpus: Some("0".into()),
            user: Some("root".into()),
            env: words(&["A"]),
            mounts: words(&["/x"]),
            cap_add: words(&["FLY"]),
            ..Wishes::default()
        },
    )
    .unwrap_err();
    let paths: Vec<&str> = errors.all().iter().map(|e| e.path.as_str()).collect();
    let wanted = [
        "--env[0]",
        "--user",
        "--cap-add[0]",
        "--memory",
        "--cpus",
        "--mount[0]",
    ];
    assert_eq!(paths, wanted);
}

#[test]
fn processors_become_microseconds() {
    let table = [
        ("1", 100_000),
        ("0.5", 50_000),
        (".25", 25_000),
        ("2.123456", 212_345),
    ];
    for (text, wanted) in table {
        assert_eq!(quota(text), Some(wanted), "{text}");
    }
    for text in ["", ".", "0", "0.001", "-1", "1e3", "99999999999999999999"] {
        assert_eq!(quota(text), None, "{text}");
    }
}
