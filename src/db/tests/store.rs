//! Stories of the store thread's turns, with a clock that stands until it is moved.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use rusqlite::OptionalExtension as _;

use super::*;
use crate::db::test_support::{Directory, T0, database, location, named, row, trusted};
use crate::db::{connection, file, open, outbox};
use crate::domain::alert::{AlertCommit, AlertState};
use crate::domain::derived::{Window, WindowFunction, WindowRule, WindowSample, WindowSpan};
use crate::domain::freshness::Stamp;
use crate::domain::health::HistoryExtent;
use crate::domain::reading::{TimedValue, Value};
use crate::domain::time::{ClockTrust, Moment, Wall};
use crate::sys::clock::ManualClock;

/// A writer without its thread, and what it shares.
pub struct Scene {
    pub directory: Directory,
    pub(super) shared: Arc<StoreShared>,
    writer: Writer,
    pub path: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        Scene::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut StoreSettings)) -> Scene {
        Scene::over(Directory::new(), change)
    }

    /// Another run with the files of an earlier one.
    pub fn over(directory: Directory, change: impl FnOnce(&mut StoreSettings)) -> Scene {
        let path = directory.path("main-node.db");
        let mut settings = StoreSettings::new(location(&path), "this-boot".to_owned());
        change(&mut settings);
        let opened = open::open(&settings.location, &settings.boot);
        let shared = Arc::new(StoreShared::new(settings));
        Scene {
            writer: Writer::new(shared.clone(), opened),
            directory,
            shared,
            path,
        }
    }

    pub fn append(&self, rows: Vec<RecordRow>, now: Moment) {
        self.shared.append(rows, now.mono);
    }

    pub fn turn(&mut self, now: Moment) -> Storage {
        self.writer.run_due(now, false);
        self.shared.status(now.mono)
    }

    /// The last turn of a run, whose files stay.
    pub fn stop(mut self, now: Moment) -> Directory {
        self.shared.queue.lock().is_closing = true;
        self.writer.run_due(now, true);
        self.directory
    }

    /// Rows in the file, seen from outside.
    pub fn stored(&self) -> i64 {
        connection::open_read_only(&self.path)
            .and_then(|connection| {
                connection.query_row("SELECT count(*) FROM records", [], |row| row.get(0))
            })
            .unwrap_or(0)
    }
}

#[test]
fn rows_of_a_minute_are_committed_together() {
    let mut scene = Scene::new();
    for second in [0, 10, 20, 30, 40, 50] {
        scene.append(vec![row("t", T0 + second, 1.0)], trusted(second));
        let status = scene.turn(trusted(second));
        assert_eq!((status.rows_stored, status.trouble), (0, None));
    }
    assert_eq!(scene.stored(), 0);
    let status = scene.turn(trusted(60));
    assert_eq!((status.rows_stored, status.rows_waiting), (6, 0));
    assert_eq!(scene.stored(), 6);
}

/// A window of `t` that has the rows of the given seconds.
fn window(seconds: &[i64]) -> Window {
    let mut window = Window::new(WindowRule {
        function: WindowFunction::Increase,
        input: "t".into(),
        span: WindowSpan::Over(Duration::from_secs(3_600)),
        zone: jiff::tz::TimeZone::UTC,
        hold: Duration::ZERO,
    });
    for second in seconds {
        window.insert(WindowSample {
            time: Wall::from_second(T0 + second),
            value: *second as f64,
            is_stated: false,
        });
    }
    window
}

#[test]
fn windows_are_saved_with_a_commit_and_its_rows_are_read_again() {
    let mut scene = Scene::new();
    let save = |scene: &Scene, seconds: &[i64]| {
        let saved = window(seconds).saved(&"derived".into());
        scene.shared.queue.lock().windows = vec![saved];
    };
    let saved = |scene: &Scene| {
        let connection = connection::open_read_only(&scene.path).expect("it opens");
        let all = "SELECT through_id FROM derived_windows";
        let id = connection.query_row(all, [], |row| row.get::<_, i64>(0));
        id.optional().expect("it can be read")
    };
    scene.append(vec![row("t", T0, 0.0)], trusted(0));
    scene.turn(trusted(60));
    scene.append(vec![row("t", T0 + 61, 61.0)], trusted(61));
    save(&scene, &[0, 61]);
    scene.append(vec![row("t", T0 + 62, 62.0)], trusted(62));
    scene.turn(trusted(62));
    assert_eq!(saved(&scene), None, "nothing is written between commits");
    scene.turn(trusted(121));
    assert_eq!((scene.stored(), saved(&scene)), (3, Some(1)));
    // Without rows, at the end.
    save(&scene, &[0, 61, 62]);
    scene.writer.run_due(trusted(130), true);
    assert_eq!(saved(&scene), Some(3));
}

#[test]
fn windows_are_rebuilt_between_commits() {
    let mut scene = Scene::new();
    let rows = (0..60).map(|second| row("t", T0 + second, second as f64));
    scene.append(rows.collect(), trusted(60));
    scene.turn(trusted(120));
    let name = "derived".into();
    let mut missing = window(&[61]);
    let now = Wall::from_second(T0 + 120);
    let rebuild = missing.wanted_rebuild(&name, now).expect("it is new");
    scene.shared.queue.lock().rebuilds.push_back(rebuild);
    for second in 121..130 {
        scene.turn(trusted(second));
    }
    let rebuilt = std::mem::take(&mut scene.shared.queue.lock().rebuilt);
    let [(found, rebuilt)] = <[_; 1]>::try_from(rebuilt).expect("it is done");
    assert_eq!(found, name);
    missing.take_rebuilt(rebuilt);
    assert_eq!(missing.value(now), Ok(61.0));
    let idle = scene.writer.run_due(trusted(130), false);
    assert!(idle > trusted(130).mono, "nothing is left to do");
}

