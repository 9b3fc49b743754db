//! `Checkpoint`, and `Start` of a container that is made of one.

use std::sync::Arc;

use containerd_shim_protos::api::{CheckpointTaskRequest, Status};
use containerd_shim_protos::events::task::TaskCheckpointed;
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::well_known_types::empty::Empty;
use containerd_shim_protos::shim::oci::CheckpointOptions;
use containerd_shim_protos::topics;
use containerd_shim_protos::ttrpc::Result;

use super::Shim;
use super::control::allow;
use super::lifecycle::read_pid;
use crate::container::{Checkpoint, Container};
use crate::grpc::{failed_precondition, invalid_argument, unknown};

const OPTIONS_TYPE: &str = "containerd.runc.v1.CheckpointOptions";

impl Shim {
    pub(super) async fn checkpoint(
        self: &Arc<Self>,
        request: CheckpointTaskRequest,
    ) -> Result<Empty> {
        let container = self.container(&request.id)?;
        allow(&container, "checkpoint", &[Status::RUNNING, Status::PAUSED])?;
        let options = decode(&request.options)?;
        let _turn = container.turn.write().await;
        let work = WorkDirectory::of(&container, &options.work_path);
        let mut call = container.corten.call("checkpoint");
        let command = &mut call.command;
        command.args(["--image-path", &request.path, "--work-path", &work.path]);
        for (flag, given) in [
            ("--leave-running", !options.exit),
            ("--tcp-established", options.open_tcp),
            ("--ext-unix-sk", options.external_unix_sockets),
            ("--shell-job", options.terminal),
            ("--file-locks", options.file_locks),
        ] {
            if given {
                command.arg(flag);
            }
        }
        if !options.cgroups_mode.is_empty() {
            command.args(["--manage-cgroups-mode", &options.cgroups_mode]);
        }
        for namespace in &options.empty_namespaces {
            command.args(["--empty-ns", namespace]);
        }
        command.arg(&container.id);
        let written = call.run(&self.reaper).await;
        written.map_err(|failure| unknown(format!("corten checkpoint failed: {failure}")))?;
        work.remove();
        let event = TaskCheckpointed {
            container_id: container.id.clone(),
            checkpoint: request.path,
            ..TaskCheckpointed::default()
        };
        self.publisher
            .publish(topics::TASK_CHECKPOINTED_EVENT_TOPIC, &event);
        Ok(Empty::new())
    }

    /// Makes the processes of a checkpoint; returns the pid of the first.
    pub(super) async fn restore(
        self: &Arc<Self>,
        container: &Arc<Container>,
        checkpoint: &Checkpoint,
    ) -> Result<i32> {
        let corten = &container.corten;
        let ends = container.init.plumbing.take_ends();
        let ends = ends.ok_or_else(|| failed_precondition("it was restored before"))?;
        let pid_file = corten.pid_file();
        let work = WorkDirectory::of(container, &corten.options.criu_work_path);
        let mut call = corten.call("restore");
        let command = &mut call.command;
        command.args(["--detach", "--bundle", &corten.bundle]);
        command.args(["--pid-file", &pid_file, "--work-path", &work.path]);
        command.args(["--image-path", &checkpoint.image]);
        if !checkpoint.parent.is_empty() {
            command.args(["--parent-path", &checkpoint.parent]);
        }
        corten.add_create_options(&mut call);
        let expectation = self.reaper.expect();
        let socket = call
            .run_with(&self.reaper, ends, &container.id)
            .await
            .map_err(|failure| unknown(format!("corten restore failed: {failure}")))?;
        work.remove();
        let pid = read_pid(&pid_file)?;
        let end = expectation.of(pid);
        if let Some(socket) = &socket {
            container.init.plumbing.connect(socket).map_err(unknown)?;
        }
        tokio::spawn(
            self.clone()
                .follow(container.clone(), container.init.clone(), end),
        );
        Ok(pid)
    }
}

fn decode(any: &Any) -> Result<CheckpointOptions> {
    match any.type_url.rsplit('/').next().unwrap_or_default() {
        "" => Ok(CheckpointOptions::default()),
        OPTIONS_TYPE => CheckpointOptions::parse_from_bytes(&any.value)
            .map_err(|error| invalid_argument(format!("options: {error}"))),
        kind => Err(invalid_argument(format!("options of type {kind:?}"))),
    }
}

/// Where CRIU writes its log. One that nobody named goes again, unless CRIU failed.
struct WorkDirectory {
    path: String,
    temporary: bool,
}

impl WorkDirectory {
    fn of(container: &Container, wanted: &str) -> Self {
        let temporary = wanted.is_empty();
        let path = match temporary {
            true => format!("{}/criu-work", container.corten.bundle),
            false => wanted.to_owned(),
        };
        Self { path, temporary }
    }
    fn remove(&self) {
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
