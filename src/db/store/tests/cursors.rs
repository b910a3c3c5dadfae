//! Stories of outputs that forward rows: where they begin, and where they go on.

use rusqlite::OptionalExtension as _;

use super::*;
use crate::db::store::StoreSettings;
use crate::db::store::tests::Scene;
use crate::db::test_support::{Directory, T0, row, trusted};
use crate::db::{connection, file};
use crate::domain::stored_rows::ForwardName;

fn forward(name: &str, backfill: bool) -> ForwardName {
    let name = name.into();
    ForwardName { name, backfill }
}

fn with_influx(backfill: bool) -> impl FnOnce(&mut StoreSettings) {
    move |settings| settings.forwards = vec![forward("influx", backfill)]
}

fn place(scene: &Scene) -> FeedPlace {
    StoreShared::forward_place(&scene.shared, "influx").expect("it is known")
}

fn settle(scene: &Scene, through: i64) {
    let epoch = place(scene).epoch;
    StoreShared::settle_forward(&scene.shared, "influx", epoch, through);
}

/// The entry in the file, seen from outside.
fn saved(scene: &Scene) -> Option<String> {
    let connection = connection::open_read_only(&scene.path).expect("it opens");
    let entry = "SELECT value FROM node WHERE name = 'forward:influx'";
    let entry = connection.query_row(entry, [], |row| row.get(0));
    entry.optional().expect("it can be read")
}

fn store(scene: &mut Scene, at: i64, rows: i64) {
    let rows = (0..rows).map(|number| row(&format!("t{number}"), T0 + at, 1.0));
    scene.append(rows.collect(), trusted(at));
    scene.turn(trusted(at + 60));
}

/// A directory with three rows of a run without outputs.
fn three_rows() -> Directory {
    let mut scene = Scene::with(|_| {});
    store(&mut scene, 0, 3);
    scene.stop(trusted(100))
}

#[test]
fn an_output_begins_with_what_is_stored_from_its_first_start_on_or_with_all() {
    for (backfill, begin) in [(false, 3), (true, 0)] {
        let mut scene = Scene::over(three_rows(), with_influx(backfill));
        assert_eq!((place(&scene).through, place(&scene).newest), (begin, 3));
        store(&mut scene, 200, 2);
        assert_eq!((place(&scene).through, place(&scene).newest), (begin, 5));
        // The first commit has saved it: a crash now does not begin later.
        assert_eq!(saved(&scene), Some(begin.to_string()));
    }
}

#[test]
fn a_cursor_is_saved_with_commits_but_not_with_each() {
    let mut scene = Scene::with(with_influx(false));
    store(&mut scene, 0, 3);
    assert_eq!(saved(&scene).as_deref(), Some("0"));
    settle(&scene, 2);
    store(&mut scene, 100, 1);
    assert_eq!(saved(&scene).as_deref(), Some("0"), "it is not old enough");
    scene.turn(trusted(700));
    assert_eq!(
        saved(&scene).as_deref(),
        Some("0"),
        "it has no commit of its own"
    );
    store(&mut scene, 700, 1);
    assert_eq!(saved(&scene).as_deref(), Some("2"));
    settle(&scene, 4);
    let directory = scene.stop(trusted(800));
    let scene = Scene::over(directory, with_influx(false));
    assert_eq!(saved(&scene).as_deref(), Some("4"), "the stop saves it");
    assert_eq!(place(&scene).through, 4);
}

#[test]
fn a_long_backlog_saves_it_sooner() {
    let most = limits::FORWARD_CURSOR_ROWS;
    let cursor = |saved, through| ForwardCursor {
        through,
        saved,
        saved_at: Mono(0),
    };
    let later = Mono(limits::FORWARD_CURSOR_INTERVAL.as_millis() as u64);
    for (cursor, now, is_closing, expected) in [
        (cursor(None, 0), Mono(0), false, true),
        (cursor(Some(0), 0), later, true, false),
        (cursor(Some(0), most - 1), Mono(1), false, false),
        (cursor(Some(0), most), Mono(1), false, true),
        (cursor(Some(0), 1), later, false, true),
        (cursor(Some(0), 1), Mono(1), true, true),
    ] {
        assert_eq!(cursor.is_due(now, is_closing), expected);
    }
}

#[test]
fn the_cursor_of_an_output_that_is_gone_goes_with_the_next_commit() {
    let mut scene = Scene::with(with_influx(false));
    store(&mut scene, 0, 1);
    let directory = scene.stop(trusted(100));
    let mut scene = Scene::over(directory, |settings| {
        settings.forwards = vec![forward("influx2", true)];
    });
    assert!(saved(&scene).is_some());
    store(&mut scene, 200, 1);
    assert_eq!(saved(&scene), None);
}

#[test]
fn a_new_database_is_forwarded_from_its_first_row() {
    let mut scene = Scene::over(three_rows(), with_influx(false));
    let before = place(&scene);
    assert_eq!(before.through, 3);
    for name in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(file::sibling(&scene.path, name));
    }
    // Two turns: the rows of the old file are kept first.
    for at in [200, 300, 400] {
        store(&mut scene, at, 2);
    }
    let now = place(&scene);
    assert_ne!(now.epoch, before.epoch);
    assert_eq!(now.through, 0);
    let unsettled = before.epoch;
    StoreShared::settle_forward(&scene.shared, "influx", unsettled, 3);
    assert_eq!(place(&scene).through, 0, "what was sent was of the other");
}

#[test]
fn what_a_salvage_brings_back_is_forwarded_after_it() {
    let mut scene = Scene::with(with_influx(false));
    for at in [0, 100, 200] {
        store(&mut scene, at, 300);
    }
    settle(&scene, 600);
    let directory = scene.stop(trusted(300));
    // The header of the first page: the whole database is taken for damaged.
    let path = directory.path("main-node.db");
    let mut bytes = std::fs::read(&path).expect("the file can be read");
    bytes[100] = 0xff;
    std::fs::write(&path, bytes).expect("the file can be written");
    let mut scene = Scene::over(directory, with_influx(false));
    store(&mut scene, 400, 1);
    let during = place(&scene);
    settle(&scene, during.newest);
    assert_eq!(
        place(&scene).through,
        during.through,
        "not while rows come back"
    );
    for at in 0..50 {
        scene.turn(trusted(1_000 + at));
    }
    let after = place(&scene);
    assert_ne!(after.epoch, during.epoch);
    assert_eq!(after.through, during.through);
    assert!(after.through <= 600, "{}", after.through);
    settle(&scene, after.newest);
    assert_eq!(place(&scene).through, after.newest);
}
