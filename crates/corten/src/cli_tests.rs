//! Names, short forms and defaults against those of runc, crun and youki: an
//! engine that drives them must not notice the difference.

use clap::{Arg, Command, CommandFactory, Parser};

use super::{CgroupManager, Cli, Command as Verb, LogFormat, Rootless};

/// `(command, option, short form, takes a value, default)`; `""` is the program
/// itself, `None` a default that is computed or absent.
type Row = (
    &'static str,
    &'static str,
    Option<char>,
    bool,
    Option<&'static str>,
);

#[rustfmt::skip]
const OPTIONS: &[Row] = &[
    ("", "root", Some('r'), true, None),
    ("", "log", Some('l'), true, None),
    ("", "log-format", None, true, None),
    ("", "debug", None, false, None),
    ("", "log-level", None, true, None),                       // crun
    ("", "systemd-cgroup", Some('s'), false, None),
    ("", "cgroup-manager", None, true, Some("cgroupfs")),      // crun
    ("", "rootless", None, true, Some("auto")),
    ("", "criu", None, true, None),                            // runc before 1.4
    ("", "version", Some('v'), false, None),
    ("", "usage", Some('?'), false, None),                     // crun
    ("create", "bundle", Some('b'), true, Some(".")),
    ("create", "config", Some('f'), true, Some("config.json")), // crun
    ("create", "console-socket", Some('c'), true, None),
    ("create", "pidfd-socket", None, true, None),              // runc
    ("create", "pid-file", Some('p'), true, None),
    ("create", "no-pivot", None, false, None),
    ("create", "no-new-keyring", None, false, None),
    ("create", "preserve-fds", None, true, Some("0")),
    ("create", "no-subreaper", None, false, None),             // crun
    ("run", "bundle", Some('b'), true, Some(".")),
    ("run", "config", Some('f'), true, Some("config.json")),   // crun
    ("run", "console-socket", Some('c'), true, None),
    ("run", "pidfd-socket", None, true, None),                 // runc
    ("run", "pid-file", Some('p'), true, None),
    ("run", "no-pivot", None, false, None),
    ("run", "no-new-keyring", None, false, None),
    ("run", "preserve-fds", None, true, Some("0")),
    ("run", "detach", Some('d'), false, None),
    ("run", "keep", None, false, None),
    ("run", "no-subreaper", None, false, None),
    ("kill", "all", Some('a'), false, None),
    ("kill", "regex", Some('r'), false, None),                 // crun
    ("delete", "force", Some('f'), false, None),
    ("delete", "regex", Some('r'), false, None),               // crun
    ("list", "format", Some('f'), true, Some("table")),
    ("list", "quiet", Some('q'), false, None),
    ("exec", "process", Some('p'), true, None),
    ("exec", "cwd", None, true, None),
    ("exec", "env", Some('e'), true, None),
    ("exec", "user", Some('u'), true, None),
    ("exec", "additional-gids", Some('g'), true, None),        // runc
    ("exec", "cap", Some('c'), true, None),
    ("exec", "no-new-privs", None, false, None),
    ("exec", "tty", Some('t'), false, None),
    ("exec", "detach", Some('d'), false, None),
    ("exec", "pid-file", None, true, None),
    ("exec", "console-socket", None, true, None),
    ("exec", "pidfd-socket", None, true, None),                // runc
    ("exec", "preserve-fds", None, true, Some("0")),
    ("exec", "ignore-paused", None, false, None),              // runc
    ("exec", "cgroup", None, true, None),
    ("exec", "process-label", None, true, None),
    ("exec", "apparmor", None, true, None),
    ("ps", "format", Some('f'), true, Some("table")),
    ("update", "resources", Some('r'), true, None),
    ("update", "blkio-weight", None, true, None),
    ("update", "cpu-period", None, true, None),
    ("update", "cpu-quota", None, true, None),
    ("update", "cpu-burst", None, true, None),
    ("update", "cpu-share", None, true, None),
    ("update", "cpu-rt-period", None, true, None),
    ("update", "cpu-rt-runtime", None, true, None),
    ("update", "cpu-idle", None, true, None),
    ("update", "cpuset-cpus", None, true, None),
    ("update", "cpuset-mems", None, true, None),
    ("update", "memory", None, true, None),
    ("update", "memory-reservation", None, true, None),
    ("update", "memory-swap", None, true, None),
    ("update", "kernel-memory", None, true, None),
    ("update", "kernel-memory-tcp", None, true, None),
    ("update", "pids-limit", None, true, None),
    ("update", "l3-cache-schema", None, true, None),
    ("update", "mem-bw-schema", None, true, None),
    ("events", "interval", None, true, Some("5s")),            // runc
    ("events", "stats", None, false, None),                    // runc
    ("checkpoint", "image-path", None, true, Some("checkpoint")),
    ("checkpoint", "work-path", None, true, None),
    ("checkpoint", "parent-path", None, true, None),
    ("checkpoint", "tcp-established", None, false, None),
    ("checkpoint", "tcp-close", None, false, None),
    ("checkpoint", "ext-unix-sk", None, false, None),
    ("checkpoint", "shell-job", None, false, None),
    ("checkpoint", "file-locks", None, false, None),
    ("checkpoint", "lazy-pages", None, false, None),
    ("checkpoint", "auto-dedup", None, false, None),
    ("checkpoint", "manage-cgroups-mode", None, true, None),
    ("checkpoint", "empty-ns", None, true, None),
    ("checkpoint", "network-lock", None, true, None),
    ("checkpoint", "leave-running", None, false, None),
    ("checkpoint", "pre-dump", None, false, None),
    ("checkpoint", "tcp-skip-in-flight", None, false, None),
    ("checkpoint", "link-remap", None, false, None),
    ("checkpoint", "page-server", None, true, None),
    ("checkpoint", "status-fd", None, true, None),
    ("restore", "image-path", None, true, Some("checkpoint")),
    ("restore", "work-path", None, true, None),
    ("restore", "parent-path", None, true, None),
    ("restore", "tcp-established", None, false, None),
    ("restore", "tcp-close", None, false, None),
    ("restore", "ext-unix-sk", None, false, None),
    ("restore", "shell-job", None, false, None),
    ("restore", "file-locks", None, false, None),
    ("restore", "lazy-pages", None, false, None),
    ("restore", "auto-dedup", None, false, None),
    ("restore", "manage-cgroups-mode", None, true, None),
    ("restore", "empty-ns", None, true, None),
    ("restore", "network-lock", None, true, None),
    ("restore", "bundle", Some('b'), true, Some(".")),
    ("restore", "config", Some('f'), true, Some("config.json")),
    ("restore", "console-socket", Some('c'), true, None),
    ("restore", "pidfd-socket", None, true, None),
    ("restore", "pid-file", Some('p'), true, None),
    ("restore", "no-pivot", None, false, None),
    ("restore", "no-new-keyring", None, false, None),
    ("restore", "preserve-fds", None, true, Some("0")),
    ("restore", "detach", Some('d'), false, None),
    ("restore", "no-subreaper", None, false, None),
    ("restore", "lsm-profile", None, true, None),
    ("restore", "lsm-mount-context", None, true, None),
    ("restore", "link-remap", None, false, None),
    ("spec", "bundle", Some('b'), true, Some(".")),
    ("spec", "file", Some('f'), true, Some("config.json")),    // crun
    ("spec", "rootless", None, false, None),
];

