//! Import, rename and forget: what is stored afterwards, with its rollups, and after interruptions.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use rusqlite::{Connection, params};

use super::request::{MaintenanceRequest, MaintenanceTask};
use super::state::MaintenanceCounts;
use super::*;
use crate::db::export::{self, ExportFormat, ExportQuery};
use crate::db::periods::{DAY, HOUR, second_of};
use crate::db::retention::policy::{RetentionPolicy, RetentionTimes, step as retention_step};
use crate::db::rollup::{Aggregate, read_aggregate};
use crate::db::row_codec::decode_value;
use crate::db::staging::{self, StageOptions};
use crate::db::test_support::{Directory, T0, database, entries, row, row_of};
use crate::db::tiers::Tiers;
use crate::domain::reading::Value;
use crate::domain::time::Wall;

#[path = "model.rs"]
mod model;

/// A reading of an import: key, second since 1970, number.
type Reading<'a> = (&'a str, i64, f64);

/// An hour or day of an import: its seconds, begin, key and mean.
type Summary<'a> = (i64, i64, &'a str, f64);

/// Stages a file as `staging` does.
fn stage(path: &Path, readings: &[Reading<'_>], summaries: &[Summary<'_>]) {
    let staged = Connection::open(path).expect("a file can be made");
    staged
        .execute_batch(
            "PRAGMA synchronous = OFF; BEGIN;
             CREATE TABLE keys (k INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, unit TEXT);
             CREATE TABLE rows (day INTEGER, k INTEGER, second INTEGER, value REAL, meta TEXT,
                 PRIMARY KEY (day, k, second)) WITHOUT ROWID;
             CREATE TABLE summaries (seconds INTEGER, start INTEGER, k INTEGER, count INTEGER,
                 min REAL, mean REAL, max REAL, last REAL,
                 PRIMARY KEY (seconds, start, k)) WITHOUT ROWID;",
        )
        .expect("tables can be made");
    let names = readings.iter().map(|it| it.0);
    for key in names.chain(summaries.iter().map(|it| it.2)) {
        staged
            .execute(
                "INSERT OR IGNORE INTO keys (key, unit) VALUES (?1, 'W')",
                [key],
            )
            .expect("a key can be added");
    }
    for (key, second, value) in readings {
        let sql = "INSERT OR REPLACE INTO rows SELECT ?1, k, ?2, ?3, NULL FROM keys WHERE key = ?4";
        staged
            .execute(sql, params![second.div_euclid(DAY), second, value, key])
            .expect("a row can be added");
    }
    for (seconds, start, key, mean) in summaries {
        let sql = "INSERT INTO summaries SELECT ?1, ?2, k, 60, ?3 - 1, ?3, ?3 + 1, ?3 FROM keys WHERE key = ?4";
        staged
            .execute(sql, params![seconds, start, mean, key])
            .expect("a summary can be added");
    }
    staged.execute_batch("COMMIT").expect("it can be written");
}

