//! Serving: what displays, people and Prometheus ask, from the published snapshot.
//!
//! The gate's thread owns every network socket; tiny_http's workers sit behind it. Nothing
//! here changes what is known: it renders values and reads history.

// How an answer gets out.
pub mod http;

// What an answer says.
mod context;
mod format;
mod problem;
mod routes;
mod status_text;
mod web;

#[cfg(test)]
#[path = "tests/support.rs"]
mod support;

pub use context::{ChannelState, Context, HistoryFailure, ViewSettings};
pub use http::basic_auth::Password;
pub use routes::app::App;
pub use routes::published::Published;
