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
