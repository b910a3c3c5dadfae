//! Notification channels: the trait, and the list of those that are configured.
//!
//! A channel is a name and a way to deliver a batch of events. Everything that goes over all
//! channels (delivery, `check`, `test-alert`, `rehearse`, `/status`, metrics, pages) loops
//! over the list; the domain and the database know channels by name alone.

mod mail;
pub mod mail_message;
mod smtp;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use super::message::SenderInfo;
use crate::config::Notifications;
use crate::domain::alert_filter::AlertFilter;
use crate::domain::outbox::OutboxItem;
use crate::domain::time::Moment;
use crate::sys::shutdown::StopToken;

/// The channels of one kind that the configuration asks for.
type ChannelKind = fn(ChannelInputs<'_>) -> Vec<Box<dyn Channel>>;

/// Every kind of channel.
const KINDS: [ChannelKind; 2] = [mail::channels, webhook::channels];

/// Every channel that is configured.
pub fn configured(inputs: ChannelInputs<'_>) -> Vec<Box<dyn Channel>> {
    KINDS.iter().flat_map(|kind| kind(inputs)).collect()
}

/// Gets an access token of OAuth 2.0 for a login, or another one than that which the server has
/// refused; an error says why there is none. It may send requests.
pub type AccessTokens = Arc<dyn Fn(Option<&str>) -> Result<String, String> + Send + Sync>;

/// What channels are made of.
#[derive(Clone, Copy)]
pub struct ChannelInputs<'a> {
    pub settings: &'a Notifications,
    pub sender: &'a SenderInfo,
    /// Of `auth` in `[mail]`; not needed where nothing is delivered.
    pub mail_tokens: Option<&'a AccessTokens>,
}

/// Called after each step of a delivery: its name, how long it took, and its result.
type StepReporter<'a> = dyn FnMut(&str, Duration, &Result<String, String>) + 'a;

/// Callbacks of one delivery.
pub struct DeliveryHooks<'a> {
    /// Called once, before the first byte that could deliver; an error ends the attempt.
    pub before_data: &'a mut dyn FnMut() -> Result<(), String>,
    pub report: &'a mut StepReporter<'a>,
    /// The attempt ends soon after the stop.
    pub stop: &'a StopToken,
}

/// A way to deliver alerts to people.
pub trait Channel: Send {
    /// Unique among the channels that are configured; the outbox stores it.
    fn name(&self) -> &str;

    /// Where it delivers, short and without secrets.
    fn destination(&self) -> String;

    /// Makes one delivery attempt.
    fn deliver(&self, batch: &DeliveryBatch<'_>, hooks: DeliveryHooks<'_>) -> Attempt;

    /// Connects and logs in without delivering anything; `None` if the channel cannot.
    fn check(&self) -> Option<Result<(), String>> {
        None
    }

    /// Gets an access token, if that is the login; `None` if it is not.
    fn check_token(&self) -> Option<Result<(), String>> {
        None
    }

    /// The domain of a Message-ID.
    fn message_id_domain(&self) -> String {
        "main-node.invalid".to_owned()
    }

    /// The alerts that it delivers.
    fn filter(&self) -> AlertFilter {
        AlertFilter::default()
    }

    /// Fingerprint of the configuration: what is refused under one may be accepted under another.
    fn config_fingerprint(&self) -> u16;

    /// Whether the alert about its own failure is sent over it, too.
    fn carries_own_failure(&self) -> bool {
        true
    }
}

/// The result of one delivery attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Recipients that have the message; empty where there is only one.
    pub done_recipients: Vec<String>,
    /// Why it was refused, in one sentence.
    pub refused: Option<String>,
    /// Whether it is refused for its content, so that parts of it may be accepted.
    pub is_about_content: bool,
    /// Why it must be retried soon.
    pub retry: Option<String>,
    /// How long the server asks to wait before that.
    pub retry_after: Option<Duration>,
}

impl Attempt {
    pub fn retry(why: String) -> Attempt {
        Attempt {
            retry: Some(why),
            ..Attempt::default()
        }
    }

    /// Whether every recipient has the message.
    pub fn is_complete(&self) -> bool {
        self.retry.is_none() && self.refused.is_none()
    }
}

/// One message to be delivered.
pub struct DeliveryBatch<'a> {
    pub items: &'a [OutboxItem],
    pub dropped: u64,
    pub message_id: &'a str,
    /// Recipients that have it already.
    pub done_recipients: &'a [String],
    pub now: Moment,
    /// Why it could not be delivered before.
    pub delayed_by: Option<&'a str>,
}

/// Fingerprint of settings and of this version. It is short, so that it reveals nothing of a secret
/// among them; a collision costs a day, until the daily retry.
pub fn fingerprint(settings: &[&str]) -> u16 {
    let mut hash: u32 = 0x811c_9dc5; // FNV-1a
    let version = env!("CARGO_PKG_VERSION");
    for setting in settings.iter().chain([&version]) {
        for byte in setting.bytes().chain([0xff]) {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
    (hash >> 16) as u16 ^ hash as u16
}
