//! The file of tokens: what is kept, what is damaged, who may read it, and what a kill leaves.

use std::env;
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::domain::time::{Mono, Wall, test_moment};
use crate::golden::scratch;

fn owner(name: &str, identity: &str) -> TokenOwner {
    TokenOwner {
        name: name.to_owned(),
        identity: identity.to_owned(),
    }
}

fn token(text: &str) -> StoredToken {
    let now = test_moment(Mono(5_000));
    StoredToken {
        access_token: text.to_owned(),
        refresh_token: Some(format!("{text}-refresh")),
        request: String::new(),
        expiry: Some(StoredExpiry::after(Duration::from_secs(60), now, "boot")),
    }
}

fn store(file: &TokenFile, owner: &TokenOwner, token: &StoredToken) -> Result<(), String> {
    file.store(file.prepare(owner)?, owner, token)
}

fn mode(file: &TokenFile) -> u32 {
    file.path().metadata().expect("it is there").mode() & 0o777
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is there");
    let name = |it: io::Result<fs::DirEntry>| it.expect("an entry").file_name();
    let mut names: Vec<String> = entries
        .map(|it| name(it).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_token_is_kept_for_its_owner_alone_and_readable_for_nobody_else() {
    let directory = scratch("tokens");
    let file = TokenFile::beside(&directory.join("main-node.db"));
    let (one, changed) = (owner("auth:a", "1"), owner("auth:a", "2"));
    let of_source = owner("source:a", "1");
    assert_eq!(file.load(&one), Ok(None));
    store(&file, &one, &token("first")).expect("it is written");
    store(&file, &of_source, &token("second")).expect("it is written");
    store(&file, &one, &token("third")).expect("it is written");
    let again = TokenFile::beside(&directory.join("main-node.db"));
    assert_eq!(again.load(&one), Ok(Some(token("third"))));
    assert_eq!(again.load(&of_source), Ok(Some(token("second"))));
    assert_eq!(again.load(&changed), Ok(None));
    // A setting that was changed and changed back.
    store(&file, &changed, &token("fourth")).expect("it is written");
    assert_eq!(file.load(&one), Ok(Some(token("third"))));
    assert_eq!(mode(&file), 0o600);
    assert_eq!(names(&directory), [FILE_NAME]);
    fs::remove_dir_all(directory).expect("it can be removed");
}

#[test]
fn earlier_settings_of_an_auth_are_forgotten_one_day() {
    let directory = scratch("many-tokens");
    let file = TokenFile::beside(&directory.join("main-node.db"));
    let of = |nth: usize| owner("auth:a", &nth.to_string());
    for nth in 0..=limits::TOKENS_PER_AUTH {
        store(&file, &of(nth), &token("any")).expect("it is written");
    }
    assert_eq!(file.load(&of(0)), Ok(None));
    assert!(file.load(&of(1)).is_ok_and(|it| it.is_some()));
    for nth in 0..=limits::TOKENS {
        store(&file, &owner(&nth.to_string(), ""), &token("any")).expect("it is written");
    }
    assert_eq!(file.load(&of(1)), Ok(None));
    let size = file.path().metadata().expect("it is there").len();
    assert!(size < limits::TOKEN_FILE_BYTES);
    fs::remove_dir_all(directory).expect("it can be removed");
}

#[test]
fn a_damaged_file_is_kept_aside_and_a_newer_one_is_left_alone() {
    let directory = scratch("damaged-tokens");
    let file = TokenFile::beside(&directory.join("main-node.db"));
    let it = owner("auth:a", "1");
    store(&file, &it, &token("whole")).expect("it is written");
    let whole = fs::read(file.path()).expect("it is there");
    for damaged in [
        &whole[..whole.len() / 2],
        b"",
        b"\0\0\0",
        b"[1]",
        b"{\"version\":1}",
    ] {
        fs::write(file.path(), damaged).expect("it can be written");
        assert_eq!(file.load(&it), Ok(None), "{}", damaged.len());
        store(&file, &it, &token("next")).expect("it is written");
        assert_eq!(file.load(&it), Ok(Some(token("next"))));
        let aside = directory.join("tokens.json.damaged");
        assert_eq!(fs::read(aside).expect("it is kept"), damaged);
    }
    let newer = br#"{"version": 2, "tokens": "in another way"}"#;
    fs::write(file.path(), newer).expect("it can be written");
    let problem = "it was written by a newer version of main-node".to_owned();
    assert_eq!(file.load(&it), Err(problem.clone()));
    assert_eq!(store(&file, &it, &token("any")), Err(problem));
    assert_eq!(fs::read(file.path()).expect("it is there"), newer);
    fs::remove_dir_all(directory).expect("it can be removed");
}

#[test]
fn what_is_no_file_or_has_no_directory_is_a_problem() {
    let directory = scratch("no-token-file");
    let file = TokenFile::beside(&directory.join("main-node.db"));
    let it = owner("auth:a", "1");
    fs::create_dir(file.path()).expect("it can be made");
    assert_eq!(file.load(&it), Err("it is not a file".to_owned()));
    let problem = file.prepare(&it).map(|_| ());
    assert_eq!(problem, Err("it is a directory".to_owned()));
    fs::remove_dir(file.path()).expect("it can be removed");
    let (cwd, mode) = (rustix::fs::CWD, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(cwd, file.path(), rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    assert_eq!(file.load(&it), Err("it is not a file".to_owned()));
    let nowhere = TokenFile::beside(&directory.join("missing/main-node.db"));
    assert_eq!(nowhere.load(&it), Ok(None));
    let problem = nowhere.prepare(&it).map(|_| ());
    assert_eq!(problem, Err("no such file or directory".to_owned()));
    fs::remove_dir_all(directory).expect("it can be removed");
}

#[test]
fn others_lose_the_right_to_read_it() {
    let directory = scratch("open-tokens");
    let file = TokenFile::beside(&directory.join("main-node.db"));
    let it = owner("auth:a", "1");
    store(&file, &it, &token("any")).expect("it is written");
    for open in [0o644, 0o660, 0o604] {
        fs::set_permissions(file.path(), Permissions::from_mode(open)).expect("it is ours");
        let file = TokenFile::beside(&directory.join("main-node.db"));
        assert!(file.load(&it).is_ok_and(|it| it.is_some()));
        assert_eq!(mode(&file), 0o600);
    }
    fs::remove_dir_all(directory).expect("it can be removed");
}

#[test]
fn check_tells_the_state_of_the_file_and_changes_nothing() {
    let directory = scratch("token-state");
    let file = TokenFile::beside(&directory.join("main-node.db"));
    let path = file.path().display().to_string();
    let it = owner("auth:a", "1");
    let state = |age_s: i64| {
        let changed = file.path().metadata().map_or(0, |it| it.mtime());
        file.state(Wall::from_second(changed + age_s))
    };
    let will_be = format!("{path} will be created for tokens");
    assert_eq!(state(0), Ok(will_be));
    store(&file, &it, &token("secret-token")).expect("it is written");
    let user = rustix::process::geteuid().as_raw();
    let expected = format!(
        "{path} has 1 token, readable for the user with the ID {user} alone (mode 600); the last is 2 h old"
    );
    assert_eq!(state(7_200), Ok(expected));
    fs::set_permissions(file.path(), Permissions::from_mode(0o644)).expect("it is ours");
    let problem = state(0).expect_err("others can read it");
    assert!(
        problem.contains(&format!("(mode 644): chmod 600 {path}")),
        "{problem}"
    );
    assert_eq!(mode(&file), 0o644, "it is left as it is");
    fs::set_permissions(file.path(), Permissions::from_mode(0o600)).expect("it is ours");
    fs::write(file.path(), "{\"version\": 1, \"tok").expect("it can be written");
    let problem = state(0).expect_err("it is damaged");
    assert!(problem.contains("it is damaged"), "{problem}");
    fs::write(file.path(), "{\"version\": 9}").expect("it can be written");
    let problem = state(0).expect_err("it is newer");
    assert!(problem.contains("by a newer version"), "{problem}");
    fs::remove_dir_all(directory).expect("it can be removed");
}

#[test]
fn a_link_to_another_disk_stays_one() {
    let directory = scratch("linked-tokens");
    let file = TokenFile::beside(&directory.join("main-node.db"));
    let it = owner("auth:a", "1");
    let elsewhere = directory.join("elsewhere");
    fs::create_dir(&elsewhere).expect("it can be made");
    fs::write(elsewhere.join("kept.json"), "").expect("it can be written");
    std::os::unix::fs::symlink("elsewhere/kept.json", file.path()).expect("it can be made");
    store(&file, &it, &token("any")).expect("it is written");
    assert!(file.path().is_symlink());
    assert_eq!(file.load(&it), Ok(Some(token("any"))));
    fs::remove_dir_all(directory).expect("it can be removed");
}

#[test]
fn a_token_that_was_being_written_at_a_kill_is_kept() {
    let directory = scratch("tokens-leftover");
    let database = directory.join("main-node.db");
    let (one, other) = (owner("auth:a", "1"), owner("auth:b", "1"));
    let file = TokenFile::beside(&database);
    store(&file, &one, &token("old")).expect("it is written");
    // What a process has written of another token when it is killed.
    let written = TokenFile::beside(&scratch("tokens-leftover-writer").join("main-node.db"));
    store(&written, &one, &token("new")).expect("it is written");
    let text = fs::read(written.path()).expect("a file");
    store(&file, &other, &token("other")).expect("it is written");
    let temporary =
        |owner: &TokenOwner| directory.join(format!("{FILE_NAME}.{}.tmp", suffix(owner)));
    let reserved = [text.as_slice(), &[0; 5_000]].concat();
    let cases: [(&[u8], &TokenOwner, &str); 6] = [
        (&reserved[text.len()..], &one, "old"),
        (&text[..text.len() / 2], &one, "old"),
        (b"", &one, "old"),
        // Of another owner than the name says.
        (&text, &other, "old"),
        (&reserved, &one, "new"),
        (&text, &one, "new"),
    ];
    for (left, owner, expected) in cases {
        store(&file, &one, &token("old")).expect("it is written");
        fs::write(temporary(owner), left).expect("a file");
        let next = TokenFile::beside(&database);
        assert!(next.try_lock());
        assert_eq!(next.load(&one), Ok(Some(token(expected))), "{owner:?}");
        assert_eq!(next.load(&other), Ok(Some(token("other"))));
        assert_eq!(names(&directory), [FILE_NAME]);
    }
}

#[test]
fn another_process_waits_and_threads_of_one_share_the_lock() {
    let directory = scratch("token-lock");
    let database = directory.join("main-node.db");
    // Locks are of open files: another handle is like another process.
    let (one, other) = (TokenFile::beside(&database), TokenFile::beside(&database));
    assert!(one.try_lock());
    let (first, second) = (TokenFileLock(&one), {
        assert!(one.try_lock());
        TokenFileLock(&one)
    });
    assert!(!other.try_lock());
    drop(first);
    assert!(!other.try_lock());
    drop(second);
    // A process that another test begins just now has the lock until it runs its program.
    while !other.try_lock() {
        std::thread::yield_now();
    }
    let missing = TokenFile::beside(&directory.join("missing/main-node.db"));
    assert!(missing.try_lock(), "its write fails, with the reason");
    fs::remove_dir_all(directory).expect("it can be removed");
}

const CHILD_DIRECTORY: &str = "MAIN_NODE_TEST_TOKENS";

/// What the next test kills: writes one token after another, and says so after each.
#[test]
fn tokens_are_written_until_the_process_is_killed() {
    let Some(directory) = env::var_os(CHILD_DIRECTORY) else {
        return;
    };
    let file = TokenFile::beside(&Path::new(&directory).join("main-node.db"));
    let it = owner("auth:a", "1");
    for nth in 1..=1_000_000_u32 {
        store(&file, &it, &token(&nth.to_string())).expect("it is written");
        println!("written {nth}");
    }
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_token_or_the_new_one() {
    let directory = scratch("killed-tokens");
    let it = owner("auth:a", "1");
    for lines in 1..=24 {
        let program = env::current_exe().expect("it is this test");
        let mut child = Command::new(program)
            .args(["--nocapture", "--exact"])
            .arg(concat!(
                "api::auth::token_file::tests::",
                "tokens_are_written_until_the_process_is_killed"
            ))
            .env(CHILD_DIRECTORY, &directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be run");
        let output = BufReader::new(child.stdout.take().expect("it has one"));
        let number = |line: io::Result<String>| -> Option<u32> {
            line.ok()?.split_once("written ")?.1.parse().ok()
        };
        let mut written = output.lines().filter_map(number);
        let last = written.nth(lines % 6).expect("it writes");
        // The more it has counted, the later in the next step it is killed.
        let spent = (0..lines * 2_000).fold(0_usize, |sum, it| std::hint::black_box(sum ^ it));
        std::hint::black_box(spent);
        child.kill().expect("it runs");
        child.wait().expect("it was killed");
        let last = written.last().unwrap_or(last);
        let file = TokenFile::beside(&directory.join("main-node.db"));
        let found = file.load(&it).expect("it can be read").expect("a token");
        let found: u32 = found.access_token.parse().expect("a number");
        assert!((last..=last + 1).contains(&found), "{found} after {last}");
        // What the kill left does not hinder the next.
        store(&file, &it, &token("0")).expect("it is written");
        assert_eq!(names(&directory), [FILE_NAME]);
    }
    fs::remove_dir_all(directory).expect("it can be removed");
}
