//! The sealed stub: its script carried out, and what it says when a call is refused.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use kernel::process::{Clone3, ExitStatus, c_strings, execute_fd, keep_on_exec, run_in_child};
use kernel::stub::{Capabilities, Hook, MESSAGE_SIZE, Message, Script};
use kernel::{Errno, memfd, pidfd, socket, system};

use crate::tests;

tests![
    a_script_ends_in_the_program,
    a_refused_call_is_named,
    a_program_that_cannot_be_executed_is_told,
    ready_then_the_end_of_the_conversation,
    the_gate_opens_with_one_byte_and_closes_with_the_exec,
    identity_and_capabilities,
    limits_and_a_filter,
    descriptors_are_closed,
    a_hook_gets_the_state_and_its_status_is_told,
    a_hook_that_takes_too_long_is_killed,
    a_label_reaches_the_kernel,
    a_fork_tells_the_pid,
    the_environment_tells_the_pid,
    the_program_is_sealed,
];

/// A stub that runs `/bin/sh -c command`, and our end of its conversation.
struct Running {
    pidfd: OwnedFd,
    ours: OwnedFd,
    names: Vec<&'static str>,
}

impl Running {
    fn start(command: &str, program: &str, write: impl FnOnce(&mut Script, u32)) -> Self {
        let (ours, theirs) = socket::seqpacket_pair().unwrap();
        let number = theirs.as_raw_fd().cast_unsigned();
        let mut script = Script::new(number, None);
        write(&mut script, number);
        let image = memfd::sealed_memfd("stub", &[&script.assemble().unwrap()]).unwrap();
        let argv = c_strings(&[program, "sh", "-c", command]).unwrap();
        let (_, pidfd) = run_in_child(&Clone3::default(), || {
            keep_on_exec(theirs.as_fd()).unwrap();
            let env = ["A=b", "PID=          ", "B=c"];
            execute_fd(image.as_fd(), &argv, &c_strings(&env).unwrap());
            99
        })
        .unwrap();
        let names = script.call_names().to_vec();
        Self { pidfd, ours, names }
    }

    fn next(&self) -> Option<Message> {
        let mut buffer = [0; 64];
        let (length, _) = socket::receive(self.ours.as_fd(), &mut buffer).unwrap();
        (length > 0).then(|| Message::decode(&buffer[..length]).unwrap())
    }

    fn end(&self) -> ExitStatus {
        pidfd::wait(self.pidfd.as_fd()).unwrap()
    }
}

fn a_script_ends_in_the_program() {
    let running = Running::start("test \"$A\" = b && exit 7", "/bin/sh", |script, _| {
        script.set_no_new_privileges(0);
        script.check_program(1);
        script.execute(2);
    });
    assert_eq!(running.end(), ExitStatus::Code(7));
}

fn the_environment_tells_the_pid() {
    let command = "test \"$PID\" = $$ && test \"$A$B\" = bc && exit 7";
    let running = Running::start(command, "/bin/sh", |script, _| {
        script.write_pid_into_environment(0, 1, "PID=".len());
        script.execute(1);
    });
    assert_eq!(running.end(), ExitStatus::Code(7));
}

fn a_refused_call_is_named() {
    let running = Running::start("exit 0", "/bin/sh", |script, _| {
        script.set_no_new_privileges(0);
        script.close_range(1, 9, 3);
        script.execute(2);
    });
    let Some(Message::Failed { step, call, errno }) = running.next() else {
        panic!("no failure was told");
    };
    assert_eq!((step, errno), (1, Errno::INVAL));
    assert_eq!(running.names[call], "close_range");
    assert_eq!(running.end(), ExitStatus::Code(126));
}

fn a_program_that_cannot_be_executed_is_told() {
    for (program, errno, code) in [
        ("/no/such/program", Errno::NOENT, 127),
        ("/etc/passwd", Errno::ACCESS, 126),
    ] {
        let running = Running::start("", program, |script, _| script.execute(3));
        let Some(Message::Failed {
            step: 3,
            errno: told,
            ..
        }) = running.next()
        else {
            panic!("no failure was told");
        };
        assert_eq!(told, errno);
        assert_eq!(running.end(), ExitStatus::Code(code));
    }
}

