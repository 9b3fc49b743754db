//! Device rules as `DevicePolicy` and `DeviceAllow`.

use super::super::devices::{Kind, MKNOD, Pattern, READ, Rule, WRITE};
use super::{Property, PropertyValue};
use crate::ConfigPath;

/// What systemd is told: never less than the rules allow. On v2 its program and ours
/// must both agree, so ours has the last word; on v1 systemd's list is overwritten by
/// ours and comes back only when systemd reloads.
///
/// systemd cannot say "all but", so a rule that denies some devices is left out, and
/// with everything allowed there is no policy at all.
pub(super) fn properties(rules: &[Rule]) -> Vec<Property> {
    let from = ConfigPath::new("linux.resources.devices");
    let property = |name: &str, value| Property {
        name: name.to_owned(),
        value,
        from: from.clone(),
        optional: true,
    };
    let Some(list) = allowed(rules) else {
        let auto = PropertyValue::Text("auto".to_owned());
        return vec![property("DevicePolicy", auto)];
    };
    let strict = PropertyValue::Text("strict".to_owned());
    vec![
        property("DevicePolicy", strict),
        property("DeviceAllow", PropertyValue::Pairs(list)),
    ]
}

/// `None` is everything.
fn allowed(rules: &[Rule]) -> Option<Vec<(String, String)>> {
    // Nothing is allowed before the first rule.
    let mut list = Some(Vec::new());
    for rule in rules {
        match (rule.allow, rule.is_final()) {
            (true, true) => list = None,
            (false, true) => list = Some(Vec::new()),
            (true, false) => {
                if let Some(list) = &mut list {
                    list.extend(entries(rule));
                }
            }
            (false, false) => {}
        }
    }
    list
}

fn entries(rule: &Rule) -> impl Iterator<Item = (String, String)> {
    let both = [Kind::Block, Kind::Char];
    let wanted = rule.pattern.kind;
    let kinds = both
        .into_iter()
        .filter(move |kind| wanted.is_none_or(|one| one == *kind));
    let letters = letters(rule.access);
    let pattern = rule.pattern;
    kinds.map(move |kind| (name(kind, pattern), letters.clone()))
}

/// A group may be named by its number since systemd 240. A minor number of any major
/// one cannot be said.
fn name(kind: Kind, pattern: Pattern) -> String {
    let word = match kind {
        Kind::Block => "block",
        Kind::Char => "char",
    };
    match (pattern.major, pattern.minor) {
        (None, _) => format!("{word}-*"),
        (Some(major), None) => format!("{word}-{major}"),
        (Some(major), Some(minor)) => format!("/dev/{word}/{major}:{minor}"),
    }
}

fn letters(access: u8) -> String {
    [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')]
        .into_iter()
        .filter(|(bit, _)| access & bit != 0)
        .map(|(_, letter)| letter)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(
        allow: bool,
        kind: Option<Kind>,
        major: Option<u32>,
        minor: Option<u32>,
        access: u8,
    ) -> Rule {
        Rule {
            allow,
            pattern: Pattern { kind, major, minor },
            access,
            from: ConfigPath::new("x"),
        }
    }

    #[test]
    fn the_list_is_never_narrower_than_the_rules() {
        let all = READ | WRITE | MKNOD;
        let deny = rule(false, None, None, None, all);
        let allow = rule(true, None, None, None, all);
        let null = rule(true, Some(Kind::Char), Some(1), Some(3), READ | WRITE);
        let pts = rule(true, Some(Kind::Char), Some(136), None, all);
        let any = rule(true, None, None, Some(7), READ);
        let but = rule(false, Some(Kind::Char), Some(5), Some(1), WRITE);
        let list = allowed(&[allow.clone(), deny.clone(), null, pts, any, but.clone()]).unwrap();
        let list: Vec<_> = list.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(
            list,
            [
                ("/dev/char/1:3", "rw"),
                ("char-136", "rwm"),
                ("block-*", "r"),
                ("char-*", "r")
            ]
        );
        assert_eq!(allowed(&[deny, allow, but]), None);
    }
}
