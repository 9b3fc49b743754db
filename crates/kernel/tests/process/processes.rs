//! clone3, execve, pidfds.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use kernel::Errno;
use kernel::process::{self, Clone3, ExitStatus, Forked, run_in_child, run_in_our_memory};
use kernel::{memfd, namespace, pidfd, signal, socket, system};

use crate::{in_child, isolated, tests};

tests![
    the_code_of_a_child_is_seen,
    the_signal_that_ended_a_child_is_seen,
    a_child_that_panics_does_not_return,
    fork_returns_twice,
    a_child_in_our_memory_is_over_before_we_go_on,
    a_child_in_our_memory_has_descriptors_of_its_own,
    a_child_in_our_memory_that_is_killed_leaves_us_a_heap,
    a_status_is_not_lost_when_children_are_ignored,
    a_process_with_two_threads_does_not_clone,
    a_child_is_born_in_its_cgroup,
    a_cgroup_is_entered_while_its_owner_is_still_our_user,
    a_refused_clone_names_what_was_asked_for,
    a_child_can_be_given_to_our_parent,
    a_sealed_memory_file_can_be_executed,
    a_program_that_cannot_be_executed_says_why,
    waiting_for_a_process_ends_with_it_or_with_the_time,
    a_reaped_process_is_gone_for_ever,
    a_pidfd_names_one_process,
    a_descriptor_of_a_child_can_be_fetched,
    what_is_no_process_has_no_pidfd,
    sessions_and_masks,
];

fn the_code_of_a_child_is_seen() {
    let (pid, child) = run_in_child(&Clone3::default(), || 42).unwrap();
    assert!(pid > 1);
    assert_eq!(pidfd::wait(child.as_fd()).unwrap(), ExitStatus::Code(42));
}

fn the_signal_that_ended_a_child_is_seen() {
    let (_, child) = run_in_child(&Clone3::default(), sleep_for_ever).unwrap();
    assert_eq!(pidfd::try_wait(child.as_fd()).unwrap(), None);
    pidfd::send_signal(child.as_fd(), libc::SIGKILL).unwrap();
    let status = pidfd::wait(child.as_fd()).unwrap();
    assert_eq!(status, ExitStatus::Signal(libc::SIGKILL));
    assert_eq!(status.shell_code(), 137);
}

