//! The program that runs inside the containers under test and says what it sees.

use std::collections::BTreeMap;
use std::fs;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::ExitCode;

use rustix::fs::{Mode, major, makedev, minor};
use rustix::process::{getgid, getgroups, getpid, getuid};
use serde_json::{Map, Value, json};

const USAGE: &str = "probe facts | fail CODE | call NAME... | stat PATH... | input | true | wait | hunt FILE | notify MESSAGE";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let rest = words.get(1..).unwrap_or_default();
    match words.first().map(String::as_str) {
        Some("facts") => println!("{:#}", facts()),
        Some("fail") => {
            let code = rest.first().and_then(|code| code.parse().ok());
            return ExitCode::from(code.unwrap_or(1));
        }
        Some("call") => rest
            .iter()
            .for_each(|name| println!("{name} {}", call(name))),
        Some("stat") => rest.iter().for_each(|path| println!("{}", stat(path))),
        Some("input") => echo_input(),
        Some("hunt") => hunt(rest.first().map_or("/seen", String::as_str)),
        Some("notify") => notify(rest.first().map_or("READY=1", String::as_str)),
        Some("true") => {}
        Some("wait") => loop {
            std::thread::park();
        },
        _ => {
            eprintln!("usage: {USAGE}");
            return ExitCode::from(64);
        }
    }
    ExitCode::SUCCESS
}

/// sd_notify(3)
fn notify(message: &str) {
    let manager = std::env::var("NOTIFY_SOCKET").expect("NOTIFY_SOCKET");
    let socket = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    socket
        .send_to(message.as_bytes(), manager)
        .expect("a manager");
}

fn facts() -> Value {
    let system = rustix::system::uname();
    json!({
        "pid": getpid().as_raw_nonzero().get(),
        "ppid": stat_field(3),
        "pgid": stat_field(4),
        "sid": stat_field(5),
        "uid": getuid().as_raw(),
        "gid": getgid().as_raw(),
        "groups": getgroups().unwrap_or_default().iter().map(|gid| gid.as_raw()).collect::<Vec<_>>(),
        "umask": umask(),
        "cwd": std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default(),
        "args": std::env::args().collect::<Vec<_>>(),
        "env": std::env::vars().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
        "release": system.release().to_string_lossy(),
        "machine": system.machine().to_string_lossy(),
        "hostname": system.nodename().to_string_lossy(),
        "domainname": system.domainname().to_string_lossy(),
        "status": status(),
        "limits": limits(),
        "fds": links("/proc/self/fd"),
        "namespaces": links("/proc/self/ns"),
        "mountinfo": read("/proc/self/mountinfo"),
        "cgroup": read("/proc/self/cgroup"),
        "uid_map": read("/proc/self/uid_map"),
        "gid_map": read("/proc/self/gid_map"),
        "setgroups": read("/proc/self/setgroups"),
        "oom_score_adj": read("/proc/self/oom_score_adj").trim(),
        "labels": labels(),
        "personality": read("/proc/self/personality").trim(),
        "securebits": rustix::thread::capabilities_secure_bits().map_or(0, |bits| bits.bits()),
        "scheduling": {"nice": stat_field(18), "rt_priority": stat_field(39), "policy": stat_field(40)},
        "timens_offsets": read("/proc/self/timens_offsets"),
        "session_keyring": read("/proc/keys").lines().filter(|line| line.contains("_ses")).collect::<Vec<_>>(),
        "interfaces": read("/proc/net/dev"),
        "uptime": read("/proc/uptime"),
        "dev": devices(),
        "tty": terminals(),
    })
}

/// A number of `/proc/self/stat`; parents and session leaders outside the pid
/// namespace are 0 there, which no pid type can say.
fn stat_field(number: usize) -> i32 {
    let text = read("/proc/self/stat");
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    // The state is the first word after the name; the fields are counted from 0, the pid.
    rest.split_whitespace()
        .nth(number - 2)
        .and_then(|word| word.parse().ok())
        .unwrap_or(-1)
}

fn read(path: &str) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The mask is only readable by setting it.
fn umask() -> u32 {
    let mask = rustix::process::umask(Mode::empty());
    rustix::process::umask(mask);
    mask.bits()
}

fn status() -> BTreeMap<String, String> {
    read("/proc/self/status")
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| {
            let words: Vec<&str> = value.split_whitespace().collect();
            (name.to_owned(), words.join(" "))
        })
        .collect()
}

fn limits() -> Value {
    let mut object = Map::new();
    for line in read("/proc/self/limits").lines().skip(1) {
        // The kernel prints fixed columns: the name, then soft, hard, unit.
        let (name, values) = line.split_at(line.len().min(26));
        let mut words = values.split_whitespace();
        let pair = [words.next(), words.next()];
        object.insert(name.trim().to_owned(), json!(pair));
    }
    Value::Object(object)
}

/// The labels that the security modules of the kernel have given this process.
fn labels() -> BTreeMap<String, String> {
    let files = ["current", "exec", "apparmor/current", "selinux/current"];
    let named = files.map(|file| (file, read(&format!("/proc/self/attr/{file}"))));
    let known = named.into_iter().filter(|(_, label)| !label.is_empty());
    known
        .map(|(file, label)| {
            (
                file.to_owned(),
                label.trim_end_matches(['\n', '\0']).to_owned(),
            )
        })
        .collect()
}

fn links(directory: &str) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            let target = target.to_string_lossy().into_owned();
            // The directory stream of this very loop.
            let own =
                directory.ends_with("/fd") && target.contains("/fd") && target.contains("proc");
            let own = own || target == format!("/proc/{}/fd", std::process::id());
            (!own).then(|| (entry.file_name().to_string_lossy().into_owned(), target))
        })
        .collect()
}

