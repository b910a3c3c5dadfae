//! Severity of a value: whether it is worth a look, bad or stale.
//!
//! Pure. Pages and push displays mark values by it.

use super::plan::{Bounds, KeyPlan, Plan};
use super::snapshot::{Record, Snapshot};

/// How a value is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueSeverity {
    None,
    /// Outside `warn`, or an alert of its owner is open.
    Warn,
    /// Outside `bad`.
    Bad,
    /// Too old to be believed.
    Stale,
}

/// The severity of a record now.
pub fn severity(plan: &Plan, snapshot: &Snapshot, record: &Record) -> ValueSeverity {
    if record.stale {
        return ValueSeverity::Stale;
    }
    let Some(number) = record.value.number() else {
        return ValueSeverity::None;
    };
    if limits_of(plan, &record.key, |it| it.bad).is_outside(number) {
        ValueSeverity::Bad
    } else if limits_of(plan, &record.key, |it| it.warn).is_outside(number)
        || open_alert_limits(plan, snapshot, &record.key)
            .next()
            .is_some()
    {
        ValueSeverity::Warn
    } else {
        ValueSeverity::None
    }
}

/// The limits of a key in the configuration.
pub fn limits_of(plan: &Plan, key: &str, get: impl Fn(&KeyPlan) -> Bounds) -> Bounds {
    let is_given = |bounds: &Bounds| *bounds != Bounds::default();
    let setting = |key: &KeyPlan| Some(get(key)).filter(is_given);
    plan.key_setting(key, setting).unwrap_or_default()
}

/// The limits of the open alerts of a key.
pub fn open_alert_limits<'a>(
    plan: &'a Plan,
    snapshot: &'a Snapshot,
    key: &'a str,
) -> impl Iterator<Item = Bounds> + 'a {
    let is_open = |name: &str| snapshot.alerts.iter().any(|it| *it.name == *name);
    let rules = plan.key_alerts.iter();
    rules
        .filter(move |rule| *rule.key == *key && rule.bounds != Bounds::default())
        .filter(move |rule| is_open(&rule.name))
        .map(|rule| rule.bounds)
}
