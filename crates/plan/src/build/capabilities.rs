//! `process.capabilities` -> five masks.

use std::collections::HashSet;

use oci_spec::runtime::{Capability, LinuxCapabilities};

use super::Context;
use crate::{CapabilitySets, ConfigPath, NamespaceKind};

/// What the container's program will hold.
pub(crate) struct Granted {
    /// `None`: the bounding set stays as it is.
    pub bounding: Option<u64>,
    /// The other four.
    pub sets: CapabilitySets,
}

/// The five sets as masks. What cannot be granted is dropped with a warning, as
/// the spec demands; nothing here ever fails.
pub(crate) fn read(context: &mut Context<'_>, wanted: Option<&LinuxCapabilities>) -> Granted {
    let known = match context.host.last_capability {
        last @ 0..63 => (1 << (last + 1)) - 1,
        _ => u64::MAX,
    };
    // A user namespace starts with every capability in every set but the
    // inheritable and the ambient one, whatever its maker held.
    let (bounding, held) = if context.has(NamespaceKind::User) {
        (known, known)
    } else {
        let host = context.host;
        let held = known & host.effective_capabilities;
        (known & host.bounding_capabilities, held)
    };
    let Some(wanted) = wanted else {
        // The spec does not say what an absent object means. The field's habit is
        // "unchanged"; inheritable and ambient ones are granted only by name, so
        // that nothing of the caller's leaks through execve.
        let all = held & bounding;
        let sets = CapabilitySets {
            effective: all,
            permitted: all,
            ..CapabilitySets::default()
        };
        return Granted {
            bounding: None,
            sets,
        };
    };
    let mut limit = |set, names: &Option<HashSet<Capability>>, within: u64, why| {
        warn_about(context, set, mask_of(names.as_ref()) & !within, why);
        mask_of(names.as_ref()) & within
    };
    // Each set within the one that capset(2) and prctl(2) would measure it by.
    let why = "not in the bounding set of this host";
    let bounding = limit("bounding", wanted.bounding(), bounding, why);
    let why = "not held by the runtime";
    let permitted = limit("permitted", wanted.permitted(), held, why);
    let why = "not in the permitted set";
    let effective = limit("effective", wanted.effective(), permitted, why);
    let why = "not in the bounding set";
    let inheritable = limit("inheritable", wanted.inheritable(), bounding, why);
    let why = "not in both the permitted and the inheritable set";
    let ambient = limit("ambient", wanted.ambient(), permitted & inheritable, why);
    Granted {
        bounding: Some(bounding),
        sets: CapabilitySets {
            effective,
            permitted,
            inheritable,
            ambient,
        },
    }
}

/// Warns about each capability that is left out of a set.
fn warn_about(context: &mut Context<'_>, set: &str, dropped: u64, why: &str) {
    let numbers = (0..64).filter(|number| dropped >> number & 1 == 1);
    for number in numbers {
        let name = name_of(number);
        let known = number <= context.host.last_capability;
        let why = if known { why } else { "unknown to this kernel" };
        let at = ConfigPath::new("process.capabilities").field(set);
        context.warn(at, format!("{name} is {why}, ignored"));
    }
}

fn mask_of(set: Option<&HashSet<Capability>>) -> u64 {
    let mut mask = 0;
    for capability in set.into_iter().flatten() {
        mask |= 1 << number_of(*capability);
    }
    mask
}

/// Every capability by its number in linux/capability.h, the kernel's stable ABI.
pub(crate) const CAPABILITIES: [(Capability, &str); 41] = [
    (Capability::Chown, "CAP_CHOWN"),
    (Capability::DacOverride, "CAP_DAC_OVERRIDE"),
    (Capability::DacReadSearch, "CAP_DAC_READ_SEARCH"),
    (Capability::Fowner, "CAP_FOWNER"),
    (Capability::Fsetid, "CAP_FSETID"),
    (Capability::Kill, "CAP_KILL"),
    (Capability::Setgid, "CAP_SETGID"),
    (Capability::Setuid, "CAP_SETUID"),
    (Capability::Setpcap, "CAP_SETPCAP"),
    (Capability::LinuxImmutable, "CAP_LINUX_IMMUTABLE"),
    (Capability::NetBindService, "CAP_NET_BIND_SERVICE"),
    (Capability::NetBroadcast, "CAP_NET_BROADCAST"),
    (Capability::NetAdmin, "CAP_NET_ADMIN"),
    (Capability::NetRaw, "CAP_NET_RAW"),
    (Capability::IpcLock, "CAP_IPC_LOCK"),
    (Capability::IpcOwner, "CAP_IPC_OWNER"),
    (Capability::SysModule, "CAP_SYS_MODULE"),
    (Capability::SysRawio, "CAP_SYS_RAWIO"),
    (Capability::SysChroot, "CAP_SYS_CHROOT"),
    (Capability::SysPtrace, "CAP_SYS_PTRACE"),
    (Capability::SysPacct, "CAP_SYS_PACCT"),
    (Capability::SysAdmin, "CAP_SYS_ADMIN"),
    (Capability::SysBoot, "CAP_SYS_BOOT"),
    (Capability::SysNice, "CAP_SYS_NICE"),
    (Capability::SysResource, "CAP_SYS_RESOURCE"),
    (Capability::SysTime, "CAP_SYS_TIME"),
    (Capability::SysTtyConfig, "CAP_SYS_TTY_CONFIG"),
    (Capability::Mknod, "CAP_MKNOD"),
    (Capability::Lease, "CAP_LEASE"),
    (Capability::AuditWrite, "CAP_AUDIT_WRITE"),
    (Capability::AuditControl, "CAP_AUDIT_CONTROL"),
    (Capability::Setfcap, "CAP_SETFCAP"),
    (Capability::MacOverride, "CAP_MAC_OVERRIDE"),
    (Capability::MacAdmin, "CAP_MAC_ADMIN"),
    (Capability::Syslog, "CAP_SYSLOG"),
    (Capability::WakeAlarm, "CAP_WAKE_ALARM"),
    (Capability::BlockSuspend, "CAP_BLOCK_SUSPEND"),
    (Capability::AuditRead, "CAP_AUDIT_READ"),
    (Capability::Perfmon, "CAP_PERFMON"),
    (Capability::Bpf, "CAP_BPF"),
    (Capability::CheckpointRestore, "CAP_CHECKPOINT_RESTORE"),
];

fn number_of(capability: Capability) -> u32 {
    let found = CAPABILITIES.iter().position(|(c, _)| *c == capability);
    // The table is complete: a test walks every variant.
    u32::try_from(found.unwrap_or(63)).unwrap_or(63)
}

fn name_of(number: u32) -> &'static str {
    let entry = usize::try_from(number)
        .ok()
        .and_then(|n| CAPABILITIES.get(n));
    entry.map_or("?", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::{CAPABILITIES, Capability, number_of};

    #[test]
    fn numbers_are_the_kernels() {
        assert_eq!(number_of(Capability::Chown), 0);
        assert_eq!(number_of(Capability::SysAdmin), 21);
        assert_eq!(number_of(Capability::Mknod), 27);
        assert_eq!(number_of(Capability::Setfcap), 31);
        assert_eq!(number_of(Capability::CheckpointRestore), 40);
        for (n, (capability, name)) in CAPABILITIES.iter().enumerate() {
            let text = serde_json::to_value(capability).unwrap();
            assert_eq!(text, *name, "entry {n}");
        }
    }
}
