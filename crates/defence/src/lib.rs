//! Which defences can be taken away, one by one, so that the test of the attack that
//! each one stops can be shown to notice.
//!
//! In an ordinary build [`Defence::is_off`] is the constant `false`, and what stands
//! behind it is not compiled into the program. With the feature `undefended`, which a
//! release refuses, `CORTEN_UNDEFENDED=name,name` says which are off.

/// A defence that a test of a published attack relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defence {
    /// Paths in a root are resolved with it as their root (CVE-2019-18837,
    /// CVE-2021-30465, CVE-2024-45310, CVE-2026-41579, CVE-2026-47766).
    ResolveInRoot,
    /// What a mount is placed on is judged by what was found (CVE-2015-3631,
    /// CVE-2019-16884).
    JudgeMountTargets,
    /// /proc and /sys of the root are no symlinks (CVE-2019-19921, CVE-2023-27561,
    /// CVE-2023-28642, CVE-2025-54867).
    RealProcAndSys,
    /// A path to protect is resolved once (GHSA-3q8j-pf29-vwv8).
    ResolveOnce,
    /// Sysctls are written through a procfs of our own (CVE-2025-52881,
    /// CVE-2025-62596).
    OwnProcfs,
    /// A device that is there already is the one that is wanted.
    VerifyNodes,
    /// What covers a masked file is the null device (CVE-2025-31133, CVE-2025-62161).
    VerifyNull,
    /// A terminal comes from a devpts, and by descriptor (CVE-2025-52565).
    VerifyDevpts,
    /// Names and paths of control groups lead nowhere else (GHSA-5g49-rx9x-qfc6).
    CgroupNames,
    /// No descriptor of ours or our caller's is a way to the host (CVE-2024-21626,
    /// CVE-2015-3627).
    Descriptors,
    /// Who becomes the container's program is the sealed stub (CVE-2019-5736,
    /// CVE-2016-9962).
    SealedStub,
    /// The program's environment is the configuration's alone (CVE-2026-57231).
    OwnEnvironment,
    /// `exec --cap` adds nothing inheritable (CVE-2022-29162, CVE-2025-27612).
    NothingInheritable,
    /// Who is not root has no capabilities that are not ambient (CVE-2016-8867).
    NothingAmbient,
    /// A user id is a number of 32 bits (CVE-2026-30892).
    StrictIds,
    /// A session keyring of the container's own.
    SessionKeyring,
    /// Without a cgroup namespace a container sees its own control group alone
    /// (CVE-2023-25809).
    OwnCgroupOnly,
}

impl Defence {
    /// All of them, each with the name it has in `CORTEN_UNDEFENDED`.
    pub const ALL: [(Self, &'static str); 17] = [
        (Self::ResolveInRoot, "resolve-in-root"),
        (Self::JudgeMountTargets, "judge-mount-targets"),
        (Self::RealProcAndSys, "real-proc-and-sys"),
        (Self::ResolveOnce, "resolve-once"),
        (Self::OwnProcfs, "own-procfs"),
        (Self::VerifyNodes, "verify-nodes"),
        (Self::VerifyNull, "verify-null"),
        (Self::VerifyDevpts, "verify-devpts"),
        (Self::CgroupNames, "cgroup-names"),
        (Self::Descriptors, "descriptors"),
        (Self::SealedStub, "sealed-stub"),
        (Self::OwnEnvironment, "own-environment"),
        (Self::NothingInheritable, "nothing-inheritable"),
        (Self::NothingAmbient, "nothing-ambient"),
        (Self::StrictIds, "strict-ids"),
        (Self::SessionKeyring, "session-keyring"),
        (Self::OwnCgroupOnly, "own-cgroup-only"),
    ];

    /// Whether it was taken away: never.
    #[cfg(not(feature = "undefended"))]
    #[inline(always)]
    pub const fn is_off(self) -> bool {
        false
    }

    /// Whether it was taken away by name.
    #[cfg(feature = "undefended")]
    pub fn is_off(self) -> bool {
        let Ok(asked) = std::env::var("CORTEN_UNDEFENDED") else {
            return false;
        };
        let named = |word: &str| {
            Self::ALL
                .iter()
                .any(|(one, name)| *one == self && *name == word)
        };
        asked.split(',').any(named)
    }
}

#[cfg(test)]
mod tests {
    use super::Defence;

    #[test]
    fn every_defence_stands() {
        assert!(Defence::ALL.iter().all(|(defence, _)| !defence.is_off()));
    }
}
