//! Telling people: the channels that the configuration names, and their threads.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::alerts::channels::mail::MailChannel;
use crate::alerts::channels::smtp::{Protection, SmtpAccount, SmtpLogin, Timeouts};
use crate::alerts::channels::webhook::{BodyFormat, WebhookChannel};
use crate::alerts::delivery::{
    Attempt, Channel, DeliveryBatch, DeliveryWorker, SharedDeliveryStatus, WakeSignal,
};
use crate::alerts::heartbeat;
use crate::alerts::message::SenderInfo;
use crate::config::{Config, MailConfig, MailTls, WebhookFormat};
use crate::db::store::Store;
use crate::db::store::alerts::StoredOutbox;
use crate::domain::alert::DeliveryFailure;
use crate::domain::redact::Secrets;
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::thread::{Thread, spawn};

/// The dead man's switch among the channels.
const PING: &str = "ping";

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
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The names of the channels that the configuration asks for.
pub fn channels(config: &Config) -> Vec<&'static str> {
    let mail = mail_channel(config).map(|channel| channel.name());
    let webhook = webhook(config).map(|channel| channel.name());
    mail.into_iter().chain(webhook).collect()
}

/// Those who tell people, running.
pub struct Notifiers {
    wake_signals: WakeSignals,
    threads: Vec<Thread>,
    statuses: Vec<(&'static str, SharedDeliveryStatus)>,
}

impl Notifiers {
    /// Starts a thread per channel. `is_well` is what the dead man's switch hears of.
    pub fn start(
        config: &Config,
        wake_signals: WakeSignals,
        store: &Arc<Store>,
        clock: &Arc<dyn Clock>,
        is_well: impl Fn() -> bool + Send + 'static,
    ) -> std::io::Result<Notifiers> {
        let mut telling = Notifiers {
            wake_signals,
            threads: Vec::new(),
            statuses: Vec::new(),
        };
        if let Some(channel) = mail_channel(config) {
            telling.deliver(MaskedChannel::new(channel, config), store, clock)?;
        }
        if let Some(channel) = webhook(config) {
            telling.deliver(MaskedChannel::new(channel, config), store, clock)?;
        }
        if let Some(url) = &config.notifications.ping {
            let (url, wake_signal) = (url.reveal().to_owned(), telling.wake_signals.add());
            let (clock, status) = (clock.clone(), SharedDeliveryStatus::default());
            telling.statuses.push((PING, status.clone()));
            let run = move || heartbeat::run(&url, is_well, &wake_signal, &*clock, &status);
            telling.threads.push(spawn("ping", run)?);
        }
        Ok(telling)
    }

    fn deliver(
        &mut self,
        channel: MaskedChannel,
        store: &Arc<Store>,
        clock: &Arc<dyn Clock>,
    ) -> std::io::Result<()> {
        let name = channel.name();
        let outbox = Box::new(StoredOutbox(store.clone()));
        let wake_signal = self.wake_signals.add();
        let delivery =
            DeliveryWorker::new(channel, outbox, clock.clone(), wake_signal, limits::GATHER);
        self.statuses.push((name, delivery.status()));
        self.threads.push(spawn(name, move || delivery.run())?);
        Ok(())
    }

    /// How each channel is doing.
    pub fn statuses(&self) -> Vec<(&'static str, SharedDeliveryStatus)> {
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

/// What cannot be delivered now. No alert waits for the dead man's switch.
pub fn delivery_failures(
    statuses: &[(&'static str, SharedDeliveryStatus)],
) -> Vec<DeliveryFailure> {
    statuses
        .iter()
        .filter(|(name, _)| *name != PING)
        .filter_map(|(_, status)| status.get().failure)
        .collect()
}

/// A channel whose troubles show no secret, should its server repeat one.
struct MaskedChannel {
    channel: Box<dyn Channel>,
    secrets: Arc<Secrets>,
}

impl MaskedChannel {
    fn new(channel: impl Channel + 'static, config: &Config) -> MaskedChannel {
        MaskedChannel {
            channel: Box::new(channel),
            secrets: config.secrets.clone(),
        }
    }
}

impl Channel for MaskedChannel {
    fn name(&self) -> &'static str {
        self.channel.name()
    }

    fn deliver(
        &self,
        batch: &DeliveryBatch<'_>,
        before_data: &mut dyn FnMut() -> Result<(), String>,
        wake_signal: &WakeSignal,
    ) -> Attempt {
        let mask = |why: String| self.secrets.mask(&why).into_owned();
        let attempt = self.channel.deliver(batch, before_data, wake_signal);
        Attempt {
            refused: attempt.refused.map(mask),
            retry: attempt.retry.map(mask),
            ..attempt
        }
    }

    fn message_id_domain(&self) -> String {
        self.channel.message_id_domain()
    }

    fn config_fingerprint(&self) -> u16 {
        self.channel.config_fingerprint()
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

/// The mail channel, where one is configured.
pub fn mail_channel(config: &Config) -> Option<MailChannel> {
    let mail = config.mail.as_ref()?;
    Some(MailChannel {
        account: account(mail, &config.name),
        to: mail.to.clone(),
        sender: sender(config),
    })
}

/// The second channel, where one is configured.
pub fn webhook(config: &Config) -> Option<WebhookChannel> {
    let webhook = config.notifications.webhook.as_ref()?;
    Some(WebhookChannel {
        url: webhook.url.reveal().to_owned(),
        format: match webhook.format {
            WebhookFormat::Json => BodyFormat::Json,
            WebhookFormat::Text => BodyFormat::Text,
        },
        sender: sender(config),
    })
}

fn account(mail: &MailConfig, node: &str) -> SmtpAccount {
    let login = match (&mail.user, &mail.password) {
        (Some(user), Some(password)) => Some(SmtpLogin {
            user: user.clone(),
            password: password.reveal().to_owned(),
        }),
        _ => None,
    };
    SmtpAccount {
        host: mail.host.clone(),
        port: mail.port,
        protection: match mail.tls {
            MailTls::Upgrade => Protection::StartTls,
            MailTls::Implicit => Protection::Implicit,
            MailTls::Off => Protection::None,
        },
        login,
        from: mail.from.clone(),
        ca_file: mail.ca_file.clone(),
        plain_anywhere: mail.plain_anywhere,
        own_name: own_name(node),
        timeouts: Timeouts::default(),
    }
}

/// What EHLO says; anything but a host name's letters would be another command.
fn own_name(node: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let name: String = node.chars().filter(|c| fits(*c)).take(63).collect();
    match name.is_empty() {
        true => "main-node.local".to_owned(),
        false => name,
    }
}

#[cfg(test)]
#[path = "tests/notifiers.rs"]
mod tests;
