//! What storing costs the card and asking costs the reader, beside the obvious way of doing
//! it, in one run on one machine. Prints tables; asserts nothing about time.
//!
//! `cargo test --release db::bench -- --ignored --nocapture --test-threads=1`

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::connection;
use super::database::Database;
use super::derived_windows::rebuild::RebuildScan;
use super::derived_windows::restore;
use super::history::HistoryReader;
use super::periods::{DAY, HOUR};
use super::progress::Progress;
use super::retention::policy::{RetentionPolicy, RetentionTimes, step};
use super::test_support::{Dice, Directory, database, entries, row, trusted};
use crate::domain::derived::{
    CalendarPeriod, SavedWindow, Window, WindowFunction, WindowRule, WindowSample, WindowSpan,
};
use crate::domain::history::{HistoryQuery, PeriodQuery, StateQuery};
use crate::domain::ledger::RecordRow;
use crate::domain::time::{Moment, Wall};
use crate::limits;
use crate::sys::budget::Budget;

const KEYS: i64 = 50;
/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;

fn names() -> Vec<String> {
    (0..KEYS)
        .map(|key| format!("current.sensor_{key:02}"))
        .collect()
}

/// A switch, on for three quarters of an hour in turns.
const SWITCH: usize = 18;

/// Readings such as a weather API gives: one decimal, wandering; one of them is a switch.
fn fetch(names: &[String], second: i64, dice: &mut Dice) -> Vec<RecordRow> {
    let value = |key: usize, dice: &mut Dice| match key {
        SWITCH => second.div_euclid(2_700).rem_euclid(2) as f64,
        _ => key as f64 + (dice.below(300) as f64) / 10.0,
    };
    let rows = names.iter().enumerate();
    rows.map(|(key, name)| row(name, second, value(key, dice)))
        .collect()
}

fn fill(database: &mut Database, from: i64, fetches: i64, every: i64) {
    let (names, mut dice) = (names(), Dice(5));
    for first in (0..fetches).step_by(400) {
        let range = first..(first + 400).min(fetches);
        let rows = range.flat_map(|at| fetch(&names, from + at * every, &mut dice));
        database
            .commit(&entries(rows.collect::<Vec<_>>()), i64::MIN)
            .expect("it is committed");
    }
}

/// write_bytes and wchar of this process.
fn written() -> [u64; 2] {
    let account = std::fs::read_to_string("/proc/self/io").expect("the kernel keeps account");
    ["write_bytes:", "wchar:"].map(|name| {
        let line = account.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line[name.len()..].trim().parse().ok())
            .unwrap_or(0)
    })
}

fn report_written(label: &str, fetches: i64, before: [u64; 2]) {
    let after = written();
    let per_fetch = [0, 1].map(|at| (after[at] - before[at]) as f64 / fetches as f64 / 1000.0);
    println!(
        "| {label:<52} | {:>8.1} | {:>8.1} |",
        per_fetch[1], per_fetch[0]
    );
}

fn take_log_in(connection: &Connection) {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("the log can be taken in");
}

