//! config.md, "Linux mount options": `idmap`, `ridmap`; "POSIX-platform Mounts": `uidMappings`, `gidMappings`.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use runtime_tests::{Case, convention, may, must, should, skip};
use serde_json::{Value, json};

use crate::mounts::{unmount, volume, volume_with_submount};

const CHAPTER: &str = "config.md: Idmapped mounts";

/// Of a tmpfs since Linux 6.3.
fn needs_idmapped_tmpfs() {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) < (Some(6), Some(3)) {
        skip("a tmpfs can be mounted with other owners since Linux 6.3");
    }
}

/// Debian's runc refuses or ignores them.
fn needs_idmapped_mounts(case: &Case) {
    if case.version().starts_with("runc version 1.1.") {
        skip("runc has idmapped mounts since 1.2");
    }
}

fn map(inside: u32, outside: u32) -> Value {
    json!([{"containerID": inside, "hostID": outside, "size": 100}])
}

/// A bind mount of `source` on /mnt that maps 1000 to 2000 and 3000.
fn mapped(source: &Path, options: &[&str]) -> Value {
    json!({
        "destination": "/mnt", "type": "bind", "source": source, "options": options,
        "uidMappings": map(1000, 2000), "gidMappings": map(1000, 3000),
    })
}

fn own(path: &Path, id: u32) {
    chown(path, Some(id), Some(id)).expect("chown");
}

/// Podman leaves the option out.
#[must(
    "If uidMappings or gidMappings are specified for the mount, the runtime MUST use those values for the mount's mapping."
)]
fn mappings_without_the_option(case: &mut Case) {
    needs_idmapped_mounts(case);
    let source = volume(case, "volume");
    own(&source.join("file"), 1001);
    let mut bundle = case.bundle();
    bundle.config.push("/mounts", mapped(&source, &["bind"]));
    let line = "stat -c %u:%g /mnt/file /mnt/inner";
    // What the maps do not hold belongs to nobody.
    assert_eq!(case.shell(&mut bundle, line), "2001:3001\n65534:65534");
    assert_eq!(fs::metadata(source.join("file")).unwrap().uid(), 1001);
}

/// A file made by id 2000 belongs to 1000 where it lies.
#[must(
    "uidMappings (array of type LinuxIDMapping, OPTIONAL) The mapping to convert UIDs from the source file system to the destination mount point."
)]
fn what_is_written_is_mapped_back(case: &mut Case) {
    needs_idmapped_mounts(case);
    let source = volume(case, "volume");
    own(&source, 1000);
    let mut bundle = case.bundle();
    bundle.config.push("/mounts", mapped(&source, &["bind"]));
    bundle
        .config
        .set("/process/user", json!({"uid": 2000, "gid": 3000}));
    assert_eq!(
        case.shell(&mut bundle, "touch /mnt/made; stat -c %u:%g /mnt/made"),
        "2000:3000"
    );
    let made = fs::metadata(source.join("made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (1000, 1000));
}

/// With both, the mappings are the mount's.
#[must(
    "idmap: ... If uidMappings or gidMappings are specified for the mount, the runtime MUST use those values for the mount's mapping."
)]
fn option_with_mappings(case: &mut Case) {
    needs_idmapped_mounts(case);
    let source = volume(case, "volume");
    own(&source.join("file"), 1000);
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    bundle.give_directories_to(100_000);
    let mut mount = mapped(&source, &["bind", "idmap"]);
    mount["uidMappings"] = map(1000, 100_000);
    mount["gidMappings"] = map(1000, 100_007);
    bundle.config.push("/mounts", mount);
    assert_eq!(case.shell(&mut bundle, "stat -c %u:%g /mnt/file"), "0:7");
}

#[may("If they are not specified, the runtime MAY use the container's user namespace mapping.")]
fn of_the_containers_user_namespace(case: &mut Case) {
    needs_idmapped_mounts(case);
    let source = volume(case, "volume");
    own(&source.join("file"), 5);
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    bundle.give_directories_to(100_000);
    bundle.config.bind(&source, "/mnt", &["bind", "idmap"]);
    let line = "stat -c %u:%g /mnt /mnt/file; touch /mnt/made";
    assert_eq!(case.shell(&mut bundle, line), "0:0\n5:5");
    assert_eq!(fs::metadata(source.join("made")).unwrap().uid(), 0);
}

#[may("If they are not specified, the runtime MAY use the container's user namespace mapping.")]
fn of_a_joined_user_namespace(case: &mut Case) {
    needs_idmapped_mounts(case);
    let mut holder = case.bundle();
    holder
        .config
        .user_namespace(100_000)
        .args(&["/bin/sleep", "60"]);
    holder.give_directories_to(100_000);
    let id = case.launch(&holder);
    let source = volume(case, "volume");
    own(&source.join("file"), 5);
    let mut bundle = case.bundle();
    bundle.give_directories_to(100_000);
    let namespace = format!("/proc/{}/ns/user", case.pid(&id));
    bundle.config.push(
        "/linux/namespaces",
        json!({"type": "user", "path": namespace}),
    );
    bundle.config.bind(&source, "/mnt", &["bind", "idmap"]);
    if !case.is_corten() {
        // A peer takes the mappings from the configuration only.
        bundle.config.set(
            "/linux/uidMappings",
            json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]),
        );
        bundle.config.set(
            "/linux/gidMappings",
            json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]),
        );
    }
    let seen = case.shell(&mut bundle, "stat -c %u:%g /mnt/file");
    case.destroy(&id);
    assert_eq!(seen, "5:5");
}