fn sleep_for_ever() -> i32 {
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

fn a_child_that_panics_does_not_return() {
    let status = in_child(&Clone3::default(), || {
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert_eq!(status, ExitStatus::Code(101));
}

fn fork_returns_twice() {
    match process::fork().unwrap() {
        Forked::Child => process::exit_now(7),
        Forked::Parent { pidfd, .. } => {
            assert_eq!(pidfd::wait(pidfd.as_fd()).unwrap(), ExitStatus::Code(7));
        }
    }
}

fn a_child_in_our_memory_is_over_before_we_go_on() {
    let list = RefCell::new(vec!["ours".to_owned()]);
    for round in 0..3 {
        let (_, child) = run_in_our_memory(&Clone3::default(), &|| {
            let text = format!("the child's, in round {round}: {:?}", 1.5_f64);
            list.borrow_mut().push(text);
            process::exit_now(round)
        })
        .unwrap();
        assert_eq!(pidfd::wait(child.as_fd()).unwrap(), ExitStatus::Code(round));
    }
    assert_eq!(list.borrow().len(), 4);
    assert_eq!(list.borrow()[3], "the child's, in round 2: 1.5");
    assert!(!is_page(&Box::new(1_u64)), "the heap is the ordinary one");
}

/// Whether an allocation is a mapping of its own.
fn is_page(number: &u64) -> bool {
    (std::ptr::from_ref(number) as usize).is_multiple_of(4096)
}

fn a_child_in_our_memory_that_is_killed_leaves_us_a_heap() {
    for microseconds in (0..400).step_by(20) {
        isolated(|| {
            let (read, write) = system::pipe().unwrap();
            let (_, killer) = run_in_child(&Clone3::default(), || {
                let mut pid = [0; 4];
                rustix::io::read(&read, &mut pid).unwrap();
                let child = pidfd::open(i32::from_ne_bytes(pid)).unwrap();
                std::thread::sleep(Duration::from_micros(microseconds));
                pidfd::send_signal(child.as_fd(), signal::KILL).unwrap();
                0
            })
            .unwrap();
            let mut kept: Vec<String> = (0..50).map(|n| "x".repeat(n * 37 % 4000)).collect();
            let (_, child) = run_in_our_memory(&Clone3::default(), &|| {
                rustix::io::write(&write, &process::pid().to_ne_bytes()).unwrap();
                loop {
                    let sizes = (0..200).map(|n| vec![7_u8; n * 97 % 3000]);
                    std::hint::black_box(sizes.collect::<Vec<_>>());
                }
            })
            .unwrap();
            let killed = ExitStatus::Signal(signal::KILL);
            assert_eq!(pidfd::wait(child.as_fd()).unwrap(), killed);
            assert_eq!(pidfd::wait(killer.as_fd()).unwrap(), ExitStatus::Code(0));
            assert!(is_page(&Box::new(1_u64)), "the heap is left alone");
            kept.iter_mut().for_each(|text| text.push_str("more"));
            assert!(kept.iter().all(|text| text.ends_with("more")));
            drop(kept);
        });
    }
}

fn a_child_in_our_memory_has_descriptors_of_its_own() {
    let (read, write) = system::pipe().unwrap();
    let (_, child) = run_in_our_memory(&Clone3::default(), &|| {
        let done = process::take_raw(read.as_raw_fd()).map(drop);
        process::exit_now(i32::from(done.is_err()))
    })
    .unwrap();
    assert_eq!(pidfd::wait(child.as_fd()).unwrap(), ExitStatus::Code(0));
    assert!(process::descriptor_is_open(read.as_raw_fd()));
    drop(write);
}

fn a_status_is_not_lost_when_children_are_ignored() {
    isolated(|| {
        // SAFETY: runs no code.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        assert_eq!(in_child(&Clone3::default(), || ()), ExitStatus::Code(0));
    });
}

fn a_process_with_two_threads_does_not_clone() {
    let (read, write) = system::pipe().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| rustix::io::read(&read, &mut [0; 1]));
        let error = process::fork().unwrap_err();
        assert_eq!(error.errno(), Errno::BUSY);
        assert!(
            error.to_string().ends_with("more than one thread"),
            "{error}"
        );
        drop(write);
    });
    // The thread is gone for join, but the kernel may still be at it.
    let end = Instant::now() + Duration::from_secs(5);
    while let Err(error) = run_in_child(&Clone3::default(), || 0).map(|(_, child)| {
        pidfd::wait(child.as_fd()).unwrap();
    }) {
        assert!(Instant::now() < end, "{error}");
    }
}

fn a_child_is_born_in_its_cgroup() {
    let Some(cgroup) = crate::machine::TestCgroup::make() else {
        crate::skip("no cgroup v2 hierarchy is mounted here");
    };
    let clone = Clone3 {
        into_cgroup: Some(cgroup.directory.as_fd()),
        ..Clone3::default()
    };
    let status = in_child(&clone, || {
        let list = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        assert!(list.contains(&format!("0::/{}\n", cgroup.name)), "{list}");
    });
    assert_eq!(status, ExitStatus::Code(0));
}

/// Joining a user namespace changes capabilities, becoming its root changes the
/// user: after that the host's cgroup belongs to somebody else.
fn a_cgroup_is_entered_while_its_owner_is_still_our_user() {
    let Some(cgroup) = crate::machine::TestCgroup::make() else {
        crate::skip("no cgroup v2 hierarchy is mounted here");
    };
    let (ours, theirs) = socket::seqpacket_pair().unwrap();
    let clone = Clone3 {
        namespaces: namespace::NEW_USER,
        ..Clone3::default()
    };
    let (pid, holder) = run_in_child(&clone, || {
        socket::receive(theirs.as_fd(), &mut [0; 1]).unwrap();
        0
    })
    .unwrap();
    for map in ["uid_map", "gid_map"] {
        std::fs::write(format!("/proc/{pid}/{map}"), "0 100000 1000").unwrap();
    }
    let into = Clone3 {
        namespaces: namespace::NEW_PID,
        into_cgroup: Some(cgroup.directory.as_fd()),
        parent_is_ours: false,
    };
    isolated(|| {
        namespace::set_namespace(holder.as_fd(), namespace::NEW_USER).unwrap();
        assert_eq!(in_child(&into, || ()), ExitStatus::Code(0));
        kernel::identity::set_ids(0, 0).unwrap();
        assert_eq!(process::clone3(&into).unwrap_err().errno(), Errno::ACCESS);
    });
    socket::send(ours.as_fd(), b"x").unwrap();
    pidfd::wait(holder.as_fd()).unwrap();
}

