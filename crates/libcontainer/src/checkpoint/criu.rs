//! Running CRIU, and what it says when it fails.
//!
//! ```text
//! corten                         criu swrk N (the other end of a socket pair)
//!   │ ─── what is asked for ──────► │
//!   │ ◄── setup-namespaces, pid ─── │   restore: hooks run
//!   │ ─── go on ──────────────────► │
//!   │ ◄── orphan-pts-master, fd ─── │   restore: the container's terminal
//!   │ ─── go on ──────────────────► │
//!   │ ◄── the end, pid of init ──── │
//! ```

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use kernel::process;
use kernel::readiness::set_nonblocking;
use kernel::spawn::{Command, Talk, run_and_talk};
use kernel::{Errno, fs, socket};
use plan::checkpoint::rpc::{self, Answer, Message, Request};
use plan::checkpoint::{CriuOptions, Directories};

use crate::error::{Doing, Error, Result};

/// Where a caller without `PATH` (podman) has its programs; CRIU calls some itself.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Of a log: the end is what counts.
const LOG_LIMIT: usize = 64 << 20;
/// How many of its lines an error quotes.
const QUOTED_LINES: usize = 3;
/// More than CRIU ever says at once.
const PACKET: usize = 64 << 10;
/// Numbers of descriptors for CRIU, out of the way of the standard streams.
pub(super) const FIRST_NUMBER: i32 = 10;

/// The configuration of CRIU where none is named; runc's, should ours be missing.
pub(super) fn default_config() -> Option<&'static str> {
    let candidates = ["/etc/criu/corten.conf", "/etc/criu/runc.conf"];
    candidates
        .into_iter()
        .find(|path| fs::stat_path(path).is_ok())
}

/// The directories that CRIU writes to.
pub(super) struct OpenDirectories {
    images: OwnedFd,
    work: OwnedFd,
}

impl OpenDirectories {
    /// Makes them.
    pub fn new(options: &CriuOptions) -> Result<Self> {
        let open = |flag: &str, path: &str| {
            let made = fs::make_directories(path, 0o700).and_then(|()| fs::open_directory(path));
            made.doing(|| format!("{flag} {path}"))
        };
        Ok(Self {
            images: open("--image-path", &options.image_path)?,
            work: open("--work-path", &options.work_path)?,
        })
    }

    /// By the numbers that they have in this process: CRIU looks them up there.
    pub fn numbers(&self) -> Directories {
        Directories {
            images: self.images.as_raw_fd(),
            work: self.work.as_raw_fd(),
        }
    }
}

/// What CRIU has come to, and waits for us before it goes on.
pub(super) struct Notice {
    /// `setup-namespaces`, ...
    pub script: String,
    /// Of init.
    pub pid: i32,
    /// What came with it.
    pub descriptor: Option<OwnedFd>,
}

/// What CRIU is asked for.
pub(super) struct Errand<'a> {
    pub request: Request,
    pub message: Message,
    /// Of its log, in the work directory.
    pub log: &'a str,
    /// What it inherits, by the same numbers.
    pub descriptors: Vec<BorrowedFd<'a>>,
}

/// Runs CRIU to its end; returns the pid of a restored init.
///
/// # Errors
/// It is not installed; its own errors, from its log; those of `attend`, which is told
/// what it comes to.
pub(super) fn run(
    options: &CriuOptions,
    errand: Errand<'_>,
    attend: &mut dyn FnMut(Notice) -> Result<()>,
) -> Result<i32> {
    let (program, env) = find()?;
    let doing = || "conversation with CRIU".to_owned();
    let (ours, theirs) = socket::seqpacket_pair().doing(doing)?;
    let theirs = process::duplicate_at_least(theirs.as_fd(), FIRST_NUMBER).doing(doing)?;
    set_nonblocking(ours.as_fd()).doing(doing)?;
    tracing::debug!("criu {}: {}", errand.request.verb(), errand.message);
    let packet = errand.request.encode(&errand.message);
    socket::send(ours.as_fd(), &packet).doing(doing)?;
    let mut descriptors = errand.descriptors;
    descriptors.push(theirs.as_fd());
    let command = Command {
        path: program.clone(),
        args: ["criu", "swrk", &theirs.as_raw_fd().to_string()]
            .map(str::to_owned)
            .into(),
        env: Some(env),
        descriptors: &descriptors,
        ..Command::default()
    };
    let mut dialogue = Dialogue {
        socket: ours.as_fd(),
        attend,
        refused: None,
        outcome: None,
    };
    let talk = Talk {
        socket: ours.as_fd(),
        answer: &mut || dialogue.go_on(),
    };
    let finished = run_and_talk(&command, Some(talk)).doing(|| program.clone())?;
    dialogue.go_on();
    if let Some(error) = dialogue.refused {
        return Err(error);
    }
    let error = match dialogue.outcome {
        // Its exit status says nothing: one that nobody asks for more calls that an error.
        Some((true, pid, _)) => return Ok(pid),
        Some((false, _, error)) => error,
        None => String::new(),
    };
    let log = format!("{}/{}", options.work_path, errand.log);
    let text = fs::read_file(&log, LOG_LIMIT).unwrap_or(finished.output);
    let said = errors_of(&String::from_utf8_lossy(&text)).unwrap_or(error);
    Err(Error::Criu {
        verb: errand.request.verb(),
        said,
        log,
    })
}

