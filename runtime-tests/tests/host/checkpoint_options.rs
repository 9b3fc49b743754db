//! What of a container makes `checkpoint` and `restore` harder: terminals, hooks,
//! connections; and memory that goes another way.

use std::fs;
use std::path::Path;
use std::time::Duration;

use runtime_tests::{Case, ConsoleSocket, Program, Terminal, convention, skip};

use crate::checkpoint::Counter;
use crate::machine::{read, require_program};

const CHAPTER: &str = "checkpoint and restore: options";

/// Creates and starts a container with a terminal.
fn launch_on_terminal(case: &mut Case, counter: &mut Counter) -> (String, Terminal) {
    let line =
        "echo ready; while read word; do echo \"got $word\"; test $word != end || exit 7; done";
    let config = &mut counter.bundle.config;
    config.set("/process/terminal", true.into()).shell(line);
    counter.bundle.write();
    let id = case.id();
    let (socket, option) = console(case, "first");
    let create = case.create_command(&counter.bundle, &id, &["--console-socket", &option]);
    create.run().ok();
    let terminal = socket.receive();
    case.start(&id);
    (id, terminal)
}

fn console(case: &Case, name: &str) -> (ConsoleSocket, String) {
    let directory = case.directory.join(name);
    fs::create_dir(&directory).unwrap();
    let socket = ConsoleSocket::listen(&directory);
    let path = socket.path.to_string_lossy().into_owned();
    (socket, path)
}

fn awaits(terminal: &Terminal, text: &str) {
    let shown = terminal.read_until(|shown| shown.contains(text));
    assert!(shown.contains(text), "{shown:?}");
}

#[convention("A restored container has its terminal, whose master goes to --console-socket.")]
fn terminal(case: &mut Case) {
    let mut counter = Counter::new(case);
    let (id, terminal) = launch_on_terminal(case, &mut counter);
    awaits(&terminal, "ready");
    terminal.type_line("one");
    awaits(&terminal, "got one");
    counter.checkpoint(case, &id, &[]).run().ok();
    drop(terminal);
    let (socket, option) = console(case, "second");
    let options = ["--detach", "--console-socket", &option];
    counter
        .restore_loudly(case.runtime(), &id, &options)
        .run()
        .ok();
    let terminal = socket.receive();
    terminal.type_line("two");
    awaits(&terminal, "got two");
    let exec = case.runtime().args(["exec", &id, "/bin/ls", "/dev/pts"]);
    assert_eq!(exec.run().ok().stdout, "0\nptmx\n");
    case.destroy(&id);
}

#[convention("In the foreground a restored terminal is the caller's.")]
fn terminal_in_the_foreground(case: &mut Case) {
    let mut counter = Counter::new(case);
    let (id, terminal) = launch_on_terminal(case, &mut counter);
    awaits(&terminal, "ready");
    counter.checkpoint(case, &id, &[]).run().ok();
    drop(terminal);
    let restore = counter.restore_loudly(case.runtime(), &id, &[]);
    let line = format!("{} 2>&1", restore.line());
    let script = case.program("script").args(["-qec", &line, "/dev/null"]);
    let shown = script.input("end\n").limit(Duration::from_secs(120)).run();
    assert!(
        shown.exits(7).stdout.contains("got end"),
        "the container's program has spoken here"
    );
}

/// runc runs those two kinds when CRIU has made the namespaces.
#[convention("prestart, createRuntime and poststart hooks run again at `restore`.")]
fn hooks(case: &mut Case) {
    let mut counter = Counter::new(case);
    let log = case.directory.join("log");
    for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
        let line = format!("cat >/dev/null; echo {kind} >>{}", log.display());
        counter.bundle.config.hook(kind, &line);
    }
    let id = counter.launch(case);
    counter.await_more(case);
    counter.checkpoint(case, &id, &[]).run().ok();
    let once = "prestart\ncreateRuntime\npoststart\npoststop";
    assert_eq!(read(&log), once);
    counter
        .restore(case, case.runtime(), &id, &["--detach"])
        .run()
        .ok();
    counter.await_more(case);
    assert_eq!(
        read(&log),
        format!("{once}\nprestart\ncreateRuntime\npoststart")
    );
    case.destroy(&id);
}

