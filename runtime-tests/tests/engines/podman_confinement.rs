//! What the container may do and see: identity, capabilities, filters, namespaces.

use std::fs;

use runtime_tests::{Case, convention};

use crate::facts::write_down;
use crate::podman::{facts, mounting, run, run_command, shell, story};

const CHAPTER: &str = "podman: confinement";

/// Everything the probe sees in an ordinary container.
#[convention("Everything seen in an ordinary container is the same.")]
fn defaults(case: &mut Case) {
    story(case, |session| {
        let facts = facts(session, "--hostname=c");
        assert_eq!(facts.status("Seccomp"), "2");
        assert_eq!(facts.at("/pid"), 1);
    });
}

#[convention("--privileged: all capabilities, devices and paths.")]
fn privileged(case: &mut Case) {
    story(case, |session| {
        let facts = facts(session, "--hostname=c --privileged");
        assert_eq!(facts.status("Seccomp"), "0");
        let line = "mount -t tmpfs tmpfs /mnt && echo mounted; echo 1 > /proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward";
        assert_eq!(shell(session, "--privileged", line), "mounted\n1\n");
    });
}

#[convention("--user and --group-add, by number and by name.")]
fn users(case: &mut Case) {
    story(case, |session| {
        for user in [
            "1000",
            "user",
            "1000:1",
            "user:wheel",
            "4321:8765",
            "nobody",
        ] {
            facts(session, &format!("--hostname=c --user {user}"));
        }
        facts(
            session,
            "--hostname=c --user user --group-add 7 --group-add daemon",
        );
        // No such user: the engine's own word.
        run(session, "--user nosuch", &["id"]).exits(126);
    });
}

#[convention("--uidmap, --gidmap and --userns.")]
fn user_namespaces(case: &mut Case) {
    story(case, |session| {
        let facts = facts(
            session,
            "--hostname=c --uidmap 0:100000:5000 --gidmap 0:200000:5000",
        );
        assert!(facts.text("/uid_map").contains("100000"));
        let line = "id -u; stat -c '%u:%g %n' / /etc/passwd /proc/self /dev/zero /dev/pts; touch /x; \
            mknod /y c 1 3 2>&1; cat /proc/self/setgroups; chown 7:8 /x && stat -c %u:%g /x";
        shell(session, "--uidmap 0:100000:5000", line);
        shell(
            session,
            "--uidmap 0:100000:5000 --user 1000",
            "id; cat /proc/self/uid_map",
        );
        // podman's own overlay cannot do this on every kernel.
        let options = "--uidmap 0:0:1 --uidmap 1:100000:4999";
        run(session, options, &["cat", "/proc/self/uid_map"]);
        shell(
            session,
            "--uidmap 0:100000:5000 --read-only --tmpfs /t",
            "touch /t/x; touch /x 2>&1; true",
        );
        run(session, "--userns host", &["cat", "/proc/self/uid_map"]).ok();
        // /etc/subuid has nobody: the engine refuses.
        run(session, "--userns auto", &["true"]);
    });
}

#[convention("--cap-add and --cap-drop.")]
fn capabilities(case: &mut Case) {
    story(case, |session| {
        for options in [
            "--cap-add NET_ADMIN,SYS_TIME",
            "--cap-drop ALL",
            "--cap-drop ALL --cap-add CHOWN",
            "--cap-add ALL",
            "--cap-drop CHOWN --user 1000",
            "--cap-add NET_RAW --user 1000",
        ] {
            facts(session, &format!("--hostname=c {options}"));
        }
        let denied = shell(session, "--cap-drop CHOWN", "chown 1 /tmp 2>&1; true");
        assert!(denied.contains("not permitted"), "{denied}");
        run(session, "--cap-add NOSUCH", &["true"]).exits(125);
    });
}

/// A profile of one's own, and none.
#[convention("--security-opt seccomp: a profile of one's own, and none.")]
fn seccomp_profiles(case: &mut Case) {
    let profile = case.directory.join("profile.json");
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
        {"names": ["chmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO"}]}"#;
    fs::write(&profile, text).unwrap();
    let option = format!("--security-opt seccomp={}", profile.display());
    story(case, |session| {
        let line =
            "mkdir /tmp/x 2>&1; chmod 700 /tmp 2>&1; touch /tmp/y; grep Seccomp: /proc/self/status";
        let answer = shell(session, &option, line);
        assert!(answer.contains("Operation not supported"), "{answer}");
        shell(session, "--security-opt seccomp=unconfined", line);
        shell(
            session,
            mounting(),
            "mount -t tmpfs tmpfs /mnt && echo mounted",
        );
        run(session, "", &["probe", "call", "mount", "chroot", "mknod"]).ok();
    });
}

#[convention("--security-opt no-new-privileges.")]
fn no_new_privileges(case: &mut Case) {
    story(case, |session| {
        let facts = facts(
            session,
            "--hostname=c --security-opt no-new-privileges --user 1000",
        );
        assert_eq!(facts.status("NoNewPrivs"), "1");
    });
}

