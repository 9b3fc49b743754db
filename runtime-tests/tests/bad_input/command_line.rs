//! Ids, options and files on the command line.

use std::fs;
use std::os::unix::fs::symlink;

use runtime_tests::{Case, convention, must};

use crate::refused::check;

const CHAPTER: &str = "Bad command lines";

const IDS: &[&str] = &[
    "..",
    ".",
    "../victim",
    "a/b",
    "/abs",
    "",
    " ",
    "a b",
    "a\nb",
    "-v",
    "ü",
    "a%",
    "a:b",
    "*",
    ".hidden",
    "a\tb",
    "a\\b",
    "~",
];

/// Things beside and in the state root that no id may reach.
fn plant_decoys(case: &Case) {
    let victim = case.directory.join("victim");
    fs::create_dir(&victim).expect("mkdir");
    fs::write(victim.join("state.json"), "{}").expect("file");
    fs::write(case.directory.join("marker"), "x").expect("file");
}

#[track_caller]
fn decoys_live(case: &Case, id: &str) {
    for path in ["victim/state.json", "marker", "state"] {
        assert!(
            case.directory.join(path).exists(),
            "{path} is gone after {id:?}"
        );
    }
}

fn bad_ids() -> Vec<String> {
    let mut all: Vec<String> = IDS.iter().map(|id| (*id).to_owned()).collect();
    all.push("x".repeat(300));
    all.push("x".repeat(2000));
    all
}

fn refuses_ids(case: &mut Case, command: &str) {
    case.only_corten();
    plant_decoys(case);
    let bundle = case.bundle();
    bundle.write();
    let path = bundle.path.to_string_lossy();
    for id in bad_ids() {
        let finished = case
            .runtime()
            .args([command, "--bundle", &path, "--", &id])
            .run();
        check(finished, &["id"]);
        decoys_live(case, &id);
    }
}

#[must(
    "If the ID provided is not unique across all containers within the scope of the runtime, or is not valid in any other way, the implementation MUST generate an error and a new container MUST NOT be created."
)]
fn ids_on_create(case: &mut Case) {
    refuses_ids(case, "create");
}

#[must(
    "If the ID provided is ... not valid in any other way, the implementation MUST generate an error and a new container MUST NOT be created."
)]
fn ids_on_run(case: &mut Case) {
    refuses_ids(case, "run");
}

#[convention("An id that no container can have never becomes a path.")]
fn ids_on_every_other_command(case: &mut Case) {
    case.only_corten();
    plant_decoys(case);
    for command in ["start", "state", "kill", "delete"] {
        for id in bad_ids() {
            let finished = case.runtime().args([command, "--", &id]).run();
            check(finished, &[]);
            decoys_live(case, &id);
        }
    }
}

#[convention(
    "Whether `delete --force` of an impossible id is an error or nothing to do: nothing but a container of that id is touched."
)]
fn ids_with_delete_force(case: &mut Case) {
    plant_decoys(case);
    let mut bundle = case.bundle();
    bundle.config.args(&["sleep", "1000"]);
    let container = case.launch(&bundle);
    for id in bad_ids() {
        let finished = case.runtime().args(["delete", "--force", "--", &id]).run();
        assert!(finished.code().is_some(), "{}", finished.describe());
        decoys_live(case, &id);
    }
    assert_eq!(case.state(&container)["status"], "running");
    // The same words with an id that there is do delete.
    let delete = ["delete", "--force", "--", &container];
    case.runtime().args(delete).run().ok();
    case.runtime().args(["state", &container]).run().fails();
}

#[convention("A symlink in the state root is no container.")]
fn planted_state_symlink(case: &mut Case) {
    case.only_corten();
    plant_decoys(case);
    symlink(
        case.directory.join("victim"),
        case.state_root().join("planted"),
    )
    .expect("symlink");
    for command in ["state", "start", "kill", "delete"] {
        check(case.runtime().args([command, "planted"]).run(), &[]);
    }
    let bundle = case.bundle();
    bundle.write();
    check(case.create_command(&bundle, "planted", &[]).run(), &[]);
    decoys_live(case, "planted");
    let _ = fs::remove_file(case.state_root().join("planted"));
}

#[convention("A state root that is a file is refused by name.")]
fn state_root_is_a_file(case: &mut Case) {
    case.only_corten();
    let bundle = case.bundle();
    bundle.write();
    let file = case.directory.join("file");
    fs::write(&file, "").expect("file");
    let path = bundle.path.to_string_lossy();
    let runtime = case
        .program(case.runtime_path())
        .args(["--root", &file.to_string_lossy()]);
    check(
        runtime.args(["create", "--bundle", &path, "x"]).run(),
        &["not a directory"],
    );
}

#[convention("A state root that others can write is not trusted.")]
fn state_root_is_writable_for_others(case: &mut Case) {
    case.only_corten();
    let bundle = case.bundle();
    bundle.write();
    let root = case.directory.join("open");
    fs::create_dir(&root).expect("mkdir");
    fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("chmod");
    let path = bundle.path.to_string_lossy();
    let runtime = case
        .program(case.runtime_path())
        .args(["--root", &root.to_string_lossy()]);
    check(
        runtime.args(["create", "--bundle", &path, "x"]).run(),
        &["open"],
    );
}

