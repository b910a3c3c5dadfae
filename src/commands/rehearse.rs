//! `main-node rehearse`: simulates a failure for each alert rule of the effective configuration
//! and prints the alerts, with times. Nothing is fetched, sent or stored.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::alerts::message;
use crate::config::Config;
use crate::domain::alert::{AlertFacts, AlertState, DisplayFacts, NodeFacts, step};
use crate::domain::battery::Battery;
use crate::domain::failure::{Cause, Failure};
use crate::domain::freshness::Stamp;
use crate::domain::health::Salvaged;
use crate::domain::health::SourceHealth;
use crate::domain::outbox::OutboxItem;
use crate::domain::plan::Plan;
use crate::domain::reading::{Issue, Reason, Value};
use crate::domain::snapshot::{Record, Snapshot, SourceSnapshot};
use crate::domain::text::human_duration;
use crate::domain::time::{ClockTrust, Moment, Mono};
use crate::node::notifiers;
use crate::sys::clock::{Clock, SystemClock};

/// Simulates every scenario, starting now, and returns the printed alerts.
pub fn run(config: &Config) -> String {
    rehearse(config, SystemClock::new().now())
}

fn rehearse(config: &Config, now: Moment) -> String {
    let mut out = String::new();
    for case in scenarios(config) {
        // Writing to a String cannot fail.
        let _ = Rehearsal::new(config, now).run(&case, &mut out);
    }
    if notifiers::channels(config, None).is_empty() {
        out += "None of these would be sent: no channel is configured. Add [mail], or `webhook` in [alert].\n";
    }
    out
}

/// A simulated fault.
enum SimulatedFault {
    Source(usize),
    Network,
    Flapping(usize),
    Drift(usize),
    Value(Arc<str>, f64),
    Stale(Arc<str>),
    Storage,
    Database,
    Clock,
    SilentDisplay,
    LowBattery,
}

struct Scenario {
    title: String,
    fault: SimulatedFault,
}

fn scenarios(config: &Config) -> Vec<Scenario> {
    let plan = config.plan();
    let mut cases = Vec::new();
    let mut add = |title: String, fault| cases.push(Scenario { title, fault });
    for (index, source) in config.sources.iter().enumerate() {
        let name = &source.plan.name;
        add(
            format!("{name}: every request fails"),
            SimulatedFault::Source(index),
        );
    }
    if config.sources.len() > 1 {
        add("the network is down".to_owned(), SimulatedFault::Network);
    }
    if let Some(first) = config.sources.first() {
        let name = &first.plan.name;
        add(format!("{name} is flapping"), SimulatedFault::Flapping(0));
        if config.alert.schema_drift {
            let title = format!("{name}: unexpected response format");
            add(title, SimulatedFault::Drift(0));
        }
    }
    for rule in &config.alert.values {
        let beyond = |bound: f64, side: f64| bound + side * (rule.hysteresis + 1.0);
        let bad = rule.above.map(|it| beyond(it, 1.0));
        let bad = bad.or(rule.below.map(|it| beyond(it, -1.0)));
        let fault = SimulatedFault::Value(rule.key.clone(), bad.unwrap_or(0.0));
        add(
            format!("{} is out of range", plan.full_label(&rule.key)),
            fault,
        );
    }
    for rule in &config.alert.stale {
        let fault = SimulatedFault::Stale(rule.key.clone());
        add(format!("{} is stale", plan.full_label(&rule.key)), fault);
    }
    add(
        "readings cannot be stored".to_owned(),
        SimulatedFault::Storage,
    );
    add(
        "the database is damaged".to_owned(),
        SimulatedFault::Database,
    );
    add(
        "the clock is not synchronised".to_owned(),
        SimulatedFault::Clock,
    );
    let displays = &config.alert.displays;
    if let Some(rule) = displays.iter().find(|rule| rule.silent_for.is_some()) {
        let title = format!("the display {} sends no requests", rule.name);
        add(title, SimulatedFault::SilentDisplay);
    }
    if let Some(rule) = displays.iter().find(|rule| rule.battery_below.is_some()) {
        let title = format!("the battery of the display {} is low", rule.name);
        add(title, SimulatedFault::LowBattery);
    }
    cases
}

/// One scenario with a simulated clock.
struct Rehearsal<'a> {
    config: &'a Config,
    plan: Plan,
    snapshot: Snapshot,
    node: NodeFacts,
    state: AlertState,
    now: Moment,
    began: Moment,
    due: Vec<Mono>,
}

/// The longest time that a scenario simulates.
const MAX_WAIT: Duration = Duration::from_secs(14 * 24 * 3600);
const TICK: Duration = Duration::from_secs(10);