/// A database with a way to give it tasks.
struct Scene {
    directory: Directory,
    tasks: u32,
    /// The hour from which on rows are kept.
    oldest_hour: i64,
    /// The day that is not over.
    today: i64,
    /// The present second, where a clock is trusted.
    latest: Option<i64>,
    /// Whether the database is opened anew for each step.
    restarts: bool,
    /// Whether hours may count more than their rows.
    has_mixed_hours: bool,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            directory: Directory::new(),
            tasks: 0,
            oldest_hour: i64::MIN,
            today: T0.div_euclid(DAY),
            latest: Some(i64::MAX),
            restarts: false,
            has_mixed_hours: false,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path("main-node.db")
    }

    fn database(&self) -> Database {
        database(&self.path())
    }

    fn store(&self, readings: &[Reading<'_>]) {
        let rows = readings
            .iter()
            .map(|(key, at, value)| row(key, *at, *value));
        let stored = self.database().commit(&entries(rows), i64::MIN);
        stored.expect("rows can be stored");
    }

    fn submit(&mut self, task: MaintenanceTask, staged: Option<(&[Reading<'_>], &[Summary<'_>])>) {
        self.tasks += 1;
        let claim = request::claim(&self.path()).expect("nothing else is under way");
        if let Some((readings, summaries)) = staged {
            stage(&staged_path(&self.path()), readings, summaries);
        }
        let id = self.tasks.to_string();
        claim
            .submit(&MaintenanceRequest { id, task })
            .expect("it can be left");
    }

    fn times(&self) -> StepTimes {
        StepTimes {
            oldest_hour: self.oldest_hour,
            today: self.today,
            latest: self.latest,
        }
    }

    /// Takes all steps with one database.
    fn run(&self) -> MaintenanceState {
        let mut database = self.database();
        let mut maintenance = Maintenance::resume(&database)
            .expect("the request can be read")
            .expect("there is a request");
        while maintenance
            .step(&mut database, self.times())
            .expect("a step can be taken")
            == Progress::More
        {
            if self.restarts {
                drop(database);
                database = self.database();
                maintenance = Maintenance::resume(&database)
                    .expect("the request can be read")
                    .expect("the request has not ended");
            }
        }
        assert_eq!(
            self.directory
                .names()
                .iter()
                .filter(|it| it.contains("request"))
                .count(),
            0
        );
        assert!(
            Maintenance::resume(&database)
                .expect("it can be looked for")
                .is_none()
        );
        if !self.has_mixed_hours {
            assert_consistent(database.connection());
        }
        maintenance.state().clone()
    }

    fn import(&mut self, readings: &[Reading<'_>], summaries: &[Summary<'_>]) -> MaintenanceCounts {
        self.import_with(false, readings, summaries)
    }

    fn import_with(
        &mut self,
        replace: bool,
        readings: &[Reading<'_>],
        summaries: &[Summary<'_>],
    ) -> MaintenanceCounts {
        let total = (readings.len() + summaries.len()) as u64;
        let file = "years.csv".to_owned();
        let task = MaintenanceTask::Import {
            file,
            replace,
            total,
        };
        self.submit(task, Some((readings, summaries)));
        let state = self.run();
        assert_eq!((state.error, state.is_finished), (None, true));
        state.counts
    }

    fn rename(
        &mut self,
        old: &str,
        new: &str,
        from: Option<i64>,
        to: Option<i64>,
    ) -> MaintenanceCounts {
        let (old, new) = (old.to_owned(), new.to_owned());
        self.submit(MaintenanceTask::Rename { old, new, from, to }, None);
        self.run().counts
    }

    fn forget(&mut self, key: &str, from: Option<i64>, to: Option<i64>) -> MaintenanceCounts {
        let keys = vec![key.to_owned()];
        let through_id = i64::MAX;
        self.submit(
            MaintenanceTask::Forget {
                keys,
                from,
                to,
                through_id,
            },
            None,
        );
        self.run().counts
    }

    /// Imports a file as the command does.
    fn import_file(&mut self, file: &Path) {
        let path = self.path();
        let options = StageOptions {
            database: &path,
            zone: TimeZone::UTC,
            table: "records",
            decimal: None,
            latest: None,
        };
        let claim = request::claim(&path).expect("nothing else is under way");
        let staged = staging::stage(file, &options, &mut |_| std::ops::ControlFlow::Continue(()));
        let staged = staged.expect("what was saved can be read");
        let counts = staged.report.staged;
        staged.file.publish(&path).expect("it can be staged");
        self.tasks += 1;
        let task = MaintenanceTask::Import {
            file: "forgotten.csv".to_owned(),
            replace: false,
            total: counts.rows + counts.hours,
        };
        let id = self.tasks.to_string();
        claim
            .submit(&MaintenanceRequest { id, task })
            .expect("it can be left");
        self.run();
    }

    fn readings(&self) -> Vec<(String, i64, f64)> {
        readings(self.database().connection())
    }
}

/// What holds, by key and second.
fn readings(connection: &Connection) -> Vec<(String, i64, f64)> {
    let mut rows = connection
        .prepare("SELECT key, timestamp, value FROM records ORDER BY id")
        .expect("rows can be read");
    let rows = rows.query_map([], |row| {
        let at: String = row.get(1)?;
        Ok(((row.get(0)?, second_of(&at).unwrap_or(-1)), row.get(2)?))
    });
    let found: BTreeMap<(String, i64), f64> = rows
        .expect("rows can be read")
        .collect::<rusqlite::Result<_>>()
        .expect("every row can be read");
    found
        .into_iter()
        .map(|((key, at), value)| (key, at, value))
        .collect()
}

/// Everything that a reader may look at, without ids. Five minutes are summed up only where the ids of
/// an hour are many, which those of rows that were moved are not.
fn contents(connection: &Connection) -> Vec<String> {
    let mut lines: Vec<String> = readings(connection)
        .iter()
        .map(|it| format!("{it:?}"))
        .collect();
    for sql in [
        "SELECT key || ' ' || hour || ' ' || count || ' ' || min || ' ' || max || ' ' || last FROM hourly JOIN keys USING (k) WHERE count > 0 ORDER BY 1",
        "SELECT key || ' ' || day || ' ' || count || ' ' || min || ' ' || max || ' ' || last FROM daily JOIN keys USING (k) ORDER BY 1",
        "SELECT key || ' ' || second || ' ' || value FROM latest JOIN keys USING (k) ORDER BY 1",
        "SELECT key FROM keys ORDER BY 1",
    ] {
        let mut rows = connection.prepare(sql).expect("it is SQL");
        let rows = rows
            .query_map([], |row| row.get::<_, String>(0))
            .expect("it can be read");
        lines.extend(rows.map(|row| row.expect("a line")));
    }
    lines
}

/// Compares contents and names the lines that differ.
#[track_caller]
fn assert_same(found: &[String], expected: &[String]) {
    let missing: Vec<_> = expected
        .iter()
        .filter(|line| !found.contains(line))
        .take(10)
        .collect();
    let added: Vec<_> = found
        .iter()
        .filter(|line| !expected.contains(line))
        .take(10)
        .collect();
    assert!(
        missing.is_empty() && added.is_empty(),
        "missing {missing:#?}, added {added:#?}"
    );
    assert_eq!(found.len(), expected.len());
}

/// What readers rely on: hours sum up their rows, which lie among their ids and, by the order of ids,
/// in the order of time; days sum up their hours; every row has its hour, every rollup its key.
fn assert_consistent(connection: &Connection) {
    let mut hours: BTreeMap<(i64, String), BTreeMap<i64, Option<f64>>> = BTreeMap::new();
    let mut ids: BTreeMap<(i64, String), Vec<i64>> = BTreeMap::new();
    let mut rows = connection
        .prepare("SELECT id, key, timestamp, value, meta FROM records ORDER BY id")
        .expect("rows can be read");
    let mut rows = rows.query([]).expect("rows can be read");
    while let Some(row) = rows.next().expect("rows can be read") {
        let (id, key, at): (i64, String, String) = (
            row.get(0).expect("an id"),
            row.get(1).expect("a key"),
            row.get(2).expect("a time"),
        );
        let meta: Option<String> = row.get(4).expect("a text or nothing");
        let number = row.get(3).expect("a number or nothing");
        assert!(decode_value(number, meta.as_deref()).is_some());
        let second = second_of(&at).expect("a time");
        let place = (second.div_euclid(HOUR), key);
        hours
            .entry(place.clone())
            .or_default()
            .insert(second, number);
        ids.entry(place).or_default().push(id);
    }
    let mut days: BTreeMap<(i64, String), u64> = BTreeMap::new();
    let bounds = Tiers::read(connection).expect("they can be read");
    let raw_from = bounds.raw_from;
    let mut stored = connection
        .prepare(
            "SELECT count, min, mean, max, last, last_s, hour, key, first_id, last_id \
             FROM hourly LEFT JOIN keys USING (k)",
        )
        .expect("hours can be read");
    let mut stored = stored.query([]).expect("hours can be read");
    while let Some(row) = stored.next().expect("hours can be read") {
        let aggregate = read_aggregate(row).expect("an aggregate");
        let place: (i64, String) = (row.get(6).expect("an hour"), row.get(7).expect("a key"));
        let (first, last): (i64, i64) = (row.get(8).expect("an id"), row.get(9).expect("an id"));
        let day = place.0.div_euclid(24);
        *days.entry((day, place.1.clone())).or_default() += aggregate.map_or(0, |it| it.count);
        let seconds = hours.remove(&place);
        if place.0 < raw_from {
            continue;
        }
        let Some(seconds) = seconds else {
            assert_eq!(first, 0, "{place:?} has no rows");
            continue;
        };
        let found = &ids[&place];
        assert!(
            found.iter().all(|id| (first..=last).contains(id)),
            "{place:?}"
        );
        let mut expected: Option<Aggregate> = None;
        for (second, value) in &seconds {
            if let Some(value) = value {
                crate::db::rollup::add(
                    &mut expected,
                    &Aggregate::of(*value, second.rem_euclid(HOUR)),
                );
            }
        }
        let simple =
            |it: Option<Aggregate>| it.map(|it| (it.count, it.min, it.max, it.last, it.last_at));
        assert_eq!(simple(aggregate), simple(expected), "{place:?}");
    }
    assert!(hours.is_empty(), "these rows have no hour: {hours:?}");
    let until = bounds.daily_until;
    let mut daily = connection
        .prepare("SELECT day, key, count FROM daily JOIN keys USING (k)")
        .expect("days can be read");
    let daily: BTreeMap<(i64, String), i64> = daily
        .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))
        .expect("days can be read")
        .collect::<rusqlite::Result<_>>()
        .expect("every day can be read");
    for (place, count) in days {
        if until.is_some_and(|until| place.0 < until) && count > 0 {
            assert_eq!(daily.get(&place), Some(&(count as i64)), "{place:?}");
        }
    }
    let wrong: i64 = connection
        .query_row(
            "SELECT count(*) FROM (SELECT hour, k, sum(count) AS parts FROM fives GROUP BY hour, k) \
             LEFT JOIN hourly USING (hour, k) WHERE parts IS NOT count AND hour >= ?1",
            [raw_from],
            |row| row.get(0),
        )
        .expect("five minutes can be read");
    assert_eq!(wrong, 0, "five minutes sum up to their hour");
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    assert_eq!(verdict, "ok");
}

