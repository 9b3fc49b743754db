//! What an image, a neighbour or a clumsy caller tries: docs/security.md. Each
//! test plays the attacker and then looks at what he gained.

use runtime_tests::{Bundle, Case, Test, tests};
use serde_json::json;

pub const TESTS: &[Test] = tests!["security":
    cwd_below_a_read_only_path, cwd_below_a_mask,
];

/// The working directory is the image's choice: it must not lie below the mount
/// that makes the path read-only, or every sysctl of the host is writable.
fn cwd_below_a_read_only_path(case: &mut Case) {
    let mut bundle = case.bundle();
    for cwd in ["/proc/sys", "/proc/sys/kernel", "/proc/./sys/../sys"] {
        bundle.config.set("/process/cwd", json!(cwd));
        let line = "for f in kernel/domainname ./domainname; do echo mine > $f; done 2>/dev/null; \
            cat /proc/sys/kernel/domainname";
        let seen = case.shell(&mut bundle, line);
        assert_ne!(seen, "mine", "{cwd} is writable");
    }
}

/// What a mask hides is hidden from whoever starts in it, too.
fn cwd_below_a_mask(case: &mut Case) {
    let mut bundle: Bundle = case.bundle();
    bundle
        .config
        .push("/linux/maskedPaths", json!("/proc/fs"))
        .set("/process/cwd", json!("/proc/fs"));
    assert_eq!(case.shell(&mut bundle, "ls -A ."), "");
}
