//! Alert delivery end to end, from observations to mails, under random faults: kills, reboots,
//! clock jumps, and mail servers that refuse, hang, or accept a mail without a reply.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;

use crate::alerts::channels::{Attempt, Channel, DeliveryBatch, DeliveryHooks};
use crate::alerts::delivery::DeliveryWorker;
use crate::db::outbox::{self, OutboxBuffer};
use crate::db::schema;
use crate::domain::alert::{AlertCommit, AlertFacts, AlertRules, AlertState, NodeFacts, step};
use crate::domain::alert_event::AlertEvent;
use crate::domain::failure::{Cause, Failure};
use crate::domain::health::SourceHealth;
use crate::domain::outbox::{DeliveryOutcome, Outbox, PendingItems};
use crate::domain::plan::{Plan, test_plan};
use crate::domain::snapshot::{Snapshot, SourceSnapshot};
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
use crate::sys::clock::ManualClock;
use crate::sys::shutdown::StopToken;

const SOURCES: usize = 4;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.next().is_multiple_of(chances)
    }
}

/// The database, which survives a kill.
#[derive(Clone)]
struct TestDatabase(Arc<Mutex<Connection>>);

/// The outbox of one process run; a killed process writes nothing more.
struct TestOutbox {
    database: TestDatabase,
    is_killed: Arc<Mutex<bool>>,
}

impl Outbox for TestOutbox {
    fn pending(&self, channel: &str) -> PendingItems {
        outbox::pending(&self.database.0.lock().unwrap(), channel)
            .expect("the database is readable")
    }

    fn record(&self, channel: &str, outcome: DeliveryOutcome) {
        if *self.is_killed.lock().unwrap() {
            return;
        }
        let mut database = self.database.0.lock().unwrap();
        let transaction = database.transaction().expect("it begins");
        outbox::record(&transaction, channel, &outcome).expect("it is written");
        transaction.commit().expect("it commits");
    }

    fn is_retry_requested(&self, _: &str) -> bool {
        false
    }
}

/// A channel that fails at random until `is_reliable`.
struct UnreliableChannel {
    random: Arc<Mutex<Random>>,
    is_reliable: Arc<Mutex<bool>>,
    is_killed: Arc<Mutex<bool>>,
    inbox: Inbox,
}

/// Message-ID and events of each mail, in the order of arrival.
type Inbox = Arc<Mutex<Vec<(String, Vec<AlertEvent>)>>>;

impl Channel for UnreliableChannel {
    fn name(&self) -> &str {
        "mail"
    }

    fn destination(&self) -> String {
        "mail.example:587".to_owned()
    }

    fn deliver(&self, batch: &DeliveryBatch<'_>, hooks: DeliveryHooks<'_>) -> Attempt {
        let retry_later = |why: &str| Attempt {
            retry: Some(why.to_owned()),
            ..Attempt::default()
        };
        let fault = if *self.is_reliable.lock().unwrap() {
            0
        } else {
            self.random.lock().unwrap().next() % 10
        };
        if fault >= 6 {
            return retry_later("connect: refused");
        }
        (hooks.before_data)().expect("the database is writable");
        if fault == 5 {
            return retry_later("DATA: the server answers 451");
        }
        if fault == 4 {
            // Killed after recording the attempt, before the first byte is sent.
            *self.is_killed.lock().unwrap() = true;
            return retry_later("killed");
        }
        let events = batch.items.iter().map(|item| item.event.clone());
        let mail = (batch.message_id.to_owned(), events.collect());
        self.inbox.lock().unwrap().push(mail);
        match fault {
            3 => retry_later("DATA: no answer"),
            2 => {
                // Killed after the server accepted it, before that is recorded.
                *self.is_killed.lock().unwrap() = true;
                Attempt::default()
            }
            _ => Attempt::default(),
        }
    }

    fn message_id_domain(&self) -> String {
        "example.org".to_owned()
    }

    fn config_fingerprint(&self) -> u16 {
        0
    }
}

struct Simulation {
    random: Random,
    database: TestDatabase,
    now: Moment,
    boot: u64,
    started: Mono,
    plan: Plan,
    health: Vec<SourceHealth>,
    down_until: [u64; SOURCES],
    state: AlertState,
    delivery: DeliveryWorker,
    is_killed: Arc<Mutex<bool>>,
    is_reliable: Arc<Mutex<bool>>,
    inbox: Inbox,
    committed: Vec<AlertEvent>,
}

fn source(plan: &Plan, index: usize, health: &SourceHealth) -> SourceSnapshot {
    SourceSnapshot {
        name: plan.sources[index].name.clone(),
        target: "".into(),
        summary: "".into(),
        description: "".into(),
        every: plan.sources[index].every,
        interval: plan.sources[index].every,
        attribution: None,
        keys: 0,
        omitted: 0,
        max_records: 256,
        conflict: None,
        health: health.clone(),
    }
}