fn ready_then_the_end_of_the_conversation() {
    let running = Running::start("exec sleep 0", "/bin/sh", |script, number| {
        script.report_ready(0);
        script.await_parent(1);
        script.close_on_exec(2, number);
        script.execute(3);
    });
    assert_eq!(running.next(), Some(Message::Ready));
    socket::send(running.ours.as_fd(), b"g").unwrap();
    assert_eq!(running.next(), None);
    assert_eq!(running.end(), ExitStatus::Code(0));
}

fn the_gate_opens_with_one_byte_and_closes_with_the_exec() {
    let (reader, writer) = system::pipe().unwrap();
    let gate = reader.as_raw_fd().cast_unsigned();
    let running = Running::start("exit 3", "/bin/sh", |script, _| {
        keep_on_exec(reader.as_fd()).unwrap();
        script.await_start(0, gate);
        script.close_on_exec(1, gate);
        script.execute(2);
    });
    drop(reader);
    kernel::fs::write_all(writer.as_fd(), b"s").unwrap();
    kernel::readiness::wait_closed(writer.as_fd()).unwrap();
    assert_eq!(running.end(), ExitStatus::Code(3));
}

fn identity_and_capabilities() {
    let wanted = "set -- $(grep -E '^(Uid|Gid|Groups|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs)' /proc/self/status); \
                  test \"$*\" = 'Uid: 7 7 7 7 Gid: 8 8 8 8 Groups: 9 10 CapPrm: 0000000000000420 \
                  CapEff: 0000000000000420 CapBnd: 0000000000000421 CapAmb: 0000000000000400 NoNewPrivs: 1'";
    let running = Running::start(wanted, "/bin/sh", |script, _| {
        let (bounding, _) = kernel::caps::bounding().unwrap();
        script.set_no_new_privileges(0);
        script.limit_bounding(1, bounding & !0x421);
        script.set_identity(2, 7, 8, Some(&[9, 10]));
        let sets = Capabilities {
            effective: 0x420,
            permitted: 0x420,
            inheritable: 0x400,
            ambient: 0x400,
        };
        script.set_capabilities(3, sets);
        script.execute(4);
    });
    // The shell keeps what is ambient; the rest of permitted goes with its exec.
    assert_eq!(running.next(), None);
    let _ = running.end();
    let running = Running::start(
        "test $(id -u) = 7 && grep -q 'CapAmb:.*400$' /proc/self/status",
        "/bin/sh",
        |script, _| {
            script.set_identity(0, 7, 8, Some(&[]));
            let sets = Capabilities {
                effective: 0x400,
                permitted: 0x400,
                inheritable: 0x400,
                ambient: 0x400,
            };
            script.set_capabilities(1, sets);
            script.execute(2);
        },
    );
    assert_eq!(running.end(), ExitStatus::Code(0));
}

fn limits_and_a_filter() {
    let running = Running::start(
        "test $(ulimit -n) = 77 && grep -q 'Seccomp:.*2' /proc/self/status",
        "/bin/sh",
        |script, _| {
            let (resource, soft) = (libc_nofile(), 77);
            script.set_limit(0, resource, soft, 99);
            script.set_no_new_privileges(1);
            // ret ALLOW
            script.load_seccomp(2, &[0x0006_0000_7fff_0000], 0, false);
            script.execute(3);
        },
    );
    assert_eq!(running.end(), ExitStatus::Code(0));
}

fn libc_nofile() -> u32 {
    kernel::rlimit::resource_number("RLIMIT_NOFILE").unwrap()
}

fn descriptors_are_closed() {
    let (reader, _writer) = system::pipe().unwrap();
    let extra = reader.as_raw_fd();
    let command = format!("test ! -e /proc/self/fd/{extra} && test -e /proc/self/fd/0");
    let running = Running::start(&command, "/bin/sh", |script, _| {
        keep_on_exec(reader.as_fd()).unwrap();
        script.close_range(0, 3, u32::MAX);
        script.execute(1);
    });
    assert_eq!(running.end(), ExitStatus::Code(0));
}

fn hook<'a>(args: &'a [String], stdin: &'a [u8], timeout_seconds: Option<u32>) -> Hook<'a> {
    let pid_at = stdin.windows(10).position(|ten| ten == b"          ");
    Hook {
        path: "/bin/sh",
        args,
        env: Some(&[]),
        stdin,
        pid_at,
        timeout_seconds,
    }
}

