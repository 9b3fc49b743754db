//! A group of resctrl and its schemata, Documentation/arch/x86/resctrl.rst of the kernel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `linux.intelRdt`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResctrlGroup {
    /// Where resctrl is mounted.
    pub root: String,
    /// Absolute path of the class of service; made if it is not there.
    pub directory: String,
    /// An error if it is not there.
    pub must_exist: bool,
    /// Lines for its file `schemata`; a class that is there must have them already.
    pub schemata: Vec<String>,
    /// Absolute path of a monitoring group to be made in it.
    pub monitor: Option<String>,
}

/// Resource -> domain -> value: `L3` -> `0` -> `ff`.
type Schemata<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>;

impl ResctrlGroup {
    /// Resource, and value for each domain, of one line of a `schemata` file.
    pub fn parse_line(line: &str) -> Option<(&str, Vec<(&str, &str)>)> {
        let (resource, domains) = line.trim().split_once(':')?;
        if resource.is_empty() || line.contains(['\n', '\0']) {
            return None;
        }
        let mut found = Vec::new();
        for domain in domains.split(';') {
            let (id, value) = domain.split_once('=')?;
            let (id, value) = (id.trim(), value.trim());
            if id.is_empty() || value.is_empty() {
                return None;
            }
            found.push((id, value));
        }
        Some((resource.trim(), found))
    }

    /// What a class that is there has otherwise than the configuration, as `L3:0 is ff,
    /// wanted f0`. Domains that the configuration does not name may be anything.
    pub fn difference(&self, now: &str) -> Option<String> {
        let now = Self::parse(now.lines());
        let wanted = Self::parse(self.schemata.iter().map(String::as_str));
        for (resource, domains) in &wanted {
            for (domain, wanted) in domains {
                let found = now.get(resource).and_then(|domains| domains.get(domain));
                match found {
                    None => return Some(format!("it has no {resource}:{domain}")),
                    // The kernel shows masks with leading zeros.
                    Some(found) if canonical(found) == canonical(wanted) => {}
                    Some(found) => {
                        return Some(format!("{resource}:{domain} is {found}, wanted {wanted}"));
                    }
                }
            }
        }
        None
    }

    fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Schemata<'a> {
        let mut all = Schemata::new();
        for (resource, domains) in lines.filter_map(Self::parse_line) {
            all.entry(resource).or_default().extend(domains);
        }
        all
    }
}

fn canonical(value: &str) -> String {
    let value = value.trim_start_matches("0x").trim_start_matches('0');
    value.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::ResctrlGroup;

    fn group(schemata: &[&str]) -> ResctrlGroup {
        ResctrlGroup {
            root: "/r".to_owned(),
            directory: "/r/x".to_owned(),
            must_exist: false,
            schemata: schemata.iter().map(|line| (*line).to_owned()).collect(),
            monitor: None,
        }
    }

    #[test]
    fn a_class_is_compared_by_what_is_asked_for() {
        let now = "    MB:0= 50;1=100\n    L3:0=00ff;1=0fff\n";
        for same in [&["L3:0=ff"][..], &["L3:0=FF;1=0x0fff", "MB:0=50"], &[]] {
            assert_eq!(group(same).difference(now), None, "{same:?}");
        }
        // What is written last counts.
        assert_eq!(group(&["L3:0=f", "L3:0=ff"]).difference(now), None);
        let found = group(&["L3:0=ff;1=f"]).difference(now);
        assert_eq!(found.as_deref(), Some("L3:1 is 0fff, wanted f"));
        let found = group(&["L2:0=1"]).difference(now);
        assert_eq!(found.as_deref(), Some("it has no L2:0"));
    }

    #[test]
    fn lines() {
        let (resource, domains) = ResctrlGroup::parse_line(" L3CODE:0=f;2=ff").expect("a line");
        assert_eq!(resource, "L3CODE");
        assert_eq!(domains, [("0", "f"), ("2", "ff")]);
        for bad in [
            "",
            "L3",
            "L3:",
            ":0=1",
            "L3:0",
            "L3:=1",
            "L3:0=",
            "L3:0=1;",
            "L3:0=1\nMB:0=1",
        ] {
            assert_eq!(ResctrlGroup::parse_line(bad), None, "{bad:?}");
        }
    }
}
