//! Backups that are made by themselves: when, where, and how many are kept.

use super::*;
use crate::db::test_support::{Directory, T0, database, trusted};
use crate::domain::time::ClockTrust;
use crate::sys::clock::ManualClock;
use crate::sys::shutdown::StopSource;

const DAY: Duration = Duration::from_secs(86_400);

fn schedule(database: PathBuf, named_after: PathBuf) -> BackupSchedule {
    BackupSchedule {
        database,
        named_after,
        every: DAY,
        keep: 2,
    }
}

fn days_of(named_after: &Path) -> Vec<i64> {
    let dates = list_backups(named_after).into_iter();
    let dates = dates.filter_map(|path| parse_date(&path));
    dates.map(|date| (date.second() - T0) / 86_400).collect()
}

#[test]
fn a_backup_is_due_when_the_newest_is_old_or_dated_ahead() {
    let now = Wall::from_second(T0);
    let dated = |name: &str| parse_date(Path::new(name));
    for (newest, expected) in [
        (None, true),
        (dated("/data/a.db.backup-20251030T195959Z"), false),
        (dated("/data/a.db.backup-20251029T200001Z"), false),
        (dated("/data/a.db.backup-20251029T200000Z"), true),
        (dated("/data/a.db.backup-20351029T200000Z"), true),
        (dated("/data/a.db.backup-mine"), true),
    ] {
        let due = is_due(newest.into_iter(), DAY, now);
        assert_eq!(due, expected, "{newest:?}");
    }
    let ahead = dated("/data/a.db.backup-20351029T200000Z");
    let recent = dated("/data/a.db.backup-20251030T195959Z");
    let both = recent.into_iter().chain(ahead);
    assert!(!is_due(both, DAY, now), "one dated ahead changes nothing");
}

#[test]
fn the_newest_backups_are_kept() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    drop(database(&path));
    std::fs::write(directory.path("a.db.backup-mine"), "").expect("a file can be written");
    let schedule = schedule(path.clone(), path);
    for day in 0..5 {
        let made = schedule.rotate(Wall::from_second(T0 + day * 86_400));
        made.expect("a backup is made");
    }
    let names: Vec<String> = directory
        .names()
        .into_iter()
        .filter(|name| name.contains("backup"))
        .collect();
    let expected = ["20251102T200000Z", "20251103T200000Z", "mine"];
    assert_eq!(names, expected.map(|date| format!("a.db.backup-{date}")));
}

#[test]
fn a_backup_dated_ahead_does_not_stay_in_place_of_newer_ones() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    drop(database(&path));
    let schedule = schedule(path.clone(), path.clone());
    for second in [T0, T0 + 3_650 * 86_400, T0 + 86_400, T0 + 2 * 86_400] {
        let made = schedule.rotate(Wall::from_second(second));
        made.expect("a backup is made");
    }
    assert_eq!(days_of(&path), [1, 2]);
}

#[test]
fn nodes_that_share_a_directory_keep_their_own() {
    let directory = Directory::new();
    let stick = directory.path("stick");
    std::fs::create_dir(&stick).expect("a directory can be made");
    let nodes = ["attic", "attic.2", "cellar"].map(|node| {
        let path = directory.path(&format!("{node}.db"));
        drop(database(&path));
        schedule(path, stick.join(format!("{node}.main-node.db")))
    });
    // A power cut in the middle of a copy, and what is somebody's own.
    let cut = "attic.main-node.db.backup-20251029T200000Z.unfinished";
    for name in [
        cut,
        "attic.main-node.db.backup-20251029T200000Z.mine",
        "photo.jpg",
    ] {
        std::fs::write(stick.join(name), "half").expect("a file can be written");
    }
    for day in 0..4 {
        for node in &nodes {
            let made = node.rotate(Wall::from_second(T0 + day * 86_400));
            made.expect("a backup is made");
        }
    }
    for node in &nodes {
        assert_eq!(days_of(&node.named_after), [2, 3]);
        let newest = newest_verified(&[&node.database, &node.named_after]);
        let expected = list_backups(&node.named_after).pop();
        assert_eq!(newest, expected, "the salvage finds it");
    }
    let entries = std::fs::read_dir(&stick).expect("it can be listed");
    assert_eq!(entries.count(), 2 * nodes.len() + 2, "the cut copy is gone");
}

