//! `Create`, `Start` and `Delete`.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard, PoisonError};

use containerd_shim_protos::api::{
    CreateTaskRequest, CreateTaskResponse, DeleteRequest, DeleteResponse, StartRequest,
    StartResponse,
};
use containerd_shim_protos::events::task::{TaskCreate, TaskDelete, TaskIO, TaskStart};
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::topics;
use containerd_shim_protos::ttrpc::Result;

use super::Shim;
use super::exec::ExecFiles;
use crate::command::Corten;
use crate::container::{Checkpoint, Container};
use crate::events::timestamp;
use crate::grpc::{not_found, unknown};
use crate::io::{Owner, ProcessEnds, Subject, Wanted};
use crate::log;
use crate::options::Options;
use crate::process::{Phase, Process, message_pid};
use crate::reaper::ExitWatch;
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
            // The code of the shim of Go, whose runtime it is that refuses.
            true => Err(unknown(format!("container {id:?} exists"))),
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
        let bundle = request.bundle.clone();
        let options = Options::decode(&request.options)
            .map_err(unknown)?
            .with_config_of(&bundle);
        if !std::path::Path::new(&bundle).exists() {
            return Err(not_found(format!("bundle {bundle}: no such directory")));
        }
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
        let wanted = Wanted {
            stdin: request.stdin.clone(),
            stdout: request.stdout.clone(),
            stderr: request.stderr.clone(),
            terminal: request.terminal,
        };
        let init = Arc::new(Process::new(String::new(), wanted, 0));
        let mut container =
            Container::new(request.id.clone(), corten, init.clone(), mounted.clone());
        let made = match request.checkpoint.as_str() {
            "" => self.make(&container).await.map(Some),
            image => {
                container.checkpoint = Some(Checkpoint {
                    image: image.to_owned(),
                    parent: request.parent_checkpoint.clone(),
                });
                let laid = self.lay(&init, &container.id, &container.corten).await;
                laid.map(|ends| {
                    init.plumbing.keep_ends(ends);
                    None
                })
            }
        };
        if made.is_err()
            && let Some(target) = mounted
            && let Err(error) = rootfs::unmount_all(&target)
        {
            log::error(&error);
        }
        let end = made?;
        let container = Arc::new(container);
        self.containers()
            .insert(request.id.clone(), container.clone());
        self.publish_created(&request, init.pid());
        if let Some(end) = end {
            tokio::spawn(self.clone().follow(container, init.clone(), end));
        }
        let mut response = CreateTaskResponse::new();
        response.pid = init.message_pid();
        Ok(response)
    }

    /// From the streams to the process that waits.
    async fn make(self: &Arc<Self>, container: &Container) -> Result<ExitWatch> {
        let corten = &container.corten;
        let ends = self.lay(&container.init, &container.id, corten).await?;
        let pid_file = corten.pid_file();
        let mut call = corten.call("create");
        call.command
            .args(["--bundle", &corten.bundle, "--pid-file", &pid_file]);
        corten.add_create_options(&mut call);
        let expectation = self.reaper.expect();
        let made = call.run_with(&self.reaper, ends, &container.id).await;
        // One that failed by itself has left nothing, least of all when the id was
        // another container's.
        let is_left = made
            .as_ref()
            .map_or_else(|error| error.was_killed, |_| true);
        let made = made
            .map_err(|failure| unknown(format!("corten create failed: {failure}")))
            .and_then(|socket| {
                let pid = read_pid(&pid_file)?;
                if let Some(socket) = &socket {
                    let connected = container.init.plumbing.connect(socket);
                    connected.map_err(unknown)?;
                }
                Ok(pid)
            });
        match made {
            Ok(pid) => {
                container.init.set_pid(pid);
                Ok(expectation.of(pid))
            }
            Err(error) => {
                if is_left {
                    self.take_back(container).await;
                }
                Err(error)
            }
        }
    }

    /// Removes what a `corten create` left that came to no good end.
    async fn take_back(&self, container: &Container) {
        let (corten, id) = (container.corten.clone(), container.id.clone());
        let delete = move || {
            let store = libcontainer::Store::open_or_make(&corten.root)?;
            libcontainer::delete(&store, &id, true).map(drop)
        };
        match tokio::task::spawn_blocking(delete).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::error(&format!("{}: {error}", container.id)),
            Err(error) => log::error(&format!("{}: {error}", container.id)),
        }
    }

    /// Opens the streams of a process.
    pub(super) async fn lay(
        &self,
        process: &Process,
        id: &str,
        corten: &Corten,
    ) -> Result<ProcessEnds> {
        let owner = Owner {
            uid: corten.options.io_uid,
            gid: corten.options.io_gid,
        };
        let subject = Subject {
            container: id,
            namespace: &self.namespace,
            reaper: &self.reaper,
        };
        let laid = process.plumbing.lay(&process.wanted, owner, subject).await;
        laid.map_err(unknown)
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
            checkpoint: request.checkpoint.clone(),
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
        process.begin_start().map_err(unknown)?;
        let started = if process.exec_id.is_empty() {
            let _turn = container.turn.write().await;
            self.start_init(&container).await
        } else {
            self.start_exec(&container, &process).await
        };
        process.end_start();
        let mut response = StartResponse::new();
        response.pid = message_pid(started?);
        Ok(response)
    }

    async fn start_init(self: &Arc<Self>, container: &Arc<Container>) -> Result<i32> {
        // A program may be out of memory before anything can be done after its start.
        if container.checkpoint.is_none() {
            self.watch_oom(container);
        }
        if let Some(checkpoint) = &container.checkpoint {
            let pid = self.restore(container, checkpoint).await?;
            container.init.set_pid(pid);
            self.watch_oom(container);
        } else if container.has_hooks() {
            let mut call = container.corten.call("start");
            call.command.arg(&container.id);
            call.run(&self.reaper)
                .await
                .map_err(|failure| unknown(format!("corten start failed: {failure}")))?;
        } else {
            let start =
                |store: &libcontainer::Store, id: &str| libcontainer::start(store, id, None);
            self.in_process(container, start).await?;
        }
        let pid = container.init.pid();
        container.init.set_running(pid);
        let event = TaskStart {
            container_id: container.id.clone(),
            pid: message_pid(pid),
            ..TaskStart::default()
        };
        self.publisher
            .publish(topics::TASK_START_EVENT_TOPIC, &event);
        Ok(pid)
    }

    pub(super) async fn delete(
        self: &Arc<Self>,
        request: &DeleteRequest,
    ) -> Result<DeleteResponse> {
        let (container, process) = self.process(&request.id, &request.exec_id)?;
        let exit = match process.phase() {
            Phase::Stopped(exit) => Some(exit),
            Phase::Created if process.exec_id.is_empty() || !process.is_starting() => None,
            Phase::Created | Phase::Running => {
                return Err(unknown("cannot delete a running process"));
            }
        };
        if process.exec_id.is_empty() {
            self.delete_container(&container).await?;
        } else {
            ExecFiles::of(&container, &process.exec_id).remove();
            process.plumbing.drain(process.drain_limit()).await;
            container.remove(&process.exec_id);
        }
        // A created init was killed just now, and its end is told; a process that was
        // never made has none.
        let exit = match exit {
            None if process.pid() != 0 => Some(process.wait().await),
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
        let _turn = container.turn.write().await;
        if !self.containers().contains_key(&container.id) {
            return Err(not_found(format!(
                "container {:?} not created",
                container.id
            )));
        }
        if container.has_hooks() {
            let mut call = container.corten.call("delete");
            call.command.args(["--force", &container.id]);
            let deleted = call.run(&self.reaper).await;
            deleted.map_err(|failure| unknown(format!("corten delete failed: {failure}")))?;
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

pub(super) fn read_pid(file: &str) -> Result<i32> {
    let text =
        std::fs::read_to_string(file).map_err(|error| unknown(format!("{file}: {error}")))?;
    text.trim()
        .parse()
        .map_err(|_| unknown(format!("{file}: {text:?} is not a pid")))
}
