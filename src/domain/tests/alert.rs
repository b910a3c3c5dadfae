//! Alert state machine tests: scenarios over time, and the events they produce.

use super::*;
use crate::domain::alert_event::AlertEvent;
use crate::domain::alert_level::AlertLevel;
use crate::domain::battery::Battery;
use crate::domain::failure::{Cause, Failure};
use crate::domain::freshness::Stamp;
use crate::domain::health::SourceHealth;
use crate::domain::open_alert::ascii_line;
use crate::domain::plan::test_plan;
use crate::domain::reading::{Issue, Reason, Value};
use crate::domain::snapshot::{Record, SourceSnapshot};
use crate::domain::time::{ClockTrust, Moment, Wall};

/// A Saturday, 20:00 UTC.
const T0: i64 = 1_762_027_200_000;
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// Facts about a node, set by the test, and the alert state on a manual clock.
struct Fixture {
    rules: AlertRules,
    snapshot: Snapshot,
    node: NodeFacts,
    now: Moment,
    started: Mono,
    boot: String,
    state: AlertState,
    open: Vec<String>,
    changes_at: Option<Mono>,
    wants_probe: bool,
}

impl Fixture {
    fn of(sources: usize, every: u64) -> Fixture {
        let plan = test_plan(sources, Duration::from_secs(every));
        let now = Moment {
            mono: Mono(1_000_000),
            wall: Wall(T0),
            trust: ClockTrust::Trusted,
        };
        let mut snapshot = Snapshot::empty(now);
        snapshot.sources = plan
            .sources
            .iter()
            .map(|source| SourceSnapshot {
                name: source.name.clone(),
                target: "".into(),
                summary: "".into(),
                description: "".into(),
                every: source.every,
                interval: source.every,
                attribution: None,
                keys: 0,
                omitted: 0,
                max_records: 256,
                conflict: None,
                health: SourceHealth::default(),
            })
            .collect();
        Fixture {
            rules: AlertRules::default(),
            snapshot,
            node: NodeFacts::default(),
            now,
            started: now.mono,
            boot: "one".to_owned(),
            state: AlertState::new("one"),
            open: Vec::new(),
            changes_at: None,
            wants_probe: false,
        }
    }

    /// Runs one step and returns its events.
    fn step(&mut self) -> Vec<String> {
        self.snapshot.at = self.now;
        let facts = AlertFacts {
            plan: &Plan::default(),
            snapshot: &self.snapshot,
            started: self.started,
            node: &self.node,
        };
        let step = step(&self.rules, &self.state, self.now, &facts);
        self.state = step.state;
        self.changes_at = step.changes_at;
        self.wants_probe = step.wants_probe;
        self.open = step.open.iter().map(|it| it.name.to_string()).collect();
        let describe = |event: &AlertEvent| {
            format!("{} {} #{}", event.kind.name(), event.alert, event.incident)
        };
        step.events.iter().map(describe).collect()
    }

    fn advance(&mut self, seconds: u64) {
        let span = Duration::from_secs(seconds);
        self.now.mono = self.now.mono.after(span);
        self.now.wall = self.now.wall.after(span);
    }

    /// Runs steps at every interval with unchanged facts and returns their events.
    fn run_idle(&mut self, seconds: u64, every: u64) -> Vec<String> {
        let mut events = Vec::new();
        for _ in 0..seconds / every {
            self.advance(every);
            events.extend(self.step());
        }
        events
    }

    fn fails(&mut self, source: usize, cause: Cause) {
        let health = &mut self.snapshot.sources[source].health;
        health.attempts += 1;
        health.failures_in_a_row += 1;
        health.successes_in_a_row = 0;
        health.failing_since.get_or_insert(self.now);
        health.last_failure = Some((self.now, Failure::new(cause, "why.")));
        health.last_attempt = Some(self.now);
    }

