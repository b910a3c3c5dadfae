//! Random changes of what is stored, compared with a simple model: readings by key and second, and the
//! sums of hours that have lost theirs.

use std::ops::Range;
use std::time::Duration;

use super::*;
use crate::db::export::{self, ExportContent, ExportFormat, ExportQuery};
use crate::db::test_support::Dice;

const KEYS: [&str; 3] = ["a", "b", "c"];
const KEPT_HOURS: i64 = 30;

/// Count, least and greatest.
type Sums = (u64, f64, f64);

fn merge(to: &mut Option<Sums>, sums: Sums) {
    *to = Some(to.map_or(sums, |it| {
        (it.0 + sums.0, it.1.min(sums.1), it.2.max(sums.2))
    }));
}

#[derive(Clone, Default)]
struct Model {
    rows: BTreeMap<(String, i64), f64>,
    /// Hours that have lost their rows, or never had any.
    hours: BTreeMap<(String, i64), Sums>,
}

impl Model {
    /// All hours as they are summed up.
    fn sums(&self) -> BTreeMap<(String, i64), Sums> {
        let mut sums: BTreeMap<(String, i64), Option<Sums>> = BTreeMap::new();
        let rows = self.rows.iter().map(|((key, second), value)| {
            ((key.clone(), second.div_euclid(HOUR)), (1, *value, *value))
        });
        let hours = self.hours.iter().map(|(place, it)| (place.clone(), *it));
        for (place, it) in rows.chain(hours) {
            merge(sums.entry(place).or_default(), it);
        }
        sums.into_iter()
            .filter_map(|(place, it)| Some((place, it?)))
            .collect()
    }

    /// Rows before an hour go; their sums stay.
    fn expire(&mut self, raw_from: i64) {
        let is_old = |second: i64| second.div_euclid(HOUR) < raw_from;
        let kept = Model {
            rows: self.rows.clone(),
            hours: BTreeMap::new(),
        };
        for (place, sums) in kept.sums() {
            if place.1 < raw_from {
                let mut whole = self.hours.get(&place).copied();
                merge(&mut whole, sums);
                self.hours.extend(whole.map(|it| (place, it)));
            }
        }
        self.rows.retain(|(_, second), _| !is_old(*second));
    }

    /// Takes out what is of a key and within times: rows, and hours that are wholly.
    fn take(&mut self, key: &str, times: &Range<i64>) -> Model {
        let mut taken = Model::default();
        self.rows.retain(|place, value| {
            let is_taken = place.0 == key && times.contains(&place.1);
            if is_taken {
                taken.rows.insert(place.clone(), *value);
            }
            !is_taken
        });
        self.hours.retain(|place, sums| {
            let begin = place.1 * HOUR;
            let is_taken = place.0 == key && times.start <= begin && begin + HOUR <= times.end;
            if is_taken {
                taken.hours.insert(place.clone(), *sums);
            }
            !is_taken
        });
        taken
    }
}

struct Story {
    scene: Scene,
    model: Model,
    dice: Dice,
    now: i64,
}

impl Story {
    fn new(seed: u64) -> Story {
        let mut scene = Scene::new();
        scene.restarts = true;
        Story {
            scene,
            model: Model::default(),
            dice: Dice(seed * 7_919 + 1),
            now: T0,
        }
    }