#[convention("Without a command: the usage on stdout, or an error on stderr.")]
fn no_command(case: &mut Case) {
    let finished = case.program(case.runtime_path()).run();
    let told = match finished.code() {
        Some(0) => &finished.stdout,
        Some(_) => &finished.stderr,
        None => &String::new(),
    };
    assert!(told.contains("command"), "{}", finished.describe());
}

#[convention("An unknown command is an error that names it.")]
fn unknown_command(case: &mut Case) {
    case.runtime().args(["stat", "x"]).run().fails();
}

#[convention("An unknown option is an error that names it.")]
fn unknown_option(case: &mut Case) {
    case.runtime()
        .args(["state", "--no-such-option", "x"])
        .run()
        .fails();
}

#[must("This operation MUST generate an error if it is not provided the container ID.")]
fn missing_id(case: &mut Case) {
    for command in ["create", "run", "start", "state", "kill", "delete"] {
        let finished = case.runtime().args([command]).run().fails();
        assert!(
            !finished.stderr.is_empty() || !finished.stdout.is_empty(),
            "{}",
            finished.describe()
        );
    }
}

#[convention("More arguments than a command takes are an error.")]
fn too_many_arguments(case: &mut Case) {
    case.runtime().args(["state", "one", "two"]).run().fails();
}

#[convention("A log format that is none is an error that names it.")]
fn bad_log_format(case: &mut Case) {
    case.only_corten();
    let finished = case
        .runtime()
        .args(["--log-format", "xml", "state", "x"])
        .run()
        .fails();
    assert!(finished.stderr.contains("xml"), "{}", finished.describe());
}

fn refused_with(case: &mut Case, terminal: bool, options: &[&str], words: &[&str]) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/process/terminal", serde_json::json!(terminal));
    bundle.write();
    let id = case.id();
    check(case.create_command(&bundle, &id, options).run(), words);
}

#[convention("A console socket that does not exist is an error that names it.")]
fn console_socket_missing(case: &mut Case) {
    let path = case.directory.join("no.sock").display().to_string();
    refused_with(
        case,
        true,
        &["--console-socket", &path],
        &["no.sock", "no such file or directory"],
    );
}

#[convention("A console socket that is a file is an error that names it.")]
fn console_socket_is_a_file(case: &mut Case) {
    let path = case.directory.join("file");
    fs::write(&path, "").expect("file");
    refused_with(
        case,
        true,
        &["--console-socket", &path.to_string_lossy()],
        &["file"],
    );
}

#[convention("A console socket without `process.terminal` is an error, not ignored.")]
fn console_socket_without_terminal(case: &mut Case) {
    let path = case.directory.join("no.sock").display().to_string();
    refused_with(case, false, &["--console-socket", &path], &["console"]);
}

/// The pid file's directory is missing.
#[must(
    "Unless otherwise stated, generating an error MUST leave the state of the environment as if the operation were never attempted."
)]
fn pid_file_in_a_missing_directory(case: &mut Case) {
    let path = case.directory.join("no/pid").display().to_string();
    refused_with(
        case,
        false,
        &["--pid-file", &path],
        &["pid", "no such file or directory"],
    );
}

/// The pid file is a directory.
#[must(
    "Unless otherwise stated, generating an error MUST leave the state of the environment as if the operation were never attempted."
)]
fn pid_file_is_a_directory(case: &mut Case) {
    let path = case.directory.join("pid");
    fs::create_dir(&path).expect("mkdir");
    refused_with(
        case,
        false,
        &["--pid-file", &path.to_string_lossy()],
        &["pid"],
    );
}

#[convention("Engines leave holes: a descriptor that is not open is none to preserve.")]
fn preserved_descriptor_is_not_open(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    case.run_with(&bundle, &["--preserve-fds", "3"]).ok();
}

#[convention("`--preserve-fds` takes a number.")]
fn preserve_fds_no_number(case: &mut Case) {
    case.only_corten();
    let bundle = case.bundle();
    bundle.write();
    let id = case.id();
    case.create_command(&bundle, &id, &["--preserve-fds", "many"])
        .run()
        .fails()
        .says("many");
}

#[convention("`delete --force` clears whatever is in the way, without following it.")]
fn corrupt_state_is_cleared(case: &mut Case) {
    case.only_corten();
    let kinds: &[(&str, &[u8])] = &[
        ("empty", b""),
        ("cut", b"{\"id\": \"x"),
        ("random", b"\x80\x81\xff"),
        ("array", b"[]"),
        ("null", b"null"),
        ("types", b"{\"id\": 5, \"pid\": \"x\", \"version\": []}"),
        ("nul", b"{\"id\": \"\0\"}"),
    ];
    for (name, bytes) in kinds {
        let directory = case.state_root().join(name);
        fs::create_dir(&directory).expect("mkdir");
        fs::write(directory.join("state.json"), bytes).expect("file");
        for command in ["state", "start", "kill"] {
            check(case.runtime().args([command, name]).run(), &[]);
        }
        case.runtime().args(["list"]).run().ok();
        case.runtime().args(["delete", "--force", name]).run().ok();
        assert!(!directory.exists(), "{name}");
    }
    for name in ["nothing", "deep"] {
        let directory = case.state_root().join(name);
        fs::create_dir(&directory).expect("mkdir");
        if name == "deep" {
            fs::write(directory.join("state.json"), "[".repeat(3_000_000)).expect("file");
        }
        case.runtime().args(["delete", "--force", name]).run().ok();
        assert!(!directory.exists(), "{name}");
    }
}
