//! Maintenance between commits: what a command asks for, and what the node must know of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::db::maintenance::request::{self, MaintenanceRequest, MaintenanceTask};
use crate::db::service_lock;
use crate::db::store::tests::Scene;
use crate::db::test_support::{T0, row, trusted};
use crate::domain::health::MaintenanceStatus;

/// A scene with readings of `power`, and how often the node was told that they have changed.
fn scene() -> (Scene, Arc<AtomicUsize>) {
    let told: Arc<AtomicUsize> = Arc::default();
    let count = told.clone();
    let mut scene = Scene::with(|settings| {
        settings.on_readings_changed = Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
    });
    let rows = (0..100)
        .map(|at| row("power", T0 + at, at as f64))
        .collect();
    scene.append(rows, trusted(100));
    scene.turn(trusted(160));
    assert_eq!(scene.stored(), 100);
    (scene, told)
}

fn submit(scene: &Scene, id: &str, task: MaintenanceTask) {
    let claim = request::claim(&scene.path).expect("nothing is under way");
    let id = id.to_owned();
    claim
        .submit(&MaintenanceRequest { id, task })
        .expect("it can be left");
}

fn forget(key: &str) -> MaintenanceTask {
    MaintenanceTask::Forget {
        keys: vec![key.to_owned()],
        from: Some(T0),
        to: Some(T0 + 50),
        through_id: i64::MAX,
    }
}

fn turn_until_finished(scene: &mut Scene) -> MaintenanceStatus {
    for second in 200..300 {
        let status = scene.turn(trusted(second)).maintenance;
        if let Some(status) = status.filter(|it| it.is_finished) {
            return status;
        }
    }
    panic!("it comes to an end");
}

#[test]
fn what_a_command_asks_for_is_done_between_commits_and_the_node_is_told() {
    let (mut scene, told) = scene();
    submit(&scene, "1", forget("power"));
    // A commit meanwhile.
    scene.append(vec![row("power", T0 + 170, 1.0)], trusted(170));
    let status = turn_until_finished(&mut scene);
    assert_eq!(
        (status.error, &*status.result),
        (None, "50 readings deleted")
    );
    assert_eq!(told.load(Ordering::Relaxed), 1);
    scene.turn(trusted(400));
    assert_eq!(scene.stored(), 51);
    assert_eq!(told.load(Ordering::Relaxed), 1, "once");

    submit(&scene, "2", forget("unknown"));
    assert_eq!(turn_until_finished(&mut scene).result, "nothing to do");
    assert_eq!(told.load(Ordering::Relaxed), 1, "nothing has changed");
}

#[test]
fn the_last_task_is_shown_by_the_next_run() {
    let (mut scene, _) = scene();
    submit(&scene, "1", forget("power"));
    turn_until_finished(&mut scene);
    let directory = scene.stop(trusted(500));
    let mut next = Scene::over(directory, |_| {});
    let shown = next.turn(trusted(501)).maintenance.expect("it is shown");
    assert_eq!((&*shown.task, &*shown.subject), ("forget", "power"));
}

#[test]
fn windows_that_know_nothing_of_a_change_are_not_saved() {
    let (mut scene, _) = scene();
    submit(&scene, "1", forget("power"));
    turn_until_finished(&mut scene);
    let window = crate::domain::derived::SavedWindow {
        name: "derived".into(),
        rule: "rule".to_owned(),
        state: vec![1],
    };
    scene.shared.queue.lock().windows = vec![window];
    let path = scene.path.clone();
    let directory = scene.stop(trusted(500));
    let connection = crate::db::connection::open_read_only(&path).expect("it opens");
    let saved: i64 = connection
        .query_row("SELECT count(*) FROM derived_windows", [], |row| row.get(0))
        .expect("it can be read");
    assert_eq!(saved, 0);
    drop((connection, directory));
}

#[test]
fn while_a_command_has_the_database_the_service_waits_and_keeps_its_readings() {
    let (scene, _) = scene();
    let directory = scene.stop(trusted(500));
    let path = directory.path("main-node.db");
    let lock = service_lock::own(&path)
        .expect("it can be locked")
        .expect("no service runs");
    let mut service = Scene::over(directory, |_| {});
    service.append(vec![row("power", T0 + 600, 1.0)], trusted(600));
    let status = service.turn(trusted(660));
    let trouble = status.trouble.expect("it is told");
    assert!(
        trouble.contains("a main-node command is changing it"),
        "{trouble}"
    );
    assert_eq!((status.rows_waiting, service.stored()), (1, 100));
    drop(lock);
    let status = service.turn(trusted(2_000));
    assert_eq!((status.trouble, status.rows_waiting), (None, 0));
    assert_eq!(service.stored(), 101);
    assert!(
        service_lock::own(&path)
            .expect("it can be looked at")
            .is_none(),
        "the service has it"
    );
}