impl<'a> Rehearsal<'a> {
    fn new(config: &'a Config, now: Moment) -> Rehearsal<'a> {
        let now = Moment {
            // Leaves room for times before the start.
            mono: Mono(1_000_000_000),
            wall: now.wall,
            trust: ClockTrust::Trusted,
        };
        let plan = config.plan();
        let mut snapshot = Snapshot::empty(now);
        snapshot.sources = plan
            .sources
            .iter()
            .map(|source| SourceSnapshot {
                name: source.name.clone(),
                target: source.target.clone(),
                summary: source.summary.clone(),
                description: source.description.clone(),
                every: source.every,
                interval: source.every,
                attribution: None,
                keys: 0,
                omitted: 0,
                max_records: 256,
                conflict: None,
                health: SourceHealth {
                    attempts: 10,
                    successes_in_a_row: 10,
                    last_success: Some(now),
                    last_attempt: Some(now),
                    ..SourceHealth::default()
                },
            })
            .collect();
        Rehearsal {
            config,
            due: plan
                .sources
                .iter()
                .map(|it| now.mono.after(it.every))
                .collect(),
            plan,
            snapshot,
            node: NodeFacts::default(),
            state: AlertState::new("rehearsal"),
            now,
            began: now,
        }
    }

    fn run(mut self, case: &Scenario, out: &mut String) -> std::fmt::Result {
        writeln!(out, "=== {}", case.title)?;
        let was_sent = match case.fault {
            SimulatedFault::Flapping(_) => {
                let mut was_sent = false;
                for _ in 0..3 {
                    was_sent |= self.run_until_events(case, true, 1, out)?;
                    let closed = self.run_until_events(case, false, 1, out)?;
                    // Once it flaps, the next event comes after the cooldown.
                    if !closed {
                        break;
                    }
                }
                was_sent
            }
            _ => {
                // The trigger, and one reminder.
                let was_sent = self.run_until_events(case, true, 2, out)?;
                self.run_until_events(case, false, 1, out)?;
                was_sent
            }
        };
        if !was_sent {
            let limit = human_duration(MAX_WAIT);
            writeln!(
                out,
                "No alert within {limit}. Does `mute` cover all of it?\n"
            )?;
        }
        Ok(())
    }

    /// Simulates time, with or without the fault, until `wanted` events are sent; true if any was.
    fn run_until_events(
        &mut self,
        case: &Scenario,
        is_bad: bool,
        wanted: usize,
        out: &mut String,
    ) -> Result<bool, std::fmt::Error> {
        let mut sent = 0;
        let until = self.now.mono.after(MAX_WAIT);
        while sent < wanted && self.now.mono < until {
            self.now.mono = self.now.mono.after(TICK);
            self.now.wall = self.now.wall.after(TICK);
            self.now.trust = match (&case.fault, is_bad) {
                (SimulatedFault::Clock, true) => ClockTrust::Untrusted,
                _ => ClockTrust::Trusted,
            };
            self.fetch(&case.fault, is_bad);
            self.apply_fault(&case.fault, is_bad);
            sent += self.print_events(out)?;
            if !is_bad && self.state.open().is_empty() {
                break;
            }
        }
        Ok(sent > 0)
    }

    /// Fetches the sources that are due.
    fn fetch(&mut self, fault: &SimulatedFault, is_bad: bool) {
        for (index, source) in self.snapshot.sources.iter_mut().enumerate() {
            if self.due[index] > self.now.mono {
                continue;
            }
            self.due[index] = self.now.mono.after(source.every);
            let health = &mut source.health;
            health.attempts += 1;
            health.last_attempt = Some(self.now);
            let fails = match fault {
                SimulatedFault::Source(one) | SimulatedFault::Flapping(one) => *one == index,
                SimulatedFault::Network => true,
                _ => false,
            };
            if fails && is_bad {
                let cause = match fault {
                    SimulatedFault::Network => Cause::Network,
                    _ => Cause::Timeout,
                };
                let failure = Failure::new(cause, "This is a rehearsal.");
                health.failures_in_a_row += 1;
                health.successes_in_a_row = 0;
                health.failing_since.get_or_insert(self.now);
                health.last_failure = Some((self.now, failure));
            } else {
                health.failures_in_a_row = 0;
                health.successes_in_a_row += 1;
                health.failing_since = None;
                health.last_success = Some(self.now);
            }
        }
    }

    fn apply_fault(&mut self, fault: &SimulatedFault, is_bad: bool) {
        match fault {
            SimulatedFault::Drift(index) => {
                let issue = Issue {
                    reason: Reason::WrongType,
                    key: None,
                    pointer: "/rehearsal".to_owned(),
                    expected: "a number".to_owned(),
                    found: "a text".to_owned(),
                };
                let issues = is_bad.then_some(issue);
                self.snapshot.sources[*index].health.issues = issues.into_iter().collect();
            }
            SimulatedFault::Database => {
                self.node.salvage = Some(Salvaged {
                    since: self.began.mono,
                    quarantine_path: "main-node.db.damaged-… beside the database".to_owned(),
                    is_complete: !is_bad,
                });
            }
            SimulatedFault::Storage => {
                self.node.storage = is_bad.then(|| "This is a rehearsal.".to_owned());
            }
            _ => {}
        }
        self.snapshot.records = self.records(fault, is_bad);
        let silence = match (fault, is_bad) {
            (SimulatedFault::SilentDisplay, true) => self.now.mono.since(self.began.mono),
            _ => Duration::ZERO,
        };
        let is_low = is_bad && matches!(fault, SimulatedFault::LowBattery);
        let displays = self.config.alert.displays.iter().map(|rule| DisplayFacts {
            name: rule.name.clone(),
            silence,
            is_seen: true,
            battery: Battery::of_percent(if is_low { 0.0 } else { 100.0 }),
        });
        self.node.displays = displays.collect();
    }

    /// Records of the keys in the rules: good, except the faulty one.
    fn records(&self, fault: &SimulatedFault, is_bad: bool) -> Vec<Record> {
        let rules = &self.config.alert;
        let mut records: Vec<Record> = Vec::new();
        for rule in &rules.stale {
            let is_faulty = matches!(fault, SimulatedFault::Stale(key) if *key == rule.key);
            records.push(self.record(&rule.key, 1.0, is_faulty && is_bad));
        }
        for rule in &rules.values {
            let good = match (rule.below, rule.above) {
                (Some(below), Some(above)) => f64::midpoint(below, above),
                (Some(below), None) => below + rule.hysteresis + 1.0,
                (None, Some(above)) => above - rule.hysteresis - 1.0,
                (None, None) => 0.0,
            };
            let value = match fault {
                SimulatedFault::Value(key, bad) if is_bad && *key == rule.key => *bad,
                _ => good,
            };
            // One key may have both kinds of rule.
            match records.iter_mut().find(|record| record.key == rule.key) {
                Some(record) => record.value = Value::Number(value),
                None => records.push(self.record(&rule.key, value, false)),
            }
        }
        records
    }

    fn record(&self, key: &Arc<str>, value: f64, stale: bool) -> Record {
        Record {
            key: key.clone(),
            value: Value::Number(value),
            unit: None,
            stamp: Stamp::received(self.now, None),
            stale,
            stale_after: Duration::from_secs(60),
            sources: Vec::new(),
            today: None,
            is_boolean: false,
        }
    }

    /// Prints the events of this moment.
    fn print_events(&mut self, out: &mut String) -> Result<usize, std::fmt::Error> {
        self.snapshot.at = self.now;
        let facts = AlertFacts {
            plan: &self.plan,
            snapshot: &self.snapshot,
            started: self.began.mono,
            node: &self.node,
        };
        let step = step(&self.config.alert, &self.state, self.now, &facts);
        self.state = step.state;
        if step.wants_probe {
            self.due.fill(self.now.mono);
        }
        let sender = notifiers::sender(self.config);
        let sent = step.events.len();
        for event in step.events {
            let after = human_duration(self.now.mono.since(self.began.mono));
            let kind = event.kind.name();
            let item = OutboxItem {
                id: 0,
                event,
                message_id: None,
                done_recipients: Vec::new(),
                refusal: None,
                thread_root: None,
            };
            let message = message::compose(&[item], 0, &sender, self.now, None);
            writeln!(
                out,
                "\n--- after {after}: {kind}\nSubject: {}\n",
                message.subject
            )?;
            for line in message.text.lines() {
                writeln!(out, "    {line}")?;
            }
        }
        if sent > 0 {
            writeln!(out)?;
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, environment::Environment};
    use crate::domain::time::Wall;

    #[test]
    fn every_rule_is_simulated_from_trigger_to_recovery() {
        let directory = crate::golden::scratch("rehearse");
        let file = directory.join("main-node.toml");
        let text = "name = \"pi\"\ntimezone = \"UTC\"\n\
            [[source]]\nname = \"meter\"\nurl = \"http://meter.local/\"\nevery = \"10s\"\n\
            [[source]]\nname = \"tide\"\nurl = \"http://tide.local/\"\nevery = \"1h\"\n\
            [alert]\n[[alert.value]]\nkey = \"power\"\nabove = 3000\nhysteresis = 100\nfor = \"5m\"\n\
            [[alert.stale]]\nkey = \"tide\"\nfor = \"10m\"\n\
            [[alert.display]]\nname = \"hall\"\nsilent_for = \"1h\"\nbattery_below = \"3.5 V\"\n";
        std::fs::write(&file, text).expect("it can be written");
        let overrides = Overrides {
            file: Some(file),
            ..Overrides::default()
        };
        let config = crate::config::load(&overrides, Environment::default(), &[]);
        let config = config.expect("it is valid");
        let now = Moment {
            mono: Mono(0),
            wall: Wall(1_762_027_200_000),
            trust: ClockTrust::Trusted,
        };
        crate::golden::check("rehearse.txt", &rehearse(&config, now));
    }
}
