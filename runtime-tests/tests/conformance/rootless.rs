//! user_namespaces(7): the runtime called by somebody who is not root.
//!
//! The caller is a uid without an account but in the call's own mount namespace.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use runtime_tests::{Bundle, Case, Facts, Finished, Program, convention, must, skip};
use serde_json::json;

const CHAPTER: &str = "config-linux.md: User namespace mappings of an unprivileged caller";

/// The caller, and the first of its subordinate ids.
const USER: u32 = 71_000;
const FIRST: u32 = 300_000;

/// A bundle that the caller can run: no cgroup is asked for, and the root is theirs.
fn bundle(case: &mut Case) -> Bundle {
    let mut bundle = case.bundle();
    bundle
        .config
        .remove("/linux", "cgroupsPath")
        .remove("/linux", "resources");
    bundle.config.user_namespace(0);
    map(
        &mut bundle,
        json!([{"containerID": 0, "hostID": USER, "size": 1}]),
    );
    // A group of terminals is nobody's who maps one id.
    let terminals = json!([
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620"
    ]);
    bundle.config.set("/mounts/2/options", terminals);
    bundle.give_directories_to(USER);
    bundle
}

fn map(bundle: &mut Bundle, lines: serde_json::Value) {
    bundle.config.set("/linux/uidMappings", lines.clone());
    bundle.config.set("/linux/gidMappings", lines);
}

/// The caller as root, and the subordinate ids above.
fn map_subordinate(bundle: &mut Bundle) {
    if !Path::new("/usr/bin/newuidmap").exists() {
        skip("newuidmap is not installed");
    }
    let own = json!({"containerID": 0, "hostID": USER, "size": 1});
    let others = json!({"containerID": 1, "hostID": FIRST, "size": 65536});
    map(bundle, json!([own, others]));
}

/// The runtime as the caller, with the accounts it needs over the machine's.
fn runtime(case: &Case, words: &[&str]) -> Program {
    call(case, &[], words)
}

/// The same, behind a program that runs it.
fn call(case: &Case, before: &[&str], words: &[&str]) -> Program {
    let own = case.directory.join("user");
    if !own.exists() {
        fs::create_dir(&own).unwrap();
        fs::copy(case.runtime_path(), own.join("runtime")).unwrap();
        fs::create_dir(own.join("state")).unwrap();
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        fs::write(
            own.join("passwd"),
            format!("{passwd}caller:x:{USER}:{USER}::/:/bin/sh\n"),
        )
        .unwrap();
        fs::write(own.join("sub"), format!("caller:{FIRST}:65536\n")).unwrap();
        fs::set_permissions(own.join("state"), fs::Permissions::from_mode(0o700)).unwrap();
        chown(own.join("state"), Some(USER), Some(USER)).unwrap();
    }
    let user = USER.to_string();
    let own = own.to_string_lossy().into_owned();
    let script = "mount --bind $0/passwd /etc/passwd; mount --bind $0/sub /etc/subuid; \
        mount --bind $0/sub /etc/subgid; u=$1; shift; \
        exec setpriv --reuid $u --regid $u --clear-groups \"$@\"";
    case.program("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-ec",
            script,
            &own,
            &user,
        ])
        .args(before)
        .args([&format!("{own}/runtime"), "--root", &format!("{own}/state")])
        .args(words)
}

#[track_caller]
fn run(case: &mut Case, bundle: &Bundle) -> Finished {
    bundle.write();
    let id = case.id();
    runtime(
        case,
        &["run", "--bundle", &bundle.path.to_string_lossy(), &id],
    )
    .run()
}

#[must(
    "uidMappings (array of objects, OPTIONAL) describes the user namespace uid mappings from the host to the container."
)]
fn own_id_alone(case: &mut Case) {
    let bundle = bundle(case);
    let facts = Facts::parse(&run(case, &bundle).ok().stdout);
    assert_eq!(facts.at("/uid"), 0);
    assert_eq!(facts.text("/setgroups").trim(), "deny");
    let words: Vec<&str> = facts.text("/uid_map").split_whitespace().collect();
    assert_eq!(words, ["0", &USER.to_string(), "1"]);
}

#[convention("Subordinate ids are mapped by newuidmap and newgidmap.")]
fn subordinate_ids(case: &mut Case) {
    let mut bundle = bundle(case);
    map_subordinate(&mut bundle);
    bundle
        .config
        .set("/process/user", json!({"uid": 5, "gid": 6}));
    let facts = Facts::parse(&run(case, &bundle).ok().stdout);
    assert_eq!(facts.at("/uid"), 5);
    assert_eq!(facts.at("/gid"), 6);
    assert_eq!(facts.text("/setgroups").trim(), "allow");
}

