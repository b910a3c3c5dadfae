//! # main-node
//!
//! The way of the data:
//!
//! ```text
//! remote APIs ── api ──Observation──▶ ingest ──Arc<Snapshot>──▶ monitor ──▶ displays, people
//!               one thread              │  merge, judge,          gate (smol), then tiny_http's
//!               per source              │  publish                pool for pages and history
//!                                       └──rows──▶ db: the store thread, SQLite
//! ```
//!
//! What holds everywhere:
//! - `domain` is pure: it reads no clock, does no I/O, knows no SQL and no HTTP. Time,
//!   configuration and state go in, new state and values come out.
//! - Arrows: `main → node → everything`; `ingest → domain`; `api`, `db`, `monitor` →
//!   `domain`, `sys`. Edges never import each other. `domain` and `limits` import nothing
//!   of the crate but each other. `tests/tidy.rs` holds this.
//! - One owner for each mutable thing. Views render one published value, so that they
//!   cannot disagree, and nothing they do waits for the disk.
//! - Every bound is named in `limits`. Every wait can be interrupted by the stop.
//! - A panic costs one turn of one loop: it is caught at the edge of the turn, logged,
//!   counted and shown. Nothing that input can reach may panic.
//! - The wall clock only stamps. Intervals, ages and alerts run on `CLOCK_BOOTTIME`.
//!
//! What is absent on purpose: an async web stack, a configuration that reloads, writes over
//! HTTP, anything fetched that no source names.

// `println!` panics where the reader went away (`main-node check | head`).
#![cfg_attr(not(test), deny(clippy::print_stdout))]

// In reading order: what is known, how it comes in, how it is kept, how it goes out.
mod domain;
mod limits;

mod alerts;
mod api;
mod db;
mod ingest;
mod monitor;

mod cli;
mod commands;
mod config;
mod node;
mod sys;

#[cfg(test)]
mod golden;

use std::process::ExitCode;

/// One heap for all threads, coalesced when memory is freed: half the resident memory of
/// musl's allocator under 100 sources, and flat under abuse where musl's grew threefold.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let status = match cli::parse(&arguments) {
        Ok(arguments) => commands::run(arguments),
        Err((text, 0)) => commands::print_out(&format_args!("{}\n", text.trim_end())),
        Err((text, status)) => {
            eprintln!("{text}");
            status
        }
    };
    ExitCode::from(status)
}
