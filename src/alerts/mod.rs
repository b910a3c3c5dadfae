//! Alert delivery: from events in the outbox to mail and webhooks, and the heartbeat.
//!
//! Each channel has a thread of its own name (`mail`, `webhook`); `ping` sends the heartbeat. None of
//! them decides what is an alert (`domain::alert` does), and none touches the database: the outbox
//! is handed in. Async code lives in `channels::smtp` alone.

pub mod channels;
pub mod delivery;
pub mod delivery_status;
pub mod heartbeat;
mod login_check;
pub mod message;
mod message_format;
mod refused_queue;
mod url_mask;
