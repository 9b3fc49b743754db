//! `Create`, `Start`, `Exec` and `Delete`.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use containerd_shim_protos::api::{
    CreateTaskRequest, CreateTaskResponse, DeleteRequest, DeleteResponse, ExecProcessRequest,
    StartRequest, StartResponse,
};
use containerd_shim_protos::events::task::{
    TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskIO, TaskStart,
};
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::empty::Empty;
use containerd_shim_protos::topics;
use containerd_shim_protos::ttrpc::Result;

use super::Shim;
use crate::command::Corten;
use crate::container::Container;
use crate::events::timestamp;
use crate::grpc::{already_exists, failed_precondition, invalid_argument, unimplemented, unknown};
use crate::io::{Owner, Plumbing, ProcessEnds, Subject, Wanted};
use crate::options::Options;
use crate::process::{Phase, Process, message_pid};
use crate::rootfs;

/// An id that is being made; free again when this is dropped.
struct Claim<'a> {
    shim: &'a Shim,
    id: String,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.shim.making().remove(&self.id);
    }
}

impl Shim {
    pub(super) fn making(&self) -> MutexGuard<'_, HashSet<String>> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, id: &str) -> Result<Claim<'_>> {
        let taken = self.containers().contains_key(id) || !self.making().insert(id.to_owned());
        match taken {
            true => Err(already_exists(format!("container {id:?} exists"))),
            false => Ok(Claim {
                shim: self,
                id: id.to_owned(),
            }),
        }
    }

    pub(super) async fn create(
        self: &Arc<Self>,
        request: CreateTaskRequest,
    ) -> Result<CreateTaskResponse> {
        let _claim = self.claim(&request.id)?;
        if !request.checkpoint.is_empty() {
            return Err(unimplemented(
                "restoring a checkpoint: not offered by this version of corten",
            ));
        }
        let options = Options::decode(&request.options).map_err(invalid_argument)?;
        let bundle = request.bundle.clone();
        options.save(&bundle).map_err(unknown)?;
        let target = format!("{bundle}/rootfs");
        rootfs::mount_all(&request.rootfs, &target).map_err(unknown)?;
        let mounted = (!request.rootfs.is_empty()).then_some(target);
        let corten = Corten {
            root: options.root(&self.namespace),
            options,
            bundle,
            debug: self.debug,
        };
        let made = self
            .create_container(&request, corten, mounted.clone())
            .await;
        if made.is_err()
            && let Some(target) = mounted
            && let Err(error) = rootfs::unmount_all(&target)
        {
            crate::log::error(&error);
        }
        let pid = made?;
        self.publish_created(&request, pid);
        let mut response = CreateTaskResponse::new();
        response.pid = message_pid(pid);
        Ok(response)
    }

    /// From the streams to the process that waits; returns its pid.
    async fn create_container(
        self: &Arc<Self>,
        request: &CreateTaskRequest,
        corten: Corten,
        mounted: Option<String>,
    ) -> Result<i32> {
        let wanted = Wanted {
            stdin: request.stdin.clone(),
            stdout: request.stdout.clone(),
            stderr: request.stderr.clone(),
            terminal: request.terminal,
        };
        let (plumbing, ends) = self.lay(&request.id, &corten, &wanted)?;
        plumbing.ready().await.map_err(unknown)?;
        let pid_file = format!("{}/init.pid", corten.bundle);
        let mut command = corten.command("create");
        command.args(["--bundle", &corten.bundle, "--pid-file", &pid_file]);
        if corten.options.no_pivot_root {
            command.arg("--no-pivot");
        }
        if corten.options.no_new_keyring {
            command.arg("--no-new-keyring");
        }
        let expectation = self.reaper.expect();
        let socket = corten
            .run_with(&self.reaper, command, ends, &[&request.id])
            .await
            .map_err(|words| unknown(format!("corten create failed: {words}")))?;
        let pid = read_pid(&pid_file)?;
        if let Some(socket) = &socket {
            plumbing.connect(socket).map_err(unknown)?;
        }
        let init = Process::new(String::new(), wanted, plumbing, pid);
        let container = Arc::new(Container::new(request.id.clone(), corten, init, mounted));
        self.containers()
            .insert(request.id.clone(), container.clone());
        let end = expectation.of(pid);
        tokio::spawn(
            self.clone()
                .follow(container.clone(), container.init.clone(), end),
        );
        Ok(pid)
    }

