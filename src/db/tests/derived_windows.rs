//! Windows that are saved, restored and rebuilt: they are what all rows say.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::rebuild::RebuildScan;
use super::*;
use crate::db::database::{Database, NewRow};
use crate::db::last_run;
use crate::db::open::DatabaseLocation;
use crate::db::periods::{DAY, HOUR};
use crate::db::progress::Progress;
use crate::db::retention::policy::{RetentionPolicy, RetentionTimes, step};
use crate::db::test_support::{Dice, Directory, T0, database, entries, row, row_of, trusted};
use crate::domain::derived::{CalendarPeriod, NoValue, WindowFunction, WindowSample, WindowSpan};
use crate::domain::reading::Value;
use crate::domain::time::ClockTrust;

fn rule(function: WindowFunction, span: WindowSpan) -> WindowRule {
    WindowRule {
        function,
        input: "meter".into(),
        span,
        zone: TimeZone::get("Europe/Berlin").expect("the zone is known"),
        hold: Duration::from_secs(180),
    }
}

fn year(function: WindowFunction) -> WindowRule {
    rule(function, WindowSpan::Since(CalendarPeriod::Year))
}

fn sample(row: &NewRow) -> WindowSample {
    WindowSample {
        time: row.row.stamp.observed,
        value: row.row.value.number().expect("it is a number"),
        is_stated: row.row.is_stated,
    }
}

fn saved(name: &str, window: &Window) -> SavedWindow {
    window.saved(&name.into())
}

fn rebuilt(database: &Database, window: &Window, now: Wall) -> Option<Window> {
    let rebuild = window.wanted_rebuild(&"d".into(), now);
    let rebuild = rebuild.expect("the window wants rows");
    let mut scan = RebuildScan::new(database.connection(), rebuild).expect("it can be read");
    let progress = |scan: &mut RebuildScan| scan.step(database.connection(), &database.tiers());
    while progress(&mut scan).expect("it can be read") == Progress::More {}
    scan.finish(&database.tiers()).1
}

/// A meter that is read about once a minute, and another key.
fn rows(dice: &mut Dice, from: i64, count: i64) -> Vec<NewRow> {
    let mut value = 100.0;
    let rows = (0..count).flat_map(|at| {
        let second = from + at * 60 + dice.below(50) as i64;
        value += dice.below(30) as f64 / 10.0;
        if dice.below(300) == 0 {
            value = 0.0;
        }
        let gap = if dice.below(50) == 0 { 0.0 } else { value };
        [row("meter", second, gap), row("other", second, 5.0)]
    });
    entries(rows.collect::<Vec<_>>())
}

fn restored(
    database: &Database,
    rules: &[(Arc<str>, WindowRule)],
    now: Wall,
) -> HashMap<Arc<str>, Window> {
    let now = Moment {
        wall: now,
        ..trusted(0)
    };
    let tiers = database.tiers();
    restore(database.connection(), &tiers, rules, now).expect("they can be read")
}

fn insert_all(window: &mut Window, rows: &[NewRow]) {
    let meter = rows.iter().filter(|row| &*row.row.key == "meter");
    meter.for_each(|row| window.insert(sample(row)));
}

#[test]
fn a_restart_goes_on_with_the_state_and_the_rows_since() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut dice = Dice(1);
    let mut database = database(&path);
    let mut windows: Vec<Window> = WindowFunction::ALL
        .map(year)
        .map(Window::new)
        .into_iter()
        .collect();
    for (at, part) in rows(&mut dice, T0, 4_000).chunks(1_000).enumerate() {
        for window in &mut windows {
            insert_all(window, part);
        }
        let through = database.last_id();
        database.commit(part, i64::MIN).expect("it is committed");
        if at == 1 {
            let saved: Vec<SavedWindow> = windows
                .iter()
                .map(|window| saved(window.rule().function.name(), window))
                .collect();
            let is_saved = database.save_windows(&saved, through);
            is_saved.expect("they are saved");
        }
    }
    let rules: Vec<(Arc<str>, WindowRule)> = windows
        .iter()
        .map(|window| (window.rule().function.name().into(), window.rule().clone()))
        .collect();
    let now = Wall::from_second(T0 + 4_000 * 60);
    let restored = restored(&database, &rules, now);
    for window in &windows {
        let name = window.rule().function.name();
        let restored = restored.get(name).expect("it was saved");
        assert_eq!(restored.value(now), window.value(now), "{name}");
    }
    database
        .save_windows(&[saved("only", &windows[0])], 0)
        .expect("it is saved");
    let names = "SELECT group_concat(name) FROM derived_windows";
    let names = database.connection().query_row(names, [], |row| row.get(0));
    assert_eq!(
        names,
        Ok("only".to_owned()),
        "those of former keys are deleted"
    );
}

