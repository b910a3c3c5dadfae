//! Serving: what displays, people and Prometheus ask, from the published snapshot.
//!
//! The gate's thread owns every network socket; tiny_http's workers sit behind it. Nothing
//! here changes what is known: it renders values and reads history.

// How an answer gets out.
mod access;
pub mod answer;
pub mod events;
pub mod gate;
pub mod server;
pub mod traffic;

// What an answer says.
mod answers;
mod cold;
#[cfg(test)]
mod contract;
mod cors;
mod cut_offs;
mod displays;
mod entity;
mod front;
#[cfg(test)]
mod fuzz;
mod guesses;
mod history;
mod host;
mod hot;
mod metrics;
mod openapi;
mod problem;
mod process;
mod published;
mod route;
pub mod snapshot;
mod status;
#[cfg(test)]
mod testing;
mod web;
mod words;

pub use access::Password;
pub use answers::{ChannelState, Context, HistoryFailure, Monitor, RequestCount, Settings};
pub use published::Published;