#[convention("A hook that fails makes `restore` fail, by its name, and nothing is left.")]
fn failing_hook(case: &mut Case) {
    let mut counter = Counter::new(case);
    let id = counter.launch(case);
    counter.await_more(case);
    counter.checkpoint(case, &id, &[]).run().ok();
    counter
        .bundle
        .config
        .hook("createRuntime", "echo no >&2; exit 3");
    let refused = counter
        .restore_loudly(case.runtime(), &id, &["--detach"])
        .run();
    refused.fails().says("hooks.createRuntime");
    assert!(!case.state_root().join(&id).exists());
}

/// Both ends in the container: what one says every fifth of a second arrives in the file.
fn connected(case: &mut Case) -> Counter {
    let mut counter = Counter::new(case);
    let applet = counter.bundle.rootfs().join("bin/nc");
    fs::hard_link(case.store().join("busybox"), applet).unwrap();
    counter.bundle.config.shell(
        "sleep 1000 | nc -l -p 4000 >/mnt/received & sleep 1
         i=0; (while :; do i=$((i+1)); echo $i; echo $i >/mnt/n; sleep 0.2; done) | \
         nc 127.0.0.1 4000",
    );
    counter
}

#[convention("An open TCP connection is refused by the name of its option, and kept with it.")]
fn tcp_established(case: &mut Case) {
    let counter = connected(case);
    let received = counter.file.with_file_name("received");
    let length = || fs::metadata(&received).map_or(0, |found| found.len());
    let id = counter.launch(case);
    case.until("it is connected", || length() > 4);
    let refused = counter.checkpoint(case, &id, &[]).run().fails();
    refused.says("tcp-established");
    assert_eq!(case.status(&id), "running");
    let option = ["--tcp-established"];
    counter.checkpoint(case, &id, &option).run().ok();
    let before = length();
    let options = ["--detach", "--tcp-established"];
    counter
        .restore(case, case.runtime(), &id, &options)
        .run()
        .ok();
    case.until("more arrives", || length() > before + 4);
    case.destroy(&id);
}

/// CRIU itself, in the background.
fn criu(case: &Case, line: &str) -> runtime_tests::Running {
    let words: Vec<&str> = line.split(' ').collect();
    let program = case.program("criu").args(words);
    program.limit(Duration::from_secs(120)).spawn()
}

/// No two tests of a machine may use the same.
fn port(case: &Case) -> u16 {
    let sum: u32 = case.token().bytes().map(u32::from).sum();
    20_000 + u16::try_from(sum % 20_000).unwrap()
}

#[convention("--page-server: memory goes there, the rest stays here.")]
fn page_server(case: &mut Case) {
    let counter = Counter::new(case);
    let id = counter.launch(case);
    counter.await_more(case);
    let (pages, port) = (case.directory.join("pages"), port(case));
    fs::create_dir(&pages).unwrap();
    let line = format!("page-server --images-dir {} --port {port}", pages.display());
    let server = criu(case, &line);
    let listens = || read(Path::new("/proc/net/tcp")).contains(&format!(":{port:04X} "));
    case.until("the page server listens", listens);
    let address = format!("127.0.0.1:{port}");
    counter
        .checkpoint(case, &id, &["--page-server", &address])
        .run()
        .ok();
    server.finish().ok();
    assert!(!counter.images.join("pages-1.img").exists());
    for entry in fs::read_dir(&pages).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, counter.images.join(path.file_name().unwrap())).unwrap();
    }
    let there = counter.count();
    counter
        .restore(case, case.runtime(), &id, &["--detach"])
        .run()
        .ok();
    counter.await_more(case);
    assert!(counter.count() > there);
    case.destroy(&id);
}

