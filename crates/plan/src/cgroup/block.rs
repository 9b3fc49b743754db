//! `linux.resources.blockIO`, read and checked.

use std::fmt;

use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice, LinuxWeightDevice};

use super::Problems;
use super::devices::{MAJOR_MAX, MINOR_MAX};
use super::sheet::at;
use crate::{ConfigPath, PlanError, Problem};

/// `linux.resources.blockIO`
#[derive(Debug, Default)]
pub(super) struct BlockIo {
    /// 10 to 1000.
    pub weight: Option<u16>,
    pub weight_devices: Vec<DeviceWeight>,
    /// In the order of the files.
    pub rates: Vec<DeviceRate>,
}

/// A device by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Device {
    major: u32,
    minor: u32,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// One of `weightDevice`.
#[derive(Debug)]
pub(super) struct DeviceWeight {
    pub device: Device,
    pub weight: u16,
    pub from: ConfigPath,
}

/// One of the four throttle lists.
#[derive(Debug)]
pub(super) struct DeviceRate {
    pub kind: Throttle,
    pub device: Device,
    /// Bytes or operations in a second; 0 takes a limit away.
    pub rate: u64,
    pub from: ConfigPath,
}

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Throttle {
    ReadBytes,
    WriteBytes,
    ReadOperations,
    WriteOperations,
}

/// Reads `blockIO`.
pub(super) fn read(b: &LinuxBlockIo, out: &mut Problems) -> BlockIo {
    let path = at("blockIO");
    let mut block = BlockIo {
        weight: read_weight(b.weight(), path.field("weight"), out),
        ..BlockIo::default()
    };
    refuse_leaf_weight(b.leaf_weight(), path.field("leafWeight"), out);
    for (index, entry) in b.weight_device().iter().flatten().enumerate() {
        let path = path.field("weightDevice").index(index);
        block
            .weight_devices
            .extend(read_device_weight(entry, path, out));
    }
    let lists = [
        (
            Throttle::ReadBytes,
            "throttleReadBpsDevice",
            b.throttle_read_bps_device(),
        ),
        (
            Throttle::WriteBytes,
            "throttleWriteBpsDevice",
            b.throttle_write_bps_device(),
        ),
        (
            Throttle::ReadOperations,
            "throttleReadIOPSDevice",
            b.throttle_read_iops_device(),
        ),
        (
            Throttle::WriteOperations,
            "throttleWriteIOPSDevice",
            b.throttle_write_iops_device(),
        ),
    ];
    for (kind, name, list) in lists {
        for (index, entry) in list.iter().flatten().enumerate() {
            let path = path.field(name).index(index);
            block.rates.extend(read_rate(kind, entry, path, out));
        }
    }
    block
}

/// 0 is what engines write when nobody asked.
fn read_weight(weight: Option<u16>, path: ConfigPath, out: &mut Problems) -> Option<u16> {
    let weight = weight.filter(|w| *w != 0)?;
    if !(10..=1000).contains(&weight) {
        out.problems.push(PlanError::invalid(
            path,
            "a number from 10 to 1000",
            weight.to_string(),
        ));
        return None;
    }
    Some(weight)
}

fn refuse_leaf_weight(weight: Option<u16>, path: ConfigPath, out: &mut Problems) {
    if weight.is_some_and(|w| w != 0) {
        let sentence = "leaf weights are gone since Linux 5.0";
        out.problems.push(PlanError::unsupported(path, sentence));
    }
}

fn read_device_weight(
    entry: &LinuxWeightDevice,
    path: ConfigPath,
    out: &mut Problems,
) -> Option<DeviceWeight> {
    refuse_leaf_weight(entry.leaf_weight(), path.field("leafWeight"), out);
    if entry.weight().is_none() && entry.leaf_weight().is_none() {
        let wanted = "a weight: the spec requires one for each device";
        let problem = Problem::Missing { wanted };
        out.problems.push(PlanError::new(path, problem));
        return None;
    }
    let device = read_device(entry.major(), entry.minor(), &path, out)?;
    let weight = read_weight(entry.weight(), path.field("weight"), out)?;
    Some(DeviceWeight {
        device,
        weight,
        from: path,
    })
}

fn read_rate(
    kind: Throttle,
    entry: &LinuxThrottleDevice,
    path: ConfigPath,
    out: &mut Problems,
) -> Option<DeviceRate> {
    let device = read_device(entry.major(), entry.minor(), &path, out)?;
    Some(DeviceRate {
        kind,
        device,
        rate: entry.rate(),
        from: path,
    })
}

fn read_device(major: i64, minor: i64, path: &ConfigPath, out: &mut Problems) -> Option<Device> {
    let mut number = |n: i64, name: &str, max: u32| {
        let good = u32::try_from(n).ok().filter(|n| *n <= max);
        if good.is_none() {
            let wanted = format!("a device number from 0 to {max}");
            out.problems
                .push(PlanError::invalid(path.field(name), wanted, n.to_string()));
        }
        good
    };
    let major = number(major, "major", MAJOR_MAX);
    let minor = number(minor, "minor", MINOR_MAX);
    Some(Device {
        major: major?,
        minor: minor?,
    })
}
