//! Web pages (dashboard): plain HTML, rendered on demand by a worker.
//!
//! Pages are functions from a [`PageContext`] to parts; nothing in here keeps state but the
//! sparklines and the years read last. Everything that came from an API is text (maud escapes it).

pub mod alerts;
pub mod chart;
pub mod charts;
pub mod comparison;
pub mod display;
mod fitted_text;
pub mod group;
pub mod grouping;
mod history_table;
pub mod key;
pub mod key_history;
pub mod layout;
pub mod links;
mod local_periods;
pub mod manifest;
pub mod overview;
pub mod period;
mod period_links;
pub mod severity;
pub mod shown_keys;
pub mod source;
mod sparkline;
pub mod system;
pub mod wall;
pub mod welcome;

use crate::domain::health::Storage;
use crate::domain::output_state::OutputState;
use crate::domain::plan::Plan;
use crate::domain::snapshot::Snapshot;
use crate::domain::stable_hash::hash;
use crate::domain::time::Moment;
use crate::monitor::context::{
    ChannelState, Display, ReadForecast, ReadHistory, ReadPeriods, ReadStates,
    RefusedConfiguration, RefusedDevice, ViewSettings,
};
use crate::monitor::status_text::NodeStatus;
use crate::sys::budget::Budget;

pub use key::YearCache;
pub use links::Links;
pub use sparkline::Sparklines;

const STYLE: &str = include_str!(concat!(env!("OUT_DIR"), "/style.css"));
pub const SCRIPT: &str = include_str!(concat!(env!("OUT_DIR"), "/live.js"));
pub static STYLE_GZIPPED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/style.css.gz"));
pub static SCRIPT_GZIPPED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/live.js.gz"));

/// Content Security Policy: nothing from other origins, no inline script, and no framing but by
/// `ancestors`.
pub fn content_security_policy(ancestors: &[String]) -> String {
    let ancestors = match ancestors {
        [] => "'none'".to_owned(),
        sites => sites.join(" "),
    };
    format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
         connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
    )
}
const WALL_STYLE: &str = include_str!("wall.css");
const WALL_SCRIPT: &str = include_str!("wall.js");
pub static WALL_STYLE_GZIPPED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/wall.css.gz"));
pub static WALL_SCRIPT_GZIPPED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/wall.js.gz"));

/// What pages are rendered from.
pub struct PageContext<'a> {
    pub state: &'a NodeStatus,
    pub snapshot: &'a Snapshot,
    pub storage: &'a Storage,
    pub displays: &'a [Display],
    /// Displays of the configuration that have not asked since the start.
    pub unseen_displays: Vec<&'a str>,
    pub refused_devices: Vec<RefusedDevice>,
    pub channels: &'a [ChannelState],
    pub outputs: &'a [OutputState],
    pub refused_configuration: Option<&'a RefusedConfiguration>,
    pub plan: &'a Plan,
    pub history: &'a ReadHistory,
    pub forecast: &'a ReadForecast,
    pub periods: &'a ReadPeriods,
    pub states: &'a ReadStates,
    /// The work limit that is left for reading history for this page.
    pub budget: &'a Budget,
    pub sparklines: &'a Sparklines,
    pub years: &'a YearCache,
    pub settings: &'a ViewSettings,
    /// What links of the page begin with.
    pub links: &'a Links,
    pub now: Moment,
}

impl PageContext<'_> {
    /// The link to a path of this node.
    pub fn url(&self, path: &str) -> String {
        self.links.url(path)
    }

    /// Whether the built-in example runs: nobody asked for its values, so they are no alarm.
    pub fn is_unconfigured(&self) -> bool {
        self.settings.is_example && !self.settings.is_demo
    }

    /// The title of all pages.
    pub fn title(&self) -> &str {
        let title = self.plan.pages.title.as_deref();
        title.unwrap_or(&self.settings.node_name)
    }
}

/// File names that change with what the files hold, so that browsers may keep them.
pub fn style_name() -> String {
    const HASH: u64 = hash(STYLE.as_bytes());
    format!("{HASH:016x}.css")
}

pub fn script_name() -> String {
    const HASH: u64 = hash(SCRIPT.as_bytes());
    format!("{HASH:016x}.js")
}

pub fn wall_style_name() -> String {
    const HASH: u64 = hash(WALL_STYLE.as_bytes());
    format!("{HASH:016x}.css")
}

pub fn wall_script_name() -> String {
    const HASH: u64 = hash(WALL_SCRIPT.as_bytes());
    format!("{HASH:016x}.js")
}

/// A disc with a mark, so that colour is not the only sign.
pub fn favicon(verdict: &str) -> String {
    let (colour, mark) = match verdict {
        "pass" => ("#1a7f4b", "M8 17l5 5 11-12"),
        "warn" => ("#b45309", "M16 7v11M16 23v2"),
        _ => ("#c0262d", "M10 10l12 12M22 10L10 22"),
    };
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="16" fill="{colour}"/><path d="{mark}" fill="none" stroke="white" stroke-width="4" stroke-linecap="round" stroke-linejoin="round"/></svg>"#
    )
}
