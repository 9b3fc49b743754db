//! Running a program of the host to its end: hooks, CRIU.
//!
//! One pipe feeds it, one carries its output, one (close-on-exec) reports why
//! it could not be executed, and one poll loop watches them together with its
//! pidfd and the clock. The loop ends when the *program* ends: children it left
//! behind may hold the output pipe for ever and are waited for by nobody.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use crate::error::told_errno;
use crate::process::{self, Clone3, ExitStatus};
use crate::readiness::set_nonblocking;
use crate::{Errno, Error, Result, pidfd, signal, system};

/// How much output is kept; of more the end, where the error usually is.
pub const OUTPUT_LIMIT: usize = 64 * 1024;

/// What is to run.
#[derive(Debug, Default)]
pub struct Command<'a> {
    /// Absolute path of the program.
    pub path: String,
    /// argv, `argv[0]` included.
    pub args: Vec<String>,
    /// The whole environment; `None` inherits this process'.
    pub env: Option<Vec<String>>,
    /// What it reads from its standard input, then end of file.
    pub stdin: Vec<u8>,
    /// Its process group is killed after this time.
    pub timeout: Option<Duration>,
    /// Its working directory; `None` inherits this process'.
    pub cwd: Option<String>,
    /// What it gets as standard output; `None` is [`Finished::output`].
    pub stdout: Option<BorrowedFd<'a>>,
    /// What it gets as standard error; `None` is [`Finished::output`].
    pub stderr: Option<BorrowedFd<'a>>,
    /// What it gets beside its standard streams, with the same numbers, which are
    /// above 2.
    pub descriptors: &'a [BorrowedFd<'a>],
}

/// A socket to the program, and who answers it.
pub struct Talk<'a> {
    /// Our end, which does not block.
    pub socket: BorrowedFd<'a>,
    /// Reads and answers all that there is; `false` when there will be no more.
    pub answer: &'a mut dyn FnMut() -> bool,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Code or signal.
    pub status: ExitStatus,
    /// Standard output and standard error in the order they were written, the
    /// last [`OUTPUT_LIMIT`] bytes; not what went to a descriptor of the command.
    pub output: Vec<u8>,
    /// It was killed because its time was over.
    pub timed_out: bool,
}

/// Runs a program in a process group of its own, with nothing but descriptors
/// 0 to 2 and those of the command, every signal at its default, and waits for it.
///
/// A program that does not read its input, closes its output, or leaves
/// children behind does not disturb. SIGPIPE is ignored in this process from
/// now on when the input is larger than a pipe.
///
/// # Errors
/// That of chdir(2) or execve(2) when it could not be started, named as such;
/// those of [`process::clone3`] and pipe(2).
pub fn run_command(command: &Command<'_>) -> Result<Finished> {
    run_and_talk(command, None)
}

/// [`run_command`] for a program that is talked with while it runs. What it said last
/// may be left to be read.
///
/// # Errors
/// Those of [`run_command`].
pub fn run_and_talk(command: &Command<'_>, talk: Option<Talk<'_>>) -> Result<Finished> {
    let program = Program::new(command)?;
    let (stdin_read, stdin_write) = system::pipe()?;
    let (output_read, output_write) = system::pipe()?;
    let (report_read, report_write) = system::pipe()?;
    for fd in [&stdin_write, &output_read] {
        set_nonblocking(fd.as_fd())?;
    }
    if command.stdin.len() > rustix::pipe::fcntl_getpipe_size(&stdin_write).unwrap_or(0) {
        signal::ignore_pipe_signal();
    }
    // What fits into the pipe is written while we hold its other end: the usual
    // state is fed before the program exists, and no SIGPIPE can come of it.
    let fed = feed(&stdin_write, &command.stdin);
    let (pid, pidfd) = process::run_in_child(&Clone3::default(), || {
        let stdio = [
            stdin_read.as_fd(),
            command.stdout.unwrap_or(output_write.as_fd()),
            command.stderr.unwrap_or(output_write.as_fd()),
        ];
        become_program(&program, stdio, command.descriptors, report_write.as_fd())
    })?;
    drop((stdin_read, output_write, report_write));
    let stdin = (fed < command.stdin.len()).then_some(stdin_write);
    Watch {
        command,
        pid,
        pidfd,
        fed,
        stdin,
        talk,
        output_pipe: Some(output_read),
        report_pipe: Some(report_read),
        report: Vec::new(),
        output: Vec::new(),
        timed_out: false,
    }
    .run()
}

/// Everything the child needs, made before the clone.
struct Program {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    cwd: Option<CString>,
}