/// Sums up days and five minutes that are over at `now`, keeping everything.
fn roll_up(database: &mut Database, now: i64) {
    let kept = RetentionPolicy {
        raw: std::time::Duration::from_secs(400 * 86_400),
        hourly: std::time::Duration::from_secs(4_000 * 86_400),
        ..RetentionPolicy::default()
    };
    let times = RetentionTimes::exact(Wall::from_second(now));
    while retention_step(database, &kept, times).expect("a step can be taken") == Progress::More {}
}

/// A reading a minute for some hours before `T0`.
fn minutes<'a>(key: &'a str, hours: i64, value: f64) -> Vec<Reading<'a>> {
    (0..hours * 60)
        .map(|minute| (key, T0 - (minute + 1) * 60, value + minute as f64))
        .collect()
}

#[test]
fn an_import_is_stored_as_what_was_fetched_and_a_second_run_changes_nothing() {
    let mut scene = Scene::new();
    let years = [minutes("power", 50, 100.0), minutes("temperature", 50, 1.0)].concat();
    roll_up(&mut scene.database(), T0);
    let counts = scene.import(&years, &[]);
    assert_eq!(
        counts,
        MaintenanceCounts {
            stored: years.len() as u64,
            ..counts
        }
    );
    let fetched = Scene::new();
    roll_up(&mut fetched.database(), T0);
    fetched.store(&years);
    let (imported, fetched) = (scene.database(), fetched.database());
    assert_same(
        &contents(imported.connection()),
        &contents(fetched.connection()),
    );
    let unit: String = imported
        .connection()
        .query_row("SELECT unit FROM keys WHERE key = 'power'", [], |row| {
            row.get(0)
        })
        .expect("the key is there");
    assert_eq!(unit, "W");
    drop((imported, fetched));

    let before = contents(scene.database().connection());
    let last_id = scene.database().last_id();
    let counts = scene.import(&years, &[]);
    assert_eq!(
        counts,
        MaintenanceCounts {
            same: years.len() as u64,
            ..MaintenanceCounts::default()
        }
    );
    assert_same(&contents(scene.database().connection()), &before);
    assert_eq!(scene.database().last_id(), last_id, "no row is written");
}