impl Simulation {
    fn new(seed: u64) -> Simulation {
        let mut connection = Connection::open_in_memory().expect("memory is a database");
        schema::create(&mut connection).expect("the tables");
        let database = TestDatabase(Arc::new(Mutex::new(connection)));
        let now = Moment {
            mono: Mono(1_000_000),
            wall: Wall(1_762_027_200_000),
            trust: ClockTrust::Trusted,
        };
        let (is_reliable, inbox) = (Arc::default(), Inbox::default());
        let (delivery, is_killed) = deliver(&database, seed, &is_reliable, &inbox);
        Simulation {
            random: Random(seed),
            database,
            now,
            boot: 0,
            started: now.mono,
            plan: test_plan(SOURCES, Duration::from_secs(60)),
            health: vec![SourceHealth::default(); SOURCES],
            down_until: [0; SOURCES],
            state: AlertState::new("0"),
            delivery,
            is_killed,
            is_reliable,
            inbox,
            committed: Vec::new(),
        }
    }

    /// Simulates one minute.
    fn run_minute(&mut self, minute: u64) {
        let span = Duration::from_secs(60);
        self.now.mono = self.now.mono.after(span);
        self.now.wall = self.now.wall.after(span);
        if self.random.one_in(500) {
            // The wall clock jumps; its trust changes independently.
            let jump = (self.random.next() % 200_000_000) as i64 - 100_000_000;
            self.now.wall = Wall(self.now.wall.0 + jump);
        }
        if self.random.one_in(300) {
            self.now.trust = [
                ClockTrust::Trusted,
                ClockTrust::Untrusted,
                ClockTrust::Unknown,
            ][(self.random.next() % 3) as usize];
        }
        self.observe(minute);
        let (commit, is_news) = self.step();
        self.state = commit.state.clone();
        // A kill before the commit loses events that no message contains yet.
        let is_killed = self.random.one_in(200);
        if is_news && !is_killed {
            self.commit(commit);
        }
        if !is_killed {
            self.delivery.deliver_due(self.now);
        }
        if is_killed || *self.is_killed.lock().unwrap() {
            self.restart();
        }
    }

    fn observe(&mut self, minute: u64) {
        if self.random.one_in(400) {
            // Network outage.
            let until = minute + 1 + self.random.next() % 90;
            self.down_until = [until; SOURCES];
        }
        for index in 0..SOURCES {
            if self.random.one_in(150) {
                self.down_until[index] = minute + 1 + self.random.next() % 60;
            }
            let health = &mut self.health[index];
            health.attempts += 1;
            health.last_attempt = Some(self.now);
            if minute < self.down_until[index] {
                let cause = [Cause::Dns, Cause::HttpStatus][index % 2];
                health.failures_in_a_row += 1;
                health.successes_in_a_row = 0;
                health.failing_since.get_or_insert(self.now);
                health.last_failure = Some((self.now, Failure::new(cause, "why.")));
            } else {
                health.failures_in_a_row = 0;
                health.successes_in_a_row += 1;
                health.failing_since = None;
                health.last_success = Some(self.now);
            }
        }
    }

    fn step(&self) -> (AlertCommit, bool) {
        let mut snapshot = Snapshot::empty(self.now);
        let sources = self.health.iter().enumerate();
        snapshot.sources = sources.map(|(at, it)| source(&self.plan, at, it)).collect();
        let facts = AlertFacts {
            plan: &self.plan,
            snapshot: &snapshot,
            started: self.started,
            node: &NodeFacts::default(),
        };
        let step = step(&AlertRules::default(), &self.state, self.now, &facts);
        let is_news = step.changed || !step.events.is_empty();
        let commit = AlertCommit {
            state: step.state,
            events: step.events,
        };
        (commit, is_news)
    }

    /// What the store thread does with a commit.
    fn commit(&mut self, commit: AlertCommit) {
        let mut buffer = OutboxBuffer::default();
        self.committed.extend(commit.events.iter().cloned());
        buffer.add(commit, &outbox::tests::channels(&["mail"]), None);
        let mut database = self.database.0.lock().unwrap();
        buffer
            .flush(&mut database)
            .expect("the database is writable");
    }

    /// Restarts the process, in the same boot or after a reboot.
    fn restart(&mut self) {
        if self.random.one_in(2) {
            self.boot += 1;
            self.now.mono = Mono(20_000);
        }
        self.now.wall = self.now.wall.after(Duration::from_secs(30));
        self.started = self.now.mono;
        self.health = vec![SourceHealth::default(); SOURCES];
        let boot = self.boot.to_string();
        let stored = outbox::read_state(&self.database.0.lock().unwrap(), &boot).expect("it reads");
        self.state = match stored {
            Some(state) => state.resumed(&boot, self.now.mono),
            None => AlertState::new(&boot),
        };
        let seed = self.random.next();
        (self.delivery, self.is_killed) =
            deliver(&self.database, seed, &self.is_reliable, &self.inbox);
    }
}

