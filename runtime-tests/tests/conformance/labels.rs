//! config.md, "Linux Process": `apparmorProfile`, `selinuxLabel`; config-linux.md, "Mount Label".

use std::fs;
use std::path::Path;

use runtime_tests::{Bundle, Case, Program, convention, must, skip};
use serde_json::json;

use crate::exec::{exec, launch};

const CHAPTER: &str = "config.md: Security labels";

/// A profile that is loaded as long as this lives. It allows everything but reading
/// /etc/secret, with which the root of the bundle is furnished.
struct Profile {
    name: String,
    file: std::path::PathBuf,
    keep: std::path::PathBuf,
}

impl Profile {
    fn load(case: &Case, bundle: &Bundle, name: &str) -> Self {
        let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
        if !enabled.is_ok_and(|text| text.starts_with('Y')) {
            skip("AppArmor is not active on this machine");
        }
        if !Path::new("/sbin/apparmor_parser").exists() {
            skip("there is no apparmor_parser to load a profile with");
        }
        fs::write(bundle.rootfs().join("etc/secret"), "secret\n").unwrap();
        let profile = Self {
            name: format!("{}-{name}", case.token()),
            file: case.directory.join(format!("{name}.profile")),
            keep: case.directory.clone(),
        };
        let text = format!(
            "profile {} flags=(attach_disconnected, mediate_deleted) {{\n  file, capability, network, \
             mount, umount, pivot_root, ptrace, signal, unix, change_profile,\n  deny /etc/secret r,\n}}\n",
            profile.name
        );
        fs::write(&profile.file, text).unwrap();
        profile.parser("-r").ok();
        profile
    }

    fn parser(&self, what: &str) -> runtime_tests::Finished {
        Program::new(&self.keep, "/sbin/apparmor_parser")
            .args(["-K", "-T", what])
            .args([self.file.to_string_lossy()])
            .run()
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.parser("-R");
    }
}

/// Tells the profile and whether it holds.
const LINE: &str =
    "cat /proc/self/attr/apparmor/current; cat /etc/secret 2>/dev/null || echo denied";

impl Profile {
    /// What [`LINE`] prints under it.
    fn enforced(&self) -> String {
        format!("{} (enforce)\ndenied", self.name)
    }
}

#[must(
    "apparmorProfile (string, OPTIONAL) specifies the name of the AppArmor profile for the process."
)]
fn apparmor_profile(case: &mut Case) {
    let mut bundle = case.bundle();
    let profile = Profile::load(case, &bundle, "a");
    bundle
        .config
        .set("/process/apparmorProfile", json!(profile.name));
    for sealed in [true, false] {
        bundle.config.set("/process/noNewPrivileges", json!(sealed));
        assert_eq!(case.shell(&mut bundle, LINE), profile.enforced());
    }
}

#[must(
    "apparmorProfile (string, OPTIONAL) specifies the name of the AppArmor profile for the process."
)]
fn apparmor_profile_in_a_user_namespace(case: &mut Case) {
    let mut bundle = case.bundle();
    let profile = Profile::load(case, &bundle, "a");
    bundle
        .config
        .set("/process/apparmorProfile", json!(profile.name));
    bundle.config.user_namespace(100_000);
    assert_eq!(case.shell(&mut bundle, LINE), profile.enforced());
}

#[must(
    "apparmorProfile (string, OPTIONAL) specifies the name of the AppArmor profile for the process."
)]
fn apparmor_profile_of_an_ordinary_user(case: &mut Case) {
    let mut bundle = case.bundle();
    let profile = Profile::load(case, &bundle, "a");
    bundle
        .config
        .set("/process/apparmorProfile", json!(profile.name));
    bundle
        .config
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(case.shell(&mut bundle, LINE), profile.enforced());
}

