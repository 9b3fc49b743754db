//! Nodes and links below `/dev`, by the descriptor of their directory
//! (CVE-2026-41579, CVE-2026-47766: an image whose `/dev` is a symlink).

use std::os::fd::AsFd;

use kernel::beneath::{Directory, Node, NodeKind as KernelNode};
use kernel::{Errno, fs, mount};
use plan::{DeviceKind, DeviceNode, NodeKind};

use super::{Build, refuse};

impl Build<'_> {
    pub(super) fn make_device(&mut self, device: &DeviceNode) -> kernel::Result<()> {
        let (kind, major, minor) = match device.node {
            NodeKind::Bind {
                slot,
                device: kind,
                major,
                minor,
            } => {
                let node = self.slots.take(slot)?;
                return self.bind_device(&device.path, &node, (kind, major, minor));
            }
            NodeKind::Fifo => (KernelNode::Fifo, 0, 0),
            NodeKind::Device {
                device: DeviceKind::Char,
                major,
                minor,
            } => (KernelNode::Char, major, minor),
            NodeKind::Device {
                device: DeviceKind::Block,
                major,
                minor,
            } => (KernelNode::Block, major, minor),
        };
        let node = Node {
            kind,
            major,
            minor,
            mode: device.mode,
            uid: device.uid,
            gid: device.gid,
        };
        let name = self.enter_directory(&device.path)?;
        self.directory()?.make_node(name, &node)
    }

    /// Nearly all nodes and links are in `/dev`: it is opened once. Whatever else a step
    /// does, it forgets the directory, for a mount may cover it ([`Build::step`]).
    fn enter_directory<'p>(&mut self, path: &'p str) -> kernel::Result<&'p str> {
        let before = self.directory.take();
        let (directory, name) = Directory::of(self.root()?, path, before)?;
        self.directory = Some(directory);
        Ok(name)
    }

    fn directory(&self) -> kernel::Result<&Directory> {
        let missing = || refuse(Errno::BADF, "no directory is open");
        self.directory.as_ref().ok_or_else(missing)
    }

    /// In a user namespace mknod(2) is refused: the host's own node is bound. The
    /// parent verified what it is.
    fn bind_device(
        &mut self,
        path: &str,
        node: &std::os::fd::OwnedFd,
        (kind, major, minor): (DeviceKind, u32, u32),
    ) -> kernel::Result<()> {
        let target = match self.root()?.look_up_no_follow(path) {
            Err(error) if error.errno() == Errno::NOENT => self.root()?.make_file(path, 0o666)?,
            found => found?,
        };
        let stat = fs::stat(target.as_fd())?;
        let same_kind = match kind {
            DeviceKind::Char => fs::FileKind::Char,
            DeviceKind::Block => fs::FileKind::Block,
        };
        if stat.kind == same_kind && stat.rdev == (major, minor) {
            // A bind of the host's /dev below it, or a node made by its owner.
            return Ok(());
        }
        if stat.kind != fs::FileKind::File {
            return Err(refuse(
                Errno::EXIST,
                format!("{path} in the root is something else"),
            ));
        }
        mount::move_mount(node.as_fd(), target.as_fd())
    }

    pub(super) fn make_link(
        &mut self,
        path: &str,
        target: &str,
        replace: bool,
    ) -> kernel::Result<()> {
        let name = self.enter_directory(path)?;
        self.directory()?.make_symlink(name, target, replace)
    }
}
