//! Stories of forwarding, against a server on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use super::*;
use crate::config::forward_config;
use crate::domain::reading::Value;
use crate::domain::stored_rows::{FeedStep, StoredForecast, StoredRow};
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
use crate::outputs::{LatestSnapshot, SharedOutputStatus};
use crate::sys::clock::ManualClock;
use crate::sys::shutdown::StopToken;
use crate::sys::sync::Mutex;

/// What the server does with a body: status, body, and whether it keeps the lines.
type Respond = dyn Fn(&str) -> (u16, &'static str, bool) + Send + Sync;

/// A server of line protocol that keeps what it accepts.
struct Receiver {
    url: String,
    kept: Arc<Mutex<Vec<String>>>,
    requests: Arc<Mutex<usize>>,
    respond: Arc<Mutex<Box<Respond>>>,
}

impl Receiver {
    fn new(
        respond: impl Fn(&str) -> (u16, &'static str, bool) + Send + Sync + 'static,
    ) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        let receiver = Receiver {
            url: format!("http://{address}/write?db=house"),
            kept: Arc::default(),
            requests: Arc::default(),
            respond: Arc::new(Mutex::new(Box::new(respond))),
        };
        let (kept, requests) = (receiver.kept.clone(), receiver.requests.clone());
        let respond = receiver.respond.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.expect("a connection");
                let body = read_body(&connection);
                *requests.lock() += 1;
                let (status, text, is_kept) = respond.lock()(&body);
                if is_kept {
                    kept.lock().extend(body.lines().map(str::to_owned));
                }
                let length = text.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n"
                );
                // The client may have gone.
                let _ = connection.write_all(format!("{head}\r\n{text}").as_bytes());
            }
        });
        receiver
    }

    fn accepting() -> Receiver {
        Receiver::new(|_| (204, "", true))
    }

    fn set(&self, respond: impl Fn(&str) -> (u16, &'static str, bool) + Send + Sync + 'static) {
        *self.respond.lock() = Box::new(respond);
    }

    /// The rows that were taken, by key.
    fn taken(&self) -> Vec<String> {
        let kept = self.kept.lock();
        let key = |line: &String| {
            let rest = line.split_once("key=").map_or(line.as_str(), |it| it.1);
            rest.split(',').next().unwrap_or_default().to_owned()
        };
        kept.iter().map(key).collect()
    }
}

fn read_body(connection: &TcpStream) -> String {
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a head");
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    String::from_utf8(body).expect("UTF-8")
}

/// A database in memory: rows by id, from 1.
#[derive(Clone)]
struct Rows(Arc<Mutex<RowsState>>);

struct RowsState {
    keys: Vec<String>,
    place: FeedPlace,
    /// Rows up to this id are deleted.
    deleted: i64,
}

impl Rows {
    fn new(keys: &[&str]) -> Rows {
        let rows = Rows(Arc::new(Mutex::new(RowsState {
            keys: Vec::new(),
            place: FeedPlace {
                epoch: 1,
                through: 0,
                newest: 0,
                forecast_changes: 0,
            },
            deleted: 0,
        })));
        rows.add(keys);
        rows
    }

    fn add(&self, keys: &[&str]) {
        let mut state = self.0.lock();
        state.keys.extend(keys.iter().map(|key| (*key).to_owned()));
        state.place.newest = state.keys.len() as i64;
    }

    fn settled(&self) -> i64 {
        self.0.lock().place.through
    }
}

impl RowFeed for Rows {
    fn place(&self) -> Option<FeedPlace> {
        Some(self.0.lock().place)
    }

