//! Which elements of a forecast are sent.

use super::*;
use crate::config::forward_config;
use crate::domain::reading::Value;
use crate::domain::stored_rows::{FeedStep, StoredForecast, StoredRow};
use crate::domain::time::Wall;

struct Table(BTreeMap<Arc<str>, Vec<TimedValue>>);

impl RowFeed for Table {
    fn place(&self) -> Option<FeedPlace> {
        None
    }

    fn read(&self, _: i64, _: &mut dyn FnMut(&StoredRow<'_>) -> bool) -> Result<FeedStep, String> {
        Err("there are none".to_owned())
    }

    fn read_forecast(&self, after_key: &str) -> Result<Option<StoredForecast>, String> {
        let mut rest = self.0.iter().filter(|(key, _)| &***key > after_key);
        Ok(rest
            .next()
            .map(|(key, elements)| (key.clone(), elements.clone())))
    }

    fn settle(&self, _: u64, _: i64) {}
}

fn elements(values: &[(i64, f64)]) -> Vec<TimedValue> {
    let element = |(second, value): &(i64, f64)| TimedValue {
        start: Wall::from_second(*second),
        end: None,
        value: Value::Number(*value),
        is_stated: false,
    };
    values.iter().map(element).collect()
}

/// The lines that are sent until nothing has changed.
fn sent(forecasts: &mut SentForecasts, table: &Table, changes: u64) -> String {
    let format = LineFormat::new(&forward_config("url = \"http://i.local/write?db=a\""), "n");
    let place = FeedPlace {
        epoch: 1,
        through: 0,
        newest: 0,
        forecast_changes: changes,
    };
    let is_wanted = |key: &str| key != "other";
    let mut lines = String::new();
    while let Some(batch) = forecasts
        .next_batch(place, table, &format, &is_wanted)
        .expect("it can be read")
    {
        lines += batch.lines(&(0..batch.len()));
        forecasts.confirm();
    }
    lines
        .replace("main_node_forecast,", "")
        .replace(",node=n value", "")
}

#[test]
fn elements_are_sent_once_and_again_when_they_change() {
    let mut forecasts = SentForecasts::default();
    let mut table = Table(BTreeMap::new());
    table
        .0
        .insert("rain".into(), elements(&[(100, 1.0), (200, 2.0)]));
    table.0.insert("other".into(), elements(&[(100, 1.0)]));
    table.0.insert("sun".into(), elements(&[(100, 5.0)]));
    let all = "key=rain=1 100\nkey=rain=2 200\nkey=sun=5 100\n";
    assert_eq!(sent(&mut forecasts, &table, 1), all);
    assert_eq!(sent(&mut forecasts, &table, 1), "");
    assert_eq!(
        sent(&mut forecasts, &table, 2),
        "",
        "nothing of these has changed"
    );
    table
        .0
        .insert("rain".into(), elements(&[(200, 2.0), (300, 2.5)]));
    table.0.insert("sun".into(), elements(&[(100, 4.0)]));
    assert_eq!(
        sent(&mut forecasts, &table, 3),
        "key=rain=2.5 300\nkey=sun=4 100\n"
    );
}

#[test]
fn what_was_not_taken_is_sent_again() {
    let mut forecasts = SentForecasts::default();
    let table = Table([("rain".into(), elements(&[(100, 1.0)]))].into());
    let format = LineFormat::new(&forward_config("url = \"http://i.local/write?db=a\""), "n");
    let place = FeedPlace {
        epoch: 1,
        through: 0,
        newest: 0,
        forecast_changes: 1,
    };
    for _ in 0..2 {
        let batch = forecasts.next_batch(place, &table, &format, &|_| true);
        assert_eq!(batch.map(|it| it.map(|it| it.len())), Ok(Some(1)));
    }
    assert_eq!(sent(&mut forecasts, &table, 1), "key=rain=1 100\n");
}
