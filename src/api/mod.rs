//! Fetching: from an operation's description to an observation.
//!
//! One thread per source, named `fetch-<source>`. Never touches the database, the HTTP
//! server or another source. In the order of a fetch: the request (`client`, generated, with
//! its runtime `request`; or `plain`), its way (`transport`, with `pool`, `proxy`
//! and `connect` below it and `redirect`), what its failure is called (`attribution`), its answer (`json`, `follow`),
//! and the loop around it all (`fetcher`, with `chronicle` for the log).

mod attribution;
mod chronicle;
pub mod client;
mod connect;
pub mod demo;
pub mod exchange;
pub mod fetcher;
mod follow;
pub mod inside;
mod json;
pub mod plain;
pub mod pool;
mod proxy;
mod redirect;
pub mod request;
mod simulate;
pub mod transport;

#[cfg(test)]
pub mod fault_server;
#[cfg(test)]
pub mod faults;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod stories;
