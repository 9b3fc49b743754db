//! A `config.json` that is no config at all, and a root that is no root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use runtime_tests::{Bundle, Case, convention, must};
use serde_json::json;

use crate::refused::{check, expect_refusal};

const CHAPTER: &str = "config.md: Documents";

fn raw(case: &mut Case, bytes: &[u8], words: &[&str]) {
    let bundle = case.bundle();
    bundle.write_raw(bytes);
    expect_refusal(case, &bundle, words);
}

/// There is no config.json in it.
#[must("This operation MUST generate an error if it is not provided a path to the bundle.")]
fn missing(case: &mut Case) {
    let bundle = case.bundle();
    expect_refusal(case, &bundle, &["config.json", "no such file or directory"]);
}

/// Here: nothing.
#[must("This configuration file contains JSON.")]
fn empty(case: &mut Case) {
    raw(case, b"", &["config.json"]);
}

/// Here: YAML or prose.
#[must("This configuration file contains JSON.")]
fn not_json(case: &mut Case) {
    raw(case, b"ociVersion: 1.0.2\n", &["config.json"]);
}

/// Here: half of it.
#[must("This configuration file contains JSON.")]
fn cut_off(case: &mut Case) {
    let bundle = case.bundle();
    let text = bundle.config.0.to_string();
    bundle.write_raw(&text.as_bytes()[..text.len() / 2]);
    expect_refusal(case, &bundle, &["config.json"]);
}

/// Here: and something after it.
#[must("This configuration file contains JSON.")]
fn trailing_garbage(case: &mut Case) {
    let bundle = case.bundle();
    bundle.write_raw(format!("{}}}", bundle.config.0).as_bytes());
    expect_refusal(case, &bundle, &["config.json"]);
}

/// Here: an array.
#[must("This configuration file contains a JSON object.")]
fn an_array(case: &mut Case) {
    raw(case, b"[]", &["config.json"]);
}

/// Here: null.
#[must("This configuration file contains a JSON object.")]
fn null(case: &mut Case) {
    raw(case, b"null", &["config.json"]);
}

/// Here: a number.
#[must("This configuration file contains a JSON object.")]
fn a_number(case: &mut Case) {
    raw(case, b"42", &["config.json"]);
}

#[must(
    "JSON texts MUST be encoded in UTF-8 and MUST NOT begin with a byte order mark. (RFC 8259, section 8.1)"
)]
fn byte_order_mark(case: &mut Case) {
    let bundle = case.bundle();
    bundle.write_raw(format!("\u{feff}{}", bundle.config.0).as_bytes());
    expect_refusal(case, &bundle, &["config.json"]);
}

#[must("JSON text ... MUST be encoded using UTF-8. (RFC 8259, section 8.1)")]
fn not_utf8(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/hostname", json!("MARK"));
    let text = bundle.config.0.to_string();
    let at = text.find("MARK").expect("the mark");
    let mut bytes = text.into_bytes();
    bytes[at] = 0xff;
    bundle.write_raw(&bytes);
    expect_refusal(case, &bundle, &["config.json"]);
}

#[must(
    "All characters may be placed within the quotation marks, except for ... the control characters. (RFC 8259, section 7: MUST be escaped)"
)]
fn raw_nul(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/hostname", json!("MARK"));
    let text = bundle.config.0.to_string();
    let at = text.find("MARK").expect("the mark");
    let mut bytes = text.into_bytes();
    bytes[at] = 0;
    bundle.write_raw(&bytes);
    expect_refusal(case, &bundle, &["config.json"]);
}

/// A number that no integer type holds.
#[must("Runtimes MUST generate an error when invalid or unsupported values are encountered.")]
fn huge_number(case: &mut Case) {
    let bundle = case.bundle();
    let text = bundle
        .config
        .0
        .to_string()
        .replacen("\"uid\":0", "\"uid\":1e999", 1);
    bundle.write_raw(text.as_bytes());
    expect_refusal(case, &bundle, &[]);
}

#[convention("A config of fifty megabytes is read to the limit and no further.")]
fn fifty_megabytes(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set(
        "/annotations",
        json!({"large": "x".repeat(50 * 1024 * 1024)}),
    );
    bundle.write();
    expect_refusal(case, &bundle, &["config.json"]);
}

