//! A `config.json` from options, for people who want a container and no JSON.
//!
//! Every option changes the template in one place; what can be wrong with a value
//! beyond its form is found by `build`, as in any other configuration.

use serde_json::{Value, json};

use super::{template, tidy};
use crate::build::capabilities::CAPABILITIES;
use crate::error::quote;
use crate::update::bytes;
use crate::{ConfigPath, Errors, PlanError};

/// What the container is to be, option by option as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// `--rootfs`
    pub rootfs: Option<String>,
    /// `--args`
    pub args: Vec<String>,
    /// `--env NAME=VALUE`
    pub env: Vec<String>,
    /// `--cwd`
    pub cwd: Option<String>,
    /// `--hostname`
    pub hostname: Option<String>,
    /// `--memory 512M`
    pub memory: Option<String>,
    /// `--cpus 0.5`
    pub cpus: Option<String>,
    /// `--pids`
    pub pids: Option<u32>,
    /// `--mount SOURCE:TARGET[:OPTIONS]`
    pub mounts: Vec<String>,
    /// `--user UID[:GID]`
    pub user: Option<String>,
    /// `--cap-add`, with or without `CAP_`, or `ALL`
    pub cap_add: Vec<String>,
    /// `--cap-drop`, the same
    pub cap_drop: Vec<String>,
    /// `--privileged`
    pub privileged: bool,
    /// `--network host` is false, `--network none` is true.
    pub own_network: Option<bool>,
    /// `--read-only`
    pub read_only: bool,
    /// `--tty`
    pub tty: bool,
}

/// The template with all wishes in it; without any it is [`template`] itself.
///
/// # Errors
/// All options whose text cannot be read.
pub fn compose(own: Option<(u32, u32)>, wishes: &Wishes) -> Result<String, Errors> {
    let plain = template(own);
    if *wishes == Wishes::default() {
        return Ok(plain);
    }
    let mut problems = Vec::new();
    // The templates are ours, and a test reads them.
    let mut config: Value = serde_json::from_str(&plain).unwrap_or_default();
    set_root(&mut config, wishes);
    set_process(&mut config, wishes, &mut problems);
    set_capabilities(&mut config, wishes, &mut problems);
    set_limits(&mut config, wishes, &mut problems);
    if let Some(own) = wishes.own_network {
        set_network(&mut config, own);
    }
    if wishes.privileged {
        set_privileged(&mut config);
    }
    for (number, text) in wishes.mounts.iter().enumerate() {
        let mount = read_mount(
            text,
            ConfigPath::flag("--mount").index(number),
            &mut problems,
        );
        push(&mut config["mounts"], mount);
    }
    Errors::check(problems, tidy::write(&config))
}

fn push(list: &mut Value, value: Value) {
    match list {
        Value::Array(list) => list.push(value),
        other => *other = json!([value]),
    }
}

fn set_root(config: &mut Value, wishes: &Wishes) {
    if let Some(path) = &wishes.rootfs {
        config["root"]["path"] = json!(path);
    }
    config["root"]["readonly"] = json!(wishes.read_only);
    if let Some(name) = &wishes.hostname {
        config["hostname"] = json!(name);
    }
}

fn set_process(config: &mut Value, wishes: &Wishes, problems: &mut Vec<PlanError>) {
    let process = &mut config["process"];
    process["terminal"] = json!(wishes.tty);
    if !wishes.args.is_empty() {
        process["args"] = json!(wishes.args);
    }
    if let Some(cwd) = &wishes.cwd {
        process["cwd"] = json!(cwd);
    }
    for (number, variable) in wishes.env.iter().enumerate() {
        let Some((name, _)) = variable
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
        else {
            let from = ConfigPath::flag("--env").index(number);
            problems.push(PlanError::invalid(from, "NAME=VALUE", quote(variable)));
            continue;
        };
        if let Value::Array(list) = &mut process["env"] {
            let start = format!("{name}=");
            list.retain(|old| !old.as_str().is_some_and(|old| old.starts_with(&start)));
        }
        push(&mut process["env"], json!(variable));
    }
    if let Some(text) = &wishes.user {
        match read_user(text) {
            Some((uid, gid)) => process["user"] = json!({ "uid": uid, "gid": gid }),
            None => {
                let wanted = "UID or UID:GID, two numbers (names are the image's business)";
                let from = ConfigPath::flag("--user");
                problems.push(PlanError::invalid(from, wanted, quote(text)));
            }
        }
    }
}

fn read_user(text: &str) -> Option<(u32, u32)> {
    match text.split_once(':') {
        Some((uid, gid)) => Some((uid.parse().ok()?, gid.parse().ok()?)),
        None => Some((text.parse().ok()?, 0)),
    }
}

