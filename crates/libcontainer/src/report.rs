//! `state` and `list`: what is known of containers, in the form that engines decode.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::state::{NOT_YET, State, Summary};
use crate::status::{self, Status};
use crate::store::{ContainerDirectory, Loaded, Store};

/// One container as `state` and `list --format json` print it, in the order of
/// fields that tools know.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateReport {
    /// Version of the spec that the configuration names.
    pub oci_version: String,
    /// Container id.
    pub id: String,
    /// Init's pid, 0 when stopped.
    pub pid: i32,
    /// [`Status`]
    pub status: Status,
    /// Absolute path.
    pub bundle: String,
    /// Absolute path.
    pub rootfs: String,
    /// RFC 3339.
    pub created: String,
    /// Of the configuration; absent when there are none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Name of the user that made it.
    pub owner: String,
}

/// One entry of `list`.
#[derive(Debug)]
pub enum Entry {
    /// A container.
    Container(StateReport),
    /// A state directory that cannot be read, and why.
    Broken {
        /// Container id.
        id: String,
        /// What is wrong.
        problem: String,
    },
}

/// What is known of one container.
///
/// # Errors
/// [`Error::NotFound`]
pub fn state(store: &Store, id: &str) -> Result<StateReport> {
    let directory = store.find(id)?;
    if let Some(bytes) = directory.read_complete()? {
        let summary = directory.summarize(&bytes)?;
        let status = status::tell(&directory, &summary.identity(), || summary.is_frozen());
        return Ok(report(summary, status?));
    }
    match directory.load()? {
        Some(loaded) => {
            let status = status::derive(&directory, &loaded)?;
            let unborn = status == Status::Creating && loaded.state.pid == NOT_YET;
            if unborn && directory.is_abandoned()? {
                return Ok(abandoned(&directory, loaded));
            }
            Ok(report_loaded(loaded, status))
        }
        None if directory.is_empty()? => Err(Error::NotFound(id.to_owned())),
        None => Err(Error::StateUnknown),
    }
}

/// The maker has gone. Either it was done in the meantime, or it was killed, and what it
/// had cloned has ended with it (`sync.rs`): there is nothing but what `delete` removes.
fn abandoned(directory: &ContainerDirectory<'_>, before: Loaded) -> StateReport {
    if let Ok(Some(now)) = directory.load()
        && now.complete
        && let Ok(status) = status::derive(directory, &now)
    {
        return report_loaded(now, status);
    }
    report_loaded(before, Status::Stopped)
}

/// The containers of these ids, in their order. One that vanishes meanwhile is left out.
pub fn entries(store: &Store, ids: &[String]) -> Vec<Entry> {
    ids.iter().filter_map(|id| entry(store, id)).collect()
}

fn entry(store: &Store, id: &str) -> Option<Entry> {
    match state(store, id) {
        Ok(report) => Some(Entry::Container(report)),
        // A directory that stays is in the way of a new container of that name.
        Err(Error::NotFound(_)) if store.find(id).is_err() => None,
        Err(error) => Some(Entry::Broken {
            id: id.to_owned(),
            problem: error.to_string(),
        }),
    }
}

/// The saved configuration and state of a container, for `explain ID`.
///
/// # Errors
/// [`Error::NotFound`]
pub fn saved(store: &Store, id: &str) -> Result<(Vec<u8>, State)> {
    let directory = store.find(id)?;
    let config = directory.read_config()?;
    match directory.load()? {
        Some(loaded) => Ok((config, loaded.state)),
        None => Err(Error::StateUnknown),
    }
}

fn report_loaded(loaded: Loaded, status: Status) -> StateReport {
    let state = loaded.state;
    StateReport {
        oci_version: state.oci_version,
        id: state.id,
        pid: pid_in(status, state.pid),
        status,
        bundle: state.bundle,
        rootfs: state.rootfs,
        created: state.created,
        annotations: state.annotations,
        owner: owner_name(state.owner),
    }
}

fn report(summary: Summary<'_>, status: Status) -> StateReport {
    StateReport {
        oci_version: summary.oci_version.into_owned(),
        id: summary.id.into_owned(),
        pid: pid_in(status, summary.pid),
        status,
        bundle: summary.bundle.into_owned(),
        rootfs: summary.rootfs.into_owned(),
        created: summary.created.into_owned(),
        annotations: summary.annotations,
        owner: owner_name(summary.owner),
    }
}

const fn pid_in(status: Status, pid: i32) -> i32 {
    match status {
        Status::Stopped => 0,
        _ => pid,
    }
}

/// The host's own passwd file, without NSS (it would load libraries).
fn owner_name(uid: u32) -> String {
    if uid == 0 {
        return "root".to_owned();
    }
    let passwd = kernel::fs::read_file("/etc/passwd", 1 << 20).unwrap_or_default();
    String::from_utf8_lossy(&passwd)
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
        })
        .unwrap_or_else(|| format!("#{uid}"))
}
