//! Completions in the shells that they are for: bash and zsh at a terminal with the Tab
//! key, fish by its own `complete -C`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use runtime_tests::{Case, Terminal, convention, skip};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const CHAPTER: &str = "completions";
const PROMPT: &str = "ready> ";
const HOME: &str = "\u{1}";

/// A directory with the program `corten`, which has the state of this test.
fn path_with_corten(case: &Case) -> String {
    let bin = case.directory.join("bin");
    fs::create_dir_all(&bin).expect("bin");
    let (runtime, state) = (case.runtime_path(), case.state_root());
    let program = bin.join("corten");
    let text = format!(
        "#!/bin/sh\nexec {runtime} --root {} \"$@\"\n",
        state.display()
    );
    fs::write(&program, text).expect("wrapper");
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("chmod");
    format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display())
}

/// The script of a shell, where that looks for it.
fn script(case: &Case, shell: &str, name: &str) -> PathBuf {
    let text = case
        .program(case.runtime_path())
        .args(["completion", shell])
        .run()
        .ok()
        .stdout;
    let file = case.directory.join(name);
    fs::create_dir_all(file.parent().expect("a directory")).expect("directories");
    fs::write(&file, text).expect("the script");
    file
}

fn needs(shell: &str) {
    if !Path::new("/usr/bin").join(shell).exists() && !Path::new("/bin").join(shell).exists() {
        skip(&format!("{shell} is not installed (`make handbook`)"));
    }
}

/// A container that waits, so that there is an id to complete.
fn waiting(case: &mut Case) -> String {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    case.create(&bundle)
}

/// A shell at a terminal.
struct Shell {
    terminal: Terminal,
    process: Child,
    tabs: &'static str,
}

impl Shell {
    /// `setup` ends with the prompt being [`PROMPT`].
    #[track_caller]
    fn start(case: &Case, words: &[&str], setup: &str, tabs: &'static str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let name = name.to_str().expect("a path").to_owned();
        let side = || {
            let file = fs::File::options().read(true).write(true).open(&name);
            Stdio::from(file.expect("the other side"))
        };
        let process = Command::new("setsid")
            .arg("--ctty")
            .args(words)
            .env("PATH", path_with_corten(case))
            .env("HOME", &case.directory)
            .env("TERM", "xterm")
            .current_dir(&case.directory)
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("the shell");
        let terminal = Terminal {
            master,
            label: String::new(),
        };
        let shell = Self {
            terminal,
            process,
            tabs,
        };
        // The words as they are typed do not contain the prompt that they make.
        shell.terminal.type_line(setup);
        shell.wait_for(|text| text.ends_with(PROMPT));
        shell
    }

    /// What the shell writes until it has written enough, without its colours.
    #[track_caller]
    fn wait_for(&self, enough: impl Fn(&str) -> bool) -> String {
        let text = self.terminal.read_until(|text| enough(&plain(text)));
        assert!(enough(&plain(&text)), "the shell said {text:?}");
        plain(&text)
    }

    /// Presses Tab behind `line`: the list that is offered, and the line that it becomes.
    #[track_caller]
    fn complete(&self, line: &str) -> (String, String) {
        // What stands on the line is printed, not carried out.
        self.terminal
            .type_line(&format!("{line}{}{HOME}echo $((6*7)): ", self.tabs));
        let ended = |text: &str| {
            let behind = text.split_once("42: ").map(|(_, rest)| rest);
            behind.is_some_and(|rest| rest.contains('\n') && rest.ends_with(PROMPT))
        };
        let text = self.wait_for(ended);
        let (list, rest) = text.split_once("42: ").expect("waited for");
        let line = rest.lines().next().unwrap_or_default().trim_end();
        (list.to_owned(), line.to_owned())
    }

    #[track_caller]
    fn becomes(&self, line: &str, wanted: &str) {
        let (list, found) = self.complete(line);
        assert_eq!(found, wanted, "{line:?} in {list:?}");
    }

