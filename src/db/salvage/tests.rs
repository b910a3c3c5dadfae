//! Damage done on purpose, and what is there afterwards.

use super::*;
use crate::db::testing::{Dice, Directory, T0, database, entries, row};

const PAGE: usize = 4_096;

/// 20,000 rows of two keys over eleven days; the newest row of each is the last.
fn filled(path: &Path) -> i64 {
    let mut database = database(path);
    for chunk in 0..10 {
        let rows = (0..1_000).flat_map(|at| {
            let second = T0 + (chunk * 1_000 + at) * 100;
            [row("t", second, at as f64), row("humidity", second, 1.0)]
        });
        database
            .commit(&entries(rows), i64::MIN)
            .expect("it is committed");
    }
    20_000
}

/// Writes nonsense over whole pages.
fn damage(path: &Path, pages: &[usize]) {
    let mut bytes = std::fs::read(path).expect("the file can be read");
    let mut dice = Dice(3);
    for page in pages {
        for byte in &mut bytes[page * PAGE..(page + 1) * PAGE] {
            *byte = dice.below(256) as u8;
        }
    }
    std::fs::write(path, bytes).expect("the file can be written");
}

/// Pages of a table that are leaves, counted from 0: its tree, walked from the root (SQLite's
/// "Database File Format", 1.6).
fn leaves(path: &Path, table: &str) -> Vec<usize> {
    let root: i64 = session::open_read_only(path)
        .and_then(|connection| {
            let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
            connection.query_row(sql, [table], |row| row.get(0))
        })
        .expect("there is such a table");
    let bytes = std::fs::read(path).expect("the file can be read");
    let number = |at: usize, length: usize| -> usize {
        let digits = bytes[at..at + length].iter();
        digits.fold(0, |sum, byte| sum * 256 + usize::from(*byte))
    };
    let (mut open, mut leaves) = (vec![root as usize - 1], Vec::new());
    while let Some(page) = open.pop() {
        let begin = page * PAGE;
        match bytes[begin] {
            0x0a | 0x0d => leaves.push(page),
            0x02 | 0x05 => {
                let cells = number(begin + 3, 2);
                let cell = |index: usize| begin + number(begin + 12 + 2 * index, 2);
                open.push(number(begin + 8, 4) - 1);
                open.extend((0..cells).map(|index| number(cell(index), 4) - 1));
            }
            other => panic!("page {page} of {table} begins with {other}"),
        }
    }
    leaves.sort_unstable();
    leaves
}

fn salvaged(path: &Path) -> (Database, Salvage) {
    let aside = set_aside(path, Wall::from_second(T0)).expect("it can be moved");
    assert!(aside.exists());
    let mut database = database(path);
    let mut salvage = Salvage::begin(&mut database, &aside).expect("it begins");
    for _ in 0..10_000 {
        if salvage.step(&mut database).expect("a step can be taken") == Step::Done {
            return (database, salvage);
        }
    }
    panic!("a salvage comes to an end");
}

fn count(database: &Database, sql: &str) -> i64 {
    let count = database.connection().query_row(sql, [], |row| row.get(0));
    count.expect("it can be counted")
}

const ROWS: &str = "SELECT count(*) FROM records";
const SUMMED: &str = "SELECT sum(count) FROM hourly";