#[test]
fn a_new_window_is_built_of_all_rows_and_of_hours_before_them() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let mut dice = Dice(2);
    // Two days of rows, in batches that overlap.
    let mut all = rows(&mut dice, T0, 2_880);
    for at in (0..all.len() - 200).step_by(90) {
        let other = at + dice.below(200) as usize;
        all.swap(at, other);
    }
    for part in all.chunks(500) {
        database.commit(part, i64::MIN).expect("it is committed");
    }
    let now = Wall::from_second(T0 + 2 * DAY);
    let spans = [
        WindowSpan::Over(Duration::from_secs(7_200)),
        WindowSpan::Over(Duration::from_secs(30 * 3_600)),
        WindowSpan::Since(CalendarPeriod::Day),
        WindowSpan::Since(CalendarPeriod::Year),
    ];
    for rule in spans
        .map(|span| WindowFunction::ALL.map(|it| rule(it, span)))
        .concat()
    {
        let mut live = Window::new(rule.clone());
        let mut sorted: Vec<&NewRow> = all.iter().filter(|it| &*it.row.key == "meter").collect();
        sorted.sort_by_key(|row| row.row.stamp.observed);
        for row in &sorted {
            live.insert(sample(row));
        }
        let mut window = Window::new(rule.clone());
        // What comes meanwhile counts as well.
        let last = sorted.last().expect("there are rows").row.stamp.observed;
        let next = WindowSample {
            time: last.after(Duration::from_secs(60)),
            value: 1_000.0,
            is_stated: false,
        };
        live.insert(next);
        window.insert(next);
        window.take_rebuilt(rebuilt(&database, &window, now));
        assert_eq!(window.value(now), live.value(now), "{}", rule.text());
        assert_eq!(
            window.wanted_rebuild(&"d".into(), now).map(|it| it.from),
            None
        );
    }
}

#[test]
fn hours_stand_for_rows_that_are_deleted() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let hour = |at: i64| T0 + at * HOUR;
    let rows = (0..72).flat_map(|at| [(hour(at), 10 * at), (hour(at) + 1_800, 10 * at + 5)]);
    let rows = rows.map(|(second, value)| row("meter", second, value as f64));
    let rows = entries(rows.collect::<Vec<_>>());
    database.commit(&rows, i64::MIN).expect("it is committed");
    let kept = RetentionPolicy {
        raw: Duration::from_secs(DAY.unsigned_abs()),
        ..RetentionPolicy::default()
    };
    let now = Wall::from_second(hour(72));
    let times = RetentionTimes::exact(now);
    while step(&mut database, &kept, times).expect("a step") == Progress::More {}
    for (function, expected) in [
        // From the last number of the first hour on.
        (WindowFunction::Increase, Some(710.0)),
        (WindowFunction::MinOverTime, Some(0.0)),
        (WindowFunction::MaxOverTime, Some(715.0)),
        (WindowFunction::AvgOverTime, Some(715.0 / 2.0)),
    ] {
        let mut window = Window::new(year(function));
        window.take_rebuilt(rebuilt(&database, &window, now));
        assert_eq!(window.value(now).ok(), expected, "{function:?}");
    }
    // Only some hours of the mean are inside.
    let days = WindowSpan::Over(Duration::from_secs(2 * DAY.unsigned_abs()));
    let mut window = Window::new(rule(WindowFunction::AvgOverTime, days));
    window.take_rebuilt(rebuilt(&database, &window, now));
    assert_eq!(window.value(now).ok(), Some((240.0 + 715.0) / 2.0));
    // What is known of deleted rows is not given up for hours.
    let mut window = Window::new(year(WindowFunction::AvgOverTime));
    window.take_rebuilt(rebuilt(&database, &window, now));
    window.want_rows_from(Wall::from_second(hour(3)));
    assert_eq!(rebuilt(&database, &window, now).map(|_| ()), None);
}

