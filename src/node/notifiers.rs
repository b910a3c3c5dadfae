//! Telling people: the channels that the configuration names, and their threads.

use std::sync::Arc;
use std::time::Instant;

use crate::alerts::channels::{Attempt, Channel, DeliveryBatch, DeliveryHooks, configured};
use crate::alerts::delivery::DeliveryWorker;
use crate::alerts::delivery_status::SharedDeliveryStatus;
use crate::alerts::heartbeat;
use crate::alerts::message::SenderInfo;
use crate::alerts::wake_signal::WakeSignal;
use crate::config::Config;
use crate::db::store::Store;
use crate::db::store::alerts::StoredOutbox;
use crate::domain::alert::ChannelFacts;
use crate::domain::redact::Secrets;
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::sync::Mutex;
use crate::sys::thread::{Thread, spawn};

/// The heartbeat among the channels.
const HEARTBEAT: &str = "ping";

/// Wakes every channel; made before the store, which rings it.
#[derive(Clone, Default)]
pub struct WakeSignals(Arc<Mutex<Vec<WakeSignal>>>);

impl WakeSignals {
    fn add(&self) -> WakeSignal {
        let wake_signal = WakeSignal::default();
        self.lock().push(wake_signal.clone());
        wake_signal
    }

    /// There may be something new to tell.
    pub fn ring(&self) {
        self.lock().iter().for_each(WakeSignal::wake);
    }

    fn close(&self) {
        self.lock().iter().for_each(WakeSignal::close);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<WakeSignal>> {
        self.0.lock()
    }
}

/// The channels that the configuration asks for; their errors show no secret.
pub fn channels(config: &Config) -> Vec<Box<dyn Channel>> {
    let channels = configured(&config.notifications, &sender(config)).into_iter();
    channels
        .map(|channel| -> Box<dyn Channel> {
            Box::new(MaskedChannel {
                channel,
                secrets: config.secrets.clone(),
            })
        })
        .collect()
}

/// Their names.
pub fn channel_names(config: &Config) -> Vec<Arc<str>> {
    let channels = channels(config);
    channels
        .iter()
        .map(|channel| channel.name().into())
        .collect()
}

/// How one channel, or the heartbeat, is doing.
#[derive(Clone)]
pub struct NotifierStatus {
    pub name: Arc<str>,
    pub status: SharedDeliveryStatus,
    /// [`Channel::carries_own_failure`]; `None` for the heartbeat, which carries no alerts.
    carries_own_failure: Option<bool>,
}

/// The channels and the heartbeat, running.
pub struct Notifiers {
    wake_signals: WakeSignals,
    threads: Vec<Thread>,
    statuses: Vec<NotifierStatus>,
}

impl Notifiers {
    /// Starts a thread per channel. The heartbeat is sent while `is_well`.
    pub fn start(
        config: &Config,
        wake_signals: WakeSignals,
        store: &Arc<Store>,
        clock: &Arc<dyn Clock>,
        is_well: impl Fn() -> bool + Send + 'static,
    ) -> std::io::Result<Notifiers> {
        let mut notifiers = Notifiers {
            wake_signals,
            threads: Vec::new(),
            statuses: Vec::new(),
        };
        for channel in channels(config) {
            notifiers.start_channel(channel, store, clock)?;
        }
        if let Some(url) = &config.notifications.ping {
            let (url, wake_signal) = (url.reveal().to_owned(), notifiers.wake_signals.add());
            let (clock, status) = (clock.clone(), SharedDeliveryStatus::default());
            notifiers.statuses.push(NotifierStatus {
                name: HEARTBEAT.into(),
                status: status.clone(),
                carries_own_failure: None,
            });
            let run = move || heartbeat::run(&url, is_well, &wake_signal, &*clock, &status);
            notifiers.threads.push(spawn(HEARTBEAT, run)?);
        }
        Ok(notifiers)
    }

    fn start_channel(
        &mut self,
        channel: Box<dyn Channel>,
        store: &Arc<Store>,
        clock: &Arc<dyn Clock>,
    ) -> std::io::Result<()> {
        let name: Arc<str> = channel.name().into();
        let carries_own_failure = Some(channel.carries_own_failure());
        let outbox = Box::new(StoredOutbox(store.clone()));
        let wake_signal = self.wake_signals.add();
        let worker = DeliveryWorker::new(
            channel,
            outbox,
            clock.clone(),
            wake_signal,
            limits::BATCH_DELAY,
        );
        self.statuses.push(NotifierStatus {
            name: name.clone(),
            status: worker.status(),
            carries_own_failure,
        });
        self.threads.push(spawn(&name, move || worker.run())?);
        Ok(())
    }

    /// How each of them is doing.
    pub fn statuses(&self) -> Vec<NotifierStatus> {
        self.statuses.clone()
    }

    /// Ends every channel; what waits is on the disk. Names what did not end in time.
    pub fn stop(self, deadline: Instant) -> Vec<String> {
        self.wake_signals.close();
        let threads = self.threads.into_iter();
        threads
            .filter_map(|thread| {
                let name = thread.name().to_owned();
                (!thread.join_by(deadline)).then_some(name)
            })
            .collect()
    }
}

/// The channels for the alert rules: no alert waits for the heartbeat.
pub fn channel_facts(statuses: &[NotifierStatus]) -> Vec<ChannelFacts> {
    let facts = statuses.iter().filter_map(|notifier| {
        Some(ChannelFacts {
            name: notifier.name.clone(),
            carries_own_failure: notifier.carries_own_failure?,
            failure: notifier.status.get().failure,
        })
    });
    facts.collect()
}

/// A channel whose troubles show no secret, should its server repeat one.
struct MaskedChannel {
    channel: Box<dyn Channel>,
    secrets: Arc<Secrets>,
}

impl Channel for MaskedChannel {
    fn name(&self) -> &str {
        self.channel.name()
    }

    fn destination(&self) -> String {
        self.channel.destination()
    }

    fn deliver(&self, batch: &DeliveryBatch<'_>, hooks: DeliveryHooks<'_>) -> Attempt {
        let mask = |why: String| self.secrets.mask(&why).into_owned();
        let attempt = self.channel.deliver(batch, hooks);
        Attempt {
            refused: attempt.refused.map(mask),
            retry: attempt.retry.map(mask),
            ..attempt
        }
    }

    fn check(&self) -> Option<Result<(), String>> {
        self.channel.check()
    }

    fn message_id_domain(&self) -> String {
        self.channel.message_id_domain()
    }

    fn config_fingerprint(&self) -> u16 {
        self.channel.config_fingerprint()
    }

    fn carries_own_failure(&self) -> bool {
        self.channel.carries_own_failure()
    }
}

/// Who every message says that it comes from.
pub fn sender(config: &Config) -> SenderInfo {
    SenderInfo {
        node: config.name.clone(),
        page: config.page(),
        zone: config.timezone.clone(),
    }
}

#[cfg(test)]
#[path = "tests/notifiers.rs"]
mod tests;