/// Options that neither peer has.
const OURS: &[&str] = &["explain", "stats", "logs", "doctor", "completion"];

/// The same of commands that they have, too.
const OUR_OPTIONS: &[&str] = &["timings", "overlay", "overlay-dir"];

/// The heading of options of `spec` that neither peer has.
const OUR_HEADING: &str = "The container";

fn command(name: &str) -> Command {
    let program = program();
    if name.is_empty() {
        return program;
    }
    program
        .find_subcommand(name)
        .unwrap_or_else(|| panic!("no command {name}"))
        .clone()
}

/// With the options of all commands, which are defined late.
fn program() -> Command {
    let mut program = Cli::command();
    program.build();
    program
}

fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_positional())
}

#[test]
fn options_are_those_of_the_peers() {
    for (name, long, short, takes_value, default) in OPTIONS {
        let command = command(name);
        let arg = options(&command)
            .find(|arg| arg.get_long() == Some(long))
            .unwrap_or_else(|| panic!("{name} --{long} is missing"));
        assert_eq!(arg.get_short(), *short, "{name} --{long}");
        assert_eq!(
            arg.get_action().takes_values(),
            *takes_value,
            "{name} --{long}"
        );
        let found = arg
            .get_default_values()
            .first()
            .and_then(|value| value.to_str());
        let found = found.filter(|_| *takes_value);
        assert_eq!(found, *default, "{name} --{long}");
    }
}

