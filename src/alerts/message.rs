//! Message text: subject and body of a batch of events, for every channel.
//!
//! Pure. Plain text and HTML are rendered from the same blocks, so that they cannot disagree. All
//! times are in the owner's time zone; a time of an untrusted clock is left out.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::message_format::{Block, render_chat_text, render_html, render_text};
use crate::domain::alert_event::{
    AlertEvent, AlertEventKind, AlertOutage, LabelledText, LastGood, WallStamp,
};
use crate::domain::outbox::OutboxItem;
use crate::domain::text::{human_duration, truncate_list, with_full_stop};
use crate::domain::time::{Moment, Wall};

/// What every message says about the node that sends it.
#[derive(Debug, Clone)]
pub struct SenderInfo {
    /// The node's own name.
    pub node: String,
    /// Where its page is.
    pub page: String,
    pub zone: TimeZone,
}

/// A message, before anything of a channel is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub subject: String,
    pub text: String,
    /// The text for services that wrap lines themselves, and show the page and the sender beside it.
    pub chat_text: String,
    pub html: String,
    /// Message-IDs of earlier messages about the same incidents, without brackets.
    pub references: Vec<String>,
}

/// Incidents of one message that are described in detail.
const MAX_DETAILED_INCIDENTS: usize = 3;
/// A message that comes later than this says why.
const DELAY_NOTE_AFTER: Duration = Duration::from_secs(600);

/// Composes the message of a batch of events. `delayed_by` is why it could not be delivered before;
/// `dropped` counts events that will never be delivered.
pub fn compose(
    items: &[OutboxItem],
    dropped: u64,
    sender: &SenderInfo,
    now: Moment,
    delayed_by: Option<&str>,
) -> Message {
    let writer = MessageWriter { sender, now };
    let incidents = summarize_incidents(items);
    let mut blocks = Vec::new();
    for (index, incident) in incidents.iter().enumerate() {
        if incidents.len() > 1 {
            blocks.push(Block::Heading(incident.last.text.for_people().about));
        }
        writer.write_incident(incident, index < MAX_DETAILED_INCIDENTS, &mut blocks);
    }
    if let Some(late) = writer.delay_note(items, delayed_by) {
        blocks.push(Block::Paragraph(late));
    }
    if dropped > 0 {
        blocks.push(Block::Paragraph(format!(
            "{dropped} older events were dropped because too many were waiting; the page lists \
             every incident."
        )));
    }
    blocks.push(Block::Link(format!("{}/web", sender.page)));
    blocks.push(Block::Small(format!(
        "main-node on {}, incident {}",
        sender.node,
        incident_numbers(&incidents)
    )));
    let mut references: Vec<String> = items
        .iter()
        .filter_map(|it| it.thread_root.clone())
        .collect();
    references.dedup();
    Message {
        subject: one_line(&writer.subject(&incidents)),
        text: render_text(&blocks),
        chat_text: render_chat_text(&blocks),
        html: render_html(&blocks),
        references,
    }
}

/// The events of one incident in a batch.
struct IncidentSummary<'a> {
    first: &'a AlertEvent,
    last: &'a AlertEvent,
    /// The event that opened it, if the batch has it.
    opening: Option<&'a AlertEvent>,
}

fn summarize_incidents(items: &[OutboxItem]) -> Vec<IncidentSummary<'_>> {
    let mut incidents: Vec<IncidentSummary<'_>> = Vec::new();
    for event in items.iter().map(|item| &item.event) {
        let opening = Some(event).filter(|event| event.kind.opens());
        match incidents
            .iter_mut()
            .find(|incident| incident.last.incident == event.incident)
        {
            Some(incident) => {
                incident.last = event;
                incident.opening = incident.opening.or(opening);
            }
            None => incidents.push(IncidentSummary {
                first: event,
                last: event,
                opening,
            }),
        }
    }
    incidents
}

fn incident_numbers(incidents: &[IncidentSummary<'_>]) -> String {
    let numbers: Vec<String> = incidents
        .iter()
        .map(|incident| incident.last.incident.to_string())
        .collect();
    numbers.join(", ")
}

struct MessageWriter<'a> {
    sender: &'a SenderInfo,
    now: Moment,
}

