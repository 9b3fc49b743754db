//! `corten list`

use std::borrow::Cow;
use std::thread;

use super::root;
use crate::cli::{Global, List, ListFormat};
use crate::report::{self, CommandError};
use crate::table;
use libcontainer::{Entry, StateReport, Store, host};

/// `ENOENT`
const NOT_FOUND: i32 = 2;

/// Whoever reads fewer would be done before another thread had begun.
const FEWEST_A_THREAD: usize = 32;
/// More would wait for each other in the kernel.
const MOST_THREADS: usize = 4;

/// Lists all containers. One that cannot be read is listed for people, so that
/// they can delete it, and left out for programs, which would not understand it.
/// For names alone nothing is read.
#[inline(never)]
pub fn list(global: &Global, args: &List) -> Result<(), CommandError> {
    let root = root(global)?;
    let store = match (Store::open(&root)?, &global.root) {
        (Some(store), _) => Some(store),
        (None, None) => None,
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
    if args.quiet {
        let ids = store.map_or(Ok(Vec::new()), |store| store.ids())?;
        return report::print(&lines(&ids));
    }
    let entries = store.map_or(Ok(Vec::new()), |store| entries(&store))?;
    for entry in &entries {
        if let Entry::Broken { id, problem } = entry {
            tracing::warn!("container {id:?}: {problem}");
        }
    }
    report::print(&match args.format {
        ListFormat::Table => table(&entries),
        ListFormat::Json => json(&entries),
    })
}

/// Every container below a root, by id. Nearly all of it is the kernel's work, so many
/// are read by several threads: this command clones nothing.
///
/// # Errors
/// When the root cannot be read.
pub(super) fn entries(store: &Store) -> Result<Vec<Entry>, CommandError> {
    let ids = store.ids()?;
    let most = (ids.len() / FEWEST_A_THREAD).min(MOST_THREADS);
    if most < 2 {
        return Ok(libcontainer::entries(store, &ids));
    }
    let threads = most.min(host::processors());
    let mut shares = ids.chunks(ids.len().div_ceil(threads));
    let own = shares.next().unwrap_or_default();
    Ok(thread::scope(|scope| {
        let read = |share| move || libcontainer::entries(store, share);
        let begin = |share| {
            let thread = thread::Builder::new().spawn_scoped(scope, read(share));
            (share, thread.ok())
        };
        let others: Vec<_> = shares.map(begin).collect();
        let mut entries = libcontainer::entries(store, own);
        for (share, thread) in others {
            // A limit of processes is no reason to list less.
            let read = thread.and_then(|thread| thread.join().ok());
            entries.extend(read.unwrap_or_else(|| libcontainer::entries(store, share)));
        }
        entries
    }))
}

fn lines(ids: &[String]) -> String {
    ids.iter().fold(String::new(), |text, id| text + id + "\n")
}

fn table(entries: &[Entry]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(Cow::from);
    let rows = std::iter::once(header).chain(entries.iter().map(row));
    table::render(&rows.collect::<Vec<_>>())
}

fn row(entry: &Entry) -> [Cow<'_, str>; 6] {
    match entry {
        Entry::Container(state) => [
            Cow::from(&state.id),
            state.pid.to_string().into(),
            state.status.to_string().into(),
            (&state.bundle).into(),
            (&state.created).into(),
            (&state.owner).into(),
        ],
        Entry::Broken { id, .. } => [id.as_str(), "-", "broken", "-", "-", "-"].map(Cow::from),
    }
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
    use super::{json, lines, table};
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
        assert_eq!(lines(&[]), "");
        assert_eq!(
            table(&[]),
            "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
        );
    }

    #[test]
    fn a_broken_container_is_shown_to_people_only() {
        assert_eq!(json(&broken()), "[]\n");
        assert_eq!(lines(&["c1".to_owned(), "c2".to_owned()]), "c1\nc2\n");
        let row = "c1          -           broken      -           -           -\n";
        assert!(table(&broken()).ends_with(row));
    }
}
