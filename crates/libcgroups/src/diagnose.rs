//! After a failure: what a look around says about the reason. Nothing here runs
//! when all goes well, and nothing here can fail.

use std::os::fd::BorrowedFd;

use kernel::{Errno, fs};
use plan::cgroup::Setting;

use crate::directory::read_text;

/// Why a directory could not be made.
pub(crate) fn directory(errno: Errno) -> Option<String> {
    let text = match errno {
        Errno::ACCESS | Errno::PERM => "this cgroup is not delegated to the caller",
        Errno::ROFS => "the cgroup file system is mounted read-only",
        Errno::AGAIN => "cgroup.max.depth or cgroup.max.descendants of a cgroup above is reached",
        Errno::NOTDIR => "a file of the cgroup above has that name",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Why `cgroup.subtree_control` was refused.
pub(crate) fn enable(dir: BorrowedFd<'_>, errno: Errno) -> Option<String> {
    match errno {
        Errno::NOENT | Errno::INVAL => Some(format!("controllers there: {}", controllers(dir))),
        Errno::BUSY => Some(
            "processes are in that cgroup; cgroup v2 wants them in leaves where controllers are enabled"
                .to_owned(),
        ),
        Errno::OPNOTSUPP => Some("the cgroup is a threaded one".to_owned()),
        _ => directory(errno),
    }
}

/// Why a setting was refused.
pub(crate) fn write(
    dir: BorrowedFd<'_>,
    v2: bool,
    setting: &Setting,
    errno: Errno,
) -> Option<String> {
    let file = setting.file.as_str();
    match errno {
        Errno::NOENT => missing(dir, v2, file),
        Errno::BUSY if file.starts_with("memory.") => in_use(dir),
        Errno::BUSY if file.starts_with("cpuset.") => {
            Some("a cgroup below has a larger set".to_owned())
        }
        // The kernel's answers for a set that is not within the parent's.
        Errno::ACCESS | Errno::INVAL | Errno::RANGE | Errno::NODEV
            if file.starts_with("cpuset.") =>
        {
            sets(dir, v2, file)
        }
        Errno::NODEV | Errno::NXIO if file.starts_with("io.") || file.starts_with("blkio.") => {
            Some("no such block device, or a partition of one".to_owned())
        }
        Errno::NODEV if file.starts_with("rdma.") => Some("no such RDMA device".to_owned()),
        Errno::INVAL => invalid(dir, file),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => directory(errno),
        _ => None,
    }
}

fn controllers(dir: BorrowedFd<'_>) -> String {
    match read_text(dir, "cgroup.controllers") {
        Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "none".to_owned(),
    }
}

fn missing(dir: BorrowedFd<'_>, v2: bool, file: &str) -> Option<String> {
    let controller = file.split('.').next()?;
    if v2 && controller != "cgroup" {
        let have = controllers(dir);
        if !have.split_whitespace().any(|c| c == controller) {
            return Some(format!(
                "no cgroup controller {controller:?} (have: {have})"
            ));
        }
    }
    if controller == "hugetlb" {
        let sizes = page_sizes(dir)?;
        return Some(format!("this kernel has huge pages of {sizes}"));
    }
    if file == "memory.swap.max" || file == "memory.memsw.limit_in_bytes" {
        return Some("the kernel does not count swap (see its parameter swapaccount)".to_owned());
    }
    Some(format!("this kernel has no {file}"))
}

fn page_sizes(dir: BorrowedFd<'_>) -> Option<String> {
    let entries = fs::read_directory(dir).ok()?;
    let size = |name: &str| {
        name.strip_prefix("hugetlb.")?
            .split('.')
            .next()
            .map(str::to_owned)
    };
    let mut sizes: Vec<String> = entries.iter().filter_map(|(name, _)| size(name)).collect();
    sizes.sort();
    sizes.dedup();
    (!sizes.is_empty()).then(|| sizes.join(", "))
}

fn in_use(dir: BorrowedFd<'_>) -> Option<String> {
    let read = |file| read_text(dir, file).ok();
    let used = read("memory.current").or_else(|| read("memory.usage_in_bytes"))?;
    Some(format!("{} bytes are in use", used.trim()))
}

fn sets(dir: BorrowedFd<'_>, v2: bool, file: &str) -> Option<String> {
    let what = if file.ends_with("mems") {
        "mems"
    } else {
        "cpus"
    };
    let above = fs::open_at(dir, "..", fs::OFlags::RDONLY | fs::OFlags::DIRECTORY).ok()?;
    let names = match v2 {
        true => format!("cpuset.{what}.effective"),
        false => format!("cpuset.{what}"),
    };
    let have = read_text(std::os::fd::AsFd::as_fd(&above), &names).ok()?;
    Some(format!("the cgroup above has {}", have.trim()))
}

fn invalid(dir: BorrowedFd<'_>, file: &str) -> Option<String> {
    let number = |file: &str| read_text(dir, file).ok()?.trim().parse::<i64>().ok();
    match file {
        "memory.memsw.limit_in_bytes" | "memory.limit_in_bytes" => {
            let sum = number("memory.memsw.limit_in_bytes")?;
            let limit = number("memory.limit_in_bytes")?;
            Some(format!(
                "memory may not exceed memory+swap; they are {limit} and {sum} now"
            ))
        }
        "cpu.rt_runtime_us" => {
            Some("the cgroup above must have as much cpu.rt_runtime_us to give".to_owned())
        }
        "cpu.cfs_quota_us" | "cpu.cfs_period_us" => {
            Some("the cgroup above must not have less CPU time".to_owned())
        }
        "cpu.shares" | "cpu.weight" if number("cpu.idle") == Some(1) => {
            Some("cpu.idle is 1".to_owned())
        }
        _ => None,
    }
}
