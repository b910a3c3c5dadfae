//! What the configuration asks for, in the domain's terms: the sources, what is read from
//! each, and how keys are merged. Made once at start, then only read.

mod display;
mod element_options;
mod key;
mod pages;
mod panel;
mod record_selector;
mod response_format;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

pub use self::display::{DisplayChart, DisplayPlan, MacAddress, PictureLayout};
pub use self::element_options::{AggregateFunction, Combination, ElementTime};
pub use self::key::{Bounds, ChartKind, DisplayUnit, KeyPlan, Merge};
pub use self::pages::{GroupPlan, KeySelector, MatrixPlan, PagesPlan, WallPlan, is_selected};
pub use self::panel::{MODELS, Panel, PanelColours, Rotation};
pub use self::record_selector::{Decimal, RecordSelector, Selection};
pub use self::response_format::ResponseFormat;
use super::derived_key::DerivedKeys;
use super::key_pattern::KeyPattern;
use super::placeholder::PlaceholderTime;
use super::reading::{ShownElement, UpstreamLabels};
use super::time::Wall;
use super::value_path::ValuePath;
use crate::limits;

/// All sources and keys, in the configuration's order.
#[derive(Debug, Clone)]
pub struct Plan {
    pub sources: Vec<SourcePlan>,
    pub keys: BTreeMap<Arc<str>, KeyPlan>,
    /// Settings of all keys that a pattern matches, the longest pattern first.
    pub key_patterns: Vec<(KeyPattern, KeyPlan)>,
    pub derived: DerivedKeys,
    /// Keys that alerts name.
    pub alert_keys: BTreeSet<Arc<str>>,
    /// Alerts of single keys.
    pub key_alerts: Vec<KeyAlert>,
    pub pages: PagesPlan,
    /// What followed nodes say of their keys, for those that this configuration says nothing of.
    pub upstream_labels: Arc<UpstreamLabels>,
    /// Most records of all sources together.
    pub max_records: usize,
    /// Whether anybody configured this, or it is the built-in example.
    pub is_example: bool,
}

/// An alert about the value of one key.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyAlert {
    /// What the alert is called: `value:temperature>30`.
    pub name: Arc<str>,
    pub key: Arc<str>,
    /// Empty for one that watches the age alone.
    pub bounds: Bounds,
}

#[derive(Debug, Clone)]
pub struct SourcePlan {
    pub name: Arc<str>,
    /// The interval between fetches that go well.
    pub every: Duration,
    /// Age beyond which values of this source are stale, if configured.
    pub stale_after: Option<Duration>,
    /// How long a key must be absent from good answers before it is forgotten.
    pub forget_after: Duration,
    /// Most records of this source.
    pub max_records: usize,
    /// Keys that the configuration names elsewhere: a limit leaves out others first.
    pub named_keys: Arc<BTreeSet<Arc<str>>>,
    /// Whether it is another main-node, which gives the time of each value.
    pub is_upstream_node: bool,
    /// Whether it is a device of a `for` whose `prefix` is written, the same for all devices.
    pub has_shared_prefix: bool,
    pub selection: Selection,
    /// The source's own time.
    pub observed_at: Option<ValuePath>,
    /// The zone of a time that names none.
    pub observed_zone: TimeZone,
    /// The zone of date placeholders, and of times that are written as text.
    pub placeholder_zone: TimeZone,
    /// An object that names the unit of each field.
    pub units_at: Option<ValuePath>,
    pub numbers: Numbers,
    pub format: ResponseFormat,
    /// Credit that the data's licence wants shown.
    pub attribution: Option<Arc<str>>,
    /// What is called, without parameters: an operation's id, or "a JSON address".
    pub target: Arc<str>,
    /// The operation's summary from its OpenAPI file.
    pub summary: Arc<str>,
    /// Its description in that file, of any length.
    pub description: Arc<str>,
}

