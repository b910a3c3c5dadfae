//! Fetching: from an operation's description to an observation.
//!
//! One thread per source, named `fetch-<source>`. Never touches the database, the HTTP
//! server or another source.

pub mod client;
pub mod fetcher;
pub mod request;
pub mod transport;
