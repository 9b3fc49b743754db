//! `corten features`: what is implemented, and nothing else. Constant at compile
//! time, as the spec demands; the fields stand in the order of the spec's types.

use serde::Serialize;

use crate::build::annotations::ACTED_ON;
use crate::build::capabilities::CAPABILITIES;
use crate::build::mount_options;
use crate::cgroup::ANNOTATION_PREFIX;
use crate::checkpoint;
use crate::validate::SPEC_VERSIONS;

/// features.json of the runtime spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// Oldest runtime spec that is read.
    pub oci_version_min: &'static str,
    /// Newest one.
    pub oci_version_max: &'static str,
    /// Hooks that are run.
    pub hooks: Vec<&'static str>,
    /// Mount options that are understood here; others go to the file system.
    pub mount_options: Vec<&'static str>,
    /// Linux.
    pub linux: LinuxFeatures,
    /// About this program.
    pub annotations: Annotations,
    /// Annotations of a `config.json` that are acted on.
    pub potentially_unsafe_config_annotations: Vec<&'static str>,
}

/// The `linux` object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinuxFeatures {
    /// Namespaces that can be made and joined.
    pub namespaces: Vec<&'static str>,
    /// Capabilities that are known.
    pub capabilities: Vec<&'static str>,
    /// Control groups.
    pub cgroup: CgroupFeatures,
    /// Seccomp.
    pub seccomp: SeccompFeatures,
    /// AppArmor.
    pub apparmor: Enabled,
    /// SELinux.
    pub selinux: Enabled,
    /// Intel RDT.
    pub intel_rdt: IntelRdtFeatures,
    /// `linux.memoryPolicy`
    pub memory_policy: MemoryPolicyFeatures,
    /// Extensions of mounts.
    pub mount_extensions: MountExtensions,
    /// Network devices that are moved in.
    pub net_devices: Enabled,
}

/// Control groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupFeatures {
    /// Version 1, hybrid hosts included.
    pub v1: bool,
    /// Version 2.
    pub v2: bool,
    /// The systemd driver.
    pub systemd: bool,
    /// The systemd driver of a user's own manager.
    pub systemd_user: bool,
    /// RDMA limits.
    pub rdma: bool,
}

/// Seccomp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompFeatures {
    /// Filters are installed.
    pub enabled: bool,
    /// Actions.
    pub actions: Vec<&'static str>,
    /// Operators of argument comparisons.
    pub operators: Vec<&'static str>,
    /// Architectures.
    pub archs: Vec<&'static str>,
    /// Flags that are understood.
    pub known_flags: Vec<&'static str>,
    /// Flags that are passed to the kernel.
    pub supported_flags: Vec<&'static str>,
}

/// Intel RDT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IntelRdtFeatures {
    /// `linux.intelRdt` is carried out.
    pub enabled: bool,
    /// Its `schemata` too.
    pub schemata: bool,
    /// Its `enableMonitoring` too.
    pub monitoring: bool,
}

/// `linux.memoryPolicy`, set_mempolicy(2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryPolicyFeatures {
    /// Modes.
    pub modes: Vec<&'static str>,
    /// Flags of modes.
    pub flags: Vec<&'static str>,
}

/// Whether something is there at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Enabled {
    /// It is.
    pub enabled: bool,
}

/// Extensions of mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MountExtensions {
    /// Idmapped mounts.
    pub idmap: Enabled,
}

/// About this program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Annotations {
    /// Version of corten.
    #[serde(rename = "dev.corten.version")]
    pub version: &'static str,
    /// Whether `checkpoint` works; Docker reads it under this name.
    #[serde(rename = "org.opencontainers.runc.checkpoint.enabled")]
    pub checkpoint: &'static str,
}

/// Namespaces by the words of the spec, sorted.
const NAMESPACES: [&str; 8] = [
    "cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts",
];

/// The six lists of `hooks`.
const HOOKS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

/// Seccomp actions.
const SECCOMP_ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

/// Operators of argument comparisons.
const SECCOMP_OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// Every architecture of runtime-spec 1.3.
const SECCOMP_ARCHITECTURES: [&str; 23] = [
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];

/// Flags.
const SECCOMP_FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

/// Modes of `linux.memoryPolicy`.
const MEMORY_MODES: [&str; 7] = [
    "MPOL_BIND",
    "MPOL_DEFAULT",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

/// Their flags.
const MEMORY_FLAGS: [&str; 3] = [
    "MPOL_F_NUMA_BALANCING",
    "MPOL_F_RELATIVE_NODES",
    "MPOL_F_STATIC_NODES",
];

const YES: Enabled = Enabled { enabled: true };

/// What this version can do.
pub fn features() -> Features {
    Features {
        oci_version_min: SPEC_VERSIONS.0,
        oci_version_max: SPEC_VERSIONS.1,
        hooks: HOOKS.to_vec(),
        mount_options: mount_options::words(),
        linux: LinuxFeatures {
            namespaces: NAMESPACES.to_vec(),
            capabilities: CAPABILITIES.map(|(_, name)| name).to_vec(),
            cgroup: CgroupFeatures {
                v1: true,
                v2: true,
                systemd: true,
                systemd_user: true,
                rdma: true,
            },
            seccomp: seccomp(),
            apparmor: YES,
            selinux: YES,
            intel_rdt: IntelRdtFeatures {
                enabled: true,
                schemata: true,
                monitoring: true,
            },
            memory_policy: MemoryPolicyFeatures {
                modes: MEMORY_MODES.to_vec(),
                flags: MEMORY_FLAGS.to_vec(),
            },
            mount_extensions: MountExtensions { idmap: YES },
            net_devices: YES,
        },
        annotations: Annotations {
            version: env!("CARGO_PKG_VERSION"),
            checkpoint: "true",
        },
        potentially_unsafe_config_annotations: [
            &[checkpoint::CONFIG_ANNOTATION, ANNOTATION_PREFIX],
            &ACTED_ON[..],
        ]
        .concat(),
    }
}

fn seccomp() -> SeccompFeatures {
    SeccompFeatures {
        enabled: true,
        actions: SECCOMP_ACTIONS.to_vec(),
        operators: SECCOMP_OPERATORS.to_vec(),
        archs: SECCOMP_ARCHITECTURES.to_vec(),
        known_flags: SECCOMP_FLAGS.to_vec(),
        supported_flags: SECCOMP_FLAGS.to_vec(),
    }
}
