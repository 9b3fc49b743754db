//! The state directory: one private directory for each container.
//!
//! ```text
//! <root>/                 0700, ours
//!   <id>/                 0700; mkdir is the claim on the id, flock on it serialises commands
//!     config.json         our copy: later edits of the bundle do not matter
//!     claim.json          which cgroup will be ours, written before it is made;
//!     own.json            the same, renamed when it was made and nobody else's
//!     creating.json       state while `create` works; renamed to
//!     state.json          when it is done
//!     exec.fifo           the start gate: has a reader as long as init waits; `start` removes it
//!     notify/             what the container sees at /run/notify, if NOTIFY_SOCKET was set
//!     exec.error          why the program could not be executed after the gate opened
//! ```
//!
//! Everything below the root is reached through descriptors and never through a
//! symlink. The root lies on a tmpfs and does not outlive a boot, so nothing is fsynced.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kernel::{Errno, fs};

use crate::error::{Doing, Error, Result};
use crate::state::{NOT_YET, State, Summary};

const CONFIG: &str = "config.json";
const CLAIM: &str = "claim.json";
const OWN: &str = "own.json";
const CREATING: &str = "creating.json";
const COMPLETE: &str = "state.json";
const FIFO: &str = "exec.fifo";
const EXEC_ERROR: &str = "exec.error";
/// Where `restore` binds the root of the container for CRIU.
pub(crate) const CRIU_ROOT: &str = "criu-root";
const NOTIFY: &str = "notify";

/// No state of ours is larger; a larger one is not ours.
const STATE_LIMIT_BYTES: usize = 4 << 20;
/// The plan refuses larger configurations.
const CONFIG_LIMIT_BYTES: usize = 16 << 20;

/// What tells the state of a container, in the order in which it is asked.
const READ_FIRST: [&str; 3] = [COMPLETE, CREATING, CLAIM];

/// The directory that holds all containers of one root (`--root`).
pub struct Store {
    directory: OwnedFd,
    path: String,
}

impl Store {
    /// Opens the root for a command that needs an existing container. A root that
    /// does not exist holds none.
    ///
    /// # Errors
    /// A root that somebody else could have prepared.
    pub fn open(path: &str) -> Result<Option<Self>> {
        match fs::open_directory_no_follow(without_slashes(path)) {
            Ok(directory) => Self::checked(directory, path).map(Some),
            Err(error) if error.errno() == Errno::NOENT => Ok(None),
            Err(error) if matches!(error.errno(), Errno::NOTDIR | Errno::LOOP) => {
                // Where others may write, a symlink could make any directory of ours the root.
                Err(error.with_detail("not a directory, or a symlink to one: name it itself"))
                    .doing(|| format!("--root {path}"))
            }
            Err(error) => Err(error).doing(|| format!("--root {path}")),
        }
    }

    /// Opens the root, made when it is missing.
    ///
    /// # Errors
    /// A root that cannot be made, or that somebody else could have prepared.
    pub fn open_or_make(path: &str) -> Result<Self> {
        if let Some(store) = Self::open(path)? {
            return Ok(store);
        }
        fs::make_directories(path, 0o700).doing(|| format!("--root {path}"))?;
        let directory = fs::open_directory_no_follow(without_slashes(path))
            .doing(|| format!("--root {path}"))?;
        Self::checked(directory, path)
    }

    /// Whoever can write to the root can make us kill any process.
    fn checked(directory: OwnedFd, path: &str) -> Result<Self> {
        let stat = fs::stat(directory.as_fd()).doing(|| format!("--root {path}"))?;
        let problem = if stat.uid != kernel::identity::effective_uid() {
            Some(format!(
                "{path} belongs to uid {}, not to the caller",
                stat.uid
            ))
        } else if stat.mode & 0o022 != 0 {
            let mode = stat.mode & 0o777;
            Some(format!(
                "{path} is writable for others (mode {mode:04o}; chmod go-w it)"
            ))
        } else {
            None
        };
        match problem {
            Some(problem) => Err(Error::Argument {
                argument: "--root",
                problem,
            }),
            None => Ok(Self {
                directory,
                path: path.to_owned(),
            }),
        }
    }

    /// Where the directory lies that a container will see at
    /// [`plan::NOTIFY_DIRECTORY`]; `root` is absolute.
    pub fn notify_directory(root: &str, id: &str) -> String {
        format!("{root}/{id}/{NOTIFY}")
    }

