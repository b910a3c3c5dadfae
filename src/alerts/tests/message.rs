//! Golden tests of alert messages: each kind of message, whole.

use super::*;
use crate::alerts::channels::mail_message::{Envelope, mime_message};
use crate::config::Mailbox;
use crate::domain::alert_event::{AlertOutage, AlertText, LastGood};
use crate::domain::alert_level::AlertLevel;
use crate::domain::time::{ClockTrust, Mono};

/// Saturday, 1 November 2025, 02:10 in Berlin.
const BEGAN: i64 = 1_761_959_400_000;
const MINUTE: i64 = 60_000;

fn sender() -> SenderInfo {
    SenderInfo {
        node: "pi-küche".to_owned(),
        page: "http://main-node.local:8000".to_owned(),
        // Central European winter time, whether or not this machine has tzdata.
        zone: TimeZone::posix("CET-1").expect("a zone"),
    }
}

fn stamp_at(minutes: i64) -> WallStamp {
    WallStamp {
        ms: BEGAN + minutes * MINUTE,
        is_trusted: true,
    }
}

fn at(minutes: i64) -> Moment {
    Moment {
        mono: Mono(0),
        wall: stamp_at(minutes).wall(),
        trust: ClockTrust::Trusted,
    }
}

fn event(kind: AlertEventKind, minutes: i64) -> AlertEvent {
    AlertEvent {
        incident: 12,
        alert: "source:weather".to_owned(),
        kind,
        level: AlertLevel::default(),
        at: stamp_at(minutes),
        since: stamp_at(0),
        lasted_ms: (minutes * MINUTE) as u64,
        text: AlertText {
            about: "Weather".to_owned(),
            problem: "no data".to_owned(),
            cause: "cannot resolve name".to_owned(),
            cause_name: "dns".to_owned(),
            detail: "The name api.open-meteo.com cannot be resolved.".to_owned(),
            displays: "Displays keep showing the last good values, marked as stale.".to_owned(),
            node_does: "It keeps retrying, every 15 min or a little less often, and sends a \
                        message when data is back."
                .to_owned(),
            check: vec!["whether the router and the Wi-Fi are up".to_owned()],
            short: "weather: no data".to_owned(),
            labelled: None,
        },
        last_good: vec![
            LastGood {
                key: "temperature".to_owned(),
                value: "21.4".to_owned(),
                unit: "°C".to_owned(),
                label: String::new(),
                shown: String::new(),
                observed_ms: BEGAN - 10 * MINUTE,
            },
            LastGood {
                key: "sky".to_owned(),
                value: "<b>wolkig & kühl</b>".to_owned(),
                unit: String::new(),
                label: String::new(),
                shown: String::new(),
                observed_ms: BEGAN - 25 * 60 * MINUTE,
            },
        ],
        outages: Vec::new(),
        outage_count: 1,
        is_for_own_channel: true,
    }
}

fn item(event: AlertEvent) -> OutboxItem {
    OutboxItem {
        id: 1,
        event,
        message_id: None,
        done_recipients: Vec::new(),
        refusal: None,
        thread_root: None,
    }
}

fn mailbox(name: &str, address: &str) -> Mailbox {
    Mailbox {
        name: (!name.is_empty()).then(|| name.to_owned()),
        address: address.to_owned(),
    }
}

/// The mail as a golden: headers and parts as they go over the wire.
fn check(name: &str, items: &[OutboxItem], dropped: u64, now: Moment, delayed_by: Option<&str>) {
    let message = compose(items, dropped, &sender(), now, delayed_by);
    let to = [
        mailbox("", "you@example.org"),
        mailbox("", "me@example.org"),
    ];
    let envelope = Envelope {
        message_id: "main-node.1@example.org",
        from: &mailbox("", "node@example.org"),
        to: &to,
        date: now.wall,
    };
    let mail = mime_message(&message, &envelope, &sender());
    let mail = String::from_utf8(mail)
        .expect("a mail is text")
        .replace("\r\n", "\n");
    let shown = format!(
        "== subject\n{}\n== text\n{}\n== html\n{}\n== wire\n{mail}",
        message.subject, message.text, message.html
    );
    crate::golden::check(name, &shown);
}

#[test]
fn trigger_mail() {
    let items = [item(event(AlertEventKind::Trigger, 15))];
    check("mail-trigger.txt", &items, 0, at(15), None);
}

#[test]
fn a_reminder_replies_to_the_trigger() {
    let mut reminder = item(event(AlertEventKind::Reminder, 255));
    reminder.thread_root = Some("main-node.0@example.org".to_owned());
    check("mail-reminder.txt", &[reminder], 0, at(255), None);
}