    fn works(&mut self, source: usize) {
        let health = &mut self.snapshot.sources[source].health;
        health.attempts += 1;
        health.failures_in_a_row = 0;
        health.successes_in_a_row += 1;
        health.failing_since = None;
        health.last_success = Some(self.now);
        health.last_attempt = Some(self.now);
    }

    /// Applies `act` before each step and returns the events of all steps.
    fn run(&mut self, seconds: u64, every: u64, act: impl Fn(&mut Fixture)) -> Vec<String> {
        let mut events = Vec::new();
        for _ in 0..seconds / every {
            self.advance(every);
            act(self);
            events.extend(self.step());
        }
        events
    }

    fn record(&mut self, key: &str, value: f64, stale: bool) {
        self.snapshot.records.retain(|record| &*record.key != key);
        self.snapshot.records.push(Record {
            key: key.into(),
            value: Value::Number(value),
            unit: Some("°C".into()),
            stamp: Stamp::received(self.now, None),
            stale,
            stale_after: Duration::from_secs(60),
            sources: vec!["source0".into()],
            today: None,
            is_boolean: false,
        });
    }

    /// Restarts the process after `seconds`; another `boot` is a reboot.
    fn restart(&mut self, seconds: u64, boot: &str) {
        let text = serde_json::to_string(&self.state).expect("a state is JSON");
        self.advance(seconds);
        if boot != self.boot {
            self.now.mono = Mono(9_000);
            self.boot = boot.to_owned();
        }
        self.started = self.now.mono;
        let state: AlertState = serde_json::from_str(&text).expect("it reads back");
        self.state = state.resumed(boot, self.now.mono);
        for source in &mut self.snapshot.sources {
            source.health = SourceHealth::default();
        }
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_fast_source_triggers_after_two_minutes_of_failures_and_recovers_after_two_successes() {
    let mut fixture = Fixture::of(1, 10);
    fixture.works(0);
    assert_eq!(fixture.run(120, 10, |it| it.fails(0, Cause::Dns)), NOTHING);
    assert_eq!(
        fixture.run(10, 10, |it| it.fails(0, Cause::Dns)),
        ["trigger source:source0 #1"]
    );
    assert_eq!(fixture.run(HOUR, 10, |it| it.fails(0, Cause::Dns)), NOTHING);
    assert_eq!(fixture.run(10, 10, |it| it.works(0)), NOTHING);
    assert_eq!(fixture.open, ["source:source0"]);
    assert_eq!(
        fixture.run(10, 10, |it| it.works(0)),
        ["recovery source:source0 #1"]
    );
    assert_eq!(fixture.open, NOTHING);
}

#[test]
fn a_slow_source_triggers_only_after_three_intervals_without_success() {
    let mut fixture = Fixture::of(1, HOUR);
    let events = fixture.run(90 * 24 * HOUR, HOUR, |it| it.works(0));
    assert_eq!(events, NOTHING);
    // It alerts after three intervals without success.
    let events = fixture.run(3 * HOUR, HOUR, |it| it.fails(0, Cause::Timeout));
    assert_eq!(events, ["trigger source:source0 #1"]);
}

#[test]
fn four_failures_in_a_row_trigger_nothing() {
    let mut fixture = Fixture::of(1, 60);
    fixture.works(0);
    for _ in 0..50 {
        let events = fixture.run(4 * 60, 60, |it| it.fails(0, Cause::Connect));
        assert_eq!(events, NOTHING);
        assert_eq!(fixture.run(60, 60, |it| it.works(0)), NOTHING);
    }
}

#[test]
fn a_source_that_never_finishes_a_fetch_triggers_an_alert() {
    let mut fixture = Fixture::of(1, 60);
    fixture.step();
    assert_eq!(
        fixture.changes_at,
        Some(fixture.started.after(Duration::from_secs(900)))
    );
    assert_eq!(fixture.run_idle(899, 1), NOTHING);
    assert_eq!(fixture.run_idle(1, 1), ["trigger source:source0 #1"]);
}

#[test]
fn one_success_that_lasts_five_minutes_recovers_a_slow_source() {
    let mut fixture = Fixture::of(1, HOUR);
    fixture.works(0);
    fixture.run(4 * HOUR, HOUR, |it| it.fails(0, Cause::Dns));
    assert_eq!(fixture.open, ["source:source0"]);
    assert_eq!(fixture.run(60, 60, |it| it.works(0)), NOTHING);
    assert_eq!(fixture.run_idle(300, 60), ["recovery source:source0 #1"]);
}

#[test]
fn reminder_intervals_grow_up_to_a_week() {
    let mut fixture = Fixture::of(1, 60);
    let mut at = Vec::new();
    for minute in 0..30 * 24 * 60 {
        fixture.advance(60);
        fixture.fails(0, Cause::Dns);
        for event in fixture.step() {
            if event.starts_with("reminder") {
                at.push(minute / 60);
            }
        }
    }
    assert_eq!(at, [4, 12, 28, 60, 124, 252, 420, 588]);
}

#[test]
fn when_all_sources_fail_at_once_only_the_network_alert_is_sent() {
    let mut fixture = Fixture::of(3, 60);
    fixture.run(600, 60, |it| (0..3).for_each(|source| it.works(source)));
    let down = |it: &mut Fixture| {
        it.fails(0, Cause::Dns);
        it.fails(1, Cause::Connect);
        it.fails(2, Cause::Timeout);
    };
    assert_eq!(fixture.run(6 * 60, 60, down), ["trigger network #1"]);
    assert_eq!(fixture.run(2 * HOUR, 60, down), NOTHING);
    assert_eq!(fixture.open, ["network"]);
    // The network is back; a source that still fails is reported after its own delay.
    let events = fixture.run(2 * 60, 60, |it| {
        it.works(0);
        it.works(1);
    });
    assert_eq!(events, ["recovery network #1"]);
    let events = fixture.run(10 * 60, 60, |it| {
        it.works(0);
        it.works(1);
        it.fails(2, Cause::Timeout);
    });
    assert_eq!(events, ["trigger source:source2 #2"]);
}

/// A fast source and a slow one that work; then the fast one fails for two minutes.
fn fast_source_failing_beside_a_slow_one() -> Fixture {
    let mut fixture = Fixture::of(2, 10);
    fixture.snapshot.sources[1].every = Duration::from_secs(HOUR);
    fixture.snapshot.sources[1].interval = Duration::from_secs(HOUR);
    fixture.works(1);
    fixture.run(600, 10, |it| it.works(0));
    assert_eq!(fixture.run(120, 10, |it| it.fails(0, Cause::Dns)), NOTHING);
    assert!(!fixture.wants_probe, "two minutes are too short");
    assert_eq!(fixture.run(10, 10, |it| it.fails(0, Cause::Dns)), NOTHING);
    assert!(fixture.wants_probe);
    fixture
}

#[test]
fn a_fast_and_a_slow_source_without_network_cause_one_alert() {
    let mut fixture = fast_source_failing_beside_a_slow_one();
    fixture.fails(1, Cause::Timeout);
    assert_eq!(fixture.step(), ["trigger network #1"]);
    assert!(!fixture.wants_probe);
    let events = fixture.run(24 * HOUR, 10, |it| {
        it.fails(0, Cause::Dns);
        if it.now.mono.0 % 3_600_000 == 0 {
            it.fails(1, Cause::Timeout);
        }
    });
    assert!(
        events.iter().all(|it| it == "reminder network #1"),
        "{events:?}"
    );
    fixture.works(1);
    let events = fixture.run(70, 10, |it| it.works(0));
    assert_eq!(events, ["recovery network #1"]);
    assert_eq!(fixture.open, NOTHING);
}

#[test]
fn a_probe_that_succeeds_triggers_the_alert_of_the_failing_source() {
    let mut fixture = fast_source_failing_beside_a_slow_one();
    fixture.works(1);
    assert_eq!(fixture.step(), ["trigger source:source0 #1"]);
    assert!(!fixture.wants_probe);
}

#[test]
fn a_source_without_probe_results_triggers_after_its_own_silence_limit() {
    let mut fixture = fast_source_failing_beside_a_slow_one();
    let events = fixture.run(950 - 130, 10, |it| it.fails(0, Cause::Dns));
    assert_eq!(events, NOTHING);
    let events = fixture.run(10, 10, |it| it.fails(0, Cause::Dns));
    assert_eq!(events, ["trigger source:source0 #1"]);
    assert_eq!(fixture.step(), NOTHING);
    assert!(!fixture.wants_probe);
}

#[test]
fn an_http_error_triggers_without_probing_other_sources() {
    let mut fixture = Fixture::of(2, 10);
    fixture.snapshot.sources[1].every = Duration::from_secs(HOUR);
    fixture.snapshot.sources[1].interval = Duration::from_secs(HOUR);
    fixture.works(1);
    let events = fixture.run(130, 10, |it| it.fails(0, Cause::HttpStatus));
    assert_eq!(events, ["trigger source:source0 #1"]);
}

#[test]
fn one_source_that_responds_rules_out_a_network_outage() {
    let mut fixture = Fixture::of(3, 60);
    fixture.run(600, 60, |it| (0..3).for_each(|source| it.works(source)));
    let events = fixture.run(600, 60, |it| {
        it.fails(0, Cause::Dns);
        it.fails(1, Cause::Connect);
        it.works(2);
    });
    assert_eq!(
        events,
        ["trigger source:source0 #1", "trigger source:source1 #2"]
    );
}

#[test]
fn flapping_sends_one_event_and_one_recovery_after_the_cooldown() {
    let mut fixture = Fixture::of(1, 10);
    let mut events = Vec::new();
    for _ in 0..10 {
        events.extend(fixture.run(5 * 60, 10, |it| it.fails(0, Cause::Dns)));
        events.extend(fixture.run(5 * 60, 10, |it| it.works(0)));
    }
    assert_eq!(
        events,
        [
            "trigger source:source0 #1",
            "recovery source:source0 #1",
            "trigger source:source0 #2",
            "recovery source:source0 #2",
            "flapping source:source0 #3",
        ]
    );
    assert_eq!(fixture.open, ["source:source0"]);
    assert_eq!(
        fixture.run(HOUR, 10, |it| it.works(0)),
        ["recovery source:source0 #3"]
    );
    // The next outage is a new incident.
    assert_eq!(
        fixture.run(5 * 60, 10, |it| it.fails(0, Cause::Dns)),
        ["trigger source:source0 #4"]
    );
}

#[test]
fn a_restart_repeats_no_event_and_keeps_open_alerts_and_their_start() {
    for (pause, boot) in [(5, "one"), (5, "two"), (8 * HOUR, "two")] {
        let mut fixture = Fixture::of(1, 10);
        fixture.works(0);
        let events = fixture.run(5 * 60, 10, |it| it.fails(0, Cause::Dns));
        assert_eq!(events, ["trigger source:source0 #1"]);
        let since = fixture.state.open()[0].since;
        fixture.restart(pause, boot);
        assert_eq!(
            fixture.state.open()[0].since,
            since,
            "before the first step"
        );
        assert_eq!(fixture.step(), NOTHING);
        assert_eq!(
            fixture.open,
            ["source:source0"],
            "open at once, {pause} {boot}"
        );
        let events = fixture.run(5 * 60, 10, |it| it.fails(0, Cause::Dns));
        assert_eq!(events, NOTHING);
        assert_eq!(fixture.state.open()[0].since, since);
        let events = fixture.run(60, 10, |it| it.works(0));
        assert_eq!(events, ["recovery source:source0 #1"]);
    }
}

#[test]
fn a_node_that_restarts_repeatedly_still_triggers() {
    let mut fixture = Fixture::of(1, 60);
    let mut events = Vec::new();
    for round in 0..6 {
        events.extend(fixture.run(4 * 60, 60, |it| it.fails(0, Cause::Dns)));
        fixture.restart(5, ["one", "two"][round % 2]);
    }
    assert_eq!(events, ["trigger source:source0 #1"]);
}

#[test]
fn downtime_of_the_node_does_not_count_as_an_outage() {
    let mut fixture = Fixture::of(1, 60);
    fixture.works(0);
    fixture.run(2 * 60, 60, |it| it.fails(0, Cause::Dns));
    fixture.restart(5 * HOUR, "two");
    assert_eq!(fixture.run(60, 60, |it| it.fails(0, Cause::Dns)), NOTHING);
    assert_eq!(fixture.run(60, 60, |it| it.works(0)), NOTHING);
}

#[test]
fn wall_clock_jumps_trigger_mute_and_repeat_nothing() {
    for jump in [
        -20 * 365 * 24 * HOUR as i64,
        -90,
        90,
        3 * HOUR as i64,
        50 * 365 * 24 * HOUR as i64,
    ] {
        let mut fixture = Fixture::of(1, 10);
        // 22:00 to 23:00 of the Saturday that the jumps of three hours lead into.
        fixture.rules.mute = vec![TimeWindow::parse("Sat 22:00-23:30").expect("a window")];
        fixture.run(600, 10, |it| it.works(0));
        fixture.now.wall = Wall(fixture.now.wall.0 + jump * 1000);
        assert_eq!(fixture.run(600, 10, |it| it.works(0)), NOTHING, "{jump}");
        let events = fixture.run(140, 10, |it| it.fails(0, Cause::Dns));
        assert_eq!(events, ["trigger source:source0 #1"], "{jump}");
        fixture.now.wall = Wall(fixture.now.wall.0 - jump * 1000);
        assert_eq!(
            fixture.run(600, 10, |it| it.fails(0, Cause::Dns)),
            NOTHING,
            "{jump}"
        );
        assert_eq!(
            fixture.run(20, 10, |it| it.works(0)),
            ["recovery source:source0 #1"],
            "{jump}"
        );
    }
}

#[test]
fn the_start_of_an_incident_is_corrected_once_the_clock_is_trusted() {
    let mut fixture = Fixture::of(1, 10);
    fixture.now.trust = ClockTrust::Untrusted;
    fixture.now.wall = Wall(0);
    fixture.works(0);
    fixture.run(200, 10, |it| it.fails(0, Cause::Dns));
    assert!(!fixture.state.open()[0].since_is_trusted);
    fixture.now.wall = Wall(T0);
    fixture.now.trust = ClockTrust::Trusted;
    fixture.step();
    let open = &fixture.state.open()[0];
    assert!(open.since_is_trusted);
    assert_eq!(open.since, Wall(T0 - 190_000));
}

#[test]
fn a_mute_window_delays_alerts_that_outlast_it_and_drops_the_others() {
    let mut fixture = Fixture::of(1, 60);
    // It is 20:00; the window is from 20:05 to 21:00.
    fixture.rules.mute = vec![TimeWindow::parse("Sat 20:05-21:00").expect("a window")];
    fixture.run(5 * 60, 60, |it| it.works(0));
    assert_eq!(
        fixture.run(20 * 60, 60, |it| it.fails(0, Cause::Connect)),
        NOTHING
    );
    assert_eq!(fixture.run(60, 60, |it| it.works(0)), NOTHING);
    assert_eq!(
        fixture.run(33 * 60, 60, |it| it.fails(0, Cause::Connect)),
        NOTHING
    );
    assert_eq!(fixture.open, NOTHING);
    assert_eq!(
        fixture.run(60, 60, |it| it.fails(0, Cause::Connect)),
        ["trigger source:source0 #1"]
    );
}

#[test]
fn a_value_triggers_after_being_out_of_range_for_the_whole_hold_time() {
    let mut fixture = Fixture::of(1, 60);
    fixture.rules.values = vec![ValueRule {
        key: "t".into(),
        above: Some(30.0),
        below: None,
        hysteresis: 1.0,
        hold: Duration::from_secs(600),
        level: AlertLevel::default(),
    }];
    let mut at = |value: f64, minutes: u64| {
        fixture.run(minutes * MINUTE, MINUTE, |it| {
            it.works(0);
            it.record("t", value, false);
        })
    };
    assert_eq!(at(29.9, 60), NOTHING);
    assert_eq!(at(30.1, 10), NOTHING, "not for long enough");
    assert_eq!(at(30.0, 1), NOTHING, "and then it was not above");
    assert_eq!(at(30.1, 10), NOTHING, "so it begins again");
    assert_eq!(at(30.1, 1), ["trigger value:t>30 #1"]);
}

#[test]
fn a_value_recovers_beyond_its_hysteresis_and_not_while_stale() {
    let mut fixture = Fixture::of(1, 60);
    fixture.rules.values = vec![ValueRule {
        key: "t".into(),
        above: Some(30.0),
        below: Some(5.0),
        hysteresis: 1.0,
        hold: Duration::from_secs(600),
        level: AlertLevel::default(),
    }];
    let at = |fixture: &mut Fixture, value: f64, stale: bool, minutes: u64| {
        fixture.run(minutes * MINUTE, MINUTE, |it| {
            it.works(0);
            it.record("t", value, stale);
        })
    };
    assert_eq!(
        at(&mut fixture, 31.0, false, 11),
        ["trigger value:t<5|>30 #1"]
    );
    assert_eq!(
        at(&mut fixture, 29.5, false, 60),
        NOTHING,
        "within the hysteresis"
    );
    assert_eq!(
        at(&mut fixture, 20.0, true, 60),
        NOTHING,
        "stale proves nothing"
    );
    assert_eq!(fixture.open, ["value:t<5|>30"]);
    assert_eq!(
        at(&mut fixture, 28.9, false, 2),
        ["recovery value:t<5|>30 #1"]
    );
    assert_eq!(
        at(&mut fixture, 4.9, false, 11),
        ["trigger value:t<5|>30 #2"]
    );
}

fn hall(battery: Option<f64>) -> DisplayFacts {
    DisplayFacts {
        name: "hall".into(),
        silence: Duration::from_secs(3),
        is_seen: true,
        battery: battery.and_then(Battery::of_volts),
    }
}

#[test]
fn a_low_battery_alerts_once_while_it_wavers_at_the_limit() {
    let mut fixture = Fixture::of(1, 60);
    fixture.rules.displays = vec![DisplayRule {
        name: "hall".into(),
        silent_for: None,
        battery_below: Battery::parse("25%"),
        level: AlertLevel::default(),
    }];
    let mut run = |battery: Option<f64>| {
        fixture.node.displays = battery.map(|volts| hall(Some(volts))).into_iter().collect();
        fixture.run(2 * 60, 60, |it| it.works(0))
    };
    assert_eq!(run(None), [""; 0], "not seen yet");
    assert_eq!(run(Some(3.5)), [""; 0], "25 % is the limit");
    assert_eq!(run(Some(3.49)), ["trigger battery:hall #1"]);
    for volts in [3.5, 3.49, 3.53, 3.4] {
        assert_eq!(run(Some(volts)), [""; 0], "{volts} V");
    }
    assert_eq!(run(None), [""; 0], "a restart decides nothing");
    assert_eq!(run(Some(3.54)), ["recovery battery:hall #1"]);
    let texts = fixture.state.entries.get("battery:hall");
    assert!(texts.is_none_or(|entry| !entry.phase.is_open()));
}

#[test]
fn storage_clock_display_and_delivery_alerts_trigger_and_recover() {
    let mut fixture = Fixture::of(1, 60);
    fixture.rules.displays = vec![DisplayRule {
        name: "hall".into(),
        silent_for: Some(Duration::from_secs(HOUR)),
        battery_below: None,
        level: AlertLevel::default(),
    }];
    let works = |it: &mut Fixture| it.works(0);
    fixture.node.storage = Some("the card is read-only.".to_owned());
    assert_eq!(fixture.run(4 * 60, 60, works), ["trigger storage #1"]);
    let level = fixture.state.entries["storage"].level;
    assert_eq!(level, AlertLevel::Critical);
    fixture.node.storage = None;
    assert_eq!(fixture.run(2 * 60, 60, works), ["recovery storage #1"]);
    fixture.now.trust = ClockTrust::Untrusted;
    assert_eq!(fixture.run(HOUR, 60, works), ["trigger display:hall #2"]);
    assert_eq!(fixture.run(10 * 60, 60, works), ["trigger clock #3"]);
    fixture.now.trust = ClockTrust::Trusted;
    fixture.node.displays = vec![hall(None)];
    assert_eq!(
        fixture.run(2 * 60, 60, works),
        ["recovery clock #3", "recovery display:hall #2"]
    );
    let mail = |failure| ChannelFacts {
        name: "mail".into(),
        carries_own_failure: false,
        failure,
    };
    let failure = DeliveryFailure {
        since: fixture.now.mono,
        why: "AUTH: refused.".to_owned(),
    };
    fixture.node.channels = vec![mail(Some(failure))];
    assert_eq!(fixture.run(10 * 60, 60, works), ["trigger mail #4"]);
    fixture.node.channels = vec![mail(None)];
    assert_eq!(fixture.run(60, 60, works), ["recovery mail #4"]);
}

#[test]
fn a_damaged_database_triggers_once_and_recovers_an_hour_after_salvage() {
    let mut fixture = Fixture::of(1, 60);
    let works = |it: &mut Fixture| it.works(0);
    fixture.run(600, 60, works);
    let salvaged = |since: Mono, is_complete: bool| {
        Some(Salvaged {
            since,
            quarantine_path: "/data/node.db.damaged-20251101".to_owned(),
            is_complete,
        })
    };
    let since = fixture.now.mono;
    fixture.node.salvage = salvaged(since, false);
    assert_eq!(fixture.step(), ["trigger database #1"]);
    let message = &fixture.state.open()[0].message;
    assert!(
        message.contains("/data/node.db.damaged-20251101"),
        "{message}"
    );
    assert_eq!(
        fixture.run(2 * HOUR, 60, works),
        NOTHING,
        "the salvage still runs"
    );
    // After a restart the salvage is reported again only once it has resumed.
    fixture.node.salvage = None;
    fixture.restart(5, "two");
    assert_eq!(fixture.step(), NOTHING);
    let since = fixture.now.mono;
    fixture.node.salvage = salvaged(since, true);
    assert_eq!(fixture.run(HOUR - 60, 60, works), NOTHING);
    assert_eq!(fixture.run(3 * 60, 60, works), ["recovery database #1"]);
    assert_eq!(fixture.run(24 * HOUR, 60, works), NOTHING);
}

#[test]
fn an_out_of_range_value_is_not_listed_as_last_good() {
    let mut fixture = Fixture::of(1, 10);
    fixture.rules.values = vec![ValueRule {
        key: "t".into(),
        above: Some(30.0),
        below: None,
        hysteresis: 0.0,
        hold: Duration::ZERO,
        level: AlertLevel::default(),
    }];
    fixture.record("t", 31.0, false);
    let facts = AlertFacts {
        plan: &Plan::default(),
        snapshot: &fixture.snapshot,
        started: fixture.started,
        node: &fixture.node,
    };
    let step = step(&fixture.rules, &fixture.state, fixture.now, &facts);
    assert_eq!(step.events.len(), 1);
    assert_eq!(step.events[0].text.cause, "it is 31 °C");
    assert_eq!(step.events[0].last_good, []);
}

#[test]
fn a_value_recovers_after_three_good_readings_or_one_that_lasts_five_minutes() {
    let readings = |every: u64| {
        let mut fixture = Fixture::of(1, 10);
        fixture.rules.recover_after = 3;
        fixture.rules.values = vec![ValueRule {
            key: "t".into(),
            above: Some(30.0),
            below: None,
            hysteresis: 0.0,
            hold: Duration::ZERO,
            level: AlertLevel::default(),
        }];
        fixture.record("t", 31.0, false);
        assert_eq!(fixture.step(), ["trigger value:t>30 #1"]);
        fixture.advance(every);
        fixture.record("t", 20.0, false);
        fixture.step();
        let began = fixture.now.mono;
        // Steps without a new reading do not count.
        for second in 1..1_000 {
            fixture.advance(1);
            if second % every == 0 {
                fixture.record("t", 20.0, false);
            }
            if !fixture.step().is_empty() {
                return fixture.now.mono.since(began).as_secs();
            }
        }
        panic!("it is good again");
    };
    assert_eq!(readings(10), 20, "the third reading");
    assert_eq!(readings(900), 300, "one that holds");
}

#[test]
fn schema_drift_triggers_after_fifteen_minutes() {
    let mut fixture = Fixture::of(1, 60);
    let drifts = |it: &mut Fixture| {
        it.works(0);
        it.snapshot.sources[0].health.issues = vec![Issue {
            reason: Reason::WrongType,
            key: None,
            pointer: "/t".to_owned(),
            expected: "a number".to_owned(),
            found: "a text".to_owned(),
        }];
    };
    assert_eq!(fixture.run(15 * 60, 60, drifts), NOTHING);
    assert_eq!(fixture.run(60, 60, drifts), ["trigger schema:source0 #1"]);
}

#[test]
fn the_alert_of_a_removed_source_is_closed_with_an_event() {
    let mut fixture = Fixture::of(2, 60);
    fixture.run(10 * 60, 60, |it| {
        it.fails(0, Cause::HttpStatus);
        it.works(1);
    });
    assert_eq!(fixture.open, ["source:source0"]);
    fixture.snapshot.sources.remove(0);
    assert_eq!(fixture.step(), ["unwatched source:source0 #1"]);
    assert_eq!(fixture.open, NOTHING);
}

#[test]
fn the_alert_line_for_displays_is_short_ascii() {
    let short = ascii_line("Außentemperatur-Fühler am Nordhaus: no data");
    assert_eq!(short, "Au?entemperatur-F?hler am Nordha");
}

/// A year of random outages: a bounded number of events, and every trigger has its recovery.
#[test]
fn every_incident_of_a_simulated_year_ends() {
    let mut fixture = Fixture::of(4, 15 * MINUTE);
    let mut seed: u64 = 42;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut down_until = [0u64; 4];
    let mut open: BTreeMap<String, u64> = BTreeMap::new();
    let mut event_count = 0;
    for quarter in 0..365 * 24 * 4u64 {
        fixture.advance(15 * MINUTE);
        for (source, down_until) in down_until.iter_mut().enumerate() {
            if random() % 1000 == 0 {
                *down_until = quarter + 1 + random() % 60;
            }
            if quarter < *down_until {
                fixture.fails(source, Cause::Timeout);
            } else {
                fixture.works(source);
            }
        }
        for event in fixture.step() {
            event_count += 1;
            let fields: Vec<&str> = event.split(' ').collect();
            let incident: u64 = fields[2][1..].parse().expect("a number");
            match fields[0] {
                "trigger" | "flapping" => {
                    assert_eq!(open.insert(fields[1].to_owned(), incident), None, "{event}");
                }
                "recovery" => {
                    assert_eq!(open.remove(fields[1]), Some(incident), "{event}");
                }
                _ => assert_eq!(open.get(fields[1]), Some(&incident), "{event}"),
            }
        }
    }
    let silent = fixture.run(2 * HOUR, 15 * MINUTE, |it| {
        (0..4).for_each(|at| it.works(at));
    });
    assert_eq!(open.len(), silent.len());
    assert!((50..1500).contains(&event_count), "{event_count}");
}
