//! Cgroups made by systemd, which on its hosts owns the tree of cgroups.
//!
//! A scope cannot be made empty: systemd wants a process to put into it. So, other
//! than with a cgroup of our own, init is cloned first and waits:
//!
//! ```text
//! init                         corten                              systemd
//!   ◄───────────── clone3 ────── │
//!   awaits Go                    │ StartTransientUnit(unit, limits,   │
//!   │                            │      PIDs=[init]) ───────────────► │ makes slices and scope,
//!   │ ◄────────────────────────────────── moves init ──────────────── │ writes limits
//!   │                            │ ◄──────── JobRemoved(done) ─────── │
//!   │                            │ checks where init is
//!   │                            │ makes what systemd does not manage
//!   │                            │ writes all limits, attaches devices
//!   │ ◄──────── Go ───────────── │
//!   unshares the cgroup namespace: its root is the scope
//! ```
//!
//! Until `Go` init has done nothing but read from a socket. Init is moved by systemd,
//! not born inside: the kernel lets a user put a process only where the cgroup above
//! both places is theirs, and a login session and the user's own systemd have only
//! root's in common. The user's systemd asks the system's to do it.
//!
//! The limits are systemd's properties, so that it keeps them in force, and are written
//! into the files as well (`plan::cgroup`). Later commands need no option: the state
//! names the unit. What changes limits tells systemd too; freezing and killing need
//! only files.

mod bus;
mod message;

use kernel::{Errno, Error, fs};
use plan::cgroup::{CgroupPlan, Property, Scope};
use plan::{CgroupFacts, CgroupMode, ConfigPath, SystemdFacts};

use crate::{Cgroup, CgroupError, FILE_LIMIT};
use bus::{Bus, BusError};
use message::{Call, Message, Writer};

type Result<T> = std::result::Result<T, CgroupError>;

const DESTINATION: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// Adds to the facts who makes scopes for the caller (`privileged`: root, and of the
/// first user namespace), and what that one may give away.
///
/// # Errors
/// Those of reading the manager's cgroup. That there is no systemd is a fact.
pub fn probe(facts: &mut CgroupFacts, privileged: bool) -> Result<()> {
    let missing = |why: String| Some(SystemdFacts::Missing { why });
    if fs::stat_path("/run/systemd/system").is_err() {
        facts.systemd = missing("systemd does not run here".to_owned());
        return Ok(());
    }
    if privileged {
        facts.systemd = Some(SystemdFacts::Manager {
            control_group: String::new(),
            user: false,
        });
        return Ok(());
    }
    let control_group = match Manager::connect(true).and_then(|mut m| m.control_group()) {
        Ok(path) => path,
        Err(error) => {
            let why = format!("the user's own systemd does not answer: {}", error.source);
            facts.systemd = missing(why);
            return Ok(());
        }
    };
    if let (CgroupMode::V2, Some(mount)) = (facts.mode, &facts.v2_mount) {
        let file = format!("{mount}{control_group}/cgroup.controllers");
        let text = fs::read_file(&file, FILE_LIMIT)?;
        let text = String::from_utf8_lossy(&text);
        facts.v2_controllers = text.split_whitespace().map(str::to_owned).collect();
        facts.delegated = Some(control_group.clone());
    }
    facts.systemd = Some(SystemdFacts::Manager {
        control_group,
        user: true,
    });
    Ok(())
}

/// A systemd, asked over D-Bus.
pub struct Manager {
    bus: Bus,
}

impl Manager {
    /// Connects to the system's, or to that of the calling user: over the bus that
    /// `DBUS_SYSTEM_BUS_ADDRESS` or `DBUS_SESSION_BUS_ADDRESS` names, the one at its
    /// usual place (for a user below `XDG_RUNTIME_DIR`), or directly.
    ///
    /// # Errors
    /// Nobody listens, or the caller is not let in.
    pub fn connect(user: bool) -> Result<Self> {
        match Bus::connect(user) {
            Ok(bus) => Ok(Self { bus }),
            Err(error) => {
                let hint = user.then(|| {
                    "needs a login session; `loginctl enable-linger USER` keeps one".to_owned()
                });
                Err(explain("connect to systemd", error).hint(hint))
            }
        }
    }

    /// The cgroup that all units of this systemd lie below.
    ///
    /// # Errors
    /// No answer, or none that makes sense.
    pub fn control_group(&mut self) -> Result<String> {
        let mut body = Writer::default();
        body.text(MANAGER);
        body.text("ControlGroup");
        let call = Call {
            destination: DESTINATION,
            path: PATH,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
            signature: "ss",
            body: body.into_bytes(),
        };
        let answer = self.bus.call(&call);
        let answer = answer.map_err(|e| explain("ask systemd for its control group", e))?;
        match answer.texts().into_iter().next() {
            Some(path) if path.is_empty() || path.starts_with('/') => Ok(path),
            _ => Err(Error::new(Errno::BADMSG, "ask systemd for its control group").into()),
        }
    }

