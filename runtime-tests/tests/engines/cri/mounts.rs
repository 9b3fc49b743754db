//! Volumes.

use std::fs;
use std::path::Path;

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};
use serde_json::{Value, json};

use super::{Plugin, Pod, run, run_pod, start};
use crate::session::Session;

/// Makes the test's mount tree as systemd makes a machine's: volumes are told of mounts
/// that come later.
pub fn share_all() {
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    mount_change("/", shared).expect("mount --make-rshared /");
}

/// How mounts travel.
const HOST_TO_CONTAINER: u8 = 1;
const BIDIRECTIONAL: u8 = 2;

pub fn tell(session: &mut Session, plugin: &mut Plugin) {
    let name = format!("volume-{}", session.runtime.name);
    let volume = session.case.directory.join(name);
    make(&volume);
    let pod = run_pod(session, "pod", json!({}));
    let line = "touch /volume/file /volume/early/file; echo $?; grep ' /volume' /proc/self/mountinfo | cut -d' ' -f5,6";
    let mut kinds = vec![
        ("writable", json!({})),
        ("readonly", json!({"readonly": true})),
    ];
    if plugin.release().has_recursive_read_only() {
        let all = json!({"readonly": true, "recursive_read_only": true});
        kinds.push(("recursive", all));
    }
    for (name, more) in kinds {
        run(session, &pod, name, line, with_mount(&volume, more));
    }
    let missing = json!({"host_path": volume.join("made"), "container_path": "/made"});
    let missing = json!({"mounts": [missing]});
    run(session, &pod, "made", "stat -c %F /made", missing);
    tell_propagation(session, &pod, &volume);
    unmount(&volume, UnmountFlags::DETACH).expect("umount");
}

/// A shared tmpfs with another one in it.
fn make(volume: &Path) {
    fs::create_dir_all(volume).expect("volume");
    mount_tmpfs(volume);
    mount_change(volume, MountPropagationFlags::SHARED).expect("shared");
    for name in ["early", "late", "inner"] {
        fs::create_dir(volume.join(name)).expect("directory");
    }
    mount_tmpfs(&volume.join("early"));
}

fn mount_tmpfs(place: &Path) {
    mount("none", place, "tmpfs", MountFlags::empty(), None).expect("tmpfs");
}

fn with_mount(volume: &Path, more: Value) -> Value {
    let mount = json!({"host_path": volume, "container_path": "/volume"});
    json!({"mounts": [super::with(mount, more)]})
}

fn tell_propagation(session: &mut Session, pod: &Pod, volume: &Path) {
    let private = start(session, pod, "private", with_mount(volume, json!({})));
    let told = json!({"propagation": HOST_TO_CONTAINER});
    let told = start(session, pod, "told", with_mount(volume, told));
    mount_tmpfs(&volume.join("late"));
    let line = "grep -c ' /volume/late ' /proc/mounts";
    private.tell(session, line);
    told.tell(session, line);

    let both = with_mount(volume, json!({"propagation": BIDIRECTIONAL}));
    let may_mount = json!({"linux": {"security_context": {"capabilities": {"add_capabilities": ["SYS_ADMIN"]}}}});
    let both = start(session, pod, "both", super::with(both, may_mount));
    let line = "mount -t tmpfs inner /volume/inner; echo $?; touch /volume/inner/file";
    both.tell(session, line);
    let seen = volume.join("inner/file").exists();
    session.note("seen outside", &seen.to_string());
    told.tell(session, "ls /volume/inner");
    both.tell(session, "umount /volume/inner; echo $?");
    for container in [private, told, both] {
        super::call(session, "StopContainer", container.request());
    }
}