#[test]
#[ignore = "a measurement: make bench"]
fn bytes_written_per_fetch() {
    const OLD: i64 = 10_000;
    const FETCHES: i64 = 2_160;
    println!(
        "\nkB written per fetch of {KEYS} readings, every 10 s into 500,000 rows, checkpoints included"
    );
    println!("| {:<52} | {:>8} | {:>8} |", "", "wchar", "w_bytes");
    let names = names();
    for (label, coalesced, raw_kept) in [
        ("main-node: 6 fetches a commit (60 s)", 6, None),
        (
            "main-node: 6 fetches a commit, retention at work",
            6,
            Some(OLD * 10),
        ),
        ("main-node: 1 fetch a commit", 1, None),
    ] {
        let directory = Directory::new();
        let mut database = database(&directory.path("a.db"));
        fill(&mut database, BEGIN, OLD, 10);
        let kept = RetentionPolicy {
            raw: raw_kept.map_or(Duration::from_secs(30 * 86_400), |s| {
                Duration::from_secs(s as u64)
            }),
            ..RetentionPolicy::default()
        };
        let keep = |database: &mut Database, second| {
            while step(
                database,
                &kept,
                RetentionTimes::exact(Wall::from_second(second)),
            )
            .expect("a step")
                == Progress::More
            {}
        };
        keep(&mut database, BEGIN + OLD * 10);
        take_log_in(database.connection());
        let pragma = database
            .connection()
            .pragma_update(None, "synchronous", "FULL");
        pragma.expect("it can be set");
        let mut dice = Dice(9);
        let before = written();
        for first in (0..FETCHES).step_by(coalesced) {
            let range = first..first + coalesced as i64;
            let second = |at| BEGIN + (OLD + at) * 10;
            let rows = range.flat_map(|at| fetch(&names, second(at), &mut dice));
            let rows = rows.collect::<Vec<_>>();
            database
                .commit(&entries(rows), i64::MIN)
                .expect("it is committed");
            keep(&mut database, second(first));
        }
        take_log_in(database.connection());
        report_written(label, FETCHES, before);
    }
    for (label, synchronous, coalesced, index) in [
        (
            "naive: 1 fetch a commit, index (key, timestamp)",
            "FULL",
            1,
            true,
        ),
        ("naive: the same, synchronous=NORMAL", "NORMAL", 1, true),
        ("records alone, 6 fetches a commit", "FULL", 6, false),
    ] {
        let directory = Directory::new();
        let connection = naive(&directory.path("a.db"), OLD, index);
        connection
            .pragma_update(None, "synchronous", synchronous)
            .expect("it can be set");
        take_log_in(&connection);
        let mut dice = Dice(9);
        let before = written();
        for first in (0..FETCHES).step_by(coalesced) {
            let transaction = connection.unchecked_transaction().expect("it begins");
            for at in first..first + coalesced as i64 {
                insert(
                    &transaction,
                    &fetch(&names, BEGIN + (OLD + at) * 10, &mut dice),
                );
            }
            transaction.commit().expect("it is committed");
        }
        take_log_in(&connection);
        report_written(label, FETCHES, before);
    }
    let row = "2026-01-01T00:00:00Zcurrent.sensor_00".len() + 8 + 8;
    let bytes = row as f64 * KEYS as f64 / 1000.0;
    println!(
        "the rows themselves are {bytes:.1} kB; written to the log and to the table, {:.1}",
        2.0 * bytes
    );
}

fn naive(path: &Path, fetches: i64, index: bool) -> Connection {
    let connection = Connection::open(path).expect("a database can be made");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE records (id INTEGER PRIMARY KEY, \
             timestamp TEXT NOT NULL, key TEXT NOT NULL, value REAL, meta JSON)",
        )
        .expect("and its table");
    if index {
        connection
            .execute_batch("CREATE INDEX by_key ON records (key, timestamp)")
            .expect("and its index");
    }
    let (names, mut dice) = (names(), Dice(5));
    let transaction = connection.unchecked_transaction().expect("it begins");
    for at in 0..fetches {
        insert(&transaction, &fetch(&names, BEGIN + at * 10, &mut dice));
    }
    transaction.commit().expect("it is committed");
    connection
}

fn insert(connection: &Connection, rows: &[RecordRow]) {
    let mut insert = connection
        .prepare_cached("INSERT INTO records (timestamp, key, value) VALUES (?1, ?2, ?3)")
        .expect("the table is there");
    for row in rows {
        insert
            .execute(params![
                row.stamp.observed.to_string(),
                row.key,
                row.value.number()
            ])
            .expect("a row can be stored");
    }
}

/// Wall time, and time that this thread had a processor, which other work on the machine
/// hardly changes; in ms.
#[derive(Clone, Copy)]
struct Time {
    wall: f64,
    cpu: f64,
}

fn cpu_ms() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place, and the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn once(run: impl FnOnce()) -> Time {
    let (begin, cpu) = (Instant::now(), cpu_ms());
    run();
    Time {
        wall: begin.elapsed().as_secs_f64() * 1e3,
        cpu: cpu_ms() - cpu,
    }
}

/// The medians of some runs.
fn median(mut run: impl FnMut()) -> Time {
    let times: Vec<Time> = (0..7).map(|_| once(&mut run)).collect();
    let middle = |of: fn(&Time) -> f64| {
        let mut times: Vec<f64> = times.iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        times[3]
    };
    Time {
        wall: middle(|time| time.wall),
        cpu: middle(|time| time.cpu),
    }
}