    /// Starts a scope with `pid` in it and waits until it is there. A failed unit of
    /// that name, of a container that is gone, is forgotten first.
    ///
    /// # Errors
    /// The property that systemd refused, or the job's end. `EEXIST`: the unit is
    /// active.
    pub fn start(&mut self, scope: &Scope, pid: i32) -> Result<()> {
        let mut properties: Vec<&Property> = scope.properties.iter().collect();
        let mut forgotten = false;
        loop {
            let error = match self.start_with(&scope.unit, &properties, pid) {
                Ok(job) => return self.await_job(&scope.unit, &job),
                Err(error) => error,
            };
            if !forgotten && is_refusal(&error, UNIT_EXISTS) {
                self.forget(&scope.unit);
                forgotten = true;
            } else if !drop_unknown(&mut properties, &error) {
                return Err(refusal(&scope.unit, &properties, error));
            }
        }
    }

    fn start_with(
        &mut self,
        unit: &str,
        properties: &[&Property],
        pid: i32,
    ) -> std::result::Result<String, BusError> {
        let mut body = Writer::default();
        body.text(unit);
        body.text("replace");
        body.array(8, |w| {
            for property in properties {
                put(w, property);
            }
            w.align(8);
            w.text("PIDs");
            let pids = vec![pid.cast_unsigned()];
            w.variant(&plan::cgroup::PropertyValue::Uint32s(pids));
        });
        // No units beside it.
        body.array(8, |_| {});
        let answer = self.call("StartTransientUnit", "ssa(sv)a(sa(sv))", body)?;
        Ok(answer.texts().into_iter().next().unwrap_or_default())
    }

    fn await_job(&mut self, unit: &str, job: &str) -> Result<()> {
        let doing = || format!("start {unit}");
        let deadline = Bus::deadline();
        loop {
            let signal = self.bus.signal(deadline);
            let signal = signal.map_err(|e| explain(&doing(), e))?;
            let texts = signal.texts();
            let [_, ended, _, result] = texts.as_slice() else {
                continue;
            };
            if signal.member != "JobRemoved" || ended != job {
                continue;
            }
            return match result.as_str() {
                "done" => Ok(()),
                result => {
                    let error = Error::new(Errno::CANCELED, doing());
                    let detail = format!("systemd's job ended with {result:?}");
                    Err(CgroupError::at_path(error.with_detail(detail)))
                }
            };
        }
    }

    /// Changes properties of a unit until the next boot. What this systemd does not
    /// know is left out where the files say the same.
    ///
    /// # Errors
    /// The property that systemd refused; none is changed then.
    pub fn set(&mut self, unit: &str, properties: &[Property]) -> Result<()> {
        let mut properties: Vec<&Property> = properties.iter().collect();
        while !properties.is_empty() {
            let mut body = Writer::default();
            body.text(unit);
            body.uint32(1);
            body.array(8, |w| {
                properties.iter().for_each(|property| put(w, property))
            });
            match self.call("SetUnitProperties", "sba(sv)", body) {
                Ok(_) => return Ok(()),
                Err(error) if drop_unknown(&mut properties, &error) => {}
                Err(error) => return Err(refusal(unit, &properties, error)),
            }
        }
        Ok(())
    }

    /// Puts a process into a unit.
    ///
    /// # Errors
    /// systemd's refusal: the process must be the caller's own.
    pub fn attach(&mut self, unit: &str, pid: i32) -> Result<()> {
        let mut body = Writer::default();
        body.text(unit);
        body.text("");
        body.array(4, |w| w.uint32(pid.cast_unsigned()));
        let moved = self.call("AttachProcessesToUnit", "ssau", body);
        let doing = || format!("put process {pid} into {unit}");
        moved.map(drop).map_err(|e| explain(&doing(), e))
    }

    /// Stops a unit, with all that is in it, and waits for the end. One that does not
    /// exist is stopped.
    ///
    /// # Errors
    /// No answer; a job that did not end well.
    pub fn stop(&mut self, unit: &str) -> Result<()> {
        let mut body = Writer::default();
        body.text(unit);
        body.text("replace");
        let job = match self.call("StopUnit", "ss", body) {
            Ok(answer) => answer.texts().into_iter().next().unwrap_or_default(),
            Err(error) if is_refusal(&error, NO_SUCH_UNIT) => return Ok(()),
            Err(error) => return Err(explain(&format!("stop {unit}"), error)),
        };
        self.await_job(unit, &job)
    }