    fn key(&mut self) -> &'static str {
        KEYS[self.dice.below(KEYS.len() as u64) as usize]
    }

    /// A time in the hours that are kept, or a little before.
    fn past(&mut self) -> i64 {
        self.now - self.dice.below((KEPT_HOURS + 10) as u64 * 3_600) as i64
    }

    fn times(&mut self) -> Range<i64> {
        match self.dice.below(3) {
            0 => i64::MIN..i64::MAX,
            1 => self.past()..i64::MAX,
            _ => {
                let (one, other) = (self.past(), self.past());
                one.min(other)..one.max(other) + 1
            }
        }
    }

    fn readings(&mut self, count: u64) -> Vec<(&'static str, i64, f64)> {
        let begin = self.past();
        let (now, step) = (self.now, 1 + self.dice.below(600) as i64);
        (0..1 + self.dice.below(count) as i64)
            .map(|index| {
                (
                    self.key(),
                    begin + index * step,
                    self.dice.below(1_000) as f64 / 8.0,
                )
            })
            .filter(|it| it.1 < now)
            .collect()
    }

    /// A fetch of now, or late, or with corrections.
    fn commit(&mut self) {
        let mut readings = self.readings(20);
        if self.dice.below(2) == 0 {
            readings.push((self.key(), self.now, 1.0));
        }
        let database = self.scene.database();
        let oldest = self.scene.oldest_hour.max(database.tiers().raw_from);
        drop(database);
        self.scene.store(&readings);
        for (key, second, value) in readings {
            if second.div_euclid(HOUR) >= oldest {
                self.model.rows.insert((key.to_owned(), second), value);
            }
        }
    }

    fn import(&mut self) {
        let mut readings = self.readings(300);
        readings.sort_by_key(|it| it.1);
        readings.dedup_by_key(|it| (it.1, it.0));
        let replace = self.dice.below(2) == 0;
        self.scene.import_with(replace, &readings, &[]);
        let known = self.model.clone();
        for (key, second, value) in readings {
            let place = (key.to_owned(), second.div_euclid(HOUR));
            if place.1 < self.scene.oldest_hour {
                if !known.hours.contains_key(&place) {
                    let mut whole = self.model.hours.get(&place).copied();
                    merge(&mut whole, (1, value, value));
                    self.model.hours.extend(whole.map(|it| (place, it)));
                }
            } else if replace {
                self.model.rows.insert((key.to_owned(), second), value);
            } else {
                let row = self.model.rows.entry((key.to_owned(), second));
                row.or_insert(value);
            }
        }
    }

    fn rename(&mut self) {
        let (old, new, times) = (self.key(), self.key(), self.times());
        if old == new {
            return;
        }
        let bound = |it: i64| Some(it).filter(|it| (i64::MIN + 1..i64::MAX).contains(it));
        self.scene
            .rename(old, new, bound(times.start), bound(times.end));
        let taken = self.model.take(old, &times);
        let stored: BTreeMap<(String, i64), f64> = self
            .scene
            .readings()
            .into_iter()
            .map(|it| ((it.0, it.1), it.2))
            .collect();
        for ((_, second), value) in taken.rows {
            let place = (new.to_owned(), second);
            let row = self.model.rows.entry(place.clone()).or_insert(value);
            // Either may hold.
            if stored.get(&place) == Some(&value) {
                *row = value;
            }
        }
        for ((_, hour), sums) in taken.hours {
            let place = (new.to_owned(), hour);
            let mut whole = self.model.hours.get(&place).copied();
            merge(&mut whole, sums);
            self.model.hours.extend(whole.map(|it| (place, it)));
        }
    }

    /// Forgets, and half of the time takes back what was saved.
    fn forget(&mut self) {
        let (key, times) = (self.key(), self.times());
        let bound = |it: i64| Some(it).filter(|it| (i64::MIN + 1..i64::MAX).contains(it));
        let (from, to) = (bound(times.start), bound(times.end));
        let path = self.scene.path();
        let file = self.scene.directory.path("forgotten.csv");
        let query = ExportQuery {
            keys: vec![key.to_owned()],
            from: from.map(Wall::from_second),
            to: to.map(Wall::from_second),
            content: ExportContent::Readings,
        };
        let mut saved = Vec::new();
        let Ok(exported) = export::export(&path, &query, ExportFormat::CompleteCsv, &mut saved)
        else {
            // The key is not known.
            return;
        };
        std::fs::write(&file, saved).expect("it can be written");
        // A row that comes after the copy.
        let late = (key, self.now - 5, 3.0);
        self.scene.store(&[late]);
        let task = MaintenanceTask::Forget {
            keys: vec![key.to_owned()],
            from,
            to,
            through_id: exported.through_id,
        };
        self.scene.submit(task, None);
        self.scene.run();
        let before = self.model.clone();
        self.model.take(key, &times);
        let place = (key.to_owned(), late.1);
        // Where it said nothing new, it was no row of its own.
        if before.rows.get(&place) != Some(&late.2) {
            self.model.rows.insert(place, late.2);
        }
        self.check("forget");
        if self.dice.below(2) == 0 || exported.lines == 0 {
            return;
        }
        self.scene.import_file(&file);
        let after = self.model.clone();
        self.model = before;
        self.model.rows.extend(after.rows);
    }

    /// Time goes on, and retention some steps.
    fn advance(&mut self) {
        self.now += self.dice.below(5 * 3_600) as i64;
        self.scene.oldest_hour = self.now.div_euclid(HOUR) - KEPT_HOURS;
        let kept = RetentionPolicy {
            raw: Duration::from_secs(KEPT_HOURS as u64 * 3_600),
            hourly: Duration::from_secs(4_000 * 86_400),
            ..RetentionPolicy::default()
        };
        let mut database = self.scene.database();
        let times = RetentionTimes::exact(Wall::from_second(self.now));
        let mut more = self.dice.below(20);
        while database.tiers().raw_from < self.scene.oldest_hour || more > 0 {
            if retention_step(&mut database, &kept, times).expect("a step") == Progress::Done {
                break;
            }
            more = more.saturating_sub(1);
        }
        self.model.expire(database.tiers().raw_from);
    }

    #[track_caller]
    fn check(&self, what: &str) {
        let database = self.scene.database();
        let connection = database.connection();
        let raw_from = database.tiers().raw_from;
        let stored: BTreeMap<(String, i64), f64> = readings(connection)
            .into_iter()
            .filter(|it| it.1.div_euclid(HOUR) >= raw_from)
            .map(|it| ((it.0, it.1), it.2))
            .collect();
        assert_maps(&stored, &self.model.rows, what);
        let mut hours = connection
            .prepare(
                "SELECT key, hour, count, min, max FROM hourly JOIN keys USING (k) WHERE count > 0",
            )
            .expect("hours can be read");
        let hours: BTreeMap<(String, i64), Sums> = hours
            .query_map([], |row| {
                let count: i64 = row.get(2)?;
                Ok((
                    (row.get(0)?, row.get(1)?),
                    (count as u64, row.get(3)?, row.get(4)?),
                ))
            })
            .expect("hours can be read")
            .collect::<rusqlite::Result<_>>()
            .expect("every hour can be read");
        assert_maps(&hours, &self.model.sums(), what);
        for key in KEYS {
            let rows = self.model.rows.iter().filter(|it| it.0.0 == key);
            let newest = rows.max_by_key(|it| it.0.1);
            let sql = "SELECT second, value FROM latest JOIN keys USING (k) WHERE key = ?1";
            let latest: Option<(i64, f64)> = connection
                .query_row(sql, [key], |row| Ok((row.get(0)?, row.get(1)?)))
                .ok();
            if let Some(((_, second), value)) = newest {
                assert_eq!(latest, Some((*second, *value)), "{what}: latest of {key}");
            }
        }
        assert_consistent(connection);
    }
}