#[test]
fn quick_sources_fill_no_queue_while_the_disk_takes_rows() {
    const BOUND: usize = 40;
    let mut scene = Scene::with(|settings| settings.rows_waiting = BOUND);
    for second in 0..30 {
        let rows = (0..10).map(|key| row(&format!("k{key}"), T0 + second, 1.0));
        scene.append(rows.collect(), trusted(second));
        let status = scene.turn(trusted(second));
        assert_eq!(status.rows_lost, 0, "after {second} s");
        assert!(status.rows_waiting < BOUND as u64 / 2, "after {second} s");
    }
    assert_eq!(scene.stored(), 300);
}

#[test]
fn a_turn_returns_when_the_next_is_due() {
    let mut scene = Scene::new();
    scene.append(vec![row("t", T0, 1.0)], trusted(5));
    let look = i64::try_from(limits::FILE_CHECK_INTERVAL.as_secs()).expect("a short time");
    assert_eq!(scene.writer.run_due(trusted(60), false), trusted(65).mono);
    assert_eq!(
        scene.writer.run_due(trusted(65), false),
        trusted(65 + look).mono,
        "the files are looked at"
    );
}

#[test]
fn rows_wait_for_a_trusted_clock_and_get_its_time() {
    let mut scene = Scene::new();
    let doubtful = |second| Moment {
        wall: Wall::from_second(77),
        trust: ClockTrust::Untrusted,
        ..trusted(second)
    };
    let unstamped = RecordRow {
        stamp: Stamp::received(doubtful(0), None),
        ..row("ours", T0, 1.0)
    };
    scene.append(vec![unstamped, row("own", T0 - 5, 2.0)], doubtful(0));
    let status = scene.turn(doubtful(60));
    assert_eq!(status.rows_stored, 1, "a source's own time needs no clock");
    assert_eq!((status.rows_waiting, status.trouble), (1, None));
    let status = scene.turn(trusted(120));
    assert_eq!((status.rows_stored, status.rows_waiting), (2, 0));
    let restored = database(&scene.path)
        .last_values(&|_| false)
        .expect("it can be read");
    let ours = restored.iter().find(|row| &*row.key == "ours");
    assert_eq!(
        ours.map(|row| row.stamp.observed),
        Some(Wall::from_second(T0)),
    );
}

#[test]
fn rows_that_wait_for_the_clock_are_stored_before_they_would_be_given_up() {
    const BOUND: usize = 40;
    let mut scene = Scene::with(|settings| settings.rows_waiting = BOUND);
    for second in 0..30 {
        let now = Moment {
            wall: Wall::from_second(77 + second),
            trust: ClockTrust::Untrusted,
            ..trusted(second)
        };
        let rows = (0..10).map(|key| RecordRow {
            stamp: Stamp::received(now, None),
            ..row(&format!("k{key}"), T0, 1.0)
        });
        scene.append(rows.collect(), now);
        let status = scene.turn(now);
        assert_eq!(status.rows_lost, 0, "after {second} s");
    }
    assert_eq!(
        scene.stored(),
        300 - BOUND as i64 / 4,
        "the rest still waits"
    );
    let status = scene.turn(trusted(120));
    assert_eq!((status.rows_stored, status.rows_waiting), (300, 0));
}

#[test]
fn patience_with_the_clock_ends() {
    let mut scene = Scene::new();
    let doubtful = |second| Moment {
        wall: Wall::from_second(77 + second),
        trust: ClockTrust::Unknown,
        ..trusted(second)
    };
    let unstamped = RecordRow {
        stamp: Stamp::received(doubtful(0), None),
        ..row("ours", T0, 1.0)
    };
    scene.append(vec![unstamped], doubtful(0));
    for second in [60, 120, 180, 240, 300, 360, 420, 480, 540] {
        assert_eq!(scene.turn(doubtful(second)).rows_stored, 0);
    }
    assert_eq!(scene.turn(doubtful(600)).rows_stored, 1);
    let meta: String = connection::open_read_only(&scene.path)
        .and_then(|connection| {
            connection.query_row("SELECT meta FROM records", [], |row| row.get(0))
        })
        .expect("the row has a meta");
    assert_eq!(meta, "{\"clock\":\"untrusted\"}");
}

#[test]
fn stopping_commits_all_even_what_waits_for_the_clock() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    let doubtful = Moment {
        trust: ClockTrust::Untrusted,
        ..trusted(0)
    };
    let settings = StoreSettings::new(location(&path), "this-boot".to_owned());
    let opened = open::open(&settings.location, &settings.boot);
    let clock = Arc::new(ManualClock::new(doubtful));
    let store = start(settings, opened, clock).expect("a thread can be started");
    let unstamped = RecordRow {
        stamp: Stamp::received(doubtful, None),
        ..row("ours", T0, 1.0)
    };
    store.append(vec![unstamped, row("own", T0, 2.0)]);
    assert!(store.stop(Duration::from_secs(60)).is_complete());
    assert_eq!(store.status().rows_stored, 2);
    assert!(
        !file::sibling(&path, "-wal").exists(),
        "the log is taken in"
    );
}