#[test]
#[ignore = "a measurement: make bench"]
fn asking_a_large_database() {
    println!("\nms (median of 7, warm cache), {KEYS} keys");
    println!(
        "| {:>10} | {:<34} | {:>9} | {:>9} | {:>6} |",
        "rows", "question", "wall ms", "cpu ms", "points"
    );
    for fetches in [20_000, 200_000] {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let mut database = database(&path);
        // 30 days of rows, whatever their number; a year of hours and days before them.
        let every = 30 * DAY / fetches;
        older(&mut database, BEGIN - 335 * DAY, BEGIN);
        fill(&mut database, BEGIN, fetches, every);
        let end = BEGIN + fetches * every;
        while step(
            &mut database,
            &RetentionPolicy::default(),
            RetentionTimes::exact(Wall::from_second(end)),
        )
        .expect("a step")
            == Progress::More
        {}
        take_log_in(database.connection());
        drop(database);
        let rows = fetches * KEYS;
        let say = |question: &str, time: Time, points: usize| {
            println!(
                "| {rows:>10} | {question:<34} | {:>9.2} | {:>9.2} | {points:>6} |",
                time.wall, time.cpu
            );
        };
        let open_and_restore = median(|| {
            let database = super::test_support::database(&path);
            assert_eq!(
                database.last_values(&|_| false).map(|rows| rows.len()),
                Ok(KEYS as usize)
            );
        });
        say(
            "start: open, latest of all keys",
            open_and_restore,
            KEYS as usize,
        );
        let reader = HistoryReader::new(&path);
        for (question, span, points) in [
            ("one key, 1 hour", HOUR, 500),
            ("one key, 1 day", DAY, 500),
            ("one key, 7 days", 7 * DAY, 500),
            ("one key, 30 days", 30 * DAY, 500),
            ("one key, 1 year", 365 * DAY, 500),
        ] {
            let query = HistoryQuery {
                key: Arc::from("current.sensor_17"),
                from: Wall::from_second(end - span),
                to: Wall::from_second(end),
                points,
            };
            let mut found = 0;
            let ms = median(|| {
                found = reader
                    .history(
                        &query,
                        &Budget::new(limits::HISTORY_ROWS, limits::QUERY_TIMEOUT),
                    )
                    .expect("it answers")
                    .len();
            });
            say(question, ms, found);
        }
        ask_for_periods(&reader, end, &say);
        ask_for_states(&reader, end, &say);
        let connection = connection::open_read_only(&path).expect("it opens");
        let count = |sql: &str| {
            let mut statement = connection.prepare(sql).expect("it can be asked");
            let mut rows = statement.query([]).expect("it can be asked");
            let mut count = 0;
            while rows.next().expect("it answers").is_some() {
                count += 1;
            }
            count
        };
        let latest = "SELECT key, value, max(timestamp) FROM records GROUP BY key";
        let month = "SELECT min(value), avg(value), max(value) FROM records \
                     WHERE key = 'current.sensor_17' AND timestamp >= '2026-01-01' \
                     GROUP BY substr(timestamp, 1, 13)";
        let mut found = 0;
        let time = once(|| found = count(latest));
        say("naive, no index: latest (once)", time, found);
        let time = once(|| found = count(month));
        say("naive, no index: 30 days (once)", time, found);
        let writer = Connection::open(&path).expect("it opens");
        writer
            .execute_batch("CREATE INDEX by_key ON records (key, timestamp)")
            .expect("an index can be made");
        drop(writer);
        let ms = once(|| found = count(latest));
        say("naive, (key, timestamp): latest (once)", ms, found);
        let ms = median(|| found = count(month));
        say("naive, (key, timestamp): 30 days", ms, found);
    }
}

fn ask_for_periods(reader: &HistoryReader, end: i64, say: &dyn Fn(&str, Time, usize)) {
    use CalendarPeriod::{Day, Month};
    for (question, zone, period, days) in [
        ("30 local days, Berlin", "Europe/Berlin", Day, 30),
        ("30 local days, Kolkata", "Asia/Kolkata", Day, 30),
        ("a year of days, UTC", "UTC", Day, 365),
        ("a year of days, Berlin", "Europe/Berlin", Day, 365),
        ("a year of days, Kolkata", "Asia/Kolkata", Day, 365),
        ("a year of months, Berlin", "Europe/Berlin", Month, 365),
    ] {
        let zone = jiff::tz::TimeZone::get(zone).expect("it is known");
        let next = |at: &i64| (*at < end).then(|| period.bounds(*at, &zone).1);
        let bounds = std::iter::successors(Some(end - days * DAY), next);
        let query = PeriodQuery {
            key: Arc::from("current.sensor_17"),
            bounds: bounds.map(Wall::from_second).collect(),
        };
        let mut found = 0;
        let ms = median(|| {
            let budget = Budget::new(limits::PAGE_ROWS, std::time::Duration::from_secs(3600));
            found = reader.periods(&query, &budget).expect("it answers").len();
        });
        say(question, ms, found);
    }
}

