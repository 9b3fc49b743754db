//! config.md, "Process".

use std::os::unix::fs::PermissionsExt;

use runtime_tests::{Case, convention, falls_without, must, skip};
use serde_json::json;

const CHAPTER: &str = "config.md: Process";

#[must("cwd (string, REQUIRED) is the working directory that will be set for the executable.")]
fn cwd(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/cwd", json!("/home/user"));
    assert_eq!(case.facts(&bundle).text("/cwd"), "/home/user");
}

#[convention("Engines rely on a missing cwd being made, with mode 0755.")]
fn cwd_is_made(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/cwd", json!("/srv/made/here"));
    assert_eq!(case.facts(&bundle).text("/cwd"), "/srv/made/here");
}

/// It is looked up after the mounts are in place.
#[must("cwd (string, REQUIRED) is the working directory that will be set for the executable.")]
fn cwd_inside_a_mount(case: &mut Case) {
    let mut bundle = case.bundle();
    let source = case.directory.join("volume");
    std::fs::create_dir_all(source.join("deep")).unwrap();
    bundle.config.bind(&source, "/volume", &["rbind"]);
    bundle.config.set("/process/cwd", json!("/volume/deep"));
    assert_eq!(case.facts(&bundle).text("/cwd"), "/volume/deep");
}

#[convention(
    "A cwd never leads out of the container through a descriptor of the runtime (CVE-2024-21626)."
)]
#[falls_without("descriptors")]
fn cwd_never_leaves_through_a_descriptor(case: &mut Case) {
    case.works();
    for number in 3..16 {
        for climb in ["", "/..", "/../../.."] {
            let mut bundle = case.bundle();
            bundle.config.set(
                "/process/cwd",
                json!(format!("/proc/self/fd/{number}{climb}")),
            );
            let line = format!(
                "pwd -P; ls -d {0} .{0} 2>/dev/null",
                case.directory.display()
            );
            bundle.config.shell(&line);
            let finished = case.run(&bundle);
            if finished.status.success() || !finished.stdout.is_empty() {
                let first = finished.stdout.lines().next().unwrap_or_default();
                assert!(first.starts_with('/'), "{}", finished.describe());
                assert_eq!(
                    finished.stdout.lines().count(),
                    1,
                    "{}",
                    finished.describe()
                );
            }
        }
    }
}

#[convention(
    "A program never leads out of the container through a descriptor of the runtime (CVE-2024-21626)."
)]
fn args_never_leave_through_a_descriptor(case: &mut Case) {
    let mark = case.directory.join("mark");
    std::fs::write(&mark, "#!/bin/sh\necho escaped\n").unwrap();
    std::fs::set_permissions(&mark, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut bundle = case.bundle();
    bundle.config.bind(&mark, "/mark", &["bind"]);
    bundle.config.args(&["/mark"]);
    assert_eq!(case.run(&bundle).ok().stdout, "escaped\n", "it works");
    for number in 3..16 {
        let mut bundle = case.bundle();
        let path = format!(
            "/proc/self/fd/{number}/../../../../../../../..{}",
            mark.display()
        );
        bundle.config.args(&[&path]);
        let finished = case.run(&bundle);
        assert!(
            !finished.stdout.contains("escaped"),
            "{}",
            finished.describe()
        );
    }
}

#[must(
    "env (array of strings, OPTIONAL) with the same semantics as IEEE Std 1003.1-2008's environ."
)]
fn env(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.push("/process/env", json!("ONE=two=three"));
    bundle.config.push("/process/env", json!("EMPTY="));
    let facts = case.facts(&bundle);
    assert_eq!(facts.env("ONE"), Some("two=three"));
    assert_eq!(facts.env("EMPTY"), Some(""));
    assert_eq!(
        facts.env("RUNTIME"),
        None,
        "the caller's environment stays outside"
    );
}

#[convention("The last of two entries of one name in `env` counts.")]
fn env_last_wins(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.push("/process/env", json!("TWICE=first"));
    bundle.config.push("/process/env", json!("TWICE=second"));
    assert_eq!(case.shell(&mut bundle, "echo $TWICE"), "second");
}

/// Found in the container's PATH.
#[must(
    "args (array of strings, OPTIONAL) with similar semantics to IEEE Std 1003.1-2008 execvp's argv."
)]
fn args_by_path(case: &mut Case) {
    let mut bundle = case.bundle();
    std::fs::create_dir(bundle.rootfs().join("opt")).unwrap();
    std::fs::rename(
        bundle.rootfs().join("bin/probe"),
        bundle.rootfs().join("opt/hidden"),
    )
    .unwrap();
    bundle
        .config
        .set("/process/env", json!(["PATH=/nowhere:/opt"]));
    bundle.config.args(&["hidden", "facts"]);
    assert_eq!(case.facts(&bundle).text("/args/0"), "hidden");
}

