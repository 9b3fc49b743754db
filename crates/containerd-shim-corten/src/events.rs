//! Events for containerd, in the order in which things happened.
//!
//! One task sends them, one after the other. containerd may be gone for a while: an
//! event is tried five times, over a new connection each time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use containerd_shim_protos::api::ForwardRequest;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use containerd_shim_protos::protobuf::{MessageField, MessageFull};
use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::shim_async::{Client, EventsClient};
use containerd_shim_protos::ttrpc::context;
use tokio::sync::{mpsc, watch};

use crate::log;

/// How long containerd may take for one.
const LIMIT: Duration = Duration::from_secs(5);
/// Tries of one event.
const TRIES: u32 = 5;
/// So many wait; more are lost, and logged.
const QUEUE: usize = 2048;

/// Takes events, never waits.
#[derive(Debug, Clone)]
pub struct Publisher {
    namespace: String,
    queue: mpsc::Sender<Envelope>,
    /// How many were not sent yet.
    unsent: Arc<watch::Sender<usize>>,
}

/// How long the last events may take when the shim goes.
const LAST: Duration = Duration::from_secs(2);

impl Publisher {
    /// Starts the task that sends to `address`.
    pub fn start(address: String, namespace: String) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let publisher = Self {
            namespace,
            queue,
            unsent: Arc::new(watch::Sender::new(0)),
        };
        tokio::spawn(publisher.clone().send_all(address, waiting));
        publisher
    }

    /// Queues an event; its topic is one of [`containerd_shim_protos::topics`].
    pub fn publish<E: MessageFull>(&self, topic: &str, event: &E) {
        let value = match event.write_to_bytes() {
            Ok(value) => value,
            Err(error) => return log::error(&format!("event {topic}: {error}")),
        };
        let envelope = Envelope {
            timestamp: MessageField::some(timestamp(SystemTime::now())),
            namespace: self.namespace.clone(),
            topic: topic.to_owned(),
            event: MessageField::some(Any {
                type_url: E::descriptor().full_name().to_owned(),
                value,
                ..Any::default()
            }),
            ..Envelope::default()
        };
        match self.queue.try_send(envelope) {
            Ok(()) => self.unsent.send_modify(|unsent| *unsent += 1),
            Err(error) => log::error(&format!("event {topic} is lost: {error}")),
        }
    }

    /// Waits until everything queued is sent, but not long.
    pub async fn finish(&self) {
        let mut unsent = self.unsent.subscribe();
        let _ = tokio::time::timeout(LAST, unsent.wait_for(|unsent| *unsent == 0)).await;
    }

    async fn send_all(self, address: String, mut waiting: mpsc::Receiver<Envelope>) {
        let mut connection = None;
        while let Some(envelope) = waiting.recv().await {
            for attempt in 1..=TRIES {
                match send(&mut connection, &address, &self.namespace, &envelope).await {
                    Ok(()) => break,
                    Err(error) => {
                        connection = None;
                        log::error(&format!("event {}: {error}", envelope.topic));
                        tokio::time::sleep(Duration::from_secs(attempt.into())).await;
                    }
                }
            }
            self.unsent.send_modify(|unsent| *unsent -= 1);
        }
    }
}

async fn send(
    connection: &mut Option<EventsClient>,
    address: &str,
    namespace: &str,
    envelope: &Envelope,
) -> Result<(), String> {
    let client = match connection {
        Some(client) => client,
        None => {
            let path = address.strip_prefix("unix://").unwrap_or(address);
            let client = Client::connect(&format!("unix://{path}"))
                .await
                .map_err(|error| error.to_string())?;
            connection.insert(EventsClient::new(client))
        }
    };
    let mut context = context::with_duration(LIMIT);
    context.add(
        "containerd-namespace-ttrpc".to_owned(),
        namespace.to_owned(),
    );
    let request = ForwardRequest {
        envelope: MessageField::some(envelope.clone()),
        ..ForwardRequest::default()
    };
    client
        .forward(context, &request)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A time as protobuf has it.
pub fn timestamp(time: SystemTime) -> Timestamp {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
        ..Timestamp::default()
    }
}
