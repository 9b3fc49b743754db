//! The task service: what containerd asks of a shim.
//!
//! Everything runs on one thread. What may wait for the kernel goes to a thread of
//! its own for as long as it takes; what clones goes to the `corten` program.

mod checkpoint;
mod control;
mod exec;
mod follow;
mod lifecycle;
mod metrics;
mod oom;
mod report;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use containerd_shim_protos::api::{
    CheckpointTaskRequest, CloseIORequest, ConnectRequest, ConnectResponse, CreateTaskRequest,
    CreateTaskResponse, DeleteRequest, DeleteResponse, ExecProcessRequest, KillRequest,
    PauseRequest, PidsRequest, PidsResponse, ResizePtyRequest, ResumeRequest, ShutdownRequest,
    StartRequest, StartResponse, StateRequest, StateResponse, StatsRequest, StatsResponse,
    UpdateTaskRequest, WaitRequest, WaitResponse,
};
use containerd_shim_protos::protobuf::well_known_types::empty::Empty;
use containerd_shim_protos::shim_async::Task;
use containerd_shim_protos::ttrpc::Result;
use containerd_shim_protos::ttrpc::asynchronous::TtrpcContext;
use tokio::sync::Notify;

use crate::container::Container;
use crate::events::Publisher;
use crate::grpc::{self, not_found};
use crate::process::Process;
use crate::reaper::Reaper;

/// The shim of a group of containers.
#[derive(Debug)]
pub struct Shim {
    namespace: String,
    debug: bool,
    publisher: Publisher,
    reaper: Reaper,
    containers: Mutex<HashMap<String, Arc<Container>>>,
    /// Ids of containers that are being made.
    making: Mutex<std::collections::HashSet<String>>,
    shutdown: Arc<Notify>,
    /// Told of each request about a container.
    work: Arc<Notify>,
}

/// [`Shim`], as the generated server wants it.
#[derive(Debug, Clone)]
pub struct Service(Arc<Shim>);

impl Service {
    /// A shim without containers. `shutdown` is told when it may go.
    pub fn new(
        namespace: String,
        debug: bool,
        publisher: Publisher,
        reaper: Reaper,
        shutdown: Arc<Notify>,
    ) -> Self {
        Self(Arc::new(Shim {
            namespace,
            debug,
            publisher,
            reaper,
            containers: Mutex::default(),
            making: Mutex::default(),
            shutdown,
            work: Arc::default(),
        }))
    }

    /// Told of each request about a container.
    pub fn work(&self) -> Arc<Notify> {
        self.0.work.clone()
    }
}

impl Shim {
    fn containers(&self) -> MutexGuard<'_, HashMap<String, Arc<Container>>> {
        self.containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn container(&self, id: &str) -> Result<Arc<Container>> {
        self.work.notify_one();
        let container = self.containers().get(id).cloned();
        container.ok_or_else(|| not_found(format!("container {id:?} not created")))
    }

    fn process(&self, id: &str, exec_id: &str) -> Result<(Arc<Container>, Arc<Process>)> {
        let container = self.container(id)?;
        let process = container
            .process(exec_id)
            .ok_or_else(|| not_found(format!("process {exec_id:?} does not exist in {id:?}")))?;
        Ok((container, process))
    }

    /// A verb of the lifecycle that may wait, on a thread of its own.
    async fn in_process<T: Send + 'static>(
        &self,
        container: &Arc<Container>,
        verb: impl FnOnce(&libcontainer::Store, &str) -> libcontainer::Result<T> + Send + 'static,
    ) -> Result<T> {
        let container = container.clone();
        let done = tokio::task::spawn_blocking(move || {
            let store = container.store()?;
            verb(&store, &container.id)
        });
        match done.await {
            Ok(result) => result.map_err(|error| grpc::from_libcontainer(&error)),
            Err(error) => Err(grpc::unknown(error.to_string())),
        }
    }
}