impl Program {
    fn new(command: &Command<'_>) -> Result<Self> {
        let env = match &command.env {
            Some(env) => process::c_strings(env)?,
            None => inherited_environment(),
        };
        Ok(Self {
            path: process::c_string(&command.path)?,
            args: process::c_strings(&command.args)?,
            env,
            cwd: command.cwd.as_deref().map(process::c_string).transpose()?,
        })
    }
}

fn inherited_environment() -> Vec<CString> {
    use std::os::unix::ffi::OsStringExt;
    let entry = |(key, value): (std::ffi::OsString, std::ffi::OsString)| {
        let mut bytes = key.into_vec();
        bytes.push(b'=');
        bytes.extend(value.into_vec());
        // What came from an environment holds no NUL.
        CString::new(bytes).ok()
    };
    std::env::vars_os().filter_map(entry).collect()
}

/// Writes what the pipe takes and returns how much; everything when nobody reads.
fn feed(pipe: &OwnedFd, bytes: &[u8]) -> usize {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match rustix::io::write(pipe, rest) {
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            // EPIPE: it does not want more. That is its right.
            Err(_) => written = bytes.len(),
        }
    }
    written
}

/// The step at which a child failed, and its errno, as five bytes in the report.
const STEP_PREPARE: u8 = 0;
const STEP_DIRECTORY: u8 = 1;
const STEP_EXECUTE: u8 = 2;

