//! The one writer of cgroup files, and the device program.

use std::os::fd::{AsFd, BorrowedFd};

use kernel::{Errno, Error, bpf, fs};
use plan::cgroup::{DeviceProgram, Setting};

use crate::directory::{Place, is_name, read_text};
use crate::{Cgroup, CgroupError, diagnose};

impl Cgroup {
    /// Writes settings in their order.
    ///
    /// # Errors
    /// The first that could not be written, with its property and a look around
    /// for the reason. A missing file is no error where the value is what the
    /// kernel does anyway.
    pub fn apply(&self, settings: &[Setting]) -> Result<(), CgroupError> {
        settings.iter().try_for_each(|setting| self.write(setting))
    }

    /// Writes one setting.
    pub(crate) fn write(&self, setting: &Setting) -> Result<(), CgroupError> {
        let failed = |source: Error, hint| CgroupError {
            from: Some(setting.from.clone()),
            source,
            hint,
        };
        let place = self.place_of(setting).map_err(|e| failed(e, None))?;
        let dir = self.fd(place).map_err(|e| failed(e, None))?;
        write(dir, setting).map_err(|e| {
            let hint = diagnose::write(dir, place.directory.v2, setting, e.errno());
            failed(self.located(place, e), hint)
        })
    }

    /// The directory of a setting.
    pub(crate) fn place_of(&self, setting: &Setting) -> kernel::Result<&Place> {
        self.places.get(setting.directory).ok_or_else(|| {
            let call = format!("write({:?})", setting.file);
            Error::new(Errno::INVAL, call).with_detail("no such cgroup directory")
        })
    }

    /// Lets a program decide which devices the processes of the v2 directory may
    /// make and open.
    ///
    /// # Errors
    /// Those of bpf(2): `EPERM` without CAP_SYS_ADMIN in the first user namespace.
    pub fn attach_devices(&self, program: &DeviceProgram) -> Result<(), CgroupError> {
        let failed = |source: Error| {
            let hint = (source.errno() == Errno::PERM).then(|| {
                "needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, on the host".to_owned()
            });
            CgroupError {
                from: Some(program.from.clone()),
                source,
                hint,
            }
        };
        let Some(place) = self.v2() else {
            let error = Error::new(Errno::NODEV, "bpf(BPF_PROG_ATTACH)");
            return Err(failed(error.with_detail("needs a cgroup v2 hierarchy")));
        };
        let dir = self.fd(place).map_err(failed)?;
        let loaded = bpf::load_device_program(&program.instructions).map_err(failed)?;
        bpf::attach_cgroup_device(dir, loaded.as_fd()).map_err(|e| failed(self.located(place, e)))
    }
}

fn write(dir: BorrowedFd<'_>, setting: &Setting) -> kernel::Result<()> {
    require_room(dir, setting)?;
    let missing = match write_one(dir, &setting.file, &setting.value) {
        Err(e) if e.errno() == Errno::NOENT => e,
        done => return done,
    };
    let missing = match &setting.instead {
        None => missing,
        Some(other) => match write_one(dir, &other.file, &other.value) {
            Err(e) if e.errno() == Errno::NOENT => missing,
            done => return done,
        },
    };
    if setting.optional {
        Ok(())
    } else {
        Err(missing)
    }
}

fn write_one(dir: BorrowedFd<'_>, file: &str, value: &str) -> kernel::Result<()> {
    if !is_name(file) {
        let error = Error::new(Errno::INVAL, format!("open({file:?})"));
        return Err(error.with_detail("not the name of a file of this cgroup"));
    }
    fs::write_value_at(dir, file, value)
}

/// `memory.checkBeforeUpdate`: v2 would reclaim and kill until a limit fits.
fn require_room(dir: BorrowedFd<'_>, setting: &Setting) -> kernel::Result<()> {
    let Some(file) = setting.not_below.as_deref().filter(|file| is_name(file)) else {
        return Ok(());
    };
    let Ok(limit) = setting.value.parse::<u64>() else {
        return Ok(());
    };
    let Ok(used) = read_text(dir, file) else {
        return Ok(());
    };
    match used.trim().parse::<u64>() {
        Ok(used) if used > limit => {
            let call = format!("write({:?}, {:?})", setting.file, setting.value);
            Err(Error::new(Errno::BUSY, call).with_detail(format!("{used} bytes are in use")))
        }
        _ => Ok(()),
    }
}
