//! `TaskOOM`: a container was out of memory.

use std::sync::Arc;

use containerd_shim_protos::events::task::TaskOOM;
use containerd_shim_protos::topics;
use tokio::io::Interest;

use super::Shim;
use crate::container::Container;
use crate::io::register;
use crate::log;

impl Shim {
    /// Watches the memory of a container that is about to start, until it ends.
    pub(super) fn watch_oom(self: &Arc<Self>, container: &Arc<Container>) {
        let watch = container
            .store()
            .and_then(|store| libcontainer::watch_oom(&store, &container.id));
        match watch {
            // Nobody counts its memory, or it has ended already.
            Ok(None) | Err(libcontainer::Error::NothingHappens(_)) => {}
            Ok(Some(watch)) => {
                container.set_oom_watch(watch);
                tokio::spawn(self.clone().wait_for_oom(container.clone()));
            }
            Err(error) => log::error(&format!("{}: {error}", container.id)),
        }
    }

    async fn wait_for_oom(self: Arc<Self>, container: Arc<Container>) {
        let Some((fd, urgent)) = container.oom_descriptor() else {
            return;
        };
        let interest = if urgent {
            Interest::PRIORITY
        } else {
            Interest::READABLE
        };
        let Ok(fd) = register(fd, interest) else {
            return;
        };
        loop {
            tokio::select! {
                ready = fd.ready(interest) => match ready {
                    Ok(mut ready) => ready.clear_ready(),
                    Err(_) => return,
                },
                // The last of them were told before the exit was.
                _ = container.init.wait() => return,
            }
            self.tell_oom(&container);
        }
    }

    /// Tells what has not been told yet.
    pub(super) fn tell_oom(&self, container: &Container) {
        for _ in 0..container.take_oom() {
            let event = TaskOOM {
                container_id: container.id.clone(),
                ..TaskOOM::default()
            };
            self.publisher.publish(topics::TASK_OOM_EVENT_TOPIC, &event);
        }
    }
}
