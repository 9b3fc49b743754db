//! The caller's own terminal, while a container in the foreground uses it.

use std::fs;
use std::path::PathBuf;

use runtime_tests::{Bundle, Case, Running, convention};
use serde_json::json;

const CHAPTER: &str = "The terminal of the caller";

/// A program that says what it is told: signals, and the size of its terminal.
const PROGRAM: &str = "trap 'stty size > /resized' WINCH; trap 'exit 9' TERM; \
                       trap 'echo usr1 > /signalled' USR1; trap 'echo hup > /signalled' HUP; \
                       stty size > /size; mv /size /ready; while :; do sleep 0.02; done";

/// A runtime that stays at a terminal of 25 lines and 80 columns.
struct Foreground {
    script: Running,
    directory: PathBuf,
    root: PathBuf,
}

impl Foreground {
    /// `command` is that of the runtime, which makes [`PROGRAM`] run in `bundle`.
    fn start(case: &Case, bundle: &Bundle, command: &str) -> Self {
        let directory = case.directory.clone();
        let runtime = format!(
            "{} --root {} {command}",
            case.runtime_path(),
            case.state_root().display()
        );
        let file = directory.join("line.sh");
        let text = format!(
            "cd {}\ntty > tty\nstty rows 25 cols 80\nstty -g > before\n\
             sh -c 'echo $$ > pid; exec {runtime}'\necho $? > code\nstty -g > after\n",
            directory.display()
        );
        fs::write(&file, text).unwrap();
        let line = format!("sh {}", file.display());
        let script = case.program("script").args(["-qec", &line, "/dev/null"]);
        let foreground = Self {
            script: script.spawn(),
            directory,
            root: bundle.rootfs(),
        };
        case.until("the program runs", || {
            foreground.root.join("ready").exists()
        });
        foreground
    }

    /// A file that the shell around the runtime wrote.
    fn noted(&self, name: &str) -> String {
        let text = fs::read_to_string(self.directory.join(name)).unwrap();
        text.trim_end().to_owned()
    }

    /// A file that the program wrote.
    fn wait_for(&self, case: &Case, name: &str, wanted: &str) {
        let file = self.root.join(name);
        case.until(wanted, || {
            fs::read_to_string(&file).is_ok_and(|text| text.trim_end() == wanted)
        });
    }

    fn stty(&self, case: &Case, words: &[&str]) -> String {
        let terminal = self.noted("tty");
        let stty = case.program("stty").args(["-F", &terminal]).args(words);
        stty.run().ok().stdout
    }

    fn signal(&self, case: &Case, name: &str) {
        let pid = self.noted("pid");
        case.program("kill").args(["-s", name, &pid]).run().ok();
    }

    /// The terminal passes every key on, and shows nothing by itself.
    fn is_raw(&self, case: &Case) -> bool {
        let state = self.stty(case, &["-a"]);
        let words = ["-icanon", "-echo", "-isig", "-icrnl"];
        words.iter().all(|word| state.contains(word))
    }

    /// Everything that a foreground does, until the program is told to end.
    fn check(self, case: &Case) {
        if case.is_corten() {
            // The peers set it while the program runs already.
            self.wait_for(case, "ready", "25 80");
        }
        case.until("the terminal is raw", || self.is_raw(case));
        self.stty(case, &["rows", "44", "cols", "99"]);
        self.wait_for(case, "resized", "44 99");
        for name in ["USR1", "HUP"] {
            self.signal(case, name);
            self.wait_for(case, "signalled", &name.to_lowercase());
        }
        self.signal(case, "TERM");
        self.ends_with("9\n");
    }

    /// The command ends with this exit status, and the terminal is as before.
    #[track_caller]
    fn ends_with(self, code: &str) {
        let Self {
            script, directory, ..
        } = self;
        script.finish().ok();
        let noted = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
        assert_eq!(noted("code"), code);
        assert_eq!(noted("after"), noted("before"));
    }
}

#[convention(
    "`run` at a terminal: raw while the program runs, its size is the program's, signals are passed on, and all is as before at the end."
)]
fn of_run(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/terminal", json!(true));
    bundle.config.shell(PROGRAM);
    bundle.write();
    let id = case.id();
    let command = format!("run --bundle {} {id}", bundle.path.display());
    Foreground::start(case, &bundle, &command).check(case);
}

#[convention(
    "`exec --tty` at a terminal: raw while the program runs, its size is the program's, signals are passed on, and all is as before at the end."
)]
fn of_exec(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/sleep", "1000"]);
    let program = bundle.rootfs().join("program");
    fs::write(&program, PROGRAM).unwrap();
    let id = case.launch(&bundle);
    let command = format!("exec --tty {id} /bin/sh /program");
    Foreground::start(case, &bundle, &command).check(case);
    case.destroy(&id);
}

#[convention(
    "A container that is killed, or deleted, from elsewhere leaves the terminal as it was."
)]
fn of_a_container_that_is_killed(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/terminal", json!(true));
    bundle.config.shell(PROGRAM);
    bundle.write();
    let id = case.id();
    let command = format!("run --bundle {} {id}", bundle.path.display());
    let foreground = Foreground::start(case, &bundle, &command);
    case.runtime().args(["kill", &id, "KILL"]).run().ok();
    foreground.ends_with("137\n");
}

#[convention("A program that cannot be executed leaves the terminal as it was.")]
fn of_a_program_that_is_none(case: &mut Case) {
    case.works();
    case.works();
    let mut bundle = case.bundle();
    bundle.config.set("/process/terminal", json!(true));
    bundle.config.args(&["/none"]);
    bundle.write();
    let id = case.id();
    let line = format!(
        "stty -g > {0}/before; {1} --root {2} run --bundle {3} {id}; echo $? > {0}/code; stty -g > {0}/after",
        case.directory.display(),
        case.runtime_path(),
        case.state_root().display(),
        bundle.path.display(),
    );
    let script = case.program("script").args(["-qec", &line, "/dev/null"]);
    script.run().ok();
    assert!(!case.state_root().join(&id).exists());
    let noted = |name: &str| fs::read_to_string(case.directory.join(name)).unwrap();
    assert_ne!(noted("code"), "0\n");
    assert_eq!(noted("after"), noted("before"));
}

#[convention("A process of `exec` with a terminal does not become the container's /dev/console.")]
fn console_is_of_init_alone(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/sleep", "1000"]);
    let id = case.launch(&bundle);
    let line = format!(
        "{} --root {} exec --tty {id} /bin/sh -c 'test -t 0 && ! test -e /dev/console && echo none'",
        case.runtime_path(),
        case.state_root().display(),
    );
    let script = case.program("script").args(["-qec", &line, "/dev/null"]);
    let finished = script.run().ok();
    assert!(finished.stdout.contains("none"), "{}", finished.describe());
    case.destroy(&id);
}

#[convention(
    "Programs of users open `/dev/stdout` in `exec` too, which needs the pipe to be theirs."
)]
fn stdout_of_exec_can_be_reopened(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/sleep", "1000"]);
    let id = case.launch(&bundle);
    let line = format!(
        "{} --root {} exec --user 1000:1000 {id} /bin/sh -c 'echo reopened > /dev/stdout' | cat; exit ${{PIPESTATUS[0]}}",
        case.runtime_path(),
        case.state_root().display(),
    );
    let finished = case.program("bash").args(["-c", &line]).run().ok();
    assert_eq!(finished.stdout, "reopened\n");
    case.destroy(&id);
}
