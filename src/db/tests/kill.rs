//! A process that is killed while it writes, again and again on one database.
//!
//! The child is this test program, called anew for one ignored test. It says which fetches
//! it knows to be committed; whatever it had said must be there, and every fetch whole.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::store::{StoreSettings, start};
use super::test_support::{Dice, Directory, location, row};
use super::{connection, open};
use crate::domain::time::Wall;
use crate::sys::clock::{Clock, SystemClock};

const READINGS: i64 = 50;
const DATABASE: &str = "MAIN_NODE_TEST_DATABASE";
/// How often to kill: a few times in every run, 200 times where somebody waits for it.
const ROUNDS: &str = "MAIN_NODE_TEST_KILLS";

#[test]
fn what_was_committed_outlives_a_kill_at_any_moment() {
    let rounds = std::env::var(ROUNDS).ok();
    let rounds: u32 = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(8);
    let directory = Directory::new();
    let path = directory.path("killed.db");
    let mut dice = Dice(std::process::id().into());
    let mut known = 0;
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--exact", "db::kill::writes_until_it_is_killed"])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .env(DATABASE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program can be called again");
        let said = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut said = said.lines().map_while(Result::ok);
        let patience = dice.below(40) + 1;
        let mut heard = 0;
        for line in said.by_ref() {
            heard += u64::from(take(&line, &mut known));
            if heard >= patience {
                break;
            }
        }
        assert!(heard > 0, "round {round}: the child works");
        // Somewhere within a commit, not just after one.
        for _ in 0..dice.below(300_000) {
            std::hint::spin_loop();
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it is gone");
        for line in said {
            take(&line, &mut known);
        }
        check(&path, known, round);
    }
}

/// Reads `committed 17`; true if the line was one.
fn take(line: &str, known: &mut i64) -> bool {
    match line.strip_prefix("committed ").map(str::parse::<i64>) {
        Some(Ok(fetch)) => {
            *known = (*known).max(fetch);
            true
        }
        _ => false,
    }
}

fn check(path: &Path, known: i64, round: u32) {
    let connection = connection::open_read_only(path).expect("it opens");
    let one = |sql: &str| -> i64 {
        let one = connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        one.expect("it can be asked").unwrap_or(0)
    };
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    assert_eq!(verdict, "ok", "round {round}");
    let newest = one("SELECT CAST(max(value) AS INTEGER) FROM records");
    assert!(
        newest >= known,
        "round {round}: fetch {known} was committed, {newest} is there"
    );
    let rows = one("SELECT count(*) FROM records");
    assert_eq!(
        rows,
        newest * READINGS,
        "round {round}: every fetch is there, and whole"
    );
    assert_eq!(one("SELECT sum(count) FROM hourly"), rows, "round {round}");
    assert_eq!(
        one("SELECT count(*) FROM latest"),
        READINGS,
        "round {round}"
    );
    let latest = one("SELECT CAST(min(value) AS INTEGER) FROM latest");
    assert_eq!(latest, newest, "round {round}");
}

/// The child: stores a fetch of 50 readings after another and says so.
#[test]
#[ignore = "the child of the test above"]
fn writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(DATABASE) else {
        return;
    };
    let path = Path::new(&path);
    let mut settings = StoreSettings::new(location(path), "this-boot".to_owned());
    settings.commit_every = Duration::ZERO;
    let database = open::open(&settings.location, &settings.boot).expect("it opens");
    // The log is taken in often, so that kills meet that too.
    let pragma = database
        .connection()
        .pragma_update(None, "wal_autocheckpoint", 30);
    pragma.expect("it can be set");
    let restored = database.last_values(&|_| false).expect("it can be read");
    let last = restored
        .iter()
        .filter_map(|row| row.value.number())
        .fold(0.0, f64::max);
    let clock = Arc::new(SystemClock::always_trusted());
    let base = match restored.first() {
        Some(row) => row.stamp.observed.second() - last as i64,
        None => clock
            .now()
            .wall
            .before(Duration::from_secs(86_400))
            .second(),
    };
    let store = start(settings, Ok(database), clock).expect("a thread can be started");
    let mut stored = 0;
    for fetch in last as i64 + 1.. {
        let at = Wall::from_second(base + fetch).second();
        let rows = (0..READINGS).map(|key| row(&format!("key.{key}"), at, fetch as f64));
        store.append(rows.collect());
        stored += READINGS as u64;
        while store.status().rows_stored < stored {
            std::thread::yield_now();
        }
        println!("committed {fetch}");
        std::io::stdout().flush().expect("the parent listens");
    }
}