#[test]
fn a_thread_commits_what_is_due() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    let mut settings = StoreSettings::new(location(&path), "this-boot".to_owned());
    settings.commit_every = Duration::ZERO;
    let opened = open::open(&settings.location, &settings.boot);
    let clock = Arc::new(ManualClock::new(trusted(0)));
    let store = start(settings, opened, clock).expect("a thread can be started");
    store.append(vec![row("t", T0, 1.0)]);
    while store.status().rows_stored == 0 {
        std::thread::yield_now();
    }
    assert!(store.stop(Duration::from_secs(60)).is_complete());
}

/// The one seam where faults are put in: a file size that SQLite may not pass.
fn fill(scene: &Scene) {
    let open = scene.shared.database.lock();
    let connection = open.as_ref().expect("it is open").connection();
    connection
        .pragma_update(None, "max_page_count", 1)
        .expect("a bound can be set");
}

fn many(from: i64) -> Vec<RecordRow> {
    (0..2_000)
        .map(|at| row("t", T0 + from + at, at as f64))
        .collect()
}

#[test]
fn a_full_card_for_a_moment_costs_nothing() {
    let mut scene = Scene::new();
    fill(&scene);
    scene.append(many(0), trusted(0));
    let status = scene.turn(trusted(60));
    let trouble = status.trouble.expect("it is said");
    assert!(trouble.contains("disk full"), "{trouble}");
    assert_eq!((status.rows_stored, status.rows_waiting), (0, 2_000));
    // The bound was the connection's; the next attempt opens anew.
    let status = scene.turn(trusted(61));
    assert_eq!(status.trouble, None);
    assert_eq!((status.rows_stored, status.rows_lost), (2_000, 0));
}

#[test]
fn storage_that_stays_away_costs_the_oldest_rows_and_heals_by_itself() {
    let mut scene = Scene::with(|settings| settings.rows_waiting = 3_000);
    let aside = scene.directory.path("aside");
    // The card is pulled: directory and all.
    let gone = scene.directory.path("elsewhere");
    std::fs::create_dir(&gone).expect("a directory can be made");
    std::fs::rename(&scene.path, &aside).expect("a file can be moved");
    std::fs::create_dir(&scene.path).expect("something else stands there");
    let mut seconds = Vec::new();
    for round in 0..3 {
        let from = round * 2_000;
        scene.append(many(from), trusted(from));
        let status = scene.turn(trusted(from + 60));
        assert!(status.trouble.is_some());
        seconds.push(status.rows_waiting);
    }
    assert_eq!(seconds, [2_000, 3_000, 3_000]);
    std::fs::remove_dir(&scene.path).expect("it goes again");
    std::fs::rename(&aside, &scene.path).expect("the card is back");
    let status = scene.turn(trusted(6_000));
    assert_eq!(status.trouble, None);
    assert_eq!((status.rows_stored, status.rows_lost), (3_000, 3_000));
    assert_eq!(scene.stored(), 3_000);
}

#[test]
fn attempts_come_less_often_while_storage_fails() {
    let mut scene = Scene::new();
    scene.shared.database.lock().take();
    std::fs::remove_file(&scene.path).expect("it can be removed");
    std::fs::create_dir(&scene.path).expect("something else stands there");
    scene.append(vec![row("t", T0, 1.0)], trusted(0));
    let mut now = trusted(60);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let again = scene.writer.run_due(now, false);
        waits.push(again.since(now.mono).as_secs());
        let rest = again.since(now.mono);
        now.mono = now.mono.after(rest);
        now.wall = now.wall.after(rest);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(scene.shared.status(now.mono).rows_waiting, 1);
}

#[test]
fn another_file_put_in_place_is_taken_up() {
    let mut scene = Scene::new();
    scene.append(vec![row("t", T0, 1.0)], trusted(0));
    scene.turn(trusted(60));
    let aside = scene.directory.path("aside.db");
    std::fs::rename(&scene.path, &aside).expect("a file can be moved");
    scene.append(vec![row("t", T0 + 60, 1.0)], trusted(60));
    let status = scene.turn(trusted(120));
    assert_eq!((status.rows_stored, status.trouble), (2, None));
    assert_eq!(scene.stored(), 1);
}

#[test]
fn a_write_that_does_not_come_back_is_trouble() {
    let scene = Scene::new();
    scene.append(vec![row("t", T0, 1.0)], trusted(0));
    scene.shared.queue.lock().working_since = Some(trusted(0).mono);
    assert_eq!(scene.shared.status(trusted(20).mono).trouble, None);
    let trouble = scene.shared.status(trusted(90).mono).trouble;
    assert!(trouble.is_some_and(|trouble| trouble.contains("90 s")));
}

#[test]
fn status_has_the_extent_of_each_tier() {
    let mut scene = Scene::new();
    assert_eq!(
        scene.shared.status(trusted(0).mono).extent,
        HistoryExtent::default()
    );
    scene.append(
        vec![row("t", T0, 1.0), row("t", T0 + 7_200, 2.0)],
        trusted(0),
    );
    let reach = scene.turn(trusted(60)).extent;
    let hour = T0 - T0.rem_euclid(3_600);
    assert_eq!(reach.rows, Some(Wall::from_second(T0)));
    assert_eq!(reach.hours, Some(Wall::from_second(hour)));
    assert_eq!((reach.days, reach.row_count), (None, 2));
}