    /// Path of the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Claims an id: makes its directory and locks it.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`]
    pub fn claim(&self, id: &str) -> Result<ContainerDirectory<'_>> {
        match fs::make_directory_at(self.directory.as_fd(), id, 0o700) {
            Ok(()) => {}
            Err(error) if error.errno() == Errno::EXIST => {
                return Err(Error::AlreadyExists(id.to_owned()));
            }
            Err(error) => return Err(error).doing(|| format!("state directory of {id}")),
        }
        let claimed = self.find(id).and_then(|directory| {
            directory.lock()?;
            Ok(directory)
        });
        if claimed.is_err() {
            // Empty, and nobody's: it would keep the id taken for ever.
            let _ = fs::remove_directory_at(self.directory.as_fd(), id);
        }
        claimed
    }

    /// Finds a container.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    pub fn find(&self, id: &str) -> Result<ContainerDirectory<'_>> {
        match fs::open_directory_at(self.directory.as_fd(), id) {
            Ok(directory) => Ok(ContainerDirectory {
                store: self,
                directory,
                id: id.to_owned(),
            }),
            Err(error) if error.errno() == Errno::NOENT => Err(Error::NotFound(id.to_owned())),
            Err(error) => Err(error).doing(|| format!("state directory of {id}")),
        }
    }

    /// All ids, sorted.
    ///
    /// # Errors
    /// When the root cannot be read.
    pub fn ids(&self) -> Result<Vec<String>> {
        let entries = fs::read_directory(self.directory.as_fd()).doing(|| self.path.clone())?;
        let mut ids: Vec<String> = entries
            .into_iter()
            .filter(|(_, kind)| *kind == fs::FileKind::Directory)
            .map(|(name, _)| name)
            .collect();
        ids.sort();
        Ok(ids)
    }
}

/// With a slash at its end a path would lead through a symlink.
fn without_slashes(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => path,
        trimmed => trimmed,
    }
}

/// One container's directory, held open.
pub struct ContainerDirectory<'a> {
    store: &'a Store,
    directory: OwnedFd,
    id: String,
}

/// A state, and how far `create` got.
pub(crate) struct Loaded {
    pub state: State,
    /// The content of the file.
    pub bytes: Vec<u8>,
    /// To its end.
    pub complete: bool,
    /// The cgroup was made, and was nobody else's.
    pub owns_cgroup: bool,
}

