//! What is checked and gives no step, or is refused as a whole.

use super::build::Context;
use crate::error::quote;
use crate::{ConfigPath, InitOp, NamespaceKind, PlanError, Problem};

/// The oldest and the newest runtime spec that this program reads, as `features`
/// reports them.
pub(crate) const SPEC_VERSIONS: (&str, &str) = ("1.0.0", "1.3.0");
/// `__NEW_UTS_LEN`
const LONGEST_NAME: usize = 64;

/// `ociVersion`: required, and of a spec that this program knows.
pub(crate) fn check_version(context: &mut Context<'_>) {
    let at = ConfigPath::new("ociVersion");
    let version = context.spec.version();
    if version.is_empty() {
        let wanted = "the version of the runtime spec, as \"1.3.0\"";
        context.problem(PlanError::new(at, Problem::Missing { wanted }));
    } else if !matches!(parse_version(version), Some((1, 0..=3, _))) {
        let wanted = "a version of the runtime spec from 1.0.0 to 1.3.x";
        context.problem(PlanError::invalid(at, wanted, quote(version)));
    }
}

/// `major.minor.patch`, whatever semver allows after it.
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let number = text.split(['-', '+']).next()?;
    let mut parts = number.split('.');
    let mut next = || {
        let part = parts.next()?;
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let canonical = part == "0" || !part.starts_with('0');
        if digits && canonical {
            part.parse().ok()
        } else {
            None
        }
    };
    let version = (next()?, next()?, next()?);
    parts.next().is_none().then_some(version)
}

/// `annotations`: any, but for the empty key.
pub(crate) fn check_annotations(context: &mut Context<'_>) {
    let annotations = context.spec.annotations().as_ref();
    if annotations.is_some_and(|a| a.contains_key("")) {
        let at = ConfigPath::new("annotations").key("");
        let problem = PlanError::invalid(at, "a key that is not empty", "\"\"");
        context.problem(problem);
    }
}

/// `hostname` and `domainname`: without a uts namespace they would be the host's.
pub(crate) fn check_names(context: &mut Context<'_>) {
    check_name(context, "hostname", InitOp::SetHostname);
    check_name(context, "domainname", InitOp::SetDomainname);
}

fn check_name(context: &mut Context<'_>, property: &'static str, op: fn(String) -> InitOp) {
    let name = match property {
        "hostname" => context.spec.hostname(),
        _ => context.spec.domainname(),
    };
    let Some(name) = name.as_ref().filter(|n| !n.is_empty()) else {
        return;
    };
    let at = ConfigPath::new(property);
    if !context.has(NamespaceKind::Uts) {
        let text = "needs a uts namespace in linux.namespaces";
        context.problem(PlanError::conflict(at, text));
    } else if name.len() > LONGEST_NAME {
        let wanted = format!("at most {LONGEST_NAME} bytes");
        let found = format!("{} bytes", name.len());
        context.problem(PlanError::invalid(at, wanted, found));
    } else {
        context.init(at, op(name.clone()));
    }
}

/// CAP_SYS_ADMIN.
const CAP_SYS_ADMIN: u32 = 21;

/// Without privilege nothing can be built outside a user namespace.
pub(crate) fn check_privilege(context: &mut Context<'_>) {
    let held = context.host.effective_capabilities >> CAP_SYS_ADMIN & 1 == 1;
    if !held && !context.has(NamespaceKind::User) {
        let text = "a user namespace is needed, because the runtime does not have CAP_SYS_ADMIN";
        let at = ConfigPath::new("linux.namespaces");
        let hint = "add {\"type\": \"user\"} with uidMappings and gidMappings, or run as root";
        context.problem(PlanError::conflict(at, text).hint(hint));
    }
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions() {
        for (text, version) in [
            ("1.0.0", Some((1, 0, 0))),
            ("1.0.2-dev", Some((1, 0, 2))),
            ("1.3.0+build.5", Some((1, 3, 0))),
            ("1.2.1-rc.1", Some((1, 2, 1))),
            ("1.0", None),
            ("1", None),
            ("", None),
            ("1.0.0.0", None),
            ("v1.0.0", None),
            ("1.01.0", None),
            ("1..0", None),
            ("1.+0.0", None),
        ] {
            assert_eq!(parse_version(text), version, "{text:?}");
        }
    }
}
