//! What is written into cgroup files, as systemd's properties of the same meaning
//! (systemd.resource-control(5)).

use super::super::{CgroupDirectory, Setting};
use super::{Property, PropertyValue};

/// systemd's "no limit".
const INFINITY: u64 = u64::MAX;
const PERIOD_MICROSECONDS: u64 = 100_000;

/// The properties that say what the settings say, as far as there are any.
pub fn properties_of(settings: &[Setting], directories: &[CgroupDirectory]) -> Vec<Property> {
    let mut properties: Vec<Property> = Vec::new();
    for setting in settings {
        let is_v2 = directories.get(setting.directory).is_some_and(|d| d.v2);
        let found = match is_v2 {
            true => of_v2(setting),
            false => of_v1(setting),
        };
        for (name, value) in found.unwrap_or_default() {
            let property = Property {
                name: name.to_owned(),
                value,
                from: setting.from.clone(),
                optional: true,
            };
            add(&mut properties, property);
        }
    }
    if let Some(bandwidth) = bandwidth_of_v1(settings, directories) {
        properties.extend(bandwidth);
    }
    properties
}

/// Lists grow; of anything else the last one counts, as in the file.
fn add(properties: &mut Vec<Property>, new: Property) {
    let Some(old) = properties.iter_mut().find(|old| old.name == new.name) else {
        return properties.push(new);
    };
    match (&mut old.value, new.value) {
        (PropertyValue::Amounts(list), PropertyValue::Amounts(more)) => list.extend(more),
        (value, newer) => *value = newer,
    }
}

type Found = Option<Vec<(&'static str, PropertyValue)>>;

fn of_v2(setting: &Setting) -> Found {
    let value = setting.value.trim();
    let one = |name, value| Some(vec![(name, value)]);
    let amount = |name| one(name, PropertyValue::Uint64(number(value)?));
    match setting.file.as_str() {
        "memory.max" => amount("MemoryMax"),
        "memory.high" => amount("MemoryHigh"),
        "memory.low" => amount("MemoryLow"),
        "memory.min" => amount("MemoryMin"),
        "memory.swap.max" => amount("MemorySwapMax"),
        "memory.zswap.max" => amount("MemoryZSwapMax"),
        "pids.max" => amount("TasksMax"),
        "cpu.weight" => amount("CPUWeight"),
        // Since systemd 252; the weight of an idle group means nothing else.
        "cpu.idle" if value == "1" => one("CPUWeight", PropertyValue::Uint64(0)),
        "cpu.max" => {
            let (quota, period) = value.split_once(' ').unwrap_or((value, ""));
            let period = period.parse().unwrap_or(PERIOD_MICROSECONDS);
            Some(bandwidth(number(quota)?, period))
        }
        "cpuset.cpus" => one("AllowedCPUs", PropertyValue::Bytes(mask(value)?)),
        "cpuset.mems" => one("AllowedMemoryNodes", PropertyValue::Bytes(mask(value)?)),
        "io.bfq.weight" | "io.weight" => weight(setting),
        "io.max" => io_max(value),
        _ => None,
    }
}

/// In the scale of `io.weight`, which is systemd's.
fn weight(setting: &Setting) -> Found {
    let value = setting
        .instead
        .as_ref()
        .map_or(&setting.value, |i| &i.value);
    let value = value.trim();
    match value.split_once(' ') {
        Some(("default", weight)) => {
            Some(vec![("IOWeight", PropertyValue::Uint64(number(weight)?))])
        }
        Some((device, weight)) => {
            let entry = (block_path(device)?, number(weight)?);
            Some(vec![(
                "IODeviceWeight",
                PropertyValue::Amounts(vec![entry]),
            )])
        }
        None => Some(vec![("IOWeight", PropertyValue::Uint64(number(value)?))]),
    }
}

/// `8:0 rbps=1048576 wiops=max`
fn io_max(value: &str) -> Found {
    let mut words = value.split_whitespace();
    let device = block_path(words.next()?)?;
    let property = |word: &str| {
        let (key, rate) = word.split_once('=')?;
        let name = match key {
            "rbps" => "IOReadBandwidthMax",
            "wbps" => "IOWriteBandwidthMax",
            "riops" => "IOReadIOPSMax",
            "wiops" => "IOWriteIOPSMax",
            _ => return None,
        };
        let entry = (device.clone(), number(rate)?);
        Some((name, PropertyValue::Amounts(vec![entry])))
    };
    Some(words.filter_map(property).collect())
}

/// `8:0` -> `/dev/block/8:0`
fn block_path(device: &str) -> Option<String> {
    let (major, minor) = device.split_once(':')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits(major) && digits(minor)).then(|| format!("/dev/block/{device}"))
}

fn of_v1(setting: &Setting) -> Found {
    let value = setting.value.trim();
    let amount = |name| Some(vec![(name, PropertyValue::Uint64(number(value)?))]);
    match setting.file.as_str() {
        "memory.limit_in_bytes" => amount("MemoryLimit"),
        "pids.max" => amount("TasksMax"),
        "cpu.shares" => amount("CPUShares"),
        "blkio.weight" | "blkio.bfq.weight" => amount("BlockIOWeight"),
        _ => None,
    }
}

/// v1 has quota and period in files of their own.
fn bandwidth_of_v1(
    settings: &[Setting],
    directories: &[CgroupDirectory],
) -> Option<impl Iterator<Item = Property>> {
    let find = |file: &str| {
        let is_it =
            |s: &&Setting| s.file == file && directories.get(s.directory).is_some_and(|d| !d.v2);
        settings.iter().rev().find(is_it)
    };
    let quota = find("cpu.cfs_quota_us")?;
    let period = find("cpu.cfs_period_us").and_then(|s| s.value.trim().parse().ok());
    let found = bandwidth(
        number(quota.value.trim())?,
        period.unwrap_or(PERIOD_MICROSECONDS),
    );
    let from = quota.from.clone();
    Some(found.into_iter().map(move |(name, value)| Property {
        name: name.to_owned(),
        value,
        from: from.clone(),
        optional: true,
    }))
}

