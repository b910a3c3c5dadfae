//! Headline of a key page: its name, the value now, what it was today and yesterday.

use maud::{Markup, html};

use crate::domain::plan::GroupPlan;
use crate::domain::snapshot::Record;
use crate::domain::time::ClockTrust;
use crate::monitor::format::{format_age, format_local, to_zoned};
use crate::monitor::web::PageContext;
use crate::monitor::web::key_history;
use crate::monitor::web::layout::{key_name, time_element};
use crate::monitor::web::severity;

pub fn section(view: &PageContext, key: &str, record: Option<&Record>, is_known: bool) -> Markup {
    let label = view.plan.full_label(key);
    html! {
        @if let Some(group) = group_of(view, key) {
            p class="crumb" { a href=(view.links.group(&group.name)) { (group.name) } " ›" }
        }
        div class="headline" {
            h1 { @if label == key { (key_name(key)) } @else { (label) } }
            @if let Some(record) = record {
                @let severity = severity::severity(view, record);
                p class=(format!("value {}", severity.class()).trim_end()) {
                    (severity.mark()) (value(view, record))
                }
                (today(view, key, record))
            }
            p class="age" {
                @match record {
                    Some(record) => (age(view, record)),
                    None if is_known => "No reading yet.",
                    None => "No source provides this key. Its history is kept.",
                }
                @if label != key { " " code { (key_name(key)) } }
            }
        }
    }
}

/// The first group that shows the key.
fn group_of<'a>(view: &PageContext<'a>, key: &str) -> Option<&'a GroupPlan> {
    view.plan.pages.groups.iter().find(|group| {
        let is_cell = group
            .matrix
            .as_ref()
            .is_some_and(|it| it.place(key).is_some());
        is_cell || group.keys.iter().any(|selector| selector.matches(key))
    })
}

fn value(view: &PageContext, record: &Record) -> Markup {
    let shown = view.plan.number_format(record).value(&record.value);
    html! {
        span class=(if shown.is_word { "text" } else { "number" }) { (shown.text) }
        @if let Some(unit) = shown.unit { "\u{a0}" span class="unit" { (unit) } }
    }
}

/// The range of the day, and the same time yesterday.
fn today(view: &PageContext, key: &str, record: &Record) -> Markup {
    let format = view.plan.number_format(record);
    let is_word = format.value(&record.value).is_word;
    let Some(now) = record.value.number().filter(|_| !is_word) else {
        return html! {};
    };
    let range = record.today.filter(|range| range.min < range.max);
    let yesterday = key_history::read_yesterday(view, key);
    html! {
        @if range.is_some() || yesterday.is_some() {
            p class="today" {
                @if let Some(range) = range {
                    span { "today " (format.number(range.min)) " … " (format.number(range.max)) }
                }
                @if let Some(then) = yesterday {
                    @if range.is_some() { span class="unseen" { " · " } " " }
                    span {
                        "yesterday at this time " (format.number(then))
                        " (" (format.difference(now - then)) ")"
                    }
                }
            }
        }
    }
}

/// The age; whose time it is where they differ.
fn age(view: &PageContext, record: &Record) -> Markup {
    let stamp = &record.stamp;
    let zone = &view.settings.timezone;
    let since_receipt = stamp
        .age(view.now)
        .filter(|_| stamp.has_source_time && !view.now.trust.is_trusted());
    html! {
        @if record.stale { strong class="label" { "stale" } " " }
        @if let Some(age) = since_receipt {
            @let dated = to_zoned(stamp.observed, zone).strftime("%H:%M").to_string();
            "received " (format_age(age)) "; the source dates it "
            time datetime=(stamp.observed.to_string()) title=(format_local(stamp.observed, zone)) {
                (dated)
            }
            @match view.now.trust {
                ClockTrust::Unknown => ", and nothing says whether this clock is set",
                _ => ", and this clock is not set",
            }
        } @else {
            (time_element(view, stamp.observed, stamp.age(view.now)))
        }
    }
}