fn ask_for_states(reader: &HistoryReader, end: i64, say: &dyn Fn(&str, Time, usize)) {
    for (question, key, span) in [
        ("states of a switch, 1 day", "current.sensor_18", DAY),
        ("states of a switch, 7 days", "current.sensor_18", 7 * DAY),
        ("states of a switch, 30 days", "current.sensor_18", 30 * DAY),
        (
            "states of what always changes",
            "current.sensor_17",
            7 * DAY,
        ),
    ] {
        let query = StateQuery {
            key: Arc::from(key),
            from: Wall::from_second(end - span),
            to: Wall::from_second(end),
            runs: limits::STATE_RUNS,
            gap: std::time::Duration::from_secs(600),
        };
        let mut found = 0;
        let ms = median(|| {
            let budget = Budget::new(limits::PAGE_ROWS, std::time::Duration::from_secs(3600));
            let answer = reader.states(&query, &budget).expect("it answers");
            found = answer.runs.len();
        });
        say(question, ms, found);
    }
}

#[test]
#[ignore = "a measurement: make bench"]
fn restoring_windows_from_a_large_database() {
    const WINDOWS: usize = 50;
    let fetches = 200_000;
    let every = 30 * DAY / fetches;
    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut database = database(&path);
    let rules: Vec<(Arc<str>, WindowRule)> = names()
        .into_iter()
        .take(WINDOWS)
        .map(|input| {
            let rule = WindowRule {
                function: WindowFunction::Increase,
                input: Arc::from(&*input),
                span: WindowSpan::Since(CalendarPeriod::Year),
                zone: jiff::tz::TimeZone::UTC,
                hold: Duration::from_secs(60),
            };
            (Arc::from(format!("{input}.year")), rule)
        })
        .collect();
    fill(&mut database, BEGIN, fetches, every);
    let end = BEGIN + fetches * every;
    // The state of windows that have seen all rows, saved so long ago as happens at most.
    let saved_at = end - limits::WINDOW_SAVE_INTERVAL.as_secs().cast_signed();
    let windows = rules.iter().map(|(name, rule)| {
        let mut window = Window::new(rule.clone());
        window.take_rebuilt(None);
        for second in (BEGIN..saved_at).step_by(13) {
            window.insert(WindowSample {
                time: Wall::from_second(second),
                value: second as f64,
                is_stated: false,
            });
        }
        window.saved(name)
    });
    let windows: Vec<SavedWindow> = windows.collect();
    let bytes: usize = windows.iter().map(|window| window.state.len()).sum();
    let since = (end - saved_at) / every * KEYS;
    let through_id = database.last_id() - since;
    database
        .save_windows(&windows, through_id)
        .expect("they are saved");
    for (count, question) in [(WINDOWS, "50 windows"), (1, "one window")] {
        let mut found = 0;
        let time = median(|| {
            let now = Moment {
                wall: Wall::from_second(end),
                ..trusted(0)
            };
            let tiers = database.tiers();
            found = restore(database.connection(), &tiers, &rules[..count], now)
                .expect("they are restored")
                .len();
        });
        println!(
            "restoring {question} among {} rows, {since} of them since: {:.0} ms (cpu {:.0}); \
             {found} restored; state {} kB each",
            fetches * KEYS,
            time.wall,
            time.cpu,
            bytes / WINDOWS / 1000,
        );
    }
    let window = Window::new(rules[0].1.clone());
    let rebuild = window
        .wanted_rebuild(&rules[0].0, Wall::from_second(end))
        .expect("a new one is");
    let mut steps: Vec<f64> = Vec::new();
    let mut scan = RebuildScan::new(database.connection(), rebuild).expect("it begins");
    loop {
        let mut progress = Progress::Done;
        let time = once(|| {
            let step = scan.step(database.connection(), &database.tiers());
            progress = step.expect("a step");
        });
        steps.push(time.wall);
        if progress == Progress::Done {
            break;
        }
    }
    let longest = steps.iter().copied().fold(0.0, f64::max);
    println!(
        "rebuilding one of all rows: {:.0} ms in {} steps of {longest:.0} ms at most",
        steps.iter().sum::<f64>(),
        steps.len()
    );
}

