//! `--overlay`: a writable layer over a root file system that stays as it is.

use std::fs;
use std::os::unix::fs::MetadataExt;

use runtime_tests::{Bundle, Case, convention};
use serde_json::json;

const CHAPTER: &str = "run --overlay";

/// All names below the root, so that a change is seen.
fn names(bundle: &Bundle) -> Vec<String> {
    fn walk(directory: &std::path::Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let entry = entry.expect("an entry");
            found.push(entry.path().to_string_lossy().into_owned());
            if entry.file_type().expect("a type").is_dir() {
                walk(&entry.path(), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&bundle.rootfs(), &mut found);
    found.sort();
    found
}

#[convention("What a container writes to its root goes to the layer and is gone with it.")]
fn the_root_stays_as_it_is(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    // Read-only in the configuration: the option wins.
    bundle.config.set("/root/readonly", json!(true));
    bundle
        .config
        .shell("test ! -e /new && echo word > /new && rm /bin/sh && cat /new");
    bundle.write();
    let before = names(&bundle);
    for _ in 0..2 {
        let finished = case.run_with(&bundle, &["--overlay"]).ok();
        assert_eq!(finished.stdout, "word\n", "{}", finished.describe());
    }
    assert_eq!(names(&bundle), before);
}

#[convention("The root of the container has the mode that root.path has.")]
fn the_root_looks_the_same(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.shell("stat -c %a /");
    bundle.write();
    let mode = fs::metadata(bundle.rootfs()).expect("stat").mode() & 0o7777;
    let finished = case.run_with(&bundle, &["--overlay"]).ok();
    assert_eq!(finished.stdout, format!("{mode:o}\n"));
}

#[convention("Many containers run from one directory at once, and see nothing of each other.")]
fn many_from_one_directory(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle
        .config
        .shell("test ! -e /mine && echo x > /mine && sleep 1000");
    bundle.config.remove("/linux", "cgroupsPath");
    bundle.write();
    let ids: Vec<String> = (0..4).map(|_| case.id()).collect();
    for id in &ids {
        case.run_command(&bundle, id, &["--overlay", "--detach"])
            .run()
            .ok();
    }
    for id in &ids {
        case.until("the file", || {
            let look = case.runtime().args(["exec", id, "cat", "/mine"]).run();
            look.stdout == "x\n"
        });
    }
    // Killed from outside, without a word to the runtime: the suite looks for mounts.
    for id in &ids {
        case.kill(id);
        case.delete(id);
    }
    assert!(!bundle.rootfs().join("mine").exists());
}

#[convention("A layer in --overlay-dir stays, and the next container of the name goes on with it.")]
fn a_layer_that_stays(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle
        .config
        .shell("echo x >> /count; rm -f /bin/id; cat /count");
    bundle.write();
    let layers = case.directory.join("layers");
    let id = case.id();
    for wanted in ["x\n", "x\nx\n"] {
        let options = ["--overlay-dir", &layers.to_string_lossy()];
        let finished = case.run_command(&bundle, &id, &options).run().ok();
        assert_eq!(finished.stdout, wanted);
    }
    let kept = fs::read_to_string(layers.join(&id).join("upper/count")).expect("the layer");
    assert_eq!(kept, "x\nx\n");
    assert!(!bundle.rootfs().join("count").exists());
}

#[convention("In a user namespace, too: root of the container owns what it writes.")]
fn in_a_user_namespace(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.user_namespace(300_000);
    bundle
        .config
        .shell("echo x > /new && stat -c %u /new && mkdir /dir && rmdir /dir");
    bundle.write();
    bundle.give_directories_to(300_000);
    let layers = case.directory.join("layers");
    let directory = layers.to_string_lossy();
    for options in [&["--overlay"][..], &["--overlay-dir", &directory]] {
        let finished = case.run_with(&bundle, options).ok();
        assert_eq!(finished.stdout, "0\n", "{options:?}");
    }
    assert!(!bundle.rootfs().join("new").exists());
}

#[convention("A layer inside the root, or without a mount namespace, is refused.")]
fn what_cannot_be(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.write();
    let inside = bundle.rootfs().join("layers");
    let options = ["--overlay-dir", &inside.to_string_lossy()];
    case.run_with(&bundle, &options)
        .exits(1)
        .says("--overlay-dir: the layer and the root file system must lie apart");
    bundle.config.without_namespace("mount");
    bundle.write();
    case.run_with(&bundle, &["--overlay"])
        .exits(1)
        .says("--overlay: ");
}
