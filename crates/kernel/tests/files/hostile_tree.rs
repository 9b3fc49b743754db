//! Random trees of an image that means harm, and random paths into them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use proptest::prelude::*;

/// What to put into the tree.
#[derive(Debug, Clone)]
pub enum Kind {
    Directory,
    File,
    Symlink(String),
}

/// One inode: the how-manieth directory made so far it goes into, its name.
pub type Entry = (usize, String, Kind);

pub fn tree() -> impl Strategy<Value = Vec<Entry>> {
    proptest::collection::vec((0..32usize, name(), kind()), 1..24)
}

/// A path of few names, so that it often hits; often with `..` and doubled or
/// trailing slashes.
pub fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => name(),
        2 => Just("..".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just(String::new()),
    ];
    (any::<bool>(), proptest::collection::vec(part, 1..6)).prop_map(|(absolute, parts)| {
        let path = parts.join("/");
        if absolute { format!("/{path}") } else { path }
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")].prop_map(str::to_owned)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::Directory),
        1 => Just(Kind::File),
        3 => path().prop_filter("symlink(2) takes no empty target", |p| !p.is_empty())
            .prop_map(Kind::Symlink),
    ]
}

/// Makes the tree below `root`. Only real directories made here are gone into,
/// so that its symlinks cannot lead the test itself out.
pub fn build(root: &Path, entries: &[Entry]) {
    let mut directories = vec![root.to_owned()];
    for (index, name, kind) in entries {
        let path = directories[index % directories.len()].join(name);
        match kind {
            Kind::Directory if fs::create_dir(&path).is_ok() => directories.push(path),
            Kind::File if fs::symlink_metadata(&path).is_err() => fs::write(&path, "x").unwrap(),
            Kind::Symlink(target) => drop(symlink(target, &path)),
            Kind::Directory | Kind::File => {}
        }
    }
}
