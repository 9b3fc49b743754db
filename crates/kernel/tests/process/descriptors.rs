//! Descriptors by number.

use std::os::fd::{AsFd, AsRawFd};

use kernel::{Errno, process, system};
use rustix::io::{FdFlags, fcntl_getfd};

use crate::{isolated, tests};

tests![
    descriptors_are_moved_kept_and_closed,
    a_number_becomes_a_descriptor_only_when_open,
    everything_from_a_number_on_is_closed,
    a_pipe_is_close_on_exec,
];

fn descriptors_are_moved_kept_and_closed() {
    isolated(|| {
        let (read, _write) = system::pipe().unwrap();
        process::duplicate_to(read.as_fd(), 50, false).unwrap();
        let moved = process::borrow_raw(50).unwrap();
        assert_eq!(fcntl_getfd(moved).unwrap(), FdFlags::empty());
        process::duplicate_to(moved, 50, true).unwrap();
        assert_eq!(fcntl_getfd(moved).unwrap(), FdFlags::CLOEXEC);
        process::keep_on_exec(moved).unwrap();
        assert_eq!(fcntl_getfd(moved).unwrap(), FdFlags::empty());
        process::close_on_exec_from(40).unwrap();
        assert_eq!(fcntl_getfd(moved).unwrap(), FdFlags::CLOEXEC);
        let high = process::duplicate_at_least(read.as_fd(), 60).unwrap();
        assert!(high.as_raw_fd() >= 60);
        assert_eq!(
            process::set_close_on_exec(999).unwrap_err().errno(),
            Errno::BADF
        );
    });
}

fn a_number_becomes_a_descriptor_only_when_open() {
    let null = std::fs::File::open("/dev/null").unwrap();
    let copy = process::duplicate_at_least(null.as_fd(), 100).unwrap();
    let number = copy.as_raw_fd();
    std::mem::forget(copy);
    assert!(process::descriptor_is_open(number));
    drop(process::take_raw(number).unwrap());
    assert!(!process::descriptor_is_open(number));
    for number in [number, -1, i32::MAX] {
        assert_eq!(process::take_raw(number).unwrap_err().errno(), Errno::BADF);
        assert_eq!(
            process::borrow_raw(number).unwrap_err().errno(),
            Errno::BADF
        );
    }
}

fn everything_from_a_number_on_is_closed() {
    isolated(|| {
        let null = std::fs::File::open("/dev/null").unwrap();
        for number in [70, 71, 900] {
            process::duplicate_to(null.as_fd(), number, true).unwrap();
        }
        process::close_from(70).unwrap();
        for number in [70, 71, 900] {
            assert!(!process::descriptor_is_open(number));
        }
        assert!(process::descriptor_is_open(null.as_raw_fd()));
    });
}

fn a_pipe_is_close_on_exec() {
    let (read, write) = system::pipe().unwrap();
    for end in [read, write] {
        assert_eq!(fcntl_getfd(&end).unwrap(), FdFlags::CLOEXEC);
    }
}
