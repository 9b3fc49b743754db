//! The forms that cgroup files have.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use kernel::{Errno, Result, fs};

use super::{IoEntry, Limit, Pressure, Rdma, Stall};
use crate::directory::{is_gone, read_text};

/// The text of a file; `None` when it is not there, or has nothing to tell: a pressure
/// file answers `EOPNOTSUPP` where the kernel was booted with `psi=0`.
pub(super) fn text(dir: BorrowedFd<'_>, file: &str) -> Result<Option<String>> {
    match read_text(dir, file) {
        Ok(text) => Ok(Some(text)),
        Err(e) if is_gone(e.errno()) || e.errno() == Errno::OPNOTSUPP => Ok(None),
        Err(e) => Err(e),
    }
}

/// A file of one number.
pub(super) fn number(dir: BorrowedFd<'_>, file: &str) -> Result<Option<u64>> {
    Ok(text(dir, file)?.and_then(|text| text.trim().parse().ok()))
}

/// A file of one number or `max`.
pub(super) fn limit(dir: BorrowedFd<'_>, file: &str) -> Result<Option<Limit>> {
    Ok(text(dir, file)?.map(|text| limit_of(text.trim())))
}

pub(super) fn limit_of(word: &str) -> Limit {
    word.parse().map_or(Limit::Unlimited, Limit::At)
}

/// Lines of a name and a number.
pub(super) fn flat_keyed(text: &str) -> BTreeMap<String, u64> {
    let pairs = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    });
    pairs.collect()
}

/// `KEY NAME=VALUE NAME=VALUE` -> the key, and the pairs.
pub(super) fn nested_keyed(line: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let mut words = line.split_whitespace();
    let key = words.next()?;
    Some((key, words.filter_map(|word| word.split_once('=')).collect()))
}

/// `0-3,7` -> 0, 1, 2, 3, 7.
pub(super) fn list(text: &str) -> Vec<u16> {
    let ranges = text.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

pub(super) fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// v1: lines of `MAJ:MIN OPERATION NUMBER` or `MAJ:MIN NUMBER`; the last line, the sum
/// of all devices, has none.
pub(super) fn blkio(text: &str) -> Vec<IoEntry> {
    let entries = text.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (first, op, value) = match words[..] {
            [device, op, value] => (device, op, value),
            [device, value] => (device, "", value),
            _ => return None,
        };
        let (major, minor) = device(first)?;
        Some(IoEntry {
            major,
            minor,
            op: op.to_owned(),
            value: value.parse().ok()?,
        })
    });
    entries.collect()
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and `full`.
pub(super) fn pressure(text: &str) -> Option<Pressure> {
    let stall = |wanted: &str| {
        let lines = text.lines().filter_map(nested_keyed);
        let (_, pairs) = lines.into_iter().find(|(kind, _)| *kind == wanted)?;
        let mut stall = Stall::default();
        for (name, value) in pairs {
            match name {
                "avg10" => stall.avg10 = value.parse().ok()?,
                "avg60" => stall.avg60 = value.parse().ok()?,
                "avg300" => stall.avg300 = value.parse().ok()?,
                "total" => stall.total_us = value.parse().ok()?,
                _ => {}
            }
        }
        Some(stall)
    };
    Some(Pressure {
        some: stall("some")?,
        full: stall("full"),
    })
}

/// `rdma.current` and `rdma.max`, the same in both versions.
pub(super) fn rdma(dir: BorrowedFd<'_>) -> Result<Option<BTreeMap<String, Rdma>>> {
    let Some(current) = text(dir, "rdma.current")? else {
        return Ok(None);
    };
    let max = text(dir, "rdma.max")?.unwrap_or_default();
    Ok(Some(rdma_of(&current, &max)))
}

fn rdma_of(current: &str, max: &str) -> BTreeMap<String, Rdma> {
    let mut devices: BTreeMap<String, Rdma> = BTreeMap::new();
    for (device, pairs) in max.lines().filter_map(nested_keyed) {
        let rdma = devices.entry(device.to_owned()).or_default();
        for (name, value) in pairs {
            match name {
                "hca_handle" => rdma.handles_limit = limit_of(value),
                "hca_object" => rdma.objects_limit = limit_of(value),
                _ => {}
            }
        }
    }
    for (device, pairs) in current.lines().filter_map(nested_keyed) {
        let rdma = devices.entry(device.to_owned()).or_default();
        for (name, value) in pairs {
            match name {
                "hca_handle" => rdma.handles = value.parse().unwrap_or_default(),
                "hca_object" => rdma.objects = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
    }
    devices
}

/// The sizes of huge pages that a directory has files for, as they name them.
pub(super) fn page_sizes(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    let entries = match fs::read_directory(dir) {
        Err(e) if is_gone(e.errno()) => return Ok(Vec::new()),
        entries => entries?,
    };
    let sizes = entries.iter().filter_map(|(name, _)| {
        let size = name.strip_prefix("hugetlb.")?.split('.').next()?;
        Some(size.to_owned())
    });
    let mut sizes: Vec<String> = sizes.collect();
    sizes.sort();
    sizes.dedup();
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_numbers() {
        assert_eq!(list("0-3,7\n"), [0, 1, 2, 3, 7]);
        assert_eq!(list("\n"), [0; 0]);
        assert_eq!(list("x,3"), [3]);
    }

    #[test]
    fn pressure_with_and_without_full() {
        let some = "some avg10=1.50 avg60=0.20 avg300=0.00 total=12345\n";
        let found = pressure(some).unwrap();
        assert_eq!((found.some.avg10, found.some.total_us), (1.5, 12_345));
        assert_eq!(found.full, None);
        let full = format!("{some}full avg10=0.10 avg60=0.20 avg300=0.30 total=9\n");
        let full = pressure(&full).unwrap().full.unwrap();
        assert_eq!((full.avg300, full.total_us), (0.3, 9));
        assert_eq!(pressure(""), None);
    }

    #[test]
    fn operations_of_block_devices() {
        let found = blkio("8:0 Read 5\n8:0 Total 5\nTotal 5\n8:16 7\n");
        let line = |e: &IoEntry| format!("{}:{} {}={}", e.major, e.minor, e.op, e.value);
        let lines: Vec<String> = found.iter().map(line).collect();
        assert_eq!(lines, ["8:0 Read=5", "8:0 Total=5", "8:16 =7"]);
    }

    #[test]
    fn rdma_devices() {
        let found = rdma_of(
            "mlx4_0 hca_handle=2 hca_object=2000\n",
            "mlx4_0 hca_handle=3 hca_object=max\nocrdma1 hca_handle=max hca_object=max\n",
        );
        let mlx = found["mlx4_0"];
        assert_eq!((mlx.handles, mlx.handles_limit), (2, Limit::At(3)));
        assert_eq!((mlx.objects, mlx.objects_limit), (2000, Limit::Unlimited));
        assert_eq!(found["ocrdma1"], Rdma::default());
    }
}
