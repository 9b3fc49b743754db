//! The directories of one container, opened beneath their mounts and kept.

use std::cell::OnceCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use defence::Defence;
use kernel::{Errno, Error, Result, fs};
use plan::cgroup::CgroupDirectory;

use crate::FILE_LIMIT;

/// `CGROUP_SUPER_MAGIC`
pub(crate) const CGROUP1_MAGIC: i64 = 0x27_e0eb;
/// `CGROUP2_SUPER_MAGIC`
pub(crate) const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// A container's cgroup: one directory in each hierarchy.
///
/// [`crate::create`] makes it; later commands name it again with
/// [`Cgroup::open`] from what the state remembers. Its methods never reach
/// outside: every file is opened by name beneath a directory's descriptor.
#[derive(Debug)]
pub struct Cgroup {
    pub(crate) path: String,
    pub(crate) places: Vec<Place>,
}

/// One directory of a [`Cgroup`].
#[derive(Debug)]
pub(crate) struct Place {
    pub directory: CgroupDirectory,
    pub fd: OnceCell<OwnedFd>,
    /// The directory above, kept by who made this one: it will be removed from there.
    pub parent: OnceCell<Rc<OwnedFd>>,
}

impl Cgroup {
    /// Names an existing cgroup. Nothing is opened before it is needed.
    pub fn open(directories: &[CgroupDirectory], path: &str) -> Self {
        let place = |directory: &CgroupDirectory| Place {
            directory: directory.clone(),
            fd: OnceCell::new(),
            parent: OnceCell::new(),
        };
        Self {
            path: path.to_owned(),
            places: directories.iter().map(place).collect(),
        }
    }

    /// Inode number of the v2 directory, else of the first one; `None` when it does
    /// not exist. The kernel gives no number twice between two boots, so it tells
    /// whether somebody has removed the directory and made another one.
    ///
    /// # Errors
    /// Those of open(2) and statx(2).
    pub fn inode(&self) -> std::result::Result<Option<u64>, crate::CgroupError> {
        let Some(place) = self.v2().or(self.places.first()) else {
            return Ok(None);
        };
        match self.existing(place)? {
            Some(directory) => Ok(Some(fs::stat(directory)?.ino)),
            None => Ok(None),
        }
    }

    /// Path below the root of every hierarchy.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The directory of the v2 hierarchy.
    pub(crate) fn v2(&self) -> Option<&Place> {
        self.places.iter().find(|place| place.directory.v2)
    }

    /// The v1 directory of a controller.
    pub(crate) fn v1(&self, controller: &str) -> Option<&Place> {
        let has = |place: &&Place| place.directory.controllers.iter().any(|c| c == controller);
        self.places.iter().find(has)
    }

    /// The descriptor of a directory, opened at first use.
    pub(crate) fn fd<'a>(&self, place: &'a Place) -> Result<BorrowedFd<'a>> {
        if let Some(fd) = place.fd.get() {
            return Ok(fd.as_fd());
        }
        names(&self.path)?;
        let fd = open_in(&place.directory, &self.path).map_err(|e| self.located(place, e))?;
        Ok(place.fd.get_or_init(|| fd).as_fd())
    }

    /// [`Cgroup::fd`], or `None` when the directory does not exist.
    pub(crate) fn existing<'a>(&self, place: &'a Place) -> Result<Option<BorrowedFd<'a>>> {
        match self.fd(place) {
            Ok(fd) => Ok(Some(fd)),
            Err(e) if is_gone(e.errno()) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Where a directory is, for people.
    pub(crate) fn location(&self, place: &Place) -> String {
        format!("{}{}", place.directory.mount, self.path)
    }

    /// An error that says in which directory.
    pub(crate) fn located(&self, place: &Place, error: Error) -> Error {
        let call = format!("{} in {}", error.call(), self.location(place));
        let located = Error::new(error.errno(), call);
        match error.detail() {
            Some(detail) => located.with_detail(detail),
            None => located,
        }
    }
}

/// The directory, or the file in it, went away: `ENODEV` is what an open file of
/// a removed cgroup answers.
pub(crate) fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NODEV)
}

/// Opens a hierarchy's mount point and makes sure that it is one.
pub(crate) fn open_mount(directory: &CgroupDirectory) -> Result<OwnedFd> {
    open_in(directory, "")
}

/// Opens a directory of a hierarchy by its path in there, which is clean. There are no
/// symlinks in a hierarchy: one call leads where one call for each name would.
pub(crate) fn open_in(directory: &CgroupDirectory, path: &str) -> Result<OwnedFd> {
    let fd = fs::open_directory(&format!("{}{path}", directory.mount))?;
    check_hierarchy(fd.as_fd(), directory)?;
    Ok(fd)
}

/// Opens a file of the cgroup `path` for reading without its directory.
pub(crate) fn open_file_in(directory: &CgroupDirectory, path: &str, name: &str) -> Result<OwnedFd> {
    names(path)?;
    let fd = fs::open_read(&format!("{}{path}/{name}", directory.mount))?;
    check_hierarchy(fd.as_fd(), directory)?;
    Ok(fd)
}

/// Makes sure that something is in the hierarchy that it should be in.
fn check_hierarchy(fd: BorrowedFd<'_>, directory: &CgroupDirectory) -> Result<()> {
    let wanted = if directory.v2 {
        CGROUP2_MAGIC
    } else {
        CGROUP1_MAGIC
    };
    if fs::filesystem_magic(fd)? != wanted {
        let version = if directory.v2 { "v2" } else { "v1" };
        return Err(
            Error::new(Errno::NODEV, format!("open({:?})", directory.mount))
                .with_detail(format!("no cgroup {version} hierarchy is mounted there")),
        );
    }
    Ok(())
}

/// The names of a clean absolute path. The path may come from a state file, so
/// nothing that leads outside is taken.
pub(crate) fn names(path: &str) -> Result<Vec<&str>> {
    let names: Vec<&str> = path.split('/').skip(1).collect();
    if Defence::CgroupNames.is_off() {
        return Ok(names);
    }
    if !path.starts_with('/') || names.is_empty() || !names.iter().all(|name| is_name(name)) {
        return Err(Error::new(Errno::INVAL, format!("open({path:?})"))
            .with_detail("not the path of a cgroup below the root"));
    }
    Ok(names)
}

/// The path of the directory above; empty when that is the hierarchy itself.
pub(crate) fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(above, _)| above)
}

/// A plain name: of a file here, never of one elsewhere (GHSA-5g49-rx9x-qfc6).
pub(crate) fn is_name(name: &str) -> bool {
    if Defence::CgroupNames.is_off() {
        return true;
    }
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

/// A small file as text.
pub(crate) fn read_text(dir: BorrowedFd<'_>, name: &str) -> Result<String> {
    let bytes = fs::read_file_at(dir, name, FILE_LIMIT)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The number in `key number` lines.
pub(crate) fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_below_the_root_or_nowhere() {
        assert_eq!(names("/corten/c1").unwrap(), ["corten", "c1"]);
        for path in ["", "/", "a", "/..", "/a/../b", "/a//b", "/a/", "/.", "/a\0"] {
            assert!(names(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "oom 1\noom_kill 2\noom_group_kill 3\n";
        assert_eq!(field(text, "oom_kill"), Some(2));
        assert_eq!(field(text, "kill"), None);
    }
}
