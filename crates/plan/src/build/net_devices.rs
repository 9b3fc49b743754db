//! `linux.netDevices` -> devices of the host that become the container's.

use super::Context;
use crate::error::quote;
use crate::{ConfigPath, InitOp, NamespaceKind, ParentOp, PlanError, Problem};

/// `IFNAMSIZ` less its NUL.
const LONGEST_NAME: usize = 15;
/// CAP_NET_ADMIN.
const CAP_NET_ADMIN: u32 = 12;

/// Adds a step for each device, and one in which init waits for them: its sysctls
/// may be about them.
pub(crate) fn build(context: &mut Context<'_>) {
    let linux = context.linux();
    let devices = linux.and_then(|l| l.net_devices().as_ref());
    let Some(devices) = devices.filter(|d| !d.is_empty()) else {
        return;
    };
    let at = ConfigPath::new("linux.netDevices");
    if !context.has(NamespaceKind::Network) {
        let text = "needs a network namespace in linux.namespaces that is not the host's";
        context.problem(PlanError::conflict(at, text));
        return;
    }
    if context.host.effective_capabilities >> CAP_NET_ADMIN & 1 == 0 {
        let text = "moving a network device needs CAP_NET_ADMIN, which the runtime does not have";
        context.problem(PlanError::unsupported(at, text));
        return;
    }
    let mut devices: Vec<_> = devices.iter().collect();
    devices.sort_by_key(|(name, _)| *name);
    let mut taken: Vec<(String, ConfigPath)> = Vec::new();
    for (name, device) in devices {
        let from = at.key(name);
        let renamed = device.name().as_deref().filter(|name| !name.is_empty());
        let field = renamed.map_or_else(|| from.clone(), |_| from.field("name"));
        let inside = renamed.unwrap_or(name);
        if !check_name(context, name, &from, false)
            || (renamed.is_some() && !check_name(context, inside, &field, true))
        {
            continue;
        }
        if let Some((_, first)) = taken.iter().find(|(other, _)| other == inside)
            && !inside.contains("%d")
        {
            let problem = Problem::Duplicate {
                what: "name of a network device",
                found: inside.to_owned(),
                first: first.clone(),
            };
            context.problem(PlanError::new(field, problem));
            continue;
        }
        taken.push((inside.to_owned(), field));
        let op = ParentOp::MoveNetDevice {
            name: name.clone(),
            inside: inside.to_owned(),
        };
        context.parent(from, op);
    }
    context.init(at, InitOp::AwaitNetDevices);
}

/// What the kernel takes for a name (`dev_valid_name`); one `%d` is a number that it
/// chooses.
fn check_name(context: &mut Context<'_>, name: &str, at: &ConfigPath, template: bool) -> bool {
    let plain = if template {
        name.replacen("%d", "0", 1)
    } else {
        name.to_owned()
    };
    let is_odd = |c: char| matches!(c, '/' | ':' | '%') || c.is_whitespace() || c.is_control();
    let valid =
        !matches!(name, "" | "." | "..") && name.len() <= LONGEST_NAME && !plain.contains(is_odd);
    if !valid {
        let form = if template {
            ", one %d in it at most"
        } else {
            ""
        };
        let wanted =
            format!("a name of 1 to {LONGEST_NAME} bytes without slash, colon and blank{form}");
        context.problem(PlanError::invalid(at.clone(), wanted, quote(name)));
    }
    valid
}

#[cfg(test)]
mod tests {
    use super::build;
    use crate::build::fixture::{Built, Fixture};
    use crate::{InitOp, NamespaceKind, ParentOp};
    use serde_json::{Value, json};

    fn built(devices: &Value) -> Built {
        let fixture = Fixture::linux(json!({"netDevices": devices}));
        fixture.with(NamespaceKind::Network).build(build)
    }

    #[test]
    fn devices_are_moved_in_order_and_waited_for() {
        let built = built(&json!({"eth1": {"name": "net%d"}, "eth0": {}}));
        assert_eq!(built.problems, Vec::<String>::new());
        let step = |key: &str, name: &str, inside: &str| {
            let op = ParentOp::MoveNetDevice {
                name: name.to_owned(),
                inside: inside.to_owned(),
            };
            (format!("linux.netDevices[\"{key}\"]"), op)
        };
        let wanted = [step("eth0", "eth0", "eth0"), step("eth1", "eth1", "net%d")];
        assert_eq!(built.parent, wanted);
        assert_eq!(built.init[0].1, InitOp::AwaitNetDevices);
    }

    #[test]
    fn names_are_those_of_the_kernel() {
        for (devices, start) in [
            (
                json!({"a/b": {}}),
                "linux.netDevices[\"a/b\"]: expected a name",
            ),
            (
                json!({"eth%d": {}}),
                "linux.netDevices[\"eth%d\"]: expected a name",
            ),
            (
                json!({"e": {"name": "a b"}}),
                "linux.netDevices[\"e\"].name: expected a name",
            ),
            (
                json!({"e": {"name": "a:1"}}),
                "linux.netDevices[\"e\"].name: expected a name",
            ),
            (
                json!({"e": {"name": ".."}}),
                "linux.netDevices[\"e\"].name: expected a name",
            ),
            (
                json!({"e": {"name": "%d%d"}}),
                "linux.netDevices[\"e\"].name: expected a name",
            ),
            (
                json!({"e": {"name": "%s"}}),
                "linux.netDevices[\"e\"].name: expected a name",
            ),
            (
                json!({"e": {"name": "sixteen-letters!"}}),
                "linux.netDevices[\"e\"].name: expected a name",
            ),
            (
                json!({"a": {"name": "b"}, "b": {}}),
                "linux.netDevices[\"b\"]: ",
            ),
        ] {
            let problems = built(&devices).problems;
            assert_eq!(problems.len(), 1, "{devices}: {problems:?}");
            assert!(problems[0].starts_with(start), "{problems:?}");
        }
    }

    #[test]
    fn the_hosts_network_gets_none() {
        let fixture = Fixture::linux(json!({"netDevices": {"eth0": {}}}));
        let problems = fixture.build(build).problems;
        assert!(problems[0].starts_with("linux.netDevices: needs a network namespace"));
    }
}
