//! Message text: subject and body of a batch of events, for every channel.
//!
//! Pure. Plain text and HTML are rendered from the same blocks, so that they cannot disagree. All
//! times are said by the owner's clock; a time that could not be believed is not said.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::message_format::{Block, render_html, render_text};
use crate::domain::alert_event::{AlertEvent, AlertEventKind, WallStamp};
use crate::domain::outbox::OutboxItem;
use crate::domain::time::{Moment, Wall, human_duration as span};

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
    pub html: String,
    /// Messages that told earlier parts of the same stories, without brackets.
    pub references: Vec<String>,
}

/// Incidents of one message that are told at length.
const MAX_DETAILED_INCIDENTS: usize = 3;
/// A message that comes later than this says why.
const DELAY_NOTE_AFTER: Duration = Duration::from_secs(600);

/// What one batch of events says. `delayed_by` is why it could not be told before; `dropped`
/// counts events that nobody will be told.
pub fn compose(
    items: &[OutboxItem],
    dropped: u64,
    sender: &SenderInfo,
    now: Moment,
    delayed_by: Option<&str>,
) -> Message {
    let teller = MessageWriter { sender, now };
    let stories = summarize_incidents(items);
    let mut blocks = Vec::new();
    for (index, story) in stories.iter().enumerate() {
        if stories.len() > 1 {
            blocks.push(Block::Heading(story.last.text.about.clone()));
        }
        teller.write_incident(story, index < MAX_DETAILED_INCIDENTS, &mut blocks);
    }
    if let Some(late) = teller.delay_note(items, delayed_by) {
        blocks.push(Block::Paragraph(late));
    }
    if dropped > 0 {
        blocks.push(Block::Paragraph(format!(
            "{dropped} older events were dropped, because too many waited; the page lists every \
             incident."
        )));
    }
    blocks.push(Block::Link(format!("{}/web", sender.page)));
    blocks.push(Block::Small(format!(
        "main-node on {}, incident {}",
        sender.node,
        incident_numbers(&stories)
    )));
    let mut references: Vec<String> = items
        .iter()
        .filter_map(|it| it.thread_root.clone())
        .collect();
    references.dedup();
    Message {
        subject: one_line(&teller.subject(&stories)),
        text: render_text(&blocks),
        html: render_html(&blocks),
        references,
    }
}

/// What a batch tells of one incident.
struct IncidentSummary<'a> {
    first: &'a AlertEvent,
    last: &'a AlertEvent,
    /// What it was when it began, if the batch tells that.
    opening: Option<&'a AlertEvent>,
}

fn summarize_incidents(items: &[OutboxItem]) -> Vec<IncidentSummary<'_>> {
    let mut stories: Vec<IncidentSummary<'_>> = Vec::new();
    for event in items.iter().map(|item| &item.event) {
        let opening = Some(event).filter(|event| event.kind.opens());
        match stories
            .iter_mut()
            .find(|story| story.last.incident == event.incident)
        {
            Some(story) => {
                story.last = event;
                story.opening = story.opening.or(opening);
            }
            None => stories.push(IncidentSummary {
                first: event,
                last: event,
                opening,
            }),
        }
    }
    stories
}

fn incident_numbers(stories: &[IncidentSummary<'_>]) -> String {
    let numbers: Vec<String> = stories
        .iter()
        .map(|story| story.last.incident.to_string())
        .collect();
    numbers.join(", ")
}

struct MessageWriter<'a> {
    sender: &'a SenderInfo,
    now: Moment,
}