#[test]
fn status_has_the_file_sizes() {
    let mut scene = Scene::new();
    scene.append(many(0), trusted(0));
    let status = scene.turn(trusted(60));
    assert!(status.database_bytes > 100_000, "{status:?}");
}

/// Nonsense over everything but the first page, which says whose file it is.
fn damage(path: &std::path::Path) {
    let mut bytes = std::fs::read(path).expect("it can be read");
    bytes[4_096..].fill(0xAA);
    std::fs::write(path, bytes).expect("it can be written");
}

#[test]
fn a_database_damaged_at_start_is_quarantined_and_storing_continues() {
    let mut scene = Scene::new();
    scene.append(many(0), trusted(0));
    scene.turn(trusted(60));
    let shared = scene.shared.clone();
    shared.database.lock().take();
    damage(&scene.path);
    let location = &shared.settings.location;
    let opened = open::open(location, "this-boot");
    let error = opened.as_ref().expect_err("it is damaged");
    assert!(!error.is_fatal(), "{error}");
    assert!(
        crate::db::last_run::last_values(&opened, location, "this-boot", named(&|_| false))
            .is_empty()
    );
    let shared = Arc::new(StoreShared::new(shared.settings.clone()));
    scene.writer = Writer::new(shared.clone(), opened);
    scene.shared = shared;
    scene.append(vec![row("t", T0 + 5_000, 1.0)], trusted(5_000));
    let mut status = scene.turn(trusted(5_000));
    for second in 0..20 {
        status = scene.turn(trusted(5_060 + second));
    }
    assert_eq!((status.rows_stored, status.trouble), (1, None));
    let notice = status.notice.expect("a person is told");
    assert!(notice.contains("quarantined as"), "{notice}");
    assert!(notice.contains("unreadable"), "{notice}");
    let names = scene.directory.names();
    assert!(
        names.iter().any(|name| name.contains(".damaged-2025")),
        "{names:?}"
    );
}

#[test]
fn damage_found_while_running_costs_no_reading_that_waits() {
    let mut scene = Scene::new();
    scene.append(many(0), trusted(0));
    scene.turn(trusted(60));
    scene
        .shared
        .database
        .lock()
        .as_ref()
        .expect("it is open")
        .connection()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA shrink_memory")
        .expect("the log can be taken in");
    damage(&scene.path);
    scene.append(many(2_000), trusted(2_000));
    let status = scene.turn(trusted(2_060));
    assert_eq!(status.trouble, None);
    assert_eq!((status.rows_stored, status.rows_lost), (4_000, 0));
    assert!(
        status
            .notice
            .is_some_and(|notice| notice.contains("quarantined"))
    );
    assert_eq!(scene.stored(), 2_000);
}

#[test]
fn repeated_damage_does_not_fill_the_card_with_quarantined_files() {
    let mut scene = Scene::new();
    for round in 0..3 {
        scene.append(vec![row("t", T0 + round, 1.0)], trusted(round * 60));
        scene.shared.database.lock().take();
        damage(&scene.path);
        scene.turn(trusted(round * 60 + 60));
    }
    let names = scene.directory.names();
    let damaged = |name: &&String| name.contains(".damaged-") && name.ends_with('Z');
    assert_eq!(names.iter().filter(damaged).count(), 1, "{names:?}");
    let status = scene.shared.status(trusted(300).mono);
    assert!(
        status
            .trouble
            .is_some_and(|trouble| trouble.contains("damaged"))
    );
    assert_eq!(status.rows_waiting, 2);
}

#[test]
fn damage_in_alert_tables_is_quarantined_and_reported_once() {
    let mut scene = Scene::with(|settings| settings.channels = outbox::tests::channels(&["mail"]));
    scene.append(many(0), trusted(0));
    scene.turn(trusted(60));
    let shared = scene.shared.clone();
    let page: i64 = {
        let open = shared.database.lock();
        let connection = open.as_ref().expect("it is open").connection();
        connection
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA shrink_memory")
            .and_then(|()| {
                let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'alert_state'";
                connection.query_row(sql, [], |row| row.get(0))
            })
            .expect("the alerts have a table")
    };
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .open(&scene.path)
        .expect("the file is there");
    let offset = u64::try_from((page - 1) * 4096).expect("a place in the file");
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.write_all(&[0xaa; 4096]))
        .expect("a page can be overwritten");
    shared.queue.lock().alerts.push_back(AlertCommit {
        state: AlertState::new("this-boot"),
        events: Vec::new(),
    });
    scene.append(vec![row("t", T0 + 5_000, 1.0)], trusted(60));
    let mut status = scene.turn(trusted(120));
    for second in 0..20 {
        status = scene.turn(trusted(121 + second));
    }
    assert_eq!(status.trouble, None);
    let notice = status.notice.expect("a person is told");
    assert!(notice.contains("quarantined as"), "{notice}");
    assert!(notice.contains("2000 rows"), "{notice}");
    let stored = connection::open_read_only(&scene.path)
        .and_then(|connection| outbox::read_state(&connection, "this-boot"));
    assert!(matches!(stored, Ok(Some(_))), "{stored:?}");
}

/// The largest file that this process may write; beyond it the kernel refuses.
fn may_write(bytes: u64) {
    // SAFETY: plain calls; the signal would end the process, ignored it is an error code.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        assert_eq!(libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit), 0);
        limit.rlim_cur = bytes.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
    }
}

