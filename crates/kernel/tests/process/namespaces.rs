//! Namespaces, and what is set inside of new ones.

use std::os::fd::{AsFd, OwnedFd};

use kernel::Errno;
use kernel::namespace::{
    self, NEW_CGROUP, NEW_IPC, NEW_MOUNT, NEW_NETWORK, NEW_PID, NEW_TIME, NEW_USER, NEW_UTS,
};
use kernel::process::{self, Clone3, ExitStatus, run_in_child};
use kernel::{netlink, pidfd, socket, system};

use crate::{in_child, isolated, tests};

tests![
    each_namespace_alone_is_new,
    all_namespaces_at_once,
    a_namespace_is_joined_by_its_descriptor,
    namespaces_of_a_process_are_joined_by_its_pidfd,
    a_namespace_of_another_kind_is_refused,
    what_is_no_namespace_has_no_type,
    a_network_has_a_loopback,
    names_belong_to_the_namespace,
];

const ALL: [u64; 8] = [
    NEW_CGROUP,
    NEW_IPC,
    NEW_MOUNT,
    NEW_NETWORK,
    NEW_PID,
    NEW_TIME,
    NEW_USER,
    NEW_UTS,
];

fn own(flag: u64) -> OwnedFd {
    namespace::open_own(namespace::file_name(flag).unwrap()).unwrap()
}

fn each_namespace_alone_is_new() {
    for new in ALL {
        let outer: Vec<OwnedFd> = ALL.map(own).into();
        let clone = Clone3 {
            namespaces: new,
            ..Clone3::default()
        };
        let status = in_child(&clone, || {
            for (flag, outer) in ALL.iter().zip(&outer) {
                // A new pid namespace's child sees itself by the old /proc as nothing.
                if new == NEW_PID {
                    assert_eq!(process::pid(), 1);
                    continue;
                }
                let inner = own(*flag);
                assert_eq!(namespace::namespace_type(inner.as_fd()).unwrap(), *flag);
                let same = namespace::same_namespace(inner.as_fd(), outer.as_fd()).unwrap();
                assert_eq!(same, *flag != new, "{}", namespace::flag_names(*flag));
            }
        });
        assert_eq!(
            status,
            ExitStatus::Code(0),
            "{}",
            namespace::flag_names(new)
        );
    }
}

fn all_namespaces_at_once() {
    let namespaces = ALL.iter().fold(0, |all, flag| all | flag);
    let status = in_child(
        &Clone3 {
            namespaces,
            ..Clone3::default()
        },
        || {
            assert_eq!((process::pid(), process::parent_pid()), (1, 0));
            assert_eq!(
                kernel::identity::effective_uid(),
                65534,
                "no id is mapped yet"
            );
        },
    );
    assert_eq!(status, ExitStatus::Code(0));
    let names = namespace::flag_names(namespaces);
    assert_eq!(names.split('|').count(), 8);
}

fn a_namespace_is_joined_by_its_descriptor() {
    isolated(|| {
        let before = own(NEW_UTS);
        namespace::unshare(NEW_UTS).unwrap();
        let new = own(NEW_UTS);
        assert!(!namespace::same_namespace(before.as_fd(), new.as_fd()).unwrap());
        namespace::set_namespace(before.as_fd(), NEW_UTS).unwrap();
        assert!(namespace::same_namespace(before.as_fd(), own(NEW_UTS).as_fd()).unwrap());
        let owner = namespace::owning_user_namespace(new.as_fd()).unwrap();
        assert!(namespace::same_namespace(owner.as_fd(), own(NEW_USER).as_fd()).unwrap());
    });
}

fn namespaces_of_a_process_are_joined_by_its_pidfd() {
    let (ours, theirs) = socket::seqpacket_pair().unwrap();
    let clone = Clone3 {
        namespaces: NEW_UTS | NEW_IPC,
        ..Clone3::default()
    };
    let (_, child) = run_in_child(&clone, || {
        system::set_hostname("joined").unwrap();
        socket::send(theirs.as_fd(), b"x").unwrap();
        socket::receive(theirs.as_fd(), &mut [0; 1]).unwrap();
        0
    })
    .unwrap();
    socket::receive(ours.as_fd(), &mut [0; 1]).unwrap();
    isolated(|| {
        namespace::set_namespace(child.as_fd(), NEW_UTS | NEW_IPC).unwrap();
        let name = rustix::system::uname();
        assert_eq!(name.nodename(), c"joined");
    });
    socket::send(ours.as_fd(), b"x").unwrap();
    pidfd::wait(child.as_fd()).unwrap();
}

fn a_namespace_of_another_kind_is_refused() {
    let network = own(NEW_NETWORK);
    let error = namespace::set_namespace(network.as_fd(), NEW_UTS).unwrap_err();
    assert_eq!(error.errno(), Errno::INVAL);
    assert!(error.call().ends_with(", CLONE_NEWUTS)"), "{error}");
}

fn what_is_no_namespace_has_no_type() {
    let null = std::fs::File::open("/dev/null").unwrap();
    let error = namespace::namespace_type(null.as_fd()).unwrap_err();
    assert_eq!(error.errno(), Errno::NOTTY);
    assert_eq!(
        namespace::open_own("bananas").unwrap_err().errno(),
        Errno::NOENT
    );
}

fn a_network_has_a_loopback() {
    let clone = Clone3 {
        namespaces: NEW_NETWORK,
        ..Clone3::default()
    };
    let status = in_child(&clone, || {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0");
        let reached = |s: &std::net::UdpSocket| s.send_to(b"x", s.local_addr().unwrap()).is_ok();
        assert!(
            !socket.is_ok_and(|s| reached(&s)),
            "lo is down in the beginning"
        );
        netlink::bring_up_loopback().unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(reached(&socket));
    });
    assert_eq!(status, ExitStatus::Code(0));
}

fn names_belong_to_the_namespace() {
    let before = rustix::system::uname();
    let clone = Clone3 {
        namespaces: NEW_UTS,
        ..Clone3::default()
    };
    let status = in_child(&clone, || {
        system::set_hostname("inside").unwrap();
        system::set_domainname("example.org").unwrap();
        let names = rustix::system::uname();
        assert_eq!(
            (names.nodename(), names.domainname()),
            (c"inside", c"example.org")
        );
        let error = system::set_hostname(&"x".repeat(65)).unwrap_err();
        assert_eq!(error.errno(), Errno::INVAL);
    });
    assert_eq!(status, ExitStatus::Code(0));
    assert_eq!(rustix::system::uname().nodename(), before.nodename());
    assert!(system::kernel_version() >= (5, 14));
}
