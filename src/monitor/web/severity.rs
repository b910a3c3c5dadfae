//! Severity of a value on a page: its words, its class and its sign.
//!
//! Pure; any thread.

use maud::{Markup, html};

use super::PageContext;
pub use crate::domain::severity::ValueSeverity;
use crate::domain::severity::{self, limits_of, open_alert_limits};
use crate::domain::snapshot::Record;

/// The severity of a record now.
pub fn severity(view: &PageContext, record: &Record) -> ValueSeverity {
    severity::severity(view.plan, view.snapshot, record)
}

/// What is wrong with a value, in words: `above 1 000`, `stale`.
pub fn reason(view: &PageContext, record: &Record) -> Option<String> {
    let of_key = match severity(view, record) {
        ValueSeverity::None => return None,
        ValueSeverity::Stale => return Some("stale".to_owned()),
        ValueSeverity::Warn => limits_of(view.plan, &record.key, |it| it.warn),
        ValueSeverity::Bad => limits_of(view.plan, &record.key, |it| it.bad),
    };
    let number = record.value.number()?;
    let format = view.plan.number_format(record);
    let of_alerts = open_alert_limits(view.plan, view.snapshot, &record.key);
    let limits = std::iter::once(of_key).chain(of_alerts);
    let crossed = limits.filter(|limits| limits.is_outside(number));
    Some(match crossed.filter_map(|it| it.nearest(number)).next() {
        Some((side, limit)) => format!("{side} {}", format.limit(limit)),
        // Back within its limits, not yet for long enough.
        None => "alert open".to_owned(),
    })
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