#[test]
fn what_waits_to_be_told_outlives_the_database_and_is_not_told_again() {
    use crate::db::outbox::{self, Unwritten};
    use crate::domain::alert::{AlertCommit, Kind, State};
    use crate::domain::outbox::Outcome;

    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut old = database(&path);
    let event = |incident| outbox::tests::event(incident, Kind::Trigger);
    let mut unwritten = Unwritten::default();
    let commit = AlertCommit {
        state: State::new("boot").counting_from(2),
        events: vec![event(1), event(2)],
    };
    unwritten.add(commit, &["mail"]);
    unwritten
        .flush(old.connection_mut())
        .expect("it is written");
    let waiting = |database: &Database| {
        let pending = outbox::pending(database.connection(), "mail").expect("it can be read");
        let items = pending.items.into_iter();
        let items = items.map(|item| (item.id, item.event.incident, item.message_id));
        items.collect::<Vec<_>>()
    };
    let ids: Vec<i64> = waiting(&old).iter().map(|item| item.0).collect();
    let trying = Outcome::Trying {
        ids: vec![ids[0]],
        message_id: "a@b".to_owned(),
    };
    old.change(|transaction, _| outbox::record(transaction, "mail", &trying))
        .expect("it is written");
    let before = waiting(&old);
    drop(old);
    let aside = set_aside(&path, Wall::from_second(T0)).expect("it can be moved");
    let mut database = database(&path);
    let begun = Salvage::begin(&mut database, &aside);
    begun.expect("it begins");
    assert_eq!(waiting(&database), before);
    let state = outbox::restore(database.connection(), "boot").expect("it can be read");
    assert_eq!(state, Some(State::new("boot").counting_from(2)));
    let known = outbox::history(database.connection(), 9).expect("it can be read");
    assert_eq!(known.len(), 2);
    // Told meanwhile; a salvage that goes on after a restart must not bring it back.
    let delivered = Outcome::Delivered {
        ids,
        dropped: 0,
        ended: Default::default(),
    };
    database
        .change(|transaction, _| outbox::record(transaction, "mail", &delivered))
        .expect("it is written");
    let mut resumed = Salvage::resume(&mut database)
        .expect("it can be read")
        .expect("it is under way");
    while resumed.step(&mut database).expect("it goes on") != Step::Done {}
    assert_eq!(waiting(&database), []);
}

#[test]
fn quotas_that_are_spent_stay_spent() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    filled(&path);
    let spent = "b1 120000 90000 -";
    quota::write(database(&path).connection(), "weather", spent).expect("it is written");
    damage(&path, &leaves(&path, "records")[3..5]);
    let (database, _) = salvaged(&path);
    let found = node::<String>(database.connection(), "quota:weather");
    assert_eq!(found, Ok(Some(spent.to_owned())));
}

#[test]
fn what_lies_around_damaged_pages_is_recovered() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = filled(&path);
    let leaves = leaves(&path, "records");
    let bad: Vec<usize> = [1, 5, 6, 7, 40].map(|index| leaves[index]).to_vec();
    damage(&path, &bad);
    let (mut database, salvage) = salvaged(&path);
    let per_page = rows / leaves.len() as i64;
    let left = count(&database, ROWS);
    assert!(
        left < rows && left > rows - 8 * per_page,
        "{left} of {rows}"
    );
    assert_eq!(salvage.rows, left as u64);
    assert!(salvage.holes >= 3, "{}", salvage.holes);
    assert_eq!(
        count(&database, SUMMED),
        rows,
        "the hours could be read whole"
    );
    let restored = database.restore(&|_| false).expect("it can be read");
    assert_eq!(restored.len(), 2);
    let committed = database.commit(&entries([row("t", T0 + 2_000_000, 1.0)]), i64::MIN);
    assert_eq!(committed.map(|c| c.stored), Ok(1));
}

#[test]
fn hours_that_are_lost_come_back_from_their_rows() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = filled(&path);
    damage(&path, &leaves(&path, "hourly"));
    let (database, _) = salvaged(&path);
    assert_eq!(count(&database, ROWS), rows);
    assert_eq!(count(&database, SUMMED), rows);
    let kept = "SELECT count(*) FROM hourly WHERE first_id < 1 OR last_id > 20000";
    assert_eq!(count(&database, kept), 0);
}

