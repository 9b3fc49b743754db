//! The targets: what is read, and what must hold of it whatever the bytes are.

use plan::{
    ExecRequest, HostFacts, InitOp, MountsChange, MountsRequest, Plan, Request, UpdateRequest,
};
use serde_json::{Value, json};

/// One way in.
pub struct Target {
    /// For `FUZZ_TARGET` and the corpus.
    pub name: &'static str,
    /// The mutator works on documents.
    pub is_json: bool,
    /// Reads the bytes; panics when something does not hold.
    pub run: fn(&[u8]),
}

const fn json_target(name: &'static str, run: fn(&[u8])) -> Target {
    Target {
        name,
        is_json: true,
        run,
    }
}

/// All of them.
pub const ALL: [Target; 9] = [
    json_target("config", config),
    json_target("exec", exec),
    json_target("update", update),
    json_target("mounts", mounts),
    json_target("seccomp", seccomp),
    json_target("state", libcontainer::fuzzed::state),
    json_target("message", libcontainer::fuzzed::message),
    Target {
        name: "mount_options",
        is_json: false,
        run: mount_options,
    },
    Target {
        name: "proc_stat",
        is_json: false,
        run: proc_stat,
    },
];

/// A configuration that everything else refers to.
fn base() -> Value {
    serde_json::from_slice(include_bytes!("../corpus/config/spec.json")).expect("the seed")
}

fn hosts() -> [HostFacts; 2] {
    [HostFacts::v2_root(), HostFacts::hybrid_root()]
}

/// `config.json`: planned or refused, on every kind of host.
fn config(bytes: &[u8]) {
    let Ok(spec) = plan::spec::load(bytes) else {
        return;
    };
    for host in hosts() {
        match plan::build(&spec, &Request::create("c1", "/bundle"), &host) {
            Ok(plan) => check(&plan),
            Err(errors) => check_errors(&errors),
        }
    }
}

/// `exec --process`
fn exec(bytes: &[u8]) {
    let config = base().to_string();
    let mut request = ExecRequest::command("c1", &[]);
    request.process = Some(bytes.to_owned());
    for host in hosts() {
        match plan::exec(config.as_bytes(), &request, &host) {
            Ok(plan) => check(&plan.process),
            Err(errors) => check_errors(&errors),
        }
    }
}

/// `update --resources`; what it makes of the configuration can be read again.
fn update(bytes: &[u8]) {
    let config = base().to_string();
    let request = UpdateRequest {
        id: "c1".to_owned(),
        resources: Some(bytes.to_owned()),
        options: Vec::new(),
    };
    for host in hosts() {
        match plan::update(config.as_bytes(), &request, &host) {
            Ok(plan) => {
                plan::spec::load(&plan.config).expect("the configuration after an update");
                let settings = plan.settings.iter();
                settings.for_each(|setting| check_file(&setting.file, &setting.value));
            }
            Err(errors) => check_errors(&errors),
        }
    }
}

/// `mounts add`
fn mounts(bytes: &[u8]) {
    let config = base().to_string();
    for change in [MountsChange::Add, MountsChange::Remove] {
        let request = MountsRequest {
            id: "c1".to_owned(),
            change,
            list: bytes.to_owned(),
            bundle: "/bundle".to_owned(),
            init: 77,
        };
        for host in hosts() {
            match plan::change_mounts(config.as_bytes(), &request, &host) {
                Ok(plan) => check(&plan),
                Err(errors) => check_errors(&errors),
            }
        }
    }
}

/// The options of a mount, one a line; the first line is its type.
fn mount_options(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let kind = lines.next().unwrap_or_default();
    let options: Vec<&str> = lines.collect();
    let mut document = base();
    document["mounts"] = json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/x", "type": kind, "source": "/host/y", "options": options},
    ]);
    config(document.to_string().as_bytes());
}

/// A profile: what is compiled is a program that the kernel would take.
fn seccomp(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice(bytes) else {
        return;
    };
    let Ok(program) = plan::seccomp::compile_json(&value) else {
        return;
    };
    let instructions = &program.instructions;
    assert!(instructions.len() <= 4096, "longer than BPF_MAXINSNS");
    for (at, instruction) in instructions.iter().enumerate() {
        let code = (instruction >> 48) as u16;
        let (yes, no) = ((instruction >> 40) as u8, (instruction >> 32) as u8);
        // BPF_JMP with BPF_JA jumps by its operand, the others by their two offsets.
        let farthest = match code & 7 {
            5 if code & 0xf0 == 0 => *instruction as u32 as usize,
            5 => usize::from(yes.max(no)),
            6 => continue,
            _ => 0,
        };
        assert!(
            at + 1 + farthest < instructions.len(),
            "{at} leaves the program"
        );
    }
}

/// `/proc/PID/stat`, in which a process has chosen its name.
fn proc_stat(bytes: &[u8]) {
    let Some(stat) = kernel::procfs::parse_process_stat(bytes) else {
        return;
    };
    let name = bytes.iter().position(|byte| *byte == b'(');
    assert!(name.is_none_or(|at| at < bytes.len()), "{stat:?}");
}

/// What holds of every plan.
fn check(plan: &Plan) {
    let text = serde_json::to_vec(plan).expect("a plan is JSON");
    let again: Plan = serde_json::from_slice(&text).expect("and can be read again");
    assert!(again == *plan, "{plan:?} became {again:?}");
    for step in &plan.init {
        match &step.op {
            InitOp::Mount(op) => check_path(&op.target),
            InitOp::MakeDevice(device) => check_path(&device.path),
            InitOp::ProtectPath { path } | InitOp::MaskPath { path, .. } => check_path(path),
            InitOp::WriteSysctl { file, value } => check_file(&file.replace('/', "."), value),
            _ => {}
        }
    }
    for setting in &plan.cgroup.settings {
        check_file(&setting.file, &setting.value);
    }
    let parts: Vec<&str> = plan.cgroup.path.split('/').collect();
    assert!(!parts.contains(&".."), "{}", plan.cgroup.path);
}

/// Absolute below the root, without a way up and without NUL.
fn check_path(path: &str) {
    let climbs = path.split('/').any(|part| part == "..");
    assert!(
        path.starts_with('/') && !climbs && !path.contains('\0'),
        "{path:?}"
    );
}

fn check_file(file: &str, value: &str) {
    let good = !file.is_empty() && !file.contains(['/', '\0']) && !file.contains("..");
    assert!(good && !value.contains('\0'), "{file:?} = {value:?}");
}

/// One line each, and at least one.
fn check_errors(errors: &plan::Errors) {
    let text = errors.to_string();
    assert!(!text.is_empty(), "no error");
    assert!(!text.contains(['\0', '\x1b']), "{text:?}");
}
