//! Stories: what happens, and what people are told of it.

use super::*;
use crate::domain::alert_event::AlertEvent;
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

/// A node of which a story says how its parts are doing; time passes only when it is told.
struct Story {
    rules: AlertRules,
    snapshot: Snapshot,
    node: NodeFacts,
    now: Moment,
    started: Mono,
    boot: String,
    state: AlertState,
    open: Vec<String>,
    changes_at: Option<Mono>,
    asks_others: bool,
}

impl Story {
    fn of(sources: usize, every: u64) -> Story {
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
                conflict: None,
                health: SourceHealth::default(),
            })
            .collect();
        Story {
            rules: AlertRules::default(),
            snapshot,
            node: NodeFacts::default(),
            now,
            started: now.mono,
            boot: "one".to_owned(),
            state: AlertState::new("one"),
            open: Vec::new(),
            changes_at: None,
            asks_others: false,
        }
    }

    /// Looks once; what is told now.
    fn look(&mut self) -> Vec<String> {
        self.snapshot.at = self.now;
        let facts = AlertFacts {
            snapshot: &self.snapshot,
            started: self.started,
            node: &self.node,
        };
        let step = step(&self.rules, &self.state, self.now, &facts);
        self.state = step.state;
        self.changes_at = step.changes_at;
        self.asks_others = step.wants_probe;
        self.open = step.open.iter().map(|it| it.name.to_string()).collect();
        let tell = |event: &AlertEvent| {
            format!("{} {} #{}", event.kind.name(), event.alert, event.incident)
        };
        step.events.iter().map(tell).collect()
    }

    fn pass(&mut self, seconds: u64) {
        let span = Duration::from_secs(seconds);
        self.now.mono = self.now.mono.after(span);
        self.now.wall = self.now.wall.after(span);
    }

    /// Looks as often as `every`, for so long; what is told meanwhile.
    fn watch(&mut self, seconds: u64, every: u64) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..seconds / every {
            self.pass(every);
            told.extend(self.look());
        }
        told
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

    /// All sources do the same at each interval, for so long.
    fn go_on(&mut self, seconds: u64, every: u64, act: impl Fn(&mut Story)) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..seconds / every {
            self.pass(every);
            act(self);
            told.extend(self.look());
        }
        told
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
        });
    }

    /// The process ends and begins again, after so long.
    fn restart(&mut self, seconds: u64, boot: &str) {
        let text = serde_json::to_string(&self.state).expect("a state is JSON");
        self.pass(seconds);
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
fn a_fast_source_alarms_after_a_streak_of_two_minutes_and_recovers_after_two_successes() {
    let mut story = Story::of(1, 10);
    story.works(0);
    assert_eq!(story.go_on(120, 10, |it| it.fails(0, Cause::Dns)), NOTHING);
    assert_eq!(
        story.go_on(10, 10, |it| it.fails(0, Cause::Dns)),
        ["trigger source:source0 #1"]
    );
    assert_eq!(story.go_on(HOUR, 10, |it| it.fails(0, Cause::Dns)), NOTHING);
    assert_eq!(story.go_on(10, 10, |it| it.works(0)), NOTHING);
    assert_eq!(story.open, ["source:source0"]);
    assert_eq!(
        story.go_on(10, 10, |it| it.works(0)),
        ["recovery source:source0 #1"]
    );
    assert_eq!(story.open, NOTHING);
}

#[test]
fn a_slow_source_never_alarms_by_itself() {
    let mut story = Story::of(1, HOUR);
    let told = story.go_on(90 * 24 * HOUR, HOUR, |it| it.works(0));
    assert_eq!(told, NOTHING);
    // Three intervals without success are its patience.
    let told = story.go_on(3 * HOUR, HOUR, |it| it.fails(0, Cause::Timeout));
    assert_eq!(told, ["trigger source:source0 #1"]);
}

#[test]
fn four_failures_or_a_short_streak_are_not_news() {
    let mut story = Story::of(1, 60);
    story.works(0);
    for _ in 0..50 {
        let told = story.go_on(4 * 60, 60, |it| it.fails(0, Cause::Connect));
        assert_eq!(told, NOTHING);
        assert_eq!(story.go_on(60, 60, |it| it.works(0)), NOTHING);
    }
}

#[test]
fn silence_alarms_even_if_no_fetch_ever_ended() {
    let mut story = Story::of(1, 60);
    story.look();
    assert_eq!(
        story.changes_at,
        Some(story.started.after(Duration::from_secs(900)))
    );
    assert_eq!(story.watch(899, 1), NOTHING);
    assert_eq!(story.watch(1, 1), ["trigger source:source0 #1"]);
}

#[test]
fn one_success_that_holds_ends_the_alert_of_a_slow_source() {
    let mut story = Story::of(1, HOUR);
    story.works(0);
    story.go_on(4 * HOUR, HOUR, |it| it.fails(0, Cause::Dns));
    assert_eq!(story.open, ["source:source0"]);
    assert_eq!(story.go_on(60, 60, |it| it.works(0)), NOTHING);
    assert_eq!(story.watch(300, 60), ["recovery source:source0 #1"]);
}

#[test]
fn reminders_come_at_widening_intervals() {
    let mut story = Story::of(1, 60);
    let mut at = Vec::new();
    for minute in 0..30 * 24 * 60 {
        story.pass(60);
        story.fails(0, Cause::Dns);
        for told in story.look() {
            if told.starts_with("reminder") {
                at.push(minute / 60);
            }
        }
    }
    assert_eq!(at, [4, 12, 28, 60, 124, 252, 420, 588]);
}

#[test]
fn when_everything_fails_at_once_there_is_one_alert_about_our_network() {
    let mut story = Story::of(3, 60);
    story.go_on(600, 60, |it| (0..3).for_each(|source| it.works(source)));
    let down = |it: &mut Story| {
        it.fails(0, Cause::Dns);
        it.fails(1, Cause::Connect);
        it.fails(2, Cause::Timeout);
    };
    assert_eq!(story.go_on(6 * 60, 60, down), ["trigger network #1"]);
    assert_eq!(story.go_on(2 * HOUR, 60, down), NOTHING);
    assert_eq!(story.open, ["network"]);
    // It is back; a source that stays silent is reported in its own time, not at once.
    let told = story.go_on(2 * 60, 60, |it| {
        it.works(0);
        it.works(1);
    });
    assert_eq!(told, ["recovery network #1"]);
    let told = story.go_on(10 * 60, 60, |it| {
        it.works(0);
        it.works(1);
        it.fails(2, Cause::Timeout);
    });
    assert_eq!(told, ["trigger source:source2 #2"]);
}

/// A fast source and a slow one, both well; the fast one then fails for two minutes.
fn a_fast_source_fails_beside_a_slow_one() -> Story {
    let mut story = Story::of(2, 10);
    story.snapshot.sources[1].every = Duration::from_secs(HOUR);
    story.snapshot.sources[1].interval = Duration::from_secs(HOUR);
    story.works(1);
    story.go_on(600, 10, |it| it.works(0));
    assert_eq!(story.go_on(120, 10, |it| it.fails(0, Cause::Dns)), NOTHING);
    assert!(!story.asks_others, "two minutes are nobody's business");
    assert_eq!(story.go_on(10, 10, |it| it.fails(0, Cause::Dns)), NOTHING);
    assert!(story.asks_others);
    story
}

#[test]
fn a_fast_and_a_slow_source_on_a_dead_network_are_one_alert() {
    let mut story = a_fast_source_fails_beside_a_slow_one();
    story.fails(1, Cause::Timeout);
    assert_eq!(story.look(), ["trigger network #1"]);
    assert!(!story.asks_others);
    let told = story.go_on(24 * HOUR, 10, |it| {
        it.fails(0, Cause::Dns);
        if it.now.mono.0 % 3_600_000 == 0 {
            it.fails(1, Cause::Timeout);
        }
    });
    assert!(
        told.iter().all(|it| it == "reminder network #1"),
        "{told:?}"
    );
    story.works(1);
    let told = story.go_on(70, 10, |it| it.works(0));
    assert_eq!(told, ["recovery network #1"]);
    assert_eq!(story.open, NOTHING);
}

#[test]
fn a_slow_source_that_answers_shows_that_the_fast_one_fails_alone() {
    let mut story = a_fast_source_fails_beside_a_slow_one();
    story.works(1);
    assert_eq!(story.look(), ["trigger source:source0 #1"]);
    assert!(!story.asks_others);
}

#[test]
fn a_source_waits_for_the_word_of_others_no_longer_than_its_silence_may_last() {
    let mut story = a_fast_source_fails_beside_a_slow_one();
    let told = story.go_on(950 - 130, 10, |it| it.fails(0, Cause::Dns));
    assert_eq!(told, NOTHING);
    let told = story.go_on(10, 10, |it| it.fails(0, Cause::Dns));
    assert_eq!(told, ["trigger source:source0 #1"]);
    assert_eq!(story.look(), NOTHING);
    assert!(!story.asks_others);
}

#[test]
fn what_a_server_answers_is_told_without_the_word_of_others() {
    let mut story = Story::of(2, 10);
    story.snapshot.sources[1].every = Duration::from_secs(HOUR);
    story.snapshot.sources[1].interval = Duration::from_secs(HOUR);
    story.works(1);
    let told = story.go_on(130, 10, |it| it.fails(0, Cause::HttpStatus));
    assert_eq!(told, ["trigger source:source0 #1"]);
}

#[test]
fn a_source_that_answers_shows_that_it_is_not_the_network() {
    let mut story = Story::of(3, 60);
    story.go_on(600, 60, |it| (0..3).for_each(|source| it.works(source)));
    let told = story.go_on(600, 60, |it| {
        it.fails(0, Cause::Dns);
        it.fails(1, Cause::Connect);
        it.works(2);
    });
    assert_eq!(
        told,
        ["trigger source:source0 #1", "trigger source:source1 #2"]
    );
}

#[test]
fn a_source_that_flaps_makes_one_mail_and_one_when_it_is_calm() {
    let mut story = Story::of(1, 10);
    let mut told = Vec::new();
    for _ in 0..10 {
        told.extend(story.go_on(5 * 60, 10, |it| it.fails(0, Cause::Dns)));
        told.extend(story.go_on(5 * 60, 10, |it| it.works(0)));
    }
    assert_eq!(
        told,
        [
            "trigger source:source0 #1",
            "recovery source:source0 #1",
            "trigger source:source0 #2",
            "recovery source:source0 #2",
            "flapping source:source0 #3",
        ]
    );
    assert_eq!(story.open, ["source:source0"]);
    assert_eq!(
        story.go_on(HOUR, 10, |it| it.works(0)),
        ["recovery source:source0 #3"]
    );
    // A new story begins after it.
    assert_eq!(
        story.go_on(5 * 60, 10, |it| it.fails(0, Cause::Dns)),
        ["trigger source:source0 #4"]
    );
}

#[test]
fn a_restart_repeats_nothing_forgets_nothing_and_keeps_since() {
    for (pause, boot) in [(5, "one"), (5, "two"), (8 * HOUR, "two")] {
        let mut story = Story::of(1, 10);
        story.works(0);
        let told = story.go_on(5 * 60, 10, |it| it.fails(0, Cause::Dns));
        assert_eq!(told, ["trigger source:source0 #1"]);
        let since = story.state.open()[0].since;
        story.restart(pause, boot);
        assert_eq!(story.state.open()[0].since, since, "before the first look");
        assert_eq!(story.look(), NOTHING);
        assert_eq!(
            story.open,
            ["source:source0"],
            "open at once, {pause} {boot}"
        );
        let told = story.go_on(5 * 60, 10, |it| it.fails(0, Cause::Dns));
        assert_eq!(told, NOTHING);
        assert_eq!(story.state.open()[0].since, since);
        let told = story.go_on(60, 10, |it| it.works(0));
        assert_eq!(told, ["recovery source:source0 #1"]);
    }
}

#[test]
fn a_node_that_restarts_again_and_again_still_tells() {
    let mut story = Story::of(1, 60);
    let mut told = Vec::new();
    for round in 0..6 {
        told.extend(story.go_on(4 * 60, 60, |it| it.fails(0, Cause::Dns)));
        story.restart(5, ["one", "two"][round % 2]);
    }
    assert_eq!(told, ["trigger source:source0 #1"]);
}

#[test]
fn time_in_which_the_node_was_off_is_nobodys_outage() {
    let mut story = Story::of(1, 60);
    story.works(0);
    story.go_on(2 * 60, 60, |it| it.fails(0, Cause::Dns));
    story.restart(5 * HOUR, "two");
    assert_eq!(story.go_on(60, 60, |it| it.fails(0, Cause::Dns)), NOTHING);
    assert_eq!(story.go_on(60, 60, |it| it.works(0)), NOTHING);
}

#[test]
fn a_clock_that_jumps_fires_mutes_and_repeats_nothing() {
    for jump in [
        -20 * 365 * 24 * HOUR as i64,
        -90,
        90,
        3 * HOUR as i64,
        50 * 365 * 24 * HOUR as i64,
    ] {
        let mut story = Story::of(1, 10);
        // 22:00 to 23:00 of the Saturday that the jumps of three hours lead into.
        story.rules.mute = vec![MuteWindow::parse("Sat 22:00-23:30").expect("a window")];
        story.go_on(600, 10, |it| it.works(0));
        story.now.wall = Wall(story.now.wall.0 + jump * 1000);
        assert_eq!(story.go_on(600, 10, |it| it.works(0)), NOTHING, "{jump}");
        let told = story.go_on(140, 10, |it| it.fails(0, Cause::Dns));
        assert_eq!(told, ["trigger source:source0 #1"], "{jump}");
        story.now.wall = Wall(story.now.wall.0 - jump * 1000);
        assert_eq!(
            story.go_on(600, 10, |it| it.fails(0, Cause::Dns)),
            NOTHING,
            "{jump}"
        );
        assert_eq!(
            story.go_on(20, 10, |it| it.works(0)),
            ["recovery source:source0 #1"],
            "{jump}"
        );
    }
}

#[test]
fn an_incident_before_the_clock_is_set_gets_its_true_beginning_when_it_is() {
    let mut story = Story::of(1, 10);
    story.now.trust = ClockTrust::Untrusted;
    story.now.wall = Wall(0);
    story.works(0);
    story.go_on(200, 10, |it| it.fails(0, Cause::Dns));
    assert!(!story.state.open()[0].since_is_trusted);
    story.now.wall = Wall(T0);
    story.now.trust = ClockTrust::Trusted;
    story.look();
    let open = &story.state.open()[0];
    assert!(open.since_is_trusted);
    assert_eq!(open.since, Wall(T0 - 190_000));
}

#[test]
fn in_a_window_of_maintenance_nothing_is_told_and_what_lasts_is_told_after_it() {
    let mut story = Story::of(1, 60);
    // It is 20:00; the window is from 20:05 to 21:00.
    story.rules.mute = vec![MuteWindow::parse("Sat 20:05-21:00").expect("a window")];
    story.go_on(5 * 60, 60, |it| it.works(0));
    assert_eq!(
        story.go_on(20 * 60, 60, |it| it.fails(0, Cause::Connect)),
        NOTHING
    );
    assert_eq!(story.go_on(60, 60, |it| it.works(0)), NOTHING);
    assert_eq!(
        story.go_on(33 * 60, 60, |it| it.fails(0, Cause::Connect)),
        NOTHING
    );
    assert_eq!(story.open, NOTHING);
    assert_eq!(
        story.go_on(60, 60, |it| it.fails(0, Cause::Connect)),
        ["trigger source:source0 #1"]
    );
}

#[test]
fn a_value_alarms_once_it_is_outside_for_long_without_a_break() {
    let mut story = Story::of(1, 60);
    story.rules.values = vec![ValueRule {
        key: "t".into(),
        above: Some(30.0),
        below: None,
        hysteresis: 1.0,
        hold: Duration::from_secs(600),
    }];
    let mut at = |value: f64, minutes: u64| {
        story.go_on(minutes * MINUTE, MINUTE, |it| {
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
fn what_a_value_must_do_to_be_good_again() {
    let mut story = Story::of(1, 60);
    story.rules.values = vec![ValueRule {
        key: "t".into(),
        above: Some(30.0),
        below: Some(5.0),
        hysteresis: 1.0,
        hold: Duration::from_secs(600),
    }];
    let at = |story: &mut Story, value: f64, stale: bool, minutes: u64| {
        story.go_on(minutes * MINUTE, MINUTE, |it| {
            it.works(0);
            it.record("t", value, stale);
        })
    };
    assert_eq!(
        at(&mut story, 31.0, false, 11),
        ["trigger value:t<5|>30 #1"]
    );
    assert_eq!(
        at(&mut story, 29.5, false, 60),
        NOTHING,
        "within the hysteresis"
    );
    assert_eq!(
        at(&mut story, 20.0, true, 60),
        NOTHING,
        "stale proves nothing"
    );
    assert_eq!(story.open, ["value:t<5|>30"]);
    assert_eq!(
        at(&mut story, 28.9, false, 2),
        ["recovery value:t<5|>30 #1"]
    );
    assert_eq!(at(&mut story, 4.9, false, 11), ["trigger value:t<5|>30 #2"]);
}

#[test]
fn storage_clock_displays_and_delivery_are_watched_too() {
    let mut story = Story::of(1, 60);
    story.rules.displays = vec![DisplayRule {
        name: "hall".into(),
        silent_for: Duration::from_secs(HOUR),
    }];
    let works = |it: &mut Story| it.works(0);
    story.node.storage = Some("the card is read-only.".to_owned());
    assert_eq!(story.go_on(4 * 60, 60, works), ["trigger storage #1"]);
    story.node.storage = None;
    assert_eq!(story.go_on(2 * 60, 60, works), ["recovery storage #1"]);
    story.now.trust = ClockTrust::Untrusted;
    assert_eq!(story.go_on(HOUR, 60, works), ["trigger display:hall #2"]);
    assert_eq!(story.go_on(10 * 60, 60, works), ["trigger clock #3"]);
    story.now.trust = ClockTrust::Trusted;
    story.node.displays = vec![("hall".into(), Duration::from_secs(3))];
    assert_eq!(
        story.go_on(2 * 60, 60, works),
        ["recovery clock #3", "recovery display:hall #2"]
    );
    let mail = |failure| ChannelFacts {
        name: "mail".into(),
        carries_own_failure: false,
        failure,
    };
    let failure = DeliveryFailure {
        since: story.now.mono,
        why: "AUTH: refused.".to_owned(),
    };
    story.node.channels = vec![mail(Some(failure))];
    assert_eq!(story.go_on(10 * 60, 60, works), ["trigger mail #4"]);
    story.node.channels = vec![mail(None)];
    assert_eq!(story.go_on(60, 60, works), ["recovery mail #4"]);
}

#[test]
fn a_damaged_database_is_told_once_and_is_over_after_an_hour() {
    let mut story = Story::of(1, 60);
    let works = |it: &mut Story| it.works(0);
    story.go_on(600, 60, works);
    let salvaged = |since: Mono, is_over: bool| {
        let aside = "/data/node.db.damaged-20251101".to_owned();
        Some(Salvaged {
            since,
            quarantine_path: aside,
            is_complete: is_over,
        })
    };
    let since = story.now.mono;
    story.node.salvage = salvaged(since, false);
    assert_eq!(story.look(), ["trigger database #1"]);
    let words = &story.state.open()[0].message;
    assert!(words.contains("/data/node.db.damaged-20251101"), "{words}");
    assert_eq!(story.go_on(2 * HOUR, 60, works), NOTHING, "still under way");
    // The process ends; the next one says after a moment that it goes on with it.
    story.node.salvage = None;
    story.restart(5, "two");
    assert_eq!(story.look(), NOTHING);
    let since = story.now.mono;
    story.node.salvage = salvaged(since, true);
    assert_eq!(story.go_on(HOUR - 60, 60, works), NOTHING);
    assert_eq!(story.go_on(3 * 60, 60, works), ["recovery database #1"]);
    assert_eq!(story.go_on(24 * HOUR, 60, works), NOTHING);
}

#[test]
fn a_bad_value_is_not_among_the_last_good_ones() {
    let mut story = Story::of(1, 10);
    story.rules.values = vec![ValueRule {
        key: "t".into(),
        above: Some(30.0),
        below: None,
        hysteresis: 0.0,
        hold: Duration::ZERO,
    }];
    story.record("t", 31.0, false);
    let facts = AlertFacts {
        snapshot: &story.snapshot,
        started: story.started,
        node: &story.node,
    };
    let step = step(&story.rules, &story.state, story.now, &facts);
    assert_eq!(step.events.len(), 1);
    assert_eq!(step.events[0].text.cause, "it is 31 °C");
    assert_eq!(step.events[0].last_good, []);
}

#[test]
fn what_can_be_counted_is_good_again_after_as_many_or_after_five_minutes() {
    let readings = |every: u64| {
        let mut story = Story::of(1, 10);
        story.rules.recover_after = 3;
        story.rules.values = vec![ValueRule {
            key: "t".into(),
            above: Some(30.0),
            below: None,
            hysteresis: 0.0,
            hold: Duration::ZERO,
        }];
        story.record("t", 31.0, false);
        assert_eq!(story.look(), ["trigger value:t>30 #1"]);
        story.pass(every);
        story.record("t", 20.0, false);
        story.look();
        let began = story.now.mono;
        // Looked at often, which is no new reading.
        for second in 1..1_000 {
            story.pass(1);
            if second % every == 0 {
                story.record("t", 20.0, false);
            }
            if !story.look().is_empty() {
                return story.now.mono.since(began).as_secs();
            }
        }
        panic!("it is good again");
    };
    assert_eq!(readings(10), 20, "the third reading");
    assert_eq!(readings(900), 300, "one that holds");
}

#[test]
fn answers_that_are_no_longer_as_described_are_told_when_they_stay_so() {
    let mut story = Story::of(1, 60);
    let drifts = |it: &mut Story| {
        it.works(0);
        it.snapshot.sources[0].health.issues = vec![Issue {
            reason: Reason::WrongType,
            key: None,
            pointer: "/t".to_owned(),
            expected: "a number".to_owned(),
            found: "a text".to_owned(),
        }];
    };
    assert_eq!(story.go_on(15 * 60, 60, drifts), NOTHING);
    assert_eq!(story.go_on(60, 60, drifts), ["trigger schema:source0 #1"]);
}

#[test]
fn what_is_no_longer_configured_is_said_and_closed() {
    let mut story = Story::of(2, 60);
    story.go_on(10 * 60, 60, |it| {
        it.fails(0, Cause::HttpStatus);
        it.works(1);
    });
    assert_eq!(story.open, ["source:source0"]);
    story.snapshot.sources.remove(0);
    assert_eq!(story.look(), ["unwatched source:source0 #1"]);
    assert_eq!(story.open, NOTHING);
}

#[test]
fn displays_get_short_ascii() {
    let words = ascii_line("Außentemperatur-Fühler am Nordhaus: no data");
    assert_eq!(words, "Au?entemperatur-F?hler am Nordha");
}

/// A year of a house whose parts come and go: no more mail than there is news, and
/// every trigger has its end.
#[test]
fn over_a_year_every_incident_that_begins_also_ends() {
    let mut story = Story::of(4, 15 * MINUTE);
    let mut seed: u64 = 42;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut down_until = [0u64; 4];
    let mut open: BTreeMap<String, u64> = BTreeMap::new();
    let mut told = 0;
    for quarter in 0..365 * 24 * 4u64 {
        story.pass(15 * MINUTE);
        for (source, down_until) in down_until.iter_mut().enumerate() {
            if random() % 1000 == 0 {
                *down_until = quarter + 1 + random() % 60;
            }
            match quarter < *down_until {
                true => story.fails(source, Cause::Timeout),
                false => story.works(source),
            }
        }
        for event in story.look() {
            told += 1;
            let words: Vec<&str> = event.split(' ').collect();
            let incident: u64 = words[2][1..].parse().expect("a number");
            match words[0] {
                "trigger" | "flapping" => {
                    assert_eq!(open.insert(words[1].to_owned(), incident), None, "{event}");
                }
                "recovery" => {
                    assert_eq!(open.remove(words[1]), Some(incident), "{event}");
                }
                _ => assert_eq!(open.get(words[1]), Some(&incident), "{event}"),
            }
        }
    }
    let silent = story.go_on(2 * HOUR, 15 * MINUTE, |it| {
        (0..4).for_each(|at| it.works(at))
    });
    assert_eq!(open.len(), silent.len());
    assert!((50..1500).contains(&told), "{told}");
}
