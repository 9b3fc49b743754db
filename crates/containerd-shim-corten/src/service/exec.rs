//! `Exec`, and `Start` of what it added.

use std::sync::Arc;

use containerd_shim_protos::api::{ExecProcessRequest, Status};
use containerd_shim_protos::events::task::{TaskExecAdded, TaskExecStarted};
use containerd_shim_protos::protobuf::well_known_types::empty::Empty;
use containerd_shim_protos::topics;
use containerd_shim_protos::ttrpc::Result;
use tokio::sync::RwLockReadGuard;

use super::Shim;
use super::control::allow;
use super::lifecycle::read_pid;
use crate::container::Container;
use crate::grpc::{already_exists, invalid_argument, unknown};
use crate::io::Wanted;
use crate::process::{Process, message_pid};
use crate::reaper::{Exit, ExitWatch};

impl Shim {
    pub(super) fn exec(&self, request: ExecProcessRequest) -> Result<Empty> {
        let container = self.container(&request.id)?;
        allow(&container, "exec", &[Status::CREATED, Status::RUNNING])?;
        if request.exec_id.is_empty() {
            return Err(invalid_argument("exec_id: must not be empty"));
        }
        if container.process(&request.exec_id).is_some() {
            return Err(already_exists(format!("id {:?} exists", request.exec_id)));
        }
        let files = ExecFiles::of(&container, &request.exec_id);
        let spec = with_terminal(&request.spec.value, request.terminal)?;
        kernel::fs::replace_file(&files.process, 0o600, &spec)
            .map_err(|error| unknown(error.to_string()))?;
        let wanted = Wanted {
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            terminal: request.terminal,
        };
        let exec_id = request.exec_id;
        container.add(Process::new(exec_id.clone(), wanted, 0));
        let event = TaskExecAdded {
            container_id: container.id.clone(),
            exec_id,
            ..TaskExecAdded::default()
        };
        self.publisher
            .publish(topics::TASK_EXEC_ADDED_EVENT_TOPIC, &event);
        Ok(Empty::new())
    }

    pub(super) async fn start_exec(
        self: &Arc<Self>,
        container: &Arc<Container>,
        process: &Arc<Process>,
    ) -> Result<i32> {
        let files = ExecFiles::of(container, &process.exec_id);
        let started = self.run_exec(container, process, &files).await;
        files.remove();
        // The turn is held until the start is told.
        let (pid, end, _turn) = match started {
            Ok(started) => started,
            Err(error) => {
                // Its wait must not wait for ever.
                process.set_stopped(Exit::unknown());
                return Err(error);
            }
        };
        process.set_running(pid);
        let event = TaskExecStarted {
            container_id: container.id.clone(),
            exec_id: process.exec_id.clone(),
            pid: message_pid(pid),
            ..TaskExecStarted::default()
        };
        self.publisher
            .publish(topics::TASK_EXEC_STARTED_EVENT_TOPIC, &event);
        tokio::spawn(self.clone().follow(container.clone(), process.clone(), end));
        Ok(pid)
    }

    async fn run_exec<'a>(
        &self,
        container: &'a Container,
        process: &Process,
        files: &ExecFiles,
    ) -> Result<(i32, ExitWatch, RwLockReadGuard<'a, ()>)> {
        let corten = &container.corten;
        // Loggers of execs are told the id of the exec, as by the shim of Go. A client
        // that does not come keeps nobody else waiting.
        let ends = self.lay(process, &process.exec_id, corten).await?;
        let turn = container.turn.read().await;
        let mut call = corten.call_with_log("exec", files.log.clone());
        call.command.args(["--detach", "--process", &files.process]);
        call.command.args(["--pid-file", &files.pid]);
        let expectation = self.reaper.expect();
        let socket = call
            .run_with(&self.reaper, ends, &container.id)
            .await
            .map_err(|failure| unknown(format!("corten exec failed: {failure}")))?;
        let pid = read_pid(&files.pid)?;
        if let Some(socket) = &socket {
            process.plumbing.connect(socket).map_err(unknown)?;
        }
        Ok((pid, expectation.of(pid), turn))
    }
}

/// The files of an exec, in the bundle.
pub(super) struct ExecFiles {
    process: String,
    pid: String,
    log: String,
}

impl ExecFiles {
    pub(super) fn of(container: &Container, exec_id: &str) -> Self {
        // An id of containerd has no slash, but it came over a socket.
        let name = exec_id.replace('/', "_");
        let bundle = &container.corten.bundle;
        Self {
            process: format!("{bundle}/exec-{name}.json"),
            pid: format!("{bundle}/exec-{name}.pid"),
            log: format!("{bundle}/exec-{name}.log"),
        }
    }

    pub(super) fn remove(&self) {
        for file in [&self.process, &self.pid, &self.log] {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The request, not the process in it, says whether there is a terminal.
fn with_terminal(process: &[u8], terminal: bool) -> Result<Vec<u8>> {
    let bad = |error: serde_json::Error| unknown(format!("spec: {error}"));
    let mut process: serde_json::Value = serde_json::from_slice(process).map_err(bad)?;
    match process.as_object_mut() {
        Some(object) => object.insert("terminal".to_owned(), terminal.into()),
        None => return Err(unknown("spec: must be a process")),
    };
    serde_json::to_vec(&process).map_err(bad)
}
