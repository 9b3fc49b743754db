//! Every path inside a root that an image controls.
//!
//! The tree is hostile: any name in it may be a symlink, absolute, full of
//! `..`, dangling or looping, and another process may change it while we look.
//! So nothing here is ever resolved by string: the kernel resolves, with the
//! root as its root (`openat2(2)`, `RESOLVE_IN_ROOT`), and what it found is
//! kept as a descriptor. There is no fallback for kernels without openat2:
//! whatever userspace checks may have changed before it is used
//! (CVE-2019-19921, CVE-2021-30465, CVE-2024-45310).

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use defence::Defence;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::retry_on_intr;

use crate::fs::{FileKind, Stat, change_mode, change_owner, flags_text, read_link_at, stat};
use crate::{Errno, Error, Result};

/// openat2 answers EAGAIN when a rename anywhere on the system raced with a
/// `..`; an attacker can do that for ever.
const TRIES: u32 = 128;

/// Dangling symlinks that are walked through, as the kernel's `MAXSYMLINKS`.
const SYMLINKS: u32 = 40;

/// For one name in a directory we hold: exactly that, nothing behind it.
const ONE_NAME: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV);

/// A directory that paths are resolved in, as if it were `/`.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

/// A directory in a [`Root`] that things are made in, one after the other.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: String,
}

/// A device node or FIFO to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Major number; 0 for a FIFO.
    pub major: u32,
    /// Minor number; 0 for a FIFO.
    pub minor: u32,
    /// Permission bits, independent of the umask.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Type of a [`Node`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// Character device.
    Char,
    /// Block device.
    Block,
    /// FIFO.
    Fifo,
}

impl Root {
    /// A root from a directory descriptor, which may be `O_PATH`.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// The directory.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The directory.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Finds what `path` names: an `O_PATH` descriptor.
    ///
    /// # Errors
    /// Those of openat2(2).
    pub fn look_up(&self, path: &str) -> Result<OwnedFd> {
        self.open(path, OFlags::PATH)
    }

    /// [`Root::look_up`] that finds a symlink itself where it is the last part.
    ///
    /// # Errors
    /// Those of openat2(2).
    pub fn look_up_no_follow(&self, path: &str) -> Result<OwnedFd> {
        self.open(path, OFlags::PATH | OFlags::NOFOLLOW)
    }

