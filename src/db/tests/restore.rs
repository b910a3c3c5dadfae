use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::db::database::Database;
use crate::db::file::is_wal_mode;
use crate::db::test_support::{Directory, T0, database, entries, location, row, trusted};
use crate::db::tiers::{read_meta, write_meta};

#[path = "restore_kill.rs"]
mod kill;

const NOW: Wall = Wall(T0 * 1000);

/// A database with readings of `key` alone.
fn holding(path: &Path, key: &str) -> Database {
    let mut made = database(path);
    let rows = (0..3).map(|at| row(key, T0 + at, 1.0));
    made.commit(&entries(rows), i64::MIN)
        .expect("it can be written");
    made
}

fn waits(connection: &Connection, incident: i64, event: &str) {
    connection
        .execute(
            "INSERT INTO outbox (channel, incident, event) VALUES ('mail', ?1, ?2)",
            rusqlite::params![incident, event],
        )
        .expect("an alert can wait");
    connection
        .execute("INSERT OR REPLACE INTO alert_state VALUES (1, ?1)", [event])
        .expect("the state can be written");
}

fn texts(path: &Path, sql: &str) -> Vec<String> {
    let connection = connection::open_read_only(path).expect("it can be read");
    let mut statement = connection.prepare(sql).expect("it is SQL");
    let rows = statement.query_map([], |row| row.get(0)).expect("it runs");
    rows.collect::<Result<_, _>>().expect("texts")
}

fn keys(path: &Path) -> Vec<String> {
    texts(path, "SELECT DISTINCT key FROM records")
}

fn outbox(path: &Path) -> Vec<String> {
    texts(path, "SELECT event FROM outbox ORDER BY id")
}

/// A database with an alert that waits and a quota that is spent, and a copy of an earlier one,
/// which knows an alert that was told since. As after a kill, most of it is in the log.
fn restorable_from(directory: &Directory) -> (PathBuf, PathBuf) {
    let (path, earlier) = (directory.path("db"), directory.path("earlier"));
    let old = holding(&earlier, "restored");
    waits(old.connection(), 1, "told since");
    drop(old);
    let living = directory.path("living");
    let present = holding(&living, "present");
    waits(present.connection(), 2, "not told yet");
    write_meta(present.connection(), "quota:meter", "spent").expect("it can be written");
    for part in ["", "-wal"] {
        std::fs::copy(sibling(&living, part), sibling(&path, part)).expect("it can be copied");
    }
    (path, earlier)
}

/// The same, with the copy staged.
fn restorable(directory: &Directory) -> PathBuf {
    let (path, earlier) = restorable_from(directory);
    stage(&earlier, &location(&path)).expect("a good copy is staged");
    path
}

fn assert_restored(directory: &Directory, path: &Path, state: &str) {
    assert_eq!(keys(path), ["restored"], "{state}");
    assert_eq!(outbox(path), ["not told yet"], "{state}");
    assert_eq!(
        texts(path, "SELECT state FROM alert_state"),
        ["not told yet"],
        "{state}"
    );
    let connection = connection::open_read_only(path).expect("it can be read");
    let quota: Option<String> = read_meta(&connection, "quota:meter").expect("it can be read");
    assert_eq!(quota.as_deref(), Some("spent"), "{state}");
    let verdict = texts(path, "PRAGMA integrity_check");
    assert_eq!(verdict, ["ok"], "{state}");
    let kept = replace::list_moved(path, REPLACED);
    assert_eq!(kept.len(), 1, "{state}: {:?}", directory.names());
    assert_eq!(keys(&kept[0]), ["present"], "{state}: with its log");
    let left = |name: &String| name.contains(STAGED_SUFFIX) || name.contains(".next");
    assert!(
        !directory.names().iter().any(left),
        "{state}: {:?}",
        directory.names()
    );
}

#[test]
fn a_staged_copy_takes_the_databases_place_and_its_alerts() {
    let directory = Directory::new();
    let path = restorable(&directory);
    let before = apply_staged(&path, NOW)
        .expect("it can be taken")
        .expect("one is staged");
    assert_eq!(before, directory.path("db.replaced-20251030T200000Z"));
    let head = std::fs::read(&path).expect("it is there");
    assert!(is_wal_mode(&head), "the first opening changes no mode");
    assert_restored(&directory, &path, "at once");
    drop(crate::db::open::open(&location(&path), "boot").expect("the node takes it"));
    assert!(
        apply_staged(&path, NOW)
            .expect("nothing is in the way")
            .is_none(),
        "once"
    );
}