fn a_refused_clone_names_what_was_asked_for() {
    let null = std::fs::File::open("/dev/null").unwrap();
    let clone = Clone3 {
        namespaces: namespace::NEW_PID | namespace::NEW_MOUNT,
        into_cgroup: Some(null.as_fd()),
        parent_is_ours: false,
    };
    let error = process::clone3(&clone).unwrap_err();
    assert_eq!(error.errno(), Errno::BADF);
    let wanted = format!(
        "clone3(CLONE_NEWNS|CLONE_NEWPID|CLONE_PIDFD|CLONE_INTO_CGROUP, cgroup {})",
        null.as_raw_fd()
    );
    assert_eq!(error.call(), wanted);
}

fn a_child_can_be_given_to_our_parent() {
    let (ours, theirs) = socket::seqpacket_pair().unwrap();
    let (_, middle) = run_in_child(&Clone3::default(), || {
        let clone = Clone3 {
            parent_is_ours: true,
            ..Clone3::default()
        };
        let (_, sibling) = run_in_child(&clone, || 5).unwrap();
        socket::send_with_fd(theirs.as_fd(), b"x", sibling.as_fd()).unwrap();
        0
    })
    .unwrap();
    let (_, sibling) = socket::receive(ours.as_fd(), &mut [0; 8]).unwrap();
    let sibling = sibling.unwrap();
    assert_eq!(pidfd::wait(sibling.as_fd()).unwrap(), ExitStatus::Code(5));
    assert_eq!(pidfd::wait(middle.as_fd()).unwrap(), ExitStatus::Code(0));
}

fn a_sealed_memory_file_can_be_executed() {
    let shell = std::fs::read("/bin/sh").unwrap();
    let (head, tail) = shell.split_at(1000);
    let program = memfd::sealed_memfd("shell", &[head, b"", tail]).unwrap();
    let arguments = process::c_strings(&["sh", "-c", "exit $CODE"]).unwrap();
    let environment = process::c_strings(&["CODE=33"]).unwrap();
    let (_, child) = run_in_child(&Clone3::default(), || {
        process::execute_fd(program.as_fd(), &arguments, &environment);
        1
    })
    .unwrap();
    assert_eq!(pidfd::wait(child.as_fd()).unwrap(), ExitStatus::Code(33));
    for attempt in [
        rustix::io::pwrite(&program, b"x", 0).map(drop),
        rustix::fs::ftruncate(&program, 0),
        rustix::fs::ftruncate(&program, 1 << 30),
        rustix::fs::fcntl_add_seals(&program, rustix::fs::SealFlags::empty()),
    ] {
        assert_eq!(attempt, Err(Errno::PERM));
    }
}

fn a_program_that_cannot_be_executed_says_why() {
    let arguments = process::c_strings(&["prog", "a b"]).unwrap();
    let error = process::execute(c"/nonexistent/prog", &arguments, &[]);
    assert_eq!(error.errno(), Errno::NOENT);
    assert_eq!(
        error.call(),
        r#"execve("/nonexistent/prog", ["prog", "a b"])"#
    );
    let error = process::execute(c"/proc/self/status", &arguments, &[]);
    assert_eq!(error.errno(), Errno::ACCESS);
    let directory = process::borrow_raw(2).unwrap();
    assert!(
        process::execute_fd(directory, &arguments, &[])
            .call()
            .starts_with("execveat(2,")
    );
    let error = process::c_strings(&["a", "b\0c"]).unwrap_err();
    assert!(error.to_string().contains("NUL byte"), "{error}");
}