#[convention(
    "CVE-2019-16884, CVE-2025-52881: with the image's own files over /proc the profile holds all the same, or there is no container."
)]
fn apparmor_profile_over_a_covered_proc(case: &mut Case) {
    let mut bundle = case.bundle();
    let profile = Profile::load(case, &bundle, "a");
    let proc = bundle.rootfs().join("proc");
    let cover = format!(
        "mount -t tmpfs fake {proc}; for d in self thread-self; do mkdir -p {proc}/$d/attr/apparmor; \
         : > {proc}/$d/attr/exec; : > {proc}/$d/attr/apparmor/exec; done",
        proc = proc.display()
    );
    bundle.config.hook("createContainer", &cover);
    bundle
        .config
        .set("/process/apparmorProfile", json!(profile.name))
        .set("/linux/readonlyPaths", json!([]))
        .set("/linux/maskedPaths", json!([]))
        .shell("cat /etc/secret 2>/dev/null || echo denied");
    let finished = case.run(&bundle);
    assert!(
        !finished.stdout.contains("secret"),
        "{}",
        finished.describe()
    );
}

#[convention("A process that is executed in a container is confined as the container is.")]
fn apparmor_profile_holds_for_exec(case: &mut Case) {
    let mut bundle = case.bundle();
    let profile = Profile::load(case, &bundle, "a");
    bundle
        .config
        .set("/process/apparmorProfile", json!(profile.name));
    let id = launch(case, &mut bundle);
    let found = exec(case, &[], &id, &["/bin/sh", "-c", LINE]).run().ok();
    assert_eq!(found.stdout.trim_end(), profile.enforced());
    case.destroy(&id);
}

#[convention("exec --apparmor: the profile of the process.")]
fn apparmor_profile_of_exec(case: &mut Case) {
    let mut bundle = case.bundle();
    let profile = Profile::load(case, &bundle, "a");
    let other = Profile::load(case, &bundle, "b");
    bundle
        .config
        .set("/process/apparmorProfile", json!(profile.name));
    let id = launch(case, &mut bundle);
    let options = ["--apparmor", &other.name];
    let found = exec(case, &options, &id, &["/bin/sh", "-c", LINE])
        .run()
        .ok();
    assert_eq!(found.stdout.trim_end(), other.enforced());
    case.destroy(&id);
}

/// The kernel lets nobody leave a profile under no_new_privs, but be confined by one more.
#[convention("The profile is added to that of a runtime which is confined itself.")]
fn apparmor_profile_of_a_confined_runtime(case: &mut Case) {
    let mut bundle = case.bundle();
    let inner = Profile::load(case, &bundle, "a");
    let outer = Profile::load(case, &bundle, "b");
    bundle
        .config
        .set("/process/apparmorProfile", json!(inner.name))
        .shell(LINE);
    let id = case.id();
    bundle.write();
    let run = case.run_command(&bundle, &id, &[]);
    let line = format!(
        "echo exec {} >/proc/self/attr/apparmor/exec; exec {}",
        outer.name,
        run.line()
    );
    let found = case.program("sh").args(["-c", &line]).run().ok();
    let mut names = [&*inner.name, &*outer.name];
    names.sort_unstable();
    let both = format!("{} (enforce)\ndenied\n", names.join("//&"));
    assert_eq!(found.stdout, both);
}

/// Everything is, where there is no AppArmor.
#[convention("A profile of \"unconfined\", or an empty one, is no profile.")]
fn apparmor_unconfined(case: &mut Case) {
    let mut bundle = case.bundle();
    for profile in ["unconfined", ""] {
        bundle
            .config
            .set("/process/apparmorProfile", json!(profile));
        assert_eq!(case.shell(&mut bundle, "echo fine"), "fine");
    }
}

/// What engines write when nothing is to be labelled.
#[convention("An empty label is no label.")]
fn empty_selinux_labels(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/selinuxLabel", json!(""));
    bundle.config.set("/linux/mountLabel", json!(""));
    assert_eq!(case.shell(&mut bundle, "echo fine"), "fine");
}
