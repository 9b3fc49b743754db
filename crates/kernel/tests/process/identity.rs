//! Users, groups, capabilities, prctl.

use std::os::fd::AsFd;
use std::time::Duration;

use kernel::Errno;
use kernel::caps::{self, CapSets};
use kernel::process::{self, Clone3, run_in_child};
use kernel::{identity, pidfd, prctl, socket};

use crate::{isolated, status_line, tests};

tests![
    ids_and_groups_are_all_changed,
    the_id_that_means_keep_is_refused,
    the_bounding_set_is_what_the_kernel_shows,
    capabilities_leave_the_bounding_set,
    the_three_sets_are_set,
    the_ambient_set_is_exactly_what_was_asked,
    kept_capabilities_survive_a_change_of_user,
    marks_of_a_process_are_set,
    a_child_dies_with_its_parent,
    an_orphan_comes_to_its_subreaper,
];

const SETPCAP: u64 = 1 << 8;
const CHOWN: u64 = 1 << 0;
const SETUID: u64 = 1 << 7;
const KILL: u64 = 1 << 5;

fn mask(key: &str) -> u64 {
    u64::from_str_radix(&status_line(key), 16).unwrap()
}

fn ids_and_groups_are_all_changed() {
    isolated(|| {
        identity::set_groups(&[7, 5, 100_000]).unwrap();
        identity::set_ids(1001, 1002).unwrap();
        assert_eq!(status_line("Uid"), "1001\t1001\t1001\t1001");
        assert_eq!(status_line("Gid"), "1002\t1002\t1002\t1002");
        assert_eq!(status_line("Groups"), "5 7 100000");
        assert_eq!(
            (identity::effective_uid(), identity::effective_gid()),
            (1001, 1002)
        );
        let error = identity::set_ids(0, 0).unwrap_err();
        assert_eq!(error.errno(), Errno::PERM);
        assert_eq!(error.call(), "setresgid(0, 0, 0)");
        assert_eq!(identity::set_groups(&[1]).unwrap_err().errno(), Errno::PERM);
    });
}

fn the_id_that_means_keep_is_refused() {
    isolated(|| {
        for (uid, gid) in [(u32::MAX, 5), (5, u32::MAX)] {
            assert_eq!(
                identity::set_ids(uid, gid).unwrap_err().errno(),
                Errno::INVAL
            );
        }
        assert_eq!(
            identity::set_groups(&[u32::MAX]).unwrap_err().errno(),
            Errno::INVAL
        );
        assert_eq!(status_line("Uid"), "0\t0\t0\t0");
        assert_eq!(status_line("Gid"), "0\t0\t0\t0");
    });
}

fn the_bounding_set_is_what_the_kernel_shows() {
    let (held, last) = caps::bounding().unwrap();
    assert_eq!(held, mask("CapBnd"));
    let shown = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
    assert_eq!(shown.trim(), last.to_string());
}

fn capabilities_leave_the_bounding_set() {
    isolated(|| {
        let (held, _) = caps::bounding().unwrap();
        caps::drop_bounding(CHOWN | KILL).unwrap();
        assert_eq!(mask("CapBnd"), held & (CHOWN | KILL));
        // Nothing is left to drop, so it needs no privilege.
        caps::set(&CapSets::default()).unwrap();
        caps::drop_bounding(CHOWN | KILL).unwrap();
        assert_eq!(caps::drop_bounding(0).unwrap_err().errno(), Errno::PERM);
    });
}

fn the_three_sets_are_set() {
    isolated(|| {
        let wanted = CapSets {
            effective: CHOWN,
            permitted: CHOWN | SETPCAP,
            inheritable: KILL,
        };
        caps::set(&wanted).unwrap();
        assert_eq!(caps::current().unwrap(), wanted);
        let seen = (mask("CapEff"), mask("CapPrm"), mask("CapInh"));
        assert_eq!(seen, (CHOWN, CHOWN | SETPCAP, KILL));
        let more = CapSets {
            effective: CHOWN | KILL,
            permitted: u64::MAX,
            inheritable: KILL,
        };
        let error = caps::set(&more).unwrap_err();
        assert_eq!(error.errno(), Errno::PERM);
        assert!(error.call().contains("effective 0x21"), "{error}");
    });
}

