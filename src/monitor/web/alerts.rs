//! Alerts page: open alerts, notification channels, and the history of alerts.

use maud::{Markup, html};

use super::PageContext;
use super::layout::{self, Page, Part, key_name};
use crate::domain::open_alert::OpenAlert;
use crate::domain::outbox::{DeliveryRecord, Incident, WaitingEvent};
use crate::domain::text::{capitalised, human_duration};
use crate::domain::time::Wall;
use crate::monitor::context::{ChannelState, PING};
use crate::monitor::format::{format_local, sanitize};

pub fn page(view: &PageContext, incidents: &Result<Vec<Incident>, String>) -> Page {
    Page {
        title: "Alerts".to_owned(),
        parts: vec![
            layout::status_section(view, "Alerts"),
            Part::live("open", open_alerts(view, incidents)),
            Part::live("channels", channels(view)),
            Part::live("past", alert_history(view, incidents)),
        ],
        has_own_heading: false,
    }
}

/// The open alerts, each with what was sent about it.
fn open_alerts(view: &PageContext, incidents: &Result<Vec<Incident>, String>) -> Markup {
    let incidents = incidents.as_deref().unwrap_or_default();
    let incident = |alert: &OpenAlert| {
        let mut of_alert = incidents.iter();
        of_alert.find(|it| it.ended.is_none() && *it.alert == *alert.name)
    };
    html! {
        h2 { "Open alerts" }
        @if view.snapshot.alerts.is_empty() {
            p { "No open alerts." }
        } @else {
            table {
                thead {
                    tr {
                        th scope="col" { "Alert" }
                        th scope="col" { "Since" }
                        th scope="col" { "Message" }
                        th scope="col" { "Delivered" }
                    }
                }
                tbody {
                    @for alert in &view.snapshot.alerts {
                        tr {
                            th scope="row" { (alert_link(view, &alert.name)) }
                            td data-label="Since" {
                                (format_since(view, alert.since, alert.since_is_trusted))
                            }
                            td data-label="Message" {
                                (capitalised(&sanitize(&alert.message)))
                                @if alert.is_recovering { " It is recovering." }
                            }
                            td data-label="Delivered" {
                                @match incident(alert) {
                                    Some(incident) => (deliveries(view, incident)),
                                    None => (nothing_delivered(view)),
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What an alert is about, as the link to its page: the chart of its value, its source.
fn alert_link(view: &PageContext, name: &str) -> Markup {
    let mut of_keys = view.plan.key_alerts.iter();
    let key = of_keys
        .find(|rule| *rule.name == *name)
        .map(|rule| &rule.key);
    let source = name
        .strip_prefix("source:")
        .or_else(|| name.strip_prefix("schema:"))
        .filter(|name| view.snapshot.sources.iter().any(|it| *it.name == **name));
    html! {
        @match (key, source) {
            (Some(key), _) => a href=(view.links.key(key)) title=(name) {
                (view.plan.full_label(key))
            },
            (None, Some(source)) => a href=(view.links.source(source)) title=(name) { (source) },
            (None, None) => (key_name(name)),
        }
    }
}

fn nothing_delivered(view: &PageContext) -> &'static str {
    if view.channels.is_empty() {
        "no channel configured"
    } else {
        "pending"
    }
}

fn channels(view: &PageContext) -> Markup {
    html! {
        h2 { "Channels" }
        @if view.channels.is_empty() {
            p {
                "None: alerts are only shown here and on displays. To receive mail, configure "
                code { "[mail]" } " or set " code { "SMTP_HOST" } " and " code { "ALERT_EMAIL" } "."
            }
        } @else {
            dl {
                @for channel in view.channels {
                    dt { (channel.name) }
                    dd {
                        @if let Some(refusal) = &channel.refusal {
                            (channel.refused) " refused"
                            @if let Some(since) = channel.refused_since {
                                " since " (format_local(since, &view.settings.timezone))
                            }
                            ", kept and retried daily: " (sanitize(refusal)) "; "
                        }
                        @match (delivery_problem(channel), channel.waiting - channel.refused) {
                            (Some(trouble), _) if &*channel.name == PING => {
                                "the heartbeat ping fails: " (sanitize(trouble))
                            }
                            (None, _) if &*channel.name == PING => "the heartbeat ping succeeds",
                            (Some(trouble), 0) => {
                                "cannot deliver: " (sanitize(trouble))
                            }
                            (Some(trouble), waiting) => {
                                (waiting) " waiting: " (sanitize(trouble))
                            }
                            (None, 0) => "nothing waiting",
                            (None, waiting) => { (waiting) " waiting" }
                        }
                        @if let Some(last) = channel.last_delivered {
                            "; last delivered " (format_local(last, &view.settings.timezone))
                        }
                        @if channel.undelivered > 0 {
                            "; " (channel.undelivered) " given up, not delivered"
                        }
                    }
                }
            }
        }
    }
}

/// Why events that were not rejected wait.
fn delivery_problem(channel: &ChannelState) -> Option<&str> {
    let trouble = channel.trouble.as_deref()?;
    (channel.refusal.as_deref() != Some(trouble)).then_some(trouble)
}

/// What is over.
fn alert_history(view: &PageContext, incidents: &Result<Vec<Incident>, String>) -> Markup {
    let is_open = |incident: &&Incident| {
        let mut open = view.snapshot.alerts.iter();
        incident.ended.is_none() && open.any(|alert| *alert.name == *incident.alert)
    };
    html! {
        h2 { "Alert history" }
        @match incidents {
            Err(_) => p class="notice" { "The history cannot be read right now." },
            Ok(incidents) if incidents.iter().all(|it| is_open(&it)) => p { "No earlier alerts." },
            Ok(incidents) => {
                table {
                    thead {
                        tr {
                            th scope="col" { "Alert" }
                            th scope="col" { "Started" }
                            th scope="col" { "Duration" }
                            th scope="col" { "Message" }
                            th scope="col" { "Delivered" }
                        }
                    }
                    tbody {
                        @for incident in incidents.iter().filter(|it| !is_open(it)) {
                            (incident_row(view, incident))
                        }
                    }
                }
            }
        }
    }
}

fn incident_row(view: &PageContext, incident: &Incident) -> Markup {
    html! {
        tr {
            th scope="row" { (alert_link(view, &incident.alert)) }
            td data-label="Started" {
                (format_since(view, incident.since, incident.since_is_trusted))
            }
            td data-label="Duration" class="short" {
                @match incident.ended {
                    Some(ended) => (human_duration(ended.since(incident.since))),
                    None => "ongoing",
                }
            }
            td data-label="Message" {
                (capitalised(&sanitize(&incident.text)))
                @if incident.flaps { " It was flapping." }
            }
            td data-label="Delivered" { (deliveries(view, incident)) }
        }
    }
}

fn deliveries(view: &PageContext, incident: &Incident) -> Markup {
    html! {
        @if incident.deliveries.is_empty() && incident.waiting.is_empty() {
            (nothing_delivered(view))
        }
        @for (index, delivery) in incident.deliveries.iter().enumerate() {
            @if index > 0 { br; }
            (delivery_text(view, delivery))
        }
        @for (index, waiting) in incident.waiting.iter().enumerate() {
            @if index > 0 || !incident.deliveries.is_empty() { br; }
            (waiting_text(waiting))
        }
    }
}

/// `recovery by mail, Fri 31 Oct 03:41, attempt 3`.
fn delivery_text(view: &PageContext, delivery: &DeliveryRecord) -> String {
    let ended = &delivery.ended;
    let when = format_local(Wall::from_second(ended.second), &view.settings.timezone);
    let attempts = match ended.attempts {
        0 | 1 => String::new(),
        several => format!(", attempt {several}"),
    };
    let refused = match &ended.refused {
        Some(why) if ended.is_given_up => format!(": not delivered, {}", sanitize(why)),
        Some(why) => format!(": refused, {}", sanitize(why)),
        None => String::new(),
    };
    format!(
        "{} by {}, {when}{attempts}{refused}",
        delivery.kind, delivery.channel
    )
}

/// An event that is not delivered yet.
fn waiting_text(waiting: &WaitingEvent) -> String {
    let had = match waiting.done_recipients.as_slice() {
        [] => String::new(),
        settled => format!(", delivered to {}", settled.join(", ")),
    };
    let why = match &waiting.refused {
        Some(why) => format!(": refused, kept, {}", sanitize(why)),
        None => ": pending".to_owned(),
    };
    format!("{} by {}{had}{why}", waiting.kind, waiting.channel)
}

/// A time from a clock that was not trusted is not shown.
fn format_since(view: &PageContext, wall: Wall, is_sure: bool) -> String {
    if is_sure {
        format_local(wall, &view.settings.timezone)
    } else {
        "unknown (clock not set)".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::open_alert::OpenAlert;
    use crate::domain::outbox::DeliveryEnd;
    use crate::monitor::http::handler::Handler as _;
    use crate::monitor::support::{self as testing, NOW_MS, body, golden, request};

    #[test]
    fn shows_open_alerts_channels_and_history() {
        let mut fixture = testing::healthy().refused_mails(1, "the server answers 550 no");
        fixture.channel.waiting = 3;
        fixture.channel.trouble = Some("mail.example takes no connection".to_owned());
        fixture.channel.undelivered = 4;
        fixture.snapshot.alerts = vec![OpenAlert {
            name: "source:weather".into(),
            since: Wall(NOW_MS - 7_200_000),
            since_is_trusted: true,
            headline: "Weather: no data".into(),
            display_text: "weather: no data".into(),
            message: "weather: no data (http://a.example/v1?key=secret).".to_owned(),
            is_recovering: true,
        }];
        let delivery =
            |kind: &str, at: Wall, attempts: u32, refused: Option<&str>| DeliveryRecord {
                incident: 1,
                channel: "mail".to_owned(),
                kind: kind.to_owned(),
                ended: DeliveryEnd {
                    second: at.second(),
                    attempts,
                    refused: refused.map(str::to_owned),
                    is_given_up: false,
                },
            };
        let incident = |name: &str, ended: Option<Wall>| Incident {
            incident: 1,
            alert: name.to_owned(),
            since: Wall(NOW_MS - 7_200_000),
            since_is_trusted: ended.is_some(),
            ended,
            flaps: ended.is_some(),
            text: format!("{name}: the answer <was> broken."),
            deliveries: match ended {
                Some(ended) => vec![
                    delivery("trigger", ended, 1, None),
                    delivery("recovery", ended, 3, Some("you@example.org: 550 <no>")),
                ],
                None => vec![DeliveryRecord {
                    channel: "webhook".to_owned(),
                    ended: DeliveryEnd {
                        second: NOW_MS / 1000,
                        attempts: 15,
                        refused: Some("HTTP 400".to_owned()),
                        is_given_up: true,
                    },
                    ..delivery("trigger", Wall(NOW_MS), 1, None)
                }],
            },
            waiting: match ended {
                Some(_) => Vec::new(),
                None => vec![WaitingEvent {
                    channel: "mail".to_owned(),
                    kind: "trigger".to_owned(),
                    done_recipients: vec!["me@example.org".to_owned()],
                    refused: Some("you@example.org: 550 <no>".to_owned()),
                }],
            },
        };
        fixture.incidents = vec![
            incident("weather", None),
            incident("meter", Some(Wall(NOW_MS - 3_600_000))),
        ];
        let response = fixture.app().render(&request("/web/alerts", &[]));
        golden("alerts.html", body(&response));
    }
}
