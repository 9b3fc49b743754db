//! Looking up: against an independent resolver, and against an attacker.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use kernel::Errno;
use kernel::beneath::Root;
use kernel::fs::OFlags;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::hostile_tree;
use crate::sandbox::{identity, memory_directory, refuse_system_call, without_system_call};

pub fn open_root(path: &Path) -> Root {
    Root::new(kernel::fs::open_path(path.to_str().unwrap()).unwrap())
}

type Question = (PathBuf, String, bool);
type Answer = Option<(u64, u64)>;

// Every question costs the oracle a procfs mount of its own, and its end an RCU
// grace period: milliseconds. Hence not more cases.

/// `pathrs` on a thread where openat2 fails: its resolver in user space, which
/// shares no code with the kernel's.
struct Oracle {
    questions: Sender<Question>,
    answers: Receiver<Answer>,
}

impl Oracle {
    #[allow(
        clippy::disallowed_methods,
        reason = "only a thread of its own can be without openat2"
    )]
    fn start() -> Self {
        let (questions, asked) = channel::<Question>();
        let (answering, answers) = channel();
        std::thread::spawn(move || {
            refuse_system_call(u32::try_from(libc::SYS_openat2).unwrap());
            for (root, path, follow) in asked {
                let root = pathrs::Root::open(root).unwrap();
                let found = if follow {
                    root.resolve(&path)
                } else {
                    root.resolve_nofollow(&path)
                };
                answering.send(found.ok().map(identity)).unwrap();
            }
        });
        Self { questions, answers }
    }

    fn ask(&self, root: &Path, path: &str, follow: bool) -> Answer {
        let question = (root.to_owned(), path.to_owned(), follow);
        self.questions.send(question).unwrap();
        self.answers.recv().unwrap()
    }
}

#[test]
fn the_oracle_agrees_on_random_hostile_trees() {
    let oracle = Oracle::start();
    let cases = ProptestConfig {
        cases: 120,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let paths = proptest::collection::vec(hostile_tree::path(), 1..10);
    TestRunner::new(cases)
        .run(&(hostile_tree::tree(), paths), |(tree, paths)| {
            let dir = memory_directory();
            hostile_tree::build(dir.path(), &tree);
            let root = open_root(dir.path());
            // The oracle takes the empty path for the root; path_resolution(7) does not.
            for path in paths.iter().filter(|path| !path.is_empty()) {
                let followed = root.look_up(path).ok().map(identity);
                prop_assert_eq!(followed, oracle.ask(dir.path(), path, true), "{}", path);
                let itself = root.look_up_no_follow(path).ok().map(identity);
                prop_assert_eq!(itself, oracle.ask(dir.path(), path, false), "{}", path);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_root_is_the_end_of_every_way_up() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    fs::create_dir_all(root.join("a/b")).unwrap();
    symlink("/", root.join("a/b/slash")).unwrap();
    symlink("../../../../../..", root.join("a/b/up")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    let handle = open_root(&root);
    let top = identity(handle.fd());
    for path in ["/", ".", "..", "/../..", "a/b/slash", "a/b/up", "a/b/up/.."] {
        assert_eq!(identity(handle.look_up(path).unwrap()), top, "{path}");
    }
    assert_eq!(handle.look_up("loop").unwrap_err().errno(), Errno::LOOP);
    let missing = handle.look_up("a/x").unwrap_err();
    assert_eq!(
        missing.to_string(),
        "openat2(root, \"a/x\", O_PATH): no such file or directory"
    );
}

#[test]
fn magic_links_and_creation_are_refused() {
    let root = open_root(Path::new("/proc"));
    for path in ["self/root", "self/cwd/.", "self/exe"] {
        assert_eq!(root.look_up(path).unwrap_err().errno(), Errno::LOOP);
    }
    let create = root.open("x", OFlags::WRONLY | OFlags::CREATE).unwrap_err();
    assert_eq!(create.errno(), Errno::INVAL);
}

#[test]
fn a_kernel_without_openat2_is_named() {
    let error = without_system_call(libc::SYS_openat2, || {
        open_root(Path::new("/")).look_up("etc").unwrap_err()
    });
    assert_eq!(
        error.to_string(),
        "openat2(root, \"etc\", O_PATH): needs Linux 5.6 for openat2"
    );
}

/// Runs `work` while another thread exchanges `a` and `b` of `dir` without pause.
pub fn while_exchanging(dir: &Path, a: &str, b: &str, work: impl FnOnce()) {
    let dir = File::open(dir).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(&dir, a, &dir, b, flags).unwrap();
            }
        });
        let stop = StopOnDrop(&stop);
        work();
        drop(stop);
    });
}

/// Ends the attacker also when an assertion of the work fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn collect_inodes(dir: &Path, found: &mut HashSet<(u64, u64)>) {
    let is = fs::symlink_metadata(dir).unwrap();
    found.insert((is.dev(), is.ino()));
    if is.is_dir() {
        for entry in fs::read_dir(dir).unwrap() {
            collect_inodes(&entry.unwrap().path(), found);
        }
    }
}

#[test]
fn an_attacker_who_renames_never_leads_out() {
    let outer = memory_directory();
    let root = outer.path().join("root");
    fs::create_dir_all(root.join("x/y/dir/etc")).unwrap();
    fs::create_dir(root.join("etc")).unwrap();
    fs::create_dir_all(outer.path().join("etc/secret")).unwrap();
    symlink("../../../..", root.join("x/y/link")).unwrap();
    let mut inside = HashSet::new();
    collect_inodes(&root, &mut inside);
    let handle = open_root(&root);
    while_exchanging(&root.join("x/y"), "dir", "link", || {
        let mut found = HashSet::new();
        for _ in 0..5_000 {
            for path in ["x/y/dir/etc", "x/y/dir/../../../etc", "x/y/link/.."] {
                match handle.look_up(path) {
                    Ok(fd) => {
                        let what = identity(fd.as_fd());
                        assert!(inside.contains(&what), "{path} led out");
                        found.insert(what);
                    }
                    Err(e) => assert!(
                        matches!(e.errno(), Errno::NOENT | Errno::AGAIN),
                        "{path}: {e}"
                    ),
                }
            }
        }
        assert!(found.len() > 2, "the attacker was too slow to matter");
    });
}