fn deliver(
    database: &TestDatabase,
    seed: u64,
    is_reliable: &Arc<Mutex<bool>>,
    inbox: &Inbox,
) -> (DeliveryWorker, Arc<Mutex<bool>>) {
    let is_killed: Arc<Mutex<bool>> = Arc::default();
    let server = UnreliableChannel {
        random: Arc::new(Mutex::new(Random(seed | 1))),
        is_reliable: is_reliable.clone(),
        is_killed: is_killed.clone(),
        inbox: inbox.clone(),
    };
    let outbox = TestOutbox {
        database: database.clone(),
        is_killed: is_killed.clone(),
    };
    let clock = Arc::new(ManualClock::new(Moment {
        mono: Mono(0),
        wall: Wall(0),
        trust: ClockTrust::Unknown,
    }));
    let batch_delay = Duration::ZERO;
    let delivery = DeliveryWorker::new(
        Box::new(server),
        Box::new(outbox),
        clock,
        StopToken::default(),
        batch_delay,
    );
    (delivery, is_killed)
}

/// By incident and kind of event: the Message-IDs that contained it, and its first position (mail,
/// index within the mail).
type Arrivals = BTreeMap<(u64, &'static str), (BTreeSet<String>, (usize, usize))>;

fn arrivals(inbox: &Inbox) -> Arrivals {
    let mut arrivals = Arrivals::new();
    for (mail, (message_id, events)) in inbox.lock().unwrap().iter().enumerate() {
        for (at, event) in events.iter().enumerate() {
            let position = (mail, at);
            let kind = match event.kind {
                kind if kind.opens() => "start",
                kind if kind.closes() => "end",
                _ => continue,
            };
            let known = arrivals.entry((event.incident, kind));
            let known = known.or_insert_with(|| (BTreeSet::new(), position));
            known.0.insert(message_id.clone());
        }
    }
    arrivals
}

#[test]
fn each_start_and_end_of_500_random_incidents_is_sent_under_one_message_id() {
    let mut simulation = Simulation::new(0x5eed);
    let mut minute = 0;
    let begun = |simulation: &Simulation| {
        simulation
            .committed
            .iter()
            .filter(|it| it.kind.opens())
            .count()
    };
    while begun(&simulation) < 500 {
        minute += 1;
        assert!(minute < 200_000, "too few incidents");
        simulation.run_minute(minute);
    }
    // Then nothing fails until everything is delivered.
    *simulation.is_reliable.lock().unwrap() = true;
    simulation.now.trust = ClockTrust::Trusted;
    for _ in 0..400 {
        let span = Duration::from_secs(60);
        simulation.now.mono = simulation.now.mono.after(span);
        simulation.now.wall = simulation.now.wall.after(span);
        for health in &mut simulation.health {
            health.attempts += 1;
            health.failures_in_a_row = 0;
            health.successes_in_a_row += 1;
            health.failing_since = None;
            health.last_success = Some(simulation.now);
            health.last_attempt = Some(simulation.now);
        }
        let (commit, _) = simulation.step();
        simulation.state = commit.state.clone();
        simulation.commit(commit);
        while simulation.delivery.deliver_due(simulation.now).is_zero() {}
    }
    assert!(
        simulation.state.open().is_empty(),
        "{:?}",
        simulation.state.open()
    );
    let arrivals = arrivals(&simulation.inbox);
    let mut resends = 0;
    for event in &simulation.committed {
        if !event.kind.opens() {
            continue;
        }
        let start = arrivals.get(&(event.incident, "start"));
        let (ids, begun_at) = start.unwrap_or_else(|| panic!("{event:?} was never sent"));
        assert_eq!(ids.len(), 1, "{event:?} was sent under {ids:?}");
        let end = arrivals.get(&(event.incident, "end"));
        let (ids, ended_at) = end.unwrap_or_else(|| panic!("the end of {event:?} was not sent"));
        assert_eq!(ids.len(), 1, "the end of {event:?} was sent under {ids:?}");
        assert!(begun_at < ended_at, "{event:?} ended before it began");
    }
    // Events arrive in the order in which they happened.
    let positions = simulation.committed.iter().filter_map(|event| {
        let kind = match event.kind {
            kind if kind.opens() => "start",
            kind if kind.closes() => "end",
            _ => return None,
        };
        Some(arrivals[&(event.incident, kind)].1)
    });
    assert!(positions.is_sorted_by(|a, b| a < b), "not in order");
    // A resend contains the same events.
    let mut sent: BTreeMap<String, Vec<AlertEvent>> = BTreeMap::new();
    for (message_id, events) in simulation.inbox.lock().unwrap().iter() {
        if let Some(known) = sent.get(message_id) {
            assert_eq!(known, events);
            resends += 1;
        }
        sent.insert(message_id.clone(), events.clone());
    }
    assert!(resends > 20, "too few resends: {resends}");
    let left = outbox::pending(&simulation.database.0.lock().unwrap(), "mail").expect("it reads");
    assert_eq!(left, PendingItems::default());
}