    #[track_caller]
    fn offers(&self, line: &str, words: &[&str]) {
        let (list, found) = self.complete(line);
        for word in words {
            assert!(
                list.contains(word),
                "{line:?}: {word} in {list:?}, {found:?}"
            );
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.terminal.type_line("exit");
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The text without what moves the cursor and colours.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain += match part.strip_prefix('[') {
            Some(sequence) => match sequence.find(|c: char| c.is_ascii_alphabetic()) {
                Some(end) => &sequence[end + 1..],
                None => "",
            },
            None => part.get(1..).unwrap_or_default(),
        };
    }
    plain
}

/// What is the same in every shell.
#[track_caller]
fn completes(shell: &Shell, id: &str, other_root: &str) {
    let part = &id[..id.len() - 1];
    shell.becomes("corten doc", "corten doctor");
    shell.becomes("corten help err", "corten help errors");
    shell.becomes("corten completion f", "corten completion fish");
    shell.becomes("corten --log-format j", "corten --log-format json");
    shell.becomes("corten spec --network h", "corten spec --network host");
    shell.becomes(
        &format!("corten state {part}"),
        &format!("corten state {id}"),
    );
    shell.becomes(&format!("corten top {part}"), &format!("corten top {id}"));
    shell.becomes(
        &format!("corten mounts add {part}"),
        &format!("corten mounts add {id}"),
    );
    shell.becomes(
        &format!("corten --debug kill --all {part}"),
        &format!("corten --debug kill --all {id}"),
    );
    shell.becomes(
        &format!("corten kill {id} TE"),
        &format!("corten kill {id} TERM"),
    );
    // Another root has no such container; what follows ID is the container's.
    for line in [
        format!("corten --root {other_root} state {part}"),
        format!("corten exec {id} ls --det"),
        format!("corten run {part}"),
        "corten spec --args sh --mem".to_owned(),
    ] {
        shell.becomes(&line, &line);
    }
    shell.offers("corten sta", &["start", "state", "stats"]);
    shell.offers("corten run --overlay", &["--overlay", "--overlay-dir"]);
}

#[convention(
    "bash completes commands, options, values and ids, with the package bash-completion, too."
)]
fn bash(case: &mut Case) {
    case.only_corten();
    needs("bash");
    let id = waiting(case);
    let file = script(case, "bash", "share/bash-completion/completions/corten");
    let prompt = "PS1=ready'> '";
    let own = format!("source {}; {prompt}", file.display());
    let mut setups = vec![own];
    let package = "/usr/share/bash-completion/bash_completion";
    if Path::new(package).exists() {
        // It finds the script by itself, where `make install` puts it.
        let share = case.directory.join("share");
        setups.push(format!(
            "export XDG_DATA_DIRS={}; source {package}; {prompt}",
            share.display()
        ));
    }
    for setup in setups {
        let words = ["bash", "--noprofile", "--norc", "-i"];
        let shell = Shell::start(case, &words, &setup, "\t\t");
        completes(&shell, &id, "/nosuch");
        shell.becomes("corten spec --memo", "corten spec --memory");
    }
    case.destroy(&id);
}

#[convention("zsh completes commands, options, values and ids.")]
fn zsh(case: &mut Case) {
    case.only_corten();
    needs("zsh");
    let id = waiting(case);
    let file = script(case, "zsh", "functions/_corten");
    let setup = format!(
        "bindkey -e; fpath=({} $fpath); autoload -U compinit; compinit -u -D; PS1=ready'> '",
        file.parent().expect("a directory").display()
    );
    let shell = Shell::start(case, &["zsh", "-f", "-i"], &setup, "\t");
    completes(&shell, &id, "/nosuch");
    drop(shell);
    case.destroy(&id);
}

#[convention("fish completes commands, options, values and ids, and describes them.")]
fn fish(case: &mut Case) {
    case.only_corten();
    needs("fish");
    let id = waiting(case);
    let file = script(case, "fish", "corten.fish");
    let path = path_with_corten(case);
    let complete = |line: &str| {
        let text = format!("source {}; complete -C '{line}'", file.display());
        case.program("fish")
            .args(["--no-config", "-c", &text])
            .env("PATH", &path)
            .env("HOME", &case.directory.to_string_lossy())
            .directory(&case.directory)
            .run()
            .ok()
            .stdout
    };
    let words = |line: &str| -> Vec<String> {
        let text = complete(line);
        let words = text.lines().filter_map(|line| line.split('\t').next());
        words.map(str::to_owned).collect()
    };
    assert_eq!(words("corten st"), ["start", "state", "stats"]);
    assert!(complete("corten doc").contains("doctor\tCheck what this machine"));
    assert_eq!(words("corten run --over"), ["--overlay", "--overlay-dir"]);
    assert_eq!(words("corten --log-format "), ["json", "text"]);
    assert!(complete("corten spec --network ").contains("host\tThe caller's"));
    assert_eq!(words("corten help err"), ["errors"]);
    for line in ["state ", "top ", "mounts add ", "--debug kill --all "] {
        assert_eq!(words(&format!("corten {line}")), [id.as_str()], "{line}");
    }
    assert_eq!(words(&format!("corten kill {id} TE")), ["TERM"]);
    let nothing: [&str; 0] = [];
    for line in [
        "corten --root /nosuch state ".to_owned(),
        format!("corten delete {id} "),
        format!("corten exec {id} ls --det"),
        "corten run ".to_owned(),
        "corten spec --args sh --mem".to_owned(),
    ] {
        assert_eq!(words(&line), nothing, "{line}");
    }
    // A value that is a command's name, too.
    assert_eq!(words("corten --root run st"), ["start", "state", "stats"]);
    case.destroy(&id);
}