impl MessageWriter<'_> {
    fn subject(&self, incidents: &[IncidentSummary<'_>]) -> String {
        let what = match incidents {
            [] => "no events".to_owned(),
            [one] => self.headline(one),
            several => {
                let open = several
                    .iter()
                    .filter(|incident| !incident.last.kind.closes());
                let open = open.count();
                let abouts: Vec<String> = several
                    .iter()
                    .map(|incident| incident.last.text.for_people().about)
                    .collect();
                let state = match open {
                    0 => "all over".to_owned(),
                    open => format!("{open} open"),
                };
                format!(
                    "{} alerts, {state}: {}",
                    several.len(),
                    truncate_list(&abouts, 4)
                )
            }
        };
        format!("[main-node] {what}")
    }

    /// `Weather: no data since 02:10 (cannot resolve name)`.
    fn headline(&self, incident: &IncidentSummary<'_>) -> String {
        let event = incident.last;
        let text = event.text.for_people();
        let what = format!("{}: {}", text.about, text.problem);
        match event.kind {
            AlertEventKind::Flapping => {
                format!(
                    "{}: flapping, {} ({} times)",
                    text.about, text.problem, event.outage_count
                )
            }
            AlertEventKind::Trigger | AlertEventKind::Reminder => {
                let still = match event.kind {
                    AlertEventKind::Reminder => ", still",
                    _ => "",
                };
                let cause = match text.cause.as_str() {
                    "" => String::new(),
                    cause => format!(" ({cause})"),
                };
                format!("{what}{still} {}{cause}", self.since(event))
            }
            AlertEventKind::Recovery => format!(
                "{}: good again ({} {})",
                text.about,
                text.problem,
                self.time_span(event)
            ),
            AlertEventKind::RuleRemoved => format!("{}: no longer monitored", text.about),
        }
    }

    /// `since 02:10`, or where no clock could be trusted `for 12 min`.
    fn since(&self, event: &AlertEvent) -> String {
        if event.since.is_trusted {
            format!("since {}", self.short_time(event.since.wall()))
        } else {
            format!("for {}", lasted(event))
        }
    }

    /// `02:10–03:40`.
    fn time_span(&self, event: &AlertEvent) -> String {
        if !event.since.is_trusted || !event.at.is_trusted {
            return format!("for {}", lasted(event));
        }
        let (from, until) = (event.since.wall(), event.at.wall());
        format!(
            "{}–{}",
            self.short_time(from),
            self.short_time_after(until, from)
        )
    }

    fn stamp_text(&self, stamp: WallStamp) -> String {
        if stamp.is_trusted {
            self.short_time(stamp.wall())
        } else {
            "?".to_owned()
        }
    }

    /// The hour, with the day where that is not today.
    fn short_time(&self, wall: Wall) -> String {
        self.short_time_after(wall, self.now.wall)
    }

    fn short_time_after(&self, wall: Wall, known: Wall) -> String {
        let day = self.format_time(wall, "%Y-%m-%d");
        if day == self.format_time(known, "%Y-%m-%d") {
            self.format_time(wall, "%H:%M")
        } else {
            self.format_time(wall, "%a %-d %b %H:%M")
        }
    }

    fn long_time(&self, wall: Wall) -> String {
        self.format_time(wall, "%a %-d %b %Y, %H:%M %Z")
    }

    fn format_time(&self, wall: Wall, format: &str) -> String {
        match jiff::Timestamp::from_millisecond(wall.0) {
            Ok(instant) => instant
                .to_zoned_datetime(self.sender.zone.clone())
                .strftime(format)
                .to_string(),
            Err(_) => wall.to_string(),
        }
    }

    fn write_incident(
        &self,
        incident: &IncidentSummary<'_>,
        is_detailed: bool,
        blocks: &mut Vec<Block>,
    ) {
        let event = incident.last;
        let text = &event.text;
        blocks.push(Block::Paragraph(self.opening_paragraph(event)));
        if incident.first.kind.opens() && event.kind.closes() {
            blocks.push(Block::Paragraph(
                "This message covers both the start and the end of the incident.".to_owned(),
            ));
        }
        write_cause(event, blocks);
        if event.outages.iter().any(|it| it.from.is_trusted) {
            let outages = event.outages.iter().map(|it| self.outage_text(it));
            blocks.push(Block::List("When".to_owned(), outages.collect()));
        }
        if !is_detailed || event.kind.closes() {
            return;
        }
        let opening = incident.opening.unwrap_or(event);
        if !opening.last_good.is_empty() {
            let values = opening.last_good.iter();
            let values = values.map(|good| self.last_good_row(good, event.at));
            blocks.push(Block::Values(
                "Last good values".to_owned(),
                values.collect(),
            ));
        }
        blocks.push(Block::Paragraph(format!(
            "What main-node does: {}",
            text.node_does
        )));
        if !text.check.is_empty() {
            blocks.push(Block::List(
                "What you can check".to_owned(),
                text.check.clone(),
            ));
        }
    }

    /// What happened, since when, and what displays show.
    fn opening_paragraph(&self, event: &AlertEvent) -> String {
        let displays = &event.text.displays;
        let LabelledText { about, problem, .. } = event.text.for_people();
        let count = event.outage_count;
        match event.kind {
            AlertEventKind::Trigger => {
                let since = self.since_with_duration(event);
                format!("{about}: {problem} {since}. {displays}")
            }
            AlertEventKind::Reminder => {
                let since = self.since_with_duration(event);
                format!("{about}: {problem}, still {since}. {displays}")
            }
            AlertEventKind::Flapping => format!(
                "{about}: flapping, {problem} ({count} times recently), now again {}. {displays} \
                 The next message is sent when it has been stable for an hour.",
                self.since_long(event)
            ),
            AlertEventKind::Recovery if event.outages.is_empty() => format!(
                "{about}: good again{}. It was: {problem}, {}. Displays show current values again.",
                self.since_end(event),
                self.long_time_span(event)
            ),
            AlertEventKind::Recovery => format!(
                "{about}: stable{}. It was flapping: {problem}, {count} times. Displays show \
                 current values again.",
                self.since_end(event)
            ),
            AlertEventKind::RuleRemoved => format!(
                "{about}: no longer monitored, because the configuration changed. It was: \
                 {problem}, {}.",
                self.since_long(event)
            ),
        }
    }

    /// `since Sat 1 Nov 2025, 02:10 CET`, or where no clock could be trusted `for 12 min`.
    fn since_long(&self, event: &AlertEvent) -> String {
        if event.since.is_trusted {
            format!("since {}", self.long_time(event.since.wall()))
        } else {
            format!("for {}", lasted(event))
        }
    }

    /// `since Sat 1 Nov 2025, 02:10 CET (15 min)`, or `for 15 min`.
    fn since_with_duration(&self, event: &AlertEvent) -> String {
        if event.since.is_trusted {
            format!("{} ({})", self.since_long(event), lasted(event))
        } else {
            self.since_long(event)
        }
    }

    /// `from Sat 1 Nov 2025, 02:10 CET for 90 min`, or `for 90 min`.
    fn long_time_span(&self, event: &AlertEvent) -> String {
        if event.since.is_trusted {
            let from = self.long_time(event.since.wall());
            format!("from {from} for {}", lasted(event))
        } else {
            format!("for {}", lasted(event))
        }
    }

    /// ` since 03:40`; nothing where no clock could be trusted.
    fn since_end(&self, event: &AlertEvent) -> String {
        if event.at.is_trusted {
            format!(" since {}", self.short_time(event.at.wall()))
        } else {
            String::new()
        }
    }

    fn outage_text(&self, outage: &AlertOutage) -> String {
        let from = self.stamp_text(outage.from);
        match outage.until {
            Some(until) => format!("{from} to {}", self.stamp_text(until)),
            None => format!("{from} until now"),
        }
    }

    fn last_good_row(&self, good: &LastGood, at: WallStamp) -> [String; 3] {
        let observed = Wall(good.observed_ms);
        let age = human_duration(at.wall().since(observed));
        // An older version stored neither label nor value as people read them.
        let (name, value) = if good.label.is_empty() {
            (&good.key, format!("{} {}", good.value, good.unit))
        } else {
            (&good.label, good.shown.clone())
        };
        [
            name.clone(),
            value.trim().to_owned(),
            format!("{}, {age} old at the time", self.short_time(observed)),
        ]
    }

    fn delay_note(&self, items: &[OutboxItem], delayed_by: Option<&str>) -> Option<String> {
        let first = items.first()?.event.at;
        let late = self.now.wall.since(first.wall());
        if !first.is_trusted || !self.now.trust.is_trusted() || late < DELAY_NOTE_AFTER {
            return None;
        }
        let why = delayed_by.map(|why| format!(": {why}")).unwrap_or_default();
        let late = match late.as_secs() / 60 {
            minutes @ 0..=180 => format!("{minutes} minutes"),
            _ => human_duration(late),
        };
        Some(with_full_stop(&format!(
            "This message was delayed by {late}{why}"
        )))
    }
}

fn write_cause(event: &AlertEvent, blocks: &mut Vec<Block>) {
    let text = event.text.for_people();
    let cause_name = &event.text.cause_name;
    let mut cause = String::new();
    if !text.cause.is_empty() {
        cause += &format!("{}. ", text.cause);
    }
    cause += &text.detail;
    if !cause_name.is_empty() {
        cause += &format!(" [{cause_name}]");
    }
    if !cause.trim().is_empty() {
        blocks.push(Block::Paragraph(format!("Cause: {}", cause.trim())));
    }
}

/// How long it had lasted.
fn lasted(event: &AlertEvent) -> String {
    human_duration(Duration::from_millis(event.lasted_ms))
}

/// Removes line breaks, which a source name may contain, from a subject.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}

#[cfg(test)]
#[path = "tests/message.rs"]
mod tests;
