//! Telling people: from events in the outbox to mail, webhooks and a dead man's switch.
//!
//! The threads `mail` and `webhook` each deliver one channel, `ping` tells a dead man's
//! switch that all is well. None of them decides what is worth telling (`domain::alert`
//! does), and none touches the database: the outbox is handed in. Async code lives in
//! [`channels::smtp`] alone.

pub mod channels;
pub mod delivery;
pub mod delivery_status;
pub mod heartbeat;
mod http_client;
pub mod message;
mod message_format;
mod refused_queue;
