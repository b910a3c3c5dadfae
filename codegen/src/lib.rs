//! OpenAPI files to `src/api/client.rs`, in three steps that can be tested alone:
//! spec (what lies on the disk) → model (what fetching needs) → emit (Rust).
//!
//! The way: `spec` reads files with `yaml` and `json` into `node` trees that know their
//! places; `lower` finds the GETs and asks `parameters`, `security`, `answers` and `shapes`
//! for their parts; `dedupe` makes equal schemas one; `emit` and `data` write. `report` keeps
//! what was taken and what was left out. Nothing reads the network or runs a program.

#![forbid(unsafe_code)]

pub mod answers;
pub mod command;
pub mod data;
pub mod dedupe;
pub mod emit;
pub mod json;
pub mod lower;
pub mod model;
pub mod names;
pub mod node;
pub mod packed;
pub mod parameters;
pub mod patterns;
pub mod report;
pub mod security;
pub mod shapes;
pub mod spec;
pub mod values;
pub mod yaml;