    fn read(
        &self,
        after: i64,
        take: &mut dyn FnMut(&StoredRow<'_>) -> bool,
    ) -> Result<FeedStep, String> {
        let state = self.0.lock();
        let first = after.max(state.deleted);
        let mut step = FeedStep {
            through: first,
            deleted: first - after,
            is_end: true,
        };
        for (at, key) in state.keys.iter().enumerate().skip(first as usize) {
            step.through = at as i64 + 1;
            let row = StoredRow {
                second: 1_761_854_400 + step.through,
                key,
                value: Value::Number(1.0),
                untrusted: false,
            };
            if take(&row) {
                step.is_end = false;
                break;
            }
        }
        Ok(step)
    }

    fn read_forecast(&self, _: &str) -> Result<Option<StoredForecast>, String> {
        Ok(None)
    }

    fn settle(&self, epoch: u64, through: i64) {
        let mut state = self.0.lock();
        if state.place.epoch == epoch {
            state.place.through = through;
        }
    }
}

struct Scene {
    output: ForwardOutput,
    context: OutputContext,
    clock: Arc<ManualClock>,
    receiver: Receiver,
    rows: Rows,
}

impl Scene {
    fn new(receiver: Receiver, keys: &[&str], options: &str) -> Scene {
        let rows = Rows::new(keys);
        let config = forward_config(&format!("url = \"{}\"\n{options}", receiver.url));
        let output = ForwardOutput::new(&config, "lake", Some(Arc::new(rows.clone())));
        let clock = Arc::new(ManualClock::new(moment(0)));
        let status = SharedOutputStatus::new(output.name(), &output.destination(), Arc::default());
        let context = OutputContext {
            snapshots: LatestSnapshot::default(),
            status,
            stop: StopToken::default(),
            clock: clock.clone(),
        };
        output.report_waiting(&context);
        Scene {
            output,
            context,
            clock,
            receiver,
            rows,
        }
    }

    /// Turns until there is nothing to send, or a failure.
    fn turns(&mut self) -> Result<(), String> {
        let mut report = Report::new(&self.context, self.output.client.host());
        loop {
            match self.output.turn(&self.context, &mut report) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(failure) => {
                    if failure.is_outage {
                        self.output.go_back();
                    }
                    return Err(failure.why);
                }
            }
        }
    }

    fn note(&self) -> String {
        self.context.status.get().note.unwrap_or_default()
    }
}

fn moment(second: u64) -> Moment {
    Moment {
        mono: Mono(1_000_000 + second * 1_000),
        wall: Wall::from_second(1_761_854_400 + second as i64),
        trust: ClockTrust::Trusted,
    }
}

#[test]
fn rows_go_in_the_order_in_which_they_were_stored_and_each_once() {
    let mut scene = Scene::new(Receiver::accepting(), &["a", "b", "c"], "");
    assert_eq!(scene.turns(), Ok(()));
    assert_eq!(scene.receiver.taken(), ["a", "b", "c"]);
    scene.rows.add(&["d"]);
    assert_eq!(scene.turns(), Ok(()));
    assert_eq!(scene.receiver.taken(), ["a", "b", "c", "d"]);
    assert_eq!(*scene.receiver.requests.lock(), 2);
    let state = scene.context.status.get();
    assert_eq!((state.sent, state.waiting, state.dropped), (4, Some(0), 0));
}

/// During a pause, or before the next turn.
#[test]
fn rows_that_are_stored_between_two_turns_wait() {
    let mut scene = Scene::new(Receiver::accepting(), &["a"], "");
    let waiting = |scene: &Scene| scene.context.status.get().waiting;
    assert_eq!(waiting(&scene), Some(1));
    assert_eq!(scene.turns(), Ok(()));
    assert_eq!(waiting(&scene), Some(0));
    scene.rows.add(&["b", "c"]);
    assert_eq!(waiting(&scene), Some(2));
    scene.receiver.set(|_| (503, "", false));
    assert!(scene.turns().is_err());
    scene.rows.add(&["d"]);
    // The first is sent again.
    assert_eq!(waiting(&scene), Some(4));
    scene.receiver.set(|_| (204, "", true));
    assert_eq!(scene.turns(), Ok(()));
    assert_eq!(waiting(&scene), Some(0));
}

#[test]
fn only_the_wanted_keys_are_sent_and_the_others_are_passed() {
    let keys = ["solar.power", "rain", "solar.energy", "rain"];
    let mut scene = Scene::new(Receiver::accepting(), &keys, "keys = [\"solar.*\"]");
    assert_eq!(scene.turns(), Ok(()));
    assert_eq!(scene.receiver.taken(), ["solar.power", "solar.energy"]);
    assert_eq!(scene.context.status.get().waiting, Some(0));
}

