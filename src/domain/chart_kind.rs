//! Chart kind of a record: as configured, else by what its values are.
//!
//! Pure.

use super::plan::{ChartKind, Plan};
use super::snapshot::Record;

impl Plan {
    /// How the history of a record is drawn: what has words, booleans and texts as states,
    /// counters as bars.
    pub fn chart_kind(&self, record: &Record) -> ChartKind {
        let key = &record.key;
        if let Some(kind) = self.key_setting(key, |it| it.chart) {
            return kind;
        }
        let has_words = self.key_setting(key, |it| (!it.words.is_empty()).then_some(()));
        let is_counter = self.key_setting(key, |it| it.counter);
        if has_words.is_some() || record.is_boolean || record.value.text().is_some() {
            ChartKind::State
        } else if is_counter == Some(true) {
            ChartKind::Bars
        } else {
            ChartKind::Line
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::freshness::Stamp;
    use crate::domain::plan::{KeyPlan, test_plan};
    use crate::domain::reading::Value;
    use crate::domain::time::Wall;

    #[test]
    fn a_chart_is_drawn_as_configured_or_as_its_values_are() {
        let none = KeyPlan::default();
        let chart = |kind| KeyPlan {
            chart: Some(kind),
            ..none.clone()
        };
        let counter = KeyPlan {
            counter: Some(true),
            ..none.clone()
        };
        let words = KeyPlan {
            words: vec![("0".to_owned(), "Off".to_owned())],
            ..none.clone()
        };
        let number = Value::Number(1.0);
        for (settings, value, is_boolean, expected) in [
            (&none, number.clone(), false, ChartKind::Line),
            (&none, number.clone(), true, ChartKind::State),
            (&none, Value::Text("on".into()), false, ChartKind::State),
            (&words, number.clone(), false, ChartKind::State),
            (&counter, number.clone(), false, ChartKind::Bars),
            (
                &chart(ChartKind::Steps),
                number.clone(),
                true,
                ChartKind::Steps,
            ),
            (
                &chart(ChartKind::None),
                number.clone(),
                false,
                ChartKind::None,
            ),
        ] {
            let mut plan = test_plan(1, Duration::from_secs(60));
            plan.keys.insert("k".into(), settings.clone());
            let record = Record {
                key: "k".into(),
                value,
                unit: None,
                stamp: Stamp::restored(Wall(0), false),
                stale: false,
                stale_after: Duration::ZERO,
                sources: Vec::new(),
                today: None,
                is_boolean,
            };
            assert_eq!(plan.chart_kind(&record), expected, "{settings:?}");
        }
    }
}
