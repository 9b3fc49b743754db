//! One file for each command.

mod checkpoint;
mod completion;
mod create;
mod delete;
mod doctor;
mod events;
mod exec;
mod explain;
mod features;
mod info;
mod kill;
mod list;
mod logs;
mod mounts;
mod pattern;
mod pause;
mod prepare;
mod ps;
mod run;
mod spec;
mod start;
mod state;
mod stats;
mod update;

use std::path::{Component, Path};

use crate::cli::{Command, Global};
use crate::report::CommandError;
use libcontainer::{Error, ExitCode, Store, default_root};

/// Carries out a command; what it returns is the exit status.
///
/// The commands are never inlined: the code of one would lie between that of the others,
/// and each window of the program file that is touched costs a page fault.
///
/// # Errors
/// Why it failed; [`crate::report::failure_of`] is the exit status.
pub fn carry_out(global: &Global, command: Command) -> Result<ExitCode, CommandError> {
    match command {
        Command::Create(args) => create::create(global, args)?,
        Command::Start(args) => start::start(global, &args.id)?,
        Command::Run(args) => return run::run(global, args),
        Command::State(args) => state::state(global, &args.id)?,
        Command::Kill(args) => kill::kill(global, &args)?,
        Command::Delete(args) => delete::delete(global, &args)?,
        Command::List(args) => list::list(global, &args)?,
        Command::Exec(args) => return exec::exec(global, args),
        Command::Ps(args) => ps::ps(global, &args)?,
        Command::Pause(args) => pause::pause(global, &args.id)?,
        Command::Resume(args) => pause::resume(global, &args.id)?,
        Command::Update(args) => update::update(global, args)?,
        Command::Mounts(args) => mounts::mounts(global, args.change)?,
        Command::Checkpoint(args) => checkpoint::checkpoint(global, args)?,
        Command::Restore(args) => return checkpoint::restore(global, args),
        Command::Events(args) => events::events(global, &args)?,
        Command::Stats(args) => stats::stats(global, &args)?,
        Command::Logs(args) => logs::logs(global, &args.id)?,
        Command::Spec(args) => spec::spec(&args)?,
        Command::Features(_) => features::features()?,
        Command::Info(_) => info::info()?,
        Command::Explain(args) => explain::explain(global, &args)?,
        Command::Doctor(args) => return doctor::doctor(&args),
        Command::Completion(args) => completion::completion(args.shell)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the state of containers lies.
fn root(global: &Global) -> Result<String, CommandError> {
    let Some(root) = &global.root else {
        let variable = |name| std::env::var(name).ok();
        return Ok(default_root(
            variable("XDG_RUNTIME_DIR").as_deref(),
            variable("USER").as_deref(),
        ));
    };
    // Every directory in it would be taken for a container, and `delete` deletes.
    if root.is_empty() || std::path::absolute(root).is_ok_and(|path| is_top(&path)) {
        return Err(CommandError::Argument {
            argument: "--root",
            problem: format!("a directory for the state of containers is wanted, found {root:?}"),
        });
    }
    Ok(root.clone())
}

/// Whether a path names the top of the file system, as `/.` and `/a/..` do.
fn is_top(path: &Path) -> bool {
    let depth = path.components().fold(0_usize, |depth, part| match part {
        Component::Normal(_) => depth + 1,
        Component::ParentDir => depth.saturating_sub(1),
        _ => depth,
    });
    depth == 0
}

/// The state of an existing container: without a root there is none.
fn existing(global: &Global, id: &str) -> Result<Store, CommandError> {
    check_id(id)?;
    let store = Store::open(&root(global)?)?;
    Ok(store.ok_or_else(|| Error::NotFound(id.to_owned()))?)
}

/// An id becomes the name of a directory: it is checked by every command.
fn check_id(id: &str) -> Result<(), CommandError> {
    let checked = plan::id::check(id).map_err(|problem| Error::Config(problem.into()));
    Ok(checked?)
}
