//! Limits, filters, device programs, keyrings.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kernel::Errno;
use kernel::process::{Clone3, ExitStatus, run_in_child};
use kernel::{bpf, keyring, pidfd, prctl, process, rlimit, seccomp, socket, system};

use crate::{in_child, isolated, skip, tests};

tests![
    a_limit_is_set_from_outside,
    a_limit_cannot_be_set_upside_down,
    a_filter_decides_about_calls,
    a_filter_hands_out_its_listener,
    a_filter_that_is_none_is_refused,
    a_device_program_decides_about_devices,
    a_refused_device_program_says_what_the_verifier_said,
    a_session_keyring_is_joined,
    polling_ends_in_time_and_survives_signals,
];

/// A cgroup v2 of this test run, removed at the end.
pub struct TestCgroup {
    pub name: String,
    pub directory: OwnedFd,
    path: PathBuf,
}

impl TestCgroup {
    pub fn make() -> Option<Self> {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let has_v2 = |root: &&str| PathBuf::from(root).join("cgroup.procs").exists();
        let root = roots
            .into_iter()
            .filter(|r| PathBuf::from(r).join("cgroup.subtree_control").exists())
            .find(has_v2)?;
        let name = format!("corten-kernel-test-{}", process::pid());
        let path = PathBuf::from(root).join(&name);
        std::fs::create_dir(&path).ok()?;
        let directory = std::fs::File::open(&path).ok()?.into();
        Some(Self {
            name,
            directory,
            path,
        })
    }
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        // A zombie may still be leaving.
        let end = Instant::now() + Duration::from_secs(2);
        while std::fs::remove_dir(&self.path).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn a_limit_is_set_from_outside() {
    let (ours, theirs) = socket::seqpacket_pair().unwrap();
    let files = rlimit::resource_number("RLIMIT_NOFILE").unwrap();
    let core = rlimit::resource_number("RLIMIT_CORE").unwrap();
    let (pid, child) = run_in_child(&Clone3::default(), || {
        socket::receive(theirs.as_fd(), &mut [0; 1]).unwrap();
        assert_eq!(rlimit::get_limit(files).unwrap(), (123, 456));
        assert_eq!(rlimit::get_limit(core).unwrap(), (0, u64::MAX));
        0
    })
    .unwrap();
    rlimit::set_process_limit(pid, files, 123, 456).unwrap();
    rlimit::set_process_limit(pid, core, 0, u64::MAX).unwrap();
    socket::send(ours.as_fd(), b"x").unwrap();
    assert_eq!(pidfd::wait(child.as_fd()).unwrap(), ExitStatus::Code(0));
}

fn a_limit_cannot_be_set_upside_down() {
    let files = rlimit::resource_number("RLIMIT_NOFILE").unwrap();
    let error = rlimit::set_process_limit(0, files, 20, 10).unwrap_err();
    let wanted = "prlimit(0, RLIMIT_NOFILE, soft 20, hard 10): invalid argument";
    assert_eq!(error.to_string(), wanted);
}

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const NOTIFY: u32 = 0x7fc0_0000;

/// "Answer `number` with `action`, everything else with allow."
fn filter(number: libc::c_long, action: u32) -> [u64; 4] {
    let pack = |code: u16, jt: u8, jf: u8, k: u32| {
        u64::from(code) << 48 | u64::from(jt) << 40 | u64::from(jf) << 32 | u64::from(k)
    };
    [
        pack(0x20, 0, 0, 0),
        pack(0x15, 0, 1, number as u32),
        pack(0x06, 0, 0, action),
        pack(0x06, 0, 0, ALLOW),
    ]
}

fn a_filter_decides_about_calls() {
    isolated(|| {
        prctl::set_no_new_privileges().unwrap();
        let program = filter(libc::SYS_sethostname, ERRNO | libc::EXDEV as u32);
        assert!(seccomp::load_filter(&program, 0).unwrap().is_none());
        assert_eq!(system::set_hostname("x").unwrap_err().errno(), Errno::XDEV);
    });
}

fn a_filter_hands_out_its_listener() {
    isolated(|| {
        let program = filter(libc::SYS_sethostname, NOTIFY);
        let flag = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        let listener = seccomp::load_filter(&program, flag).unwrap().unwrap();
        let flags = rustix::io::fcntl_getfd(&listener).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        let again = seccomp::load_filter(&program, flag).unwrap_err();
        assert_eq!(again.errno(), Errno::BUSY);
    });
}

fn a_filter_that_is_none_is_refused() {
    let error = seccomp::load_filter(&vec![0; 4097], 0).unwrap_err();
    assert!(error.to_string().contains("at most 4096"), "{error}");
    assert_eq!(
        seccomp::load_filter(&[], 0).unwrap_err().errno(),
        Errno::INVAL
    );
    assert_eq!(
        seccomp::load_filter(&[0], 0).unwrap_err().errno(),
        Errno::INVAL
    );
}

/// `r0 = value; exit`
fn device_program(value: u32) -> [u64; 2] {
    [u64::from(value) << 32 | 0xb7, 0x95]
}

fn a_device_program_decides_about_devices() {
    let Some(cgroup) = TestCgroup::make() else {
        skip("no cgroup v2 hierarchy is mounted here")
    };
    let clone = Clone3 {
        into_cgroup: Some(cgroup.directory.as_fd()),
        ..Clone3::default()
    };
    let opened = |expected: Result<(), i32>| {
        let status = in_child(&clone, || {
            let opened = std::fs::File::open("/dev/zero").map(drop);
            assert_eq!(opened.map_err(|e| e.raw_os_error().unwrap()), expected);
        });
        assert_eq!(status, ExitStatus::Code(0));
    };
    let allow = bpf::load_device_program(&device_program(1)).unwrap();
    bpf::attach_cgroup_device(cgroup.directory.as_fd(), allow.as_fd()).unwrap();
    opened(Ok(()));
    let deny = bpf::load_device_program(&device_program(0)).unwrap();
    bpf::attach_cgroup_device(cgroup.directory.as_fd(), deny.as_fd()).unwrap();
    opened(Err(libc::EPERM));
    let null = std::fs::File::open("/dev/null").unwrap();
    let error = bpf::attach_cgroup_device(null.as_fd(), deny.as_fd()).unwrap_err();
    assert_eq!(error.errno(), Errno::BADF);
}

fn a_refused_device_program_says_what_the_verifier_said() {
    // `exit` with nothing in r0
    let error = bpf::load_device_program(&[0x95]).unwrap_err();
    assert_eq!(error.errno(), Errno::ACCESS);
    let text = error.to_string();
    assert!(
        text.contains("permission denied, the verifier said:"),
        "{text}"
    );
    assert!(
        text.contains("R0 !read_ok") && !text.contains('\n'),
        "{text}"
    );
}

fn a_session_keyring_is_joined() {
    isolated(|| match keyring::join_session_keyring("_ses.kernel-test") {
        Ok(serial) => {
            assert!(serial > 0);
            keyring::add_permissions(serial, 0x80000).unwrap();
            let keys = std::fs::read_to_string("/proc/keys").unwrap();
            let line = keys.lines().find(|line| line.contains("_ses.kernel-test"));
            assert!(line.is_some(), "{keys}");
        }
        Err(error) => assert_eq!(error.errno(), Errno::NOSYS, "{error}"),
    });
}

fn polling_ends_in_time_and_survives_signals() {
    isolated(|| {
        // SAFETY: the handler does nothing, and nothing else is shared.
        unsafe {
            extern "C" fn nothing(_: libc::c_int) {}
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as *const () as libc::sighandler_t;
            libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut());
            let every = libc::timeval {
                tv_sec: 0,
                tv_usec: 5000,
            };
            let timer = libc::itimerval {
                it_interval: every,
                it_value: every,
            };
            libc::syscall(
                libc::SYS_setitimer,
                libc::ITIMER_REAL,
                &raw const timer,
                0usize,
            );
        }
        let (read, _write) = system::pipe().unwrap();
        let begin = Instant::now();
        let mut fds = [system::Poll::new(&read, system::PollFlags::IN)];
        let ready = system::poll(&mut fds, Some(Duration::from_millis(60))).unwrap();
        assert_eq!(ready, 0);
        let took = begin.elapsed();
        assert!(
            took >= Duration::from_millis(60) && took < Duration::from_secs(5),
            "{took:?}"
        );
    });
}
