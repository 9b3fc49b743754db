//! What a container may do and see: identity, capabilities, seccomp, mounts, devices,
//! networks, namespaces of others.

use std::fs;

use runtime_tests::{Case, convention};

use super::{run, run_command, start, story, story_with};

const CHAPTER: &str = "Docker: confinement";

#[convention("Docker's default container, as seen from inside.")]
fn defaults(case: &mut Case) {
    story(case, |session, _| {
        let line = "grep -E '^(Cap|NoNew|Seccomp|Uid|Groups)' /proc/self/status; id; env | sort | grep -v HOSTNAME; \
            pwd; cut -d' ' -f2-4 /proc/mounts | grep -v '^/ \\|cgroup\\|/proc/\\|^/sys/firm' | sort; cut -d' ' -f2 /proc/mounts | sort; stat -c '%A %t:%T %N' /dev/*; \
            cat /proc/self/limits; cat /proc/sys/kernel/hostname | wc -c; umask; cat /proc/self/oom_score_adj; \
            find /sys/fs/cgroup -maxdepth 1 | sort";
        run(session, "--hostname box", line).ok();
    });
}

#[convention(
    "--user, --group-add, --cap-add, --cap-drop, --security-opt, --ulimit, --sysctl, --init, --oom-score-adj."
)]
fn identity(case: &mut Case) {
    story(case, |session, _| {
        let status = "id; grep -E '^(Cap|NoNew|Seccomp|Groups)' /proc/self/status";
        for options in [
            "--user 1000:10",
            "--user nobody --group-add 5 --group-add wheel",
            "--cap-add NET_ADMIN --cap-drop CHOWN",
            "--cap-drop ALL --user 1000",
            "--security-opt seccomp=unconfined",
            "--security-opt no-new-privileges",
        ] {
            run(session, options, status).ok();
        }
        let profile = session.case.directory.join("profile.json");
        let text = r#"{"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}"#;
        fs::write(&profile, text).unwrap();
        let seccomp = format!("--security-opt seccomp={}", profile.display());
        run(session, &seccomp, "mkdir /directory 2>&1; echo $?").ok();
        run(
            session,
            "--ulimit nofile=100:200 --ulimit core=0",
            "ulimit -n; ulimit -Hn; ulimit -c",
        )
        .ok();
        run(
            session,
            "--sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=1000",
            "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax",
        )
        .ok();
        run(
            session,
            "--hostname box --domainname example --workdir /tmp -e A=b",
            "hostname; cat /proc/sys/kernel/domainname; pwd; echo $A",
        )
        .ok();
        run(session, "--init", "tr '\\0' ' ' < /proc/1/cmdline").ok();
        run(
            session,
            "--oom-score-adj 500",
            "cat /proc/self/oom_score_adj",
        )
        .ok();
        run(session, "--user unknown", "id").exits(125);
    });
}

#[convention("--privileged, where root lacks capabilities: a warning, as the specification says.")]
fn privileged(case: &mut Case) {
    story(case, |session, _| {
        let line = "grep CapEff /proc/self/status; test -e /dev/full && mount -t tmpfs x /mnt && echo mounted";
        let options = run_command("--privileged", &["sh", "-c", line]);
        let finished = session.ask(&options);
        // Peers refuse the container where a capability of the list is not root's to give.
        if session.is_tested() && session.case.is_corten() {
            assert!(finished.ok().stdout.contains("mounted"));
        }
    });
}