fn waiting_for_a_process_ends_with_it_or_with_the_time() {
    let (_, child) = run_in_child(&Clone3::default(), sleep_for_ever).unwrap();
    let begin = Instant::now();
    assert!(!pidfd::wait_exit(child.as_fd(), Some(Duration::from_millis(30))).unwrap());
    assert!(begin.elapsed() >= Duration::from_millis(30));
    assert!(!pidfd::has_ended(child.as_fd()).unwrap());
    pidfd::send_signal(child.as_fd(), libc::SIGTERM).unwrap();
    assert!(pidfd::wait_exit(child.as_fd(), None).unwrap());
    assert!(
        pidfd::has_ended(child.as_fd()).unwrap(),
        "a zombie has ended"
    );
    pidfd::wait(child.as_fd()).unwrap();
}

fn a_reaped_process_is_gone_for_ever() {
    let (pid, child) = run_in_child(&Clone3::default(), || 0).unwrap();
    assert!(pidfd::is_child(child.as_fd()).unwrap(), "nothing is reaped");
    pidfd::wait(child.as_fd()).unwrap();
    assert!(!pidfd::is_child(child.as_fd()).unwrap());
    let error = pidfd::send_signal(child.as_fd(), 0).unwrap_err();
    assert_eq!(error.errno(), Errno::SRCH);
    assert!(error.call().ends_with("signal 0)"), "{error}");
    assert_eq!(
        pidfd::wait(child.as_fd()).unwrap_err().errno(),
        Errno::CHILD
    );
    assert_eq!(pidfd::open(pid).unwrap_err().errno(), Errno::SRCH);
}

fn a_pidfd_names_one_process() {
    let own = pidfd::open(process::pid()).unwrap();
    let again = pidfd::open(process::pid()).unwrap();
    let same = pidfd::inode(own.as_fd()).unwrap() == pidfd::inode(again.as_fd()).unwrap();
    assert!(same);
    assert!(!pidfd::is_child(own.as_fd()).unwrap());
    if system::kernel_version() >= (6, 9) {
        let (_, child) = run_in_child(&Clone3::default(), || 0).unwrap();
        assert_ne!(
            pidfd::inode(own.as_fd()).unwrap(),
            pidfd::inode(child.as_fd()).unwrap()
        );
        pidfd::wait(child.as_fd()).unwrap();
    }
}

fn a_descriptor_of_a_child_can_be_fetched() {
    let (ours, theirs) = socket::seqpacket_pair().unwrap();
    let (_, child) = run_in_child(&Clone3::default(), || {
        let (read, write) = system::pipe().unwrap();
        let number = [read.as_raw_fd() as u8];
        socket::send(theirs.as_fd(), &number).unwrap();
        rustix::io::write(&write, b"from the child").unwrap();
        socket::receive(theirs.as_fd(), &mut [0; 1]).unwrap();
        0
    })
    .unwrap();
    let mut buffer = [0; 32];
    socket::receive(ours.as_fd(), &mut buffer).unwrap();
    let pipe = pidfd::get_fd(child.as_fd(), buffer[0].into()).unwrap();
    let length = rustix::io::read(&pipe, &mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"from the child");
    assert_eq!(
        pidfd::get_fd(child.as_fd(), 9999).unwrap_err().errno(),
        Errno::BADF
    );
    socket::send(ours.as_fd(), b"x").unwrap();
    pidfd::wait(child.as_fd()).unwrap();
}

fn what_is_no_process_has_no_pidfd() {
    for pid in [0, -1, i32::MIN] {
        assert_eq!(pidfd::open(pid).unwrap_err().errno(), Errno::INVAL, "{pid}");
    }
    assert_eq!(
        pidfd::open(i32::MAX).unwrap_err().to_string(),
        "pidfd_open(2147483647, 0): no such process"
    );
}

fn sessions_and_masks() {
    isolated(|| {
        process::start_session().unwrap();
        assert_eq!(process::start_session().unwrap_err().errno(), Errno::PERM);
        process::set_umask(0o027);
        assert_eq!(process::set_umask(0o022), 0o027);
    });
}
