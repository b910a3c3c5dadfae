//! # main-node
//!
//! The path of the data:
//!
//! ```text
//! remote APIs ── api ──Observation──▶ ingest ──Arc<Snapshot>──▶ monitor ──▶ displays, people
//!               one thread              │  merge, evaluate        HTTP server (smol); tiny_http's
//!               per source              │  alerts, publish        worker pool for pages, history
//!                                       └──rows──▶ db: the store thread, SQLite ──▶ alerts
//! ```
//!
//! Glossary:
//! - source: an API that is polled, by an operation of an OpenAPI file or by a URL;
//! - operation: one request of an OpenAPI file (`operationId`);
//! - account: credentials and a quota that several sources share (`[auth.NAME]`);
//! - device: one of several of a kind, each a source of its own (`for`);
//! - placeholder: a date in a request, filled for each fetch (`{today}`);
//! - observation: the result of one fetch: readings and issues, or a failure with its cause;
//! - reading: one key and its value, as one source gave it;
//! - series: the values of one key with times of their own, of the elements of a list;
//! - forecast: the values of a series that are ahead of now;
//! - derived key: one that is computed from others (`[derived.NAME]`);
//! - window: the span of time of which a derived key takes the rows of its input;
//! - record: the current value of a key, merged of the readings of its sources;
//! - snapshot: all records, the health of the sources and the open alerts at one moment;
//! - label: what people read instead of a key; data keep the key;
//! - group: a heading of the overview and its keys (`[[group]]`; without one, each source);
//! - wall: a page for a tablet on the wall, without links (`[[wall]]`);
//! - period: a span of time of a page, and the hours, days or months that history is cut into;
//! - stale: older than `stale_after`, or of unknown age;
//! - upstream node: another main-node that is a source (`follow`);
//! - ledger: the last values of all sources, and which of them are stored;
//! - incident: one problem from its trigger to its recovery; all its messages share it;
//! - channel: a way to deliver alerts (mail, webhook);
//! - output: what sends the snapshot or the stored rows elsewhere (MQTT, databases, displays);
//! - outbox: alert events that are stored until a channel has delivered them;
//! - tier: rows, hours, days: how long each is kept is retention;
//! - salvage: copying what is readable of a damaged database, which is quarantined.
//!
//! Invariants:
//! - `domain` is pure: it reads no clock, does no I/O, knows no SQL and no HTTP. Time,
//!   configuration and state go in, new state and values come out.
//! - `main → commands → node → everything`; `ingest → domain`; `api`, `db`, `monitor`, `alerts`,
//!   `outputs` → `domain`, `limits`, `sys`, and never each other. `tests/tidy` holds this.
//! - One owner for each mutable thing. Views render one published value, so that they cannot
//!   disagree, and nothing they do waits for the disk.
//! - Every bound is named in `limits`. Every wait can be interrupted by the stop token.
//! - A panic costs one iteration of one loop: it is caught, logged, counted and shown. Nothing
//!   that input can reach may panic.
//! - The wall clock only stamps. Intervals, ages and alerts run on `CLOCK_BOOTTIME`.
//!
//! Deliberately absent: an async web stack, a configuration that is reloaded in place, writes over
//! HTTP, requests that no source names. `docs/architecture.md` has the rest.

// `println!` panics where the reader went away (`main-node check | head`).
#![cfg_attr(not(test), deny(clippy::print_stdout))]
// A table of cases is as long as it has cases.
#![cfg_attr(test, allow(clippy::too_many_lines))]

// In reading order: the domain, then input, storage and output, then what assembles them.
mod domain;
mod limits;

mod alerts;
mod api;
mod db;
mod ingest;
mod monitor;
mod outputs;

mod cli;
mod commands;
mod config;
mod node;
mod sys;

#[cfg(test)]
#[path = "tests/golden.rs"]
mod golden;

use std::process::ExitCode;

/// One heap for all threads, coalesced when memory is freed. With 100 sources it takes half the
/// resident memory of musl's allocator, and under load it stays flat where musl's grew threefold.
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