    /// Opens what `path` names. Without `O_PATH` that runs code of whatever is
    /// there: a FIFO blocks, a device does something. Look up and stat first,
    /// or say `O_NONBLOCK`.
    ///
    /// # Errors
    /// Those of openat2(2); EINVAL for `O_CREAT`, which would make the target
    /// of a dangling symlink.
    pub fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        if flags.contains(OFlags::CREATE) {
            return Err(call_failed(path, flags, Errno::INVAL));
        }
        self.try_open(path, flags)
            .map_err(|e| call_failed(path, flags, e))
    }

    fn try_open(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        if Defence::ResolveInRoot.is_off() {
            // As by a string: symlinks and `..` lead to the host.
            let below = format!("./{path}");
            return openat2(self.fd(), &below, flags, ResolveFlags::empty());
        }
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(self.fd(), path, flags, resolve)
    }

    /// The directory `path`, made with all above it where missing, with `mode`
    /// less the umask. An `O_PATH` descriptor of it.
    ///
    /// Dangling symlinks on the way are followed inside the root, so that
    /// `/var/run/x` is made in an image whose `/var/run` is a link to a
    /// `/run` it does not have.
    ///
    /// # Errors
    /// Those of openat2(2) and mkdirat(2); EINVAL for `..` behind a part that
    /// does not exist.
    pub fn make_directories(&self, path: &str, mode: u32) -> Result<OwnedFd> {
        self.make_missing(path, path.len(), mode, None)
    }

    /// [`Root::make_directories`] for who has just been told that there is none: the
    /// search for what exists begins above it.
    ///
    /// # Errors
    /// Those of [`Root::make_directories`].
    pub fn make_missing_directories(&self, path: &str, mode: u32) -> Result<OwnedFd> {
        self.make_missing(path, parent_length(path), mode, None)
    }

    /// [`Root::make_directories`] that gives those it makes to `uid` and `gid`.
    ///
    /// # Errors
    /// Those of [`Root::make_directories`] and fchownat(2).
    pub fn make_directories_owned(
        &self,
        path: &str,
        mode: u32,
        uid: u32,
        gid: u32,
    ) -> Result<OwnedFd> {
        self.make_missing(path, path.len(), mode, Some((uid, gid)))
    }

    /// The directory `path` is in, made (0755) where missing, and the last part
    /// of `path`, on which nothing is followed.
    ///
    /// # Errors
    /// Those of [`Root::make_directories`]; EINVAL when the last part is no name.
    pub fn parent_and_name<'p>(&self, path: &'p str) -> Result<(OwnedFd, &'p str)> {
        let (parent, name) = split_name(path)?;
        Ok((self.make_directories(parent, 0o755)?, name))
    }

    /// The file `path` as a target to mount on: what is there already, of any
    /// kind and through symlinks inside the root, else an empty file made with
    /// `mode` less the umask. An `O_PATH` descriptor of it.
    ///
    /// # Errors
    /// Those of [`Root::parent_and_name`] and mknodat(2).
    pub fn make_file(&self, path: &str, mode: u32) -> Result<OwnedFd> {
        let mut path = Cow::Borrowed(path);
        for _ in 0..SYMLINKS {
            match self.try_open(&path, OFlags::PATH) {
                Err(Errno::NOENT) => {}
                answer => return answer.map_err(|e| call_failed(&path, OFlags::PATH, e)),
            }
            let (parent, name) = self.parent_and_name(&path)?;
            // mknod in place of open(O_CREAT): it never opens what is there.
            match rustix::fs::mknodat(
                &parent,
                name,
                FileType::RegularFile,
                Mode::from_raw_mode(mode),
                0,
            ) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(Error::new(e, format!("mknodat({path:?}, S_IFREG)"))),
            }
            match openat2(parent.as_fd(), name, OFlags::PATH, ONE_NAME) {
                Err(Errno::LOOP) => {
                    let target = read_link_at(parent.as_fd(), name)?;
                    path = through_link(split_name(&path)?.0, &target, "").into();
                }
                answer => return answer.map_err(|e| call_failed(&path, OFlags::PATH, e)),
            }
        }
        Err(call_failed(&path, OFlags::PATH, Errno::LOOP))
    }

    /// [`Directory::make_symlink`] in the directory that `path` is in.
    ///
    /// # Errors
    /// Those of [`Directory::of`] and [`Directory::make_symlink`].
    pub fn make_symlink(&self, path: &str, target: &str, replace: bool) -> Result<()> {
        let (directory, name) = Directory::of(self, path, None)?;
        directory.make_symlink(name, target, replace)
    }

    /// The first `at_most` bytes of the path may name what exists.
    fn make_missing(
        &self,
        path: &str,
        at_most: usize,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let mut path = Cow::Borrowed(path);
        let mut at_most = at_most;
        for _ in 0..SYMLINKS {
            let (mut dir, existing) = self.longest_existing(&path, at_most)?;
            if path[existing..].split('/').any(|name| name == "..") {
                return Err(call_failed(&path, flags, Errno::INVAL)
                    .with_detail("\"..\" behind a directory that does not exist"));
            }
            let mut walked = existing;
            let mut link = None;
            while let Some((name, rest)) = next_name(&path, walked) {
                match make_one_directory(dir.as_fd(), name, mode, owner) {
                    Ok(below) => dir = below,
                    Err(e) if matches!(e.errno(), Errno::LOOP | Errno::NOTDIR) => {
                        // EINVAL: a file after all.
                        let target = read_link_at(dir.as_fd(), name)
                            .map_err(|_| call_failed(&path, flags, Errno::NOTDIR))?;
                        link = Some(through_link(&path[..walked], &target, &path[rest..]));
                        break;
                    }
                    Err(e) => return Err(e),
                }
                walked = rest;
            }
            match link {
                Some(through) => {
                    at_most = through.len();
                    path = through.into();
                }
                None => return Ok(dir),
            }
        }
        Err(call_failed(&path, flags, Errno::LOOP))
    }

    /// The deepest directory of `path` that exists, and how many bytes of
    /// `path` name it. Nearly always that is all of it, or all but one part, so
    /// it is looked for from the end, or from where the caller knows better.
    fn longest_existing(&self, path: &str, at_most: usize) -> Result<(OwnedFd, usize)> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let mut end = at_most;
        loop {
            let prefix = if end == 0 { "/" } else { &path[..end] };
            match self.try_open(prefix, flags) {
                Ok(dir) => return Ok((dir, end)),
                Err(Errno::NOENT) if end > 0 => {}
                Err(e) => return Err(call_failed(prefix, flags, e)),
            }
            end = parent_length(&path[..end]);
        }
    }
}