impl MessageWriter<'_> {
    fn subject(&self, stories: &[IncidentSummary<'_>]) -> String {
        let what = match stories {
            [] => "no events".to_owned(),
            [one] => self.headline(one),
            several => {
                let open = several.iter().filter(|story| !story.last.kind.closes());
                let open = open.count();
                let abouts: Vec<&str> = several
                    .iter()
                    .take(4)
                    .map(|story| story.last.text.about.as_str())
                    .collect();
                let rest = match several.len() > 4 {
                    true => ", …",
                    false => "",
                };
                let state = match open {
                    0 => "all over".to_owned(),
                    open => format!("{open} open"),
                };
                format!(
                    "{} alerts, {state}: {}{rest}",
                    several.len(),
                    abouts.join(", ")
                )
            }
        };
        format!("[main-node] {what}")
    }

    /// `Weather: no data since 02:10 (cannot resolve name)`.
    fn headline(&self, story: &IncidentSummary<'_>) -> String {
        let event = story.last;
        let words = &event.text;
        let what = format!("{}: {}", words.about, words.trouble);
        match event.kind {
            AlertEventKind::Flapping => {
                format!(
                    "{}: flapping, {} ({} times)",
                    words.about, words.trouble, event.outage_count
                )
            }
            AlertEventKind::Trigger | AlertEventKind::Reminder => {
                let still = match event.kind {
                    AlertEventKind::Reminder => ", still",
                    _ => "",
                };
                let cause = match words.cause.as_str() {
                    "" => String::new(),
                    cause => format!(" ({cause})"),
                };
                format!("{what}{still} {}{cause}", self.since(event))
            }
            AlertEventKind::Recovery => format!(
                "{}: good again ({} {})",
                words.about,
                words.trouble,
                self.time_span(event)
            ),
            AlertEventKind::RuleRemoved => format!("{}: no longer watched", words.about),
        }
    }

    /// `since 02:10`, or where no clock could be believed `for 12 min`.
    fn since(&self, event: &AlertEvent) -> String {
        match event.since.is_trusted {
            true => format!("since {}", self.short_time(event.since.wall())),
            false => format!("for {}", span(Duration::from_millis(event.lasted_ms))),
        }
    }

    /// `02:10–03:40`.
    fn time_span(&self, event: &AlertEvent) -> String {
        if !event.since.is_trusted || !event.at.is_trusted {
            return format!("for {}", span(Duration::from_millis(event.lasted_ms)));
        }
        let (from, until) = (event.since.wall(), event.at.wall());
        format!(
            "{}–{}",
            self.short_time(from),
            self.short_time_after(until, from)
        )
    }

    fn stamp_text(&self, told: WallStamp) -> String {
        match told.is_trusted {
            true => self.short_time(told.wall()),
            false => "?".to_owned(),
        }
    }

    /// The hour, with the day where that is not today.
    fn short_time(&self, wall: Wall) -> String {
        self.short_time_after(wall, self.now.wall)
    }

    fn short_time_after(&self, wall: Wall, known: Wall) -> String {
        let day = self.format_time(wall, "%Y-%m-%d");
        match day == self.format_time(known, "%Y-%m-%d") {
            true => self.format_time(wall, "%H:%M"),
            false => self.format_time(wall, "%a %-d %b %H:%M"),
        }
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

    fn write_incident(&self, story: &IncidentSummary<'_>, is_full: bool, blocks: &mut Vec<Block>) {
        let event = story.last;
        let words = &event.text;
        let since = match event.since.is_trusted {
            true => self.format_time(event.since.wall(), "%a %-d %b %Y, %H:%M %Z"),
            false => "a time that no clock could tell".to_owned(),
        };
        let lasted = span(Duration::from_millis(event.lasted_ms));
        let opening = match event.kind {
            AlertEventKind::Trigger => format!(
                "{}: {} since {since} ({lasted}). {}",
                words.about, words.trouble, words.displays
            ),
            AlertEventKind::Reminder => format!(
                "{}: {}, still since {since} ({lasted}). {}",
                words.about, words.trouble, words.displays
            ),
            AlertEventKind::Flapping => format!(
                "{}: flapping, {} ({} times lately), now again since {since}. {} The next message \
                 comes when it has been stable for an hour.",
                words.about, words.trouble, event.outage_count, words.displays
            ),
            AlertEventKind::Recovery => {
                let until = self.stamp_text(event.at);
                let itself = "It recovered by itself; displays show current values.";
                match event.outages.is_empty() {
                    true => format!(
                        "{}: good again since {until}. It was: {}, from {since} for {lasted}. \
                         {itself}",
                        words.about, words.trouble
                    ),
                    false => format!(
                        "{}: calm since {until}. It came and went {} times ({}). {itself}",
                        words.about, event.outage_count, words.trouble
                    ),
                }
            }
            AlertEventKind::RuleRemoved => format!(
                "{}: no longer watched, because the configuration changed. It was: {}, since \
                 {since}.",
                words.about, words.trouble
            ),
        };
        blocks.push(Block::Paragraph(opening));
        if story.first.kind.opens() && event.kind.closes() {
            blocks.push(Block::Paragraph(
                "This message covers both the start and the end of the incident.".to_owned(),
            ));
        }
        self.write_cause(event, blocks);
        if !event.outages.is_empty() {
            let outages = event.outages.iter().map(|outage| match outage.until {
                Some(until) => format!(
                    "{} to {}",
                    self.stamp_text(outage.from),
                    self.stamp_text(until)
                ),
                None => format!("{} until now", self.stamp_text(outage.from)),
            });
            blocks.push(Block::List("When".to_owned(), outages.collect()));
        }
        let last_good = story.opening.map_or(&event.last_good, |it| &it.last_good);
        if is_full && !event.kind.closes() && !last_good.is_empty() {
            let values = last_good.iter().map(|good| {
                let observed = Wall(good.observed_ms);
                let age = span(event.at.wall().since(observed));
                let when = format!("{}, {age} old at the time", self.short_time(observed));
                [
                    good.key.clone(),
                    format!("{} {}", good.value, good.unit).trim().to_owned(),
                    when,
                ]
            });
            blocks.push(Block::Values(
                "Last good values".to_owned(),
                values.collect(),
            ));
        }
        if is_full && !event.kind.closes() {
            blocks.push(Block::Paragraph(format!(
                "What main-node does: {}",
                words.node_does
            )));
            if !words.check.is_empty() {
                blocks.push(Block::List(
                    "What you can check".to_owned(),
                    words.check.clone(),
                ));
            }
        }
    }

    fn write_cause(&self, event: &AlertEvent, blocks: &mut Vec<Block>) {
        let words = &event.text;
        let mut why = String::new();
        if !words.cause.is_empty() {
            why += &format!("{}. ", words.cause);
        }
        why += &words.detail;
        if !words.cause_name.is_empty() {
            why += &format!(" [{}]", words.cause_name);
        }
        if !why.trim().is_empty() {
            blocks.push(Block::Paragraph(format!("Cause: {}", why.trim())));
        }
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
            _ => span(late),
        };
        Some(format!(
            "This message was delayed {late}{}",
            full_stop(&why)
        ))
    }
}

fn full_stop(sentence: &str) -> String {
    match sentence.ends_with('.') {
        true => sentence.to_owned(),
        false => format!("{sentence}."),
    }
}

/// A subject is one line, whatever a source calls itself.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}

#[cfg(test)]
#[path = "tests/message.rs"]
mod tests;
