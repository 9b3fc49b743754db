//! From a process' end to the event that tells it.

use std::sync::Arc;
use std::time::Duration;

use containerd_shim_protos::events::task::TaskExit;
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::topics;

use super::Shim;
use crate::container::Container;
use crate::events::timestamp;
use crate::log;
use crate::process::Process;
use crate::reaper::{ExitWatch, ended};

/// How long the execs may take to follow their init. They were killed.
const EXECS_LIMIT: Duration = Duration::from_secs(10);

impl Shim {
    /// Waits for the end of a process and tells it: after its start (an exec is
    /// followed since then), and an init after all its execs.
    pub(super) async fn follow(
        self: Arc<Self>,
        container: Arc<Container>,
        process: Arc<Process>,
        mut end: ExitWatch,
    ) {
        let exit = ended(&mut end).await;
        if process.exec_id.is_empty() {
            // Its start, and those of its execs, are told before.
            drop(container.turn.write().await);
            self.end_execs(&container).await;
            self.tell_oom(&container);
        }
        process.set_stopped(exit);
        let id = match process.exec_id.as_str() {
            "" => &container.id,
            exec_id => exec_id,
        };
        let event = TaskExit {
            container_id: container.id.clone(),
            id: id.to_owned(),
            pid: process.message_pid(),
            exit_status: exit.status,
            exited_at: MessageField::some(timestamp(exit.at)),
            ..TaskExit::default()
        };
        self.publisher
            .publish(topics::TASK_EXIT_EVENT_TOPIC, &event);
    }

    /// The kernel takes everything along with the init of a pid namespace, and lets
    /// it end last. Where init has none of its own, we do that.
    async fn end_execs(self: &Arc<Self>, container: &Arc<Container>) {
        if !container.pid_namespace_is_private() {
            let kill = |store: &libcontainer::Store, id: &str| {
                libcontainer::kill(store, id, kernel::signal::KILL, true)
            };
            if let Err(error) = self.in_process(container, kill).await {
                log::debug(&format!("{}: {error}", container.id));
            }
        }
        for exec in container.running_execs() {
            let _ = tokio::time::timeout(EXECS_LIMIT, exec.wait()).await;
        }
    }
}