#[test]
fn no_option_is_missing_from_the_table() {
    let program = program();
    let commands = program.get_subcommands().chain([&program]);
    for command in commands {
        let name = if command.get_name() == "corten" {
            ""
        } else {
            command.get_name()
        };
        if OURS.contains(&name) {
            continue;
        }
        // Options of all commands stand once, in the program's own rows.
        let own = options(command).filter(|arg| name.is_empty() || !arg.is_global_set());
        let own = own.filter(|arg| arg.get_help_heading() != Some(OUR_HEADING));
        for long in own.filter_map(Arg::get_long) {
            let known = OPTIONS.iter().any(|row| row.0 == name && row.1 == long);
            let ours = OUR_OPTIONS.contains(&long) || long == "help";
            assert!(known || ours, "{name} --{long}");
        }
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_help_of_a_command_says_what_it_does() {
    let about = |command: &Command| command.get_about().map(ToString::to_string);
    let (early, late) = (Cli::command(), program());
    for command in early.get_subcommands() {
        let name = command.get_name();
        let built = late.find_subcommand(name).unwrap();
        assert!(about(command).is_some(), "{name}");
        assert_eq!(about(command), about(built), "{name}");
    }
}

fn parse(line: &str) -> Cli {
    let words = std::iter::once("corten").chain(line.split(' '));
    Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn engines_command_lines_are_understood() {
    let cli = parse(
        "--root /run/containerd/runc/k8s.io --log /b/log.json --log-format json --systemd-cgroup \
         create --bundle /b --pid-file /b/init.pid --console-socket /tmp/pty1/pty.sock c1",
    );
    assert_eq!(cli.global.log_format, Some(LogFormat::Json));
    assert!(cli.global.systemd_cgroup);
    let Verb::Create(create) = cli.command else {
        panic!("not create")
    };
    assert_eq!(create.container.id, "c1");
    assert_eq!(create.container.pid_file.as_deref(), Some("/b/init.pid"));

    let cli = parse(
        "--cgroup-manager disabled --log-format=json --log=/x create --bundle=/b --preserve-fds=2 c1",
    );
    assert_eq!(cli.global.cgroup_manager, CgroupManager::Disabled);
    assert_eq!(
        parse("--rootless=true list").global.rootless,
        Rootless::True
    );
    assert_eq!(
        parse("--rootless auto list").global.rootless,
        Rootless::Auto
    );
}

#[test]
fn options_may_follow_the_id_and_be_repeated() {
    let Verb::Delete(delete) = parse("delete c1 --force").command else {
        panic!("not delete")
    };
    assert!(delete.force);
    let Verb::Kill(kill) = parse("kill c1 9 --all").command else {
        panic!("not kill")
    };
    assert_eq!((kill.signal.as_str(), kill.all), ("9", true));
    let Verb::Kill(kill) = parse("kill -a c1").command else {
        panic!("not kill")
    };
    assert_eq!(kill.signal, "SIGTERM");
    let Verb::Run(run) = parse("run c1 -d --bundle /a --detach --bundle /b").command else {
        panic!("not run")
    };
    assert_eq!((run.detach, run.container.bundle.as_str()), (true, "/b"));
}

#[test]
fn what_follows_the_container_of_exec_is_the_command() {
    let Verb::Exec(exec) =
        parse("exec -e A=1 --env B=2 -t --cap x -c y c1 ls --tty -e C=3 -- x").command
    else {
        panic!("not exec")
    };
    assert_eq!(exec.words, ["c1", "ls", "--tty", "-e", "C=3", "--", "x"]);
    assert_eq!(exec.env, ["A=1", "B=2"]);
    assert_eq!(exec.cap, ["x", "y"]);
    let line = "exec --process /p --console-socket /s --detach --pid-file /f c1";
    let Verb::Exec(exec) = parse(line).command else {
        panic!("not exec")
    };
    assert_eq!((exec.process.as_deref(), exec.detach), (Some("/p"), true));
}

#[test]
fn what_follows_the_container_of_ps_is_for_ps() {
    for (line, words) in [
        ("ps c1", &["c1"][..]),
        ("ps --format json c1 -f", &["c1", "-f"]),
        (
            "ps -f table c1 -o pid,cmd --format x",
            &["c1", "-o", "pid,cmd", "--format", "x"],
        ),
        ("ps c1 aux", &["c1", "aux"]),
    ] {
        let Verb::Ps(ps) = parse(line).command else {
            panic!("not ps")
        };
        assert_eq!(ps.words, words, "{line}");
    }
}