#[test]
#[ignore = "a measurement: make bench"]
fn a_row_each_second_in_a_window() {
    for (span, name) in [
        (WindowSpan::Over(Duration::from_secs(86_400)), "over 1 day"),
        (WindowSpan::Since(CalendarPeriod::Year), "since year"),
    ] {
        for function in [WindowFunction::Increase, WindowFunction::MaxOverTime] {
            let mut window = Window::new(WindowRule {
                function,
                input: "meter".into(),
                span,
                zone: jiff::tz::TimeZone::UTC,
                hold: Duration::from_secs(60),
            });
            let row = |window: &mut Window, second: i64| {
                let time = Wall::from_second(BEGIN + second);
                window.insert(WindowSample {
                    time,
                    value: second as f64,
                    is_stated: false,
                });
                time
            };
            for second in 0..200_000 {
                row(&mut window, second);
            }
            const ROWS: i64 = 10_000;
            let time = once(|| {
                for second in 200_000..200_000 + ROWS {
                    let now = row(&mut window, second);
                    std::hint::black_box((window.value(now).is_ok(), window.changes_at(now)));
                }
            });
            let micros = time.cpu * 1e3 / ROWS as f64;
            println!(
                "{} {name}: {micros:.1} us of cpu for a row with its value; state {} kB",
                function.name(),
                window.encode().len() / 1000
            );
        }
    }
}

/// A node's database after a month that ends now, and eleven months of hours before it, for what is
/// measured from outside: `MAIN_NODE_BENCH_ROWS` rows of `MAIN_NODE_BENCH_KEYS` keys as
/// tests/bench/run names them.
#[test]
#[ignore = "made for tests/bench/run"]
fn month_for_the_program() {
    let path = std::env::var_os("MAIN_NODE_BENCH_DATABASE").expect("says where");
    let rows = std::env::var("MAIN_NODE_BENCH_ROWS").expect("says how many");
    let keys = std::env::var("MAIN_NODE_BENCH_KEYS").expect("says how many");
    let keys: i64 = keys.parse().expect("a number");
    let fetches = rows.parse::<i64>().expect("a number") / keys;
    let names: Vec<String> = (0..keys)
        .map(|n| format!("room{n:02}_temperature"))
        .collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs().cast_signed();
    let begin = now - 30 * DAY;
    let mut database = database(Path::new(&path));
    let mut dice = Dice(5);
    for hour in 0..30 * 24 {
        let at = |fetch| begin + fetch * 30 * DAY / fetches;
        let fetches = fetches * hour / 720..fetches * (hour + 1) / 720;
        let rows = fetches.flat_map(|fetch_at| fetch(&names, at(fetch_at), &mut dice));
        database
            .commit(&entries(rows.collect::<Vec<_>>()), i64::MIN)
            .expect("it is committed");
        let until = Wall::from_second(begin + (hour + 1) * HOUR);
        while step(
            &mut database,
            &RetentionPolicy::default(),
            RetentionTimes::exact(until),
        )
        .expect("a step")
            == Progress::More
        {}
    }
    insert_hours_and_days(&mut database, begin - 335 * DAY..begin, keys);
    take_log_in(database.connection());
}

/// Hours and days whose rows are gone.
fn older(database: &mut Database, from: i64, to: i64) {
    fill(database, to - 1, 1, 1);
    insert_hours_and_days(database, from..to, KEYS);
    database
        .change(|_, tiers| {
            tiers.raw_from = to.div_euclid(HOUR) - 1;
            tiers.daily_until = Some(to.div_euclid(DAY));
            Ok(())
        })
        .expect("tiers can be set");
}

/// Rollups of every hour and day of these seconds but the last hour.
fn insert_hours_and_days(database: &mut Database, seconds: std::ops::Range<i64>, keys: i64) {
    let (from, to) = (seconds.start, seconds.end);
    database
        .change(|transaction, _| {
            let mut hour = transaction.prepare(
                "INSERT INTO hourly VALUES (?1, ?2, 277, 1.0, 2.0, 3.0, 2.5, 3599, 0, 0)",
            )?;
            let mut day = transaction
                .prepare("INSERT INTO daily VALUES (?1, ?2, 6648, 1.0, 2.0, 3.0, 2.5)")?;
            for at in from.div_euclid(HOUR)..to.div_euclid(HOUR) - 1 {
                for k in 1..=keys {
                    hour.execute([at, k])?;
                }
            }
            for at in from.div_euclid(DAY)..to.div_euclid(DAY) {
                for k in 1..=keys {
                    day.execute([at, k])?;
                }
            }
            Ok(())
        })
        .expect("hours can be made");
}