    fn lay(&self, id: &str, corten: &Corten, wanted: &Wanted) -> Result<(Plumbing, ProcessEnds)> {
        let owner = Owner {
            uid: corten.options.io_uid,
            gid: corten.options.io_gid,
        };
        let subject = Subject {
            container: id,
            namespace: &self.namespace,
        };
        Plumbing::lay(wanted, owner, subject).map_err(unknown)
    }

    fn publish_created(&self, request: &CreateTaskRequest, pid: i32) {
        let mut event = TaskCreate {
            container_id: request.id.clone(),
            bundle: request.bundle.clone(),
            io: MessageField::some(TaskIO {
                stdin: request.stdin.clone(),
                stdout: request.stdout.clone(),
                stderr: request.stderr.clone(),
                terminal: request.terminal,
                ..TaskIO::default()
            }),
            pid: message_pid(pid),
            ..TaskCreate::default()
        };
        // The event's type of a mount has a name of its own, and the same fields.
        for mount in &request.rootfs {
            event.rootfs.push(Default::default());
            if let Some(last) = event.rootfs.last_mut() {
                last.type_.clone_from(&mount.type_);
                last.source.clone_from(&mount.source);
                last.target.clone_from(&mount.target);
                last.options.clone_from(&mount.options);
            }
        }
        self.publisher
            .publish(topics::TASK_CREATE_EVENT_TOPIC, &event);
    }

    pub(super) async fn start(self: &Arc<Self>, request: &StartRequest) -> Result<StartResponse> {
        let (container, process) = self.process(&request.id, &request.exec_id)?;
        let _turn = container.turn.lock().await;
        match process.phase() {
            Phase::Created => {}
            Phase::Running => return Err(failed_precondition("cannot start a running process")),
            Phase::Stopped(_) => return Err(failed_precondition("cannot start a stopped process")),
        }
        let pid = if process.exec_id.is_empty() {
            self.start_init(&container).await?
        } else {
            self.start_exec(&container, &process).await?
        };
        let mut response = StartResponse::new();
        response.pid = message_pid(pid);
        Ok(response)
    }

    async fn start_init(self: &Arc<Self>, container: &Arc<Container>) -> Result<i32> {
        if container.has_hooks() {
            let mut command = container.corten.command("start");
            command.arg(&container.id);
            container
                .corten
                .run(&self.reaper, command)
                .await
                .map_err(|words| unknown(format!("corten start failed: {words}")))?;
        } else {
            let start =
                |store: &libcontainer::Store, id: &str| libcontainer::start(store, id, None);
            self.in_process(container, start).await?;
        }
        let pid = container.init.pid();
        container.init.set_running(pid);
        self.watch_oom(container);
        let event = TaskStart {
            container_id: container.id.clone(),
            pid: message_pid(pid),
            ..TaskStart::default()
        };
        self.publisher
            .publish(topics::TASK_START_EVENT_TOPIC, &event);
        Ok(pid)
    }