/// The old one is there until the new one has fetched all of its memory.
#[convention("--lazy-pages: a container is restored before its memory is there.")]
fn lazy_pages(case: &mut Case) {
    let counter = Counter::new(case);
    let id = counter.launch(case);
    counter.await_more(case);
    let (address, ready) = (
        format!("127.0.0.1:{}", port(case)),
        case.directory.join("ready"),
    );
    let options = [
        "--lazy-pages",
        "--page-server",
        &address,
        "--status-fd",
        "5",
    ];
    let checkpoint = counter.checkpoint(case, &id, &options);
    let line = format!("exec 5>{}; exec {}", ready.display(), checkpoint.line());
    let checkpoint: Program = case.program("sh").args(["-c", &line]);
    let checkpoint = checkpoint.limit(Duration::from_secs(120)).spawn();
    case.until("it is frozen and serves", || {
        fs::metadata(&ready).is_ok_and(|found| found.len() > 0)
    });
    let (host, port) = address.split_once(':').unwrap();
    let line = format!(
        "lazy-pages --page-server --address {host} --port {port} --images-dir {}",
        counter.images.display()
    );
    let fetcher = criu(case, &line);
    let there = counter.count();
    let mut counter = counter;
    let place = format!("/{}-lazy", case.token());
    counter
        .bundle
        .config
        .set("/linux/cgroupsPath", place.into());
    let other = case.id();
    let options = ["--detach", "--lazy-pages"];
    counter
        .restore(case, case.runtime(), &other, &options)
        .run()
        .ok();
    counter.await_more(case);
    assert!(counter.count() > there);
    checkpoint.finish().ok();
    fetcher.finish().ok();
    assert!(!case.state_root().join(&id).exists());
    case.destroy(&other);
}

/// Profiles of AppArmor that allow everything, loaded or removed by the parser's option.
#[track_caller]
fn profiles(case: &Case, option: &str, names: &[&str]) {
    let rules = "file, capability, network, mount, umount, pivot_root, ptrace, signal, unix, \
        change_profile,";
    let flags = "flags=(attach_disconnected, mediate_deleted)";
    let texts = names.iter();
    let texts = texts.map(|name| format!("profile {name} {flags} {{ {rules} }}\n"));
    let parser = case.program("apparmor_parser").args(["-K", "-T", option]);
    parser.input(&texts.collect::<String>()).run().ok();
}

#[convention("The profile is restored, or the one of --lsm-profile.")]
fn security_label(case: &mut Case) {
    let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    if !enabled.is_ok_and(|text| text.starts_with('Y')) {
        skip("AppArmor is not active on this machine");
    }
    let mut counter = Counter::new(case);
    require_program("apparmor_parser");
    let names = ["first", "second"].map(|name| format!("{}-{name}", case.token()));
    let [first, second] = &names;
    profiles(case, "-r", &[first, second]);
    let config = &mut counter.bundle.config;
    config.set("/process/apparmorProfile", first.as_str().into());
    let id = counter.launch(case);
    let option = format!("apparmor:{second}");
    for (options, profile) in [
        (&["--detach"][..], first),
        (&["--detach", "--lsm-profile", &option], second),
    ] {
        counter.await_more(case);
        counter.checkpoint(case, &id, &[]).run().ok();
        let restore = counter.restore(case, case.runtime(), &id, options);
        restore.run().ok();
        counter.await_more(case);
        let label = format!("/proc/{}/attr/apparmor/current", case.pid(&id));
        assert_eq!(read(Path::new(&label)), format!("{profile} (enforce)"));
        fs::remove_dir_all(&counter.images).unwrap();
    }
    case.destroy(&id);
    profiles(case, "-R", &[first, second]);
}
