use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn device(last: u8) -> MacAddress {
    MacAddress::parse(&format!("aa:bb:cc:dd:ee:{last:02x}")).expect("a MAC")
}

fn at(seconds: i64) -> Wall {
    Wall::from_second(1_761_854_400 + seconds)
}

fn key(keys: &DeviceKeys, of: u8, is_once: bool, seconds: i64) -> Option<String> {
    match keys.request(&device(of), is_once, at(seconds)) {
        Ok(KeyRequest::Given(key)) => Some(key),
        Ok(KeyRequest::NotAgain) => None,
        Err(problem) => panic!("{problem}"),
    }
}

#[test]
fn keys_are_of_a_device_and_outlive_a_restart() {
    let database = crate::golden::scratch("device-keys").join("main-node.db");
    let keys = DeviceKeys::beside(&database);
    assert!(!keys.opens(&device(1), ""), "before there is a secret");
    let hall = key(&keys, 1, false, 0).expect("it is given");
    let attic = key(&keys, 2, false, 0).expect("it is given");
    assert_eq!(hall.len(), 64);
    assert_ne!(hall, attic);
    assert_eq!(
        key(&keys, 1, false, 9),
        Some(hall.clone()),
        "always the same"
    );
    let again = DeviceKeys::beside(&database);
    again.load().expect("it can be read");
    for keys in [&keys, &again] {
        assert!(keys.opens(&device(1), &hall));
        assert!(keys.opens(&device(1), &hall.to_ascii_uppercase()));
        for wrong in [
            "",
            "x",
            &attic,
            &hall[1..],
            &format!("{hall}0"),
            &"\u{e9}".repeat(32),
        ] {
            assert!(!keys.opens(&device(1), wrong), "{wrong}");
        }
    }
    let file = database.with_file_name(FILE_NAME);
    let mode = file.metadata().expect("it exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).expect("it can be read");
    assert!(!text.contains(&hall), "no key is in the file");
}

#[test]
fn a_key_is_given_once_and_again_for_ten_minutes_after_pairing() {
    let database = crate::golden::scratch("device-keys-once").join("main-node.db");
    let keys = DeviceKeys::beside(&database);
    let hall = key(&keys, 1, true, 0);
    assert!(hall.is_some());
    for seconds in [0, 1, 100_000] {
        assert_eq!(key(&keys, 1, true, seconds), None, "{seconds}");
    }
    assert!(key(&keys, 2, true, 5).is_some(), "each device by itself");
    // The command is another process; the service reads what it wrote.
    let command = DeviceKeys::beside(&database);
    command
        .pair(&device(1), at(1_000))
        .expect("it can be written");
    for (seconds, is_given) in [(999, false), (1_000, true), (1_599, true), (1_600, false)] {
        let found = key(&keys, 1, true, seconds);
        assert_eq!(found.is_some(), is_given, "{seconds}");
        assert!(found.is_none_or(|found| Some(found) == hall));
    }
    assert_eq!(key(&keys, 2, true, 1_100), None, "that device alone");
    let restarted = DeviceKeys::beside(&database);
    assert_eq!(key(&restarted, 1, true, 1_100), hall);
    assert_eq!(key(&restarted, 1, true, 1_700), None);
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_and_stays() {
    let directory = crate::golden::scratch("device-keys-damaged");
    let database = directory.join("main-node.db");
    let file = directory.join(FILE_NAME);
    let keys = DeviceKeys::beside(&database);
    for damaged in [
        "",
        "{",
        "{}",
        "[]",
        r#"{"version":1,"secret":"00","devices":{}}"#,
        &format!(r#"{{"secret":"{}","devices":[]}}"#, "0".repeat(64)),
        &format!(r#"{{"secret":"{}","devices":{{"A":5}}}}"#, "0".repeat(64)),
    ] {
        std::fs::write(&file, damaged).expect("it can be written");
        for problem in [
            keys.load().err(),
            keys.pair(&device(1), at(0)).err(),
            keys.request(&device(1), false, at(0)).err(),
        ] {
            let problem = problem.expect("it is damaged");
            assert!(
                problem.contains("displays.json cannot be used: it is damaged"),
                "{problem}"
            );
        }
        let kept = std::fs::read_to_string(&file).expect("it is still there");
        assert_eq!(kept, damaged);
    }
    std::fs::remove_file(&file).expect("it can be removed");
    std::fs::create_dir(&file).expect("it can be made");
    let problem = keys.load().expect_err("it is a directory");
    assert!(
        problem.contains("displays.json cannot be read: it is no file"),
        "{problem}"
    );
    let keys = DeviceKeys::beside(&directory.join("nowhere").join("main-node.db"));
    let problem = keys
        .request(&device(1), false, at(0))
        .err()
        .expect("no directory");
    assert!(problem.contains("cannot be written: "), "{problem}");
}

#[test]
fn a_file_that_others_may_read_is_taken_from_them() {
    let database = crate::golden::scratch("device-keys-mode").join("main-node.db");
    let keys = DeviceKeys::beside(&database);
    assert_eq!(keys.load(), Ok(false), "there is no secret yet");
    key(&keys, 1, false, 0);
    let file = database.with_file_name(FILE_NAME);
    let mode = || file.metadata().expect("it exists").permissions().mode() & 0o777;
    for before in [0o644, 0o666, 0o600, 0o400] {
        let permissions = std::fs::Permissions::from_mode(before);
        std::fs::set_permissions(&file, permissions).expect("it is ours");
        assert_eq!(keys.load(), Ok(true));
        assert_eq!(mode(), before, "it is read alone");
        keys.restrict_to_owner();
        let after = if before & 0o077 == 0 { before } else { 0o600 };
        assert_eq!(mode(), after, "{before:o}");
    }
}

#[test]
fn a_key_that_another_process_made_is_good_at_once() {
    let database = crate::golden::scratch("device-keys-processes").join("main-node.db");
    let service = DeviceKeys::beside(&database);
    assert_eq!(service.load(), Ok(false));
    let command = DeviceKeys::beside(&database);
    let hall = command.pair(&device(1), at(0)).expect("it can be written");
    assert!(service.opens(&device(1), &hall));
    assert!(!service.opens(&device(2), &hall));
    // A backup of another secret is put back, and damaged after that: the last sound one counts.
    let file = database.with_file_name(FILE_NAME);
    std::fs::remove_file(&file).expect("it is there");
    assert!(service.opens(&device(1), &hall), "the file is lost");
    let other = DeviceKeys::beside(&database);
    let other = other.pair(&device(1), at(0)).expect("it can be written");
    assert_ne!(hall, other);
    assert!(service.opens(&device(1), &other));
    assert!(!service.opens(&device(1), &hall));
    std::fs::write(&file, "{").expect("it can be written");
    assert!(!service.opens(&device(1), &hall));
    assert!(service.opens(&device(1), &other));
}
