//! The order of writing. At `create` every file still has its default; here the old
//! values are in force, and the kernel checks each write against them.

use crate::cgroup::Setting;

/// A file whose number may never exceed the other's: the second write of a pair must
/// be the one that the first made room for.
const BELOW: [(&str, &str); 3] = [
    ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    ("cpu.cfs_burst_us", "cpu.cfs_quota_us"),
    ("cpu.max.burst", "cpu.max"),
];

/// Puts settings in an order in which each is possible.
pub(super) fn arrange(settings: &mut [Setting], before: &[Setting]) {
    // The two are one rate, which may not exceed that of the cgroup above.
    if number(settings, "cpu.cfs_quota_us") < old(before, "cpu.cfs_quota_us") {
        put_first(settings, "cpu.cfs_quota_us", "cpu.cfs_period_us");
    }
    for (lower, upper) in BELOW {
        if number(settings, lower) > old(before, upper) {
            put_first(settings, upper, lower);
        } else {
            put_first(settings, lower, upper);
        }
    }
    // Where memory becomes less, what does not fit must find its swap.
    if number(settings, "memory.max") < old(before, "memory.max") {
        put_first(settings, "memory.swap.max", "memory.max");
    }
}

/// The number in a file as it was: without a setting there is no limit.
fn old(before: &[Setting], file: &str) -> Option<u64> {
    number(before, file).or(Some(u64::MAX))
}

/// The first word of the last value for a file; no limit is above all numbers.
fn number(settings: &[Setting], file: &str) -> Option<u64> {
    let setting = settings.iter().rev().find(|s| s.file == file)?;
    let word = setting.value.split(' ').next().unwrap_or_default();
    Some(word.parse().unwrap_or(u64::MAX))
}

fn put_first(settings: &mut [Setting], first: &str, second: &str) {
    let place = |file| settings.iter().position(|s| s.file == file);
    if let (Some(a), Some(b)) = (place(first), place(second))
        && a > b
    {
        settings[b..=a].rotate_right(1);
    }
}