#[test]
fn a_late_row_among_rows_that_are_summed_up_is_counted_once_they_are_read_again() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    for function in WindowFunction::ALL {
        let begin = T0 + 40 * DAY * function as i64;
        let mut rows: Vec<NewRow> = entries((0..6_000).map(|at| {
            let value = 100.0 + (at / 40) as f64;
            row("meter", begin + at * 20, value)
        }));
        let late = entries([row("meter", begin + 20_010, 150.0)]);
        // Late for a day that is over, and for one that has just begun.
        for span in [
            WindowSpan::Over(Duration::from_secs(50 * 3_600)),
            WindowSpan::Since(CalendarPeriod::Year),
        ] {
            let mut window = Window::new(rule(function, span));
            window.take_rebuilt(None);
            insert_all(&mut window, &rows);
            database.commit(&rows, i64::MIN).expect("it is committed");
            let now = Wall::from_second(begin + 6_000 * 20);
            assert!(window.wanted_rebuild(&"d".into(), now).is_none());
            insert_all(&mut window, &late);
            database.commit(&late, i64::MIN).expect("it is committed");
            window.take_rebuilt(rebuilt(&database, &window, now));
            let mut whole = Window::new(rule(function, span));
            let mut sorted = [&rows[..], &late[..]].concat();
            sorted.sort_by_key(|row| row.row.stamp.observed);
            insert_all(&mut whole, &sorted);
            assert_eq!(
                window.value(now),
                whole.value(now),
                "{}",
                whole.rule().text()
            );
        }
        rows.clear();
    }
}

#[test]
fn rows_of_texts_and_stated_values_are_no_part_of_a_counter() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let mut rows = entries([
        row("meter", T0, 10.0),
        row("meter", T0 + 60, 0.0),
        row("meter", T0 + 120, 900.0),
        row_of("meter", T0 + 180, Value::Text("\"stated\":true".into())),
        row("meter", T0 + 240, 12.0),
    ]);
    rows[1].row.is_stated = true;
    rows[2].untrusted = true;
    let window = Window::new(year(WindowFunction::Increase));
    let state = [saved("d", &window)];
    database.save_windows(&state, 0).expect("it is saved");
    database.commit(&rows, i64::MIN).expect("it is committed");
    let rules = [("d".into(), window.rule().clone())];
    let now = Wall::from_second(T0 + 240);
    assert_eq!(restored(&database, &rules, now)["d"].value(now), Ok(2.0));
    let rebuilt = rebuilt(&database, &window, now).expect("there are rows");
    assert_eq!(rebuilt.value(now), Ok(2.0));
}

