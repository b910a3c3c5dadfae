//! Fetching: from an operation's description to an observation.
//!
//! One thread per source, named `fetch-<source>`. Never touches the database, the HTTP
//! server or another source.

mod attribution;
mod chronicle;
pub mod client;
mod connect;
pub mod demo;
#[cfg(test)]
mod fault_server;
#[cfg(test)]
mod faults;
pub mod fetcher;
#[cfg(test)]
mod fuzz;
mod json;
pub mod plain;
mod redirect;
pub mod request;
mod simulate;
#[cfg(test)]
mod stories;
pub mod transport;
