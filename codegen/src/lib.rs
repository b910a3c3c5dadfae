//! OpenAPI: operations and schemas as main-node uses them, and how files become those.
//!
//! The vocabulary is in `operation` and `schema`, with the checks of arguments and responses
//! beside it. `lower` turns a description (YAML or JSON) into it; `emit` and `command` are
//! `cargo codegen`, which writes `src/api/client.rs`. Nothing reads the network or runs a
//! program.

#![forbid(unsafe_code)]
// A table of cases is as long as it has cases.
#![cfg_attr(test, allow(clippy::too_many_lines))]

pub mod compact;
pub mod operation;
pub mod schema;

#[cfg(feature = "lower")]
pub mod lower;

#[cfg(feature = "command")]
pub mod command;
#[cfg(feature = "command")]
pub mod emit;

#[cfg(test)]
#[path = "tests/support.rs"]
mod support;