    async fn start_exec(
        self: &Arc<Self>,
        container: &Arc<Container>,
        process: &Arc<Process>,
    ) -> Result<i32> {
        let files = ExecFiles::of(container, &process.exec_id);
        let started = self.run_exec(container, process, &files).await;
        files.remove();
        let (pid, end) = match started {
            Ok(started) => started,
            Err(error) => {
                // Its wait must not wait for ever.
                process.set_stopped(crate::reaper::Exit {
                    status: 255,
                    at: std::time::SystemTime::now(),
                });
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

    async fn run_exec(
        &self,
        container: &Container,
        process: &Process,
        files: &ExecFiles,
    ) -> Result<(i32, crate::reaper::ExitWatch)> {
        let corten = &container.corten;
        let ends = process
            .plumbing
            .take_ends()
            .ok_or_else(|| failed_precondition("the exec was started before"))?;
        process.plumbing.ready().await.map_err(unknown)?;
        let mut command = corten.command("exec");
        command.args(["--detach", "--process", &files.process]);
        command.args(["--pid-file", &files.pid]);
        let expectation = self.reaper.expect();
        let socket = corten
            .run_with(&self.reaper, command, ends, &[&container.id])
            .await
            .map_err(|words| unknown(format!("corten exec failed: {words}")))?;
        let pid = read_pid(&files.pid)?;
        if let Some(socket) = &socket {
            process.plumbing.connect(socket).map_err(unknown)?;
        }
        Ok((pid, expectation.of(pid)))
    }

    pub(super) fn exec(&self, request: ExecProcessRequest) -> Result<Empty> {
        let container = self.container(&request.id)?;
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
        let (plumbing, ends) = self.lay(&container.id, &container.corten, &wanted)?;
        plumbing.keep_ends(ends);
        let exec_id = request.exec_id;
        if !container.add(Process::new(exec_id.clone(), wanted, plumbing, 0)) {
            return Err(already_exists(format!("id {exec_id:?} exists")));
        }
        let event = TaskExecAdded {
            container_id: container.id.clone(),
            exec_id,
            ..TaskExecAdded::default()
        };
        self.publisher
            .publish(topics::TASK_EXEC_ADDED_EVENT_TOPIC, &event);
        Ok(Empty::new())
    }

    pub(super) async fn delete(
        self: &Arc<Self>,
        request: &DeleteRequest,
    ) -> Result<DeleteResponse> {
        let (container, process) = self.process(&request.id, &request.exec_id)?;
        let exit = match process.phase() {
            Phase::Running => {
                return Err(failed_precondition("cannot delete a running process"));
            }
            Phase::Stopped(exit) => Some(exit),
            Phase::Created => None,
        };
        if process.exec_id.is_empty() {
            self.delete_container(&container).await?;
        } else {
            ExecFiles::of(&container, &process.exec_id).remove();
            process.plumbing.drain(process.drain_limit()).await;
            container.remove(&process.exec_id);
        }
        // A created init was killed just now, and its end is told; an exec that was
        // never started has none.
        let exit = match exit {
            None if process.exec_id.is_empty() => Some(process.wait().await),
            exit => exit,
        };
        let mut response = DeleteResponse::new();
        response.pid = process.message_pid();
        response.exit_status = exit.map_or(0, |exit| exit.status);
        response.set_exited_at(timestamp(
            exit.map_or_else(std::time::SystemTime::now, |exit| exit.at),
        ));
        if process.exec_id.is_empty() {
            let event = TaskDelete {
                container_id: container.id.clone(),
                pid: response.pid,
                exit_status: response.exit_status,
                exited_at: response.exited_at.clone(),
                ..TaskDelete::default()
            };
            self.publisher
                .publish(topics::TASK_DELETE_EVENT_TOPIC, &event);
        }
        Ok(response)
    }

    async fn delete_container(&self, container: &Arc<Container>) -> Result<()> {
        let _turn = container.turn.lock().await;
        if container.has_hooks() {
            let mut command = container.corten.command("delete");
            command.args(["--force", &container.id]);
            let deleted = container.corten.run(&self.reaper, command).await;
            deleted.map_err(|words| unknown(format!("corten delete failed: {words}")))?;
        } else {
            let delete = |store: &libcontainer::Store, id: &str| {
                libcontainer::delete(store, id, true).map(drop)
            };
            self.in_process(container, delete).await?;
        }
        container
            .init
            .plumbing
            .drain(container.init.drain_limit())
            .await;
        if let Some(target) = &container.rootfs {
            rootfs::unmount_all(target).map_err(unknown)?;
        }
        self.containers().remove(&container.id);
        Ok(())
    }
}

/// The files of an exec, in the bundle.
struct ExecFiles {
    process: String,
    pid: String,
}

impl ExecFiles {
    fn of(container: &Container, exec_id: &str) -> Self {
        // An id of containerd has no slash, but it came over a socket.
        let name = exec_id.replace('/', "_");
        let bundle = &container.corten.bundle;
        Self {
            process: format!("{bundle}/exec-{name}.json"),
            pid: format!("{bundle}/exec-{name}.pid"),
        }
    }

    fn remove(&self) {
        let _ = std::fs::remove_file(&self.process);
        let _ = std::fs::remove_file(&self.pid);
    }
}

/// The request, not the process in it, says whether there is a terminal.
fn with_terminal(process: &[u8], terminal: bool) -> Result<Vec<u8>> {
    let bad = |error: serde_json::Error| invalid_argument(format!("spec: {error}"));
    let mut process: serde_json::Value = serde_json::from_slice(process).map_err(bad)?;
    match process.as_object_mut() {
        Some(object) => object.insert("terminal".to_owned(), terminal.into()),
        None => return Err(invalid_argument("spec: must be a process")),
    };
    serde_json::to_vec(&process).map_err(bad)
}

fn read_pid(file: &str) -> Result<i32> {
    let text =
        std::fs::read_to_string(file).map_err(|error| unknown(format!("{file}: {error}")))?;
    text.trim()
        .parse()
        .map_err(|_| unknown(format!("{file}: {text:?} is not a pid")))
}
