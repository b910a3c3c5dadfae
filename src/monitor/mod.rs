//! HTTP server, routes and web pages, served from the published snapshot.
//!
//! The server's thread owns every network socket; tiny_http's workers run behind it. Nothing
//! here changes data: it renders values and reads history.

// HTTP: connections, parsing, the worker pool.
pub mod http;

// Content of responses.
mod context;
mod device_keys;
mod format;
pub mod picture;
mod problem;
mod routes;
mod status_text;
mod web;

#[cfg(test)]
#[path = "tests/support.rs"]
mod support;

pub use context::{
    ChannelState, Context, HistoryFailure, Installation, RefusedConfiguration, ViewSettings,
};
pub use device_keys::DeviceKeys;
pub use http::basic_auth::Password;
pub use routes::app::App;
pub use routes::published::Published;
