//! Outputs: those that the configuration names, and their threads.
//!
//! Built on the main thread. Without outputs there is no thread, no subscriber and no wake-up.

use std::sync::Arc;
use std::time::Instant;

use crate::config::{Config, MqttConfig};
use crate::db::row_feed::StoredRowFeed;
use crate::db::store::Store;
use crate::domain::output_state::OutputState;
use crate::domain::plan::Plan;
use crate::domain::redact::Secrets;
use crate::domain::snapshot::{Snapshot, SnapshotSubscriber};
use crate::domain::stored_rows::{ForwardName, RowFeed};
use crate::limits;
use crate::outputs::forward::ForwardOutput;
use crate::outputs::mqtt::{
    DiscoveryNames, HomeAssistant, HomeAssistantSettings, MqttOutput, node_id,
};
use crate::outputs::push::PushOutput;
use crate::outputs::{Follows, LatestSnapshot, Output, OutputContext, SharedOutputStatus};
use crate::sys::clock::Clock;
use crate::sys::shutdown::StopSource;
use crate::sys::thread::{Thread, catch_panic, join_all, spawn};

/// Every output that is configured. Without a store none can run, as in `check`.
pub fn configured(config: &Config, store: Option<&Arc<Store>>) -> Vec<Box<dyn Output>> {
    let plan = Arc::new(config.plan());
    let mut outputs: Vec<Box<dyn Output>> = Vec::new();
    if let Some(mqtt) = &config.mqtt {
        let home_assistant = home_assistant(config, mqtt, plan.clone());
        outputs.push(Box::new(MqttOutput::new(mqtt, home_assistant)));
    }
    for push in &config.pushes {
        outputs.push(Box::new(PushOutput::new(push, &config.name, plan.clone())));
    }
    for forward in &config.forwards {
        let feed = store.map(|store| -> Arc<dyn RowFeed> {
            Arc::new(StoredRowFeed::new(store.clone(), forward.name.clone()))
        });
        outputs.push(Box::new(ForwardOutput::new(forward, &config.name, feed)));
    }
    outputs
}

/// The outputs whose place among the rows the store keeps.
pub fn forward_names(config: &Config) -> Vec<ForwardName> {
    let forwards = config.forwards.iter();
    let names = forwards.map(|forward| ForwardName {
        name: forward.name.clone(),
        backfill: forward.backfill,
    });
    names.collect()
}

fn home_assistant(config: &Config, mqtt: &MqttConfig, plan: Arc<Plan>) -> HomeAssistant {
    let title = config.pages.title.as_deref();
    HomeAssistant::new(HomeAssistantSettings {
        announce: mqtt.home_assistant,
        names: DiscoveryNames {
            node_id: node_id(&config.name),
            node_name: title.unwrap_or(&config.name).to_owned(),
            discovery_prefix: mqtt.discovery_prefix.clone(),
            topic_prefix: mqtt.prefix.clone(),
            page: config.page(),
        },
        keys: mqtt.keys.clone(),
        plan,
    })
}

/// The outputs, running.
pub struct Outputs {
    stop: StopSource,
    stored_rows: StopSource,
    threads: Vec<Thread>,
    statuses: Vec<SharedOutputStatus>,
    subscriber: Option<SnapshotSubscriber>,
}

/// What is common to all outputs when they start.
pub struct OutputStart<'a> {
    pub secrets: &'a Arc<Secrets>,
    /// The first snapshot.
    pub snapshot: &'a Arc<Snapshot>,
    /// Woken by each commit; stops the outputs that follow stored rows.
    pub stored_rows: StopSource,
    pub clock: &'a Arc<dyn Clock>,
}

impl Outputs {
    /// Starts a thread per output.
    pub fn start(
        outputs: Vec<Box<dyn Output>>,
        start: OutputStart<'_>,
    ) -> std::io::Result<Outputs> {
        let stop = StopSource::new();
        let latest = LatestSnapshot::new(start.snapshot.clone());
        let (mut threads, mut statuses) = (Vec::new(), Vec::new());
        let mut subscriber = None;
        for output in outputs {
            let (name, destination) = (output.name().to_owned(), output.destination());
            let status = SharedOutputStatus::new(&name, &destination, start.secrets.clone());
            statuses.push(status.clone());
            let (snapshots, stop) = match output.follows() {
                Follows::Snapshots => {
                    subscriber.get_or_insert_with(|| latest.subscriber(stop.token()));
                    (latest.clone(), stop.token())
                }
                Follows::StoredRows => (LatestSnapshot::default(), start.stored_rows.token()),
            };
            let context = OutputContext {
                snapshots,
                status,
                stop,
                clock: start.clock.clone(),
            };
            let run = move || run(output, &context);
            threads.push(spawn(&name.replace(' ', "-"), run)?);
        }
        Ok(Outputs {
            stop,
            stored_rows: start.stored_rows,
            threads,
            statuses,
            subscriber,
        })
    }

    /// What must see each snapshot, if an output follows them; the first call takes it.
    pub fn take_subscriber(&mut self) -> Option<SnapshotSubscriber> {
        self.subscriber.take()
    }

    /// Reads the state of each output.
    pub fn states(&self) -> impl Fn() -> Vec<OutputState> + Send + Sync + use<> {
        let statuses = self.statuses.clone();
        move || statuses.iter().map(SharedOutputStatus::get).collect()
    }

    /// Stops every output, which may send its last state until `deadline`. Returns the names of
    /// threads that did not end in time.
    pub fn stop(self, deadline: Instant) -> Vec<String> {
        self.stop.stop();
        self.stored_rows.stop();
        join_all(self.threads, deadline)
    }
}

/// Runs one output until the stop; a panic costs a pause.
fn run(mut output: Box<dyn Output>, context: &OutputContext) {
    while !context.stop.is_stopping() {
        if catch_panic("output", || output.run(context)).is_none() {
            let now = context.clock.now();
            context.status.failed("internal error; see the log", now);
            context.stop.wait(limits::OUTPUT_BACK_OFF.1);
        }
    }
}

#[cfg(test)]
#[path = "tests/outputs.rs"]
mod tests;