impl Plan {
    /// Whether `[source.records]` of a source names this key, by a template too.
    pub fn selects_key(&self, source: usize, key: &str) -> bool {
        match self.sources.get(source).map(|source| &source.selection) {
            Some(Selection::Selectors(picks)) => picks.iter().any(|pick| pick.selects_key(key)),
            _ => false,
        }
    }

    /// A setting of `key`: that of its own table, else that of the longest pattern which has it.
    pub fn key_setting<T>(&self, key: &str, get: impl Fn(&KeyPlan) -> Option<T>) -> Option<T> {
        let patterns = self.key_patterns.iter();
        self.keys.get(key).and_then(&get).or_else(|| {
            patterns
                .filter(|(pattern, _)| pattern.matches(key))
                .find_map(|(_, plan)| get(plan))
        })
    }

    /// The plan with what followed nodes say of their keys now.
    pub fn with_upstream_labels(&self, labels: &Arc<UpstreamLabels>) -> Cow<'_, Plan> {
        if labels.is_empty() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Plan {
            upstream_labels: labels.clone(),
            ..self.clone()
        })
    }

    /// Keys that the configuration names, so that a source must provide them.
    pub fn expected_keys(&self) -> BTreeSet<&Arc<str>> {
        let named = self.alert_keys.iter().chain(self.keys.keys());
        let of_sources = named.filter(|key| !self.derived.contains(key));
        of_sources.chain(self.derived.inputs()).collect()
    }

    /// Whether the configuration names this key, of whatever source.
    pub fn names_key_anywhere(&self, key: &str) -> bool {
        self.derived.contains(key) || (0..self.sources.len()).any(|it| self.names_key(it, key))
    }

    /// Whether the configuration names this key of `source` itself, and not by a template:
    /// such a key is never forgotten.
    pub fn names_key(&self, source: usize, key: &str) -> bool {
        let is_pick = match self.sources.get(source).map(|source| &source.selection) {
            Some(Selection::Selectors(picks)) => picks.iter().any(|pick| *pick.key == *key),
            _ => false,
        };
        is_pick
            || self.keys.contains_key(key)
            || self.alert_keys.contains(key)
            || self.derived.is_input(key)
    }
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            sources: Vec::new(),
            keys: BTreeMap::new(),
            derived: DerivedKeys::default(),
            key_patterns: Vec::new(),
            alert_keys: BTreeSet::new(),
            key_alerts: Vec::new(),
            pages: PagesPlan::default(),
            upstream_labels: Arc::default(),
            max_records: limits::RECORDS_TOTAL,
            is_example: false,
        }
    }
}

impl Default for SourcePlan {
    fn default() -> SourcePlan {
        SourcePlan {
            name: "".into(),
            every: Duration::ZERO,
            stale_after: None,
            forget_after: limits::FORGET_AFTER,
            max_records: limits::RECORDS_PER_SOURCE,
            named_keys: Arc::default(),
            is_upstream_node: false,
            has_shared_prefix: false,
            selection: Selection::AllLeaves {
                prefix: String::new(),
            },
            observed_at: None,
            observed_zone: TimeZone::UTC,
            placeholder_zone: TimeZone::UTC,
            units_at: None,
            numbers: Numbers::default(),
            format: ResponseFormat::default(),
            attribution: None,
            target: "".into(),
            summary: "".into(),
            description: "".into(),
        }
    }
}

impl SourcePlan {
    /// Whether `key` is left out of a response that has given `taken` readings already. Keys that
    /// the configuration names are not, however late they come in a response.
    pub fn leaves_out(&self, taken: usize, key: &str) -> bool {
        taken >= self.max_records && !self.named_keys.contains(key)
    }

    /// Which element is the value of `key`, where a record of the configuration gives it a series.
    pub fn shown_element(&self, key: &str) -> Option<ShownElement> {
        match &self.selection {
            Selection::AllLeaves { .. } => None,
            Selection::Selectors(picks) => {
                let pick = picks.iter().find(|pick| pick.selects_key(key))?;
                pick.elements.shown()
            }
        }
    }

