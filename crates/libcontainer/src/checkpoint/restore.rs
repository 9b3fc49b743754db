//! `restore`

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use kernel::beneath::Root;
use kernel::process::Forked;
use kernel::{Errno, fs, mount, pidfd, prctl, process, socket};
use plan::Plan;
use plan::cgroup::CgroupManager;
use plan::checkpoint::rpc::Request;
use plan::checkpoint::{self, CriuOptions, Externals, Restore};

use super::criu::{self, FIRST_NUMBER, Notice};
use super::{DESCRIPTORS, DESCRIPTORS_LIMIT};
use crate::create::{
    Init, Undo, attach_devices, make_cgroup, make_scope, save_state, write_pid_file,
};
use crate::error::{Doing, Error, Result};
use crate::foreground;
use crate::parent::run_hooks_before_pivot;
use crate::start::run_poststart;
use crate::state::State;
use crate::store::{CRIU_ROOT, ContainerDirectory, Store};
use crate::terminal::TerminalSink;

/// What `restore` needs beyond the plan.
#[derive(Debug, Default, Clone)]
pub struct RestoreOptions {
    /// `config.json` as it was read; kept as the container's own copy.
    pub config: Vec<u8>,
    /// What CRIU is told.
    pub criu: CriuOptions,
    /// `--detach`
    pub detach: bool,
    /// `--no-subreaper`
    pub no_subreaper: bool,
    /// `--pid-file`
    pub pid_file: Option<String>,
    /// `--console-socket`
    pub console_socket: Option<String>,
}

/// Makes a container of a checkpoint. In the foreground the result is the exit status
/// for the caller.
///
/// # Errors
/// [`Error::Criu`] with what CRIU said; all that was made is undone.
pub fn restore(store: &Store, plan: &Plan, options: &RestoreOptions) -> Result<i32> {
    let problem = |problem| Error::Config(plan::Errors::from(problem));
    checkpoint::check(&options.criu).map_err(problem)?;
    let externals = checkpoint::externals(&options.config, &plan.bundle)?;
    let mut terminal = TerminalSink::new(plan.terminal, options.console_socket.as_deref())?;
    let signals = match options.detach {
        true => None,
        false => {
            if !options.no_subreaper {
                prctl::set_child_subreaper(true).doing(|| "subreaper".to_owned())?;
            }
            Some(foreground::collect_signals()?)
        }
    };
    let directory = store.claim(&plan.id)?;
    let mut undo = Undo::new(&directory, plan);
    let call = CriuCall {
        plan,
        options,
        externals: &externals,
        terminal: &mut terminal,
    };
    let state = match restore_parts(&directory, call, &mut undo) {
        Ok(state) => state,
        Err(error) => {
            undo.run();
            return Err(error);
        }
    };
    directory.unlock()?;
    let init = undo.init.take().ok_or(Error::NotRunning)?;
    if let Err(error) = run_poststart(&state) {
        // As after `create`: a failed poststart hook stops and destroys the container.
        init.end();
        crate::delete::delete(store, &plan.id, true)?;
        return Err(error);
    }
    let Some(signals) = signals else {
        return Ok(0);
    };
    let status = foreground::attend(init.pidfd.as_fd(), terminal, &signals, None)?;
    crate::delete::delete(store, &plan.id, true)?;
    Ok(status.shell_code())
}

fn restore_parts(
    directory: &ContainerDirectory<'_>,
    call: CriuCall<'_>,
    undo: &mut Undo<'_>,
) -> Result<State> {
    let CriuCall { plan, options, .. } = call;
    directory.save_config(&options.config)?;
    let mut state = State::new(plan)?;
    if plan.cgroup.manager != CgroupManager::Disabled {
        directory.save_claim(&state)?;
    }
    if plan.cgroup.manager == CgroupManager::Cgroupfs {
        state.cgroup.inode = make_cgroup(plan, undo)?;
        attach_devices(plan, undo)?;
        directory.confirm_claim()?;
    }
    // A scope is made around a process, and CRIU wants it to be there.
    let mut holder = None;
    if let Some(scope) = &plan.cgroup.scope {
        let (init, _) = holder.insert(hold_place()?);
        save_state(&mut state, directory, init)?;
        make_scope(plan, scope, undo, &mut state)?;
    }
    let init = call.run(directory, undo)?;
    if let Some((holder, _)) = holder {
        holder.end();
    }
    save_state(&mut state, directory, undo.init.insert(init))?;
    if let Some(path) = &options.pid_file {
        write_pid_file(path, state.pid)?;
    }
    directory.complete()?;
    Ok(state)
}

/// A process that does nothing and ends with this one.
fn hold_place() -> Result<(Init, OwnedFd)> {
    let doing = || "a process to hold the scope".to_owned();
    let (ours, theirs) = socket::seqpacket_pair().doing(doing)?;
    match process::fork().doing(doing)? {
        Forked::Child => {
            drop(ours);
            let _ = socket::receive(theirs.as_fd(), &mut [0]);
            process::exit_now(0)
        }
        Forked::Parent { pid, pidfd } => Ok((Init { pid, pidfd }, ours)),
    }
}

/// Lets CRIU make the processes.
struct CriuCall<'a> {
    plan: &'a Plan,
    options: &'a RestoreOptions,
    externals: &'a Externals,
    terminal: &'a mut TerminalSink,
}