/// The others refuse groups to every caller who is not root, or take them.
#[convention("process.user.additionalGids are set where setgroups(2) is allowed.")]
fn groups(case: &mut Case) {
    case.only_corten();
    let mut bundle = bundle(case);
    map_subordinate(&mut bundle);
    bundle.config.set(
        "/process/user",
        json!({"uid": 0, "gid": 0, "additionalGids": [7]}),
    );
    let facts = Facts::parse(&run(case, &bundle).ok().stdout);
    assert_eq!(facts.at("/groups"), &json!([7]));
}

#[convention("A limit without a delegated cgroup is an error that names the property.")]
fn limits(case: &mut Case) {
    case.only_corten();
    let mut bundle = bundle(case);
    bundle
        .config
        .set("/linux/resources", json!({"pids": {"limit": 5}}));
    let refused = run(case, &bundle)
        .fails()
        .says("linux.resources.pids.limit");
    // Where the machine itself lacks the controller, that is said instead.
    let why = ["is delegated", "no cgroup controller"];
    let said = why.iter().any(|why| refused.stderr.contains(why));
    assert!(said, "{}", refused.describe());
}

#[convention("Root of a user namespace runs containers without one of their own, and with one.")]
fn nested(case: &mut Case) {
    for own in [false, true] {
        let mut bundle = bundle(case);
        if own {
            map(
                &mut bundle,
                json!([{"containerID": 0, "hostID": 0, "size": 1}]),
            );
        } else {
            bundle.config.without_namespace("user");
            bundle
                .config
                .remove("/linux", "uidMappings")
                .remove("/linux", "gidMappings");
        }
        bundle.write();
        let id = case.id();
        let path = bundle.path.to_string_lossy().into_owned();
        let words = ["run", "--bundle", &path, &id];
        let facts = Facts::parse(
            &call(case, &["unshare", "-r", "-m"], &words)
                .run()
                .ok()
                .stdout,
        );
        assert_eq!(facts.at("/uid"), 0);
        assert_eq!(facts.at("/pid"), 1);
    }
}

#[convention("Ids that are not granted to the caller are an error.")]
fn ids_of_others(case: &mut Case) {
    case.works();
    let mut bundle = bundle(case);
    map(
        &mut bundle,
        json!([{"containerID": 0, "hostID": FIRST + 70_000, "size": 2}]),
    );
    run(case, &bundle).fails();
}

#[convention("create, exec, kill and delete work for a user too.")]
fn lifecycle(case: &mut Case) {
    let mut bundle = bundle(case);
    bundle.config.args(&["/bin/sleep", "1000"]);
    bundle.write();
    let id = case.id();
    let path = bundle.path.to_string_lossy().into_owned();
    runtime(case, &["create", "--bundle", &path, &id])
        .run()
        .ok();
    runtime(case, &["start", &id]).run().ok();
    let answer = runtime(case, &["exec", &id, "/bin/id", "-u"]).run().ok();
    assert_eq!(answer.stdout, "0\n");
    runtime(case, &["kill", &id, "KILL"]).run().ok();
    case.until("it can be deleted", || {
        runtime(case, &["delete", &id]).run().status.success()
    });
}

/// The kernel clones a tree only for who may administer the mount namespace it is in,
/// and the host's is not the caller's.
#[convention("`mounts add` gives a user's container new file systems, and refuses binds.")]
fn mounts_of_a_running_container(case: &mut Case) {
    case.only_corten();
    let mut bundle = bundle(case);
    bundle.config.args(&["/bin/sleep", "1000"]);
    bundle.write();
    let id = case.id();
    let path = bundle.path.to_string_lossy().into_owned();
    let create = ["run", "--detach", "--bundle", &path, &id];
    runtime(case, &create).run().ok();
    let change = |what: &str, list: serde_json::Value| {
        let command = runtime(case, &["mounts", what, &id, "-"]);
        command.input(&list.to_string()).run()
    };
    let mounted = || {
        let line = "grep -c ' /a ' /proc/mounts || true";
        let exec = runtime(case, &["exec", &id, "/bin/sh", "-c", line]);
        exec.run().ok().stdout
    };
    let tmpfs = json!([{"destination": "/a", "type": "tmpfs", "options": ["size=64k"]}]);
    change("add", tmpfs.clone()).ok();
    assert_eq!(mounted(), "1\n");
    let bind = json!([{"destination": "/b", "source": "/usr", "options": ["bind"]}]);
    change("add", bind).exits(1).says("mounts[0].source");
    change("remove", tmpfs).ok();
    assert_eq!(mounted(), "0\n");
    runtime(case, &["kill", &id, "KILL"]).run().ok();
    case.until("it can be deleted", || {
        runtime(case, &["delete", &id]).run().status.success()
    });
}