/// A name with a slash is used as it is, relative to cwd.
#[must(
    "args (array of strings, OPTIONAL) with similar semantics to IEEE Std 1003.1-2008 execvp's argv."
)]
fn args_by_slash_relative_to_cwd(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/process/cwd", json!("/bin"))
        .args(&["./probe", "facts"]);
    assert_eq!(case.facts(&bundle).text("/args/0"), "./probe");
}

#[convention("HOME is from the container's /etc/passwd when the config does not set it.")]
fn home_from_passwd(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(case.facts(&bundle).env("HOME"), Some("/home/user"));
}

#[convention("A user without an entry has the home `/`.")]
fn home_of_unknown_user(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/process/user", json!({"uid": 4242, "gid": 4242}));
    assert_eq!(case.facts(&bundle).env("HOME"), Some("/"));
}

/// A HOME of the config stays.
#[must(
    "env (array of strings, OPTIONAL) with the same semantics as IEEE Std 1003.1-2008's environ."
)]
fn home_kept(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.push("/process/env", json!("HOME=/elsewhere"));
    assert_eq!(case.facts(&bundle).env("HOME"), Some("/elsewhere"));
}

/// Every argument arrives as it was written.
#[must(
    "args (array of strings, OPTIONAL) with similar semantics to IEEE Std 1003.1-2008 execvp's argv."
)]
fn arguments_reach_the_program(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .args(&["/bin/probe", "facts", "", "a b", "\"quoted\"", "é\n"]);
    let facts = case.facts(&bundle);
    let args = json!(["/bin/probe", "facts", "", "a b", "\"quoted\"", "é\n"]);
    assert_eq!(facts.at("/args"), &args);
}

/// A script with an interpreter line is a program.
#[must(
    "args (array of strings, OPTIONAL) with similar semantics to IEEE Std 1003.1-2008 execvp's argv."
)]
fn shebang(case: &mut Case) {
    let mut bundle = case.bundle();
    let script = bundle.rootfs().join("bin/script");
    std::fs::write(&script, "#!/bin/sh\necho script $0 $1\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    bundle.config.args(&["script", "one"]);
    assert_eq!(case.run(&bundle).ok().stdout, "script /bin/script one\n");
}

#[convention("A program that does not exist fails `create`, in words that engines turn into 127.")]
fn missing_program_fails_at_create(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["no-such-program"]);
    bundle.write();
    let id = case.id();
    let finished = case.create_command(&bundle, &id, &[]).run().exits(1);
    finished
        .says("executable file not found in $PATH")
        .says("no-such-program");
}

#[convention(
    "A path that leads to no program fails `create`, in words that engines turn into 127."
)]
fn missing_program_by_path(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/no/such/program"]);
    bundle.write();
    let id = case.id();
    let finished = case.create_command(&bundle, &id, &[]).run().exits(1);
    finished
        .says("no such file or directory")
        .says("/no/such/program");
}

#[convention(
    "A file without its execute bits fails `create`, in words that engines turn into 126."
)]
fn program_not_executable(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/etc/passwd"]);
    bundle.write();
    let id = case.id();
    case.create_command(&bundle, &id, &[])
        .run()
        .exits(1)
        .says("permission denied");
}

#[convention("A directory is no program and fails `create`.")]
fn program_is_a_directory(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/etc"]);
    bundle.write();
    let id = case.id();
    let finished = case.create_command(&bundle, &id, &[]).run().exits(1);
    let words = finished.stderr.to_lowercase();
    assert!(
        words.contains("is a directory") || words.contains("permission denied"),
        "{words}"
    );
}

#[must(
    "soft - rlim.rlim_cur MUST match the configured value; hard - rlim.rlim_max MUST match the configured value."
)]
fn rlimits(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set(
        "/process/rlimits",
        json!([
            {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 4096},
            {"type": "RLIMIT_CPU", "soft": 600, "hard": 700},
            {"type": "RLIMIT_FSIZE", "soft": 1_000_000, "hard": 2_000_000},
            {"type": "RLIMIT_STACK", "soft": 4_194_304, "hard": 8_388_608},
            {"type": "RLIMIT_AS", "soft": 1_073_741_824, "hard": 1_073_741_824}
        ]),
    );
    let facts = case.facts(&bundle);
    let limit = |name: &str| facts.at(&format!("/limits/{name}")).clone();
    assert_eq!(limit("Max open files"), json!(["100", "200"]));
    assert_eq!(limit("Max core file size"), json!(["0", "4096"]));
    assert_eq!(limit("Max cpu time"), json!(["600", "700"]));
    assert_eq!(limit("Max file size"), json!(["1000000", "2000000"]));
    assert_eq!(limit("Max stack size"), json!(["4194304", "8388608"]));
    assert_eq!(
        limit("Max address space"),
        json!(["1073741824", "1073741824"])
    );
}