fn nested(open: &str, close: &str, depth: usize) -> Vec<u8> {
    format!("{}1{}", open.repeat(depth), close.repeat(depth)).into_bytes()
}

#[convention("Arrays deeper than any config are refused, not a crash.")]
fn deep_arrays(case: &mut Case) {
    raw(case, &nested("[", "]", 10_000), &["config.json"]);
}

#[convention("Objects deeper than any config are refused, not a crash.")]
fn deep_objects(case: &mut Case) {
    raw(case, &nested("{\"a\":", "}", 10_000), &["config.json"]);
}

#[convention("An unknown property is ignored; a bottomless one may be refused, but never crashes.")]
fn deep_unknown_field_is_no_crash(case: &mut Case) {
    let bundle = case.bundle();
    let deep = String::from_utf8(nested("[", "]", 20_000)).expect("text");
    let text = bundle
        .config
        .0
        .to_string()
        .replacen('{', &format!("{{\"unknown\":{deep},"), 1);
    bundle.write_raw(text.as_bytes());
    ends_well(case, &bundle);
}

#[track_caller]
fn ends_well(case: &mut Case, bundle: &Bundle) {
    let id = case.id();
    let finished = case.run_command(bundle, &id, &[]).run();
    assert!(finished.code().is_some(), "{}", finished.describe());
    if case.is_corten() && !finished.status.success() {
        check(finished, &[]);
    }
}

#[convention("More mounts than the kernel allows are refused or made, never a crash.")]
fn many_mounts_are_no_crash(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    let mut list = bundle.config.0["mounts"]
        .as_array()
        .expect("mounts")
        .clone();
    for number in 0..3000 {
        list.push(json!({"destination": format!("/m/{}", number % 50), "type": "tmpfs", "source": "x", "options": ["size=4k"]}));
    }
    bundle.config.set("/mounts", json!(list));
    bundle.write();
    ends_well(case, &bundle);
}

/// More environment than execve takes.
#[must(
    "If the runtime cannot apply a property as specified in the configuration, it MUST generate an error."
)]
fn two_hundred_thousand_env(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    let list: Vec<String> = (0..200_000).map(|number| format!("N{number}=x")).collect();
    bundle.config.set("/process/env", json!(list));
    bundle.write();
    ends_well(case, &bundle);
}

/// A longer argument than execve takes.
#[must(
    "If the runtime cannot apply a property as specified in the configuration, it MUST generate an error."
)]
fn three_megabyte_argument(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true", &"x".repeat(3_000_000)]);
    bundle.write();
    expect_refusal(case, &bundle, &["process.args"]);
}

#[convention("A config.json that is a directory is refused by name.")]
fn config_is_a_directory(case: &mut Case) {
    let bundle = case.bundle();
    fs::create_dir(bundle.path.join("config.json")).expect("mkdir");
    expect_refusal(case, &bundle, &["config.json", "directory"]);
}

/// Nobody will ever write into it.
#[convention("A config.json that is a FIFO is refused, not waited for.")]
fn config_is_a_fifo(case: &mut Case) {
    let bundle = case.bundle();
    let path = bundle.path.join("config.json");
    case.program("mkfifo")
        .args([path.to_string_lossy()])
        .run()
        .ok();
    expect_refusal(case, &bundle, &["config.json"]);
}

/// A FIFO, which nobody will ever write into.
#[must(
    "The runtime MUST generate an error if path is not associated with a namespace of type type."
)]
fn namespace_path_is_a_fifo(case: &mut Case) {
    let mut bundle = case.bundle();
    let path = bundle.path.join("fifo");
    let path = path.to_string_lossy();
    case.program("mkfifo").args([&path]).run().ok();
    bundle.config.join_namespace("network", &path);
    bundle.write();
    let words = ["linux.namespaces[5].path", "not the file of a namespace"];
    expect_refusal(case, &bundle, &words);
}

#[convention("A config.json that is a socket is refused by name.")]
fn config_is_a_socket(case: &mut Case) {
    let bundle = case.bundle();
    let _listener =
        std::os::unix::net::UnixListener::bind(bundle.path.join("config.json")).expect("bind");
    expect_refusal(case, &bundle, &["config.json"]);
}

#[convention("A config.json that is a loop of symlinks is refused by name.")]
fn config_is_a_symlink_loop(case: &mut Case) {
    let bundle = case.bundle();
    symlink("config.json", bundle.path.join("config.json")).expect("symlink");
    expect_refusal(case, &bundle, &["config.json"]);
}

