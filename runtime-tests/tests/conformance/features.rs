//! features.md: what a runtime says of itself is true.

use runtime_tests::{Case, must, should, skip};
use serde_json::{Value, json};

const CHAPTER: &str = "features.md";

/// The Features structure.
fn features(case: &Case) -> Value {
    let finished = case.program(case.runtime_path()).args(["features"]).run();
    if !finished.status.success() {
        skip("this runtime has no `features`");
    }
    serde_json::from_str(&finished.stdout).expect("JSON")
}

/// One list of it; a runtime may leave it out.
fn list(features: &Value, pointer: &str) -> Vec<String> {
    let Some(list) = features.pointer(pointer).and_then(Value::as_array) else {
        skip("the runtime leaves this list out");
    };
    let word = |word: &Value| word.as_str().expect("a string").to_owned();
    list.iter().map(word).collect()
}

#[must(
    "ociVersionMin (string, REQUIRED) ... The runtime MUST accept this value as the ociVersion property of config.json."
)]
fn oldest_version(case: &mut Case) {
    accepts_version(case, "ociVersionMin");
}

#[must(
    "ociVersionMax (string, REQUIRED) ... The runtime MUST accept this value as the ociVersion property of config.json."
)]
fn newest_version(case: &mut Case) {
    accepts_version(case, "ociVersionMax");
}

fn accepts_version(case: &mut Case, name: &str) {
    let version = features(case)[name].clone();
    assert!(version.is_string(), "{name}");
    let mut bundle = case.bundle();
    bundle.config.set("/ociVersion", version);
    case.facts(&bundle);
}

#[must("The value (of ociVersionMax) MUST NOT be less than the value of ociVersionMin.")]
fn versions_are_in_order(case: &mut Case) {
    let features = features(case);
    let version = |name: &str| -> Vec<u64> {
        let text = features[name].as_str().expect("a version");
        let plain = text.split(['-', '+']).next().expect("a number");
        plain
            .split('.')
            .map(|part| part.parse().expect("a number"))
            .collect()
    };
    assert!(version("ociVersionMin") <= version("ociVersionMax"));
}

#[must(
    "hooks (array of strings, OPTIONAL) The recognized names of the hooks. The runtime MUST support the elements in this array as the hooks property of config.json."
)]
fn hooks(case: &mut Case) {
    let names = list(&features(case), "/hooks");
    let mut bundle = case.bundle();
    let log = crate::hooks::log(case, &mut bundle);
    for name in &names {
        let path = if name == "startContainer" {
            "/log".into()
        } else {
            log.display().to_string()
        };
        bundle.config.hook(name, &format!("cat > {path}/{name}"));
    }
    bundle.config.args(&["/bin/true"]);
    case.run(&bundle).ok();
    for name in &names {
        assert!(log.join(name).exists(), "{name}");
    }
}

/// The words that need something: another mount, mappings, a source of their own.
const WITH_CONDITIONS: [&str; 10] = [
    "bind",
    "rbind",
    "remount",
    "idmap",
    "ridmap",
    "copy-symlink",
    "src-nofollow",
    "dest-nofollow",
    "tmpcopyup",
    "unbindable",
];

#[must(
    "mountOptions (array of strings, OPTIONAL) The recognized names of the mount options ... The runtime MUST recognize the elements in this array as the options of mounts objects in config.json."
)]
fn mount_options(case: &mut Case) {
    let mut bundle = case.bundle();
    let known = list(&features(case), "/mountOptions");
    let plain = known
        .iter()
        .filter(|word| !WITH_CONDITIONS.contains(&word.as_str()));
    let plain: Vec<&str> = plain.map(String::as_str).collect();
    // What is not recognised goes to the file system, and ramfs would take it in silence.
    for (number, words) in plain.chunks(12).enumerate() {
        let target = format!("/run/mounts/{number}");
        bundle.config.mount(&target, "tmpfs", "tmpfs", words);
    }
    case.facts(&bundle);
}

#[should(
    "Linux: this array (mountOptions) SHOULD NOT contain filesystem-specific mount options that are passed to the mount(2) syscall as const void *data."
)]
fn no_options_of_file_systems(case: &mut Case) {
    let known = list(&features(case), "/mountOptions");
    for word in [
        "size",
        "mode",
        "uid",
        "gid",
        "nr_inodes",
        "hidepid",
        "lowerdir",
    ] {
        let named = |known: &String| known.split('=').next() == Some(word);
        assert!(!known.iter().any(named), "{word}");
    }
}

#[must(
    "namespaces (array of strings, OPTIONAL) The recognized names of the namespaces ... The runtime MUST recognize the elements in this array as the type of linux.namespaces objects in config.json."
)]
fn namespaces(case: &mut Case) {
    let names = list(&features(case), "/linux/namespaces");
    let mut bundle = case.bundle();
    let all: Vec<Value> = names.iter().map(|name| json!({"type": name})).collect();
    bundle.config.user_namespace(100_000);
    bundle.config.set("/linux/namespaces", json!(all));
    bundle.give_directories_to(100_000);
    let facts = case.facts(&bundle);
    for name in names {
        let file = match name.as_str() {
            "mount" => "mnt",
            "network" => "net",
            other => other,
        };
        let own = std::fs::read_link(format!("/proc/self/ns/{file}")).unwrap();
        let inside = facts.text(&format!("/namespaces/{file}"));
        assert_ne!(inside, own.to_string_lossy(), "{name}");
    }
}

