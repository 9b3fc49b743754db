//! Signals as data.

use std::os::fd::AsFd;
use std::time::Duration;

use kernel::Errno;
use kernel::process::{self, Clone3, run_in_child};
use kernel::signal::{self, Received, SignalSet};
use kernel::system::{self, Poll, PollFlags};

use crate::{isolated, status_line, tests};

tests![
    signals_are_read_from_a_descriptor,
    the_end_of_a_child_is_read_from_a_descriptor,
    a_program_inherits_no_ignored_and_no_blocked_signal,
    a_mask_is_put_back,
    a_closed_pipe_is_an_error_when_its_signal_is_ignored,
    signals_to_nobody_fail,
];

fn signals_are_read_from_a_descriptor() {
    isolated(|| {
        let set = SignalSet::of(&[libc::SIGTERM, libc::SIGRTMIN() + 3]);
        let _old = signal::block(&set).unwrap();
        let fd = signal::signalfd(&set).unwrap();
        assert_eq!(signal::read_signal(fd.as_fd()).unwrap(), None);
        let own = process::pid();
        signal::send(own, libc::SIGTERM).unwrap();
        signal::send(own, libc::SIGRTMIN() + 3).unwrap();
        for number in [libc::SIGTERM, libc::SIGRTMIN() + 3] {
            let got = signal::read_signal(fd.as_fd()).unwrap();
            assert_eq!(
                got,
                Some(Received {
                    number,
                    sender: own
                })
            );
        }
        assert_eq!(signal::read_signal(fd.as_fd()).unwrap(), None);
    });
}

fn the_end_of_a_child_is_read_from_a_descriptor() {
    isolated(|| {
        let _old = signal::block_all().unwrap();
        let fd = signal::signalfd(&SignalSet::all()).unwrap();
        let (pid, _child) = run_in_child(&Clone3::default(), || 0).unwrap();
        let mut fds = [Poll::new(&fd, PollFlags::IN)];
        assert_eq!(
            system::poll(&mut fds, Some(Duration::from_secs(5))).unwrap(),
            1
        );
        let got = signal::read_signal(fd.as_fd()).unwrap().unwrap();
        assert_eq!((got.number, got.sender), (libc::SIGCHLD, pid));
    });
}

fn a_program_inherits_no_ignored_and_no_blocked_signal() {
    isolated(|| {
        for number in [libc::SIGHUP, libc::SIGINT, libc::SIGCHLD, 40] {
            // SAFETY: runs no code.
            unsafe { libc::signal(number, libc::SIG_IGN) };
        }
        let _old = signal::block_all().unwrap();
        assert_ne!(status_line("SigIgn"), "0000000000000000");
        assert_ne!(status_line("SigBlk"), "0000000000000000");
        signal::reset_all().unwrap();
        for line in ["SigIgn", "SigBlk", "SigCgt"] {
            assert_eq!(status_line(line), "0000000000000000", "{line}");
        }
    });
}

fn a_mask_is_put_back() {
    isolated(|| {
        let _outer = signal::block(&SignalSet::of(&[libc::SIGUSR1])).unwrap();
        let before = status_line("SigBlk");
        let old = signal::block_all().unwrap();
        assert_ne!(status_line("SigBlk"), before);
        old.restore().unwrap();
        assert_eq!(status_line("SigBlk"), before);
    });
}

fn a_closed_pipe_is_an_error_when_its_signal_is_ignored() {
    isolated(|| {
        signal::reset_all().unwrap();
        signal::ignore_pipe_signal();
        let (read, write) = system::pipe().unwrap();
        drop(read);
        assert_eq!(rustix::io::write(&write, b"x"), Err(Errno::PIPE));
        signal::set_default(libc::SIGPIPE);
        assert_eq!(status_line("SigIgn"), "0000000000000000");
    });
}

fn signals_to_nobody_fail() {
    let error = signal::send(i32::MAX, libc::SIGTERM).unwrap_err();
    assert_eq!(
        error.to_string(),
        "kill(2147483647, SIGTERM): no such process"
    );
    let error = signal::send(process::pid(), 99).unwrap_err();
    assert_eq!(error.errno(), Errno::INVAL);
}