/// The largest number stands for "unlimited".
#[must("hard (uint64, REQUIRED) - rlim.rlim_max MUST match the configured value.")]
fn rlimit_unlimited_core(case: &mut Case) {
    let mut bundle = case.bundle();
    let unlimited = json!([{"type": "RLIMIT_CORE", "soft": u64::MAX, "hard": u64::MAX}]);
    bundle.config.set("/process/rlimits", unlimited);
    let own = std::fs::read_to_string("/proc/self/limits").unwrap();
    let own = own
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    if own.matches("unlimited").count() < 2
        && !own.trim_end().contains("unlimited            bytes")
    {
        skip("the hard limit of core files is lowered on this host");
    }
    let facts = case.facts(&bundle);
    assert_eq!(
        facts.at("/limits/Max core file size"),
        &json!(["unlimited", "unlimited"])
    );
}

#[must("umask (int, OPTIONAL) specifies the umask of the user.")]
fn umask(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/user/umask", json!(0o077));
    assert_eq!(case.facts(&bundle).at("/umask"), &json!(0o077));
}

#[convention("Without `umask` engines see 0022.")]
fn umask_default(case: &mut Case) {
    let bundle = case.bundle();
    assert_eq!(case.facts(&bundle).at("/umask"), &json!(0o022));
}

/// Upwards: lowering needs a capability.
#[must("If oomScoreAdj is set, the runtime MUST set oom_score_adj to the given value.")]
fn oom_score_adj(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/oomScoreAdj", json!(555));
    assert_eq!(case.facts(&bundle).text("/oom_score_adj"), "555");
}

#[must("If oomScoreAdj is not set, the runtime MUST NOT change the value of oom_score_adj.")]
fn oom_score_adj_unset(case: &mut Case) {
    let bundle = case.bundle();
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert_eq!(case.facts(&bundle).text("/oom_score_adj"), own.trim());
}

#[must(
    "noNewPrivileges (bool, OPTIONAL) setting this to true prevents the process from gaining additional privileges."
)]
fn no_new_privileges(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/noNewPrivileges", json!(true));
    assert_eq!(case.facts(&bundle).status("NoNewPrivs"), "1");
}

/// Here it is false.
#[must(
    "noNewPrivileges (bool, OPTIONAL) setting this to true prevents the process from gaining additional privileges."
)]
fn new_privileges(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/noNewPrivileges", json!(false));
    assert_eq!(case.facts(&bundle).status("NoNewPrivs"), "0");
    bundle.config.remove("/process", "noNewPrivileges");
    assert_eq!(case.facts(&bundle).status("NoNewPrivs"), "0");
}

#[convention(
    "The process leads a session of its own, so that a signal typed at the caller does not reach it."
)]
fn session_is_new(case: &mut Case) {
    let bundle = case.bundle();
    let facts = case.facts(&bundle);
    assert_eq!(facts.at("/pid"), &json!(1));
    assert_eq!(facts.at("/sid"), &json!(1));
}

/// Neither the runtime's own nor its caller's reach the program.
#[must(
    "By default, only the stdin, stdout and stderr file descriptors are kept open for the application by the runtime."
)]
fn no_descriptors_leak(case: &mut Case) {
    let bundle = case.bundle();
    bundle.write();
    let id = case.id();
    let line = format!(
        "exec {} --root {} run --bundle {} {id} 5<{} 9</etc/passwd 17<>/dev/null",
        case.runtime_path(),
        case.state_root().display(),
        bundle.path.display(),
        case.directory.display(),
    );
    let finished = case.program("bash").args(["-c", &line]).run().ok();
    let facts = runtime_tests::Facts::parse(&finished.stdout);
    assert_eq!(facts.descriptors(), [0, 1, 2], "{}", facts.at("/fds"));
}

#[convention("Nothing the runtime blocked or ignored for itself stays so.")]
fn signals_are_default(case: &mut Case) {
    let bundle = case.bundle();
    let facts = case.facts(&bundle);
    assert_eq!(facts.status("SigBlk"), "0000000000000000");
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let own = u64::from_str_radix(own.unwrap().trim(), 16).unwrap();
    // The probe is Rust: its runtime ignores SIGPIPE (13) by itself. What the caller
    // ignores may be inherited.
    let ignored = u64::from_str_radix(facts.status("SigIgn"), 16).unwrap();
    assert_eq!(ignored & !(1 << 12 | own), 0, "ignored: {ignored:x}");
}
