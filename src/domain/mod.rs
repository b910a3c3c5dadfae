//! What the node knows and decides, as values and functions.
//!
//! Pure: nothing in here reads a clock, does I/O, speaks SQL or HTTP, or starts a
//! thread. Time, configuration, the previous state and the new observation come in as
//! arguments; new state and what follows from it come out. Reading order is the order
//! of the modules below.

pub mod alert;
pub mod alert_event;
pub mod alert_filter;
pub mod alert_level;
pub mod back_off;
pub mod battery;
mod chart_kind;
mod clock_filter;
pub mod clock_trust;
pub mod clock_wait;
pub mod compact_sort;
pub mod counter;
pub mod csv_field;
pub mod day_range;
pub mod derived;
pub mod derived_key;
pub mod failure;
pub mod formula;
pub mod freshness;
pub mod health;
pub mod history;
pub mod http_date;
pub mod json_path;
pub mod key_pattern;
pub mod ledger;
pub mod locale;
pub mod log_throttle;
pub mod merge;
pub mod normalise;
pub mod number_pattern;
pub mod open_alert;
pub mod outbox;
pub mod output_state;
pub mod path_prefix;
pub mod percent;
pub mod placeholder;
pub mod plan;
pub mod presentation;
pub mod quota;
pub mod reading;
pub mod redact;
pub mod retention_clock;
pub mod schedule;
pub mod secret_detection;
pub mod service_url;
pub mod severity;
#[cfg(test)]
#[path = "tests/simulated_month.rs"]
mod simulated_month;
pub mod snapshot;
pub mod snapshot_body;
pub mod snapshot_change;
pub mod snapshot_wire;
pub mod stable_hash;
pub mod stored_rows;
pub mod template;
pub mod text;
pub mod time;
pub mod time_window;
pub mod token_placement;
pub mod toml_text;
mod unescape;
pub mod value_path;
