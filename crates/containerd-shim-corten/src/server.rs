//! The shim itself: one thread, one socket, until the last container is gone.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use containerd_shim_protos::shim_async::create_task;
use containerd_shim_protos::ttrpc::asynchronous::transport::Listener;
use containerd_shim_protos::ttrpc::asynchronous::{Server, Service as Methods};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::events::Publisher;
use crate::flags::Flags;
use crate::log;
use crate::reaper::Reaper;
use crate::service::Service;

/// How long after a request there may come another.
const REST: Duration = Duration::from_secs(1);

/// Serves the socket that is standard input.
///
/// # Errors
/// One line; the log has it, too.
pub fn serve(flags: &Flags) -> Result<(), String> {
    log::open(flags.debug);
    let result = run(flags);
    if let Err(error) = &result {
        log::error(error);
    }
    result
}

fn line(error: impl ToString) -> String {
    error.to_string()
}

fn run(flags: &Flags) -> Result<(), String> {
    let listener = take_socket()?;
    // Orphans of the containers become our children, and their ends our knowledge.
    kernel::prctl::set_child_subreaper(true).map_err(line)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // For what waits for the kernel; gone soon after.
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_millis(100))
        .build()
        .map_err(line)?;
    runtime.block_on(serve_socket(flags, listener))
}

/// The socket goes away from descriptor 0: programs get that for their input.
fn take_socket() -> Result<UnixListener, String> {
    let stdin = std::io::stdin();
    let socket = stdin.as_fd().try_clone_to_owned().map_err(line)?;
    let null = kernel::fs::open_read("/dev/null").map_err(line)?;
    kernel::process::duplicate_to(null.as_fd(), 0, false).map_err(line)?;
    Ok(UnixListener::from(socket))
}

async fn serve_socket(flags: &Flags, listener: UnixListener) -> Result<(), String> {
    let path = listener
        .local_addr()
        .ok()
        .and_then(|address| Some(address.as_pathname()?.to_owned()));
    let reaper = Reaper::default();
    let reaping = tokio::spawn(reaper.clone().run());
    let events = std::env::var("TTRPC_ADDRESS").unwrap_or_default();
    let publisher = Publisher::start(events, flags.namespace.clone());
    let shutdown = Arc::new(Notify::new());
    let service = Service::new(
        flags.namespace.clone(),
        flags.debug,
        publisher.clone(),
        reaper,
        shutdown.clone(),
    );
    let resting = tokio::spawn(rest(service.work()));
    let mut server = Server::new()
        .add_listener(Listener::try_from(listener).map_err(line)?)
        .register_service(both_versions(service));
    server.start().await.map_err(line)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(line)?;
    tokio::select! {
        () = shutdown.notified() => {}
        _ = terminate.recv() => {}
        stopped = reaping => {
            log::error(&format!("the reaper stopped: {stopped:?}"));
        }
    }
    // The reply to `Shutdown` and the last events are still on their way.
    if let Some(path) = path {
        let _ = std::fs::remove_file(path);
    }
    resting.abort();
    publisher.finish().await;
    let _ = tokio::time::timeout(Duration::from_secs(1), server.shutdown()).await;
    Ok(())
}

/// Gives memory back a while after the last request: a shim waits for days.
async fn rest(work: Arc<Notify>) {
    loop {
        work.notified().await;
        tokio::time::sleep(REST).await;
        kernel::memory::settle();
    }
}

/// containerd 1 calls `containerd.task.v2.Task`, containerd 2 the same methods of
/// `containerd.task.v3.Task`.
fn both_versions(service: Service) -> HashMap<String, Methods> {
    let mut services = create_task(Arc::new(service.clone()));
    if let Some(methods) = create_task(Arc::new(service)).remove("containerd.task.v3.Task") {
        services.insert("containerd.task.v2.Task".to_owned(), methods);
    }
    services
}
