//! Requests: one at a time, complete or not at all.

use super::*;
use crate::db::test_support::Directory;

fn rename() -> MaintenanceRequest {
    MaintenanceRequest {
        id: "1".to_owned(),
        task: MaintenanceTask::Rename {
            old: "a".to_owned(),
            new: "b".to_owned(),
            from: None,
            to: Some(5),
        },
    }
}

#[test]
fn a_request_is_left_complete_and_taken_once() {
    let directory = Directory::new();
    let database = directory.path("main-node.db");
    assert!(read(&database).is_none());
    let first = claim(&database).expect("it is free");
    let busy = claim(&database).expect_err("one is being prepared");
    assert_eq!(busy, ClaimError::Preparing);
    assert!(read(&database).is_none(), "it is not complete yet");
    first.submit(&rename()).expect("it can be left");
    assert_eq!(read(&database), Some(Ok(rename())));
    let busy = claim(&database).expect_err("one is under way");
    assert_eq!(busy, ClaimError::UnderWay);
    remove(&database).expect("it can be removed");
    assert!(read(&database).is_none());
    claim(&database).expect("it is free again").withdraw();
    assert_eq!(directory.names(), Vec::<String>::new());
}

#[test]
fn what_an_interrupted_command_left_is_removed_by_the_next() {
    let directory = Directory::new();
    let database = directory.path("main-node.db");
    let interrupted = claim(&database).expect("it is free");
    std::fs::write(staged_path(&database), "rows").expect("it can be written");
    drop(interrupted);
    let next = claim(&database).expect("the lock ended with its process");
    assert_eq!(directory.names(), ["main-node.db.request.new"]);
    next.withdraw();
}

#[test]
fn a_disk_that_is_absent_is_named() {
    let directory = Directory::new();
    let link = directory.path("link");
    std::os::unix::fs::symlink("/no/such/disk", &link).expect("a link can be made");
    let failed = claim(&link.join("main-node.db")).expect_err("there is nothing");
    let expected = "link is a link to /no/such/disk, which does not exist: is its disk mounted?";
    assert!(failed.to_string().ends_with(expected), "{failed}");
}

#[test]
fn a_request_of_another_version_is_named() {
    let directory = Directory::new();
    let database = directory.path("main-node.db");
    for (request, named) in [
        (r#"{"id":"1","task":{"merge":{}}}"#, "merge"),
        // A condition that is not known must not be passed over.
        (
            r#"{"id":"1","task":{"rename":{"old":"a","new":"b","from":null,"to":null,"unless":1}}}"#,
            "unless",
        ),
    ] {
        std::fs::write(directory.path("main-node.db.request"), request).expect("it can be written");
        let reason = read(&database)
            .expect("there is one")
            .expect_err("it is not known");
        assert!(
            reason.contains("is not understood") && reason.contains(named),
            "{reason}"
        );
    }
}
