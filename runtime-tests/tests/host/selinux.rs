//! SELinux: the labels of processes and mounts, as they are written and what they do. On a
//! machine that was booted with `lsm=selinux` and the policy `scripts/vm/selinux.cil`.

use std::fs;
use std::path::Path;

use runtime_tests::{Bundle, Case, must, should, skip};
use rustix::fs::XattrFlags;
use serde_json::json;

use crate::machine::require;

const CHAPTER: &str = "SELinux";

const PROCESS: &str = "system_u:system_r:container_t:s0:c1,c2";
const FILES: &str = "system_u:object_r:container_file_t:s0:c1,c2";
const OTHER_PROCESS: &str = "system_u:system_r:container_t:s0:c1.c3";
const OTHER_FILES: &str = "system_u:object_r:container_file_t:s0:c3";
const OF_THE_MACHINE: &str = "system_u:object_r:machine_t:s0";

const NAME: &str = "security.selinux";

fn put_label(path: &Path, label: &str) {
    rustix::fs::setxattr(path, NAME, label.as_bytes(), XattrFlags::empty()).unwrap();
}

fn label_of(path: &Path) -> String {
    let mut value = [0; 256];
    let length = rustix::fs::getxattr(path, NAME, &mut value).unwrap();
    let text = String::from_utf8_lossy(&value[..length]).into_owned();
    text.trim_end_matches('\0').to_owned()
}

/// Skips unless SELinux is in force.
pub fn require_enforcing(case: &Case) {
    require(case);
    match fs::read_to_string("/sys/fs/selinux/enforce").as_deref() {
        Ok("1") => {}
        Ok(_) => skip("SELinux does not enforce its policy here"),
        Err(_) => skip("SELinux is not active on this machine"),
    }
}

/// A bundle whose root belongs to containers of these categories.
fn bundle(case: &mut Case) -> Bundle {
    require_enforcing(case);
    let mut bundle = case.bundle();
    let root = bundle.rootfs().to_string_lossy().into_owned();
    let chcon = case.program("chcon").args(["-hR", FILES, &root]);
    chcon.run().ok();
    bundle
        .config
        .set("/process/selinuxLabel", PROCESS.into())
        .set("/linux/mountLabel", FILES.into());
    bundle
}

#[must("selinuxLabel (string, OPTIONAL) specifies the SELinux label for the process.")]
fn process_label(case: &mut Case) {
    let mut bundle = bundle(case);
    let line = "cat /proc/self/attr/current; exec sleep 1000";
    bundle.config.shell(line);
    let id = case.id();
    bundle.write();
    let run = case.run_command(&bundle, &id, &[]).spawn();
    case.until("the program has spoken", || {
        run.output().contains("container_t")
    });
    assert_eq!(run.output().trim_matches('\0'), PROCESS);
    let exec = |options: &[&str]| {
        let words = ["exec"].iter().chain(options);
        let exec = case.runtime().args(words);
        let exec = exec.args([&id, "/bin/cat", "/proc/self/attr/current"]);
        exec.run().ok().stdout.trim_matches('\0').to_owned()
    };
    assert_eq!(exec(&[]), PROCESS);
    assert_eq!(exec(&["--process-label", OTHER_PROCESS]), OTHER_PROCESS);
    case.runtime().args(["kill", &id, "KILL"]).run().ok();
    run.finish().exits(137);
}

#[must(
    "mountLabel (string, OPTIONAL) will set the Selinux context for the mounts in the container."
)]
fn mount_label(case: &mut Case) {
    let mut bundle = bundle(case);
    bundle.config.shell("touch /dev/shm/x; exec sleep 1000");
    let id = case.launch(&bundle);
    let root = format!("/proc/{}/root", case.pid(&id));
    let inside = |path: &str| Path::new(&root).join(path);
    case.until("the file is there", || inside("dev/shm/x").exists());
    for path in ["dev/shm/x", "dev/shm", "dev", "dev/mqueue", "dev/pts"] {
        assert_eq!(label_of(&inside(path)), FILES, "{path}");
    }
    // Of the machine: a label there would be one for all.
    assert_eq!(label_of(&inside("sys/kernel")), OF_THE_MACHINE);
    case.destroy(&id);
}

#[must("A label is in force: files of another type and of other categories are out of reach.")]
fn in_force(case: &mut Case) {
    let mut bundle = bundle(case);
    for (name, label) in [
        ("mine", FILES),
        ("theirs", OTHER_FILES),
        ("secret", OF_THE_MACHINE),
    ] {
        let path = bundle.rootfs().join(name);
        fs::write(&path, format!("{name}\n")).unwrap();
        put_label(&path, label);
    }
    let line =
        "for name in mine theirs secret; do cat /$name 2>&1; done; echo w >>/mine && echo written";
    let refused = |name: &str| format!("cat: can't open '/{name}': Permission denied");
    let [theirs, secret] = [refused("theirs"), refused("secret")];
    let shown = case.shell(&mut bundle, line);
    assert_eq!(shown, format!("mine\n{theirs}\n{secret}\nwritten"));
    // It was the label.
    bundle.config.remove("/process", "selinuxLabel");
    let shown = case.shell(&mut bundle, line);
    assert_eq!(shown, "mine\nw\ntheirs\nsecret\nwritten");
}

#[should("A context that the policy does not have is refused by the name of its property.")]
fn unknown_context(case: &mut Case) {
    let mut bundle = bundle(case);
    let label = "system_u:system_r:nothing_t:s0";
    bundle.config.set("/process/selinuxLabel", json!(label));
    case.run(&bundle).fails().says("nothing_t");
    bundle.config.set("/process/selinuxLabel", json!(PROCESS));
    let label = "system_u:object_r:nothing_t:s0";
    bundle.config.set("/linux/mountLabel", json!(label));
    case.run(&bundle).fails();
}
