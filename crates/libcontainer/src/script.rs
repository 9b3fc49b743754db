//! `Plan::last` as the script of the sealed stub.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use defence::Defence;
use kernel::scheduling::{self, Scheduling};
use kernel::stub::{Capabilities, Hook as StubHook, Script};
use kernel::{fs, memfd, process, rlimit};
use plan::{Hook, HookOutput, LastOp, NamespaceKind, Plan, Scheduler, Slot};

use crate::describe::describe_last;
use crate::error::{Doing, Result};
use crate::parent::Slots;
use crate::state::HookSubject;
use crate::store::Gate;

/// The descriptors that reach the stub under numbers its script knows. They lie
/// above those the container's program keeps.
pub(crate) struct StubDescriptors {
    /// Init's end of the conversation.
    pub socket: OwnedFd,
    /// Replaced by init with the working directory it found in the finished root.
    pub working_directory: OwnedFd,
    /// The start gate; `run` has none.
    pub gate: Option<Gate>,
    /// Of `startContainer` hooks.
    hook_outputs: Vec<HookFile>,
}

/// A file for the output of hooks in the stub.
struct HookFile {
    slot: Slot,
    file: OwnedFd,
    /// Under this number the stub keeps its own stream while a hook has the file.
    keeper: OwnedFd,
}

impl StubDescriptors {
    /// Moves everything above the descriptors that the program keeps.
    pub(crate) fn new(socket: OwnedFd, gate: Option<Gate>, preserve: u32) -> Result<Self> {
        let lowest = lowest(preserve);
        let above = |fd: OwnedFd| {
            if fd.as_raw_fd() >= lowest {
                return Ok(fd);
            }
            process::duplicate_at_least(fd.as_fd(), lowest)
        };
        let doing = || "descriptors of init".to_owned();
        let placeholder = fs::open_path("/").doing(doing)?;
        let gate = match gate {
            Some(gate) => Some(Gate {
                fifo: above(gate.fifo).doing(doing)?,
                error_file: above(gate.error_file).doing(doing)?,
            }),
            None => None,
        };
        Ok(Self {
            socket: above(socket).doing(doing)?,
            working_directory: above(placeholder).doing(doing)?,
            gate,
            hook_outputs: Vec::new(),
        })
    }

    /// The files of the plan's `startContainer` hooks.
    pub(crate) fn add_hook_outputs(
        &mut self,
        plan: &Plan,
        slots: &Slots,
        preserve: u32,
    ) -> Result<()> {
        let above = |fd: BorrowedFd<'_>| process::duplicate_at_least(fd, lowest(preserve));
        // They are the same for all hooks.
        let first = plan.last.iter().find_map(|step| match &step.op {
            LastOp::RunHook(hook) => Some([&hook.stdout, &hook.stderr]),
            _ => None,
        });
        for output in first.into_iter().flatten() {
            if let Some(HookOutput::Slot(slot)) = output {
                let doing = || "files for the output of hooks".to_owned();
                let opened = slots.get(*slot).doing(doing)?;
                self.hook_outputs.push(HookFile {
                    slot: *slot,
                    file: above(opened).doing(doing)?,
                    keeper: above(opened).doing(doing)?,
                });
            }
        }
        Ok(())
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &OwnedFd> {
        let gate = self.gate.iter().flat_map(|g| [&g.fifo, &g.error_file]);
        let files = &self.hook_outputs;
        let files = files.iter().flat_map(|it| [&it.file, &it.keeper]);
        [&self.socket, &self.working_directory]
            .into_iter()
            .chain(gate)
            .chain(files)
    }
}

/// The first number above the descriptors that the program keeps.
const fn lowest(preserve: u32) -> i32 {
    3 + preserve.cast_signed()
}

/// Number of an open descriptor.
fn number(fd: &OwnedFd) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// The sealed image, and the names of its calls for error messages.
pub(crate) struct SealedStub {
    pub image: OwnedFd,
    pub call_names: Vec<&'static str>,
}

/// Writes and seals the script of a plan. With `awaits_go` the program does not run
/// before the parent says so.
pub(crate) fn seal(
    plan: &Plan,
    descriptors: &StubDescriptors,
    awaits_go: bool,
) -> Result<SealedStub> {
    let error_file = descriptors
        .gate
        .as_ref()
        .map(|gate| number(&gate.error_file));
    let mut writer = Writer {
        script: Script::new(number(&descriptors.socket), error_file),
        plan,
        descriptors,
        awaits_go,
    };
    for fd in descriptors.all() {
        // Of no use to hooks and programs of the container.
        writer.script.close_on_exec(0, number(fd));
    }
    if plan.namespaces.fork_into_pid_namespace {
        writer.script.hide_from_tracers(0);
    }
    let program = plan.program.args.first().map_or("", String::as_str);
    for (step, op) in plan.last.iter().enumerate() {
        // The stub itself is silent: this is what it will do.
        tracing::debug!(
            "{}: sealed for later: {}",
            op.from,
            describe_last(&op.op, program)
        );
        writer.write(step, &op.op);
    }
    let doing = || "sealed stub".to_owned();
    let image = writer.script.assemble().doing(doing)?;
    Ok(SealedStub {
        image: memfd::sealed_memfd("corten-stub", &[&image]).doing(doing)?,
        call_names: writer.script.call_names().to_vec(),
    })
}

struct Writer<'a> {
    script: Script,
    plan: &'a Plan,
    descriptors: &'a StubDescriptors,
    awaits_go: bool,
}

