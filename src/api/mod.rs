//! API client and fetch loop: from an operation's description to an observation.
//!
//! One thread per source, named `fetch-<source>`. Never touches the database, the HTTP
//! server or another source. In the order of a fetch:
//! - the loop: `fetcher` (with `failure_log` for the log, `request_quota`);
//! - the request: `source_request` of `client` (generated, with its runtime `request`) or of
//!   `url_source`, with `argument_template` and `outgoing_request`;
//! - operations read at run time: `description_file`, with `lowered_form`;
//! - its credential: `auth`, which may send requests of its own, with `www_authenticate`
//!   (challenges), `digest` (answers to them) and `basic_auth`;
//! - HTTP: `transport` (redirects, retries), with `agent`, `sent_request`, `http_response`;
//! - connections below it: `lenient_transport` (with `response_head`, `chunked`),
//!   `connection_pool`, `pooled_connection`, `proxy`, `dns`, `tcp`, all under the stop and deadline
//!   of `fetch_control`;
//! - the cause of a failure: `error_mapping`, `certificate_errors`, `status_errors`;
//! - the response: `content_coding`, `response_parser`, with `response_format`, `charset`, `json`,
//!   `parsed_body` and `follow`;
//! - several responses as one: `pagination`, with `link_header`;
//! - how long it stays valid: `cache_lifetime`.

pub mod agent;
pub mod argument_template;
pub mod auth;
pub mod basic_auth;
mod cache_lifetime;
mod certificate_errors;
mod charset;
mod chunked;
pub mod client;
mod connect_error;
pub mod connection_pool;
mod content_coding;
pub mod demo_server;
pub mod description_file;
mod digest;
mod dns;
mod error_context;
mod error_mapping;
mod error_message;
mod failure_log;
mod fetch_control;
mod fetch_result;
pub mod fetcher;
mod follow;
mod format;
pub mod http_exchange;
pub mod http_response;
mod json;
mod lenient_transport;
mod link_header;
pub mod lowered_form;
pub mod origin;
pub mod outgoing_request;
pub mod pagination;
mod parsed_body;
mod pooled_connection;
pub mod private_address;
mod proxy;
mod redirect;
pub mod request;
pub mod request_quota;
mod response_format;
mod response_head;
mod response_parser;
mod sent_request;
mod simulate;
pub mod simulated_house;
pub mod source_request;
mod status_errors;
mod tcp;
pub mod transport;
pub mod url_source;
mod validators;
mod www_authenticate;

#[cfg(test)]
#[path = "tests/fault_server.rs"]
pub mod fault_server;
#[cfg(test)]
#[path = "tests/faults.rs"]
pub mod faults;
#[cfg(test)]
#[path = "tests/fuzz.rs"]
mod fuzz;
#[cfg(test)]
#[path = "tests/support.rs"]
pub mod support;