/// The program, and an environment in which it finds others.
fn find() -> Result<(String, Vec<String>)> {
    let path = std::env::var("PATH").ok().filter(|path| !path.is_empty());
    let path = path.unwrap_or_else(|| PATH.to_owned());
    let candidates = path.split(':').map(|directory| format!("{directory}/criu"));
    let program = candidates
        .into_iter()
        .find(|program| fs::stat_path(program).is_ok())
        .ok_or(Error::NoCriu)?;
    let mut env: Vec<String> = std::env::vars()
        .filter(|(name, _)| name != "PATH")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    env.push(format!("PATH={path}"));
    Ok((program, env))
}

/// Our side of the conversation.
struct Dialogue<'a> {
    socket: BorrowedFd<'a>,
    attend: &'a mut dyn FnMut(Notice) -> Result<()>,
    /// Why CRIU was told not to go on.
    refused: Option<Error>,
    /// Its last word: success, pid, error.
    outcome: Option<(bool, i32, String)>,
}

impl Dialogue<'_> {
    /// Answers all that was said; `false` at the end of the conversation.
    fn go_on(&mut self) -> bool {
        let mut packet = vec![0; PACKET];
        loop {
            match socket::receive(self.socket, &mut packet) {
                Ok((0, _)) => return false,
                Ok((length, descriptor)) => {
                    let packet = packet.get(..length).unwrap_or_default();
                    match Answer::decode(packet) {
                        Some(Answer::Notify { script, pid }) => self.consent(Notice {
                            script,
                            pid,
                            descriptor,
                        }),
                        Some(Answer::Done {
                            success,
                            pid,
                            error,
                        }) => {
                            self.outcome = Some((success, pid, error));
                            // After a pre-dump it would wait for the next one.
                            let _ = socket::end_sending(self.socket);
                        }
                        None => {}
                    }
                }
                Err(error) => return error.errno() == Errno::AGAIN,
            }
        }
    }

    fn consent(&mut self, notice: Notice) {
        tracing::debug!("criu is at {}", notice.script);
        let done = (self.attend)(notice);
        // Without an answer CRIU gives up, and says so.
        let _ = socket::send(self.socket, &rpc::encode_consent(done.is_ok()));
        if let Err(error) = done {
            self.refused.get_or_insert(error);
        }
    }
}

/// The first of the lines that a log calls errors, without times and places: those that
/// follow are consequences.
fn errors_of(log: &str) -> Option<String> {
    let message = |line: &str| {
        let (_, rest) = line.split_once("Error (")?;
        let (_, message) = rest.split_once("): ")?;
        Some(message.trim().to_owned())
    };
    let lines: Vec<String> = log.lines().filter_map(message).take(QUOTED_LINES).collect();
    match lines.is_empty() {
        true => Some(log.lines().next()?.trim().to_owned()),
        false => Some(lines.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::errors_of;

    #[test]
    fn the_first_errors_are_quoted() {
        let log = "(00.1) Dumping\n(00.2) Error (criu/tty.c:1): tty: no master\n\
                   (00.3) Warn  (x.c:1): y\n(00.4) Error (criu/cr-dump.c:2): Dumping FAILED.\n";
        assert_eq!(errors_of(log).unwrap(), "tty: no master; Dumping FAILED.");
        assert_eq!(errors_of("a\nb\n").unwrap(), "a");
        assert_eq!(errors_of(""), None);
    }
}