fn the_ambient_set_is_exactly_what_was_asked() {
    isolated(|| {
        let all = CHOWN | KILL | SETPCAP;
        caps::set(&CapSets {
            effective: all,
            permitted: all,
            inheritable: CHOWN | KILL,
        })
        .unwrap();
        caps::raise_ambient(CHOWN | KILL).unwrap();
        assert_eq!(mask("CapAmb"), CHOWN | KILL);
        caps::raise_ambient(KILL).unwrap();
        assert_eq!(mask("CapAmb"), KILL);
        let error = caps::raise_ambient(SETPCAP).unwrap_err();
        assert_eq!(error.errno(), Errno::PERM);
        assert!(
            error.call().ends_with("PR_CAP_AMBIENT_RAISE, 8)"),
            "{error}"
        );
    });
}

fn kept_capabilities_survive_a_change_of_user() {
    isolated(|| {
        prctl::set_keep_capabilities(true).unwrap();
        identity::set_ids(1000, 1000).unwrap();
        assert_ne!(caps::current().unwrap().permitted & SETUID, 0);
        assert_eq!(caps::current().unwrap().effective, 0);
    });
    isolated(|| {
        identity::set_ids(1000, 1000).unwrap();
        assert_eq!(caps::current().unwrap().permitted, 0);
    });
}

fn marks_of_a_process_are_set() {
    isolated(|| {
        assert_eq!(status_line("NoNewPrivs"), "0");
        prctl::set_no_new_privileges().unwrap();
        assert_eq!(status_line("NoNewPrivs"), "1");
        prctl::set_name(c"corten: a long name").unwrap();
        assert_eq!(status_line("Name"), "corten: a long");
        prctl::set_dumpable(false).unwrap();
        assert_eq!(
            rustix::process::dumpable_behavior(),
            Ok(rustix::process::DumpableBehavior::NotDumpable)
        );
        prctl::set_dumpable(true).unwrap();
        assert_eq!(
            rustix::process::dumpable_behavior(),
            Ok(rustix::process::DumpableBehavior::Dumpable)
        );
        assert_eq!(
            prctl::set_parent_death_signal(Some(99))
                .unwrap_err()
                .errno(),
            Errno::INVAL
        );
    });
}

fn a_child_dies_with_its_parent() {
    let (ours, theirs) = socket::seqpacket_pair().unwrap();
    let (_, middle) = run_in_child(&Clone3::default(), || {
        let parent = process::pid();
        let (_, child) = run_in_child(&Clone3::default(), || {
            prctl::set_parent_death_signal(Some(libc::SIGKILL)).unwrap();
            assert_eq!(process::parent_pid(), parent);
            socket::send(theirs.as_fd(), b"set").unwrap();
            std::thread::sleep(Duration::from_secs(60));
            0
        })
        .unwrap();
        socket::send_with_fd(theirs.as_fd(), b"pidfd", child.as_fd()).unwrap();
        socket::receive(theirs.as_fd(), &mut [0; 1]).unwrap();
        0
    })
    .unwrap();
    let mut child = None;
    for _ in 0..2 {
        let (_, passed) = socket::receive(ours.as_fd(), &mut [0; 8]).unwrap();
        child = child.or(passed);
    }
    let child = child.unwrap();
    assert!(!pidfd::has_ended(child.as_fd()).unwrap());
    socket::send(ours.as_fd(), b"x").unwrap();
    assert!(pidfd::wait_exit(child.as_fd(), Some(Duration::from_secs(5))).unwrap());
    pidfd::wait(middle.as_fd()).unwrap();
}

fn an_orphan_comes_to_its_subreaper() {
    isolated(|| {
        prctl::set_child_subreaper(true).unwrap();
        let own = process::pid();
        let (ours, theirs) = socket::seqpacket_pair().unwrap();
        let (_, middle) = run_in_child(&Clone3::default(), || {
            let (_, orphan) = run_in_child(&Clone3::default(), || {
                socket::receive(theirs.as_fd(), &mut [0; 1]).unwrap();
                i32::from(process::parent_pid() != own)
            })
            .unwrap();
            socket::send_with_fd(theirs.as_fd(), b"x", orphan.as_fd()).unwrap();
            0
        })
        .unwrap();
        let (_, orphan) = socket::receive(ours.as_fd(), &mut [0; 8]).unwrap();
        pidfd::wait(middle.as_fd()).unwrap();
        socket::send(ours.as_fd(), b"x").unwrap();
        let status = pidfd::wait(orphan.unwrap().as_fd()).unwrap();
        assert_eq!(status, process::ExitStatus::Code(0));
    });
}