#[test]
fn what_is_stored_stays_unless_it_is_to_be_replaced() {
    let mut scene = Scene::new();
    scene.store(&[
        ("power", T0 + 10, 1.0),
        ("power", T0 + 20, 9_999.0),
        ("other", T0 + 15, 5.0),
    ]);
    // Far away by its id.
    scene.store(&minutes("other", 100, 0.0));
    let file = [
        ("power", T0 + 5, 0.5),
        ("power", T0 + 10, 1.0),
        ("power", T0 + 20, 2.0),
    ];
    let counts = scene.import(&file, &[]);
    assert_eq!((counts.stored, counts.same, counts.differing), (1, 1, 1));
    let power = |scene: &Scene| -> Vec<f64> {
        let found = scene.readings().into_iter();
        found.filter(|it| it.0 == "power").map(|it| it.2).collect()
    };
    assert_eq!(power(&scene), [0.5, 1.0, 9_999.0]);
    let counts = scene.import_with(true, &file, &[]);
    assert_eq!((counts.stored, counts.same, counts.replaced), (0, 2, 1));
    assert_eq!(power(&scene), [0.5, 1.0, 2.0]);
    let counts = scene.import_with(true, &file, &[]);
    assert_eq!(
        (counts.same, counts.replaced),
        (3, 0),
        "a second run changes nothing"
    );
    let latest: f64 = scene
        .database()
        .connection()
        .query_row(
            "SELECT value FROM latest JOIN keys USING (k) WHERE key = 'power'",
            [],
            |row| row.get(0),
        )
        .expect("it is known");
    assert!((latest - 2.0).abs() < 1e-9);
}

#[test]
fn rows_of_one_hour_are_among_close_ids() {
    let mut scene = Scene::new();
    scene.store(&[("power", T0, 1.0)]);
    scene.store(&minutes("other", 100, 0.0));
    scene.import(&[("power", T0 + 1, 2.0)], &[]);
    let width: i64 = scene
        .database()
        .connection()
        .query_row(
            "SELECT last_id - first_id FROM hourly JOIN keys USING (k) WHERE key = 'power'",
            [],
            |row| row.get(0),
        )
        .expect("the hour is there");
    assert_eq!(width, 1);
}

#[test]
fn the_status_tells_rows_since_the_oldest_that_was_imported() {
    let mut scene = Scene::new();
    scene.store(&[("power", T0, 1.0)]);
    let rows = |scene: &Scene| scene.database().reach().expect("it can be read").rows;
    assert_eq!(rows(&scene), Some(Wall::from_second(T0)));
    let year_before = (T0 - 365 * DAY).div_euclid(HOUR) * HOUR;
    scene.import(&[("power", year_before + 5, 2.0)], &[]);
    assert_eq!(rows(&scene), Some(Wall::from_second(year_before)));
}