impl Directory {
    /// The directory that `path` is in, made (0755) where missing, and the last part of
    /// `path`, on which nothing is followed. `before` is taken again if it is the one:
    /// nothing must have been mounted since it was opened.
    ///
    /// # Errors
    /// Those of [`Root::make_directories`]; EINVAL when the last part is no name.
    pub fn of<'p>(root: &Root, path: &'p str, before: Option<Self>) -> Result<(Self, &'p str)> {
        let (parent, name) = split_name(path)?;
        if let Some(before) = before
            && before.path == parent
        {
            return Ok((before, name));
        }
        let (fd, name) = root.parent_and_name(path)?;
        let path = parent.to_owned();
        Ok((Self { fd, path }, name))
    }

    /// The device node or FIFO `name`. One that exists is taken when it is the
    /// same device; its mode and owner stay as they are.
    ///
    /// # Errors
    /// Those of mknodat(2); EEXIST when something else is there.
    pub fn make_node(&self, name: &str, node: &Node) -> Result<()> {
        let path = || format!("{}/{name}", self.path);
        let made = make_node_at(self.fd.as_fd(), name, node)
            .map_err(|e| Error::new(e, node.call(&path())))?;
        // The node is verified also when it was made here: between the two
        // calls the name may have been given to another inode.
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let found = openat2(self.fd.as_fd(), name, flags, ResolveFlags::BENEATH)
            .map_err(|e| call_failed(&path(), flags, e))?;
        let is = stat(found.as_fd())?;
        if !node.is(&is) && !Defence::VerifyNodes.is_off() {
            return Err(
                Error::new(Errno::EXIST, node.call(&path())).with_detail(format!(
                    "there is {}, wanted {}",
                    describe(&is),
                    node.describe()
                )),
            );
        }
        if made {
            if (is.uid, is.gid) != (node.uid, node.gid) {
                change_owner(found.as_fd(), node.uid, node.gid)?;
            }
            // A default ACL of the directory overrules the mode of mknod.
            if is.mode != node.mode {
                change_mode(found.as_fd(), node.mode)?;
            }
        }
        Ok(())
    }

    /// The symlink `name` to `target`. One with the same target is taken as it
    /// is; with `replace`, anything else but a directory is removed first.
    ///
    /// # Errors
    /// Those of symlinkat(2) and unlinkat(2); EEXIST when something else is there.
    pub fn make_symlink(&self, name: &str, target: &str, replace: bool) -> Result<()> {
        let path = || format!("{}/{name}", self.path);
        let call = |e| Error::new(e, format!("symlinkat({target:?}, {:?})", path()));
        match rustix::fs::symlinkat(target, &self.fd, name) {
            Err(Errno::EXIST) => {}
            answer => return answer.map_err(call),
        }
        if read_link_at(self.fd.as_fd(), name).is_ok_and(|found| found == target) {
            return Ok(());
        }
        if !replace {
            return Err(call(Errno::EXIST));
        }
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())
            .map_err(|e| Error::new(e, format!("unlinkat({:?})", path())))?;
        rustix::fs::symlinkat(target, &self.fd, name).map_err(call)
    }
}

/// How many bytes of a path name what its last part is in; 0 for the root.
fn parent_length(path: &str) -> usize {
    let slash = path.trim_end_matches('/').rfind('/');
    slash.map_or(0, |slash| path[..slash].trim_end_matches('/').len())
}

/// A path with the symlink that lies in `before` replaced by its target. A
/// relative target is put behind `before`, so the kernel, walking `before`
/// physically, takes its `..` from where the link lies.
fn through_link(before: &str, target: &str, rest: &str) -> String {
    let before = if target.starts_with('/') { "" } else { before };
    format!("{before}/{target}/{rest}")
}

/// The next name in `path` behind its first `walked` bytes, and where it ends.
fn next_name(path: &str, walked: usize) -> Option<(&str, usize)> {
    let mut start = walked;
    loop {
        let rest = &path[start..];
        let skipped = rest.len() - rest.trim_start_matches('/').len();
        start += skipped;
        let length = path[start..].find('/').unwrap_or(path.len() - start);
        match &path[start..start + length] {
            "" => return None,
            "." => start += 1,
            name => return Some((name, start + length)),
        }
    }
}

/// Directory and last name of a path.
fn split_name(path: &str) -> Result<(&str, &str)> {
    let trimmed = path.trim_end_matches('/');
    let (parent, name) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
    if matches!(name, "" | "." | "..") {
        return Err(Error::new(Errno::INVAL, format!("openat2(root, {path:?})"))
            .with_detail(format!("{path:?} does not end in a name")));
    }
    Ok((parent, name))
}