#[convention("--read-only, --tmpfs, volumes ro and rshared, --mount, --shm-size, --device.")]
fn mounts(case: &mut Case) {
    story(case, |session, _| {
        let volume = session.case.directory.join("volume");
        fs::create_dir_all(volume.join("inner")).unwrap();
        fs::write(volume.join("file"), "content\n").unwrap();
        let at = volume.to_string_lossy().into_owned();
        let shared = session.case.program("sh").args([
            "-c",
            &format!("mount --bind {at} {at} && mount --make-rshared {at}"),
        ]);
        shared.run().ok();
        let flags = "grep ' /mnt ' /proc/self/mountinfo | cut -d' ' -f5-7 | sed 's/:[0-9]*//'";
        for (options, line) in [
            (
                "--read-only --tmpfs /tmp:size=1m",
                "touch /file; touch /tmp/file; grep ' /tmp ' /proc/mounts; ls -ld /tmp | cut -c1-10",
            ),
            (
                "--tmpfs /missing",
                "ls -ld /missing | cut -c1-10; grep ' /missing ' /proc/mounts",
            ),
            (
                &format!("-v {at}:/mnt:ro"),
                &format!("cat /mnt/file; touch /mnt/file; {flags}"),
            ),
            (&format!("-v {at}:/mnt:rshared"), flags),
            (&format!("-v {at}:/mnt:rslave"), flags),
            (
                &format!("--mount type=bind,src={at},dst=/mnt,readonly,bind-propagation=private"),
                flags,
            ),
            ("-v data:/data", "echo kept > /data/file"),
            ("-v data:/data:ro", "cat /data/file; touch /data/other"),
            ("--shm-size 1m", "grep ' /dev/shm ' /proc/mounts"),
            (
                "--device /dev/null:/dev/mine:r",
                "ls -l /dev/mine | cut -c1-10; cat /dev/mine; echo 2> /dev/null > /dev/mine || echo refused",
            ),
        ] {
            run(session, options, line);
        }
        let unmount = session.case.program("umount").args([at.as_str()]);
        unmount.run().ok();
        session.ask(&["volume", "rm", "data"]).ok();
    });
}

#[convention(
    "Networks: none, host, bridge with an address of its own, that of another container; --pid, --ipc, --uts, --cgroupns."
)]
fn networks(case: &mut Case) {
    story(case, |session, _| {
        let line = "ls /sys/class/net; wc -l < /proc/net/route; cat /proc/sys/net/ipv4/ip_unprivileged_port_start";
        run(session, "--net none", line).ok();
        run(session, "--net host", line).ok();
        let bridged = "ls /sys/class/net; wc -l < /proc/net/route; cat /etc/hosts /etc/resolv.conf | sed '/box/d'";
        run(
            session,
            "--net bridge --hostname box --dns 9.9.9.9 --add-host other:1.2.3.4",
            bridged,
        )
        .ok();
        start(
            session,
            "--net bridge --hostname box --ipc shareable",
            "donor",
            "exec sleep 1000",
        );
        let address = super::inspect(session, "donor", ".NetworkSettings.IPAddress");
        run(
            session,
            "--net bridge",
            &format!("ping -c 1 -W 10 {address} > /dev/null && echo reached"),
        )
        .ok();
        run(
            session,
            "--net container:donor",
            "hostname; ls /sys/class/net",
        )
        .ok();
        let pids = run(
            session,
            "--pid container:donor",
            "tr '\\0' ' ' < /proc/1/cmdline",
        )
        .ok();
        assert!(pids.stdout.contains("sleep 1000"), "{}", pids.describe());
        let segment = "cut -c1-20 /proc/sysvipc/shm; ls -di /dev/shm > /dev/null && echo shared";
        run(session, "--ipc container:donor", segment).ok();
        run(session, "--pid host", "test -d /proc/2 && echo many").ok();
        run(
            session,
            "--ipc host --uts host",
            "ls /dev/shm > /dev/null; echo joined",
        )
        .ok();
        run(session, "--cgroupns private", "cat /proc/self/cgroup").ok();
    });
}

#[convention("userns-remap: dockerd asks for mappings for every container.")]
fn user_namespaces(case: &mut Case) {
    let own = case.directory.join("ranges");
    fs::write(&own, "nobody:200000:65536\nnogroup:200000:65536\n").unwrap();
    let files = ["/etc/subuid", "/etc/subgid"];
    for file in files {
        let mount = case.program("mount");
        mount
            .args(["--bind", &own.to_string_lossy(), file])
            .run()
            .ok();
    }
    story_with(case, &["--userns-remap", "nobody:nogroup"], |session, _| {
        let line = "cat /proc/self/uid_map /proc/self/gid_map; id; touch /file && ls -ln /file | cut -c1-50 | sed 's/ [A-Z].*//'; \
            cut -d' ' -f2-4 /proc/mounts | grep -v '^/ \\|cgroup\\|/proc/\\|^/sys/firm' | sort; cut -d' ' -f2 /proc/mounts | sort; ls -l /dev/null | cut -c1-10";
        run(session, "", line).ok();
        run(session, "--user 1000", "id; touch /tmp/file && echo made").ok();
        run(session, "--userns host", "cat /proc/self/uid_map").ok();
    });
    for file in files {
        case.program("umount").args([file]).run().ok();
    }
}