/// systemd keeps the quota as time in a second and rounds it down to 10 ms when it
/// writes the file: rounded up here, so that it never allows less than was asked for.
fn bandwidth(quota: u64, period: u64) -> Vec<(&'static str, PropertyValue)> {
    const GRAIN: u64 = 10_000;
    let in_a_second = match quota {
        INFINITY => INFINITY,
        quota => (quota.saturating_mul(1_000_000) / period.max(1)).div_ceil(GRAIN) * GRAIN,
    };
    vec![
        ("CPUQuotaPerSecUSec", PropertyValue::Uint64(in_a_second)),
        // Since systemd 242.
        ("CPUQuotaPeriodUSec", PropertyValue::Uint64(period)),
    ]
}

fn number(text: &str) -> Option<u64> {
    match text.trim() {
        "max" | "-1" => Some(INFINITY),
        text => text.parse().ok(),
    }
}

/// `0-2,5` as bits, the lowest first in the first byte.
fn mask(list: &str) -> Option<Vec<u8>> {
    /// More CPUs than Linux can have.
    const MOST: usize = 1 << 14;
    let mut mask = Vec::new();
    for range in list.split(',').map(str::trim).filter(|r| !r.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last < first || last >= MOST {
            return None;
        }
        if mask.len() <= last / 8 {
            mask.resize(last / 8 + 1, 0_u8);
        }
        for bit in first..=last {
            if let Some(byte) = mask.get_mut(bit / 8) {
                *byte |= 1 << (bit % 8);
            }
        }
    }
    (!mask.is_empty()).then_some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConfigPath;

    fn directory(v2: bool) -> CgroupDirectory {
        CgroupDirectory {
            controllers: Vec::new(),
            mount: "/sys/fs/cgroup".to_owned(),
            v2,
            enable: Vec::new(),
        }
    }

    fn found(v2: bool, files: &[(&str, &str)]) -> Vec<(String, PropertyValue)> {
        let settings: Vec<Setting> = files
            .iter()
            .map(|(file, value)| Setting {
                directory: 0,
                file: (*file).to_owned(),
                value: (*value).to_owned(),
                from: ConfigPath::new("x"),
                optional: false,
                instead: None,
                not_below: None,
            })
            .collect();
        let properties = properties_of(&settings, &[directory(v2)]);
        properties.into_iter().map(|p| (p.name, p.value)).collect()
    }

    fn number(name: &str, value: u64) -> (String, PropertyValue) {
        (name.to_owned(), PropertyValue::Uint64(value))
    }

    #[test]
    fn a_file_of_v2_is_a_property() {
        for (file, value, name, wanted) in [
            ("memory.max", "max", "MemoryMax", INFINITY),
            ("memory.high", "5", "MemoryHigh", 5),
            ("memory.swap.max", "0", "MemorySwapMax", 0),
            ("pids.max", "7", "TasksMax", 7),
            ("cpu.weight", "20", "CPUWeight", 20),
            ("cpu.idle", "1", "CPUWeight", 0),
            ("io.weight", "default 50", "IOWeight", 50),
        ] {
            assert_eq!(
                found(true, &[(file, value)]),
                [number(name, wanted)],
                "{file}"
            );
        }
        assert!(found(true, &[("hugetlb.2MB.max", "0"), ("cpu.idle", "0")]).is_empty());
    }

    #[test]
    fn a_quota_is_rounded_up_to_ten_milliseconds() {
        let half = [
            number("CPUQuotaPerSecUSec", 500_000),
            number("CPUQuotaPeriodUSec", 100_000),
        ];
        assert_eq!(found(true, &[("cpu.max", "50000 100000")]), half);
        let odd = found(true, &[("cpu.max", "33333 100000")]);
        assert_eq!(odd[0], number("CPUQuotaPerSecUSec", 340_000));
        let none = found(true, &[("cpu.max", "max 100000")]);
        assert_eq!(none[0], number("CPUQuotaPerSecUSec", INFINITY));
        let v1 = [
            ("cpu.cfs_period_us", "100000"),
            ("cpu.cfs_quota_us", "50000"),
        ];
        assert_eq!(found(false, &v1), half);
    }

    #[test]
    fn sets_are_bits_and_devices_lists() {
        let cpus = found(true, &[("cpuset.cpus", "0-2,9")]);
        let wanted = PropertyValue::Bytes(vec![0b0000_0111, 0b0000_0010]);
        assert_eq!(cpus, [("AllowedCPUs".to_owned(), wanted)]);
        let two = [("io.max", "8:0 rbps=5 wbps=max"), ("io.max", "8:16 rbps=6")];
        let entry = |device: &str, n| (format!("/dev/block/{device}"), n);
        assert_eq!(
            found(true, &two),
            [
                (
                    "IOReadBandwidthMax".to_owned(),
                    PropertyValue::Amounts(vec![entry("8:0", 5), entry("8:16", 6)])
                ),
                (
                    "IOWriteBandwidthMax".to_owned(),
                    PropertyValue::Amounts(vec![entry("8:0", INFINITY)])
                ),
            ]
        );
        for list in ["", "\n", "3-1", "x", "0-99999"] {
            assert!(found(true, &[("cpuset.cpus", list)]).is_empty(), "{list:?}");
        }
    }
}
