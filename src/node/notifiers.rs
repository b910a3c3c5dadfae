//! Alert channels and the heartbeat: those that the configuration names, and their threads.
//!
//! Built on the main thread; each channel runs on a thread of its name.

use std::sync::Arc;
use std::time::Instant;

use super::authenticators::Authenticators;
use super::mail_tokens::MailTokens;
use crate::alerts::channels::{
    Attempt, Channel, ChannelInputs, DeliveryBatch, DeliveryHooks, configured,
};
use crate::alerts::delivery::DeliveryWorker;
use crate::alerts::delivery_status::SharedDeliveryStatus;
use crate::alerts::heartbeat::{self, Ping};
use crate::alerts::message::SenderInfo;
use crate::api::transport::Canceller;
use crate::config::Config;
use crate::db::store::Store;
use crate::db::store::alerts::StoredOutbox;
use crate::domain::alert::ChannelFacts;
use crate::domain::alert_filter::AlertFilter;
use crate::domain::outbox::OutboxChannel;
use crate::domain::redact::Secrets;
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::shutdown::StopSource;
use crate::sys::thread::{Thread, join_all, spawn};

/// The heartbeat among the channels.
const HEARTBEAT: &str = "ping";

/// The channels that the configuration asks for; their errors show no secret. Without `tokens`,
/// mail is not delivered where its login needs them.
pub fn channels(config: &Config, tokens: Option<&MailTokens>) -> Vec<Box<dyn Channel>> {
    let inputs = ChannelInputs {
        settings: &config.notifications,
        sender: &sender(config),
        mail_tokens: tokens.map(|it| &it.tokens),
    };
    let channels = configured(inputs).into_iter();
    channels
        .map(|channel| -> Box<dyn Channel> {
            Box::new(MaskedChannel {
                channel,
                secrets: config.secrets.clone(),
            })
        })
        .collect()
}

/// The same with all that a delivery needs, for commands.
///
/// # Errors
/// What is wrong with an `[auth.NAME]`, and what to change.
pub fn usable_channels(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Box<dyn Channel>>, String> {
    let authenticators = Authenticators::new(config)?;
    let tokens = MailTokens::new(config, &authenticators, clock)?;
    Ok(channels(config, tokens.as_ref()))
}

/// Their names, and the alerts that each delivers.
pub fn outbox_channels(config: &Config) -> Vec<OutboxChannel> {
    let channels = channels(config, None);
    channels
        .iter()
        .map(|channel| OutboxChannel {
            name: channel.name().into(),
            filter: channel.filter(),
        })
        .collect()
}

/// The heartbeat, if one is configured.
pub fn ping(config: &Config) -> Option<Ping> {
    let settings = config.notifications.ping.as_ref()?;
    Some(Ping::new(settings, &sender(config), &config.secrets))
}

/// Delivery status of one channel, or of the heartbeat.
#[derive(Clone)]
pub struct NotifierStatus {
    pub name: Arc<str>,
    pub status: SharedDeliveryStatus,
    /// [`Channel::carries_own_failure`]; `None` for the heartbeat, which carries no alerts.
    carries_own_failure: Option<bool>,
}

/// The channels and the heartbeat, running.
pub struct Notifiers {
    stop: StopSource,
    mail_tokens: Option<Canceller>,
    threads: Vec<Thread>,
    statuses: Vec<NotifierStatus>,
}

impl Notifiers {
    /// Starts a thread per channel; a wake of `stop`'s tokens makes it read the outbox.
    /// The heartbeat says what `health` says.
    pub fn start(
        config: &Config,
        mail_tokens: Option<MailTokens>,
        stop: StopSource,
        store: &Arc<Store>,
        clock: &Arc<dyn Clock>,
        health: impl Fn() -> Result<(), String> + Send + 'static,
    ) -> std::io::Result<Notifiers> {
        let mut notifiers = Notifiers {
            stop,
            mail_tokens: mail_tokens.as_ref().map(|it| it.canceller.clone()),
            threads: Vec::new(),
            statuses: Vec::new(),
        };
        for channel in channels(config, mail_tokens.as_ref()) {
            notifiers.start_channel(channel, store, clock)?;
        }
        if let Some(ping) = ping(config) {
            let token = notifiers.stop.token();
            let (clock, status) = (clock.clone(), SharedDeliveryStatus::default());
            notifiers.statuses.push(NotifierStatus {
                name: HEARTBEAT.into(),
                status: status.clone(),
                carries_own_failure: None,
            });
            let run = move || heartbeat::run(&ping, health, &token, &*clock, &status);
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
        let stop = self.stop.token();
        let worker = DeliveryWorker::new(channel, outbox, clock.clone(), stop, limits::BATCH_DELAY);
        self.statuses.push(NotifierStatus {
            name: name.clone(),
            status: worker.status(),
            carries_own_failure,
        });
        self.threads.push(spawn(&name, move || worker.run())?);
        Ok(())
    }

    /// The status of each channel and of the heartbeat.
    pub fn statuses(&self) -> Vec<NotifierStatus> {
        self.statuses.clone()
    }

    /// Stops every channel; pending events are on disk. Returns the names of threads that did
    /// not end in time.
    pub fn stop(self, deadline: Instant) -> Vec<String> {
        self.stop.stop();
        if let Some(requests) = &self.mail_tokens {
            requests.cancel();
        }
        join_all(self.threads, deadline)
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

/// A channel that masks secrets in its errors, which may quote the server.
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
        let masked = DeliveryHooks {
            before_data: &mut *hooks.before_data,
            report: &mut |step, elapsed, result| {
                (hooks.report)(step, elapsed, &result.clone().map(mask).map_err(mask));
            },
            stop: hooks.stop,
        };
        let attempt = self.channel.deliver(batch, masked);
        Attempt {
            refused: attempt.refused.map(mask),
            retry: attempt.retry.map(mask),
            ..attempt
        }
    }

    fn check(&self) -> Option<Result<(), String>> {
        let mask = |why: String| self.secrets.mask(&why).into_owned();
        self.channel.check().map(|result| result.map_err(mask))
    }

    fn check_token(&self) -> Option<Result<(), String>> {
        let mask = |why: String| self.secrets.mask(&why).into_owned();
        self.channel
            .check_token()
            .map(|result| result.map_err(mask))
    }

    fn message_id_domain(&self) -> String {
        self.channel.message_id_domain()
    }

    fn filter(&self) -> AlertFilter {
        self.channel.filter()
    }

    fn config_fingerprint(&self) -> u16 {
        self.channel.config_fingerprint()
    }

    fn carries_own_failure(&self) -> bool {
        self.channel.carries_own_failure()
    }
}

/// The sender named in every message.
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
