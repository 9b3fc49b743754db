//! What the stub does with a procfs that it makes itself.
//!
//! Such a procfs shows the pid namespace that the stub is in and is attached nowhere:
//! nobody can mount over a part of it (CVE-2019-16884, CVE-2025-52881).

use super::{Script, flag};

/// `struct open_how`, openat2(2): write, within this mount, through no magic link.
const OPEN_HOW: [u64; 3] = [
    (libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_CLOEXEC) as u64,
    0,
    libc::RESOLVE_BENEATH | libc::RESOLVE_NO_XDEV | libc::RESOLVE_NO_MAGICLINKS,
];

impl Script {
    /// Makes a procfs of the pid namespace the stub is in; the parent hears the
    /// number of its descriptor.
    pub fn make_procfs(&mut self, step: usize, options: &[(&str, Option<&str>)]) {
        self.mount_procfs(step, options, flag::REPORT_RESULT);
    }

    /// The label that the next execve(2) gives the program: writes `label` to
    /// `/proc/thread-self/attr/<file>`, proc_pid_attr(5).
    ///
    /// Since Linux 5.13 only who opened the file may write to it, and an execve makes
    /// somebody else of a process; so the stub opens it, not whoever becomes the stub.
    pub fn set_exec_label(&mut self, step: usize, file: &str, label: &str) {
        self.mount_procfs(step, &[("subset", Some("pid"))], 0);
        let path = self.add_string(&format!("thread-self/attr/{file}"));
        let how = self.add_data(&OPEN_HOW.map(u64::to_ne_bytes).concat());
        let arguments = [0, path, how, size_of_val(&OPEN_HOW) as u64];
        let open = ("openat2(procfs, attr/exec)", libc::SYS_openat2);
        let replace = flag::KEPT_0 | flag::REPLACE_KEPT;
        self.call(step, open, replace, arguments);
        let arguments = [0, self.add_data(label.as_bytes()), label.len() as u64];
        let write = ("write(attr/exec)", libc::SYS_write);
        self.call(step, write, flag::KEPT_0, arguments);
        self.call(
            step,
            ("close(attr/exec)", libc::SYS_close),
            flag::KEPT_0,
            [0],
        );
    }

    /// The mount is what is kept then.
    fn mount_procfs(&mut self, step: usize, options: &[(&str, Option<&str>)], flags: u32) {
        const FSOPEN_CLOEXEC: u64 = 1;
        const FSMOUNT_CLOEXEC: u64 = 1;
        const SET_FLAG: u64 = 0;
        const SET_STRING: u64 = 1;
        const CMD_CREATE: u64 = 6;
        let fstype = self.add_string("proc");
        let open = ("fsopen(\"proc\")", libc::SYS_fsopen);
        self.call(step, open, flag::KEEP_RESULT, [fstype, FSOPEN_CLOEXEC]);
        for (key, value) in options {
            let command = if value.is_some() {
                SET_STRING
            } else {
                SET_FLAG
            };
            let (key, value) = (
                self.add_string(key),
                value.map_or(0, |value| self.add_string(value)),
            );
            let set = ("fsconfig(proc)", libc::SYS_fsconfig);
            self.call(step, set, flag::KEPT_0, [0, command, key, value, 0]);
        }
        let create = ("fsconfig(proc, FSCONFIG_CMD_CREATE)", libc::SYS_fsconfig);
        self.call(step, create, flag::KEPT_0, [0, CMD_CREATE, 0, 0, 0]);
        let flags = flag::KEPT_0 | flag::REPLACE_KEPT | flags;
        let mount = ("fsmount(proc)", libc::SYS_fsmount);
        self.call(step, mount, flags, [0, FSMOUNT_CLOEXEC, 0]);
    }
}
