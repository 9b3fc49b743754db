//! In containerd's place: who takes the events of shims.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use containerd_shim_protos::api::ForwardRequest;
use containerd_shim_protos::events::task::{
    TaskCheckpointed, TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskExit, TaskOOM,
    TaskPaused, TaskResumed, TaskStart,
};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::empty::Empty;
use containerd_shim_protos::shim_sync::{Events, create_events};
use containerd_shim_protos::ttrpc::{Result, Server, TtrpcContext};

/// One event, as tests compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `/tasks/exit`
    pub topic: String,
    /// The container's id.
    pub container: String,
    /// Of an exec; empty for others.
    pub exec: String,
    /// 0 where there is none.
    pub pid: u32,
    /// Everything else that is the same in every telling.
    pub rest: String,
}

/// Takes events, from all shims that are told its address.
pub struct Listener {
    socket: PathBuf,
    events: Arc<Mutex<Vec<Event>>>,
    server: Option<Server>,
}

impl Listener {
    /// Listens in `directory`.
    pub fn start(directory: &Path) -> Self {
        let mut listener = Self {
            socket: directory.join("events.sock"),
            events: Arc::default(),
            server: None,
        };
        listener.resume();
        listener
    }

    /// For `TTRPC_ADDRESS`.
    pub fn address(&self) -> String {
        self.socket.to_string_lossy().into_owned()
    }

    /// Goes, with all connections, as a containerd does that is killed.
    pub fn pause(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown();
        }
    }

    /// Listens again.
    pub fn resume(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        let events = Taker(Arc::clone(&self.events));
        let address = format!("unix://{}", self.socket.display());
        let mut server = Server::new()
            .bind(&address)
            .expect("the listener's socket")
            .register_service(create_events(Arc::new(events)));
        server.start().expect("the listener");
        self.server = Some(server);
    }

    /// What was heard so far.
    pub fn heard(&self) -> Vec<Event> {
        self.events.lock().expect("no panic").clone()
    }

    /// Whether this was heard of a container, or of an exec in it.
    pub fn has(&self, topic: &str, container: &str, exec: &str) -> bool {
        let events = self.events.lock().expect("no panic");
        let wanted = |event: &&Event| {
            event.topic == topic && event.container == container && event.exec == exec
        };
        events.iter().any(|event| wanted(&event))
    }

    /// How often each topic was heard.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for event in self.heard() {
            *counts.entry(event.topic).or_default() += 1;
        }
        counts
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.pause();
    }
}

struct Taker(Arc<Mutex<Vec<Event>>>);

impl Events for Taker {
    fn forward(&self, _: &TtrpcContext, request: ForwardRequest) -> Result<Empty> {
        let envelope = request.envelope.unwrap_or_default();
        let value = &envelope.event.value;
        let mut event = read(&envelope.topic, value).unwrap_or_else(|| Event {
            topic: String::new(),
            container: String::new(),
            exec: String::new(),
            pid: 0,
            rest: format!("{} is not read", envelope.event.type_url),
        });
        event.topic = envelope.topic.clone();
        self.0.lock().expect("no panic").push(event);
        Ok(Empty::new())
    }
}

fn read(topic: &str, value: &[u8]) -> Option<Event> {
    fn parse<M: Message>(value: &[u8]) -> Option<M> {
        M::parse_from_bytes(value).ok()
    }
    let event = |container: String, exec: String, pid: u32, rest: String| Event {
        topic: String::new(),
        container,
        exec,
        pid,
        rest,
    };
    let none = String::new;
    Some(match topic {
        "/tasks/create" => {
            let e: TaskCreate = parse(value)?;
            let rest = format!(
                "{} rootfs, terminal {}, checkpoint {:?}",
                e.rootfs.len(),
                e.io.terminal,
                e.checkpoint
            );
            event(e.container_id, none(), e.pid, rest)
        }
        "/tasks/start" => {
            let e: TaskStart = parse(value)?;
            event(e.container_id, none(), e.pid, none())
        }
        "/tasks/exec-added" => {
            let e: TaskExecAdded = parse(value)?;
            event(e.container_id, e.exec_id, 0, none())
        }
        "/tasks/exec-started" => {
            let e: TaskExecStarted = parse(value)?;
            event(e.container_id, e.exec_id, e.pid, none())
        }
        "/tasks/exit" => {
            let e: TaskExit = parse(value)?;
            // Of an init, both ids are the container's.
            let exec = if e.id == e.container_id { none() } else { e.id };
            let timed = e.exited_at.is_some();
            let rest = format!("status {}, timed {timed}", e.exit_status);
            event(e.container_id, exec, e.pid, rest)
        }
        "/tasks/delete" => {
            let e: TaskDelete = parse(value)?;
            let timed = e.exited_at.is_some();
            let rest = format!("status {}, timed {timed}", e.exit_status);
            event(e.container_id, e.id, e.pid, rest)
        }
        "/tasks/oom" => event(parse::<TaskOOM>(value)?.container_id, none(), 0, none()),
        "/tasks/paused" => event(parse::<TaskPaused>(value)?.container_id, none(), 0, none()),
        "/tasks/resumed" => event(parse::<TaskResumed>(value)?.container_id, none(), 0, none()),
        "/tasks/checkpointed" => {
            let id = parse::<TaskCheckpointed>(value)?.container_id;
            event(id, none(), 0, none())
        }
        _ => return None,
    })
}
