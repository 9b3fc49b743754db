//! The parent's side of `sync.rs`.

use std::os::fd::{AsFd, OwnedFd};

use kernel::procfs::Procfs;
use kernel::stub::Message;
use kernel::{pidfd, rlimit, scheduling};
use plan::{LastOp, ParentOp, ParentPhase, Plan, Step};

use super::{
    NetDevices, describe_status, failed, id_map, listener, open_child, run_hooks_before_pivot,
    steps_of,
};
use crate::create::{self, Init};
use crate::describe::{Describe, describe_last};
use crate::diagnose;
use crate::error::{Doing, Error, Failure, Result, reason_of};
use crate::script::scheduling_of;
use crate::sync::{Channel, HookReport, InitFailure, InitMessage, Received};
use crate::terminal::TerminalSink;

/// Everything the parent needs to answer init.
pub(crate) struct Conversation<'a> {
    pub plan: &'a Plan,
    pub channel: &'a Channel,
    pub call_names: &'a [&'static str],
    pub cgroup: Option<&'a libcgroups::Cgroup>,
    pub terminal: &'a mut TerminalSink,
    /// A hook was started: `poststop` is owed when we fail.
    pub hooks_began: bool,
    /// `exec`: pid of the container's init, which runs already.
    pub running: Option<i32>,
    /// What was moved in, and comes back when we fail.
    pub net_devices: Option<NetDevices>,
}

