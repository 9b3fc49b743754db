//! Which program will run, and the hand-off to the sealed stub.

use std::os::fd::{AsFd, OwnedFd};

use defence::Defence;
use kernel::{Errno, fs, process};

use super::closest::closest;
use super::{Build, refuse};

/// The program and its environment.
pub(super) struct Found {
    path: String,
    env: Vec<String>,
}

/// Larger than any real passwd file of an image, small enough to be read at once.
const PASSWD_LIMIT_BYTES: usize = 1 << 20;

impl Build<'_> {
    /// `args[0]` in the container's `PATH`, and `HOME` from its passwd file. What
    /// cannot be found must fail at `create`, in words that engines know.
    pub(super) fn find_program(&mut self) -> kernel::Result<()> {
        let program = &self.plan.program;
        let name = program.args.first().map(String::as_str).unwrap_or_default();
        let mut env = program.env.clone();
        let has_home = |entry: &String| entry.strip_prefix("HOME=").is_some_and(|v| !v.is_empty());
        if !env.iter().any(has_home) {
            env.retain(|entry| !entry.starts_with("HOME="));
            env.push(format!("HOME={}", self.home_of(program.uid)));
        }
        let path = if name.contains('/') {
            // The stub enters the working directory before it executes a relative one.
            self.check_executable(name)?;
            name.to_owned()
        } else {
            self.search_path(name, &env)?
        };
        self.program = Some(Found { path, env });
        Ok(())
    }

    fn search_path(&self, name: &str, env: &[String]) -> kernel::Result<String> {
        let path = env
            .iter()
            .rev()
            .find_map(|entry| entry.strip_prefix("PATH="));
        let mut refused = None;
        for directory in path.unwrap_or_default().split(':') {
            let directory = if directory.is_empty() { "." } else { directory };
            let candidate = format!("{}/{name}", directory.trim_end_matches('/'));
            // Most are not there; to say so in words is for the one that was asked for.
            let judged = match self.look_up(&candidate) {
                Ok(found) => judge(&candidate, &found),
                Err(error) if error.errno() == Errno::ACCESS => Err(not_found(&candidate, &error)),
                Err(_) => continue,
            };
            match judged {
                Ok(()) => return Ok(candidate),
                Err(error) if error.errno() == Errno::ACCESS => refused = Some(error),
                Err(_) => {}
            }
        }
        Err(refused.unwrap_or_else(|| {
            refuse(
                Errno::NOENT,
                format!(
                    "exec: {name:?}: executable file not found in $PATH{}",
                    self.suggestion(name, path.unwrap_or_default())
                ),
            )
        }))
    }

    /// ` (did you mean "hostname"?)`, where a program of nearly that name is in `PATH`.
    fn suggestion(&self, name: &str, path: &str) -> String {
        let Ok(root) = self.root() else {
            return String::new();
        };
        let names = path
            .split(':')
            .filter(|directory| directory.starts_with('/'));
        let names = names.filter_map(|directory| {
            let flags = fs::OFlags::DIRECTORY | fs::OFlags::RDONLY | fs::OFlags::CLOEXEC;
            let directory = root.open(directory, flags).ok()?;
            fs::read_directory(directory.as_fd()).ok()
        });
        let names: Vec<String> = names.flatten().map(|(name, _)| name).collect();
        match closest(name, names.iter().map(String::as_str)) {
            Some(meant) => format!(" (did you mean {meant:?}?)"),
            None => String::new(),
        }
    }

    /// A regular file that somebody may execute. Whether the container's user may is
    /// asked by the stub, as that user.
    fn check_executable(&self, path: &str) -> kernel::Result<()> {
        let found = self
            .look_up(path)
            .map_err(|error| not_found(path, &error))?;
        judge(path, &found)
    }

    fn look_up(&self, path: &str) -> kernel::Result<OwnedFd> {
        self.root()?.look_up(&self.absolute(path))
    }

    /// Relative programs are looked up from the working directory.
    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_owned();
        }
        let directory = self.plan.init.iter().find_map(|step| match &step.op {
            plan::InitOp::OpenWorkingDirectory { path } => Some(path.as_str()),
            _ => None,
        });
        format!("{}/{path}", directory.unwrap_or_default())
    }

    /// Field 6 of the line whose field 3 is the uid, passwd(5).
    fn home_of(&self, uid: u32) -> String {
        let passwd = self.read_in_root("/etc/passwd", PASSWD_LIMIT_BYTES);
        home_in(&passwd.unwrap_or_default(), uid).unwrap_or_else(|| "/".to_owned())
    }

    /// Becomes the stub: everything but what it needs is closed by the exec, and
    /// with our memory the last of the host's program goes. Returns only on failure.
    pub(super) fn hand_off(&mut self, stub: &OwnedFd) -> kernel::Error {
        match self.try_hand_off(stub) {
            Ok(error) | Err(error) => error,
        }
    }

    fn try_hand_off(&mut self, stub: &OwnedFd) -> kernel::Result<kernel::Error> {
        let Some(found) = self.program.take() else {
            return Err(refuse(Errno::NOENT, "no program was found"));
        };
        let mut argv = vec![found.path];
        argv.extend(self.plan.program.args.iter().cloned());
        let mut env = found.env;
        if Defence::OwnEnvironment.is_off() {
            env.extend(std::env::vars().map(|(name, value)| format!("{name}={value}")));
        }
        let (argv, env) = (process::c_strings(&argv)?, process::c_strings(&env)?);
        if Defence::SealedStub.is_off() {
            return self.execute_as_we_are(&argv, &env);
        }
        for fd in self.descriptors.all() {
            process::keep_on_exec(fd.as_fd())?;
        }
        Ok(process::execute_fd(stub.as_fd(), &argv, &env))
    }
}

/// Whether what lies at a path is a program.
fn judge(path: &str, found: &OwnedFd) -> kernel::Result<()> {
    let stat = fs::stat(found.as_fd())?;
    let problem = match stat.kind {
        // Engines map the first words to 126.
        fs::FileKind::Directory => "permission denied (is a directory)",
        fs::FileKind::File if stat.mode & 0o111 != 0 => return Ok(()),
        _ => "permission denied",
    };
    Err(refuse(Errno::ACCESS, format!("exec: {path:?}: {problem}")))
}

fn not_found(path: &str, error: &kernel::Error) -> kernel::Error {
    let why = format!("exec: {path:?}: stat {path}: {}", error.reason());
    kernel::Error::new(error.errno(), error.call()).with_detail(why)
}

fn home_in(passwd: &[u8], uid: u32) -> Option<String> {
    let text = String::from_utf8_lossy(passwd);
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            [_, _, id, _, _, home, ..] if id.parse() == Ok(uid) && home.starts_with('/') => {
                Some((*home).to_owned())
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::home_in;

    #[test]
    fn home_is_that_of_the_first_line_with_the_uid() {
        let passwd =
            b"root:x:0:0:root:/root:/bin/sh\n1:x:7:7::/wrong:/\nu:x:1:1::/home/u:/bin/sh\n";
        assert_eq!(home_in(passwd, 0).as_deref(), Some("/root"));
        // A name that looks like an id is a name (CVE-2016-3697).
        assert_eq!(home_in(passwd, 1).as_deref(), Some("/home/u"));
        assert_eq!(home_in(passwd, 2), None);
        assert_eq!(home_in(b"broken\n\xff::::\n", 0), None);
    }
}