fn a_hook_gets_the_state_and_its_status_is_told() {
    let state = br#"{"pid":          ,"id":"x"}"#;
    let check = "read line; test \"$(echo $line | tr -dc 0-9)\" = $PPID || exit 9; exit $1";
    for (code, wanted) in [("0", None), ("5", Some(ExitStatus::Code(5)))] {
        let args = ["sh", "-c", check, "sh", code].map(str::to_owned);
        let running = Running::start("exit 4", "/bin/sh", |script, _| {
            script.run_hook(6, &hook(&args, state, Some(5)));
            script.execute(7);
        });
        let told = running.next();
        match wanted {
            None => assert_eq!((told, running.end()), (None, ExitStatus::Code(4))),
            Some(status) => {
                assert_eq!(told, Some(Message::HookStatus { step: 6, status }));
                assert_eq!(running.end(), ExitStatus::Code(126));
            }
        }
    }
}

fn a_hook_that_takes_too_long_is_killed() {
    let args = ["sh", "-c", "sleep 100"].map(str::to_owned);
    let running = Running::start("exit 4", "/bin/sh", |script, _| {
        script.run_hook(2, &hook(&args, b"{}", Some(1)));
        script.execute(3);
    });
    assert_eq!(running.next(), Some(Message::HookTimeout { step: 2 }));
    assert_eq!(running.end(), ExitStatus::Code(126));
}

/// No security module takes this one, and without any the kernel refuses them all. That
/// it was asked proves the way to the file: an mm other than the writer's gets EPERM.
fn a_label_reaches_the_kernel() {
    let running = Running::start("exit 0", "/bin/sh", |script, _| {
        script.set_exec_label(4, "exec", "no label");
        script.execute(5);
    });
    let Some(Message::Failed { step, call, errno }) = running.next() else {
        panic!("no failure was told");
    };
    assert_eq!((step, errno), (4, Errno::INVAL));
    assert_eq!(running.names[call], "write(attr/exec)");
    assert_eq!(running.end(), ExitStatus::Code(126));
    let running = Running::start("exit 0", "/bin/sh", |script, _| {
        script.set_exec_label(0, "../exe", "x");
        script.execute(1);
    });
    let Some(Message::Failed { call, errno, .. }) = running.next() else {
        panic!("no failure was told");
    };
    assert_eq!(errno, Errno::LOOP, "a magic link");
    assert_eq!(running.end(), ExitStatus::Code(126));
    assert_eq!(running.names[call], "openat2(procfs, attr/exec)");
}

fn a_fork_tells_the_pid() {
    let running = Running::start("exit 6", "/bin/sh", |script, number| {
        script.fork_into_pid_namespace(0);
        script.close_on_exec(1, number);
        script.execute(2);
    });
    let Some(Message::Forked { pid }) = running.next() else {
        panic!("no fork was told");
    };
    assert_eq!(running.end(), ExitStatus::Code(0));
    // CLONE_PARENT: the one that goes on is our child too.
    let inner = pidfd::open(pid).unwrap();
    assert_eq!(pidfd::wait(inner.as_fd()).unwrap(), ExitStatus::Code(6));
    assert_eq!(MESSAGE_SIZE, 16);
}

/// What a container can find at /proc/<pid>/exe of a created container.
fn the_program_is_sealed() {
    let running = Running::start("exit 0", "/bin/sh", |script, _| {
        script.report_ready(0);
        script.await_parent(1);
        script.execute(2);
    });
    assert_eq!(running.next(), Some(Message::Ready));
    let pid = pid_of(&running.pidfd);
    let target = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert!(target.to_string_lossy().starts_with("/memfd:stub"));
    // It can be opened for writing by root, and not one byte of it changes.
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/{pid}/exe"));
    if let Ok(file) = file {
        use std::os::unix::fs::FileExt;
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(0).is_err());
    }
    socket::send(running.ours.as_fd(), b"g").unwrap();
    assert_eq!(running.end(), ExitStatus::Code(0));
}

fn pid_of(pidfd: &OwnedFd) -> i32 {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    line.unwrap().trim().parse().unwrap()
}