#[test]
fn without_a_state_of_the_same_rule_few_rows_are_read_at_once_and_many_are_waited_for() {
    let directory = Directory::new();
    let mut database = database(&directory.path("a.db"));
    let day = rule(
        WindowFunction::Increase,
        WindowSpan::Since(CalendarPeriod::Day),
    );
    let rules = [("d".into(), day.clone())];
    let at = |second: i64| Wall::from_second(T0 + second);
    let none = &restored(&database, &rules, at(0))["d"];
    assert_eq!(
        none.value(at(0)),
        Err(NoValue::NoRows),
        "nothing to wait for"
    );
    // 2025-10-30T20:00:00Z is 21:00 in Berlin.
    let rows = (0..100).map(|minute| row("meter", T0 + minute * 60, minute as f64));
    let rows_of_day = entries(rows.collect::<Vec<_>>());
    database
        .commit(&rows_of_day, i64::MIN)
        .expect("it is committed");
    let other = [saved("d", &Window::new(year(WindowFunction::Increase)))];
    database.save_windows(&other, 0).expect("it is saved");
    let window = &restored(&database, &rules, at(6_000))["d"];
    assert_eq!(window.value(at(6_000)), Ok(99.0));
    assert!(window.wanted_rebuild(&"d".into(), at(6_000)).is_none());
    let untrusted = Moment {
        trust: ClockTrust::Unknown,
        ..trusted(6_000)
    };
    let tiers = database.tiers();
    let windows = restore(database.connection(), &tiers, &rules, untrusted);
    let mut windows = windows.expect("they can be read");
    let window = windows.get_mut("d").expect("it is new");
    assert_eq!(
        window.value(at(6_000)),
        Ok(99.0),
        "as far as the clock says"
    );
    window.take_rebuilt(rebuilt(&database, window, at(6_000)));
    assert!(window.wanted_rebuild(&"d".into(), at(6_000)).is_none());
}

#[test]
fn where_saved_windows_or_rows_cannot_be_read_no_value_is_made_of_the_rest() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let rules = [("d".into(), year(WindowFunction::Increase))];
    let rows = (0..100).map(|minute| row("meter", T0 + minute * 60, minute as f64));
    let rows = entries(rows.collect::<Vec<_>>());
    database.commit(&rows, i64::MIN).expect("it is committed");
    let location = DatabaseLocation {
        path,
        is_default: false,
    };
    let mut opened = Ok(database);
    for (lost, expected) in [
        ("derived_windows", Ok(99.0)),
        ("records", Err(NoValue::Waiting)),
    ] {
        if let Ok(database) = &mut opened {
            let drop = format!("DROP TABLE {lost}");
            let dropped = database.connection().execute(&drop, []);
            dropped.expect("it was there");
        }
        let windows = last_run::windows(&opened, &location, &rules, trusted(6_000));
        let at = Wall::from_second(T0 + 6_000);
        assert_eq!(windows["d"].value(at), expected, "without {lost}");
    }
}

#[test]
fn rows_of_a_clock_that_was_never_trusted_count_where_they_are_in_order() {
    // Second, value, whether the clock was trusted, of rows in the order in which they were stored.
    type Rows = &'static [(i64, f64, bool)];
    const BEGIN: i64 = 1_780_272_000;
    let cases: [(&str, Rows, f64); 5] = [
        (
            "never trusted",
            &[(0, 1.0, false), (60, 2.0, false), (120, 5.0, false)],
            4.0,
        ),
        (
            "behind: what it stamped is not before what came earlier",
            &[(7_000, 1.0, true), (60, 90.0, false), (7_120, 5.0, true)],
            4.0,
        ),
        (
            "ahead: nor after what came later",
            &[(0, 1.0, true), (3_500, 90.0, false), (120, 5.0, true)],
            4.0,
        ),
        (
            "set right in between",
            &[(0, 1.0, false), (60, 2.0, false), (80, 3.0, true)],
            2.0,
        ),
        (
            "1970",
            &[
                (-BEGIN, 1.0, false),
                (60 - BEGIN, 9.0, false),
                (60, 10.0, true),
                (80, 11.0, true),
            ],
            1.0,
        ),
    ];
    for (name, stored, expected) in cases {
        let directory = Directory::new();
        let mut database = database(&directory.path("a.db"));
        for (second, value, is_trusted) in stored {
            let mut rows = entries([row("meter", BEGIN + second, *value)]);
            rows[0].untrusted = !is_trusted;
            database.commit(&rows, i64::MIN).expect("it is committed");
        }
        let rules = [("d".into(), year(WindowFunction::Increase))];
        let now = Wall::from_second(BEGIN + 7_200);
        let window = &restored(&database, &rules, now)["d"];
        assert_eq!(window.value(now), Ok(expected), "{name}");
    }
}
