//! Severity of a value on a page: whether it is worth a look, bad or stale.
//!
//! Pure; any thread.

use maud::{Markup, html};

use super::PageContext;
use crate::domain::plan::{Bounds, KeyPlan};
use crate::domain::snapshot::Record;

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
pub fn severity(view: &PageContext, record: &Record) -> ValueSeverity {
    if record.stale {
        return ValueSeverity::Stale;
    }
    let Some(number) = record.value.number() else {
        return ValueSeverity::None;
    };
    if limits(view, record, |it| it.bad).is_outside(number) {
        ValueSeverity::Bad
    } else if limits(view, record, |it| it.warn).is_outside(number)
        || alert_limits(view, record).next().is_some()
    {
        ValueSeverity::Warn
    } else {
        ValueSeverity::None
    }
}

/// What is wrong with a value, in words: `above 1 000`, `stale`.
pub fn reason(view: &PageContext, record: &Record) -> Option<String> {
    let of_key = match severity(view, record) {
        ValueSeverity::None => return None,
        ValueSeverity::Stale => return Some("stale".to_owned()),
        ValueSeverity::Warn => limits(view, record, |it| it.warn),
        ValueSeverity::Bad => limits(view, record, |it| it.bad),
    };
    let number = record.value.number()?;
    let format = view.plan.number_format(record);
    let limits = std::iter::once(of_key).chain(alert_limits(view, record));
    let crossed = limits.filter(|limits| limits.is_outside(number));
    Some(match crossed.filter_map(|it| it.nearest(number)).next() {
        Some((side, limit)) => format!("{side} {}", format.number(limit)),
        // Back within its limits, not yet for long enough.
        None => "alert open".to_owned(),
    })
}

/// The limits of a key in the configuration.
fn limits(view: &PageContext, record: &Record, get: impl Fn(&KeyPlan) -> Bounds) -> Bounds {
    let is_given = |bounds: &Bounds| *bounds != Bounds::default();
    let setting = |key: &KeyPlan| Some(get(key)).filter(is_given);
    let found = view.plan.key_setting(&record.key, setting);
    found.unwrap_or_default()
}

/// The limits of the open alerts of a key.
fn alert_limits<'a>(
    view: &'a PageContext,
    record: &'a Record,
) -> impl Iterator<Item = Bounds> + 'a {
    let is_open = |name: &str| view.snapshot.alerts.iter().any(|it| *it.name == *name);
    let rules = view.plan.key_alerts.iter();
    rules
        .filter(|rule| rule.key == record.key && rule.bounds != Bounds::default())
        .filter(move |rule| is_open(&rule.name))
        .map(|rule| rule.bounds)
}

impl ValueSeverity {
    /// The class of the element; empty for none.
    pub fn class(self) -> &'static str {
        match self {
            ValueSeverity::None => "",
            ValueSeverity::Warn => "warn",
            ValueSeverity::Bad => "bad",
            ValueSeverity::Stale => "stale",
        }
    }

    /// A sign besides the colour, with a word for those who do not see it.
    pub fn mark(self) -> Markup {
        let (sign, word) = match self {
            ValueSeverity::None | ValueSeverity::Stale => return html! {},
            ValueSeverity::Warn => ("▲", "warning: "),
            ValueSeverity::Bad => ("✕", "bad: "),
        };
        html! { span class="mark" aria-hidden="true" { (sign) } span class="unseen" { (word) } }
    }
}