/// What changes something goes on when its client has gone, or waits no longer: the
/// server drops a handler then, in the middle of whatever it does.
async fn to_the_end<T: Send + 'static>(
    change: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    match tokio::spawn(change).await {
        Ok(result) => result,
        Err(error) => Err(grpc::unknown(error.to_string())),
    }
}

#[async_trait]
impl Task for Service {
    async fn state(&self, _: &TtrpcContext, request: StateRequest) -> Result<StateResponse> {
        self.0.state(&request)
    }

    async fn create(
        &self,
        _: &TtrpcContext,
        request: CreateTaskRequest,
    ) -> Result<CreateTaskResponse> {
        let shim = self.0.clone();
        to_the_end(async move { shim.create(request).await }).await
    }

    async fn start(&self, _: &TtrpcContext, request: StartRequest) -> Result<StartResponse> {
        let shim = self.0.clone();
        to_the_end(async move { shim.start(&request).await }).await
    }

    async fn delete(&self, _: &TtrpcContext, request: DeleteRequest) -> Result<DeleteResponse> {
        let shim = self.0.clone();
        to_the_end(async move { shim.delete(&request).await }).await
    }

    async fn pids(&self, _: &TtrpcContext, request: PidsRequest) -> Result<PidsResponse> {
        self.0.pids(&request)
    }

    async fn pause(&self, _: &TtrpcContext, request: PauseRequest) -> Result<Empty> {
        let shim = self.0.clone();
        to_the_end(async move { shim.pause(&request.id).await }).await
    }

    async fn resume(&self, _: &TtrpcContext, request: ResumeRequest) -> Result<Empty> {
        let shim = self.0.clone();
        to_the_end(async move { shim.resume(&request.id).await }).await
    }

    async fn checkpoint(&self, _: &TtrpcContext, request: CheckpointTaskRequest) -> Result<Empty> {
        let shim = self.0.clone();
        to_the_end(async move { shim.checkpoint(request).await }).await
    }

    async fn kill(&self, _: &TtrpcContext, request: KillRequest) -> Result<Empty> {
        self.0.kill(&request).await
    }

    async fn exec(&self, _: &TtrpcContext, request: ExecProcessRequest) -> Result<Empty> {
        self.0.exec(request)
    }

    async fn resize_pty(&self, _: &TtrpcContext, request: ResizePtyRequest) -> Result<Empty> {
        self.0.resize_pty(&request)
    }

    async fn close_io(&self, _: &TtrpcContext, request: CloseIORequest) -> Result<Empty> {
        let container = self.0.container(&request.id)?;
        // The shim of Go gives no better code.
        let process = container.process(&request.exec_id);
        let process = process.ok_or_else(|| grpc::unknown("process does not exist"))?;
        if request.stdin {
            process.plumbing.close_stdin();
        }
        Ok(Empty::new())
    }

    async fn update(&self, _: &TtrpcContext, request: UpdateTaskRequest) -> Result<Empty> {
        self.0.update(request).await
    }

    async fn wait(&self, _: &TtrpcContext, request: WaitRequest) -> Result<WaitResponse> {
        let (_, process) = self.0.process(&request.id, &request.exec_id)?;
        let exit = process.wait().await;
        let mut response = WaitResponse::new();
        response.exit_status = exit.status;
        response.set_exited_at(crate::events::timestamp(exit.at));
        Ok(response)
    }

    async fn stats(&self, _: &TtrpcContext, request: StatsRequest) -> Result<StatsResponse> {
        self.0.stats(&request)
    }

    async fn connect(&self, _: &TtrpcContext, request: ConnectRequest) -> Result<ConnectResponse> {
        let container = self.0.container(&request.id)?;
        let mut response = ConnectResponse::new();
        response.shim_pid = std::process::id();
        response.task_pid = container.init.message_pid();
        Ok(response)
    }

    async fn shutdown(&self, _: &TtrpcContext, _: ShutdownRequest) -> Result<Empty> {
        // Other containers of the group may still be there, or just be coming.
        let idle = self.0.containers().is_empty() && self.0.making().is_empty();
        if idle {
            self.0.shutdown.notify_one();
        }
        Ok(Empty::new())
    }
}