impl ContainerDirectory<'_> {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Its path, absolute, for programs that take one.
    ///
    /// # Errors
    /// When there is no working directory to start from.
    pub(crate) fn path(&self) -> Result<String> {
        let path = format!("{}/{}", self.store.path, self.id);
        match std::path::absolute(&path) {
            Ok(path) => Ok(path.to_string_lossy().into_owned()),
            Err(_) => Err(Error::Argument {
                argument: "--root",
                problem: format!("{path} cannot be made absolute"),
            }),
        }
    }

    /// Whether the directory still is the container's.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was deleted meanwhile.
    pub(crate) fn check_still_there(&self) -> Result<()> {
        let doing = || format!("state directory of {}", self.id);
        match fs::stat_at(self.store.directory.as_fd(), &self.id) {
            Ok(now) if now.ino == fs::stat(self.fd()).doing(doing)?.ino => Ok(()),
            Err(error) if error.errno() != Errno::NOENT => Err(error).doing(doing),
            _ => Err(Error::NotFound(self.id.clone())),
        }
    }

    /// Saves our own copy of the configuration.
    pub(crate) fn save_config(&self, config: &[u8]) -> Result<()> {
        fs::create_file_at(self.fd(), CONFIG, 0o600, config)
            .doing(|| format!("{CONFIG} of {}", self.id))
    }

    /// Puts another in its place, at once or not at all.
    pub(crate) fn replace_config(&self, config: &[u8]) -> Result<()> {
        fs::replace_file_at(self.fd(), CONFIG, 0o600, config)
            .doing(|| format!("{CONFIG} of {}", self.id))
    }

    /// The configuration the container was made from, as later updates left it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_config(&self) -> Result<Vec<u8>> {
        fs::read_file_at(self.fd(), CONFIG, CONFIG_LIMIT_BYTES)
            .doing(|| format!("{CONFIG} of {}", self.id))
    }

    /// Writes what a container will be, before there is anything of it to find again,
    /// should we be killed. It stays, for a `state.json` that cannot be read.
    pub(crate) fn save_claim(&self, state: &State) -> Result<()> {
        let bytes = serde_json::to_vec(state).unwrap_or_default();
        fs::create_file_at(self.fd(), CLAIM, 0o600, &bytes)
            .doing(|| format!("{CLAIM} of {}", self.id))
    }

    /// The cgroup was made: from now on everything in it is the container's.
    pub(crate) fn confirm_claim(&self) -> Result<()> {
        fs::rename_at(self.fd(), CLAIM, OWN).doing(|| format!("{OWN} of {}", self.id))
    }

    /// Reads the claim; one that was not written whole claims nothing yet.
    pub(crate) fn load_claim(&self) -> Option<Loaded> {
        [(OWN, true), (CLAIM, false)]
            .into_iter()
            .find_map(|(name, owns_cgroup)| {
                let bytes = fs::read_whole_file_at(self.fd(), name, STATE_LIMIT_BYTES).ok()?;
                let state = self.decode(name, &bytes).ok()?;
                // A cgroup is all that a claim speaks of.
                (state.pid == NOT_YET).then_some(Loaded {
                    state,
                    bytes,
                    complete: false,
                    owns_cgroup,
                })
            })
    }

    /// Writes the state of a container in the making.
    pub(crate) fn save_creating(&self, state: &State) -> Result<()> {
        self.save(CREATING, state)
    }

    fn save(&self, name: &str, state: &State) -> Result<()> {
        let bytes = serde_json::to_vec(state).unwrap_or_default();
        fs::replace_file_at(self.fd(), name, 0o600, &bytes)
            .doing(|| format!("{name} of {}", self.id))
    }

    /// The container is made: from now on it is what its processes say.
    pub(crate) fn complete(&self) -> Result<()> {
        fs::rename_at(self.fd(), CREATING, COMPLETE).doing(|| format!("{COMPLETE} of {}", self.id))
    }

    /// Reads the state, or the claim of a container that is not born yet; `None` when
    /// there is neither.
    pub(crate) fn load(&self) -> Result<Option<Loaded>> {
        for (name, complete) in [(COMPLETE, true), (CREATING, false)] {
            if let Some(bytes) = self.read(name)? {
                let state = self.decode(name, &bytes)?;
                self.check_pid(name, state.pid)?;
                return Ok(Some(Loaded {
                    state,
                    bytes,
                    complete,
                    owns_cgroup: true,
                }));
            }
        }
        if let Some(claim) = self.load_claim() {
            return Ok(Some(claim));
        }
        match self.foreign_entry()? {
            Some(name) => {
                Err(self.bad_state(format!("it holds {name:?}, which is no container's")))
            }
            None => Ok(None),
        }
    }

    /// What no container has: `--root` may name a directory of other things.
    fn foreign_entry(&self) -> Result<Option<String>> {
        Ok(self.names()?.into_iter().find(|name| !is_ours(name)))
    }

    /// The names in it. One that was deleted meanwhile has none, although getdents64(2)
    /// answers ENOENT there.
    fn names(&self) -> Result<Vec<String>> {
        match fs::read_directory(self.fd()) {
            Err(error) if error.errno() == Errno::NOENT => Ok(Vec::new()),
            entries => {
                let entries = entries.doing(|| format!("state directory of {}", self.id))?;
                Ok(entries.into_iter().map(|(name, _)| name).collect())
            }
        }
    }

    /// The bytes of `state.json`, if it is there.
    pub(crate) fn read_complete(&self) -> Result<Option<Vec<u8>>> {
        self.read(COMPLETE)
    }

    /// Reads those bytes for what `state` tells.
    pub(crate) fn summarize<'a>(&self, bytes: &'a [u8]) -> Result<Summary<'a>> {
        let decoded = Summary::decode(bytes);
        let summary = decoded.map_err(|why| self.bad_state(format!("{COMPLETE}{why}")))?;
        self.check_id(COMPLETE, &summary.id)?;
        self.check_pid(COMPLETE, summary.pid)?;
        Ok(summary)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match fs::read_whole_file_at(self.fd(), name, STATE_LIMIT_BYTES) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.errno() == Errno::NOENT => Ok(None),
            Err(error) => Err(self.bad_state(format!("{name}: {}", error.reason()))),
        }
    }

    fn decode(&self, name: &str, bytes: &[u8]) -> Result<State> {
        let decoded = State::decode(bytes);
        let state = decoded.map_err(|why| self.bad_state(format!("{name}{why}")))?;
        self.check_id(name, &state.id)?;
        Ok(state)
    }

    fn check_id(&self, name: &str, found: &str) -> Result<()> {
        if found == self.id {
            return Ok(());
        }
        Err(self.bad_state(format!("{name} belongs to {found:?}")))
    }

    fn check_pid(&self, name: &str, pid: i32) -> Result<()> {
        if pid > 1 {
            return Ok(());
        }
        Err(self.bad_state(format!("{name}: {pid} is no container's pid")))
    }

    fn bad_state(&self, problem: String) -> Error {
        Error::BadState {
            id: self.id.clone(),
            problem,
        }
    }

    /// Makes the start gate; init inherits both descriptors. The fifo is open for
    /// writing too, so that reading it never meets its end and opening it never waits.
    pub(crate) fn make_gate(&self) -> Result<Gate> {
        use kernel::fs::OFlags;
        let doing = || format!("{FIFO} of {}", self.id);
        fs::make_fifo_at(self.fd(), FIFO, 0o600).doing(doing)?;
        let fifo = fs::open_at(self.fd(), FIFO, OFlags::RDWR | OFlags::NOFOLLOW).doing(doing)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let error_file = fs::open_at(self.fd(), EXEC_ERROR, flags)
            .doing(|| format!("{EXEC_ERROR} of {}", self.id))?;
        Ok(Gate { fifo, error_file })
    }

    /// Makes the directory that the container will see at [`plan::NOTIFY_DIRECTORY`].
    pub(crate) fn make_notify(&self) -> Result<()> {
        fs::make_directory_at(self.fd(), NOTIFY, 0o755).doing(|| format!("{NOTIFY} of {}", self.id))
    }

    /// That directory, if there is one.
    pub(crate) fn open_notify(&self) -> Result<Option<OwnedFd>> {
        match fs::open_directory_at(self.fd(), NOTIFY) {
            Ok(directory) => Ok(Some(directory)),
            Err(error) if error.errno() == Errno::NOENT => Ok(None),
            Err(error) => Err(error).doing(|| format!("{NOTIFY} of {}", self.id)),
        }
    }

    /// The writing end of the gate, if somebody waits behind it: without a reader
    /// open(2) gives ENXIO, after `start` there is no fifo.
    pub(crate) fn open_gate(&self) -> Result<Option<OwnedFd>> {
        use kernel::fs::OFlags;
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        match fs::open_at(self.fd(), FIFO, flags) {
            Ok(fifo) => Ok(Some(fifo)),
            Err(error) if matches!(error.errno(), Errno::NXIO | Errno::NOENT) => Ok(None),
            Err(error) => Err(error).doing(|| format!("{FIFO} of {}", self.id)),
        }
    }

    /// The gate is open for good.
    pub(crate) fn remove_gate(&self) -> Result<()> {
        match fs::remove_file_at(self.fd(), FIFO) {
            Err(error) if error.errno() != Errno::NOENT => {
                Err(error).doing(|| format!("{FIFO} of {}", self.id))
            }
            _ => Ok(()),
        }
    }

    /// What the stub left behind when it could not become the program.
    pub(crate) fn read_exec_error(&self) -> Option<Vec<u8>> {
        let bytes = fs::read_file_at(self.fd(), EXEC_ERROR, 4096).ok()?;
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Removes the directory and everything in it, unless there is something that no
    /// container has: `--root` may have named a directory of other things.
    pub(crate) fn remove(&self) -> Result<()> {
        let doing = || format!("state directory of {}", self.id);
        let mut names = self.names()?;
        if let Some(name) = names.iter().find(|name| !is_ours(name)) {
            let path = format!("{}/{}", self.store.path, self.id);
            return Err(Error::Argument {
                argument: "--root",
                problem: format!("{path} holds {name:?}, which is no container's, so it stays"),
            });
        }
        // What is read first goes last: without it a container would look as if it were
        // still being created.
        let is_read = |name: &String| READ_FIRST.iter().position(|read| *read == name.as_str());
        names.sort_by_key(|name| std::cmp::Reverse(is_read(name).unwrap_or(usize::MAX)));
        for name in names {
            if name == CRIU_ROOT {
                // A restore that was killed; what is mounted there is the root of a bundle.
                let _ = kernel::mount::unmount_detach(&format!("{}/{CRIU_ROOT}", self.path()?));
            }
            fs::remove_tree_at(self.fd(), &name).doing(doing)?;
        }
        match fs::remove_directory_at(self.store.directory.as_fd(), &self.id) {
            Err(error) if error.errno() == Errno::NOENT => Ok(()),
            removed => removed.doing(doing),
        }
    }

    /// Whether there is nothing in it: before the first step of `create`, after all but
    /// the last of `delete`.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        Ok(self.names()?.is_empty())
    }

    /// Container id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Whether a name is one of ours; one with a dot in front was being written when its
/// writer was killed.
fn is_ours(name: &str) -> bool {
    let names = [
        CONFIG, CLAIM, OWN, CREATING, COMPLETE, FIFO, EXEC_ERROR, NOTIFY, CRIU_ROOT,
    ];
    let is_temporary = |whole: &&str| {
        name.strip_prefix('.')
            .and_then(|rest| rest.strip_prefix(*whole))
            .is_some_and(|rest| rest.starts_with('.'))
    };
    names.contains(&name) || names.iter().any(is_temporary)
}

/// The start gate as init inherits it.
pub(crate) struct Gate {
    pub fifo: OwnedFd,
    pub error_file: OwnedFd,
}
