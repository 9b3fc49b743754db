//! `ps`: who is in a container.

use crate::error::{Error, Result};
use crate::store::Store;

/// The pids, as the host sees them, of every process in the container's cgroup
/// and in those below it, sorted. A stopped container has none.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::NoCgroup`]
pub fn processes(store: &Store, id: &str) -> Result<Vec<i32>> {
    let Some(loaded) = store.find(id)?.load()? else {
        return Ok(Vec::new());
    };
    if !loaded.state.has_cgroup() {
        return Err(Error::NoCgroup);
    }
    Ok(loaded.state.open_cgroup().pids()?)
}
