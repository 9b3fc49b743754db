//! Standard streams: fifos, files, loggers and terminals.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use runtime_tests::{Case, convention};
use serde_json::json;

use crate::driver::Stdio3;
use crate::service::process;
use crate::telling::{Telling, compare};

const CHAPTER: &str = "The shim: standard streams";

/// Makes a fifo.
pub fn fifo(path: &Path) -> String {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)
        .expect("mkfifo");
    path.to_string_lossy().into_owned()
}

/// What a client of containerd does meanwhile.
#[expect(
    clippy::disallowed_methods,
    reason = "the rule is the runtime's, which clones; a test does not"
)]
pub fn meanwhile<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::spawn(work)
}

/// Reads a fifo to its end, as containerd's client does: in the background.
pub struct Reader(Receiver<String>);

impl Reader {
    pub fn start(path: &str) -> Self {
        let path = path.to_owned();
        let (sender, receiver) = channel();
        meanwhile(move || {
            let mut text = Vec::new();
            let read = File::open(&path).and_then(|mut fifo| fifo.read_to_end(&mut text));
            let text = String::from_utf8_lossy(&text).into_owned();
            let _ = sender.send(read.map_or_else(|error| error.to_string(), |_| text));
        });
        Self(receiver)
    }

    #[track_caller]
    pub fn all(self) -> String {
        self.0
            .recv_timeout(Duration::from_secs(30))
            .expect("the fifo ends")
    }
}

/// Standard output and error as two fifos, and who reads them.
pub struct Both {
    pub streams: Stdio3,
    out: Reader,
    err: Reader,
}

impl Both {
    pub fn make(telling: &Telling, name: &str) -> Self {
        let directory = telling
            .case
            .directory
            .join(if telling.is_tested { "1" } else { "2" });
        let _ = fs::create_dir(&directory);
        let [stdout, stderr] =
            ["out", "err"].map(|which| fifo(&directory.join(format!("{name}-{which}"))));
        Self {
            out: Reader::start(&stdout),
            err: Reader::start(&stderr),
            streams: Stdio3 {
                stdout,
                stderr,
                ..Stdio3::default()
            },
        }
    }

    /// Both to their ends.
    #[track_caller]
    pub fn all(self) -> (String, String) {
        (self.out.all(), self.err.all())
    }
}

#[convention(
    "Fifos: all output of a container and of an exec reaches the client, before `Delete`."
)]
fn fifos(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle(
            "echo out; echo err >&2; seq 1 30000; while ! test -e /tmp/go; do sleep 0.05; done",
        );
        let task = telling.shim(&bundle);
        let both = Both::make(telling, "c");
        telling.launch(&task, &both.streams);
        let of_exec = Both::make(telling, "e");
        let added = task.exec(
            "e",
            &process("echo in; echo error >&2; : >/tmp/go"),
            &of_exec.streams,
        );
        telling.must("exec", added);
        telling.must("start", task.start("e"));
        telling.must("wait", task.wait("e"));
        // They end with the process, not with its deletion.
        telling.note("of the exec", of_exec.all());
        telling.must("delete", task.delete("e"));
        telling.must("wait", task.wait(""));
        let (out, err) = both.all();
        telling.note("out", (out.len(), out.lines().last()));
        telling.note("err", err);
        telling.remove(&task);
    });
}

#[convention(
    "A program that writes and ends at once, and a client that opens its fifos late: nothing is lost."
)]
fn late_client(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        for number in 0..5 {
            let id = format!("e{number}");
            let name = format!("{}-{id}", telling.is_tested);
            let [stdout, stderr] = ["out", "err"]
                .map(|which| fifo(&telling.case.directory.join(format!("{name}-{which}"))));
            let streams = Stdio3 {
                stdout: stdout.clone(),
                stderr: stderr.clone(),
                ..Stdio3::default()
            };
            telling.must(
                "exec",
                task.exec(&id, &process("echo word; echo error >&2"), &streams),
            );
            let late = meanwhile(move || {
                std::thread::sleep(Duration::from_millis(300));
                (Reader::start(&stdout), Reader::start(&stderr))
            });
            telling.must("start", task.start(&id));
            telling.must("wait", task.wait(&id));
            let (out, err) = late.join().expect("readers");
            telling.note("heard", (out.all(), err.all()));
            telling.must("delete", task.delete(&id));
        }
        telling.finish(&task);
    });
}

#[convention(
    "A client that does not open its fifo keeps nobody waiting: other execs run, and the end of the container is told."
)]
fn client_that_does_not_come(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        let name = format!("{}-absent", telling.is_tested);
        let stdout = fifo(&telling.case.directory.join(name));
        let streams = Stdio3 {
            stdout: stdout.clone(),
            ..Stdio3::default()
        };
        let added = task.exec("absent", &process("true"), &streams);
        telling.must("exec", added);
        let waiting = task.reconnect();
        let waiting = meanwhile(move || waiting.start("absent").is_ok());
        // The other request is to be there first.
        std::thread::sleep(Duration::from_millis(300));
        let quick = task.exec("quick", &process("exit 7"), &Stdio3::default());
        telling.must("exec", quick);
        telling.must("start", task.start("quick"));
        let ended = telling.must("wait", task.wait("quick"));
        telling.note("exit status", ended.exit_status);
        telling.must("delete", task.delete("quick"));
        telling.must("kill", task.kill("", 9));
        let ended = telling.must("wait", task.wait(""));
        telling.note("exit status of init", ended.exit_status);
        // The shim of Go gives it up with init.
        assert!(!telling.is_tested || !waiting.is_finished());
        let _reader = Reader::start(&stdout);
        telling.note("started", waiting.join().expect("a thread"));
        telling.must("delete", task.delete(""));
        telling.shutdown(&task);
    });
}