/// It leads to nothing.
#[must("This operation MUST generate an error if it is not provided a path to the bundle.")]
fn bundle_missing(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.path = case.directory.join("nowhere");
    expect_refusal(case, &bundle, &["nowhere", "no such file or directory"]);
}

/// It is a file.
#[must("This operation MUST generate an error if it is not provided a path to the bundle.")]
fn bundle_is_a_file(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.path = case.directory.join("file");
    fs::write(&bundle.path, "").expect("file");
    expect_refusal(case, &bundle, &["file", "not a directory"]);
}

#[convention("A bundle path with dots in it is not broken at all.")]
fn bundle_path_with_dots(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    bundle.write();
    bundle.path = bundle.path.join("../bundle0/./rootfs/..");
    let id = case.id();
    case.run_command(&bundle, &id, &[]).run().ok();
}

/// The bundle's author may mean a symlink, but what it names is not what was checked.
#[must("A directory MUST exist at the path declared by the field (root.path).")]
fn root_is_a_symlink(case: &mut Case) {
    let bundle = case.bundle();
    let real = bundle.path.join("real");
    fs::rename(bundle.rootfs(), &real).expect("rename");
    symlink(&real, bundle.rootfs()).expect("symlink");
    bundle.write();
    expect_refusal(case, &bundle, &["root.path", "symlink"]);
}

/// A root that the mapped root cannot read.
#[must(
    "If the runtime cannot apply a property as specified in the configuration, it MUST generate an error."
)]
fn root_not_readable_for_the_mapped_root(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000).args(&["/bin/true"]);
    fs::set_permissions(bundle.rootfs(), fs::Permissions::from_mode(0o700)).expect("chmod");
    bundle.write();
    expect_refusal(case, &bundle, &["permission denied"]);
}

/// The program is not in the root.
#[must(
    "If the runtime cannot apply a property as specified in the configuration, it MUST generate an error."
)]
fn root_without_its_program(case: &mut Case) {
    let bundle = case.bundle();
    fs::remove_dir_all(bundle.rootfs()).expect("remove");
    fs::create_dir(bundle.rootfs()).expect("mkdir");
    bundle.write();
    expect_refusal(
        case,
        &bundle,
        &["process.args", "no such file or directory"],
    );
}

fn five_problems(case: &mut Case) -> Bundle {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/process/cwd", json!("relative"))
        .set("/process/rlimits/0/type", json!("RLIMIT_BOGUS"))
        .set("/linux/rootfsPropagation", json!("sharedd"))
        .push("/linux/namespaces", json!({"type": "pid"}))
        .push("/hooks/poststop", json!({"path": "relative"}));
    bundle.write();
    bundle
}

#[convention("`explain` prints every problem of a config at once.")]
fn explain_tells_all_problems(case: &mut Case) {
    case.only_corten();
    let bundle = five_problems(case);
    let path = bundle.path.to_string_lossy();
    let finished = case
        .program(case.runtime_path())
        .args(["explain", "--bundle", &path])
        .run()
        .exits(1);
    let all = format!("{}{}", finished.stdout, finished.stderr);
    for word in [
        "process.cwd",
        "process.rlimits[0].type",
        "linux.rootfsPropagation",
        "linux.namespaces[6]",
        "hooks.poststop[0].path",
    ] {
        assert!(all.contains(word), "{word}: {}", finished.describe());
    }
}

#[convention("`create` prints the first problem and says how many more there are.")]
fn first_problem_and_how_many_more(case: &mut Case) {
    case.only_corten();
    let bundle = five_problems(case);
    expect_refusal(case, &bundle, &["4 more"]);
}

#[must(
    "Runtimes MAY log unknown properties but MUST otherwise ignore them. That includes not generating errors if they encounter an unknown property."
)]
fn unknown_properties_are_ignored(case: &mut Case) {
    let mut bundle = case.bundle();
    for pointer in [
        "/unknown",
        "/process/unknown",
        "/linux/unknown",
        "/linux/resources/unknown",
        "/root/unknown",
        "/mounts/0/unknown",
    ] {
        bundle
            .config
            .set(pointer, json!({"any": [1, "thing", null]}));
    }
    bundle.config.args(&["/bin/true"]);
    case.run(&bundle).ok();
}
