//! Which tests the caller wants, and which failures it knows already.

use std::collections::BTreeMap;
use std::process::Command;

use crate::report::Outcome;
use crate::test::{Level, Test};

/// `--level` and `--known`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    levels: Option<Vec<Level>>,
    /// `file::test` and why it fails, of this runtime.
    known: BTreeMap<String, String>,
}

impl Wishes {
    /// Takes both options out of the arguments; what is left is for libtest-mimic. The
    /// file of known failures has a table for each runtime, by the first word of its
    /// `--version`.
    ///
    /// # Errors
    /// What is wrong with their values, in one line.
    pub fn take_from(
        arguments: &mut Vec<String>,
        runtime: impl FnOnce() -> String,
    ) -> Result<Self, String> {
        let levels = take(arguments, "--level", "LEVEL")?;
        let levels = levels.map(|words| words.split(',').map(parse_level).collect());
        let known = match take(arguments, "--known", "KNOWN_FAILURES")? {
            Some(path) => read_known(&path, &name_of(&runtime()))?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            levels: levels.transpose()?,
            known,
        })
    }

    /// Whether the test is of a level that was asked for.
    pub fn include(&self, test: &Test) -> bool {
        let wanted = self.levels.as_ref();
        wanted.is_none_or(|levels| levels.contains(&test.level))
    }

    /// Why the test is known to fail.
    pub fn known(&self, test: &Test) -> Option<&str> {
        self.known.get(&test.name()).map(String::as_str)
    }

    /// The known failures that ran and failed nowhere: their lines can go.
    pub fn outdated<'a>(
        &'a self,
        outcomes: impl Iterator<Item = (&'a Test, &'a Outcome)>,
    ) -> Vec<&'a str> {
        let mut passes: BTreeMap<String, bool> = BTreeMap::new();
        for (test, outcome) in outcomes {
            let passed = passes.entry(test.name()).or_insert(true);
            *passed &= *outcome == Outcome::Passed;
        }
        let names = self.known.keys().map(String::as_str);
        names
            .filter(|name| passes.get(*name) == Some(&true))
            .collect()
    }
}

fn take(
    arguments: &mut Vec<String>,
    option: &str,
    variable: &str,
) -> Result<Option<String>, String> {
    let Some(at) = arguments.iter().position(|word| word == option) else {
        return Ok(std::env::var(variable).ok());
    };
    if at + 1 == arguments.len() {
        return Err(format!("{option} needs a value"));
    }
    Ok(arguments.drain(at..at + 2).next_back())
}

fn parse_level(word: &str) -> Result<Level, String> {
    let all = [Level::Must, Level::Should, Level::May, Level::Convention];
    let found = all
        .into_iter()
        .find(|level| level.name().eq_ignore_ascii_case(word));
    found.ok_or_else(|| format!("no level {word:?}: must, should, may or convention"))
}

/// The first word of `--version`.
fn name_of(runtime: &str) -> String {
    let output = Command::new(runtime).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn read_known(path: &str, runtime: &str) -> Result<BTreeMap<String, String>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    parse_known(&text, runtime).map_err(|error| format!("{path}: {error}"))
}

fn parse_known(text: &str, runtime: &str) -> Result<BTreeMap<String, String>, toml::de::Error> {
    type Tables = BTreeMap<String, BTreeMap<String, String>>;
    let mut tables: Tables = toml::from_str(text)?;
    Ok(tables.remove(runtime).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(function: &'static str, level: Level) -> Test {
        Test {
            module: "suite::mounts",
            function,
            chapter: "",
            level,
            sentence: "",
            line: 1,
            run: |_| {},
        }
    }

    #[test]
    fn levels_are_chosen() {
        let mut words = ["suite", "--level", "MUST,should", "filter"]
            .map(str::to_owned)
            .to_vec();
        let wishes = Wishes::take_from(&mut words, String::new).unwrap();
        assert_eq!(words, ["suite", "filter"]);
        assert!(
            wishes.include(&test("a", Level::Must)) && wishes.include(&test("a", Level::Should))
        );
        assert!(!wishes.include(&test("a", Level::Convention)));
        assert!(Wishes::default().include(&test("a", Level::Convention)));
        let mut words = ["suite", "--level", "shall"].map(str::to_owned).to_vec();
        assert!(Wishes::take_from(&mut words, String::new).is_err());
    }

    #[test]
    fn failures_are_known_by_runtime_until_they_pass() {
        let text = "[other]\n\"mounts::b\" = \"x\"\n[mine]\n\"mounts::a\" = \"because\"\n";
        let wishes = Wishes {
            levels: None,
            known: parse_known(text, "mine").unwrap(),
        };
        let (a, b) = (test("a", Level::Must), test("b", Level::Must));
        assert_eq!(
            (wishes.known(&a), wishes.known(&b)),
            (Some("because"), None)
        );
        let failed = Outcome::Failed(String::new());
        // It fails in one of two views.
        let ran = [
            (&a, &Outcome::Passed),
            (&a, &failed),
            (&b, &Outcome::Passed),
        ];
        assert!(wishes.outdated(ran.into_iter()).is_empty());
        let ran = [(&a, &Outcome::Passed), (&a, &Outcome::Passed)];
        assert_eq!(wishes.outdated(ran.into_iter()), ["mounts::a"]);
    }
}
