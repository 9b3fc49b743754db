use super::*;
use crate::{HostFacts, Request, TerminalHost, build, spec, template};
use serde_json::{Value, json};

/// A plan, or what is wrong, as `corten explain` prints it.
fn explain(config: &Value, host: &HostFacts) -> String {
    let mut request = Request::create("c1", "/srv/bundle");
    if config["process"]["terminal"] == true {
        request.terminal = TerminalHost::Socket;
    }
    let loaded = spec::load(config.to_string().as_bytes()).expect("a configuration that decodes");
    match build(&loaded, &request, host) {
        Ok(plan) => text(&plan),
        Err(errors) => problems(&errors),
    }
}

fn default_config() -> Value {
    serde_json::from_str(&template(None)).expect("the template is JSON")
}

#[test]
fn the_template() {
    insta::assert_snapshot!(explain(&default_config(), &HostFacts::v2_root()));
}

/// A bit of everything, on a hybrid host.
fn rich_config() -> Value {
    let hook = json!([{"path": "/usr/bin/hook", "args": ["hook", "a b", "-x"], "timeout": 5}]);
    json!({
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "web",
        "process": {
            "args": ["sh", "-c", "echo hi"],
            "cwd": "/work",
            "user": {"uid": 1000, "gid": 1000, "umask": 18, "additionalGids": [5, 6]},
            "capabilities": {
                "bounding": ["CAP_CHOWN", "CAP_KILL"],
                "permitted": ["CAP_KILL"],
                "effective": ["CAP_KILL"],
                "inheritable": ["CAP_KILL"],
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}],
            "noNewPrivileges": true,
            "oomScoreAdj": 100,
        },
        "mounts": rich_mounts(),
        "hooks": {
            "createRuntime": hook, "createContainer": hook, "startContainer": hook,
            "poststart": hook, "poststop": hook,
        },
        "linux": {
            "namespaces": [
                {"type": "mount"}, {"type": "pid"}, {"type": "user"}, {"type": "uts"},
                {"type": "network", "path": "/run/netns/web"},
            ],
            "uidMappings": [{"containerID": 0, "hostID": 100_000, "size": 65536}],
            "gidMappings": [{"containerID": 0, "hostID": 100_000, "size": 65536}],
            "rootfsPropagation": "private",
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
            "devices": [
                {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229},
                {"path": "/run/fifo", "type": "p", "fileMode": 384, "uid": 7},
            ],
            "resources": {"memory": {"limit": 536_870_912}, "pids": {"limit": 100}},
        },
    })
}

fn rich_mounts() -> Value {
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["ro", "nosuid"]},
        {"destination": "data", "source": "data", "options": ["rbind", "rro", "rslave", "sync"]},
        {"destination": "/tmp", "type": "tmpfs", "options": ["tmpcopyup", "silent"]},
        {"destination": "/etc/link", "source": "/l",
            "options": ["bind", "copy-symlink", "src-nofollow", "rw", "noatime"]},
        {"destination": "/tmp", "options": ["remount", "noexec", "size=1m"]},
    ])
}

#[test]
fn a_bit_of_everything() {
    insta::assert_snapshot!(explain(&rich_config(), &HostFacts::hybrid_root()));
}

#[test]
fn joined_namespaces() {
    let mut config = default_config();
    config["linux"]["namespaces"] = json!([
        {"type": "mount"},
        {"type": "pid", "path": "/proc/7/ns/pid"},
        {"type": "user", "path": "/proc/7/ns/user"},
        {"type": "ipc", "path": "/proc/7/ns/ipc"},
    ]);
    config["hostname"] = Value::Null;
    insta::assert_snapshot!(explain(&config, &HostFacts::v2_root()));
}

#[test]
fn all_problems_one_a_line() {
    let mut config = rich_config();
    config["mounts"][3]["destination"] = json!("/proc/\u{202e}sys");
    config["mounts"][1]["options"] = json!(["idmap"]);
    config["linux"]["rootfsPropagation"] = json!("all\nbad");
    config["linux"]["maskedPaths"] = json!(["kcore"]);
    insta::assert_snapshot!(explain(&config, &HostFacts::v2_root()));
}

#[test]
fn nothing_of_a_configuration_reaches_the_terminal_as_it_is() {
    let evil = "\u{1b}[2J\nInside\r\u{202e}\u{7f}";
    let mut config = default_config();
    config["hostname"] = json!("x");
    config["process"]["args"] = json!(["sh", evil]);
    config["mounts"][1]["options"] = json!([format!("size={evil}")]);
    config["linux"]["maskedPaths"] = json!([format!("/a{evil}")]);
    let text = explain(&config, &HostFacts::v2_root());
    assert!(text.contains("size=\\u{1b}[2J\\nInside"), "{text}");
    let is_harmless = |char: char| char == '\n' || !char.is_control() && char != '\u{202e}';
    assert!(text.chars().all(is_harmless));
}

#[test]
fn every_row_names_its_property_or_has_none() {
    let text = explain(&rich_config(), &HostFacts::hybrid_root());
    for line in text.lines().filter(|line| line.starts_with("  ")) {
        assert!(!line.trim_end().ends_with("<-"), "{line}");
        assert_eq!(line, line.trim_end());
    }
    for from in [
        "mounts[3]",
        "linux.maskedPaths[0]",
        "hooks.poststop[0]",
        "process.rlimits[0]",
    ] {
        assert!(text.contains(&format!("<- {from}\n")), "{from}");
    }
}

#[test]
fn json_is_the_plan() {
    let request = Request::create("c1", "/b");
    let mut config = default_config();
    config["process"]["terminal"] = json!(false);
    let loaded = spec::load(config.to_string().as_bytes()).expect("it decodes");
    let plan = build(&loaded, &request, &HostFacts::v2_root()).expect("it is fine");
    let back: Plan = serde_json::from_value(json(&plan)).expect("it comes back");
    assert_eq!(back, plan);
}

/// A plan as a story.
fn tell(config: &Value, host: &HostFacts) -> String {
    let mut request = Request::create("c1", "/srv/bundle");
    request.terminal = TerminalHost::Foreground;
    let loaded = spec::load(config.to_string().as_bytes()).expect("a configuration that decodes");
    story(&build(&loaded, &request, host).expect("a plan"))
}

#[test]
fn the_story_of_the_template() {
    insta::assert_snapshot!(tell(&default_config(), &HostFacts::v2_root()));
}

#[test]
fn the_story_of_a_bit_of_everything() {
    insta::assert_snapshot!(tell(&rich_config(), &HostFacts::hybrid_root()));
}

#[test]
fn walls_that_are_taken_down_are_named() {
    let wishes = crate::Wishes {
        privileged: true,
        own_network: Some(false),
        memory: Some("512M".to_owned()),
        cpus: Some("0.5".to_owned()),
        mounts: ["/:/host", "/etc:/e:ro", "/run/docker.sock:/run/docker.sock"]
            .map(str::to_owned)
            .to_vec(),
        ..crate::Wishes::default()
    };
    let config = crate::compose(None, &wishes).expect("a configuration");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    insta::assert_snapshot!(tell(&config, &HostFacts::v2_root()));
}