/// Runs in the child; returns only when it could not become the program.
fn become_program(
    program: &Program,
    stdio: [BorrowedFd<'_>; 3],
    kept: &[BorrowedFd<'_>],
    report: BorrowedFd<'_>,
) -> i32 {
    let (step, errno) = match prepare(stdio, kept) {
        Err(errno) => (STEP_PREPARE, errno),
        Ok(()) => match enter(program.cwd.as_deref()) {
            Err(errno) => (STEP_DIRECTORY, errno),
            Ok(()) => {
                let error = process::execute(&program.path, &program.args, &program.env);
                (STEP_EXECUTE, error.errno())
            }
        },
    };
    let [a, b, c, d] = errno.raw_os_error().to_ne_bytes();
    // If even this fails the parent sees code 127, as from a shell.
    let _ = rustix::io::write(report, &[step, a, b, c, d]);
    127
}

fn prepare(stdio: [BorrowedFd<'_>; 3], kept: &[BorrowedFd<'_>]) -> std::result::Result<(), Errno> {
    let errno = |e: Error| e.errno();
    signal::reset_all().map_err(errno)?;
    rustix::process::setpgid(None, None)?;
    // Pipes may have got numbers 0 to 2 if the caller had closed them.
    let above = |fd| process::duplicate_at_least(fd, 3).map_err(errno);
    let [stdin, stdout, stderr] = stdio;
    let stdio = [above(stdin)?, above(stdout)?, above(stderr)?];
    for (number, fd) in (0..).zip(&stdio) {
        process::duplicate_to(fd.as_fd(), number, false).map_err(errno)?;
    }
    // Whatever the caller leaked to us without close-on-exec ends here.
    process::close_on_exec_from(3).map_err(errno)?;
    kept.iter()
        .try_for_each(|fd| process::keep_on_exec(*fd).map_err(errno))
}

fn enter(directory: Option<&std::ffi::CStr>) -> std::result::Result<(), Errno> {
    directory.map_or(Ok(()), rustix::process::chdir)
}

/// The parent's side while the program runs.
struct Watch<'a, 't> {
    command: &'a Command<'a>,
    pid: i32,
    pidfd: OwnedFd,
    fed: usize,
    stdin: Option<OwnedFd>,
    talk: Option<Talk<'t>>,
    output_pipe: Option<OwnedFd>,
    report_pipe: Option<OwnedFd>,
    report: Vec<u8>,
    output: Vec<u8>,
    timed_out: bool,
}

/// Something the parent watches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Process,
    Stdin,
    Output,
    Report,
    Talk,
}

impl Watch<'_, '_> {
    fn run(mut self) -> Result<Finished> {
        let mut deadline = self
            .command
            .timeout
            .and_then(|t| Instant::now().checked_add(t));
        loop {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            let ready = match left {
                // Also for a program that never stops writing.
                Some(Duration::ZERO) => Vec::new(),
                _ => self.wait_ready(left)?,
            };
            if ready.is_empty() {
                self.timed_out = true;
                deadline = None;
                self.kill_group();
            }
            for source in &ready {
                self.serve(*source);
            }
            if ready.contains(&Source::Process) {
                break;
            }
        }
        self.finish()
    }

    /// What is ready; nothing when the time is over.
    fn wait_ready(&self, left: Option<Duration>) -> Result<Vec<Source>> {
        let process = (Source::Process, PollFd::new(&self.pidfd, PollFlags::IN));
        let pipes = [
            (Source::Stdin, &self.stdin, PollFlags::OUT),
            (Source::Output, &self.output_pipe, PollFlags::IN),
            (Source::Report, &self.report_pipe, PollFlags::IN),
        ];
        let open = pipes.into_iter().filter_map(|(source, pipe, flags)| {
            pipe.as_ref().map(|pipe| (source, PollFd::new(pipe, flags)))
        });
        let talk = self.talk.as_ref();
        let talk = talk.map(|t| {
            (
                Source::Talk,
                PollFd::from_borrowed_fd(t.socket, PollFlags::IN),
            )
        });
        let watched = std::iter::once(process).chain(open).chain(talk);
        let (sources, mut fds): (Vec<_>, Vec<_>) = watched.unzip();
        system::poll(&mut fds, left)?;
        let ready = sources
            .into_iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty());
        Ok(ready.map(|(source, _)| source).collect())
    }

    fn serve(&mut self, source: Source) {
        match source {
            Source::Process => {}
            Source::Stdin => self.feed_more(),
            Source::Talk => {
                if let Some(talk) = &mut self.talk
                    && !(talk.answer)()
                {
                    self.talk = None;
                }
            }
            Source::Output => {
                if let Some(pipe) = &self.output_pipe
                    && read_some(pipe, &mut self.output) == Some(0)
                {
                    self.output_pipe = None;
                }
                self.trim(2 * OUTPUT_LIMIT);
            }
            Source::Report => {
                if let Some(pipe) = self.report_pipe.take() {
                    // Five bytes at once, or the end because execve succeeded.
                    read_some(&pipe, &mut self.report);
                }
            }
        }
    }

    fn feed_more(&mut self) {
        if let Some(pipe) = &self.stdin {
            self.fed += feed(pipe, self.command.stdin.get(self.fed..).unwrap_or_default());
        }
        if self.fed >= self.command.stdin.len() {
            self.stdin = None;
        }
    }

    /// Cuts the output to its last half when it is longer than `limit`.
    fn trim(&mut self, limit: usize) {
        if self.output.len() > limit {
            let surplus = self.output.len() - OUTPUT_LIMIT;
            self.output.drain(..surplus);
        }
    }

    fn kill_group(&self) {
        // Gone, or not yet its own group: then the second call gets it.
        let _ = signal::send(-self.pid, libc::SIGKILL);
        let _ = pidfd::send_signal(self.pidfd.as_fd(), libc::SIGKILL);
    }

    fn finish(mut self) -> Result<Finished> {
        let status = pidfd::wait(self.pidfd.as_fd())?;
        self.serve(Source::Report);
        if let Some(error) = self.start_error() {
            return Err(error);
        }
        // What it wrote is in the pipe. Children it left may go on writing, so
        // this has an end of its own.
        if let Some(pipe) = &self.output_pipe {
            let mut rounds = 0;
            while rounds < 32 && read_some(pipe, &mut self.output).is_some_and(|n| n > 0) {
                rounds += 1;
            }
        }
        self.trim(OUTPUT_LIMIT);
        Ok(Finished {
            status,
            output: self.output,
            timed_out: self.timed_out,
        })
    }

    fn start_error(&self) -> Option<Error> {
        let &[step, a, b, c, d] = self.report.as_slice() else {
            return None;
        };
        let errno = told_errno(i32::from_ne_bytes([a, b, c, d]));
        let command = self.command;
        let path = &command.path;
        match step {
            STEP_DIRECTORY => {
                let directory = command.cwd.as_deref().unwrap_or_default();
                Some(Error::new(errno, format!("chdir({directory:?})")))
            }
            STEP_EXECUTE => {
                let error = Error::new(errno, format!("execve({path:?}, {:?})", command.args));
                // A script names the program that reads it, a binary its loader.
                let half_there = errno == Errno::NOENT && rustix::fs::stat(path).is_ok();
                Some(match half_there {
                    true => error.with_detail("the file exists, but its interpreter does not"),
                    false => error,
                })
            }
            _ => Some(Error::new(errno, format!("dup3(stdio of {path:?})"))),
        }
    }
}

/// Appends what one read gives; `None` when there is nothing now (or never again).
fn read_some(pipe: &OwnedFd, into: &mut Vec<u8>) -> Option<usize> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match rustix::io::read(pipe, &mut buffer) {
            Ok(count) => {
                into.extend_from_slice(buffer.get(..count).unwrap_or_default());
                return Some(count);
            }
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}