fn devices() -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir("/dev") else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let text = stat(&entry.path().to_string_lossy());
            (name, text)
        })
        .collect()
}

/// `c 1:3 666 0:0`, `d - 755 0:0`, `l pts/ptmx`, or the errno.
fn stat(path: &str) -> String {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) => return format!("error {}", error.raw_os_error().unwrap_or(0)),
    };
    let kind = meta.file_type();
    if kind.is_symlink() {
        return format!("l {}", fs::read_link(path).unwrap_or_default().display());
    }
    let letter = stat_letter(kind);
    let number = match letter {
        'c' | 'b' => format!("{}:{}", major(meta.rdev()), minor(meta.rdev())),
        _ => "-".to_owned(),
    };
    format!(
        "{letter} {number} {:o} {}:{}",
        meta.mode() & 0o7777,
        meta.uid(),
        meta.gid()
    )
}

fn stat_letter(kind: fs::FileType) -> char {
    match () {
        () if kind.is_char_device() => 'c',
        () if kind.is_block_device() => 'b',
        () if kind.is_fifo() => 'p',
        () if kind.is_socket() => 's',
        () if kind.is_dir() => 'd',
        () => '-',
    }
}

fn terminals() -> Value {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdin());
    json!({
        "stdin": std::io::stdin().is_terminal(),
        "stdout": std::io::stdout().is_terminal(),
        "stderr": std::io::stderr().is_terminal(),
        "name": rustix::termios::ttyname(rustix::stdio::stdin(), Vec::new()).ok()
            .map(|name| name.to_string_lossy().into_owned()),
        "rows": size.map_or(0, |size| size.ws_row),
        "columns": size.map_or(0, |size| size.ws_col),
    })
}

/// Makes one system call and tells 0 or the errno.
fn call(name: &str) -> String {
    let outcome = match name {
        "mkdir" => rustix::fs::mkdir("/tmp/probe-made", Mode::RWXU),
        "chdir" => rustix::process::chdir("/"),
        "getpriority" => rustix::process::getpriority_process(None).map(drop),
        "sched_yield" => {
            rustix::thread::sched_yield();
            Ok(())
        }
        "setpriority" => rustix::process::setpriority_process(None, 1),
        "setpriority2" => rustix::process::setpriority_process(None, 2),
        "sethostname" => rustix::system::sethostname(b"probed"),
        "mount" => rustix::mount::mount(
            "none",
            "/tmp",
            "tmpfs",
            rustix::mount::MountFlags::empty(),
            None,
        ),
        "mknod" => rustix::fs::mknodat(
            rustix::fs::CWD,
            "/tmp/probe-node",
            rustix::fs::FileType::CharacterDevice,
            Mode::RUSR,
            makedev(1, 3),
        ),
        "chroot" => rustix::process::chroot("/"),
        "setuid0" => rustix::thread::set_thread_uid(rustix::process::Uid::ROOT),
        other => return format!("unknown call {other}"),
    };
    outcome.map_or_else(
        |errno| errno.raw_os_error().to_string(),
        |()| "0".to_owned(),
    )
}

fn echo_input() {
    let mut text = String::new();
    let _ = std::io::stdin().read_to_string(&mut text);
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Looks at every process that appears here, as an attacker would: what it
/// executes, its root, its working directory and its descriptors, each as
/// `NAME DEVICE:INODE KIND LINK`, every new line into a file.
fn hunt(path: &str) {
    let mut file = fs::File::create(path).expect("the file");
    let own = getpid().as_raw_nonzero().get();
    let mut seen = std::collections::BTreeSet::new();
    let mut last = own;
    loop {
        // Numbers are given in order; the next ones are tried before they exist.
        let exists = |pid: &i32| std::path::Path::new(&format!("/proc/{pid}")).exists();
        let Some(pid) = (last + 1..last + 4).find(exists) else {
            // Some came and went while we were not running.
            last = last.max(newest_pid() - 1);
            continue;
        };
        last = pid;
        let mut tell = |line: String| {
            if seen.insert(line.clone()) {
                let _ = writeln!(file, "{line}");
            }
        };
        // Again and again, while it changes from one program into another.
        (0..200).any(|_| !look_at(pid, &mut tell));
    }
}

/// The number that was given last: the last field of /proc/loadavg.
fn newest_pid() -> i32 {
    let text = read("/proc/loadavg");
    let last = text.split_whitespace().last();
    last.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// False when the process has gone.
fn look_at(pid: i32, tell: &mut dyn FnMut(String)) -> bool {
    let directory = format!("/proc/{pid}");
    let mut there = false;
    for name in ["exe", "root", "cwd"] {
        if let Some(line) = describe_link(&format!("{directory}/{name}")) {
            there = true;
            tell(format!("{name} {line}"));
        }
    }
    for entry in fs::read_dir(format!("{directory}/fd"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        // Standard streams are the caller's by intention.
        if name.parse::<u32>().is_ok_and(|number| number > 2)
            && let Some(line) = describe_link(&entry.path().to_string_lossy())
        {
            tell(format!("fd{name} {line}"));
        }
    }
    there
}

fn describe_link(path: &str) -> Option<String> {
    let meta = fs::metadata(path).ok()?;
    let kind = stat_letter(meta.file_type());
    let link = fs::read_link(path).unwrap_or_default();
    let target = link.display();
    Some(format!("{}:{} {kind} {target}", meta.dev(), meta.ino()))
}