#[test]
fn a_file_of_nonsense_leaves_an_empty_database_that_works() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    std::fs::write(&path, [7; 10 * PAGE]).expect("a file can be written");
    let (mut database, _) = salvaged(&path);
    assert_eq!(count(&database, ROWS), 0);
    let committed = database.commit(&entries([row("t", T0, 1.0)]), i64::MIN);
    assert_eq!(committed.map(|c| c.stored), Ok(1));
}

#[test]
fn the_newest_whole_backup_fills_the_holes() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = filled(&path);
    for second in [0, 60] {
        backup::rotate(&path, 3, Wall::from_second(T0 + second)).expect("a backup is made");
    }
    // Stored after the backup, so that only the damaged file has it.
    let batch = entries([row("t", T0 + 3_000_000, 5.0)]);
    database(&path)
        .commit(&batch, i64::MIN)
        .expect("it is committed");
    damage(&path, &leaves(&path, "records")[3..30]);
    // The newest backup is damaged too.
    damage(&backup::beside(&path)[1], &[4, 5, 6]);
    let (database, _) = salvaged(&path);
    assert_eq!(count(&database, ROWS), rows + 1);
    assert_eq!(count(&database, SUMMED), rows + 1);
}

#[test]
fn readings_that_come_meanwhile_keep_their_place() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = filled(&path);
    let aside = set_aside(&path, Wall::from_second(T0)).expect("it can be moved");
    let mut database = database(&path);
    let mut salvage = Salvage::begin(&mut database, &aside).expect("it begins");
    let mut steps = 0;
    while salvage.step(&mut database).expect("a step can be taken") == Step::More {
        // Of the hour that is being recovered, and of a key that was never seen.
        let second = T0 + 999_900 + steps + 1;
        let batch = entries([row("t", second, 1.0), row("new", second, 1.0)]);
        let committed = database.commit(&batch, i64::MIN).expect("it is committed");
        assert_eq!(committed.stored, 2);
        steps += 1;
    }
    assert!(steps > 1);
    assert_eq!(count(&database, ROWS), rows + 2 * steps);
    assert_eq!(count(&database, SUMMED), rows + 2 * steps);
}

#[test]
fn a_salvage_that_was_interrupted_goes_on_after_a_restart() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = filled(&path);
    let aside = set_aside(&path, Wall::from_second(T0)).expect("it can be moved");
    let mut first = database(&path);
    let mut salvage = Salvage::begin(&mut first, &aside).expect("it begins");
    salvage.step(&mut first).expect("a step can be taken");
    assert!(count(&first, ROWS) < rows);
    drop(first);
    let mut second = database(&path);
    let mut salvage = Salvage::resume(&mut second)
        .expect("it can be read")
        .expect("a salvage is under way");
    while salvage.step(&mut second).expect("a step can be taken") == Step::More {}
    assert_eq!(count(&second, ROWS), rows);
    assert_eq!(count(&second, SUMMED), rows);
    assert!(
        Salvage::resume(&mut second)
            .expect("it can be read")
            .is_none()
    );
}

/// Pages hit at random, many times: whatever is damaged, the node goes on.
#[test]
fn no_damage_is_fatal() {
    let directory = Directory::new();
    let pristine = directory.path("pristine.db");
    let rows = filled(&pristine);
    let pages = std::fs::metadata(&pristine).expect("it is there").len() as usize / PAGE;
    let mut dice = Dice(11);
    for round in 0..6 {
        let path = directory.path(&format!("{round}.db"));
        std::fs::copy(&pristine, &path).expect("it can be copied");
        let hit: Vec<usize> = (0..=4 * round)
            .map(|_| dice.below(pages as u64) as usize)
            .collect();
        damage(&path, &hit);
        let (mut database, _) = salvaged(&path);
        assert!(count(&database, ROWS) <= rows);
        let verdict: String = database
            .connection()
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .expect("it can be checked");
        assert_eq!(verdict, "ok", "round {round}");
        let batch = entries([row("t", T0 + 2_000_000, 1.0)]);
        database.commit(&batch, i64::MIN).expect("it is committed");
    }
}
