//! Tests of the messages of push displays.

use std::collections::BTreeMap;

use super::*;
use crate::config::{AwtrixSettings, LifetimeMode, PushTemplates};
use crate::domain::freshness::Stamp;
use crate::domain::plan::{Bounds, KeyPlan, KeySelector};
use crate::domain::reading::Value;
use crate::domain::snapshot::Record;
use crate::domain::template::{TemplatePlace, TextTemplate};
use crate::domain::time::{ClockTrust, Wall};
use crate::outputs::{LatestSnapshot, SharedOutputStatus};
use crate::sys::clock::ManualClock;
use crate::sys::http_client::HttpResponse;
use crate::sys::tls::TrustSettings;

const NOW: Moment = Moment {
    mono: Mono(60_000),
    wall: Wall(1_762_027_200_000),
    trust: ClockTrust::Trusted,
};

fn record(key: &str, value: Value, unit: &str) -> Record {
    Record {
        key: key.into(),
        value,
        unit: Some(unit).filter(|it| !it.is_empty()).map(Into::into),
        stamp: Stamp::received(NOW, None),
        stale: false,
        stale_after: Duration::from_secs(60),
        sources: Vec::new(),
        today: None,
        is_boolean: false,
    }
}

fn snapshot(records: Vec<Record>) -> Snapshot {
    Snapshot {
        records,
        ..Snapshot::empty(NOW)
    }
}

fn numbers(keys: &[&str]) -> Snapshot {
    let records = keys.iter().map(|key| record(key, Value::Number(1.0), ""));
    snapshot(records.collect())
}

fn display(lifetime_mode: LifetimeMode) -> AwtrixDisplay {
    AwtrixDisplay::new(
        "http://awtrix.local".to_owned(),
        "my pi",
        AwtrixSettings {
            lifetime: Duration::from_secs(300),
            lifetime_mode,
            label: None,
            icons: vec![("icon.*".to_owned(), "27464".to_owned())],
        },
        Vec::new(),
        Vec::new(),
    )
}

fn apps(display: &AwtrixDisplay, plan: &Plan, records: Vec<Record>) -> Vec<serde_json::Value> {
    let (messages, left_out) = display.messages(&snapshot(records), plan);
    assert_eq!(left_out, 0);
    let bodies = messages.iter().map(|it| serde_json::from_str(&it.body));
    bodies.collect::<Result<_, _>>().expect("each is JSON")
}

#[test]
fn an_app_has_the_text_and_the_colour_that_pages_have() {
    let above = |limit| Bounds {
        above: Some(limit),
        below: None,
    };
    let plan = Plan {
        keys: BTreeMap::from([(
            "co2".into(),
            KeyPlan {
                label: Some("CO₂".into()),
                warn: above(1000.0),
                bad: above(1400.0),
                ..KeyPlan::default()
            },
        )]),
        ..Plan::default()
    };
    let display = display(LifetimeMode::Delete);
    for (key, value, unit, text, color) in [
        ("co2", Value::Number(800.0), "ppm", "CO2 800 ppm", None),
        (
            "co2",
            Value::Number(1200.0),
            "ppm",
            "CO2 1 200 ppm",
            Some("#FFA500"),
        ),
        (
            "co2",
            Value::Number(1500.0),
            "ppm",
            "CO2 1 500 ppm",
            Some("#FF0000"),
        ),
        ("icon.t", Value::Number(-5.5), "°C", "-5.5 °C", None),
        (
            "icon.sky",
            Value::Text("Grün € 温".into()),
            "",
            "Grün € ?",
            None,
        ),
        // A display reads a topic of its broker between two braces.
        (
            "icon.sky",
            Value::Text("{{{a}}}".into()),
            "",
            "{ { {a}}}",
            None,
        ),
    ] {
        let app = apps(&display, &plan, vec![record(key, value, unit)]).remove(0);
        assert_eq!(app["text"], text);
        assert_eq!(app.get("color").and_then(|it| it.as_str()), color, "{text}");
        assert_eq!(app["lifetime"], 300);
        let icon = key.starts_with("icon").then_some("27464");
        assert_eq!(app.get("icon").and_then(|it| it.as_str()), icon, "{text}");
    }
}

