//! From what a request wants to what a process gets, and back to the client.

use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{Gid, Uid, fchown};
use tokio::io::unix::AsyncFd;
use tokio::task::JoinSet;

use super::copy::{Sink, copy};
use super::logger::{self, Logger, Subject};
use super::place::{Input, Output, Place, open_input, open_output, waited};
use super::terminal::{Console, ConsoleSocket};

/// The streams of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub stdin: String,
    pub stdout: String,
    pub stderr: String,
    pub terminal: bool,
}

/// Who owns the pipes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// The ends that the new process gets.
#[derive(Debug)]
pub struct ProcessEnds {
    pub stdio: [Stdio; 3],
    pub console: Option<ConsoleSocket>,
}

/// The shim's side of the streams of one process.
#[derive(Debug, Default)]
pub struct Plumbing {
    /// The far ends of a terminal, until it has arrived.
    far: Mutex<Far>,
    /// They end by themselves when the process has closed its side.
    outputs: Mutex<JoinSet<()>>,
    /// It waits for the client, who may never close: stopped with the process.
    input: Mutex<JoinSet<()>>,
    close_stdin: Mutex<Option<OwnedFd>>,
    console: Mutex<Option<Console>>,
    /// A program that reads the outputs.
    logger: Mutex<Option<Logger>>,
    /// Those of a process that is not started at once.
    ends: Mutex<Option<ProcessEnds>>,
}

#[derive(Debug, Default)]
struct Far {
    input: Option<AsyncFd<OwnedFd>>,
    output: Option<Output>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plumbing {
    /// Opens what the request names, and makes the ends for the process. It is to wait
    /// for a client, or a logger, that is not there yet, but not for ever.
    ///
    /// # Errors
    /// One line that names the stream.
    pub async fn lay(
        &self,
        wanted: &Wanted,
        owner: Owner,
        subject: Subject<'_>,
    ) -> Result<ProcessEnds, String> {
        match wanted.terminal {
            true => self.lay_terminal(wanted).await,
            false => self.lay_pipes(wanted, owner, subject).await,
        }
    }

    async fn lay_terminal(&self, wanted: &Wanted) -> Result<ProcessEnds, String> {
        if let Some(Input { source, keeper }) = open_input(&Place::parse(&wanted.stdin)?)? {
            lock(&self.far).input = Some(source);
            *lock(&self.close_stdin) = Some(keeper);
        }
        // What a terminal says has to be read, or its process would stop.
        let nowhere = Place::Path("/dev/null".to_owned());
        let output = match open_output(&Place::parse(&wanted.stdout)?).await? {
            Some(output) => Some(output),
            None => open_output(&nowhere).await?,
        };
        lock(&self.far).output = output;
        Ok(ProcessEnds {
            stdio: [Stdio::null(), Stdio::null(), Stdio::null()],
            console: Some(ConsoleSocket::bind()?),
        })
    }

    async fn lay_pipes(
        &self,
        wanted: &Wanted,
        owner: Owner,
        subject: Subject<'_>,
    ) -> Result<ProcessEnds, String> {
        let stdin = match open_input(&Place::parse(&wanted.stdin)?)? {
            None => Stdio::null(),
            Some(Input { source, keeper }) => {
                let (read, write) = pipe(owner)?;
                *lock(&self.close_stdin) = Some(keeper);
                let sink = Sink::Waited(waited(write)?);
                lock(&self.input).spawn(async move { copy(&source, &sink).await });
                Stdio::from(read)
            }
        };
        let stdout = Place::parse(&wanted.stdout)?;
        let stderr = Place::parse(&wanted.stderr)?;
        let [out, err] = match &stdout {
            Place::Logger(uri) => {
                let (out_read, out_write) = pipe(owner)?;
                let (err_read, err_write) = pipe(owner)?;
                let logger = logger::start(uri, subject, [out_read, err_read])?;
                logger.ready().await?;
                *lock(&self.logger) = Some(logger);
                [Stdio::from(out_write), Stdio::from(err_write)]
            }
            _ => [
                self.lay_output(&stdout, owner).await?,
                self.lay_output(&stderr, owner).await?,
            ],
        };
        Ok(ProcessEnds {
            stdio: [stdin, out, err],
            console: None,
        })
    }

    async fn lay_output(&self, place: &Place, owner: Owner) -> Result<Stdio, String> {
        let Some(output) = open_output(place).await? else {
            return Ok(Stdio::null());
        };
        let (read, write) = pipe(owner)?;
        let read = waited(read)?;
        lock(&self.outputs).spawn(async move { output.fill_from(&read).await });
        Ok(Stdio::from(write))
    }

    /// Keeps the process' ends until it is started.
    pub fn keep_ends(&self, ends: ProcessEnds) {
        *lock(&self.ends) = Some(ends);
    }

    /// The ends that were kept; nothing the second time.
    pub fn take_ends(&self) -> Option<ProcessEnds> {
        lock(&self.ends).take()
    }

    /// Connects the terminal that has arrived.
    ///
    /// # Errors
    /// One line.
    pub fn connect(&self, socket: &ConsoleSocket) -> Result<(), String> {
        let console = socket.receive()?;
        let mut far = lock(&self.far);
        if let Some(source) = far.input.take() {
            let master = console.fd().get_ref().try_clone();
            let sink = Sink::Waited(waited(master.map_err(|error| error.to_string())?)?);
            lock(&self.input).spawn(async move { copy(&source, &sink).await });
        }
        if let Some(output) = far.output.take() {
            let master = console.clone();
            lock(&self.outputs).spawn(async move { output.fill_from(master.fd()).await });
        }
        *lock(&self.console) = Some(console);
        Ok(())
    }

    /// The terminal, if it has one.
    pub fn console(&self) -> Option<Console> {
        lock(&self.console).clone()
    }

    /// Lets standard input end once the client has closed it, too.
    pub fn close_stdin(&self) {
        lock(&self.close_stdin).take();
    }

    /// Waits until everything that was written has reached its place, but no longer
    /// than `limit`: a child that was left behind may hold a pipe for ever.
    pub async fn drain(&self, limit: Duration) {
        self.close_stdin();
        self.take_ends();
        lock(&self.input).abort_all();
        let mut outputs = std::mem::take(&mut *lock(&self.outputs));
        let all = async { while outputs.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(limit, all).await;
        let logger = lock(&self.logger).take();
        if let Some(logger) = logger {
            logger.finish().await;
        }
        lock(&self.console).take();
    }
}

fn pipe(owner: Owner) -> Result<(OwnedFd, OwnedFd), String> {
    let (read, write) = kernel::system::pipe().map_err(|error| error.to_string())?;
    if owner.uid != 0 || owner.gid != 0 {
        for end in [&read, &write] {
            let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
            fchown(end.as_fd(), Some(uid), Some(gid))
                .map_err(|error| format!("owner of a pipe: {error}"))?;
        }
    }
    Ok((read, write))
}