#[test]
fn an_absent_directory_is_told_at_once_and_the_copy_made_when_it_appears() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    drop(database(&path));
    let named_after = directory.path("stick/node.a.db");
    let schedule = schedule(path, named_after.clone());
    let mut run = BackupRun::new(&schedule);
    let told = run.state(trusted(0));
    assert_eq!((told.last, told.next), (None, None));
    let why = told.error.expect("it is absent");
    assert!(
        why.contains("stick cannot be used: it does not exist: plug in"),
        "{why}"
    );

    run.check(trusted(60));
    assert!(run.tried_at.is_none() && run.state(trusted(60)).error.is_some());
    std::fs::create_dir(directory.path("stick")).expect("a directory can be made");
    let untrusted = Moment {
        trust: ClockTrust::Untrusted,
        ..trusted(120)
    };
    run.check(untrusted);
    let told = run.state(untrusted);
    assert_eq!(told.error, None, "it is back");
    assert!(
        list_backups(&named_after).is_empty(),
        "names wait for the clock"
    );
    run.check(trusted(180));
    let told = run.state(trusted(240));
    assert_eq!(told.last, Some(Wall::from_second(T0 + 180)));
    assert_eq!(told.next, Some(Wall::from_second(T0 + 180 + 86_400)));

    // It is pulled, which is told long before the next copy is due.
    let (stick, pocket) = (directory.path("stick"), directory.path("pocket"));
    std::fs::rename(&stick, &pocket).expect("it can be moved");
    run.check(trusted(3_600));
    let told = run.state(trusted(3_600));
    assert!(told.error.is_some());
    assert_eq!(
        told.last,
        Some(Wall::from_second(T0 + 180)),
        "the last is remembered"
    );
    std::fs::rename(&pocket, &stick).expect("it can be moved");
    run.check(trusted(3_660));
    assert_eq!(list_backups(&named_after).len(), 1, "none is due");
    run.check(trusted(90_060));
    assert_eq!(list_backups(&named_after).len(), 2);
}

#[test]
fn a_copy_that_is_gone_is_not_the_newest_any_more_and_another_disk_gets_one_at_once() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    drop(database(&path));
    let (stick, named_after) = (directory.path("stick"), directory.path("stick/node.a.db"));
    std::fs::create_dir(&stick).expect("a directory can be made");
    let schedule = schedule(path, named_after.clone());
    let mut run = BackupRun::new(&schedule);
    run.check(trusted(60));
    assert_eq!(
        run.state(trusted(60)).last,
        Some(Wall::from_second(T0 + 60))
    );

    std::fs::remove_file(&list_backups(&named_after)[0]).expect("it is there");
    run.check(trusted(120));
    assert_eq!(run.state(trusted(120)).last, None);
    assert!(
        list_backups(&named_after).is_empty(),
        "there is one in `every` at most"
    );

    std::fs::remove_dir(&stick).expect("it is empty");
    run.check(trusted(180));
    std::fs::create_dir(&stick).expect("a directory can be made");
    run.check(trusted(240));
    assert_eq!(list_backups(&named_after).len(), 1);
}

#[test]
fn a_copy_that_fails_is_tried_again_when_the_next_is_due() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    let schedule = schedule(path.clone(), path.clone());
    let mut run = BackupRun::new(&schedule);
    run.check(trusted(60));
    let told = run.state(trusted(120));
    assert!(told.error.is_some_and(|it| it.contains("no such file")));
    assert_eq!(told.next, Some(Wall::from_second(T0 + 60 + 86_400)));
    drop(database(&path));
    run.check(trusted(3_600));
    assert!(list_backups(&path).is_empty());
    run.check(trusted(60 + 86_400));
    assert_eq!(run.state(trusted(60 + 86_400)).error, None);
    assert_eq!(list_backups(&path).len(), 1);
}

#[test]
fn backups_are_made_until_the_stop() {
    let directory = Directory::new();
    let path = directory.path("a.db");
    drop(database(&path));
    let schedule = BackupSchedule {
        every: Duration::from_millis(1),
        ..schedule(path.clone(), path.clone())
    };
    let clock = ManualClock::new(trusted(0));
    let shutdown = StopSource::new();
    let stopping = shutdown.token();
    std::thread::scope(|scope| {
        scope.spawn(|| schedule.run(&clock, &stopping, &|_| ()));
        while list_backups(&path).is_empty() {
            std::thread::yield_now();
        }
        shutdown.stop();
    });
    assert_eq!(list_backups(&path).len(), 1, "the clock stood still");
}
