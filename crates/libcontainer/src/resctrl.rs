//! Intel RDT: groups of resctrl, as files and directories below its mount.

use kernel::{Errno, Error, Result, fs};
use plan::ResctrlGroup;

use crate::error::Doing;

/// Makes what is not there and returns it, in the order of making; a class that is
/// there must be what the configuration says.
///
/// # Errors
/// What was made is removed again. `ENOENT` for a class that should have been there,
/// `EEXIST` for one that is another, and those of the kernel with its own words
/// (`info/last_cmd_status`).
pub(crate) fn make(group: &ResctrlGroup) -> Result<Vec<String>> {
    let mut made = Vec::new();
    match fill(group, &mut made) {
        Ok(()) => Ok(made),
        Err(error) => {
            let error = explain(group, error);
            remove(&made);
            Err(error)
        }
    }
}

fn fill(group: &ResctrlGroup, made: &mut Vec<String>) -> Result<()> {
    let directory = &group.directory;
    let is_there = fs::stat_path(directory).is_ok();
    if is_there {
        check(group)?;
    } else if group.must_exist {
        let error = Error::new(Errno::NOENT, format!("stat({directory:?})"));
        return Err(error.with_detail(format!("no class of service at {directory}")));
    } else {
        fs::make_directory(directory, 0o755)?;
        made.push(directory.clone());
        if !group.schemata.is_empty() {
            fs::write_value(&schemata_of(group), &lines_of(group))?;
        }
    }
    if let Some(monitor) = &group.monitor {
        fs::make_directory(monitor, 0o755)?;
        made.push(monitor.clone());
    }
    Ok(())
}

fn schemata_of(group: &ResctrlGroup) -> String {
    format!("{}/schemata", group.directory)
}

fn lines_of(group: &ResctrlGroup) -> String {
    let lines = group.schemata.iter().map(|line| format!("{line}\n"));
    lines.collect()
}

/// Longest `schemata` that is read.
const SCHEMATA_LIMIT: usize = 1 << 16;

/// Other lines in the `schemata` of a class that is there (`update`).
pub(crate) struct SchemaChange {
    file: String,
    before: Vec<u8>,
}

impl SchemaChange {
    /// Writes the lines of `group`.
    ///
    /// # Errors
    /// Those of the kernel, with its own words. The kernel writes line by line: what it
    /// took before the one it refused is taken back.
    pub(crate) fn make(group: &ResctrlGroup) -> crate::error::Result<Self> {
        let file = schemata_of(group);
        let doing = || format!("linux.intelRdt: write {file}");
        let before = fs::read_file(&file, SCHEMATA_LIMIT).doing(doing)?;
        let change = Self {
            file: file.clone(),
            before,
        };
        if let Err(error) = fs::write_value(&file, &lines_of(group)) {
            let error = explain(group, error);
            change.take_back();
            return Err(error).doing(doing);
        }
        Ok(change)
    }

    /// All as it was. There is nobody to tell when that fails.
    pub(crate) fn take_back(&self) {
        let _ = fs::write_value(&self.file, &String::from_utf8_lossy(&self.before));
    }
}

/// "Runtimes MUST compare [...] with the schemata file, and generate an error if
/// doesn't match", config-linux.md: others are in this class.
fn check(group: &ResctrlGroup) -> Result<()> {
    if group.schemata.is_empty() {
        return Ok(());
    }
    let file = schemata_of(group);
    let now = fs::read_file(&file, SCHEMATA_LIMIT)?;
    match group.difference(&String::from_utf8_lossy(&now)) {
        None => Ok(()),
        Some(difference) => {
            let error = Error::new(Errno::EXIST, format!("read({file:?})"));
            Err(error.with_detail(format!(
                "the class exists with another schema: {difference}"
            )))
        }
    }
}

/// The kernel says why it refused a schema.
fn explain(group: &ResctrlGroup, error: Error) -> Error {
    if error.detail().is_some() {
        return error;
    }
    let why = fs::read_file(&format!("{}/info/last_cmd_status", group.root), 4096);
    let why = String::from_utf8_lossy(&why.unwrap_or_default())
        .trim()
        .replace('\n', "; ");
    if why.is_empty() || why == "ok" {
        return error;
    }
    let detail = format!("{}: {why}", error.reason());
    error.with_detail(detail)
}

/// Puts a process, and what it makes from now on, into groups.
///
/// # Errors
/// Those of open(2) and write(2).
pub(crate) fn join(directories: &[String], pid: i32) -> Result<()> {
    directories
        .iter()
        .try_for_each(|one| fs::write_value(&format!("{one}/tasks"), &pid.to_string()))
}

