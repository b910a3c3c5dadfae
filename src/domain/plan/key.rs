//! Settings of a key: how its sources are merged, and how people see its values.

use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeyPlan {
    pub merge: Option<Merge>,
    pub stale_after: Option<Duration>,
    pub unit: Option<Arc<str>>,
    /// What people read instead of the key.
    pub label: Option<Arc<str>>,
    /// Digits behind the decimal point that people see.
    pub decimals: Option<u8>,
    pub show: Option<DisplayUnit>,
    /// Numbers, as they are spelled, and the words for them.
    pub words: Vec<(String, String)>,
    /// Whether it is left out where all keys are listed.
    pub hide: Option<bool>,
    pub chart: Option<ChartKind>,
    /// The axis of its chart shows at least this range, in the stored unit.
    pub range: Option<(f64, f64)>,
    /// Values that pages mark as worth a look, in the stored unit.
    pub warn: Bounds,
    /// Values that pages mark as bad.
    pub bad: Bounds,
    /// Whether it only rises, as a meter does.
    pub counter: Option<bool>,
}

/// How the history of a key is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartKind {
    Line,
    /// A line above a filled area.
    Area,
    /// A bar for each hour, day or month.
    Bars,
    /// A line with steps, for what holds until it changes.
    Steps,
    /// A strip of segments, for words.
    State,
    /// No chart.
    None,
}

impl ChartKind {
    pub const ALL: [ChartKind; 6] = [
        ChartKind::Line,
        ChartKind::Area,
        ChartKind::Bars,
        ChartKind::Steps,
        ChartKind::State,
        ChartKind::None,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ChartKind::Line => "line",
            ChartKind::Area => "area",
            ChartKind::Bars => "bars",
            ChartKind::Steps => "steps",
            ChartKind::State => "state",
            ChartKind::None => "none",
        }
    }
}

/// Limits of a value; outside are those beyond one of them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounds {
    pub above: Option<f64>,
    pub below: Option<f64>,
}

impl Bounds {
    pub fn is_outside(&self, value: f64) -> bool {
        self.above.is_some_and(|bound| value > bound)
            || self.below.is_some_and(|bound| value < bound)
    }

    /// The limit that a value is beyond, else that which it can be beyond, and on which side.
    pub fn nearest(&self, value: f64) -> Option<(&'static str, f64)> {
        let below = self.below.map(|limit| ("below", limit));
        let above = self.above.map(|limit| ("above", limit));
        let is_below = self.below.is_some_and(|limit| value < limit);
        if is_below { below } else { above.or(below) }
    }

    pub fn is_empty(&self) -> bool {
        self.above.is_none() && self.below.is_none()
    }
}

/// The unit in which people see a value, whose data stay as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct DisplayUnit {
    /// Shown is value × factor.
    pub factor: f64,
    pub unit: Arc<str>,
}

/// How several sources make one value; only fresh ones count while there is a fresh one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// The first configured.
    Priority,
    /// The newest observed.
    Latest,
    Mean,
    Median,
}

impl Merge {
    pub const ALL: [Merge; 4] = [Merge::Priority, Merge::Latest, Merge::Mean, Merge::Median];

    pub fn name(self) -> &'static str {
        match self {
            Merge::Priority => "priority",
            Merge::Latest => "latest",
            Merge::Mean => "mean",
            Merge::Median => "median",
        }
    }
}