/// A crash between any two steps: what is done again at the next start comes to the same.
#[test]
fn wherever_a_crash_interrupts_it_the_next_start_completes_it() {
    type Crash = fn(&Path);
    let carried: Crash = |path| {
        copy_alerts_and_quotas(path, &sibling(path, STAGED_SUFFIX)).expect("it can be carried");
    };
    let logged: Crash = |path| {
        copy_alerts_and_quotas(path, &sibling(path, STAGED_SUFFIX)).expect("it can be carried");
        set_wal_mode(&sibling(path, STAGED_SUFFIX)).expect("it can be led to a log");
    };
    let announced: Crash = |path| {
        copy_alerts_and_quotas(path, &sibling(path, STAGED_SUFFIX)).expect("it can be carried");
        replace::schedule(path, &sibling(path, STAGED_SUFFIX), ".replaced-1").expect("announced");
    };
    let log_moved: Crash = |path| {
        copy_alerts_and_quotas(path, &sibling(path, STAGED_SUFFIX)).expect("it can be carried");
        replace::schedule(path, &sibling(path, STAGED_SUFFIX), ".replaced-1").expect("announced");
        let moved = sibling(path, ".replaced-1-wal");
        std::fs::rename(sibling(path, "-wal"), moved).expect("renamed");
    };
    let moved_away: Crash = |path| {
        copy_alerts_and_quotas(path, &sibling(path, STAGED_SUFFIX)).expect("it can be carried");
        replace::schedule(path, &sibling(path, STAGED_SUFFIX), ".replaced-1").expect("announced");
        let moved = sibling(path, ".replaced-1");
        std::fs::rename(sibling(path, "-wal"), sibling(&moved, "-wal")).expect("renamed");
        std::fs::rename(path, moved).expect("renamed");
    };
    // In the middle of the transaction that carries alerts over, with its journal on the disk.
    let carrying: Crash = |path| {
        let target = open(&sibling(path, STAGED_SUFFIX)).expect("it can be opened");
        target
            .pragma_update(None, "cache_size", 1)
            .expect("it spills early");
        target
            .execute_batch("BEGIN IMMEDIATE; DELETE FROM outbox")
            .expect("begun");
        let filler = "x".repeat(100_000);
        waits(&target, 9, &filler);
        let journal = std::fs::read(sibling(path, ".restore-journal")).expect("there is one");
        let half = std::fs::read(sibling(path, STAGED_SUFFIX)).expect("it is there");
        drop(target);
        std::fs::write(sibling(path, STAGED_SUFFIX), half).expect("written");
        std::fs::write(sibling(path, ".restore-journal"), journal).expect("written");
    };
    for (state, crash) in [
        ("carrying", carrying),
        ("carried", carried),
        ("logged", logged),
        ("announced", announced),
        ("log moved", log_moved),
        ("moved away", moved_away),
    ] {
        let directory = Directory::new();
        let path = restorable(&directory);
        crash(&path);
        apply_staged(&path, NOW).expect(state);
        assert_restored(&directory, &path, state);
    }
}

#[test]
fn an_incomplete_copy_is_never_restored() {
    let directory = Directory::new();
    let path = directory.path("db");
    drop(holding(&path, "present"));
    // A crash of the command: everything but the last rename.
    std::fs::copy(&path, sibling(&path, UNFINISHED_SUFFIX)).expect("a copy can be begun");
    std::fs::write(sibling(&path, ".restore.copy.unfinished"), "half").expect("and another");
    assert!(
        apply_staged(&path, NOW)
            .expect("nothing is staged")
            .is_none()
    );
    assert_eq!(keys(&path), ["present"]);
    let other = directory.path("other");
    drop(holding(&other, "restored"));
    stage(&other, &location(&path)).expect("leftovers are in nobody's way");
    apply_staged(&path, NOW).expect("it can be taken");
    assert_eq!(keys(&path), ["restored"]);
    let left = |name: &String| name.contains(STAGED_SUFFIX);
    assert!(
        !directory.names().iter().any(left),
        "{:?}",
        directory.names()
    );
}

