//! Telling people: from events in the outbox to mail, webhooks and a dead man's switch.
//!
//! The threads `mail` and `webhook` each deliver one channel, `ping` tells a dead man's
//! switch that all is well. None of them decides what is worth telling (`domain::alert`
//! does), and none touches the database: the outbox is handed in. Async code lives in
//! [`smtp`] alone.

pub mod delivery;
pub mod mail;
pub mod message;
pub mod ping;
pub mod smtp;
pub mod webhook;