#[test]
fn what_is_older_than_rows_are_kept_becomes_hours_and_then_days() {
    let mut scene = Scene::new();
    roll_up(&mut scene.database(), T0);
    scene.oldest_hour = (T0 - 10 * HOUR).div_euclid(HOUR);
    let years = minutes("power", 50, 0.0);
    let counts = scene.import(&years, &[]);
    assert_eq!((counts.stored, counts.hours, counts.days), (600, 40, 0));
    let again = scene.import(&years, &[]);
    assert_eq!(
        (again.stored, again.hours, again.same, again.known),
        (0, 0, 600, 40)
    );

    let mut scene = Scene::new();
    let mut kept = scene.database();
    roll_up(&mut kept, T0);
    let today = T0.div_euclid(DAY);
    kept.change(|_, tiers| {
        tiers.hourly_from = today * 24;
        Ok(())
    })
    .expect("bounds can be moved");
    drop(kept);
    scene.oldest_hour = today * 24;
    let counts = scene.import(&years, &[]);
    // 20 hours of today, 24 of yesterday, 6 of the day before.
    assert_eq!((counts.stored, counts.hours, counts.days), (20 * 60, 0, 2));
    let days: Vec<(i64, i64, f64)> = {
        let database = scene.database();
        let mut days = database
            .connection()
            .prepare("SELECT day, count, last FROM daily WHERE day < ?1 ORDER BY day")
            .expect("days can be read");
        let days = days.query_map([today], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        days.expect("days can be read")
            .collect::<rusqlite::Result<_>>()
            .expect("days")
    };
    assert_eq!(
        days,
        [
            (today - 2, 6 * 60, 44.0 * 60.0),
            (today - 1, 24 * 60, 20.0 * 60.0)
        ]
    );
    let again = scene.import(&years, &[]);
    assert_eq!(
        (again.stored, again.days, again.same, again.known),
        (0, 0, 1_200, 2)
    );
}

#[test]
fn hours_and_days_without_rows_find_their_place() {
    let mut scene = Scene::new();
    roll_up(&mut scene.database(), T0);
    let today = T0.div_euclid(DAY) * DAY;
    let summaries = [
        (DAY, today - 9 * DAY, "power", 1.0),
        (DAY, today - 8 * DAY, "power", 2.0),
        (HOUR, today - 7 * DAY, "power", 3.0),
        (HOUR, today - 2 * HOUR, "power", 4.0),
    ];
    // The second hour has rows in the file as well.
    let rows = [
        ("power", today - 2 * HOUR + 5, 8.0),
        ("power", today - HOUR, 9.0),
    ];
    let counts = scene.import(&rows, &summaries);
    assert_eq!(
        (
            counts.stored,
            counts.hours,
            counts.days,
            counts.known,
            counts.unplaced
        ),
        (2, 1, 2, 1, 0)
    );
    let again = scene.import(&rows, &summaries);
    assert_eq!((again.same, again.known), (2, 4));
    assert_eq!((again.stored, again.hours, again.days), (0, 0, 0));
    // A day within the time of hours cannot be told from them.
    let late = [(DAY, today - 5 * DAY, "power", 1.0)];
    assert_eq!(scene.import(&[], &late).unplaced, 1);
}

#[test]
fn a_renamed_key_is_as_if_it_always_had_its_name() {
    let old = [minutes("temperature", 30, 1.0), minutes("other", 30, 5.0)].concat();
    let renamed: Vec<Reading<'_>> = old
        .iter()
        .map(|(key, at, value)| {
            (
                if *key == "temperature" {
                    "outdoor"
                } else {
                    key
                },
                *at,
                *value,
            )
        })
        .collect();
    let expected = |more: &[Reading<'_>]| {
        let scene = Scene::new();
        scene.store(&renamed);
        scene.store(more);
        roll_up(&mut scene.database(), T0 + 2 * DAY);
        contents(scene.database().connection())
    };
    let mut scene = Scene::new();
    scene.store(&old);
    roll_up(&mut scene.database(), T0 + 2 * DAY);
    let counts = scene.rename("temperature", "outdoor", None, None);
    assert_eq!(counts.renamed, 1_800);
    assert_same(&contents(scene.database().connection()), &expected(&[]));
    // And back again.
    scene.rename("outdoor", "temperature", None, None);
    let mut back = scene.readings();
    back.retain(|it| it.0 == "outdoor");
    assert_eq!(back, []);

    // The new name has readings of its own, also in an hour of the old one's.
    let new = [("outdoor", T0 - 30, 77.0), ("outdoor", T0 + 30, 78.0)];
    scene.store(&new);
    roll_up(&mut scene.database(), T0 + 2 * DAY);
    scene.rename("temperature", "outdoor", None, None);
    assert_same(&contents(scene.database().connection()), &expected(&new));
}

#[test]
fn a_rename_within_times_leaves_the_others() {
    let mut scene = Scene::new();
    scene.store(&minutes("a", 3, 0.0));
    roll_up(&mut scene.database(), T0 + 2 * DAY);
    // In the middle of an hour, and of the next.
    let (from, to) = (T0 - 150 * 60, T0 - 90 * 60);
    let counts = scene.rename("a", "b", Some(from), Some(to));
    assert_eq!(counts.renamed, 60);
    for (key, at, _) in scene.readings() {
        assert_eq!(key == "b", (from..to).contains(&at), "{key} {at}");
    }
    let latest: Vec<(String, i64)> = {
        let database = scene.database();
        let mut latest = database
            .connection()
            .prepare("SELECT key, second FROM latest JOIN keys USING (k) ORDER BY key")
            .expect("it can be read");
        let found = latest.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        found
            .expect("it can be read")
            .collect::<rusqlite::Result<_>>()
            .expect("rows")
    };
    assert_eq!(
        latest,
        [("a".to_owned(), T0 - 60), ("b".to_owned(), to - 60)]
    );
}

#[test]
fn what_is_forgotten_is_gone_and_comes_back_by_an_import() {
    let mut scene = Scene::new();
    let all = [
        minutes("power", 30, 0.0),
        vec![("power", T0 - 90, 9_999.0)],
        minutes("other", 2, 0.0),
    ]
    .concat();
    scene.store(&all);
    roll_up(&mut scene.database(), T0 + 2 * DAY);
    let before = contents(scene.database().connection());
    assert_eq!(
        scene.forget("power", Some(T0 - 90), Some(T0 - 89)).deleted,
        1
    );
    let max: f64 = scene
        .database()
        .connection()
        .query_row("SELECT max(max) FROM daily", [], |row| row.get(0))
        .expect("days are there");
    assert!(max < 9_999.0, "the spike is in no rollup: {max}");
    scene.import(&all, &[]);
    assert_same(&contents(scene.database().connection()), &before);

    assert_eq!(scene.forget("power", None, None).deleted, 1_801);
    let left = contents(scene.database().connection());
    assert!(!left.iter().any(|line| line.contains("power")), "{left:#?}");
    assert_eq!(
        scene.forget("power", None, None),
        MaintenanceCounts::default(),
        "nothing is left"
    );
    scene.import(&all, &[]);
    assert_same(&contents(scene.database().connection()), &before);
}

#[test]
fn texts_come_back_from_the_file_that_was_saved_of_them() {
    let mut scene = Scene::new();
    let text = |at: i64, text: &str| row_of("sky", at, Value::Text(text.into()));
    let rows = [
        text(T0, ""),
        text(T0 + 60, "a, \"b\"\n'"),
        text(T0 + 120, " "),
    ];
    let stored = scene.database().commit(&entries(rows), i64::MIN);
    stored.expect("rows can be stored");
    let metas = |scene: &Scene| -> Vec<String> {
        let database = scene.database();
        let mut rows = database
            .connection()
            .prepare("SELECT timestamp || meta FROM records ORDER BY timestamp")
            .expect("rows can be read");
        let rows = rows.query_map([], |row| row.get(0));
        rows.and_then(Iterator::collect).expect("rows can be read")
    };
    let before = metas(&scene);
    let (path, mut saved) = (scene.path(), Vec::new());
    let query = ExportQuery::default();
    export::export(&path, &query, ExportFormat::CompleteCsv, &mut saved).expect("it is saved");
    assert_eq!(scene.forget("sky", None, None).deleted, 3);

    let file = scene.directory.path("forgotten.csv");
    std::fs::write(&file, saved).expect("it can be written");
    scene.import_file(&file);
    assert_eq!(metas(&scene), before);
}

#[test]
fn rows_that_came_after_the_copy_are_not_forgotten() {
    let mut scene = Scene::new();
    scene.store(&[("power", T0, 1.0)]);
    let through_id = scene.database().last_id();
    scene.store(&[("power", T0 + 1, 2.0)]);
    let keys = vec!["power".to_owned()];
    let (from, to) = (None, None);
    scene.submit(
        MaintenanceTask::Forget {
            keys,
            from,
            to,
            through_id,
        },
        None,
    );
    assert_eq!(scene.run().counts.deleted, 1);
    assert_eq!(scene.readings(), [("power".to_owned(), T0 + 1, 2.0)]);
}

#[test]
fn texts_are_renamed_and_forgotten_like_numbers() {
    let mut scene = Scene::new();
    let text = |at: i64, text: &str| row_of("sky", at, Value::Text(text.into()));
    let rows = [text(T0, "clear"), text(T0 + 60, "rain")];
    scene
        .database()
        .commit(&entries(rows), i64::MIN)
        .expect("rows can be stored");
    assert_eq!(scene.rename("sky", "weather", None, None).renamed, 2);
    assert_eq!(scene.forget("weather", Some(T0 + 60), None).deleted, 1);
    let text: String = scene
        .database()
        .connection()
        .query_row(
            "SELECT text FROM latest JOIN keys USING (k) WHERE key = 'weather'",
            [],
            |row| row.get(0),
        )
        .expect("one is left");
    assert_eq!(text, "clear");
}

#[test]
fn summaries_that_lie_only_in_part_within_the_times_stay() {
    let mut scene = Scene::new();
    roll_up(&mut scene.database(), T0);
    let hour = T0.div_euclid(HOUR) * HOUR - 10 * DAY;
    scene.import(
        &[],
        &[
            (HOUR, hour, "power", 1.0),
            (HOUR, hour + HOUR, "power", 2.0),
        ],
    );
    let counts = scene.forget("power", Some(hour + 60), None);
    assert_eq!((counts.summaries, counts.partial), (1, 1));
}

/// An hour of rows to which one without rows was added: what is not in the rows is not lost.
#[test]
fn hours_that_know_of_more_than_their_rows_are_changed_as_a_whole() {
    let scene_of = || {
        let mut scene = Scene::new();
        scene.has_mixed_hours = true;
        let hour = T0.div_euclid(HOUR) * HOUR - HOUR;
        let readings: Vec<Reading<'_>> = (0..3).map(|at| ("a", hour + at * 60, 5.0)).collect();
        scene.store(&readings);
        scene.import(&[("a", hour + 300, 6.0)], &[(HOUR, hour, "b", 1.0)]);
        let counts = scene.rename("b", "a", None, None);
        assert_eq!((counts.renamed, counts.summaries), (0, 1));
        (scene, hour)
    };
    let count = |scene: &Scene, key: &str| -> i64 {
        let sql = "SELECT coalesce(sum(count), 0) FROM hourly JOIN keys USING (k) WHERE key = ?1";
        let database = scene.database();
        let found = database
            .connection()
            .query_row(sql, [key], |row| row.get(0));
        found.expect("hours can be read")
    };
    let (mut scene, hour) = scene_of();
    assert_eq!((count(&scene, "a"), scene.readings().len()), (64, 4));
    let counts = scene.forget("a", Some(hour + 60), Some(hour + 120));
    assert_eq!((counts.partial, counts.deleted), (1, 0));
    let counts = scene.rename("a", "c", Some(hour + 60), None);
    assert_eq!((counts.partial, counts.renamed), (1, 0));
    let imported = [("a", hour + 600, 7.0), ("a", hour, 8.0)];
    let counts = scene.import_with(true, &imported, &[]);
    assert_eq!((counts.known, counts.stored, counts.replaced), (2, 0, 0));
    assert_eq!((count(&scene, "a"), scene.readings().len()), (64, 4));
    // Rows of another key, of which a part is given to it, stay too.
    scene.store(&[("d", hour + 10, 9.0), ("d", hour + 20, 9.0)]);
    let counts = scene.rename("d", "a", Some(hour + 15), None);
    assert_eq!((counts.partial, counts.renamed), (1, 0));
    scene.rename("d", "a", None, None);
    assert_eq!((count(&scene, "a"), count(&scene, "d")), (66, 0));
    assert_eq!(scene.readings().len(), 6);
    scene.rename("a", "c", None, None);
    assert_eq!((count(&scene, "a"), count(&scene, "c")), (0, 66));
    scene.forget("c", None, None);
    assert_eq!((count(&scene, "c"), scene.readings().len()), (0, 0));
}

/// A crash between any two steps, and a database that is opened anew.
#[test]
fn an_interrupted_task_comes_to_the_same_end() {
    let many: Vec<Reading<'_>> = [minutes("power", 250, 0.0), minutes("other", 250, 0.0)].concat();
    let complete = {
        let mut scene = Scene::new();
        scene.import(&many, &[]);
        scene.rename("power", "new", None, None);
        contents(scene.database().connection())
    };
    let mut scene = Scene::new();
    let total = many.len() as u64;
    let import = MaintenanceTask::Import {
        file: "x".to_owned(),
        replace: false,
        total,
    };
    let rename = MaintenanceTask::Rename {
        old: "power".to_owned(),
        new: "new".to_owned(),
        from: None,
        to: None,
    };
    for (task, staged) in [(import, Some((&many[..], &[][..]))), (rename, None)] {
        scene.submit(task, staged);
        let mut steps = 0;
        loop {
            let mut database = scene.database();
            let Some(mut maintenance) = Maintenance::resume(&database).expect("it can be read")
            else {
                break;
            };
            maintenance
                .step(&mut database, scene.times())
                .expect("a step can be taken");
            assert_consistent(database.connection());
            steps += 1;
        }
        assert!(steps > 3, "it was interrupted {steps} times");
    }
    assert_same(&contents(scene.database().connection()), &complete);
}

#[test]
fn a_staged_file_that_cannot_be_read_ends_the_import_with_a_reason() {
    let mut scene = Scene::new();
    scene.store(&[("power", T0, 1.0)]);
    let (file, replace) = ("years.db".to_owned(), false);
    scene.submit(
        MaintenanceTask::Import {
            file,
            replace,
            total: 1,
        },
        Some((&[], &[])),
    );
    let staged = staged_path(&scene.path());
    for bytes in [&b"no database at all"[..], &[]] {
        std::fs::write(&staged, bytes).expect("it can be written");
        let state = scene.run();
        assert!(state.is_finished);
        let error = state.error.unwrap_or_default();
        assert!(error.contains("the staged rows cannot be read"), "{error}");
        let (file, replace) = ("years.db".to_owned(), false);
        scene.submit(
            MaintenanceTask::Import {
                file,
                replace,
                total: 1,
            },
            Some((&[], &[])),
        );
    }
    // As where the disk was full.
    std::fs::remove_file(&staged).expect("it is there");
    let error = scene.run().error.unwrap_or_default();
    assert!(error.contains("the disk was almost full"), "{error}");
    assert_eq!(scene.readings().len(), 1);
}

#[test]
fn a_request_that_is_not_understood_is_removed() {
    let scene = Scene::new();
    let database = scene.database();
    std::fs::write(scene.directory.path("main-node.db.request"), "{").expect("it can be written");
    assert!(
        Maintenance::resume(&database)
            .expect("it can be looked for")
            .is_none()
    );
    assert!(!scene.directory.path("main-node.db.request").exists());
}

#[test]
fn an_hour_of_rows_that_are_far_apart_is_deleted_without_a_walk_through_all() {
    let mut scene = Scene::new();
    scene.store(&[("power", T0, 1.0)]);
    scene.store(&minutes("other", 400, 0.0));
    scene.import(&[("imported", T0 + 1, 2.0)], &[]);
    let mut database = scene.database();
    let hour = T0.div_euclid(HOUR);
    let mut steps = 0;
    loop {
        let progress = database.change(|transaction, tiers| {
            tiers.rows_from = tiers.rows_from.max(hour);
            crate::db::retention::delete::delete_rows(transaction, tiers, hour + 1, 10)
        });
        if progress.expect("a step can be taken") == Progress::Done {
            break;
        }
        steps += 1;
    }
    assert!(steps < 5, "{steps} steps");
    let left = readings(database.connection());
    assert!(left.iter().all(|it| it.0 == "other"));
}

/// Rows of the oldest hours are gone or being deleted; what is left of those are their sums.
#[test]
fn hours_that_have_lost_their_rows_are_renamed_and_forgotten() {
    for steps in [0, 1, 100] {
        let scene_of = || {
            let scene = Scene::new();
            scene.store(&[minutes("a", 20, 1.0), minutes("b", 10, 5.0)].concat());
            let mut database = scene.database();
            roll_up(&mut database, T0 + 2 * DAY);
            database
                .change(|_, tiers| {
                    tiers.raw_from = (T0 - 5 * HOUR).div_euclid(HOUR);
                    Ok(())
                })
                .expect("bounds can be moved");
            for _ in 0..steps {
                let until = database.tiers().raw_from;
                let step = database.change(|transaction, tiers| {
                    crate::db::retention::delete::delete_rows(transaction, tiers, until, 50)
                });
                step.expect("a step can be taken");
            }
            drop(database);
            scene
        };
        let hours = |scene: &Scene, key: &str| -> (i64, i64) {
            let sql = "SELECT count(*), coalesce(sum(count), 0) FROM hourly JOIN keys USING (k) WHERE key = ?1";
            let database = scene.database();
            let found = database
                .connection()
                .query_row(sql, [key], |row| Ok((row.get(0)?, row.get(1)?)));
            found.expect("hours can be read")
        };
        let mut scene = scene_of();
        scene.rename("a", "new", None, None);
        assert_eq!(
            (hours(&scene, "a"), hours(&scene, "new")),
            ((0, 0), (20, 1_200))
        );
        let mut scene = scene_of();
        scene.rename("a", "b", None, None);
        assert_eq!(
            (hours(&scene, "a"), hours(&scene, "b")),
            ((0, 0), (20, 1_800 - 300))
        );
        let mut scene = scene_of();
        scene.forget("a", None, None);
        assert_eq!(
            (hours(&scene, "a"), hours(&scene, "b")),
            ((0, 0), (10, 600))
        );
        // In the middle of an hour: it stays, and the next go.
        let mut scene = scene_of();
        let from = T0 - 15 * HOUR - 60;
        let counts = scene.forget("a", Some(from), None);
        assert_eq!(counts.partial, 1);
        assert_eq!(hours(&scene, "a"), (5, 300));
    }
}

#[test]
fn a_day_that_is_not_over_keeps_no_reading_from_being_stored() {
    let mut scene = Scene::new();
    let today = T0.div_euclid(DAY) * DAY;
    let counts = scene.import(&[], &[(DAY, today - DAY, "a", 1.0), (DAY, today, "a", 2.0)]);
    assert_eq!((counts.days, counts.unplaced), (1, 1));
    scene.store(&[("a", T0, 5.0)]);
    assert_eq!(scene.readings(), [("a".to_owned(), T0, 5.0)]);
}

#[test]
fn what_is_ahead_of_the_clock_of_who_stores_it_is_left_out() {
    let mut scene = Scene::new();
    scene.latest = Some(T0);
    let hour = T0.div_euclid(HOUR) * HOUR;
    let counts = scene.import(
        &[
            ("a", T0, 1.0),
            ("a", T0 + 1, 2.0),
            ("a", T0 + 900 * DAY, 3.0),
        ],
        &[
            (HOUR, hour + 400 * DAY, "b", 4.0),
            (DAY, 30_000 * DAY, "b", 5.0),
        ],
    );
    assert_eq!((counts.stored, counts.ahead), (1, 4));
    assert_eq!((counts.hours, counts.days), (0, 0));
    assert_eq!(scene.readings(), [("a".to_owned(), T0, 1.0)]);
    assert!(counts.describe().contains("4 readings left out, ahead of"));
}

/// An import of all that a node has, while no clock is known.
#[test]
fn without_a_clock_days_are_over_of_which_there_are_later_readings() {
    let mut scene = Scene::new();
    scene.latest = None;
    scene.today = i64::MIN;
    let today = T0.div_euclid(DAY) * DAY;
    let days = [
        (DAY, today - 3 * DAY, "a", 1.0),
        (DAY, today - 2 * DAY, "a", 2.0),
    ];
    let counts = scene.import(&[], &days);
    assert_eq!((counts.days, counts.undated), (0, 2));
    assert!(!counts.has_changes());
    assert!(counts.describe().contains("import them again when it is"));

    // Hours tell it as well as rows.
    let hour = (HOUR, today - 2 * DAY, "a", 1.0);
    let counts = scene.import(&[], &[days[0], hour]);
    assert_eq!((counts.days, counts.hours), (1, 1));

    // So does what is stored already.
    scene.directory = Directory::new();
    scene.store(&[("a", T0, 1.0)]);
    let counts = scene.import(&[], &days);
    assert_eq!((counts.days, counts.undated), (2, 0));
}

#[test]
fn forecasts_follow_a_key_or_stay_and_are_never_lost() {
    let holders = |scene: &Scene| -> Vec<String> {
        let sql = "SELECT key FROM forecast JOIN keys USING (key) ORDER BY key";
        let database = scene.database();
        let mut keys = database.connection().prepare(sql).expect("it is SQL");
        let keys = keys.query_map([], |row| row.get(0));
        keys.expect("it runs")
            .map(|it| it.expect("a key"))
            .collect()
    };
    let mut scene = Scene::new();
    scene.store(&minutes("price", 2, 1.0));
    let ahead =
        "INSERT INTO forecast (key, time, value) VALUES ('price', '2099-01-01T00:00:00Z', 1)";
    scene
        .database()
        .connection()
        .execute(ahead, [])
        .expect("a row");
    scene.rename("price", "power", None, None);
    assert_eq!(holders(&scene), ["power"]);
    // As the undo is printed.
    scene.rename("power", "price", Some(T0 - DAY), Some(T0 + 1));
    assert_eq!(holders(&scene), ["price"]);
    scene.rename("price", "power", Some(T0 - DAY), Some(T0 - HOUR));
    assert_eq!(holders(&scene), ["price"], "the key goes on");
    scene.forget("price", None, Some(T0 + 1));
    assert_eq!(holders(&scene), ["price"], "it is not of these times");
    scene.store(&[("price", T0, 1.0)]);
    scene.forget("price", None, None);
    assert!(holders(&scene).is_empty());
}

#[test]
fn the_newest_hour_is_that_of_the_newest_row_whatever_came_last() {
    let mut scene = Scene::new();
    let newest = |scene: &Scene| {
        let database = scene.database();
        crate::db::retention::delete::newest_hour(database.connection()).expect("it can be read")
    };
    scene.store(&[("power", T0, 1.0)]);
    assert_eq!(newest(&scene), T0.div_euclid(HOUR));
    scene.import(&[("power", T0 - 365 * DAY, 2.0)], &[]);
    assert_eq!(newest(&scene), T0.div_euclid(HOUR));
}
