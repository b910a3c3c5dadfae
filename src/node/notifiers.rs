//! Telling people: the channels that the configuration names, and their threads.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::alerts::channels::mail::MailChannel;
use crate::alerts::channels::smtp::{Account, Login, Patience, Protection};
use crate::alerts::channels::webhook::{Format, Webhook};
use crate::alerts::delivery::{Attempt, Batch, Bell, Channel, Delivery, SharedStatus};
use crate::alerts::heartbeat;
use crate::alerts::message::Sender;
use crate::config::{Config, Mail, Tls, WebhookFormat};
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
pub struct Bells(Arc<Mutex<Vec<Bell>>>);

impl Bells {
    fn add(&self) -> Bell {
        let bell = Bell::default();
        self.lock().push(bell.clone());
        bell
    }

    /// There may be something new to tell.
    pub fn ring(&self) {
        self.lock().iter().for_each(Bell::ring);
    }

    fn close(&self) {
        self.lock().iter().for_each(Bell::close);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Bell>> {
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
pub struct Telling {
    bells: Bells,
    threads: Vec<Thread>,
    statuses: Vec<(&'static str, SharedStatus)>,
}

impl Telling {
    /// Starts a thread per channel. `is_well` is what the dead man's switch hears of.
    pub fn start(
        config: &Config,
        bells: Bells,
        store: &Arc<Store>,
        clock: &Arc<dyn Clock>,
        is_well: impl Fn() -> bool + Send + 'static,
    ) -> std::io::Result<Telling> {
        let mut telling = Telling {
            bells,
            threads: Vec::new(),
            statuses: Vec::new(),
        };
        if let Some(channel) = mail_channel(config) {
            telling.deliver(Discreet::new(channel, config), store, clock)?;
        }
        if let Some(channel) = webhook(config) {
            telling.deliver(Discreet::new(channel, config), store, clock)?;
        }
        if let Some(url) = &config.telling.ping {
            let (url, bell) = (url.reveal().to_owned(), telling.bells.add());
            let (clock, status) = (clock.clone(), SharedStatus::default());
            telling.statuses.push((PING, status.clone()));
            let run = move || heartbeat::run(&url, is_well, &bell, &*clock, &status);
            telling.threads.push(spawn("ping", run)?);
        }
        Ok(telling)
    }

    fn deliver(
        &mut self,
        channel: Discreet,
        store: &Arc<Store>,
        clock: &Arc<dyn Clock>,
    ) -> std::io::Result<()> {
        let name = channel.name();
        let outbox = Box::new(StoredOutbox(store.clone()));
        let bell = self.bells.add();
        let delivery = Delivery::new(channel, outbox, clock.clone(), bell, limits::GATHER);
        self.statuses.push((name, delivery.status()));
        self.threads.push(spawn(name, move || delivery.run())?);
        Ok(())
    }

    /// How each channel is doing.
    pub fn statuses(&self) -> Vec<(&'static str, SharedStatus)> {
        self.statuses.clone()
    }

    /// Ends every channel; what waits is on the disk. Names what did not end in time.
    pub fn stop(self, deadline: Instant) -> Vec<String> {
        self.bells.close();
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
pub fn troubles(statuses: &[(&'static str, SharedStatus)]) -> Vec<DeliveryFailure> {
    statuses
        .iter()
        .filter(|(name, _)| *name != PING)
        .filter_map(|(_, status)| status.get().trouble)
        .collect()
}

/// A channel whose troubles show no secret, should its server repeat one.
struct Discreet {
    channel: Box<dyn Channel>,
    secrets: Arc<Secrets>,
}

impl Discreet {
    fn new(channel: impl Channel + 'static, config: &Config) -> Discreet {
        Discreet {
            channel: Box::new(channel),
            secrets: config.secrets.clone(),
        }
    }
}

impl Channel for Discreet {
    fn name(&self) -> &'static str {
        self.channel.name()
    }

    fn deliver(
        &self,
        batch: &Batch<'_>,
        before_data: &mut dyn FnMut() -> Result<(), String>,
        bell: &Bell,
    ) -> Attempt {
        let mask = |why: String| self.secrets.mask(&why).into_owned();
        let attempt = self.channel.deliver(batch, before_data, bell);
        Attempt {
            refused: attempt.refused.map(mask),
            again: attempt.again.map(mask),
            ..attempt
        }
    }

    fn domain(&self) -> String {
        self.channel.domain()
    }

    fn setup(&self) -> u16 {
        self.channel.setup()
    }
}

/// Who every message says that it comes from.
pub fn sender(config: &Config) -> Sender {
    Sender {
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
pub fn webhook(config: &Config) -> Option<Webhook> {
    let webhook = config.telling.webhook.as_ref()?;
    Some(Webhook {
        url: webhook.url.reveal().to_owned(),
        format: match webhook.format {
            WebhookFormat::Json => Format::Json,
            WebhookFormat::Text => Format::Text,
        },
        sender: sender(config),
    })
}

fn account(mail: &Mail, node: &str) -> Account {
    let login = match (&mail.user, &mail.password) {
        (Some(user), Some(password)) => Some(Login {
            user: user.clone(),
            password: password.reveal().to_owned(),
        }),
        _ => None,
    };
    Account {
        host: mail.host.clone(),
        port: mail.port,
        protection: match mail.tls {
            Tls::Upgrade => Protection::StartTls,
            Tls::Implicit => Protection::Implicit,
            Tls::Off => Protection::None,
        },
        login,
        from: mail.from.clone(),
        ca_file: mail.ca_file.clone(),
        plain_anywhere: mail.plain_anywhere,
        own_name: own_name(node),
        patience: Patience::default(),
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
