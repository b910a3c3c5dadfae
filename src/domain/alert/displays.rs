//! Alerts about displays: one that sends no requests any more, one whose battery is low.

use std::sync::Arc;
use std::time::Duration;

use super::conditions::{Condition, ConditionState, GOOD, RuleEvaluator};
use crate::domain::alert_event::AlertText;
use crate::domain::alert_level::AlertLevel;
use crate::domain::battery::Battery;
use crate::domain::text::human_duration;

/// An alert ends when the battery is this many points above the limit: a reading varies with load
/// and temperature.
const BATTERY_HYSTERESIS: f64 = 5.0;

/// `[[alert.display]]`; at least one limit is there.
#[derive(Debug, Clone, PartialEq)]
pub struct DisplayRule {
    /// As the page lists it.
    pub name: Arc<str>,
    pub silent_for: Option<Duration>,
    pub battery_below: Option<Battery>,
    pub level: AlertLevel,
}

impl DisplayRule {
    /// The names of its alerts.
    pub fn alerts(&self) -> impl Iterator<Item = String> {
        let silent = self.silent_for.map(|_| format!("display:{}", self.name));
        let battery = self.battery_below.map(|_| format!("battery:{}", self.name));
        silent.into_iter().chain(battery)
    }
}

/// A display that was seen since the start, or one that is configured and may sleep.
#[derive(Debug, Clone, PartialEq)]
pub struct DisplayFacts {
    pub name: Arc<str>,
    /// Without the time for which it may sleep; of one that was not seen, since the start.
    pub silence: Duration,
    pub is_seen: bool,
    pub battery: Option<Battery>,
}

impl RuleEvaluator<'_> {
    pub fn silent_display(&self, rule: &DisplayRule) -> Option<Condition> {
        let silent_for = rule.silent_for?;
        let seen = self.seen_display(rule);
        // A display not yet seen by this run counts from its start.
        let silence = seen.map_or(self.now().since(self.started()), |it| it.silence);
        let last_request = self.now().before(silence);
        let ready_at = last_request.after(silent_for);
        let state = if ready_at <= self.now() {
            ConditionState::Bad {
                since: last_request,
                ready_at: Some(ready_at),
            }
        } else if seen.is_some_and(|it| it.is_seen) {
            GOOD
        } else {
            ConditionState::Unknown
        };
        let name = format!("display:{}", rule.name);
        Some(Condition {
            level: rule.level,
            changes_at: Some(ready_at).filter(|at| *at > self.now()),
            ..self.condition(name, state, || (silent_text(rule, silent_for), Vec::new()))
        })
    }

    pub fn low_battery(&self, rule: &DisplayRule) -> Option<Condition> {
        let limit = rule.battery_below?;
        let name = format!("battery:{}", rule.name);
        let Some(battery) = self.seen_display(rule).and_then(|it| it.battery) else {
            // After a restart the alert stays as it is until the display sends a request.
            return Some(self.condition(name, ConditionState::Unknown, Default::default));
        };
        let margin = if self.state.is_open(&name) {
            BATTERY_HYSTERESIS
        } else {
            0.0
        };
        let state = if battery.is_below(limit, margin) {
            self.bad_for(&name, Duration::ZERO)
        } else {
            GOOD
        };
        Some(Condition {
            level: rule.level,
            ..self.condition(name, state, || {
                (battery_text(rule, limit, battery), Vec::new())
            })
        })
    }

    fn seen_display(&self, rule: &DisplayRule) -> Option<&DisplayFacts> {
        let mut seen = self.facts.node.displays.iter();
        seen.find(|display| display.name == rule.name)
    }
}

fn silent_text(rule: &DisplayRule, silent_for: Duration) -> AlertText {
    AlertText {
        about: format!("Display {}", rule.name),
        problem: "no requests".to_owned(),
        cause: "may be offline".to_owned(),
        cause_name: String::new(),
        detail: format!("It has sent no request for {}.", human_duration(silent_for)),
        displays: "That display shows its last values, or nothing.".to_owned(),
        node_does: "It waits, and sends a message when the display sends a request.".to_owned(),
        check: vec!["whether the display has power and Wi-Fi".to_owned()],
        short: format!("display {} silent", rule.name),
        labelled: None,
    }
}

fn battery_text(rule: &DisplayRule, limit: Battery, battery: Battery) -> AlertText {
    let (name, now, limit) = (&rule.name, battery.to_text(), limit.to_text());
    AlertText {
        about: format!("Display {name}"),
        problem: "battery low".to_owned(),
        cause: format!("it is at {now}"),
        cause_name: String::new(),
        detail: format!("That is below {limit}."),
        displays: "That display goes on until its battery is empty.".to_owned(),
        node_does: "It waits, and sends a message when the battery is charged.".to_owned(),
        check: vec!["whether the display can be charged, or asks less often".to_owned()],
        short: format!("display {name}: battery low"),
        labelled: None,
    }
}