impl Writer<'_> {
    fn write(&mut self, step: usize, op: &LastOp) {
        let script = &mut self.script;
        match op {
            LastOp::ForkIntoPidNamespace => {
                script.fork_into_pid_namespace(step);
                script.die_with_parent(step);
                script.start_session(step, self.plan.terminal);
            }
            LastOp::TellPid => {
                script.write_pid_into_environment(step, 0, plan::LISTEN_PID.len());
            }
            LastOp::SetRlimit(limit) => {
                // The plan knows the names that there are.
                if let Some(resource) = rlimit::resource_number(&limit.name) {
                    script.set_limit(step, resource, limit.soft, limit.hard);
                }
            }
            LastOp::SetScheduler(_) | LastOp::SetIoPriority { .. } | LastOp::SetMemoryPolicy(_) => {
                schedule(script, step, op);
            }
            LastOp::SetPersonality { domain } => script.set_personality(step, *domain),
            LastOp::SetExecLabel { module, label } => {
                script.set_exec_label(step, module.exec_file(), label);
            }
            LastOp::NoNewPrivileges => script.set_no_new_privileges(step),
            LastOp::LoadSeccomp {
                program, listener, ..
            } => {
                let instructions = &program.instructions;
                script.load_seccomp(step, instructions, program.flags, listener.is_some());
            }
            LastOp::OwnStdio { uid } => {
                for stream in streams_to_own() {
                    script.own_descriptor(step, stream, *uid);
                }
            }
            LastOp::LimitBounding { drop, .. } => script.limit_bounding(step, *drop),
            LastOp::SetIdentity { uid, gid, groups } => {
                script.set_identity(step, *uid, *gid, groups.as_deref());
            }
            LastOp::ChangeDirectory => {
                script.try_directory(step, number(&self.descriptors.working_directory));
            }
            LastOp::SetCapabilities(sets) => script.set_capabilities(step, masks_of(sets)),
            LastOp::CheckProgram => {
                // The second attempt, now as the container's user.
                script.retry_directory(step, number(&self.descriptors.working_directory));
                script.check_program(step);
            }
            LastOp::ReportReady => self.report_ready(step),
            LastOp::AwaitStart => self.await_start(step),
            LastOp::RunHook(hook) => self.run_hook(step, hook),
            LastOp::CloseDescriptors { first } => self.close_descriptors(step, *first),
            LastOp::Execute => script.execute(step),
        }
    }

    fn report_ready(&mut self, step: usize) {
        self.script.outlive_parent(step);
        self.script.report_ready(step);
        if self.awaits_go {
            // Nothing waits for `start`, and no program runs, before state and pid file
            // are written: what a killed parent leaves would be known to nobody.
            self.script.await_parent(step);
        }
    }

    fn await_start(&mut self, step: usize) {
        if let Some(gate) = &self.descriptors.gate {
            self.script.await_start(step, number(&gate.fifo));
        }
    }

    fn run_hook(&mut self, step: usize, hook: &Hook) {
        let (stdin, pid_at) = self.hook_stdin();
        let mut redirected = Vec::new();
        for (stream, output) in [(1, &hook.stdout), (2, &hook.stderr)] {
            if let Some(HookOutput::Slot(slot)) = output
                && let Some(open) = self
                    .descriptors
                    .hook_outputs
                    .iter()
                    .find(|it| it.slot == *slot)
            {
                let keeper = number(&open.keeper);
                self.script
                    .redirect(step, stream, number(&open.file), keeper);
                redirected.push((stream, keeper));
            }
        }
        self.script.run_hook(
            step,
            &StubHook {
                path: &hook.path,
                args: &hook.args,
                env: hook.env.as_deref(),
                stdin: &stdin,
                pid_at,
                timeout_seconds: hook.timeout_seconds,
            },
        );
        for (stream, keeper) in redirected {
            self.script.restore(step, stream, keeper);
        }
    }

    /// The state as `startContainer` hooks read it. Their pid is that of the
    /// container's own pid namespace: 1 in one of its own, else known only to the
    /// stub, which fills in ten places.
    fn hook_stdin(&self) -> (Vec<u8>, Option<usize>) {
        const PLACE: i32 = 1_000_000_000;
        let private = self.plan.namespaces.clone.contains(&NamespaceKind::Pid);
        let pid = if private { 1 } else { PLACE };
        let mut json = HookSubject::from(self.plan).json("created", Some(pid));
        if private {
            return (json, None);
        }
        let place = format!("\"pid\":{PLACE}");
        let at = String::from_utf8_lossy(&json)
            .find(&place)
            .map(|at| at + "\"pid\":".len());
        if let Some(digits) = at.and_then(|at| json.get_mut(at..at + 10)) {
            digits.fill(b' ');
        }
        (json, at)
    }

    /// Closes everything but what must live until the exec itself: the end of the
    /// conversation (`run`: its end of file says that the program was executed), or
    /// the gate and the failure file (`start` waits for the gate to be closed).
    /// Those are close-on-exec, and none can be executed.
    fn close_descriptors(&mut self, step: usize, first: u32) {
        if Defence::Descriptors.is_off() {
            return;
        }
        let mut kept: Vec<u32> = match &self.descriptors.gate {
            Some(gate) => vec![number(&gate.fifo), number(&gate.error_file)],
            None => vec![number(&self.descriptors.socket)],
        };
        kept.sort_unstable();
        let mut from = first;
        for &number in &kept {
            if number > from {
                self.script.close_range(step, from, number - 1);
            }
            from = number + 1;
        }
        self.script.close_range(step, from, u32::MAX);
    }
}