impl Conversation<'_> {
    /// Answers until the stub is ready. `init` becomes the process that goes on
    /// inside a joined pid namespace.
    pub(crate) fn until_ready(&mut self, init: &mut Init) -> Result<()> {
        let mut outer = None;
        let answered = self.answer_all(init, &mut outer);
        if let Some(outer) = outer {
            // It has left meanwhile: nothing waited for its end.
            pidfd::wait(outer.as_fd()).doing(|| "outer process".to_owned())?;
        }
        answered?;
        self.carry_out_late_steps(init)
    }

    /// `outer` becomes the process outside a joined pid namespace, which is to be reaped.
    fn answer_all(&mut self, init: &mut Init, outer: &mut Option<OwnedFd>) -> Result<()> {
        // The process inside a joined pid namespace may speak before the one outside
        // has told of it.
        let (mut forked, mut ready) = (!self.plan.namespaces.fork_into_pid_namespace, false);
        let mut listener = None;
        while !(forked && ready) {
            if !forked && (ready || listener.is_some()) {
                self.await_outer_word(init)?;
            }
            match self
                .channel
                .receive()
                .doing(|| "message of init".to_owned())?
            {
                Received::Init(message, fd) => self.answer(message, fd, init)?,
                Received::Stub(Message::Ready) => ready = true,
                Received::Stub(Message::Forked { pid }) if !forked => {
                    // The outer process leaves; the one inside is our child too.
                    let inner = open_child(pid).doing(|| format!("process {pid}"))?;
                    *outer = Some(std::mem::replace(&mut init.pidfd, inner));
                    init.pid = pid;
                    forked = true;
                }
                Received::Stub(Message::Result { step, value }) => listener = Some((step, value)),
                Received::Stub(message) => return Err(self.stub_error(message)),
                Received::End => return Err(diagnose::init_died(init, self.cgroup)),
            }
            if forked && let Some((step, number)) = listener.take() {
                listener::hand_over(self, step, number, init)?;
                self.go()?;
            }
        }
        Ok(())
    }

    /// The process inside waits for us, and the one outside tells of it with its last
    /// word. One that was killed before would be waited for for ever: the process
    /// inside keeps the conversation open.
    fn await_outer_word(&self, init: &Init) -> Result<()> {
        let doing = || "outer process".to_owned();
        pidfd::wait_exit(init.pidfd.as_fd(), None).doing(doing)?;
        match self.channel.has_message().doing(doing)? {
            true => Ok(()),
            false => Err(diagnose::init_died(init, self.cgroup)),
        }
    }

    fn answer(&mut self, message: InitMessage, fd: Option<OwnedFd>, init: &Init) -> Result<()> {
        match message {
            InitMessage::NeedIdMap => {
                for step in steps_of(self.plan, ParentPhase::IdMap) {
                    if let ParentOp::WriteIdMap { groups, map, by } = &step.op {
                        id_map::write(init.pid, *groups, map, *by)
                            .map_err(|error| failed(step, &error))?;
                    }
                }
                self.go()
            }
            InitMessage::NeedNetDevices => {
                self.net_devices = Some(NetDevices::move_all(self.plan, init.pid)?);
                self.go()
            }
            InitMessage::ReadyForHooks => {
                self.hooks_began = true;
                run_hooks_before_pivot(self.plan, init.pid)?;
                self.go()
            }
            InitMessage::Console => match fd {
                Some(master) => self.terminal.receive(master),
                None => Err(Error::Argument {
                    argument: "--console-socket",
                    problem: "init sent no terminal".to_owned(),
                }),
            },
            InitMessage::Failed(failure) => Err(init_error(self.plan, failure)),
            // A process that becomes a program says it by becoming one.
            InitMessage::Done => Err(Error::InitDied {
                how: "spoke out of turn".to_owned(),
                hint: String::new(),
            }),
            InitMessage::HookFailed(report) => Err(self.hook_error(report)),
        }
    }

    /// Lets whoever waits for an answer go on.
    pub(crate) fn go(&self) -> Result<()> {
        self.channel.go().doing(|| "answer to init".to_owned())
    }

    /// Limits last: a low one must not stop init from building the container.
    fn carry_out_late_steps(&self, init: &Init) -> Result<()> {
        for step in steps_of(self.plan, ParentPhase::Ready) {
            let done = match &step.op {
                ParentOp::SetOomScore(score) => {
                    let file = format!("{}/oom_score_adj", init.pid);
                    Procfs::host().and_then(|proc| proc.write(&file, &score.to_string()))
                }
                ParentOp::SetRlimit(limit) => match rlimit::resource_number(&limit.name) {
                    Some(resource) => {
                        rlimit::set_process_limit(init.pid, resource, limit.soft, limit.hard)
                    }
                    None => Ok(()),
                },
                ParentOp::SendPidfd { path } => {
                    create::hand_over_pidfd(path, create::PIDFD_OF_INIT, init.pidfd.as_fd())
                }
                ParentOp::JoinResctrlGroups(directories) => {
                    crate::resctrl::join(directories, init.pid)
                }
                ParentOp::SetScheduler(asked) => {
                    scheduling::set_scheduling(init.pid, scheduling_of(asked))
                }
                ParentOp::SetIoPriority { class, level } => {
                    let class = scheduling::io_class_number(class).unwrap_or_default();
                    scheduling::set_io_priority(init.pid, class, *level)
                }
                _ => Ok(()),
            };
            done.map_err(|error| failed(step, &error))?;
        }
        Ok(())
    }

    fn hook_error(&self, report: HookReport) -> Error {
        match self.plan.init.get(report.step) {
            Some(Step {
                from,
                op: plan::InitOp::RunHook(hook),
            }) => Error::Hook {
                path: from.clone(),
                program: hook.path.clone(),
                how: report.how,
                output: report.output,
            },
            _ => Error::Argument {
                argument: "hooks",
                problem: report.how,
            },
        }
    }

    /// What a failure of the stub means.
    pub(crate) fn stub_error(&self, message: Message) -> Error {
        let steps = StubSteps {
            steps: &self.plan.last,
            first: 0,
            call_names: self.call_names,
            program: self.plan.program.args.first().map_or("", String::as_str),
            rootfs: &self.plan.rootfs,
        };
        steps.explain(message)
    }
}