#[convention(
    "Standard input: what a client writes arrives; it does not end when a client goes, but with `CloseIO`."
)]
fn standard_input(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("while read word; do echo got $word; done; echo ended; exit 5");
        let task = telling.shim(&bundle);
        let mut both = Both::make(telling, "c");
        let name = format!("{}-in", telling.is_tested);
        both.streams.stdin = fifo(&telling.case.directory.join(name));
        let write = |word: &str| fs::write(&both.streams.stdin, word).expect("standard input");
        telling.launch(&task, &both.streams);
        write("one\n");
        write("two\n");
        telling.tell_state(&task, "");
        telling.must("close", task.close_stdin(""));
        let ended = telling.must("wait", task.wait(""));
        telling.note("exit status", ended.exit_status);
        telling.note("heard", both.all());
        telling.must("close again", task.close_stdin(""));
        telling.remove(&task);
    });
}

/// The two fifos of a terminal, and who reads what comes out of it.
fn terminal_streams(telling: &Telling) -> (Stdio3, Reader) {
    let [stdin, stdout] = ["in", "out"].map(|name| {
        let name = format!("{}-{name}", telling.is_tested);
        fifo(&telling.case.directory.join(name))
    });
    let reader = Reader::start(&stdout);
    let streams = Stdio3 {
        stdin,
        stdout,
        terminal: true,
        ..Stdio3::default()
    };
    (streams, reader)
}

#[convention(
    "A terminal: both streams come out of one, its size is the client's, input is echoed."
)]
fn terminal(case: &mut Case) {
    compare(case, |telling| {
        let mut bundle = telling
            .bundle("read word; stty size; test -t 0 -a -t 1 -a -t 2 && echo all $word; exit 6");
        bundle.config.set("/process/terminal", json!(true));
        let task = telling.shim(&bundle);
        let (streams, reader) = terminal_streams(telling);
        telling.launch(&task, &streams);
        telling.must("resize", task.resize("", 100, 30));
        fs::write(&streams.stdin, "word\n").expect("standard input");
        let ended = telling.must("wait", task.wait(""));
        telling.note("exit status", ended.exit_status);
        telling.note("heard", reader.all());
        telling.remove(&task);
    });
}

#[convention("A terminal of an exec.")]
fn terminal_of_an_exec(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        let (streams, reader) = terminal_streams(telling);
        let mut process = process("read word; stty size; tty; exit 3");
        process["terminal"] = json!(true);
        telling.must("exec", task.exec("e", &process, &streams));
        telling.must("start", task.start("e"));
        telling.must("resize", task.resize("e", 90, 20));
        fs::write(&streams.stdin, "word\n").expect("standard input");
        let ended = telling.must("wait", task.wait("e"));
        telling.note("exit status", ended.exit_status);
        telling.note("heard", reader.all());
        telling.must("delete", task.delete("e"));
        telling.finish(&task);
    });
}

#[convention("A client that goes away, and a new one: output goes on, and the container lives.")]
fn another_client(case: &mut Case) {
    compare(case, |telling| {
        let bundle =
            telling.bundle("while read word; do echo got $word; echo $word >>/heard; done");
        let task = telling.shim(&bundle);
        let directory = telling
            .case
            .directory
            .join(format!("{}", telling.is_tested));
        fs::create_dir(&directory).expect("a directory");
        let streams = Stdio3 {
            stdin: fifo(&directory.join("in")),
            stdout: fifo(&directory.join("out")),
            stderr: fifo(&directory.join("err")),
            ..Stdio3::default()
        };
        let _errors = Reader::start(&streams.stderr);
        let first = open_later(&streams.stdout);
        telling.launch(&task, &streams);
        let mut first = first.join().expect("a thread");
        fs::write(&streams.stdin, "one\n").expect("standard input");
        telling.note("the first one hears", read_line(&mut first));
        drop(first);
        fs::write(&streams.stdin, "two\n").expect("standard input");
        // It is to be said while nobody listens, and to have reached the shim.
        let heard = bundle.rootfs().join("heard");
        telling.case.until("the container hears it", || {
            fs::read_to_string(&heard).is_ok_and(|words| words.ends_with("two\n"))
        });
        std::thread::sleep(Duration::from_millis(200));
        let mut second = File::open(&streams.stdout).expect("the fifo");
        telling.note("the second one hears", read_line(&mut second));
        telling.finish(&task);
    });
}

/// Opens a fifo for reading as soon as somebody writes.
fn open_later(path: &str) -> JoinHandle<File> {
    let path = path.to_owned();
    meanwhile(move || File::open(path).expect("the fifo"))
}

fn read_line(fifo: &mut File) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && fifo.read(&mut byte).expect("the fifo") == 1 {
        line.push(byte[0]);
    }
    String::from_utf8_lossy(&line).into_owned()
}