#[must(
    "capabilities (array of strings, OPTIONAL) The recognized names of the capabilities ... The runtime MUST recognize the elements in this array in the process.capabilities object of config.json."
)]
fn capabilities(case: &mut Case) {
    let names = list(&features(case), "/linux/capabilities");
    let mut bundle = case.bundle();
    for set in ["bounding", "effective", "permitted"] {
        bundle
            .config
            .set(&format!("/process/capabilities/{set}"), json!(names));
    }
    let facts = case.facts(&bundle);
    let set = u64::from_str_radix(facts.status("CapBnd"), 16).unwrap();
    let mine = std::fs::read_to_string("/proc/self/status").unwrap();
    let mine = mine
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .unwrap();
    let mine = u64::from_str_radix(mine.trim(), 16).unwrap();
    // The kernel may know more than the runtime, and the runtime more than this kernel.
    let known = names.len().min(63);
    assert_eq!(set, mine & ((1 << known) - 1));
}

#[must(
    "seccomp: actions, operators, archs (arrays of strings, OPTIONAL) ... The runtime MUST recognize the elements in this array ... of linux.seccomp in config.json."
)]
fn seccomp(case: &mut Case) {
    let features = features(case);
    let mut rules = Vec::new();
    let actions = list(&features, "/linux/seccomp/actions");
    let listened = ["SCMP_ACT_NOTIFY"];
    for action in actions
        .iter()
        .filter(|word| !listened.contains(&word.as_str()))
    {
        // A call that nobody makes here.
        rules.push(json!({"names": ["swapoff"], "action": action,
            "args": [{"index": 0, "value": rules.len() + 1, "op": "SCMP_CMP_EQ"}]}));
    }
    for operator in list(&features, "/linux/seccomp/operators") {
        rules.push(json!({"names": ["swapon"], "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 0, "value": 7, "valueTwo": 7, "op": operator}]}));
    }
    let mut bundle = case.bundle();
    // One filter holds architectures of one byte order.
    let archs = list(&features, "/linux/seccomp/archs");
    let own = if cfg!(target_arch = "x86_64") {
        "SCMP_ARCH_X"
    } else {
        "SCMP_ARCH_AARCH64"
    };
    let archs: Vec<_> = archs.iter().filter(|word| word.starts_with(own)).collect();
    let profile =
        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": archs, "syscalls": rules});
    bundle.config.set("/linux/seccomp", profile);
    assert_eq!(case.facts(&bundle).status("Seccomp"), "2");
}

#[must(
    "seccomp.supportedFlags (array of strings, OPTIONAL) ... The runtime MUST recognize and support the elements in this array as the flags property of linux.seccomp in config.json."
)]
fn seccomp_flags(case: &mut Case) {
    let flags = list(&features(case), "/linux/seccomp/supportedFlags");
    // This one is for profiles that ask an agent.
    let plain = flags
        .iter()
        .filter(|flag| !flag.ends_with("WAIT_KILLABLE_RECV"));
    for flag in plain {
        let mut bundle = case.bundle();
        let rules = json!([{"names": ["swapoff"], "action": "SCMP_ACT_ERRNO"}]);
        let profile =
            json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": [flag], "syscalls": rules});
        bundle.config.set("/linux/seccomp", profile);
        assert_eq!(case.facts(&bundle).status("Seccomp"), "2", "{flag}");
    }
}

/// Version of the kernel that runs, `(6, 1)`.
fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[must(
    "memoryPolicy: modes (array of strings, OPTIONAL) The list of known memory policies. The runtime MUST recognize the elements in this array as the mode of linux.memoryPolicy in config.json."
)]
fn memory_policies(case: &mut Case) {
    for mode in list(&features(case), "/linux/memoryPolicy/modes") {
        // Features tell what the runtime knows; this one is of Linux 6.9.
        if mode == "MPOL_WEIGHTED_INTERLEAVE" && kernel() < (6, 9) {
            continue;
        }
        let mut bundle = case.bundle();
        let mut policy = json!({"mode": mode});
        if !["MPOL_DEFAULT", "MPOL_LOCAL"].contains(&mode.as_str()) {
            policy["nodes"] = json!("0");
        }
        bundle.config.set("/linux/memoryPolicy", policy);
        case.facts(&bundle);
    }
}

#[must(
    "potentiallyUnsafeConfigAnnotations (array of strings, OPTIONAL) contains values of annotations property of config.json that may potentially change the behavior of the runtime."
)]
fn annotations_are_names(case: &mut Case) {
    let names = list(&features(case), "/potentiallyUnsafeConfigAnnotations");
    assert!(!names.is_empty());
    for name in names {
        assert!(
            name.contains('.') && !name.contains(char::is_whitespace),
            "{name}"
        );
    }
}
