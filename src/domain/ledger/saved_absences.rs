//! Saved absences: for how long keys have been absent, written down so that a restart goes on
//! counting where the last run ended. Also the keys that are forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::{Absence, Ledger};
use crate::domain::time::{Moment, Wall};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedAbsences {
    /// When this was so.
    pub at: Wall,
    /// By source, those that have responded without a key since they last gave it.
    pub sources: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Absence>>,
    pub forgotten: BTreeSet<Arc<str>>,
}

impl Ledger {
    /// What to save at `now`; nothing while no time can be trusted.
    pub fn absences(&self, now: Moment) -> Option<SavedAbsences> {
        if !now.trust.is_trusted() {
            return None;
        }
        let mut sources = BTreeMap::new();
        for (plan, source) in self.plan.sources.iter().zip(&self.sources) {
            if plan.is_upstream_node {
                continue;
            }
            let absence = |key: &Arc<str>, it| (key.clone(), source.response_count.absence(it));
            let values = source.values.iter();
            let absences = values.map(|value| absence(&value.key, &value.provided));
            let absent = absences.filter(|(_, absence)| *absence != Absence::default());
            sources.insert(plan.name.clone(), absent.collect());
        }
        Some(SavedAbsences {
            at: now.wall,
            sources,
            forgotten: (*self.forgotten).clone(),
        })
    }
}

impl SavedAbsences {
    /// For how long `key` of `source` had been absent; `None` if nothing is saved of the source.
    pub fn absence(&self, source: &str, key: &str) -> Option<Absence> {
        let of_source = self.sources.get(source)?;
        if self.forgotten.contains(key) {
            return Some(Absence {
                responses: u64::MAX,
                time: Duration::MAX,
            });
        }
        Some(of_source.get(key).copied().unwrap_or_default())
    }

    /// JSON: `{"at": ms, "sources": {source: {key: [responses, seconds]}}, "forgotten": [key]}`.
    pub fn to_text(&self) -> String {
        let of_source = |absences: &BTreeMap<Arc<str>, Absence>| -> Json {
            let pair = |it: &Absence| json!([it.responses, it.time.as_secs()]);
            let pairs = absences.iter().map(|(key, it)| (key.to_string(), pair(it)));
            Json::Object(pairs.collect())
        };
        let sources = self.sources.iter();
        let sources: Map<String, Json> = sources
            .map(|(name, absences)| (name.to_string(), of_source(absences)))
            .collect();
        let forgotten: Vec<&str> = self.forgotten.iter().map(|key| &**key).collect();
        json!({"at": self.at.0, "sources": sources, "forgotten": forgotten}).to_string()
    }

    pub fn parse(text: &str) -> Option<SavedAbsences> {
        let json: Json = serde_json::from_str(text).ok()?;
        let absence = |pair: &Json| {
            Some(Absence {
                responses: pair.get(0)?.as_u64()?,
                time: Duration::from_secs(pair.get(1)?.as_u64()?),
            })
        };
        let mut sources = BTreeMap::new();
        for (name, absences) in json.get("sources")?.as_object()? {
            let pairs = absences.as_object()?.iter();
            let pairs = pairs.map(|(key, pair)| Some((key.as_str().into(), absence(pair)?)));
            sources.insert(name.as_str().into(), pairs.collect::<Option<_>>()?);
        }
        let forgotten = json.get("forgotten")?.as_array()?.iter();
        let forgotten = forgotten.map(|key| Some(key.as_str()?.into()));
        Some(SavedAbsences {
            at: Wall(json.get("at")?.as_i64()?),
            sources,
            forgotten: forgotten.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let absence = Absence {
            responses: 29,
            time: Duration::from_secs(80_000),
        };
        let saved = SavedAbsences {
            at: Wall(1_800_000_000_123),
            sources: BTreeMap::from([
                ("sun".into(), BTreeMap::from([("a.\"ü".into(), absence)])),
                ("all there".into(), BTreeMap::new()),
            ]),
            forgotten: BTreeSet::from(["gone".into()]),
        };
        assert_eq!(SavedAbsences::parse(&saved.to_text()), Some(saved.clone()));
        assert_eq!(saved.absence("sun", "a.\"ü"), Some(absence));
        assert_eq!(saved.absence("sun", "there"), Some(Absence::default()));
        assert_eq!(saved.absence("other", "there"), None);
        let forgotten = saved.absence("all there", "gone").expect("it is saved");
        assert!(forgotten.is_longer_than(Duration::from_secs(u64::MAX)));
        for text in [
            "",
            "[]",
            "{\"at\":1}",
            "{\"at\":1,\"sources\":{\"a\":{\"k\":[1]}},\"forgotten\":[]}",
        ] {
            assert_eq!(SavedAbsences::parse(text), None, "{text}");
        }
    }
}
