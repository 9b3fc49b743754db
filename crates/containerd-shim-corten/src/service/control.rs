//! `Kill`, `Pause`, `Resume`, `ResizePty` and `Update`.

use std::os::fd::AsFd;
use std::sync::Arc;

use containerd_shim_protos::api::{KillRequest, ResizePtyRequest, Status, UpdateTaskRequest};
use containerd_shim_protos::events::task::{TaskPaused, TaskResumed};
use containerd_shim_protos::protobuf::well_known_types::empty::Empty;
use containerd_shim_protos::topics;
use containerd_shim_protos::ttrpc::Result;

use libcontainer::Store;

use super::Shim;
use crate::container::Container;
use crate::grpc::{failed_precondition, not_found, unknown};
use crate::process::Phase;

/// Refuses what a container in this state cannot do; with the code of the shim of Go.
pub(super) fn allow(container: &Container, verb: &str, wanted: &[Status]) -> Result<()> {
    let status = container.status();
    match wanted.contains(&status) {
        true => Ok(()),
        false => Err(unknown(format!("cannot {verb} in state {status:?}"))),
    }
}

impl Shim {
    pub(super) async fn kill(self: &Arc<Self>, request: &KillRequest) -> Result<Empty> {
        let (container, process) = self.process(&request.id, &request.exec_id)?;
        let signal = i32::try_from(request.signal)
            .map_err(|_| unknown(format!("signal {}", request.signal)))?;
        if process.exec_id.is_empty() {
            let all = request.all;
            let kill = move |store: &Store, id: &str| libcontainer::kill(store, id, signal, all);
            self.in_process(&container, kill).await?;
            return Ok(Empty::new());
        }
        match process.phase() {
            Phase::Created => Err(failed_precondition("process not created")),
            Phase::Stopped(_) => Err(not_found("process already finished")),
            Phase::Running => {
                // It is our child: while it is not reaped, its pid is its own.
                kernel::pidfd::open(process.pid())
                    .and_then(|pidfd| kernel::pidfd::send_signal(pidfd.as_fd(), signal))
                    .map_err(|error| match error.errno() {
                        kernel::Errno::SRCH => not_found("process already finished"),
                        _ => unknown(error.to_string()),
                    })?;
                Ok(Empty::new())
            }
        }
    }

    pub(super) async fn pause(self: &Arc<Self>, id: &str) -> Result<Empty> {
        let container = self.container(id)?;
        allow(&container, "pause", &[Status::RUNNING])?;
        self.in_process(&container, libcontainer::pause).await?;
        container.set_paused(true);
        let event = TaskPaused {
            container_id: container.id.clone(),
            ..TaskPaused::default()
        };
        self.publisher
            .publish(topics::TASK_PAUSED_EVENT_TOPIC, &event);
        Ok(Empty::new())
    }

    pub(super) async fn resume(self: &Arc<Self>, id: &str) -> Result<Empty> {
        let container = self.container(id)?;
        allow(&container, "resume", &[Status::PAUSED])?;
        self.in_process(&container, libcontainer::resume).await?;
        container.set_paused(false);
        let event = TaskResumed {
            container_id: container.id.clone(),
            ..TaskResumed::default()
        };
        self.publisher
            .publish(topics::TASK_RESUMED_EVENT_TOPIC, &event);
        Ok(Empty::new())
    }

    pub(super) fn resize_pty(&self, request: &ResizePtyRequest) -> Result<Empty> {
        let (_, process) = self.process(&request.id, &request.exec_id)?;
        if !process.exec_id.is_empty() && matches!(process.phase(), Phase::Stopped(_)) {
            return Err(unknown("cannot resize a stopped process"));
        }
        // As if it had one: a client resizes before it looks.
        if let Some(console) = process.plumbing.console() {
            console
                .resize(request.width, request.height)
                .map_err(unknown)?;
        }
        Ok(Empty::new())
    }

    pub(super) async fn update(self: &Arc<Self>, request: UpdateTaskRequest) -> Result<Empty> {
        let container = self.container(&request.id)?;
        let living = [Status::CREATED, Status::RUNNING, Status::PAUSED];
        allow(&container, "update", &living)?;
        let update = plan::UpdateRequest {
            systemd_cgroup: false,
            id: container.id.clone(),
            // An object like `linux.resources`.
            resources: Some(request.resources.value.clone()),
            options: Vec::new(),
        };
        self.in_process(&container, move |store, _| {
            libcontainer::update(store, &update)
        })
        .await?;
        Ok(Empty::new())
    }
}