#[test]
fn a_recovery_replies_to_the_trigger() {
    let mut end = item(event(AlertEventKind::Recovery, 90));
    end.thread_root = Some("main-node.0@example.org".to_owned());
    check("mail-recovery.txt", &[end], 0, at(90), None);
}

#[test]
fn a_trigger_delayed_past_its_recovery_is_one_message() {
    let items = [
        item(event(AlertEventKind::Trigger, 15)),
        item(event(AlertEventKind::Recovery, 90)),
    ];
    let why = Some("resolve: no network");
    check("mail-late.txt", &items, 0, at(103), why);
}

#[test]
fn queued_events_are_sent_in_one_mail() {
    let mut other = event(AlertEventKind::Trigger, 16);
    other.incident = 13;
    other.text.about = "Meter".to_owned();
    let items = [
        item(event(AlertEventKind::Trigger, 15)),
        item(other),
        item(event(AlertEventKind::Recovery, 90)),
    ];
    let why = Some("connect: no route.");
    check("mail-several.txt", &items, 3, at(36 * 60), why);
}

#[test]
fn flapping_and_its_recovery_list_the_outages() {
    let outage = |from: i64, until: Option<i64>| AlertOutage {
        from: stamp_at(from),
        until: until.map(stamp_at),
    };
    let mut flapping = event(AlertEventKind::Flapping, 62);
    flapping.since = stamp_at(60);
    flapping.outages = vec![outage(0, Some(10)), outage(30, Some(41)), outage(60, None)];
    flapping.outage_count = 3;
    check(
        "mail-flapping.txt",
        &[item(flapping.clone())],
        0,
        at(62),
        None,
    );
    flapping.kind = AlertEventKind::Recovery;
    flapping.at = stamp_at(180);
    check(
        "mail-flapping-recovery.txt",
        &[item(flapping)],
        0,
        at(180),
        None,
    );
}

#[test]
fn without_a_trusted_clock_no_wall_time_is_shown() {
    let mut untrusted = event(AlertEventKind::Trigger, 15);
    untrusted.since.is_trusted = false;
    untrusted.at.is_trusted = false;
    let now = Moment {
        wall: Wall(0),
        trust: ClockTrust::Untrusted,
        ..at(0)
    };
    let message = compose(&[item(untrusted)], 0, &sender(), now, Some("no network"));
    assert_eq!(
        message.subject,
        "[main-node] Weather: no data for 15 min (cannot resolve name)"
    );
    let opening = message.text.lines().next().unwrap_or_default();
    assert!(!opening.contains("2025"), "{opening}");
}

#[test]
fn line_breaks_in_a_source_name_do_not_add_headers() {
    let mut bad = event(AlertEventKind::Trigger, 15);
    bad.text.about = "x\r\nBcc: everybody@example.org\r\n".to_owned();
    let message = compose(&[item(bad)], 0, &sender(), at(15), None);
    let envelope = Envelope {
        message_id: "main-node.1@example.org",
        from: &mailbox("", "node@example.org"),
        to: &[mailbox("", "you@example.org")],
        date: at(15).wall,
    };
    let mail = mime_message(&message, &envelope, &sender());
    let mail = String::from_utf8(mail).expect("a mail is text");
    let heads = mail.split("\r\n\r\n").next().expect("headers");
    assert!(
        !heads.lines().any(|line| line.starts_with("Bcc")),
        "{heads}"
    );
}

/// Headers as RFC 5322 and RFC 2047 write them; base64 of the names by `base64(1)`.
#[test]
fn names_of_sender_and_recipients_are_in_the_headers() {
    let message = compose(
        &[item(event(AlertEventKind::Trigger, 15))],
        0,
        &sender(),
        at(15),
        None,
    );
    let to = [
        mailbox("Jürgen", "me@example.org"),
        mailbox("Miller, Ann \"A\"", "ann@example.org"),
        mailbox("", "you@example.org"),
    ];
    let envelope = Envelope {
        message_id: "main-node.1@example.org",
        from: &mailbox("Wetterstation", "node@example.org"),
        to: &to,
        date: at(15).wall,
    };
    let mail = mime_message(&message, &envelope, &sender());
    let mail = String::from_utf8(mail).expect("a mail is text");
    let heads = mail.split("\r\n\r\n").next().expect("headers");
    let heads = heads.replace("\r\n ", " ");
    let line = |name: &str| heads.lines().find_map(|line| line.strip_prefix(name));
    assert_eq!(
        line("From: "),
        Some("\"Wetterstation\" <node@example.org>"),
        "{heads}"
    );
    assert_eq!(
        line("To: "),
        Some(
            "=?utf-8?Q?J=C3=BCrgen?= <me@example.org>, \"Miller, Ann \\\"A\\\"\" \
             <ann@example.org>, <you@example.org>"
        ),
        "{heads}"
    );
}