/// Removes what [`make`] made. What is gone already, or cannot go, is left: whoever is
/// still in it falls back to the default class.
pub(crate) fn remove(made: &[String]) {
    for directory in made.iter().rev() {
        let _ = fs::remove_directory(directory);
    }
}

#[cfg(test)]
mod tests {
    use std::fs as files;

    use super::*;

    /// A directory with the files that resctrl shows. It makes none by itself in a new
    /// directory, as resctrl does: what is tested is which files are read and written.
    struct Fake(tempfile::TempDir);

    impl Fake {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let fake = Self(directory);
            fake.class("gold", "    MB:0= 50\n    L3:0=00ff\n");
            fake
        }

        fn path(&self, name: &str) -> String {
            self.0.path().join(name).to_string_lossy().into_owned()
        }

        fn class(&self, name: &str, schemata: &str) {
            files::create_dir_all(self.path(&format!("{name}/mon_groups"))).expect("mkdir");
            files::write(self.path(&format!("{name}/schemata")), schemata).expect("write");
            files::write(self.path(&format!("{name}/tasks")), "").expect("write");
        }

        fn group(&self, name: &str, schemata: &[&str]) -> ResctrlGroup {
            ResctrlGroup {
                root: self.path(""),
                directory: self.path(name),
                must_exist: schemata.is_empty(),
                schemata: schemata.iter().map(|line| (*line).to_owned()).collect(),
                monitor: None,
            }
        }
    }

    #[test]
    fn a_class_that_is_there_is_joined_and_stays() {
        let fake = Fake::new();
        let group = fake.group("gold", &["L3:0=ff"]);
        let made = make(&group).expect("it fits");
        assert_eq!(made, Vec::<String>::new());
        join(&[group.directory], 77).expect("a tasks file");
        assert_eq!(
            files::read_to_string(fake.path("gold/tasks")).expect("read"),
            "77"
        );
        let kept = files::read_to_string(fake.path("gold/schemata")).expect("read");
        assert_eq!(kept, "    MB:0= 50\n    L3:0=00ff\n");
    }

    #[test]
    fn a_class_that_is_another_is_refused() {
        let fake = Fake::new();
        let error = make(&fake.group("gold", &["L3:0=f"])).expect_err("another mask");
        assert_eq!(error.errno(), Errno::EXIST);
        assert!(
            error.to_string().ends_with("L3:0 is 00ff, wanted f"),
            "{error}"
        );
        let error = make(&fake.group("silver", &[])).expect_err("no such class");
        assert_eq!(error.errno(), Errno::NOENT);
    }

    #[test]
    fn a_monitoring_group_is_made_and_removed_alone() {
        let fake = Fake::new();
        let mut group = fake.group("gold", &[]);
        group.monitor = Some(fake.path("gold/mon_groups/c1"));
        let made = make(&group).expect("made");
        assert_eq!(made, [fake.path("gold/mon_groups/c1")]);
        remove(&made);
        assert!(fs::stat_path(&made[0]).is_err());
        assert!(fs::stat_path(&group.directory).is_ok());
    }

    #[test]
    fn another_schema_is_written_and_taken_back() {
        let fake = Fake::new();
        let group = fake.group("gold", &["L3:0=f", "MB:0=10"]);
        let content = || files::read_to_string(fake.path("gold/schemata")).expect("read");
        let before = content();
        let change = SchemaChange::make(&group).expect("written");
        // A file keeps what it had behind; resctrl reads lines.
        assert!(content().starts_with("L3:0=f\nMB:0=10\n"), "{}", content());
        change.take_back();
        assert_eq!(content(), before);
        let missing = SchemaChange::make(&fake.group("silver", &["L3:0=f"]));
        let error = missing.err().expect("no such class").to_string();
        assert!(
            error.contains("silver/schemata: no such file or directory"),
            "{error}"
        );
    }

    /// Here the file of the new class is missing; there its content is refused.
    #[test]
    fn a_class_whose_schema_is_refused_does_not_stay() {
        let fake = Fake::new();
        files::create_dir(fake.path("info")).expect("mkdir");
        files::write(fake.path("info/last_cmd_status"), "Mask f is too small\n").expect("write");
        let error = make(&fake.group("new", &["L3:0=f"])).expect_err("no schemata file");
        assert!(error.to_string().contains("Mask f is too small"), "{error}");
        assert!(fs::stat_path(&fake.path("new")).is_err());
    }
}