fn openat2(
    dir: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    let mut tries = TRIES;
    loop {
        match retry_on_intr(|| rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve)) {
            Err(Errno::AGAIN) if tries > 1 => tries -= 1,
            answer => return answer,
        }
    }
}

fn call_failed(path: &str, flags: OFlags, errno: Errno) -> Error {
    let call = format!("openat2(root, {path:?}, {})", flags_text(flags));
    let error = Error::new(errno, call);
    match errno {
        Errno::NOSYS => error.with_detail("needs Linux 5.6 for openat2"),
        Errno::INVAL if flags.contains(OFlags::CREATE) => {
            error.with_detail("O_CREAT is not for paths in a root")
        }
        Errno::AGAIN => error.with_detail(format!(
            "the tree kept changing while it was resolved ({TRIES} tries)"
        )),
        _ => error,
    }
}

/// Makes one directory and opens it. ELOOP or ENOTDIR: there is a symlink (or
/// a file) of that name.
fn make_one_directory(
    dir: BorrowedFd<'_>,
    name: &str,
    mode: u32,
    owner: Option<(u32, u32)>,
) -> Result<OwnedFd> {
    let call = || format!("mkdirat({name:?}, {mode:#o})");
    let made = match rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(mode)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(e) => return Err(Error::new(e, call())),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let below = openat2(dir, name, flags, ONE_NAME).map_err(|e| call_failed(name, flags, e))?;
    if let (true, Some((uid, gid))) = (made, owner) {
        change_owner(below.as_fd(), uid, gid)?;
    }
    Ok(below)
}

/// `false`: something has that name already.
fn make_node_at(dir: BorrowedFd<'_>, name: &str, node: &Node) -> rustix::io::Result<bool> {
    let kind = match node.kind {
        NodeKind::Char => FileType::CharacterDevice,
        NodeKind::Block => FileType::BlockDevice,
        NodeKind::Fifo => FileType::Fifo,
    };
    let device = rustix::fs::makedev(node.major, node.minor);
    let umask = rustix::process::umask(Mode::empty());
    let answer = rustix::fs::mknodat(dir, name, kind, Mode::from_raw_mode(node.mode), device);
    rustix::process::umask(umask);
    match answer {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(e) => Err(e),
    }
}

impl Node {
    fn is(&self, found: &Stat) -> bool {
        match self.kind {
            NodeKind::Fifo => found.kind == FileKind::Fifo,
            NodeKind::Char => found.kind == FileKind::Char && self.has_numbers_of(found),
            NodeKind::Block => found.kind == FileKind::Block && self.has_numbers_of(found),
        }
    }

    fn has_numbers_of(&self, found: &Stat) -> bool {
        found.rdev == (self.major, self.minor)
    }

    fn call(&self, path: &str) -> String {
        let kind = match self.kind {
            NodeKind::Char => "S_IFCHR",
            NodeKind::Block => "S_IFBLK",
            NodeKind::Fifo => "S_IFIFO",
        };
        let Self {
            mode, major, minor, ..
        } = self;
        format!("mknodat({path:?}, {kind}|{mode:#o}, {major}:{minor})")
    }

    fn describe(&self) -> String {
        match self.kind {
            NodeKind::Char => format!("character device {}:{}", self.major, self.minor),
            NodeKind::Block => format!("block device {}:{}", self.major, self.minor),
            NodeKind::Fifo => "a FIFO".to_owned(),
        }
    }
}

fn describe(found: &Stat) -> String {
    match found.kind {
        FileKind::Char | FileKind::Block => {
            format!("{} {}:{}", found.kind.name(), found.rdev.0, found.rdev.1)
        }
        other => other.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_one_by_one() {
        assert_eq!(next_name("/a//./b/", 0), Some(("a", 2)));
        assert_eq!(next_name("/a//./b/", 2), Some(("b", 7)));
        assert_eq!(next_name("/a//./b/", 7), None);
        assert_eq!(next_name("../x", 0), Some(("..", 2)));
        assert_eq!(next_name("", 0), None);
    }

    #[test]
    fn the_last_part_must_be_a_name() {
        assert_eq!(split_name("/dev/null"), Ok(("/dev", "null")));
        assert_eq!(split_name("null/"), Ok(("", "null")));
        for path in ["", "/", "/a/..", "/a/.", "//"] {
            assert_eq!(split_name(path).map_err(|e| e.errno()), Err(Errno::INVAL));
        }
    }
}