#[convention("--security-opt mask and unmask.")]
fn masks(case: &mut Case) {
    story(case, |session| {
        let line = "wc -c < /proc/meminfo; ls /proc/bus 2>&1 | wc -l; ls /sys/firmware | wc -l; \
            echo 0 > /proc/sys/vm/swappiness; test -s /proc/timer_list && echo timers";
        for options in [
            "",
            "--security-opt mask=/proc/meminfo:/proc/bus",
            "--security-opt unmask=/proc/timer_list:/sys/firmware",
            "--security-opt unmask=ALL",
        ] {
            run(session, options, &["sh", "-c", line]);
        }
    });
}

#[convention("--read-only and --tmpfs.")]
fn read_only_root(case: &mut Case) {
    story(case, |session| {
        facts(session, "--hostname=c --read-only");
        facts(session, "--hostname=c --read-only --read-only-tmpfs=false");
        let line = "touch /x 2>&1; touch /tmp/x && echo written; touch /t/x && stat -c %a /t; \
            grep ' /t ' /proc/mounts; touch /run/x && echo run";
        let options = "--read-only --tmpfs /t:rw,size=1m,mode=1750,noexec";
        let answer = shell(session, options, line);
        assert!(
            answer.contains("Read-only") && answer.contains("1750"),
            "{answer}"
        );
    });
}

#[convention("--pid, --ipc, --uts and --cgroupns of the host.")]
fn host_namespaces(case: &mut Case) {
    story(case, |session| {
        for kind in ["pid", "ipc", "uts", "cgroupns"] {
            run(
                session,
                &format!("--{kind}=host"),
                &["sh", "-c", "test $$ = 1; echo $?"],
            )
            .ok();
        }
        facts(session, "--hostname=c --ipc=host");
        facts(session, "--hostname=c --cgroupns=private");
        facts(session, "--hostname=c --cgroupns=host");
    });
}

#[convention("--hostname, --env, --workdir, --sysctl, --oom-score-adj, --shm-size, --umask.")]
fn names_and_environment(case: &mut Case) {
    story(case, |session| {
        let options = "--hostname=box -e A=1 -e B= --workdir /var/tmp --sysctl net.ipv4.ip_forward=1 \
            --oom-score-adj 77 --shm-size 1m --umask 077 --env HOME=/x --annotation a=b";
        let facts = facts(session, options);
        assert_eq!(facts.text("/hostname"), "box");
        assert_eq!(facts.text("/oom_score_adj"), "77");
        run(session, "--workdir /nosuch", &["pwd"]);
        run(session, "--entrypoint /bin/echo", &["hello"]).ok();
    });
}

#[convention("--device and --device-cgroup-rule.")]
fn devices(case: &mut Case) {
    story(case, |session| {
        facts(
            session,
            "--hostname=c --device /dev/kmsg:/dev/log:r --device /dev/net/tun",
        );
        let line = "dd if=/dev/kmsg of=/dev/null count=0 2>/dev/null && echo read; \
            dd if=/dev/null of=/dev/kmsg 2>/dev/null || echo refused; mknod /tmp/null c 1 3 && echo x > /tmp/null && echo null; \
            mknod /tmp/mem c 1 1 && cat /tmp/mem 2>&1 | head -c 80";
        shell(session, "--device /dev/kmsg:/dev/kmsg:r", line);
        run(session, "--device /dev/nosuch", &["true"]);
        let rule = "--device-cgroup-rule=c 1:1 r";
        let line = "mknod /tmp/mem c 1 1; head -c1 /tmp/mem | wc -c; echo > /tmp/mem";
        session.tell(&["run", "--rm", "--net=none", rule, "bb", "sh", "-c", line]);
    });
}

/// `--systemd=always` mounts what systemd wants to find; `--init` starts one.
#[convention("--systemd=always and --init.")]
fn system_containers(case: &mut Case) {
    story(case, |session| {
        let line = run_command("--hostname=c --systemd=always", &["probe", "facts"]);
        let finished = session.ask(&line);
        // The engine's mount lies on the runtime's own, which some leave out.
        write_down(session, finished, &["mount on /sys/fs/cgroup/systemd"]);
        let writable = match session.case.view.is_unified() {
            true => "test -w /sys/fs/cgroup/cgroup.procs",
            false => "test -w /sys/fs/cgroup/systemd",
        };
        shell(session, "--systemd=always", writable);
        let first = shell(session, "--init", "cat /proc/1/comm; echo $$");
        assert!(first.starts_with("podman-init"), "{first}");
    });
}

#[convention("--ulimit.")]
fn resource_limits_of_processes(case: &mut Case) {
    story(case, |session| {
        let options = "--hostname=c --ulimit nofile=100:200 --ulimit nproc=900 --ulimit core=0 --ulimit stack=1048576";
        let facts = facts(session, options);
        assert_eq!(facts.at("/limits/Max open files/0"), "100");
        // Above this machine's hard limit, where that cannot be raised.
        run(session, "--ulimit nofile=1048576:1048576", &["true"]);
    });
}
