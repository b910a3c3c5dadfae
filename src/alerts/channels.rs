//! Notification channels: mail and webhook.

pub mod mail;
pub mod smtp;
pub mod webhook;