#[test]
fn an_invalid_backup_is_refused_and_not_staged() {
    let directory = Directory::new();
    let path = directory.path("db");
    drop(holding(&path, "present"));
    let (newer, text, foreign) = (
        directory.path("newer"),
        directory.path("text"),
        directory.path("foreign"),
    );
    drop(holding(&newer, "newer"));
    let set = |path: &Path, sql: &str| {
        Connection::open(path)
            .and_then(|it| it.execute_batch(sql))
            .expect("set");
    };
    set(&newer, "PRAGMA user_version = 99");
    std::fs::write(
        &text,
        "buy milk, and a lot of other things that fill a header".repeat(4),
    )
    .expect("written");
    set(
        &foreign,
        "PRAGMA application_id = 77; CREATE TABLE theirs (x)",
    );
    let damaged = directory.path("damaged");
    std::fs::copy(&path, &damaged).expect("copied");
    let mut bytes = std::fs::read(&damaged).expect("read");
    let at = bytes.len() - 4096;
    bytes[at..].fill(0xa5);
    std::fs::write(&damaged, bytes).expect("written");
    for (file, expected) in [
        (directory.path("absent"), "no such file"),
        (
            newer,
            "its schema version is 99; this main-node supports versions up to",
        ),
        (text, "it is not a main-node database"),
        (foreign.clone(), "it is not a main-node database"),
        (damaged, "cannot be restored: "),
        (path.clone(), "is the database itself"),
    ] {
        let said = stage(&file, &location(&path)).expect_err("it is refused");
        assert!(said.contains(expected), "{said}");
    }
    let good = directory.path("good");
    drop(holding(&good, "good"));
    let said = stage(&good, &location(&foreign)).expect_err("another program's is left alone");
    assert!(said.contains("another program's file"), "{said}");
    let left = |name: &String| name.contains(STAGED_SUFFIX);
    assert!(
        !directory.names().iter().any(left),
        "{:?}",
        directory.names()
    );
}

#[test]
fn backups_of_every_earlier_version_are_migrated() {
    for version in 1..=schema::STEPS.len() {
        let directory = Directory::new();
        let (path, old) = (directory.path("db"), directory.path("old"));
        let present = holding(&path, "present");
        waits(present.connection(), 2, "not told yet");
        drop(present);
        let mut connection = Connection::open(&old).expect("it can be made");
        connection
            .pragma_update(None, "application_id", schema::APPLICATION_ID)
            .and_then(|()| schema::migrate(&mut connection, &schema::STEPS[..version]))
            .and_then(|()| {
                connection.execute_batch(
                    "INSERT INTO records (timestamp, key, value) \
                     VALUES ('2025-10-30T20:00:00Z', 'restored', 1)",
                )
            })
            .expect("an earlier version can be made");
        drop(connection);
        let bytes = std::fs::read(&old).expect("it can be read");
        stage(&old, &location(&path)).expect("it is staged");
        assert_eq!(
            std::fs::read(&old).expect("it is there"),
            bytes,
            "the copy stays as it is"
        );
        apply_staged(&path, NOW).expect("it is taken");
        assert_eq!(
            (keys(&path), outbox(&path)),
            (vec!["restored".to_owned()], vec!["not told yet".to_owned()])
        );
        drop(crate::db::open::open(&location(&path), "boot").expect("the node takes it"));
        assert!(
            !directory
                .names()
                .iter()
                .any(|name| name.contains("before-version"))
        );
    }
}

#[test]
fn on_a_new_card_the_copys_own_alerts_are_kept() {
    for present in [false, true] {
        let directory = Directory::new();
        let (path, copy) = (directory.path("db"), directory.path("copy"));
        let old = holding(&copy, "restored");
        waits(old.connection(), 1, "waiting");
        drop(old);
        if present {
            drop(holding(&path, "fresh"));
        }
        stage(&copy, &location(&path)).expect("it is staged");
        apply_staged(&path, NOW).expect("it is taken");
        assert_eq!(outbox(&path), ["waiting"]);
        assert_eq!(keys(&path), ["restored"]);
    }
}

#[test]
fn a_link_to_the_database_stays_one() {
    let directory = Directory::new();
    let (link, path, copy) = (
        directory.path("link"),
        directory.path("disk/db"),
        directory.path("copy"),
    );
    std::fs::create_dir(directory.path("disk")).expect("it can be made");
    drop(holding(&path, "present"));
    drop(holding(&copy, "restored"));
    std::os::unix::fs::symlink(&path, &link).expect("a link can be made");
    stage(&copy, &location(&link)).expect("it is staged");
    let kept = apply_staged(&link, NOW)
        .expect("it is taken")
        .expect("it was staged");
    assert!(link.is_symlink());
    assert_eq!(keys(&path), ["restored"]);
    assert_eq!(keys(&kept), ["present"]);
    assert_eq!(kept.parent(), path.parent(), "beside it, on the same disk");
}