impl CriuCall<'_> {
    /// The first of the processes is our child.
    fn run(self, directory: &ContainerDirectory<'_>, undo: &mut Undo<'_>) -> Result<Init> {
        let (plan, criu_options) = (self.plan, &self.options.criu);
        prepare_mount_points(plan, self.externals)?;
        let directories = criu::OpenDirectories::new(criu_options)?;
        let (kept, descriptors) = descriptors(self.options, self.externals)?;
        let root = BoundRoot::new(directory, &plan.rootfs)?;
        let restore = Restore {
            directories: directories.numbers(),
            root: root.path.clone(),
            cgroup_roots: cgroup_roots(plan),
            descriptors,
            config: checkpoint::configuration_file(self.externals, criu::default_config()),
        };
        let errand = criu::Errand {
            request: Request::Restore,
            message: checkpoint::restore(criu_options, self.externals, &restore),
            log: "restore.log",
            descriptors: kept.iter().map(AsFd::as_fd).collect(),
        };
        // Terminals of `exec` have lost who held them: the first is the container's.
        let mut terminal = plan.terminal.then_some(self.terminal);
        let pid = criu::run(criu_options, errand, &mut |notice: Notice| match (
            notice.script.as_str(),
            notice.descriptor,
        ) {
            ("setup-namespaces", _) => {
                undo.hooks_began = true;
                run_hooks_before_pivot(plan, notice.pid)
            }
            ("orphan-pts-master", Some(master)) => match terminal.take() {
                Some(terminal) => terminal.receive(master),
                None => Ok(()),
            },
            _ => Ok(()),
        })?;
        let pidfd = pidfd::open(pid).doing(|| format!("process {pid}"))?;
        Ok(Init { pid, pidfd })
    }
}

/// A root of another directory than before may lack what was made in the old one.
fn prepare_mount_points(plan: &Plan, externals: &Externals) -> Result<()> {
    let root = fs::open_directory(&plan.rootfs).doing(|| plan.rootfs.clone())?;
    let root = Root::new(root);
    for (place, source) in &externals.mounts {
        let is_missing = |e: &kernel::Error| e.errno() == Errno::NOENT;
        match root.look_up(place) {
            Err(error) if is_missing(&error) => {}
            found => {
                found.doing(|| place.clone())?;
                continue;
            }
        }
        let kind = fs::stat_path(source).doing(|| source.clone())?.kind;
        match kind {
            fs::FileKind::Directory => root.make_directories(place, 0o755),
            _ => root.make_file(place, 0o644),
        }
        .doing(|| place.clone())?;
    }
    Ok(())
}

/// The container's path, with the controllers of each hierarchy of v1.
fn cgroup_roots(plan: &Plan) -> Vec<(String, Option<String>)> {
    let directories = plan.cgroup.directories.iter();
    let name = |directory: &plan::cgroup::CgroupDirectory| {
        let controllers = (!directory.v2).then(|| directory.controllers.join(","));
        (plan.cgroup.path.clone(), controllers)
    };
    directories.map(name).collect()
}

type Named = (Vec<OwnedFd>, Vec<(i32, String)>);

/// The standard streams in place of those of then, and the namespaces of today.
fn descriptors(options: &RestoreOptions, externals: &Externals) -> Result<Named> {
    let (mut kept, mut named): Named = Default::default();
    let mut keep = |fd: BorrowedFd<'_>, name: String| -> kernel::Result<()> {
        let fd = process::duplicate_at_least(fd, FIRST_NUMBER)?;
        named.push((fd.as_raw_fd(), name));
        kept.push(fd);
        Ok(())
    };
    let file = format!("{}/{DESCRIPTORS}", options.criu.image_path);
    let bytes = fs::read_file(&file, DESCRIPTORS_LIMIT).doing(|| file.clone())?;
    let names = checkpoint::descriptors(&bytes);
    let names = names.map_err(|problem| Error::Config(plan::Errors::from(problem)))?;
    for (number, name) in (0..3).zip(names) {
        let is_outside = name.starts_with("pipe:") || name.starts_with("file[");
        if is_outside && process::descriptor_is_open(number) {
            let stream = process::borrow_raw(number).doing(|| name.clone())?;
            keep(stream, name.clone()).doing(|| name.clone())?;
        }
    }
    for (_, label, path) in &externals.namespaces {
        let namespace = fs::open_read(path).doing(|| path.clone())?;
        keep(namespace.as_fd(), (*label).to_owned()).doing(|| path.clone())?;
    }
    Ok((kept, named))
}

/// The root of the container, bound: CRIU makes a mount point the root of the
/// container's mounts.
struct BoundRoot {
    path: String,
}

impl BoundRoot {
    fn new(directory: &ContainerDirectory<'_>, rootfs: &str) -> Result<Self> {
        let path = format!("{}/{CRIU_ROOT}", directory.path()?);
        let doing = || format!("bind {rootfs} on {path}");
        fs::make_directory(&path, 0o700).doing(doing)?;
        let tree = mount::open_tree(rootfs, true, true, false).doing(doing)?;
        mount::move_mount_to_path(tree.as_fd(), &path).doing(doing)?;
        Ok(Self { path })
    }
}

impl Drop for BoundRoot {
    fn drop(&mut self) {
        // The container has mounts of its own by now, or there is none.
        let _ = mount::unmount_detach(&self.path);
        let _ = fs::remove_directory(&self.path);
    }
}