fn owners_of_a_tree(case: &mut Case, option: &str) -> String {
    let source = volume_with_submount(case);
    own(&source, 1000);
    own(&source.join("inner"), 1000);
    let mut bundle = case.bundle();
    bundle
        .config
        .push("/mounts", mapped(&source, &["rbind", option]));
    bundle.config.shell("stat -c %u /mnt /mnt/inner");
    let finished = case.run(&bundle);
    unmount(case, &source.join("inner"));
    finished.ok().stdout.trim_end().to_owned()
}

/// To the one mount: the option is a SHOULD.
#[should(
    "If specified, the options field of the mounts structure SHOULD contain either idmap or ridmap to specify whether the mapping should be applied recursively for rbind mounts ..."
)]
fn idmap_is_not_recursive(case: &mut Case) {
    needs_idmapped_mounts(case);
    if case.version().starts_with("crun version 1.8") {
        skip("this version maps all below, as ridmap should");
    }
    assert_eq!(owners_of_a_tree(case, "idmap"), "2000\n1000");
}

#[should(
    "ridmap: Indicates that the mount MUST have an idmapping applied, and the mapping is applied recursively."
)]
fn ridmap_is_recursive(case: &mut Case) {
    needs_idmapped_tmpfs();
    needs_idmapped_mounts(case);
    if case.version().starts_with("crun version 1.8") {
        skip("crun knows ridmap since 1.9");
    }
    assert_eq!(owners_of_a_tree(case, "ridmap"), "2000\n2000");
}

#[convention("crun's form, for engines that write it.")]
fn mapping_in_the_option(case: &mut Case) {
    if case.version().starts_with("runc") {
        skip("this form is crun's");
    }
    let source = volume(case, "volume");
    own(&source.join("file"), 1);
    own(&source.join("inner"), 11);
    let mut bundle = case.bundle();
    let word = "idmap=uids=0-10-10#10-300-10;gids=0-100-20";
    bundle.config.bind(&source, "/mnt", &["bind", word]);
    let line = "stat -c %u:%g /mnt/file /mnt/inner";
    assert_eq!(case.shell(&mut bundle, line), "11:101\n301:111");
}

#[convention("`@`: as the container's own mapping moves the first id.")]
fn relative_mapping_in_the_option(case: &mut Case) {
    if case.version().starts_with("runc") {
        skip("this form is crun's");
    }
    let source = volume(case, "volume");
    own(&source.join("file"), 7);
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    bundle.give_directories_to(100_000);
    bundle.config.bind(
        &source,
        "/mnt",
        &["bind", "idmap=uids=@0-3-10;gids=@0-4-10"],
    );
    assert_eq!(case.shell(&mut bundle, "stat -c %u:%g /mnt/file"), "10:11");
}

#[convention("Not only bind mounts, where the kernel can.")]
fn new_tmpfs(case: &mut Case) {
    case.only_corten();
    needs_idmapped_tmpfs();
    let mut bundle = case.bundle();
    bundle.config.mount(
        "/mnt",
        "tmpfs",
        "tmpfs",
        &["uid=3", "idmap=uids=0-1000-10;gids=0-1000-10"],
    );
    bundle
        .config
        .set("/process/user", json!({"uid": 1003, "gid": 1003}));
    let line = "stat -c %u:%g /mnt; touch /mnt/x; stat -c %u:%g /mnt/x";
    assert_eq!(case.shell(&mut bundle, line), "1003:1000\n1003:1003");
}

#[convention("A file is a mount as good as a directory.")]
fn one_file(case: &mut Case) {
    needs_idmapped_mounts(case);
    let source = volume(case, "volume").join("file");
    own(&source, 1000);
    let mut bundle = case.bundle();
    let mut mount = mapped(&source, &["bind", "ro"]);
    mount["destination"] = json!("/etc/marker");
    bundle.config.push("/mounts", mount);
    assert_eq!(
        case.shell(&mut bundle, "stat -c %u:%g /etc/marker; cat /etc/marker"),
        "2000:3000\ncontent"
    );
}

#[convention("A pod with a user namespace maps every volume.")]
fn twenty_mounts_one_mapping(case: &mut Case) {
    needs_idmapped_mounts(case);
    let source = volume(case, "volume");
    own(&source.join("file"), 1000);
    let mut bundle = case.bundle();
    // A mount hides the directory, so the file is bound.
    for number in 0..20 {
        let mut mount = mapped(&source, &["bind"]);
        mount["destination"] = json!(format!("/mnt/{number}"));
        bundle.config.push("/mounts", mount);
    }
    let seen = case.shell(&mut bundle, "stat -c %u /mnt/*/file");
    assert_eq!(seen, vec!["2000"; 20].join("\n"));
}