#[test]
fn a_damaged_alert_costs_no_other() {
    let directory = Directory::new();
    let (path, copy) = (directory.path("db"), directory.path("copy"));
    drop(holding(&copy, "restored"));
    let present = holding(&path, "present");
    let damaged =
        "INSERT INTO outbox (channel, incident, event) VALUES ('mail', 1, cast(x'ff' AS TEXT))";
    present
        .connection()
        .execute_batch(damaged)
        .expect("it can be written");
    waits(present.connection(), 2, "not told yet");
    drop(present);
    stage(&copy, &location(&path)).expect("it is staged");
    apply_staged(&path, NOW).expect("it is taken");
    assert_eq!(outbox(&path), ["not told yet"]);
}

#[test]
fn a_damaged_database_is_no_reason_not_to_restore() {
    let directory = Directory::new();
    let (path, copy) = (directory.path("db"), directory.path("copy"));
    drop(holding(&copy, "restored"));
    drop(holding(&path, "present"));
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[100..].fill(0xa5);
    std::fs::write(&path, &bytes).expect("written");
    stage(&copy, &location(&path)).expect("it is staged");
    let kept = apply_staged(&path, NOW)
        .expect("it is taken")
        .expect("it was staged");
    assert_eq!(keys(&path), ["restored"]);
    assert_eq!(std::fs::read(kept).expect("it is kept"), bytes, "as it was");
}

#[test]
fn what_is_staged_is_closed_to_others() {
    let directory = Directory::new();
    let (path, copy) = (directory.path("db"), directory.path("copy"));
    drop(holding(&copy, "restored"));
    std::fs::set_permissions(&copy, Permissions::from_mode(0o644)).expect("it is ours");
    stage(&copy, &location(&path)).expect("it is staged");
    let staged = sibling(&path, STAGED_SUFFIX)
        .metadata()
        .expect("it is there");
    assert_eq!(staged.mode() & 0o777, 0o600);
    let owner = directory.path("").metadata().expect("it is there");
    assert_eq!(staged.uid(), owner.uid());
}

/// Whoever reads rows by id must not miss those that are stored after a restore.
#[test]
fn no_id_is_given_again() {
    let directory = Directory::new();
    let (path, copy) = (directory.path("db"), directory.path("copy"));
    drop(holding(&copy, "restored"));
    let mut present = holding(&path, "present");
    let more = (3..10).map(|at| row("present", T0 + at, 1.0));
    present
        .commit(&entries(more), i64::MIN)
        .expect("it can be written");
    let used = present.last_id();
    drop(present);
    stage(&copy, &location(&path)).expect("it is staged");
    apply_staged(&path, NOW).expect("it is taken");
    let mut restored = database(&path);
    restored
        .commit(&entries([row("restored", T0 + 20, 1.0)]), i64::MIN)
        .expect("it can be written");
    assert!(
        restored.last_id() > used,
        "{} and {used}",
        restored.last_id()
    );
    let rows = texts(&path, "SELECT count(*) || '' FROM records");
    assert_eq!(rows, ["4"]);
}

#[test]
fn what_the_replaced_database_was_asked_for_is_not_asked_of_the_copy() {
    use crate::db::maintenance::Maintenance;
    use crate::db::maintenance::request::{MaintenanceRequest, MaintenanceTask, claim};
    use crate::db::maintenance::step_times::StepTimes;
    use crate::db::retention::policy::RetentionPolicy;

    let kept = RetentionPolicy::default();

    let directory = Directory::new();
    let path = directory.path("main-node.db");
    let mut asked = holding(&path, "t");
    let leave = |id: &str| {
        let task = MaintenanceTask::Forget {
            keys: vec!["t".to_owned()],
            from: None,
            to: None,
            through_id: i64::MAX,
        };
        let id = id.to_owned();
        let left = claim(&path)
            .expect("it is free")
            .submit(&MaintenanceRequest { id, task });
        left.expect("it can be left");
    };
    // The copy is made in the middle of a task.
    leave("1");
    let mut task = Maintenance::resume(&asked)
        .expect("it can be read")
        .expect("it is there");
    task.step(&mut asked, StepTimes::new(&kept, None, trusted(0)))
        .expect("a step can be taken");
    let copy = directory.path("copy.db");
    backup::copy(asked.connection(), &copy).expect("it can be copied");
    while task
        .step(&mut asked, StepTimes::new(&kept, None, trusted(0)))
        .expect("a step can be taken")
        == crate::db::progress::Progress::More
    {}
    leave("2");
    drop(asked);
    stage(&copy, &location(&path)).expect("it can be staged");
    apply_staged(&path, NOW)
        .expect("it can be applied")
        .expect("it was staged");
    let restored = database(&path);
    assert!(
        Maintenance::resume(&restored)
            .expect("it can be looked for")
            .is_none()
    );
    let state = MaintenanceState::read(restored.connection()).expect("it can be read");
    assert_eq!(state, None);
}
