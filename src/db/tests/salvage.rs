//! Damage done on purpose, and what is there afterwards.

use super::*;
use crate::db::backup::schedule::{BackupSchedule, list_backups};
use crate::db::periods::HOUR;
use crate::db::quota;
use crate::db::test_support::{Dice, Directory, T0, database, entries, location, named, row};
use crate::db::tiers::read_meta;

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
    let root: i64 = connection::open_read_only(path)
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

/// Set aside, with a new database in its place.
fn begun(path: &Path) -> (Database, Salvage) {
    let database = quarantine(&location(path), "this-boot", Wall::from_second(T0));
    let mut database = database.expect("it can be set aside");
    database
        .connection()
        .pragma_update(None, "synchronous", "OFF")
        .expect("it can be set");
    let salvage = Salvage::resume(&mut database).expect("it can be read");
    let salvage = salvage.expect("a salvage is under way");
    assert!(salvage.damaged_file().exists());
    (database, salvage)
}

fn salvaged(path: &Path) -> (Database, Salvage) {
    let (database, salvage) = begun(path);
    run_to_the_end(database, salvage)
}

fn run_to_the_end(mut database: Database, mut salvage: Salvage) -> (Database, Salvage) {
    for _ in 0..10_000 {
        if salvage.step(&mut database).expect("a step can be taken") == Progress::Done {
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
fn pending_alerts_survive_a_salvage_and_are_delivered_once() {
    use crate::db::outbox::{self, OutboxBuffer};
    use crate::domain::alert::{AlertCommit, AlertState};
    use crate::domain::alert_event::AlertEventKind;
    use crate::domain::outbox::DeliveryOutcome;

    let directory = Directory::new();
    let path = directory.path("a.db");
    let mut old = database(&path);
    let event = |incident| outbox::tests::event(incident, AlertEventKind::Trigger);
    let mut unwritten = OutboxBuffer::default();
    let commit = AlertCommit {
        state: AlertState::new("boot").counting_from(2),
        events: vec![event(1), event(2)],
    };
    unwritten.add(commit, &outbox::tests::channels(&["mail"]), None);
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
    let trying = DeliveryOutcome::Attempting {
        ids: vec![ids[0]],
        message_id: "a@b".to_owned(),
    };
    old.change(|transaction, _| outbox::record(transaction, "mail", &trying))
        .expect("it is written");
    let before = waiting(&old);
    drop(old);
    let (mut database, _) = begun(&path);
    assert_eq!(waiting(&database), before);
    let state = outbox::read_state(database.connection(), "boot").expect("it can be read");
    assert_eq!(state, Some(AlertState::new("boot").counting_from(2)));
    let known = outbox::incidents(database.connection(), 9).expect("it can be read");
    assert_eq!(known.len(), 2);
    // Told meanwhile; a salvage that goes on after a restart must not bring it back.
    let delivered = DeliveryOutcome::Delivered {
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
    while resumed.step(&mut database).expect("it goes on") != Progress::Done {}
    assert_eq!(waiting(&database), []);
}

#[test]
fn windows_of_derived_keys_survive_a_salvage() {
    use crate::domain::derived::SavedWindow;

    let directory = Directory::new();
    let path = directory.path("a.db");
    let window = SavedWindow {
        name: "bought.today".into(),
        rule: "increase of bought since day in UTC".to_owned(),
        state: vec![7; 10_000],
    };
    let saved = database(&path).save_windows(std::slice::from_ref(&window), 42);
    saved.expect("it is saved");
    let (database, _) = begun(&path);
    let all = "SELECT name, rule, through_id, state FROM derived_windows";
    let found: (String, String, i64, Vec<u8>) = database
        .connection()
        .query_row(all, [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .expect("there is one");
    let expected = (window.name.to_string(), window.rule, 42, window.state);
    assert_eq!(found, expected);
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
    let found = read_meta::<String>(database.connection(), "quota:weather");
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
    assert!(salvage.unreadable >= 3, "{}", salvage.unreadable);
    assert_eq!(
        count(&database, SUMMED),
        rows,
        "the hours could be read whole"
    );
    let restored = database.last_values(&|_| false).expect("it can be read");
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
fn a_file_of_random_bytes_leaves_an_empty_working_database() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    std::fs::write(&path, [7; 10 * PAGE]).expect("a file can be written");
    let (mut database, _) = salvaged(&path);
    assert_eq!(count(&database, ROWS), 0);
    let committed = database.commit(&entries([row("t", T0, 1.0)]), i64::MIN);
    assert_eq!(committed.map(|c| c.stored), Ok(1));
}

#[test]
fn the_newest_valid_backup_supplies_unreadable_rows() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = filled(&path);
    std::fs::create_dir(directory.path("stick")).expect("a directory can be made");
    let stick = directory.path("stick/node.a.db");
    // The older one is in the directory of backups, the newer one beside the database.
    for (second, named_after) in [(0, &stick), (60, &path)] {
        let schedule = BackupSchedule {
            database: path.clone(),
            named_after: named_after.clone(),
            every: std::time::Duration::ZERO,
            keep: 3,
        };
        let made = schedule.rotate(Wall::from_second(T0 + second));
        made.expect("a backup is made");
    }
    // Stored after the backup, so that only the damaged file has it.
    let batch = entries([row("t", T0 + 3_000_000, 5.0)]);
    database(&path)
        .commit(&batch, i64::MIN)
        .expect("it is committed");
    damage(&path, &leaves(&path, "records")[3..30]);
    // The newest backup is damaged too.
    damage(&list_backups(&path)[0], &[4, 5, 6]);
    let (database, salvage) = begun(&path);
    let (database, _) = run_to_the_end(database, salvage.with_backups(&stick));
    assert_eq!(count(&database, ROWS), rows + 1);
    assert_eq!(count(&database, SUMMED), rows + 1);
}

#[test]
fn readings_that_come_meanwhile_keep_their_place() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = filled(&path);
    let (mut database, mut salvage) = begun(&path);
    let mut steps = 0;
    while salvage.step(&mut database).expect("a step can be taken") == Progress::More {
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
fn an_interrupted_salvage_continues_after_a_restart() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = filled(&path);
    let (mut first, mut salvage) = begun(&path);
    salvage.step(&mut first).expect("a step can be taken");
    assert!(count(&first, ROWS) < rows);
    drop(first);
    let mut second = database(&path);
    let mut salvage = Salvage::resume(&mut second)
        .expect("it can be read")
        .expect("a salvage is under way");
    while salvage.step(&mut second).expect("a step can be taken") == Progress::More {}
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

/// A database with something in every table, closed.
fn complete(path: &Path) {
    use crate::db::outbox::{self, OutboxBuffer};
    use crate::domain::alert::{AlertCommit, AlertState};
    use crate::domain::alert_event::AlertEventKind;
    use crate::domain::outbox::DeliveryOutcome;

    let mut database = database(path);
    for hour in 0..30 {
        let rows = (0..20).flat_map(|at| {
            let second = T0 + hour * HOUR + at * 60;
            let text = crate::db::test_support::row_of("sky", second, Text("clear".into()));
            [
                row("t", second, at as f64 / 2.0),
                row("p", second, 1.0),
                text,
            ]
        });
        let committed = database.commit(&entries(rows), i64::MIN);
        committed.expect("it is committed");
    }
    let mut unwritten = OutboxBuffer::default();
    let events = (1..=3).map(|incident| outbox::tests::event(incident, AlertEventKind::Trigger));
    let commit = AlertCommit {
        state: AlertState::new("boot").counting_from(3),
        events: events.collect(),
    };
    unwritten.add(commit, &outbox::tests::channels(&["mail"]), None);
    let connection = database.connection_mut();
    unwritten.flush(connection).expect("it is written");
    let first = outbox::pending(connection, "mail").expect("it can be read");
    let delivered = DeliveryOutcome::Delivered {
        ids: vec![first.items[0].id],
        dropped: 0,
        ended: Default::default(),
    };
    let written = database.change(|transaction, tiers| {
        crate::db::rollup::daily::recompute_day(transaction, T0 / 86_400, None)?;
        tiers.daily_until = Some(T0 / 86_400 + 1);
        tiers.raw_from = T0 / HOUR - 5;
        transaction.execute_batch(
            "INSERT INTO outbox_dropped (channel, count) VALUES ('mail', 2);
             INSERT INTO fives VALUES (489404, 1, 0, 1, 1.0, 1.0, 1.0, 1.0, 3);",
        )?;
        outbox::record(transaction, "mail", &delivered)
    });
    written.expect("it is written");
    // Nothing stands in the log alone.
    database
        .connection()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("it is written back");
}

use crate::domain::reading::Value::Text;

fn copy_to(pristine: &Path, path: &Path) {
    std::fs::copy(pristine, path).expect("it can be copied");
    for part in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(file::sibling(path, part));
    }
}

/// Opens it as the node does, salvages if need be, and stores something new.
fn goes_on(path: &Path, context: &str) -> Database {
    let later = || entries([row("t", T0 + 900_000, 1.0), row("new", T0 + 900_000, 1.0)]);
    let mut database = open(&location(path), "this-boot", Wall::from_second(T0))
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    let mut committed = database.commit(&later(), i64::MIN);
    if committed.as_ref().is_err_and(error::is_damage) {
        drop(database);
        let again = quarantine(&location(path), "this-boot", Wall::from_second(T0));
        database = again.unwrap_or_else(|error| panic!("{context}: {error}"));
        committed = database.commit(&later(), i64::MIN);
    }
    let committed = committed.unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(committed.stored, 2, "{context}");
    let salvage = Salvage::resume(&mut database).expect("it can be read");
    let is_new = salvage.is_some();
    if let Some(mut salvage) = salvage {
        for _ in 0..1_000 {
            match salvage.step(&mut database) {
                Ok(Progress::Done) => break,
                Ok(Progress::More) => {}
                Err(error) => panic!("{context}: {error}"),
            }
        }
    }
    assert!(Salvage::resume(&mut database).is_ok_and(|left| left.is_none()));
    let verdict: String = database
        .connection()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    assert!(verdict == "ok" || !is_new, "{context}: {verdict}");
    drop(database);
    // What was salvaged is no damage in its turn.
    open::open(&location(path), "this-boot").unwrap_or_else(|error| panic!("{context}: {error}"))
}

const WAITING: &str = "SELECT count(*) FROM outbox";

#[test]
fn one_damaged_cell_ends_nothing_and_takes_nothing_else_with_it() {
    damage_cells(20);
}

#[test]
#[ignore = "takes minutes"]
fn no_single_damaged_cell_ends_anything() {
    damage_cells(1);
}

/// Damages one cell in `one_in` of all tables, columns and kinds of damage.
fn damage_cells(one_in: u64) {
    let directory = Directory::new();
    let pristine = directory.path("pristine.db");
    complete(&pristine);
    let fresh = database(&pristine);
    let rows = count(&fresh, ROWS);
    let waiting = count(&fresh, WAITING);
    assert_eq!((rows, waiting), (1_800, 2));
    let mut cells: Vec<(String, String)> = Vec::new();
    let mut columns = fresh
        .connection()
        .prepare(
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND t.name <> 'sqlite_sequence'",
        )
        .expect("it can be asked");
    let found = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    for cell in found.expect("it can be asked") {
        cells.push(cell.expect("both are texts"));
    }
    drop(columns);
    drop(fresh);
    assert!(cells.len() > 60, "{}", cells.len());
    let values = [
        "NULL",
        "'junk'",
        "x'00ff'",
        "9223372036854775807",
        "-9223372036854775808",
        "-7",
        "9e999",
        "cast(x'ff80fe' AS TEXT)",
    ];
    let path = directory.path("a.db");
    let mut dice = Dice(5);
    for (table, column) in cells {
        for value in values {
            // Which ones is always the same.
            if dice.below(one_in) > 0 {
                continue;
            }
            let context = format!("{table}.{column} = {value}");
            copy_to(&pristine, &path);
            let connection = Connection::open(&path).expect("it opens");
            // A damaged file does not keep to its schema.
            let lax = format!(
                "PRAGMA synchronous = OFF; PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = replace(replace(replace(sql, ' STRICT, WITHOUT', \
                 ' WITHOUT'), ' STRICT', ''), ' NOT NULL', '') WHERE name = '{table}'"
            );
            connection.execute_batch(&lax).expect("it can be changed");
            drop(connection);
            let connection = Connection::open(&path).expect("it opens");
            let update = format!(
                "UPDATE OR IGNORE {table} SET {column} = {value} WHERE ({column}) IN \
                 (SELECT {column} FROM {table} LIMIT 1)"
            );
            let is_id = connection.execute(&update, []);
            // Ids are integers in every file.
            let Ok(damaged) = is_id else { continue };
            connection
                .execute_batch(&format!(
                    "PRAGMA writable_schema = ON; ATTACH '{}' AS whole;
                     UPDATE sqlite_schema SET sql = (SELECT sql FROM whole.sqlite_schema w \
                     WHERE w.name = main.sqlite_schema.name)",
                    pristine.display()
                ))
                .expect("the schema is as it was");
            drop(connection);
            let database = goes_on(&path, &context);
            let left = count(&database, ROWS);
            let lost = match table.as_str() {
                "records" => damaged as i64,
                _ => 0,
            };
            assert!(left >= rows + 2 - lost, "{context}: {left} of {rows}");
            let lost = match table.as_str() {
                "outbox" => damaged as i64,
                _ => 0,
            };
            assert!(count(&database, WAITING) >= waiting - lost, "{context}");
            drop(database);
            for name in directory.names() {
                if name.starts_with("a.db") {
                    let _ = std::fs::remove_file(directory.path(&name));
                }
            }
        }
    }
}

/// The roots of the tables, the text of the schema and the header: the first pages.
#[test]
fn a_damaged_byte_of_the_schema_costs_no_row() {
    let directory = Directory::new();
    let pristine = directory.path("pristine.db");
    complete(&pristine);
    let rows = count(&database(&pristine), ROWS);
    let bytes = std::fs::read(&pristine).expect("it can be read");
    let path = directory.path("a.db");
    let mut dice = Dice(9);
    let mut set_aside = 0;
    let image = source::DatabaseImage::open(&pristine).expect("it opens");
    let mut pages = pages::walk(&image, 1).pages;
    pages.push(1);
    for _ in 0..24 {
        let page = pages[dice.below(pages.len() as u64) as usize] as usize - 1;
        // Behind the file's own header.
        let begin = if page == 0 { 100 } else { 0 };
        let at = page * PAGE + begin + dice.below((PAGE - begin) as u64) as usize;
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << dice.below(8);
        for name in directory.names() {
            if name.starts_with("a.db") {
                let _ = std::fs::remove_file(directory.path(&name));
            }
        }
        std::fs::write(&path, &damaged).expect("it can be written");
        let context = format!("byte {at}");
        let database = goes_on(&path, &context);
        assert_eq!(count(&database, ROWS), rows + 2, "{context}");
        assert_eq!(count(&database, WAITING), 2, "{context}");
        drop(database);
        let names = directory.names();
        set_aside += usize::from(names.iter().any(|name| name.contains(".damaged-")));
    }
    assert!(set_aside > 3, "{set_aside}");
}

#[test]
fn a_file_that_has_lost_its_end_gives_back_what_is_left() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = filled(&path);
    let leaves = leaves(&path, "records");
    let bytes = std::fs::metadata(&path).expect("it is there").len();
    let cut = std::fs::OpenOptions::new().write(true).open(&path);
    let cut = cut.and_then(|file| file.set_len(bytes - PAGE as u64));
    cut.expect("it can be cut");
    let (database, _) = salvaged(&path);
    let per_page = rows / leaves.len() as i64;
    let left = count(&database, ROWS);
    assert!(left >= rows - 2 * per_page, "{left} of {rows}");
}

/// Every state of the directory between two system calls of a salvage.
#[test]
fn a_crash_at_any_step_of_a_salvage_loses_nothing() {
    let directory = Directory::new();
    let pristine = directory.path("pristine.db");
    complete(&pristine);
    let rows = count(&database(&pristine), ROWS);
    let path = directory.path("a.db");
    let now = Wall::from_second(T0);
    for crash in 0..8 {
        for name in directory.names() {
            if name.starts_with("a.db") {
                let _ = std::fs::remove_file(directory.path(&name));
            }
        }
        copy_to(&pristine, &path);
        // Rows that stand in the log alone, as after a kill.
        let mut writer = database(&path);
        let batch = entries([row("t", T0 + 800_000, 1.0)]);
        writer.commit(&batch, i64::MIN).expect("it is committed");
        let log = std::fs::read(file::sibling(&path, "-wal")).expect("there is a log");
        let file = std::fs::read(&path).expect("it is there");
        drop(writer);
        std::fs::write(&path, file).expect("it can be written");
        std::fs::write(file::sibling(&path, "-wal"), log).expect("it can be written");
        damage(&path, &leaves(&pristine, "keys"));

        let suffix = replace::free_suffix(&path, QUARANTINED, now);
        let aside = file::sibling(&path, &suffix);
        let steps: [&dyn Fn(); 7] = [
            &|| drop(open::create_beside(&path).expect("it can be made")),
            &|| fill(&file::sibling(&path, ".new"), &path, &aside).expect("it can be filled"),
            &|| {
                let prepared = file::sibling(&path, ".new");
                replace::schedule(&path, &prepared, &suffix).expect("it can be announced");
            },
            &|| {
                let moved =
                    std::fs::rename(file::sibling(&path, "-wal"), file::sibling(&aside, "-wal"));
                moved.expect("the log moves");
            },
            &|| std::fs::rename(&path, &aside).expect("the database moves"),
            &|| replace::complete(&path).expect("it is finished"),
            &|| {
                let mut database = database(&path);
                let mut salvage = Salvage::resume(&mut database)
                    .expect("it can be read")
                    .expect("it is under way");
                salvage.step(&mut database).expect("a step can be taken");
            },
        ];
        for step in steps.into_iter().take(crash) {
            step();
        }
        let context = format!("after {crash} steps");
        let database = goes_on(&path, &context);
        assert_eq!(count(&database, ROWS), rows + 3, "{context}");
        assert_eq!(count(&database, WAITING), 2, "{context}");
    }
}

#[test]
fn a_salvage_whose_database_is_damaged_in_its_turn_forgets_neither() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let rows = filled(&path);
    let (first, salvage) = begun(&path);
    drop((first, salvage));
    let mut second = database(&path);
    let batch = entries([row("t", T0 + 2_000_000, 1.0)]);
    second.commit(&batch, i64::MIN).expect("it is committed");
    drop(second);
    let (database, salvage) = salvaged(&path);
    assert_eq!(salvage.damaged_files.len(), 2);
    assert_eq!(count(&database, ROWS), rows + 1);
}

#[test]
fn every_version_of_the_schema_is_known() {
    use crate::db::schema;

    for version in 1..=schema::STEPS.len() {
        let directory = Directory::new();
        let path = directory.path("a.db");
        let mut old = Connection::open(&path).expect("a database can be made");
        let pragmas = "PRAGMA synchronous = OFF; PRAGMA page_size = 4096; \
                       PRAGMA auto_vacuum = incremental; PRAGMA application_id = 1835954020";
        old.execute_batch(pragmas).expect("they can be set");
        schema::migrate(&mut old, &schema::STEPS[..version]).expect("it can be made");
        old.execute_batch(
            "INSERT INTO keys (k, key, unit, source) VALUES (7, 't', '°C', 'weather'),
                 (8, 'switch', NULL, 'weather');
             INSERT INTO latest (k, id, second, value, own_time, untrusted)
                 VALUES (7, 2, 1761854460, 2, 0, 0), (8, 1, 1761854400, 1, 0, 0);
             INSERT INTO records VALUES (1, '2025-10-30T20:00:00Z', 't', 1.5, NULL),
                 (2, '2025-10-30T20:01:00Z', 't', 2, NULL);",
        )
        .expect("it can be filled");
        if version > 1 {
            old.execute(
                "INSERT INTO outbox (channel, incident, event) VALUES ('mail', 1, '{}')",
                [],
            )
            .expect("it can be filled");
        }
        let has_booleans = version >= 8;
        if has_booleans {
            old.execute("UPDATE keys SET boolean = 1", [])
                .expect("it can be filled");
        }
        drop(old);
        // The header's count of bytes a page: SQLite reads nothing of it any more.
        let mut bytes = std::fs::read(&path).expect("it is there");
        bytes[16] = 3;
        std::fs::write(&path, bytes).expect("it can be written");
        let context = format!("version {version}");
        let database = goes_on(&path, &context);
        assert_eq!(count(&database, ROWS), 4, "{context}");
        assert_eq!(count(&database, SUMMED), 4, "{context}");
        assert_eq!(
            count(&database, WAITING),
            i64::from(version > 1),
            "{context}"
        );
        let restored = database.last_values(&|_| false).expect("it can be read");
        assert_eq!(restored.len(), 3, "{context}");
        let of_then = restored.iter().find(|it| *it.key == *"switch");
        let is_boolean = of_then.map(|it| it.is_boolean);
        assert_eq!(is_boolean, Some(has_booleans), "{context}");
    }
}

/// Of a damaged database there can be no backup before an upgrade.
#[test]
fn an_older_database_that_is_damaged_is_recovered_instead_of_upgraded() {
    type Hurt = fn(&Path);
    let damages: [(&str, Hurt); 3] = [
        ("a page of records", |path| {
            damage(path, &[leaves(path, "records")[3]]);
        }),
        ("the page of keys", |path| {
            damage(path, &leaves(path, "keys"));
        }),
        ("its end", |path| {
            let file = std::fs::OpenOptions::new().write(true).open(path);
            let length = path.metadata().expect("it is there").len();
            file.and_then(|file| file.set_len(length - 2 * PAGE as u64))
                .expect("it can be cut");
        }),
    ];
    for (context, hurt) in damages {
        let directory = Directory::new();
        let path = directory.path("a.db");
        filled(&path);
        Connection::open(&path)
            .and_then(|connection| {
                connection.pragma_update(None, "user_version", schema::VERSION - 1)
            })
            .expect("its version can be changed");
        hurt(&path);
        let now = Wall::from_second(T0);
        let mut database = open(&location(&path), "this-boot", now).expect(context);
        let mut salvage = Salvage::resume(&mut database)
            .expect("it can be read")
            .expect("a salvage is under way");
        while salvage.step(&mut database).expect("a step can be taken") == Progress::More {}
        let rows = count(&database, ROWS);
        assert!(rows > 19_700, "{context}: {rows}");
        let version = schema::version(database.connection());
        assert_eq!(version, Ok(schema::VERSION), "{context}");
    }
}

#[test]
fn what_must_not_wait_is_read_where_there_is_no_room_for_a_new_database() {
    use crate::db::{last_run, outbox};
    use crate::domain::alert::AlertState;
    use crate::domain::quota::SavedQuota;
    use crate::domain::time::Mono;

    let directory = Directory::new();
    let path = directory.path("a.db");
    complete(&path);
    let spent = "this-boot 120000 90000 -";
    let written = quota::write(database(&path).connection(), "weather", spent);
    written.expect("it is written");
    damage(&path, &leaves(&path, "hourly"));
    let mut bytes = std::fs::read(&path).expect("it is there");
    bytes[16] = 3;
    std::fs::write(&path, &bytes).expect("it can be written");
    let (location, boot) = (location(&path), "this-boot");
    // A directory stands where the new database is to be made.
    std::fs::create_dir(file::sibling(&path, ".new")).expect("it can be made");
    let opened = open(&location, boot, Wall::from_second(T0));
    assert!(
        matches!(opened, Err(OpenError::Corrupt { .. })),
        "{opened:?}"
    );
    assert_eq!(
        last_run::last_values(&opened, &location, boot, named(&|_| false)).len(),
        3
    );
    let carried = last_run::quotas(&opened, &location, boot, ["weather"].into_iter());
    let until = Mono(120_000);
    assert_eq!(carried, [SavedQuota::SameBoot { until }]);
    let state = last_run::alert_state(&opened, &location, boot, Mono(0));
    let expected = AlertState::new("boot")
        .counting_from(3)
        .resumed(boot, Mono(0));
    assert_eq!(state, expected);
    assert_eq!(std::fs::read(&path).ok(), Some(bytes), "nothing is written");
    // There is room again.
    std::fs::remove_dir(file::sibling(&path, ".new")).expect("it can be removed");
    let database = goes_on(&path, "with room again");
    let waiting = outbox::pending(database.connection(), "mail").expect("it can be read");
    assert_eq!(waiting.items.len(), 2);
    assert_eq!(count(&database, ROWS), 1_802);
}
