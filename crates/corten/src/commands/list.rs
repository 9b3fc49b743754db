//! `corten list`

use super::root;
use crate::cli::{Global, List, ListFormat};
use crate::report::{self, CommandError};
use crate::table;
use libcontainer::{Entry, StateReport, Store};

/// `ENOENT`
const NOT_FOUND: i32 = 2;

/// Lists all containers. One that cannot be read is listed for people, so that
/// they can delete it, and left out for programs, which would not understand it.
#[inline(never)]
pub fn list(global: &Global, args: &List) -> Result<(), CommandError> {
    let root = root(global)?;
    let entries = match (Store::open(&root)?, &global.root) {
        (Some(store), _) => libcontainer::list(&store)?,
        (None, None) => Vec::new(),
        // An empty list would hide that the name is wrong.
        (None, Some(_)) => {
            return Err(CommandError::File {
                argument: "--root",
                doing: "open",
                path: root,
                source: std::io::Error::from_raw_os_error(NOT_FOUND),
            });
        }
    };
    for entry in &entries {
        if let Entry::Broken { id, problem } = entry {
            tracing::warn!("container {id:?}: {problem}");
        }
    }
    report::print(&match (args.quiet, args.format) {
        (true, _) => ids(&entries),
        (false, ListFormat::Table) => table(&entries),
        (false, ListFormat::Json) => json(&entries),
    })
}

fn ids(entries: &[Entry]) -> String {
    let ids = entries.iter().map(|entry| match entry {
        Entry::Container(state) => &state.id,
        Entry::Broken { id, .. } => id,
    });
    ids.fold(String::new(), |text, id| text + id + "\n")
}

fn table(entries: &[Entry]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let rows = entries.iter().map(|entry| match entry {
        Entry::Container(state) => [
            state.id.clone(),
            state.pid.to_string(),
            state.status.to_string(),
            state.bundle.clone(),
            state.created.clone(),
            state.owner.clone(),
        ],
        Entry::Broken { id, .. } => [id, "-", "broken", "-", "-", "-"].map(str::to_owned),
    });
    let rows: Vec<[String; 6]> = std::iter::once(header).chain(rows).collect();
    table::render(&rows)
}

fn json(entries: &[Entry]) -> String {
    let states = entries.iter().filter_map(|entry| match entry {
        Entry::Container(state) => Some(state),
        Entry::Broken { .. } => None,
    });
    let states: Vec<&StateReport> = states.collect();
    report::line_of_json(&states)
}

#[cfg(test)]
mod tests {
    use super::{ids, json, table};
    use libcontainer::Entry;

    fn broken() -> [Entry; 1] {
        [Entry::Broken {
            id: "c1".to_owned(),
            problem: "state.json: no such file or directory".to_owned(),
        }]
    }

    #[test]
    fn nothing_is_an_empty_array() {
        assert_eq!(json(&[]), "[]\n");
        assert_eq!(ids(&[]), "");
        assert_eq!(
            table(&[]),
            "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
        );
    }

    #[test]
    fn a_broken_container_is_shown_to_people_only() {
        assert_eq!(json(&broken()), "[]\n");
        assert_eq!(ids(&broken()), "c1\n");
        let row = "c1          -           broken      -           -           -\n";
        assert!(table(&broken()).ends_with(row));
    }
}