#[track_caller]
fn assert_maps<V: PartialEq + std::fmt::Debug>(
    found: &BTreeMap<(String, i64), V>,
    expected: &BTreeMap<(String, i64), V>,
    what: &str,
) {
    let differing = |one: &BTreeMap<(String, i64), V>, other: &BTreeMap<(String, i64), V>| {
        let lines = one
            .iter()
            .filter(|(place, it)| other.get(*place) != Some(*it));
        let lines: Vec<String> = lines.take(5).map(|it| format!("{it:?}")).collect();
        lines
    };
    let (added, missing) = (differing(found, expected), differing(expected, found));
    assert!(
        added.is_empty() && missing.is_empty(),
        "{what}: found {added:?}, expected {missing:?}"
    );
}

#[test]
fn random_changes_come_to_what_a_simple_model_says() {
    let seeds = std::env::var("MAIN_NODE_TEST_SEEDS").ok();
    let seeds: u64 = seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(6);
    for seed in 1..=seeds {
        let mut story = Story::new(seed);
        for turn in 0..30 {
            let kind = story.dice.below(8);
            match kind {
                0..=2 => story.commit(),
                3 => story.import(),
                4 => story.rename(),
                5 => story.forget(),
                _ => story.advance(),
            }
            story.check(&format!("seed {seed}, turn {turn}, kind {kind}"));
        }
    }
}