/// What a step of init that failed means.
pub(crate) fn init_error(plan: &Plan, failure: InitFailure) -> Error {
    let errno = kernel::error::told_errno(failure.errno);
    let mut error = kernel::Error::new(errno, failure.call);
    if let Some(detail) = failure.detail {
        error = error.with_detail(detail);
    }
    let Some(step) = plan.init.get(failure.step) else {
        return Error::System {
            doing: "container init".to_owned(),
            source: error,
        };
    };
    Error::Step(Box::new(Failure {
        path: failure.path.unwrap_or_else(|| step.from.clone()),
        doing: step.op.describe(),
        reason: reason_of(&error),
        hint: diagnose::init_hint(&step.op, &error),
        call: error.call().to_owned(),
    }))
}

/// What is needed to explain a message of the stub: the steps it may name.
pub(crate) struct StubSteps<'a> {
    /// A part of `Plan::last`.
    pub steps: &'a [Step<LastOp>],
    /// Index of the first of them in `Plan::last`.
    pub first: usize,
    /// Names of the calls, where they are known.
    pub call_names: &'a [&'static str],
    /// `process.args[0]`
    pub program: &'a str,
    /// Where to look at it, on the host.
    pub rootfs: &'a str,
}

impl StubSteps<'_> {
    fn get(&self, index: usize) -> Option<&Step<LastOp>> {
        self.steps.get(index.checked_sub(self.first)?)
    }

    /// The error line for a message that is not good news.
    pub(crate) fn explain(&self, message: Message) -> Error {
        match message {
            Message::Failed { step, call, errno } => self.explain_call(step, call, errno),
            Message::HookStatus { step, status } => self.hook(step, describe_status(status)),
            Message::HookTimeout { step } => self.hook(
                step,
                "ran longer than its timeout and was killed".to_owned(),
            ),
            Message::Ready | Message::Forked { .. } | Message::Result { .. } => Error::InitDied {
                how: "spoke out of turn".to_owned(),
                hint: String::new(),
            },
        }
    }

    fn explain_call(&self, step: usize, call: usize, errno: kernel::Errno) -> Error {
        let call = self.call_names.get(call).copied().unwrap_or("system call");
        let error = kernel::Error::new(errno, call);
        match self.get(step) {
            Some(Step {
                op: LastOp::RunHook(_),
                ..
            }) => self.hook(step, format!("could not be executed: {}", error.reason())),
            Some(step) => Error::Step(Box::new(Failure {
                path: step.from.clone(),
                doing: describe_last(&step.op, self.program),
                reason: reason_of(&error),
                hint: self.hint(&step.op, &error),
                call: call.to_owned(),
            })),
            None => Error::System {
                doing: "container init".to_owned(),
                source: error,
            },
        }
    }

    /// A program that cannot be executed is looked at: errno has few words for it.
    fn hint(&self, op: &LastOp, error: &kernel::Error) -> Option<String> {
        let seen = match (op, error.errno()) {
            (LastOp::Execute, kernel::Errno::NOEXEC | kernel::Errno::NOENT) => {
                diagnose::program::look(self.rootfs, self.program)
            }
            _ => None,
        };
        seen.or_else(|| diagnose::last_hint(op, error))
    }

    fn hook(&self, index: usize, how: String) -> Error {
        match self.get(index) {
            Some(Step {
                from,
                op: LastOp::RunHook(hook),
            }) => Error::Hook {
                path: from.clone(),
                program: hook.path.clone(),
                how,
                output: String::new(),
            },
            _ => Error::InitDied {
                how,
                hint: String::new(),
            },
        }
    }
}

/// `run`: opens the gate and waits for the program to be executed, which closes
/// the conversation, or for the reason why it was not.
pub(crate) fn after_ready(conversation: &Conversation<'_>) -> Result<()> {
    conversation.go()?;
    until_executed(conversation)
}

/// [`after_ready`] of a program that waits for nothing.
pub(crate) fn until_executed(conversation: &Conversation<'_>) -> Result<()> {
    match conversation
        .channel
        .receive()
        .doing(|| "message of init".to_owned())?
    {
        Received::End => Ok(()),
        Received::Stub(message) => Err(conversation.stub_error(message)),
        Received::Init(..) => Err(Error::InitDied {
            how: "spoke out of turn".to_owned(),
            hint: String::new(),
        }),
    }
}