/// Added ones come after dropped ones: `--cap-drop ALL --cap-add KILL` leaves one.
fn set_capabilities(config: &mut Value, wishes: &Wishes, problems: &mut Vec<PlanError>) {
    let mut names: Vec<String> = match &config["process"]["capabilities"]["bounding"] {
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    let everything = || CAPABILITIES.iter().map(|(_, name)| (*name).to_owned());
    if wishes.privileged {
        names = everything().collect();
    }
    for (number, text) in wishes.cap_drop.iter().enumerate() {
        match capability(text) {
            Some("ALL") => names.clear(),
            Some(dropped) => names.retain(|name| name != dropped),
            None => problems.push(unknown_capability("--cap-drop", number, text)),
        }
    }
    for (number, text) in wishes.cap_add.iter().enumerate() {
        match capability(text) {
            Some("ALL") => names = everything().collect(),
            Some(added) if names.iter().any(|name| name == added) => {}
            Some(added) => names.push(added.to_owned()),
            None => problems.push(unknown_capability("--cap-add", number, text)),
        }
    }
    for set in ["bounding", "effective", "permitted"] {
        config["process"]["capabilities"][set] = json!(names);
    }
}

/// The name as a configuration has it, or `ALL`.
fn capability(text: &str) -> Option<&'static str> {
    let upper = text.to_ascii_uppercase();
    if upper == "ALL" {
        return Some("ALL");
    }
    let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
    let mut names = CAPABILITIES.iter().map(|(_, name)| *name);
    names.find(|name| name.strip_prefix("CAP_") == Some(short))
}

fn unknown_capability(flag: &'static str, number: usize, text: &str) -> PlanError {
    let wanted = "a capability as in capabilities(7), like NET_ADMIN, or ALL";
    PlanError::invalid(ConfigPath::flag(flag).index(number), wanted, quote(text))
}

/// Microseconds of the period that quotas are given for, the kernel's default.
const PERIOD: u64 = 100_000;

fn set_limits(config: &mut Value, wishes: &Wishes, problems: &mut Vec<PlanError>) {
    let resources = &mut config["linux"]["resources"];
    if let Some(text) = &wishes.memory {
        match bytes(text).filter(|bytes| *bytes > 0) {
            Some(bytes) => resources["memory"]["limit"] = json!(bytes),
            None => {
                let wanted = "a number of bytes above zero (units: k, m, g, t, p)";
                let from = ConfigPath::flag("--memory");
                problems.push(PlanError::invalid(from, wanted, quote(text)));
            }
        }
    }
    if let Some(text) = &wishes.cpus {
        match quota(text) {
            Some(quota) => {
                resources["cpu"] = json!({ "quota": quota, "period": PERIOD });
            }
            None => {
                let wanted = "a number of processors from 0.01 on, like 0.5 or 2";
                let from = ConfigPath::flag("--cpus");
                problems.push(PlanError::invalid(from, wanted, quote(text)));
            }
        }
    }
    if let Some(pids) = wishes.pids {
        resources["pids"]["limit"] = json!(pids);
    }
}

/// Microseconds in each period; the kernel wants a thousand at least.
fn quota(cpus: &str) -> Option<u64> {
    let (whole, fraction) = cpus.split_once('.').unwrap_or((cpus, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction: u64 = format!("{fraction:0<5.5}").parse().ok()?;
    let quota = whole.checked_mul(PERIOD)?.checked_add(fraction)?;
    (1_000..=1 << 40).contains(&quota).then_some(quota)
}

fn set_network(config: &mut Value, own: bool) {
    let Value::Array(namespaces) = &mut config["linux"]["namespaces"] else {
        return;
    };
    namespaces.retain(|namespace| namespace["type"] != "network");
    if own {
        namespaces.push(json!({ "type": "network" }));
    }
}

/// What engines mean by the word: every capability (above), every device, no mask.
fn set_privileged(config: &mut Value) {
    let linux = &mut config["linux"];
    linux["maskedPaths"] = json!([]);
    linux["readonlyPaths"] = json!([]);
    linux["resources"]["devices"] = json!([{ "allow": true, "access": "rwm" }]);
    config["process"]["noNewPrivileges"] = json!(false);
    if let Value::Array(mounts) = &mut config["mounts"] {
        for mount in mounts {
            let is_system = ["/sys", "/sys/fs/cgroup"].map(Value::from);
            if is_system.contains(&mount["destination"])
                && let Value::Array(options) = &mut mount["options"]
            {
                options.retain(|option| option != "ro");
            }
        }
    }
}

/// `/host/dir:/in/container:ro`, `tmpfs:/scratch:size=64m`
fn read_mount(text: &str, from: ConfigPath, problems: &mut Vec<PlanError>) -> Value {
    let mut parts = text.splitn(3, ':');
    let (source, target) = (parts.next().unwrap_or_default(), parts.next());
    let options = parts.next().unwrap_or_default();
    let Some(target) = target.filter(|target| target.starts_with('/') && !source.is_empty()) else {
        let wanted = "SOURCE:TARGET or SOURCE:TARGET:OPTIONS, with an absolute path as TARGET";
        problems.push(PlanError::invalid(from, wanted, quote(text)));
        return Value::Null;
    };
    let mut options: Vec<&str> = options.split(',').filter(|word| !word.is_empty()).collect();
    if source == "tmpfs" {
        options.splice(0..0, ["nosuid", "nodev"]);
        return json!({ "destination": target, "type": "tmpfs", "source": "tmpfs", "options": options });
    }
    if !options.contains(&"bind") && !options.contains(&"rbind") {
        options.insert(0, "rbind");
    }
    json!({ "destination": target, "type": "bind", "source": source, "options": options })
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