    /// This plan with the date placeholders of its paths filled in.
    pub fn at_time(&self, wall: Wall) -> Cow<'_, SourcePlan> {
        if !self.has_dated_paths() {
            return Cow::Borrowed(self);
        }
        let time = PlaceholderTime {
            wall,
            zone: self.placeholder_zone.clone(),
        };
        let mut plan = self.clone();
        for path in plan.observed_at.iter_mut().chain(&mut plan.units_at) {
            path.fill(&time);
        }
        if let Selection::Selectors(selectors) = &mut plan.selection {
            let paths = selectors.iter_mut().flat_map(RecordSelector::paths_mut);
            paths.for_each(|path| path.fill(&time));
        }
        Cow::Owned(plan)
    }

    /// Whether a path has date placeholders.
    pub fn has_dated_paths(&self) -> bool {
        self.paths().any(ValuePath::is_dated)
    }

    /// All paths into a response.
    pub fn paths(&self) -> impl Iterator<Item = &ValuePath> {
        let selectors: &[RecordSelector] = match &self.selection {
            Selection::AllLeaves { .. } => &[],
            Selection::Selectors(selectors) => selectors,
        };
        let own = self.observed_at.iter().chain(&self.units_at);
        own.chain(selectors.iter().flat_map(RecordSelector::paths))
    }

    /// Whether a record is the whole response.
    pub fn reads_whole_response(&self) -> bool {
        match &self.selection {
            Selection::AllLeaves { .. } => false,
            Selection::Selectors(selectors) => {
                let mut selectors = selectors.iter();
                selectors.any(|it| it.each.is_none() && it.at.is_root())
            }
        }
    }

    /// Between fetches that go well, while the server orders a wait of `ordered`.
    pub fn interval(&self, ordered: Duration) -> Duration {
        self.every.max(ordered)
    }

    /// Age past which this source's values are stale: who does as the server says is not to
    /// be blamed for it.
    pub fn default_stale_after(&self, ordered: Duration) -> Duration {
        self.stale_after
            .unwrap_or_else(|| self.interval(ordered).saturating_mul(3))
    }
}

/// Whether texts such as `"21.4"` and `"230 V"` are numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Numbers {
    #[default]
    Strict,
    Lenient,
}

/// A plan of unnamed sources, for tests.
#[cfg(test)]
pub fn test_plan(sources: usize, every: Duration) -> Plan {
    let source = |index| SourcePlan {
        name: format!("source{index}").into(),
        every,
        target: "test".into(),
        ..SourcePlan::default()
    };
    Plan {
        sources: (0..sources).map(source).collect(),
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_table_that_has_a_setting_counts() {
        let plan = |unit: &str, label: &str| KeyPlan {
            unit: Some(unit).filter(|it| !it.is_empty()).map(Into::into),
            label: Some(label).filter(|it| !it.is_empty()).map(Into::into),
            ..KeyPlan::default()
        };
        let pattern = |text: &str| KeyPattern::new(text).expect(text);
        let plan = Plan {
            keys: BTreeMap::from([("room.a.co2".into(), plan("", "Kitchen"))]),
            key_patterns: vec![
                (pattern("room.*.co2"), plan("ppm", "CO₂")),
                (pattern("room.*"), plan("?", "Room")),
                (pattern("*"), plan("x", "")),
            ],
            ..Plan::default()
        };
        for (key, unit, label) in [
            ("room.a.co2", Some("ppm"), Some("Kitchen")),
            ("room.b.co2", Some("ppm"), Some("CO₂")),
            ("room.b.t", Some("?"), Some("Room")),
            ("power", Some("x"), None),
        ] {
            let found = plan.key_setting(key, |it| it.unit.clone());
            assert_eq!(found.as_deref(), unit, "unit of {key}");
            let found = plan.key_setting(key, |it| it.label.clone());
            assert_eq!(found.as_deref(), label, "label of {key}");
        }
    }
}