#[test]
fn a_stale_value_is_taken_off_the_display_or_marked() {
    let stale = Record {
        stale: true,
        ..record("t", Value::Number(1.0), "")
    };
    let plan = Plan::default();
    assert!(apps(&display(LifetimeMode::Delete), &plan, vec![stale.clone()]).is_empty());
    let app = apps(&display(LifetimeMode::Mark), &plan, vec![stale]).remove(0);
    assert_eq!(app["color"], "#808080");
    // Its red frame comes at once.
    assert_eq!(
        (&app["lifetime"], &app["lifetimeMode"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn no_name_of_an_app_begins_with_another() {
    let keys = [
        "a", "a.b", "a.b.c", "a_b", "a b", "a!20b", "a~", "a~b", "ä", "A", "my", "my pi~a",
    ];
    let display = display(LifetimeMode::Delete);
    let (messages, _) = display.messages(&numbers(&keys), &Plan::default());
    let names: Vec<&str> = messages.iter().map(|it| &*it.about).collect();
    assert_eq!(names.len(), keys.len());
    for (at, name) in names.iter().enumerate() {
        let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!".contains(&byte);
        assert!(name.bytes().all(is_safe), "{name}");
        let mut others = names.iter().enumerate().filter(|(other, _)| *other != at);
        assert!(!others.any(|(_, other)| other.starts_with(name)), "{name}");
    }
    let list = format!(
        r#"{{"Time":0,"{}":1,"main-node~my~a~":2,"main-node~my!20p"#,
        names[0]
    );
    assert_eq!(display.own_apps(&list), [names[0]]);
}

#[test]
fn a_display_has_room_for_so_many_apps() {
    let keys: Vec<String> = (0..23).map(|at| format!("k{at}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (messages, left_out) =
        display(LifetimeMode::Delete).messages(&numbers(&keys), &Plan::default());
    assert_eq!((messages.len(), left_out), (20, 3));
}

fn receiver(url: &str, body: &str, keys: &[&str]) -> TemplateReceiver {
    let names = [
        "key",
        "value",
        "unit",
        "label",
        "text",
        "stale",
        "timestamp",
        "node",
        "alert",
    ];
    let template = |text, place| TextTemplate::parse(text, place, &names).expect("a template");
    TemplateReceiver {
        templates: PushTemplates {
            url: template(url, TemplatePlace::Url),
            headers: Vec::new(),
            body: Some(template(body, TemplatePlace::Json)),
            body_text: None,
            is_per_key: body.contains("{key}"),
        },
        method: Method::POST,
        keys: keys.iter().map(|key| KeySelector::new(key)).collect(),
        headers: Vec::new(),
        node: "pi".into(),
    }
}

#[test]
fn a_template_is_filled_for_each_key() {
    let body =
        r#"{"k":"{key}","v":{value},"u":"{unit}","s":{stale},"n":"{node}","t":"{timestamp}"}"#;
    let receiver = receiver("http://a.local/x?k={key}", body, &["b\"", "a*"]);
    let records = vec![
        record("c", Value::Number(1.0), ""),
        record("a&a", Value::Text("x\"".into()), ""),
        record("b\"", Value::Number(2.5), "W"),
    ];
    let (messages, _) = receiver.messages(&snapshot(records), &Plan::default());
    let sent: Vec<_> = messages
        .iter()
        .map(|it| (it.url.as_str(), it.body.as_str()))
        .collect();
    assert_eq!(
        sent,
        [
            (
                "http://a.local/x?k=b%22",
                r#"{"k":"b\"","v":2.5,"u":"W","s":false,"n":"pi","t":"2025-11-01T20:00:00Z"}"#
            ),
            (
                "http://a.local/x?k=a%26a",
                r#"{"k":"a&a","v":"x\"","u":"","s":false,"n":"pi","t":"2025-11-01T20:00:00Z"}"#
            ),
        ]
    );
}

#[test]
fn a_time_alone_is_no_change_of_the_content() {
    let later = |record: &Record| Record {
        stamp: Stamp::received(NOW, Some(Wall(NOW.wall.0 - 5000))),
        ..record.clone()
    };
    let one = record("a", Value::Number(1.0), "");
    let (first, second) = (snapshot(vec![one.clone()]), snapshot(vec![later(&one)]));
    let digest = |receiver: &TemplateReceiver, snapshot: &Snapshot| {
        receiver.messages(snapshot, &Plan::default()).0[0].digest
    };
    for (body, has_time) in [
        (r#"{"{key}":"{timestamp}"}"#, true),
        (r#"{"{key}":{value}}"#, false),
        (r#"{"at":"{timestamp}"}"#, true),
    ] {
        let receiver = receiver("http://a.local/", body, &[]);
        let (before, after) = (digest(&receiver, &first), digest(&receiver, &second));
        assert_eq!(before.content, after.content, "{body}");
        assert_eq!(before.times != after.times, has_time, "{body}");
    }
    let json = SnapshotReceiver {
        url: "http://a.local/".to_owned(),
        method: Method::POST,
        keys: Vec::new(),
        headers: Vec::new(),
    };
    let (before, after) = (json.messages(&first).0, json.messages(&second).0);
    assert_eq!(before[0].digest.content, after[0].digest.content);
    assert_ne!(before[0].digest.times, after[0].digest.times);
}

#[test]
fn answers_tell_a_wrong_message_from_a_wrong_receiver() {
    let answer = |status| HttpResponse {
        status,
        ..HttpResponse::default()
    };
    let kind = |status, is_awtrix| match classify(&answer(status), is_awtrix) {
        PushAnswer::Accepted(_) => "accepted",
        PushAnswer::Refused(_) => "refused",
        PushAnswer::Failed(..) => "failed",
        PushAnswer::Unreachable(_) => "unreachable",
    };
    for (status, generic, awtrix) in [
        (200, "accepted", "accepted"),
        (204, "accepted", "accepted"),
        (400, "refused", "refused"),
        (401, "failed", "failed"),
        (404, "failed", "failed"),
        (422, "refused", "refused"),
        (429, "failed", "failed"),
        (500, "failed", "refused"),
        (503, "failed", "failed"),
    ] {
        assert_eq!(
            (kind(status, false), kind(status, true)),
            (generic, awtrix),
            "{status}"
        );
    }
}

#[test]
fn messages_that_a_snapshot_brings_during_a_pause_wait() {
    let receiver = receiver("http://a.local/x?k={key}", r#"{"k":"{key}"}"#, &["a", "b"]);
    let pacing = Pacing {
        every: Duration::from_secs(1),
        refresh: None,
        can_remove: false,
    };
    let mut output = PushOutput {
        name: "push pi".into(),
        origin: "http://a.local".into(),
        headers: Vec::new(),
        receiver: PushReceiver::Template(receiver),
        plan: Arc::default(),
        trust: TrustSettings::default(),
        queue: PushQueue::new(pacing),
        current: None,
        failures: 1,
        paused_until: NOW.mono.after(Duration::from_secs(60)),
        clear_at: None,
        refused: None,
    };
    let context = |snapshot| OutputContext {
        snapshots: LatestSnapshot::new(Arc::new(snapshot)),
        status: SharedOutputStatus::new("push pi", "", Arc::default()),
        stop: StopToken::default(),
        clock: Arc::new(ManualClock::new(NOW)),
    };
    for (keys, waiting) in [(&["a"][..], 1), (&["a", "b"], 2)] {
        let context = context(numbers(keys));
        assert_eq!(output.step(&context), Duration::from_secs(60));
        assert_eq!(context.status.get().waiting, Some(waiting));
    }
}