    /// Lets systemd forget a unit that has failed: only then may its name be used again.
    pub fn forget(&mut self, unit: &str) {
        let mut body = Writer::default();
        body.text(unit);
        if let Err(error) = self.call("ResetFailedUnit", "s", body) {
            // Usual: what has not failed is forgotten already.
            tracing::debug!(unit, ?error, "not reset");
        }
    }

    fn call(
        &mut self,
        member: &str,
        signature: &str,
        body: Writer,
    ) -> std::result::Result<Message, BusError> {
        self.bus.call(&Call {
            destination: DESTINATION,
            path: PATH,
            interface: MANAGER,
            member,
            signature,
            body: body.into_bytes(),
        })
    }
}

/// One `(sv)`.
fn put(w: &mut Writer, property: &Property) {
    w.align(8);
    w.text(&property.name);
    w.variant(&property.value);
}

fn is_refusal(error: &BusError, wanted: &str) -> bool {
    matches!(error, BusError::Refused { name, .. } if name == wanted)
}

/// The property that systemd's words name.
fn named<'a>(properties: &[&'a Property], error: &BusError) -> Option<(usize, &'a Property)> {
    let BusError::Refused { text, .. } = error else {
        return None;
    };
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let found = words.find_map(|word| properties.iter().position(|p| p.name == word))?;
    properties.get(found).map(|property| (found, *property))
}

/// Whether a property was at fault that can be left out.
fn drop_unknown(properties: &mut Vec<&Property>, error: &BusError) -> bool {
    match named(properties, error) {
        Some((at, property)) if property.optional => {
            tracing::debug!(name = property.name, ?error, "left out");
            properties.remove(at);
            true
        }
        _ => false,
    }
}

fn refusal(unit: &str, properties: &[&Property], error: BusError) -> CgroupError {
    let from = named(properties, &error).map(|(_, property)| property.from.clone());
    let hint = is_refusal(&error, UNIT_EXISTS)
        .then(|| format!("a unit of that name is active: systemctl status {unit}"));
    let explained = explain(&format!("make {unit}"), error).hint(hint);
    CgroupError {
        from: from.or_else(|| Some(ConfigPath::new("linux.cgroupsPath"))),
        ..explained
    }
}

fn explain(doing: &str, error: BusError) -> CgroupError {
    match error {
        BusError::System(error) => {
            let call = format!("{doing}: {}", error.call());
            let located = Error::new(error.errno(), call);
            CgroupError::new(match error.detail() {
                Some(detail) => located.with_detail(detail),
                None => located,
            })
        }
        BusError::Refused { name, text } => {
            let errno = match name.as_str() {
                UNIT_EXISTS => Errno::EXIST,
                NO_SUCH_UNIT => Errno::NOENT,
                "org.freedesktop.DBus.Error.AccessDenied"
                | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => Errno::ACCESS,
                _ => Errno::INVAL,
            };
            let error = Error::new(errno, doing);
            CgroupError::new(error.with_detail(format!("systemd says {text:?} ({name})")))
        }
    }
}

/// The cgroup of a scope that was started with `pid` in it. Directories in hierarchies
/// that systemd does not manage are made, the process is moved there, and controllers
/// that systemd does not know are enabled.
///
/// # Errors
/// The process is not where the plan says; those of making the rest.
pub fn adopt(plan: &CgroupPlan, pid: i32) -> Result<Cgroup> {
    let cgroup = crate::create::beside(plan, pid)?;
    let found = fs::read_file(&format!("/proc/{pid}/cgroup"), FILE_LIMIT)?;
    let found = String::from_utf8_lossy(&found).into_owned();
    let is_inside = |line: &str| line.splitn(3, ':').nth(2) == Some(plan.path.as_str());
    match found
        .lines()
        .find(|line| !is_inside(line) && is_ours(plan, line))
    {
        None => Ok(cgroup),
        Some(line) => {
            let error = Error::new(Errno::XDEV, format!("look for init in {}", plan.path));
            let detail = format!("systemd has put it elsewhere: {line:?}");
            Err(CgroupError::at_path(error.with_detail(detail)))
        }
    }
}

/// Whether a line of `/proc/PID/cgroup` is of a hierarchy that the plan names.
fn is_ours(plan: &CgroupPlan, line: &str) -> bool {
    let controllers = line.split(':').nth(1).unwrap_or_default();
    plan.directories.iter().any(|directory| match directory.v2 {
        true => controllers.is_empty(),
        false => {
            let mut names = controllers.split(',');
            names.any(|name| directory.controllers.iter().any(|c| c == name))
        }
    })
}