/// The limit is the whole process's, so the story plays in one of its own.
#[test]
fn a_card_that_is_full_for_long_costs_only_what_does_not_fit_in_memory() {
    let child = std::process::Command::new(std::env::current_exe().expect("it has a path"))
        .args(["--exact", "db::store::tests::fills_its_card"])
        .args(["--ignored", "--test-threads=1"])
        .output()
        .expect("this program can be called again");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
#[ignore = "the child of the test above"]
fn fills_its_card() {
    let mut scene = Scene::with(|settings| settings.rows_waiting = 8_000);
    scene.append(many(0), trusted(0));
    assert_eq!(scene.turn(trusted(60)).rows_stored, 2_000);
    may_write(60_000);
    let mut now = 60;
    for round in 1..=5 {
        scene.append(many(round * 2_000), trusted(now));
        for _ in 0..10 {
            now += 60;
            let status = scene.turn(trusted(now));
            assert!(status.trouble.is_some(), "{status:?}");
        }
    }
    let status = scene.turn(trusted(now));
    assert_eq!((status.rows_waiting, status.rows_lost), (8_000, 2_000));
    may_write(u64::MAX);
    let status = scene.turn(trusted(now + 60));
    assert_eq!(status.trouble, None);
    assert_eq!((status.rows_stored, status.rows_waiting), (10_000, 0));
    assert_eq!(scene.stored(), 10_000);
    assert!(
        scene
            .directory
            .names()
            .iter()
            .all(|name| !name.contains("damaged"))
    );
}

/// By hand: a database with rows on a file system that is mounted read-only.
#[test]
#[ignore = "wants a read-only file system: MAIN_NODE_TEST_READ_ONLY=its database"]
fn a_read_only_card_shows_what_was_last_known() {
    let Some(path) = std::env::var_os("MAIN_NODE_TEST_READ_ONLY") else {
        return;
    };
    let location = location(std::path::Path::new(&path));
    let opened = open::open(&location, "this-boot");
    let error = opened.as_ref().expect_err("nothing can be written");
    assert!(!error.is_fatal(), "{error}");
    println!("{error}");
    let restored =
        crate::db::last_run::last_values(&opened, &location, "this-boot", named(&|_| false));
    assert!(!restored.is_empty());
    let settings = StoreSettings::new(location.clone(), "this-boot".to_owned());
    let shared = Arc::new(StoreShared::new(settings));
    let mut writer = Writer::new(shared.clone(), opened);
    shared.append(vec![row("t", T0, 1.0)], trusted(0).mono);
    writer.run_due(trusted(60), false);
    let status = shared.status(trusted(60).mono);
    assert!(
        status
            .trouble
            .is_some_and(|trouble| trouble.contains("read-only"))
    );
    assert_eq!(status.rows_waiting, 1);
    let reader = crate::db::history::HistoryReader::new(&location.path);
    println!("history: {:?}", reader.keys().map(|keys| keys.len()));
}

#[test]
fn a_clock_that_jumps_back_stamps_no_row_that_waits() {
    let mut scene = Scene::new();
    let received = RecordRow {
        stamp: Stamp::received(trusted(0), None),
        ..row("t", T0, 1.0)
    };
    scene.append(vec![received], trusted(0));
    let jumped = Moment {
        wall: Wall::from_second(T0 - 56 * 365 * 86_400),
        ..trusted(60)
    };
    assert_eq!(scene.turn(jumped).rows_stored, 1);
    let restored = database(&scene.path)
        .last_values(&|_| true)
        .expect("it can be read");
    assert_eq!(restored[0].stamp.observed, Wall::from_second(T0));
}

#[test]
fn a_database_that_is_too_large_shrinks_without_a_trusted_clock() {
    let mut scene = Scene::with(|settings| settings.retention.bytes = 300_000);
    let doubtful = |second| Moment {
        trust: ClockTrust::Unknown,
        ..trusted(second)
    };
    for round in 0..4 {
        let from = round * 7_200;
        scene.append(many(from), doubtful(from));
        for second in 60..64 {
            scene.turn(doubtful(from + second));
        }
    }
    assert!(scene.stored() < 8_000, "{} rows", scene.stored());
    assert_eq!(scene.shared.status(trusted(0).mono).rows_stored, 8_000);
}

/// Everything that the file at `path` has, log included.
fn rows_of(path: &std::path::Path) -> i64 {
    connection::open_read_only(path)
        .and_then(|connection| {
            let sql = "SELECT count(*) FROM records";
            connection.query_row(sql, [], |row| row.get(0))
        })
        .expect("it can be read")
}

/// Two thousand rows, a backup of them, and a thousand more that stand in the log.
fn with_backup() -> (Scene, PathBuf) {
    let mut scene = Scene::new();
    scene.append(many(0), trusted(0));
    scene.turn(trusted(60));
    let copy = scene.directory.path("copy.db");
    crate::db::backup::backup(&scene.path, &copy).expect("a backup can be made");
    scene.append(many(2_000)[..1_000].to_vec(), trusted(2_000));
    let status = scene.turn(trusted(2_060));
    assert_eq!((status.rows_stored, scene.stored()), (3_000, 3_000));
    (scene, copy)
}

/// What stands beside the database under a dated name.
fn kept(scene: &Scene, suffix: &str) -> Vec<PathBuf> {
    let names = scene.directory.names().into_iter();
    names
        .filter(|name| name.contains(&format!(".{suffix}-")))
        .map(|name| scene.directory.path(&name))
        .collect()
}

/// The next look finds it, without any row that waits; what comes then is stored in the file
/// that stands at the path.
fn goes_on(scene: &mut Scene, expected: i64) -> String {
    let status = scene.turn(trusted(2_070));
    assert_eq!(status.trouble, None);
    scene.append(vec![row("t", T0 + 9_000, 1.0)], trusted(2_080));
    let status = scene.turn(trusted(2_140));
    assert_eq!((status.trouble, status.rows_stored), (None, 3_001));
    assert_eq!(scene.stored(), expected + 1);
    status.notice.expect("a person is told")
}

#[test]
fn a_backup_moved_in_is_used_and_what_was_there_is_kept() {
    let (mut scene, copy) = with_backup();
    std::fs::rename(&copy, &scene.path).expect("a file can be moved");
    let notice = goes_on(&mut scene, 2_000);
    assert!(
        notice.contains("it was replaced by another file"),
        "{notice}"
    );
    let kept = kept(&scene, "replaced");
    assert_eq!(
        kept.iter().map(|kept| rows_of(kept)).collect::<Vec<_>>(),
        [3_000]
    );
    assert!(notice.contains(&kept[0].display().to_string()), "{notice}");
}

#[test]
fn a_backup_copied_over_the_open_file_is_used_and_the_log_kept() {
    let (mut scene, copy) = with_backup();
    std::fs::copy(&copy, &scene.path).expect("a file can be overwritten");
    let notice = goes_on(&mut scene, 2_000);
    assert!(notice.contains("was overwritten while in use"), "{notice}");
    assert_eq!(
        kept(&scene, "overwritten").len() + kept(&scene, "set-aside").len(),
        1
    );
}

#[test]
fn a_log_that_was_removed_costs_nothing_even_if_the_process_is_killed() {
    for suffix in ["-wal", "-shm"] {
        let (mut scene, _) = with_backup();
        let reader = crate::db::history::HistoryReader::new(&scene.path);
        assert_eq!(reader.keys().map(|keys| keys.len()), Ok(1));
        std::fs::remove_file(file::sibling(&scene.path, suffix)).expect("it can be removed");
        let notice = goes_on(&mut scene, 3_000);
        assert!(notice.contains("no data is lost"), "{notice}");
        assert_eq!(reader.keys().map(|keys| keys.len()), Ok(1));
        // As after a kill: nothing was closed.
        let (copy, log) = (
            scene.directory.path("killed"),
            scene.directory.path("killed-wal"),
        );
        std::fs::copy(&scene.path, &copy).expect("it can be copied");
        std::fs::copy(file::sibling(&scene.path, "-wal"), log).expect("there is a log again");
        assert_eq!(rows_of(&copy), 3_001, "{suffix}");
    }
}

#[test]
fn a_removed_wal_is_detected_before_rows_count_as_stored() {
    let (mut scene, _) = with_backup();
    std::fs::remove_file(file::sibling(&scene.path, "-wal")).expect("it can be removed");
    scene.append(many(4_000), trusted(4_000));
    let status = scene.turn(trusted(4_060));
    assert_eq!((status.rows_stored, status.trouble), (5_000, None));
    let copy = scene.directory.path("killed");
    std::fs::copy(&scene.path, &copy).expect("it can be copied");
    let log = file::sibling(&copy, "-wal");
    std::fs::copy(file::sibling(&scene.path, "-wal"), log).expect("there is a log again");
    assert_eq!(rows_of(&copy), 5_000);
}

#[test]
fn a_removed_or_moved_database_is_kept_and_a_new_one_created() {
    let (mut scene, _) = with_backup();
    std::fs::remove_file(&scene.path).expect("it can be removed");
    let notice = goes_on(&mut scene, 0);
    assert!(notice.contains("it was removed"), "{notice}");
    let kept = kept(&scene, "replaced");
    assert_eq!(
        kept.iter().map(|kept| rows_of(kept)).collect::<Vec<_>>(),
        [3_000]
    );

    let (mut scene, _) = with_backup();
    let moved = scene.directory.path("moved.db");
    std::fs::rename(&scene.path, &moved).expect("it can be moved");
    let notice = goes_on(&mut scene, 0);
    assert!(
        notice.contains("kept as") && notice.contains("moved.db"),
        "{notice}"
    );
    assert_eq!(rows_of(&moved), 3_000, "its log was taken in");
}

#[test]
fn a_directory_that_is_renamed_keeps_its_rows_and_the_new_ones_wait() {
    let directory = Directory::new();
    let (home, away) = (directory.path("home"), directory.path("away"));
    std::fs::create_dir(&home).expect("a directory can be made");
    let mut settings = StoreSettings::new(location(&home.join("main-node.db")), "this-boot".into());
    settings.commit_every = Duration::ZERO;
    let opened = open::open(&settings.location, &settings.boot);
    let shared = Arc::new(StoreShared::new(settings));
    let mut writer = Writer::new(shared.clone(), opened);
    shared.append(many(0), trusted(0).mono);
    writer.run_due(trusted(1), false);
    std::fs::rename(&home, &away).expect("a directory can be renamed");
    shared.append(many(2_000), trusted(2).mono);
    writer.run_due(trusted(3), false);
    let status = shared.status(trusted(3).mono);
    assert!(status.trouble.is_some(), "{status:?}");
    assert_eq!((status.rows_stored, status.rows_waiting), (2_000, 2_000));
    std::fs::rename(&away, &home).expect("it comes back");
    writer.run_due(trusted(60), false);
    let status = shared.status(trusted(60).mono);
    assert_eq!((status.rows_stored, status.trouble), (4_000, None));
    assert_eq!(rows_of(&home.join("main-node.db")), 4_000);
}

#[test]
fn a_link_that_leads_elsewhere_changes_the_database() {
    let directory = Directory::new();
    let [one, other] = ["one.db", "other.db"].map(|name| directory.path(name));
    let link = directory.path("main-node.db");
    drop(open::open(&location(&other), "this-boot").expect("a database can be made"));
    drop(open::open(&location(&one), "this-boot").expect("a database can be made"));
    std::os::unix::fs::symlink(&one, &link).expect("a link can be made");
    let settings = StoreSettings::new(location(&link), "this-boot".to_owned());
    let opened = open::open(&settings.location, &settings.boot);
    let shared = Arc::new(StoreShared::new(settings));
    let mut writer = Writer::new(shared.clone(), opened);
    shared.append(many(0), trusted(0).mono);
    writer.run_due(trusted(60), false);
    std::fs::remove_file(&link).expect("the link can be removed");
    std::os::unix::fs::symlink(&other, &link).expect("a link can be made");
    shared.append(vec![row("t", T0, 1.0)], trusted(60).mono);
    writer.run_due(trusted(120), false);
    assert_eq!((rows_of(&one), rows_of(&other)), (2_000, 1));
}

#[test]
fn what_an_other_program_writes_as_sqlite_does_is_no_exchange() {
    let (mut scene, _) = with_backup();
    let other = rusqlite::Connection::open(&scene.path).expect("it can be opened");
    other
        .execute_batch(
            "DELETE FROM records WHERE id IN (SELECT id FROM records LIMIT 1);
             PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .expect("it can be changed");
    drop(other);
    scene.turn(trusted(2_070));
    scene.append(vec![row("t", T0 + 9_000, 1.0)], trusted(2_080));
    let status = scene.turn(trusted(2_140));
    assert_eq!((status.notice, status.trouble), (None, None));
    assert_eq!(scene.stored(), 3_000);
}

#[test]
fn pending_alerts_of_a_replaced_database_are_delivered_from_the_new_one() {
    let mut scene = Scene::with(|settings| settings.channels = outbox::tests::channels(&["mail"]));
    scene.append(vec![row("t", T0, 1.0)], trusted(0));
    scene.shared.queue.lock().alerts.push_back(AlertCommit {
        state: AlertState::new("this-boot"),
        events: Vec::new(),
    });
    scene.turn(trusted(60));
    std::fs::remove_file(&scene.path).expect("it can be removed");
    scene.turn(trusted(70));
    let state = connection::open_read_only(&scene.path)
        .and_then(|connection| outbox::read_state(&connection, "this-boot"));
    assert!(matches!(state, Ok(Some(_))), "{state:?}");
}

#[test]
fn stop_reports_how_many_readings_are_lost_and_why() {
    let directory = Directory::new();
    let path = directory.path("main-node.db");
    let settings = StoreSettings::new(location(&path), "this-boot".to_owned());
    let opened = open::open(&settings.location, &settings.boot);
    let lock = |path: &std::path::Path| {
        let other = rusqlite::Connection::open(path).expect("it can be opened");
        other.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
        other
    };
    let clock = Arc::new(ManualClock::new(trusted(0)));
    let store = start(settings, opened, clock).expect("a thread can be started");
    let locked = lock(&path);
    store.append(many(0)[..840].to_vec());
    // The deadline passes while SQLite waits for the lock.
    let stopped = store.stop(Duration::from_millis(50));
    let said = stopped.to_string();
    assert_eq!(stopped.rows, 840);
    assert!(
        said.starts_with("840 readings are not stored and are lost: "),
        "{said}"
    );
    assert!(!stopped.is_complete());
    drop(locked);
    // Storage that refuses: something else stands at the path.
    let path = directory.path("refused.db");
    let settings = StoreSettings::new(location(&path), "this-boot".to_owned());
    let opened = open::open(&settings.location, &settings.boot);
    let clock = Arc::new(ManualClock::new(trusted(0)));
    let store = start(settings, opened, clock).expect("a thread can be started");
    *store.shared.database.lock() = None;
    std::fs::remove_file(&path).expect("it can be removed");
    std::fs::create_dir(&path).expect("something else stands there");
    store.append(many(0)[..1].to_vec());
    let stopped = store.stop(Duration::from_secs(60));
    let said = stopped.to_string();
    assert!(
        said.starts_with("1 reading is not stored and is lost: "),
        "{said}"
    );
    assert!(said.contains("found a directory or a device"), "{said}");
}

/// Nonsense over a page that holds rows of which the writer needs none, as a card leaves it.
fn damage_old_rows(scene: &Scene) {
    let open = scene.shared.database.lock();
    let database = open.as_ref().expect("it is open");
    database
        .connection()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA shrink_memory")
        .expect("the log can be taken in");
    let bytes = std::fs::read(&scene.path).expect("it can be read");
    let holds_rows =
        |page: &[u8]| page[0] == 0x0d && page.windows(11).any(|bytes| bytes == b"2025-10-30T");
    let page = bytes.chunks(4_096).position(holds_rows);
    let page = page.expect("there is a page of rows");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .open(&scene.path)
        .expect("it can be opened");
    file.seek(SeekFrom::Start(page as u64 * 4_096))
        .and_then(|_| file.write_all(&[0xAA; 64]))
        .expect("it can be written");
    drop(file);
    // A card changes bytes without a word.
    database.note_write();
}

#[test]
fn damage_found_by_readers_is_confirmed_and_quarantined() {
    let (mut scene, _) = with_backup();
    let reader = crate::db::history::HistoryReader::new(&scene.path);
    let query = crate::domain::history::HistoryQuery {
        key: Arc::from("t"),
        from: Wall::from_second(T0),
        to: Wall::from_second(T0 + 4_000),
        points: 100,
    };
    let budget = || crate::sys::budget::Budget::new(1_000_000, Duration::from_secs(3_600));
    reader.history(&query, &budget()).expect("it can be read");
    damage_old_rows(&scene);
    assert_eq!(scene.turn(trusted(2_070)).notice, None, "nobody has met it");
    let reader = crate::db::history::HistoryReader::new(&scene.path);
    reader.history(&query, &budget()).expect_err("it is met");
    let mut status = scene.turn(trusted(2_080));
    for second in 2_081..2_100 {
        status = scene.turn(trusted(second));
    }
    assert_eq!(status.trouble, None);
    let notice = status.notice.expect("a person is told");
    assert!(notice.contains("1 part was unreadable"), "{notice}");
    assert!(scene.stored() > 2_800, "{}", scene.stored());
    reader.history(&query, &budget()).expect("it can be read");
}

#[test]
fn damage_that_sqlite_does_not_confirm_changes_nothing() {
    let (mut scene, _) = with_backup();
    crate::db::open_files::report_damage(&scene.path);
    let status = scene.turn(trusted(2_070));
    assert_eq!((status.notice, status.trouble), (None, None));
    assert_eq!(goes_on_storing(&mut scene), 3_001);
}

fn goes_on_storing(scene: &mut Scene) -> i64 {
    scene.append(vec![row("t", T0 + 9_000, 1.0)], trusted(2_080));
    scene.turn(trusted(2_140));
    scene.stored()
}

#[test]
fn a_damaged_database_that_is_replaced_while_in_use_is_kept_as_it_is() {
    let (mut scene, copy) = with_backup();
    damage_old_rows(&scene);
    std::fs::rename(&copy, &scene.path).expect("a file can be moved");
    let notice = goes_on(&mut scene, 2_000);
    assert!(
        notice.contains("it was replaced by another file"),
        "{notice}"
    );
    let kept = kept(&scene, "replaced");
    let kept = kept.first().expect("it is kept");
    assert!(notice.contains(&kept.display().to_string()), "{notice}");
    let mut there = database(&scene.directory.path("other.db"));
    crate::db::salvage::merge_alerts_from(kept, &mut there).expect("it can be read");
    let rows = connection::open_immutable(kept).and_then(|connection| {
        let sql = "SELECT count(*) FROM latest";
        connection.query_row(sql, [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(rows, Ok(1));
}

fn forecast(values: &[f64]) -> Forecast {
    let elements = values.iter().zip(1..).map(|(value, hour)| TimedValue {
        start: Wall::from_second(T0 + hour * 3_600),
        end: None,
        value: Value::Number(*value),
        is_stated: false,
    });
    Forecast {
        key: "price".into(),
        unit: None,
        source: "market".into(),
        elements: elements.collect(),
    }
}

/// The forecast in the file, seen from outside.
fn stored_forecast(path: &std::path::Path) -> Vec<f64> {
    let read = |connection: rusqlite::Connection| {
        let mut select = connection.prepare("SELECT value FROM forecast ORDER BY time")?;
        let values = select.query_map([], |row| row.get(0))?;
        values.collect()
    };
    connection::open_read_only(path)
        .and_then(read)
        .expect("it can be read")
}

#[test]
fn the_newest_forecast_of_a_minute_is_committed_also_into_a_database_that_is_new() {
    let mut scene = Scene::new();
    for (second, values) in [(0, [1.0, 2.0]), (10, [3.0, 4.0])] {
        let changed = vec![forecast(&values)];
        scene.shared.set_forecasts(changed, trusted(second).mono);
        scene.turn(trusted(second));
        assert!(stored_forecast(&scene.path).is_empty(), "not yet due");
    }
    scene.turn(trusted(60));
    assert_eq!(stored_forecast(&scene.path), [3.0, 4.0]);
    // The file is exchanged for an empty one: nothing changes, and yet it must be there.
    let moved = scene.directory.path("moved.db");
    std::fs::rename(&scene.path, &moved).expect("it can be moved");
    scene.append(vec![row("t", T0 + 70, 1.0)], trusted(70));
    for second in (130..400).step_by(10) {
        scene.turn(trusted(second));
    }
    assert_eq!(scene.stored(), 1);
    assert_eq!(stored_forecast(&scene.path), [3.0, 4.0]);
}

#[test]
fn an_element_that_a_clock_ahead_let_pass_is_no_row_when_the_clock_is_set() {
    let mut scene = Scene::new();
    let ahead = |second: i64| Moment {
        trust: ClockTrust::Untrusted,
        ..trusted(second + 7_200)
    };
    let early = Moment {
        mono: trusted(0).mono,
        ..ahead(0)
    };
    let element = |second: i64| RecordRow {
        is_boolean: false,
        is_element: true,
        stamp: Stamp::received(early, Some(Wall::from_second(T0 + second))),
        ..row("price", 0, 1.0)
    };
    scene.append(vec![element(-3_600), element(3_600)], trusted(0));
    let status = scene.turn(trusted(60));
    assert_eq!((status.rows_stored, status.rows_waiting), (1, 0));
}
