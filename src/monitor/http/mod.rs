//! HTTP server: listener, connections, parser, caches, event streams, and the client of the
//! worker pool behind it.

mod accept;
mod admission;
pub mod basic_auth;
mod connection;
mod connection_cache;
mod connection_input;
mod connection_table;
pub mod cors;
mod deadline_timer;
pub mod event_log;
mod event_stream;
pub mod forwarded;
mod guarded_handler;
pub mod handler;
pub mod host_check;
pub mod listener;
pub mod login_throttle;
mod micro_cache;
mod parser;
mod pool_client;
mod pool_slots;
pub mod private_dir;
mod response_writer;
mod send_budget;
pub mod server;
pub mod server_limits;
mod server_state;
pub mod stats;
mod worker_pool;

#[cfg(test)]
#[path = "tests/support.rs"]
mod tests;