#[test]
fn one_bad_row_is_found_left_out_and_named() {
    let refuse = |body: &str| {
        if body.contains("poison") {
            (400, "{\"error\":\"unable to parse\"}", false)
        } else {
            (204, "", true)
        }
    };
    let keys: Vec<String> = (0..100).map(|at| format!("k{at}")).collect();
    let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.insert(63, "poison");
    let mut scene = Scene::new(Receiver::new(refuse), &keys, "");
    assert_eq!(scene.turns(), Ok(()));
    keys.remove(63);
    assert_eq!(scene.receiver.taken(), keys);
    let state = scene.context.status.get();
    assert_eq!(
        (state.sent, state.dropped, state.waiting),
        (100, 1, Some(0))
    );
    let note = scene.note();
    assert!(
        note.contains("unable to parse; the first was main_node,key=poison"),
        "{note}"
    );
}

#[test]
fn a_server_that_refuses_all_is_waited_for_and_nothing_is_given_up() {
    let keys: Vec<String> = (0..200).map(|at| format!("k{at}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let refuse = |_: &str| (400, "{\"error\":\"database is required\"}", false);
    let mut scene = Scene::new(Receiver::new(refuse), &keys, "");
    let failed = scene.turns();
    assert_eq!(
        failed,
        Err(
            "it refuses every row: database is required: write ?db=NAME at the end of `url`"
                .to_owned()
        )
    );
    let requests = *scene.receiver.requests.lock();
    assert!(requests < 150, "{requests} requests for nothing");
    assert_eq!(scene.context.status.get().dropped, 0);
    scene.receiver.set(|_| (204, "", true));
    assert_eq!(scene.turns(), Ok(()));
    assert_eq!(scene.receiver.taken(), keys);
}

#[test]
fn a_bad_row_alone_is_given_up_once_the_server_takes_another() {
    let refuse = |body: &str| {
        if body.contains("poison") {
            (400, "", false)
        } else {
            (204, "", true)
        }
    };
    let mut scene = Scene::new(Receiver::new(refuse), &["poison"], "");
    assert!(scene.turns().is_err());
    assert_eq!(scene.context.status.get().dropped, 0);
    scene.rows.add(&["good"]);
    assert_eq!(scene.turns(), Ok(()));
    assert_eq!(scene.receiver.taken(), ["good"]);
    assert_eq!(scene.context.status.get().dropped, 1);
}

/// A server that refuses some rows for good, many of them in a row, takes all others.
#[test]
fn refused_rows_never_keep_others_from_being_sent() {
    for status in [400, 422, 413] {
        for (before, bad, behind) in [(0, 60, 1), (3, 200, 20), (0, 49, 40)] {
            let refuse = move |body: &str| {
                if body.contains("poison") {
                    (status, "", false)
                } else {
                    (204, "", true)
                }
            };
            let keys = [vec!["a"; before], vec!["poison"; bad], vec!["b"; behind]].concat();
            let mut scene = Scene::new(Receiver::new(refuse), &keys, "");
            let case = format!("HTTP {status}: {before} {bad} {behind}");
            assert_eq!(scene.turns(), Ok(()), "{case}");
            scene.rows.add(&["poison", "c", "c"]);
            assert_eq!(scene.turns(), Ok(()), "{case}");
            let taken = scene.receiver.taken();
            let count = |key: &str| taken.iter().filter(|it| *it == key).count();
            // A row that was tried alone is sent with the others once more.
            assert!((behind..=behind + 1).contains(&count("b")), "{case}");
            assert_eq!((count("a"), count("c")), (before, 2), "{case}");
            assert_eq!(scene.context.status.get().dropped, bad as u64 + 1, "{case}");
        }
    }
}

#[test]
fn points_that_are_too_old_for_the_server_are_counted_and_the_others_are_written() {
    let body = "{\"error\":\"partial write: points beyond retention policy dropped=2\"}";
    let mut scene = Scene::new(
        Receiver::new(move |_| (400, body, true)),
        &["a", "b", "c"],
        "",
    );
    assert_eq!(scene.turns(), Ok(()));
    assert_eq!(*scene.receiver.requests.lock(), 1);
    let state = scene.context.status.get();
    assert_eq!((state.sent, state.dropped), (1, 2));
    assert!(
        scene.note().contains("points beyond retention policy"),
        "{}",
        scene.note()
    );
}

#[test]
fn a_request_that_is_too_large_is_halved() {
    let refuse = |body: &str| match body.lines().count() {
        0..=10 => (204, "", true),
        _ => (413, "", false),
    };
    let keys: Vec<String> = (0..100).map(|at| format!("k{at}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut scene = Scene::new(Receiver::new(refuse), &keys, "");
    assert_eq!(scene.turns(), Ok(()));
    assert_eq!(scene.receiver.taken(), keys);
    assert_eq!(scene.context.status.get().dropped, 0);
    let before = *scene.receiver.requests.lock();
    scene.rows.add(&keys);
    assert_eq!(scene.turns(), Ok(()));
    let requests = *scene.receiver.requests.lock() - before;
    assert!(
        requests <= 20,
        "it has learnt what is too large: {requests}"
    );
}

#[test]
fn after_an_outage_what_was_acknowledged_just_before_is_sent_again() {
    let mut scene = Scene::new(Receiver::accepting(), &[], "");
    for (second, key) in [(60, "a"), (120, "b"), (180, "c")] {
        scene.clock.set(moment(second));
        scene.rows.add(&[key]);
        assert_eq!(scene.turns(), Ok(()));
    }
    // The first may be forgotten: it is not sent again after a crash of this node either.
    assert_eq!(scene.rows.settled(), 1);
    scene.receiver.set(|_| (503, "", false));
    scene.rows.add(&["d"]);
    assert!(scene.turns().is_err());
    scene.receiver.set(|_| (204, "", true));
    assert_eq!(scene.turns(), Ok(()));
    assert_eq!(scene.receiver.taken(), ["a", "b", "c", "b", "c", "d"]);
}

#[test]
fn another_database_or_the_end_of_a_salvage_begins_where_the_store_says() {
    let mut scene = Scene::new(Receiver::accepting(), &["a", "b", "c"], "");
    assert_eq!(scene.turns(), Ok(()));
    {
        let mut state = scene.rows.0.lock();
        state.place.epoch += 1;
        state.place.through = 1;
    }
    assert_eq!(scene.turns(), Ok(()));
    assert_eq!(scene.receiver.taken(), ["a", "b", "c", "b", "c"]);
}

#[test]
fn rows_that_retention_deleted_first_are_said() {
    let mut scene = Scene::new(Receiver::accepting(), &["a", "b", "c"], "");
    scene.rows.0.lock().deleted = 2;
    assert_eq!(scene.turns(), Ok(()));
    assert_eq!(scene.receiver.taken(), ["c"]);
    assert_eq!(scene.context.status.get().dropped, 2);
    let note = scene.note();
    assert_eq!(
        note,
        "2 rows were older than `keep_raw` before 127.0.0.1 took them"
    );
}

#[test]
fn a_check_sends_no_line() {
    let scene = Scene::new(Receiver::accepting(), &["a"], "");
    let found = scene.output.check();
    assert!(found.is_ok_and(|it| it.ends_with("/write accepts rows")));
    assert!(scene.receiver.taken().is_empty());
    for (status, body, expected) in [
        (
            404,
            "{\"error\":\"database not found: \\\"house\\\"\"}",
            "database not found",
        ),
        (401, "", "the token, or user and password, are wrong"),
        (200, "<html>", "web page"),
    ] {
        scene.receiver.set(move |_| (status, body, false));
        let why = scene.output.check().expect_err("it is not accepted");
        assert!(why.contains(expected), "{why}");
    }
    scene.receiver.set(|_| {
        (
            400,
            "{\"code\":\"invalid\",\"message\":\"writing requires points\"}",
            false,
        )
    });
    assert!(scene.output.check().is_ok());
}