/// The sets that the plan names, and no other.
fn masks_of(sets: &plan::CapabilitySets) -> Capabilities {
    let mut masks = Capabilities {
        effective: sets.effective,
        permitted: sets.permitted,
        inheritable: sets.inheritable,
        ambient: sets.ambient,
    };
    if Defence::NothingAmbient.is_off() {
        (masks.inheritable, masks.ambient) = (sets.permitted, sets.permitted);
    }
    masks
}

/// When it may run, read and allocate. Names become numbers; the plan knows those
/// that there are.
fn schedule(script: &mut Script, step: usize, op: &LastOp) {
    match op {
        LastOp::SetScheduler(asked) => script.set_scheduling(step, scheduling_of(asked)),
        LastOp::SetIoPriority { class, level } => {
            let class = scheduling::io_class_number(class).unwrap_or_default();
            script.set_io_priority(step, class, *level);
        }
        LastOp::SetMemoryPolicy(policy) => {
            let flags = policy.flags.iter();
            let flags = flags.filter_map(|name| scheduling::memory_flag(name));
            let mode = scheduling::memory_mode_number(&policy.mode).unwrap_or_default();
            script.set_memory_policy(step, flags.fold(mode, |all, bit| all | bit), &policy.nodes);
        }
        _ => {}
    }
}

/// Names of the plan as numbers of the kernel.
pub(crate) fn scheduling_of(asked: &Scheduler) -> Scheduling {
    let flags = asked.flags.iter();
    let flags = flags.filter_map(|name| scheduling::scheduling_flag(name));
    Scheduling {
        policy: scheduling::policy_number(&asked.policy).unwrap_or_default(),
        flags: flags.fold(0, |all, bit| all | bit),
        nice: asked.nice,
        priority: asked.priority,
        runtime: asked.runtime,
        deadline: asked.deadline,
        period: asked.period,
    }
}

/// Which of the standard streams the container's user shall own: pipes and
/// sockets, so that it can reopen `/dev/stdout`; never a device, and never a
/// regular file of the host.
fn streams_to_own() -> impl Iterator<Item = u32> {
    (0..3)
        .filter(|&stream| {
            let Ok(fd) = process::borrow_raw(stream) else {
                return false;
            };
            fs::stat(fd).is_ok_and(|s| matches!(s.kind, fs::FileKind::Fifo | fs::FileKind::Socket))
        })
        .map(i32::cast_unsigned)
}
