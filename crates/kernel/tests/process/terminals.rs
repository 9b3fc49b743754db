//! Terminals, each from a devpts instance of its own.

use std::os::fd::{AsFd, OwnedFd};

use kernel::mount::{self, FsContext};
use kernel::process::{self, Clone3, ExitStatus, duplicate_to};
use kernel::tty::{self, Size};
use kernel::{Errno, namespace};

use crate::{in_child, isolated, tests};

tests![
    a_pty_carries_bytes_both_ways,
    a_size_is_set_on_one_end_and_seen_on_the_other,
    a_terminal_is_made_raw_and_restored,
    a_pty_becomes_the_controlling_terminal,
    a_directory_that_is_no_devpts_is_refused,
    a_mount_on_ptmx_is_refused,
    what_is_not_ptmx_is_told_apart,
    a_mode_that_forbids_is_reported,
];

/// A devpts nobody else sees; unmounted when the descriptor is closed.
fn private_devpts(mode: &str) -> OwnedFd {
    let context = FsContext::open("devpts").unwrap();
    context.set_string("ptmxmode", mode).unwrap();
    context.create().unwrap();
    context.mount(0).unwrap()
}

fn a_pty_carries_bytes_both_ways() {
    let pts = private_devpts("0666");
    let pty = tty::open_pty_in(pts.as_fd()).unwrap();
    assert!(tty::is_tty(pty.peer.as_fd()) && tty::is_tty(pty.controller.as_fd()));
    let major = rustix::fs::major(rustix::fs::fstat(&pty.peer).unwrap().st_rdev);
    assert!((136..=143).contains(&major), "{major}");
    for end in [&pty.peer, &pty.controller] {
        let flags = rustix::io::fcntl_getfd(end).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
    let mut buffer = [0; 32];
    rustix::io::write(&pty.controller, b"typed\n").unwrap();
    let length = rustix::io::read(&pty.peer, &mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"typed\n");
    let length = rustix::io::read(&pty.controller, &mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"typed\r\n", "the echo");
    let second = tty::open_pty_in(pts.as_fd()).unwrap();
    let minor = |fd: &OwnedFd| rustix::fs::minor(rustix::fs::fstat(fd).unwrap().st_rdev);
    assert_eq!(
        (minor(&pty.peer), minor(&second.peer)),
        (0, 1),
        "an instance of its own"
    );
}

fn a_size_is_set_on_one_end_and_seen_on_the_other() {
    let pts = private_devpts("0666");
    let pty = tty::open_pty_in(pts.as_fd()).unwrap();
    let size = Size {
        rows: 40,
        columns: 120,
    };
    tty::set_size(pty.peer.as_fd(), size).unwrap();
    assert_eq!(tty::get_size(pty.controller.as_fd()).unwrap(), size);
    let null = std::fs::File::open("/dev/null").unwrap();
    assert!(!tty::is_tty(null.as_fd()));
    assert_eq!(
        tty::set_size(null.as_fd(), size).unwrap_err().errno(),
        Errno::NOTTY
    );
    assert_eq!(
        tty::get_size(null.as_fd()).unwrap_err().errno(),
        Errno::NOTTY
    );
}

fn a_terminal_is_made_raw_and_restored() {
    let pts = private_devpts("0666");
    let pty = tty::open_pty_in(pts.as_fd()).unwrap();
    let echoes = || {
        let settings = rustix::termios::tcgetattr(&pty.peer).unwrap();
        settings
            .local_modes
            .contains(rustix::termios::LocalModes::ECHO)
    };
    assert!(echoes());
    assert!(tty::reads_lines(pty.controller.as_fd()).unwrap());
    let saved = tty::make_raw(pty.peer.as_fd()).unwrap();
    assert!(!tty::reads_lines(pty.controller.as_fd()).unwrap());
    assert!(!echoes());
    rustix::io::write(&pty.peer, b"a\n").unwrap();
    let mut buffer = [0; 8];
    let length = rustix::io::read(&pty.controller, &mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"a\n", "no carriage return");
    tty::restore(pty.peer.as_fd(), &saved).unwrap();
    assert!(echoes());
}

fn a_pty_becomes_the_controlling_terminal() {
    let pts = private_devpts("0666");
    let pty = tty::open_pty_in(pts.as_fd()).unwrap();
    isolated(|| {
        process::start_session().unwrap();
        assert!(std::fs::File::open("/dev/tty").is_err());
        tty::set_controlling(pty.peer.as_fd()).unwrap();
        for number in 0..3 {
            duplicate_to(pty.peer.as_fd(), number, false).unwrap();
        }
        assert!(std::fs::File::open("/dev/tty").is_ok());
        let session = rustix::termios::tcgetsid(&pty.peer).unwrap();
        assert_eq!(session.as_raw_nonzero().get(), process::pid());
    });
}

fn a_directory_that_is_no_devpts_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        directory.path().join("ptmx"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_bits_truncate(0o666),
        rustix::fs::makedev(5, 2),
    )
    .unwrap();
    let fd: OwnedFd = std::fs::File::open(directory.path()).unwrap().into();
    let error = tty::open_pty_in(fd.as_fd()).unwrap_err();
    assert_eq!(error.errno(), Errno::NODEV);
    assert!(
        error.to_string().contains("not on a devpts (0x1cd1)"),
        "{error}"
    );
}

fn a_mount_on_ptmx_is_refused() {
    let clone = Clone3 {
        namespaces: namespace::NEW_MOUNT,
        ..Clone3::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap().to_owned();
    let status = in_child(&clone, || {
        mount::change_propagation("/", true, mount::Propagation::Private).unwrap();
        let pts = private_devpts("0666");
        mount::move_mount_to_path(pts.as_fd(), &path).unwrap();
        let evil = mount::open_tree("/dev/zero", true, false, false).unwrap();
        mount::move_mount_to_path(evil.as_fd(), &format!("{path}/ptmx")).unwrap();
        let fd: OwnedFd = std::fs::File::open(&path).unwrap().into();
        assert_eq!(
            tty::open_pty_in(fd.as_fd()).unwrap_err().errno(),
            Errno::XDEV
        );
    });
    assert_eq!(status, ExitStatus::Code(0));
}

fn what_is_not_ptmx_is_told_apart() {
    let pts = private_devpts("0666");
    let pty = tty::open_pty_in(pts.as_fd()).unwrap();
    tty::verify_ptmx(pty.controller.as_fd()).unwrap();
    let error = tty::verify_ptmx(pty.peer.as_fd()).unwrap_err();
    assert_eq!(error.errno(), Errno::NODEV);
    assert!(error.to_string().contains("inode 3"), "{error}");
    let null = std::fs::File::open("/dev/null").unwrap();
    assert!(tty::verify_ptmx(null.as_fd()).is_err());
}

fn a_mode_that_forbids_is_reported() {
    isolated(|| {
        let pts = private_devpts("0000");
        kernel::identity::set_ids(1000, 1000).unwrap();
        let error = tty::open_pty_in(pts.as_fd()).unwrap_err();
        assert_eq!(error.errno(), Errno::ACCESS);
        assert!(
            error.call().contains("\"ptmx\", O_RDWR|O_NOCTTY"),
            "{error}"
        );
    });
}
