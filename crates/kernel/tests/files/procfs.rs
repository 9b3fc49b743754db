//! A procfs that is one.

use std::os::fd::AsFd;

use kernel::Errno;
use kernel::fs::OFlags;
use kernel::mount::{FsContext, move_mount, move_mount_to_path, open_tree};
use kernel::procfs::{Procfs, parse_process_stat, read_process_stat};

use crate::sandbox::{in_mount_namespace, on_thread};

#[test]
fn a_private_procfs_has_processes_only() {
    let procfs = Procfs::new().unwrap();
    assert!(procfs.read("self/stat", 4096).unwrap().len() > 10);
    let error = procfs.read("sys/kernel/hostname", 4096).unwrap_err();
    assert_eq!(error.errno(), Errno::NOENT);
    let full = Procfs::new_full().unwrap();
    assert!(!full.read("sys/kernel/hostname", 4096).unwrap().is_empty());
}

#[test]
fn magic_links_are_read_and_not_followed() {
    let procfs = Procfs::new().unwrap();
    for path in ["self/exe", "self/root/etc", "self/cwd"] {
        let error = procfs.open(path, OFlags::RDONLY).unwrap_err();
        assert_eq!(error.errno(), Errno::LOOP, "{path}");
    }
    let exe = procfs.read_link("self/exe").unwrap();
    assert_eq!(exe, std::env::current_exe().unwrap().to_str().unwrap());
    assert_eq!(
        procfs.open("../etc", OFlags::RDONLY).unwrap_err().errno(),
        Errno::XDEV
    );
}

#[test]
fn descriptors_are_named_and_opened_again() {
    let fd = kernel::fs::open_path("/etc/passwd").unwrap();
    for procfs in [Procfs::new().unwrap(), Procfs::host().unwrap()] {
        assert_eq!(procfs.fd_path(fd.as_fd()).unwrap(), "/etc/passwd");
        let opened = procfs.reopen(fd.as_fd(), OFlags::RDONLY).unwrap();
        assert!(
            !kernel::fs::read_to_end(opened.as_fd(), 1 << 20)
                .unwrap()
                .is_empty()
        );
    }
}

fn mount_tmpfs_on(path: &str) {
    let context = FsContext::open("tmpfs").unwrap();
    context.create().unwrap();
    move_mount_to_path(context.mount(0).unwrap().as_fd(), path).unwrap();
}

fn bind(source: &str, target: &str) {
    let copy = open_tree(source, true, false, false).unwrap();
    let target = kernel::fs::open_path(target).unwrap();
    move_mount(copy.as_fd(), target.as_fd()).unwrap();
}

#[test]
fn a_proc_that_is_none_is_refused() {
    in_mount_namespace(|_| {
        mount_tmpfs_on("/proc");
        let error = Procfs::host().unwrap_err();
        assert_eq!(error.errno(), Errno::XDEV);
        assert!(
            error
                .to_string()
                .contains("/proc is not the root of a procfs"),
            "{error}"
        );
        assert!(read_process_stat(1).is_err());
        Procfs::new().unwrap();
    });
    in_mount_namespace(|_| {
        bind("/proc/sys", "/proc");
        assert_eq!(Procfs::host().unwrap_err().errno(), Errno::XDEV);
    });
}

#[test]
fn what_is_mounted_over_a_file_is_not_entered() {
    in_mount_namespace(|_| {
        mount_tmpfs_on("/proc/sys/kernel");
        // The same file system and type; only the mount tells them apart.
        bind("/proc/version", "/proc/uptime");
        bind("/dev/null", "/proc/loadavg");
        let host = Procfs::host().unwrap();
        for path in ["sys/kernel/hostname", "uptime", "loadavg"] {
            let error = host.open(path, OFlags::WRONLY).unwrap_err();
            assert_eq!(error.errno(), Errno::XDEV, "{path}");
            assert_eq!(error.detail(), Some("something is mounted over it"));
        }
        assert!(!host.read("version", 4096).unwrap().is_empty());
        let private = Procfs::new_full().unwrap();
        assert!(!private.read("uptime", 4096).unwrap().is_empty());
        assert!(private.read("sys/kernel/hostname", 4096).is_ok());
    });
}

#[test]
fn a_write_goes_to_the_file_or_fails() {
    on_thread(|| {
        let procfs = Procfs::new().unwrap();
        procfs.write("thread-self/comm", "renamed").unwrap();
        assert_eq!(procfs.read("thread-self/comm", 64).unwrap(), b"renamed\n");
        let error = procfs
            .write("thread-self/oom_score_adj", "lots")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "write(\"thread-self/oom_score_adj\", \"lots\"): invalid argument"
        );
    });
}

#[test]
fn a_process_is_known_whatever_it_calls_itself() {
    let pid = i32::try_from(std::process::id()).unwrap();
    let found = read_process_stat(pid).unwrap();
    assert!(found.start_time > 0);
    on_thread(move || {
        let host = Procfs::host().unwrap();
        host.write("thread-self/comm", ") R 1 (\n) Z 9").unwrap();
        let content = host.read("thread-self/stat", 4096).unwrap();
        let thread = parse_process_stat(&content).unwrap();
        assert_eq!(thread.process_group, found.process_group);
        assert_eq!(thread.session, found.session);
        assert!(thread.start_time >= found.start_time);
    });
    let error = read_process_stat(i32::MAX).unwrap_err();
    assert_eq!(error.errno(), Errno::NOENT);
}
