use super::*;
use crate::domain::alert::AlertCommit;
use crate::domain::alert_event::{AlertEventKind, AlertText, WallStamp};
use crate::domain::alert_filter::AlertFilter;
use crate::domain::alert_level::AlertLevel;
use crate::domain::outbox::OutboxChannel;
use crate::domain::plan::KeySelector;
use rusqlite::TransactionBehavior;

const BOTH: [&str; 2] = ["mail", "webhook"];

/// Channels that deliver everything.
pub fn channels(names: &[&str]) -> Vec<OutboxChannel> {
    let channel = |name: &&str| OutboxChannel {
        name: (*name).into(),
        filter: AlertFilter::default(),
    };
    names.iter().map(channel).collect()
}

/// An empty database in memory.
pub fn database() -> Connection {
    let mut connection = Connection::open_in_memory().expect("memory is a database");
    crate::db::schema::create(&mut connection).expect("the tables can be made");
    connection
}

pub fn event(incident: u64, kind: AlertEventKind) -> AlertEvent {
    let told = WallStamp {
        ms: 1_762_027_200_000 + incident as i64 * 60_000,
        is_trusted: true,
    };
    AlertEvent {
        incident,
        alert: format!("source:s{incident}"),
        kind,
        level: AlertLevel::default(),
        at: told,
        since: told,
        lasted_ms: 0,
        text: AlertText::default(),
        last_good: Vec::new(),
        outages: Vec::new(),
        outage_count: 1,
        is_for_own_channel: true,
    }
}

fn commit(events: &[AlertEvent]) -> AlertCommit {
    AlertCommit {
        state: AlertState::new("boot").counting_from(7),
        events: events.to_vec(),
    }
}

fn stored(events: &[AlertEvent]) -> (Connection, OutboxBuffer) {
    let mut connection = database();
    let mut unwritten = OutboxBuffer::default();
    unwritten.add(commit(events), &channels(&BOTH), None);
    assert!(unwritten.is_urgent());
    unwritten.flush(&mut connection).expect("the disk works");
    assert!(unwritten.is_empty());
    (connection, unwritten)
}

fn kinds(pending: &PendingItems) -> Vec<&'static str> {
    pending
        .items
        .iter()
        .map(|item| item.event.kind.name())
        .collect()
}

fn ended(attempts: u32) -> DeliveryEnd {
    DeliveryEnd {
        second: 1_762_027_300,
        attempts,
        refused: None,
        is_given_up: false,
    }
}

/// Each delivery of the newest incident: channel, kind and attempts.
fn told(connection: &Connection) -> Vec<(String, String, u32)> {
    let known = incidents(connection, 1).expect("it can be read");
    let deliveries = known[0].deliveries.iter().cloned();
    deliveries
        .map(|it| (it.channel, it.kind, it.ended.attempts))
        .collect()
}

#[test]
fn deliveries_are_kept_with_their_incident_and_bounded() {
    let both = [
        event(1, AlertEventKind::Trigger),
        event(1, AlertEventKind::Recovery),
    ];
    let (mut connection, mut unwritten) = stored(&both);
    for channel in BOTH {
        let pending = unwritten.pending(Some(&connection), channel);
        let mut ended = ended(2);
        ended.refused = (channel == "webhook").then(|| "it answers HTTP 410".to_owned());
        let outcome = match channel {
            "mail" => DeliveryOutcome::Delivered {
                ids: ids(&pending),
                dropped: 0,
                ended,
            },
            _ => DeliveryOutcome::Undelivered {
                ids: ids(&pending),
                ended,
            },
        };
        // Said twice, as by one who was interrupted: noted once.
        for _ in 0..2 {
            unwritten
                .record(Some(&mut connection), channel, outcome.clone())
                .expect("it is written");
        }
    }
    let row = |channel: &str, kind: &str| (channel.to_owned(), kind.to_owned(), 2);
    let expected = [
        row("mail", "trigger"),
        row("mail", "recovery"),
        row("webhook", "trigger"),
        row("webhook", "recovery"),
    ];
    assert_eq!(told(&connection), expected);
    let known = incidents(&connection, 1).expect("it can be read");
    let last = known[0].deliveries.last().expect("four");
    assert_eq!(last.ended.refused.as_deref(), Some("it answers HTTP 410"));
    let transaction = connection.transaction().expect("it can be written");
    for _ in 0..limits::DELIVERIES {
        record_delivery(&transaction, last).expect("it is written");
    }
    transaction.commit().expect("it is written");
    assert_eq!(told(&connection).len(), limits::DELIVERIES);
}

#[test]
fn deliveries_during_a_disk_failure_are_recorded_afterwards() {
    let mut connection = database();
    let mut unwritten = OutboxBuffer::default();
    unwritten.add(
        commit(&[event(1, AlertEventKind::Trigger)]),
        &channels(&["mail"]),
        None,
    );
    unwritten.mark_disk_failed();
    let pending = unwritten.pending(None, "mail");
    let outcome = DeliveryOutcome::Delivered {
        ids: ids(&pending),
        dropped: 0,
        ended: ended(1),
    };
    unwritten
        .record(None, "mail", outcome)
        .expect("there is nothing to write");
    unwritten.flush(&mut connection).expect("the disk works");
    let expected = ("mail".to_owned(), "trigger".to_owned(), 1);
    assert_eq!(told(&connection), [expected]);
}

fn ids(pending: &PendingItems) -> Vec<i64> {
    pending.items.iter().map(|item| item.id).collect()
}

#[test]
fn events_wait_on_each_channel_until_they_are_delivered() {
    let both = [
        event(1, AlertEventKind::Trigger),
        event(1, AlertEventKind::Recovery),
    ];
    let (mut connection, mut unwritten) = stored(&both);
    let mail = unwritten.pending(Some(&connection), "mail");
    assert_eq!(kinds(&mail), ["trigger", "recovery"]);
    let outcome = DeliveryOutcome::Delivered {
        ids: ids(&mail),
        dropped: 0,
        ended: ended(3),
    };
    unwritten
        .record(Some(&mut connection), "mail", outcome)
        .expect("it is written");
    assert!(
        unwritten
            .pending(Some(&connection), "mail")
            .items
            .is_empty()
    );
    assert_eq!(
        unwritten.pending(Some(&connection), "webhook").items.len(),
        2
    );
}

#[test]
fn an_attempted_event_keeps_its_message_and_starts_a_mail_thread() {
    let (mut connection, mut unwritten) = stored(&[event(1, AlertEventKind::Trigger)]);
    let mail = unwritten.pending(Some(&connection), "mail");
    for message_id in ["first@x", "second@x"] {
        let outcome = DeliveryOutcome::Attempting {
            ids: ids(&mail),
            message_id: message_id.to_owned(),
        };
        unwritten
            .record(Some(&mut connection), "mail", outcome)
            .expect("it is written");
    }
    unwritten.add(
        commit(&[event(1, AlertEventKind::Recovery)]),
        &channels(&BOTH),
        None,
    );
    unwritten.flush(&mut connection).expect("the disk works");
    let mail = unwritten.pending(Some(&connection), "mail");
    let ids: Vec<Option<&str>> = mail
        .items
        .iter()
        .map(|it| it.message_id.as_deref())
        .collect();
    assert_eq!(ids, [Some("first@x"), None]);
    assert_eq!(mail.items[1].thread_root.as_deref(), Some("first@x"));
}

#[test]
fn mail_is_not_asked_to_tell_that_mail_fails() {
    let mut about_mail = event(1, AlertEventKind::Trigger);
    about_mail.alert = "mail".to_owned();
    about_mail.is_for_own_channel = false;
    let (connection, unwritten) = stored(&[about_mail]);
    assert!(
        unwritten
            .pending(Some(&connection), "mail")
            .items
            .is_empty()
    );
    assert_eq!(
        unwritten.pending(Some(&connection), "webhook").items.len(),
        1
    );
}

#[test]
fn a_channel_gets_its_alerts_and_the_end_of_what_it_got() {
    let of_level = |incident: u64, level| AlertEvent {
        level,
        ..event(incident, AlertEventKind::Trigger)
    };
    let ends = |incident: u64| AlertEvent {
        kind: AlertEventKind::Recovery,
        ..of_level(incident, AlertLevel::Warning)
    };
    let filtered = |level, only: &[&str]| {
        vec![OutboxChannel {
            name: "webhook".into(),
            filter: AlertFilter {
                level,
                only: only.iter().map(|it| KeySelector::new(it)).collect(),
            },
        }]
    };
    let mut connection = database();
    let mut unwritten = OutboxBuffer::default();
    let waiting = |unwritten: &OutboxBuffer, connection: &Connection| -> Vec<(u64, &str)> {
        let pending = unwritten.pending(Some(connection), "webhook").items;
        let events = pending.iter().map(|it| &it.event);
        events.map(|it| (it.incident, it.kind.name())).collect()
    };
    let begins = [
        of_level(1, AlertLevel::Info),
        of_level(2, AlertLevel::Warning),
        of_level(3, AlertLevel::Critical),
    ];
    let channels = filtered(AlertLevel::Warning, &["source:s1", "source:s2"]);
    unwritten.add(commit(&begins), &channels, Some(&connection));
    unwritten.flush(&mut connection).expect("the disk works");
    assert_eq!(waiting(&unwritten, &connection), [(2, "trigger")]);
    // With another configuration it gets no alerts of that level, but the end of that one.
    let channels = filtered(AlertLevel::Critical, &[]);
    unwritten.add(commit(&[ends(1), ends(2)]), &channels, Some(&connection));
    unwritten.flush(&mut connection).expect("the disk works");
    let both = [(2, "trigger"), (2, "recovery")];
    assert_eq!(waiting(&unwritten, &connection), both);
    // What was delivered counts too.
    let pending = unwritten.pending(Some(&connection), "webhook");
    let delivered = DeliveryOutcome::Delivered {
        ids: ids(&pending),
        dropped: 0,
        ended: DeliveryEnd::default(),
    };
    unwritten
        .record(Some(&mut connection), "webhook", delivered)
        .expect("it is written");
    unwritten.add(commit(&[ends(2), ends(3)]), &channels, Some(&connection));
    unwritten.flush(&mut connection).expect("the disk works");
    assert_eq!(waiting(&unwritten, &connection), [(2, "recovery")]);
}

#[test]
fn the_alert_of_a_failing_disk_is_delivered() {
    let mut connection = database();
    connection
        .pragma_update(None, "query_only", true)
        .expect("it is a pragma");
    let mut unwritten = OutboxBuffer::default();
    unwritten.add(
        commit(&[event(1, AlertEventKind::Trigger)]),
        &channels(&BOTH),
        None,
    );
    assert!(
        unwritten
            .pending(Some(&connection), "mail")
            .items
            .is_empty(),
        "not before the disk was asked"
    );
    unwritten
        .flush(&mut connection)
        .expect_err("the disk refuses");
    let mail = unwritten.pending(Some(&connection), "mail");
    assert_eq!(kinds(&mail), ["trigger"]);
    let trying = DeliveryOutcome::Attempting {
        ids: ids(&mail),
        message_id: "m@x".to_owned(),
    };
    unwritten
        .record(Some(&mut connection), "mail", trying)
        .expect("it is kept here");
    // The disk works again while the mail is under way.
    connection
        .pragma_update(None, "query_only", false)
        .expect("it is a pragma");
    unwritten.flush(&mut connection).expect("the disk works");
    let now = unwritten.pending(Some(&connection), "mail");
    assert_eq!(now.items[0].message_id.as_deref(), Some("m@x"));
    let delivered = DeliveryOutcome::Delivered {
        ids: ids(&mail),
        dropped: 0,
        ended: ended(3),
    };
    unwritten
        .record(Some(&mut connection), "mail", delivered)
        .expect("it is written");
    assert!(
        unwritten
            .pending(Some(&connection), "mail")
            .items
            .is_empty()
    );
    assert_eq!(incidents(&connection, 10).expect("it reads")[0].incident, 1);
}

#[test]
fn an_outcome_that_the_disk_refuses_counts_at_once_and_is_written_later() {
    let (mut connection, mut unwritten) = stored(&[event(1, AlertEventKind::Trigger)]);
    connection
        .pragma_update(None, "query_only", true)
        .expect("it is a pragma");
    let ids = ids(&unwritten.pending(Some(&connection), "mail"));
    let delivered = DeliveryOutcome::Delivered {
        ids,
        dropped: 0,
        ended: Default::default(),
    };
    unwritten
        .record(Some(&mut connection), "mail", delivered)
        .expect_err("the disk refuses");
    assert!(
        unwritten
            .pending(Some(&connection), "mail")
            .items
            .is_empty()
    );
    connection
        .pragma_update(None, "query_only", false)
        .expect("it is a pragma");
    unwritten.flush(&mut connection).expect("the disk works");
    assert!(
        pending(&connection, "mail")
            .expect("it reads")
            .items
            .is_empty()
    );
}

#[test]
fn excess_events_are_dropped_counted_and_reported() {
    let events: Vec<AlertEvent> = (1..=limits::OUTBOX_ROWS as u64 + 3)
        .map(|incident| event(incident, AlertEventKind::Trigger))
        .collect();
    let (connection, unwritten) = stored(&events);
    let mail = unwritten.pending(Some(&connection), "mail");
    assert_eq!(mail.items.len(), limits::OUTBOX_ROWS);
    assert_eq!(mail.dropped, 3);
    assert_eq!(mail.items[0].event.incident, 4, "the oldest went");
}

fn refusal(why: &str) -> DeliveryRefusal {
    DeliveryRefusal {
        since: 1_762_027_200,
        last: 1_762_027_300,
        days: 2,
        why: why.to_owned(),
        config_fingerprint: 7,
    }
}

/// Every story is told twice: on the disk, and in memory while the disk refuses all.
fn on_disk_and_in_memory(story: impl Fn(&mut OutboxBuffer, Option<&mut Connection>)) {
    let both = [
        event(1, AlertEventKind::Trigger),
        event(2, AlertEventKind::Trigger),
    ];
    let (mut connection, mut unwritten) = stored(&both);
    story(&mut unwritten, Some(&mut connection));
    let mut unwritten = OutboxBuffer::default();
    unwritten.add(commit(&both), &channels(&BOTH), None);
    unwritten.mark_disk_failed();
    story(&mut unwritten, None);
    // And what memory knows comes to the disk.
    let mut connection = database();
    let before = unwritten.pending(None, "mail");
    unwritten.flush(&mut connection).expect("the disk works");
    let after = unwritten.pending(Some(&connection), "mail");
    let what = |pending: &PendingItems| -> Vec<(Option<DeliveryRefusal>, Option<String>)> {
        let items = pending.items.iter();
        items
            .map(|it| (it.refusal.clone(), it.message_id.clone()))
            .collect()
    };
    assert_eq!(what(&before), what(&after));
    assert_eq!(before.undelivered, after.undelivered);
}

#[test]
fn what_is_refused_stays_with_its_reason_and_without_a_message() {
    on_disk_and_in_memory(|unwritten, mut connection| {
        let all = ids(&unwritten.pending(connection.as_deref(), "mail"));
        let outcomes = [
            DeliveryOutcome::Attempting {
                ids: all.clone(),
                message_id: "first@x".to_owned(),
            },
            DeliveryOutcome::Split { ids: all.clone() },
            DeliveryOutcome::Attempting {
                ids: vec![all[0]],
                message_id: "second@x".to_owned(),
            },
            DeliveryOutcome::Refused {
                ids: vec![all[0]],
                refusal: refusal("HTTP 413"),
            },
        ];
        for outcome in outcomes {
            unwritten
                .record(connection.as_deref_mut(), "mail", outcome)
                .expect("it is written");
        }
        let mail = unwritten.pending(connection.as_deref(), "mail");
        let expected = [(Some(refusal("HTTP 413")), None), (None, None)];
        let found: Vec<(Option<DeliveryRefusal>, Option<String>)> = mail
            .items
            .iter()
            .map(|it| (it.refusal.clone(), it.message_id.clone()))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(mail.undelivered, 0);
        if let Some(connection) = connection {
            assert_eq!(count_refused(connection, "mail"), Ok(1));
            assert_eq!(count_refused(connection, "webhook"), Ok(0));
            let known = incidents(connection, 10).expect("it reads");
            assert_eq!(known[1].deliveries, []);
            let why = known[1].waiting[0].refused.as_deref();
            assert_eq!(why, Some("HTTP 413"), "the history says so");
        }
    });
}

#[test]
fn what_is_given_up_is_not_delivered_in_the_history_and_counted() {
    on_disk_and_in_memory(|unwritten, mut connection| {
        let all = ids(&unwritten.pending(connection.as_deref(), "mail"));
        let outcome = DeliveryOutcome::Undelivered {
            ids: vec![all[0]],
            ended: DeliveryEnd {
                refused: Some("HTTP 413".to_owned()),
                is_given_up: true,
                ..ended(15)
            },
        };
        // Said twice, as by one who was interrupted: counted once.
        for _ in 0..2 {
            unwritten
                .record(connection.as_deref_mut(), "mail", outcome.clone())
                .expect("it is written");
        }
        let mail = unwritten.pending(connection.as_deref(), "mail");
        assert_eq!((mail.items.len(), mail.undelivered), (1, 1));
        if let Some(connection) = connection {
            let known = incidents(connection, 10).expect("it reads");
            assert!(known[1].deliveries[0].ended.is_given_up);
        }
    });
}

#[test]
fn a_full_outbox_drops_what_was_refused_first() {
    let full: Vec<AlertEvent> = (1..=limits::OUTBOX_ROWS as u64)
        .map(|incident| event(incident, AlertEventKind::Trigger))
        .collect();
    let more =
        [500, 501].map(|more| event(limits::OUTBOX_ROWS as u64 + more, AlertEventKind::Trigger));
    let story = |unwritten: &mut OutboxBuffer, mut connection: Option<&mut Connection>| {
        let all = ids(&unwritten.pending(connection.as_deref(), "mail"));
        let outcome = DeliveryOutcome::Refused {
            ids: vec![all[100], all[200], all[300]],
            refusal: refusal("HTTP 400"),
        };
        unwritten
            .record(connection.as_deref_mut(), "mail", outcome)
            .expect("it is written");
        unwritten.add(commit(&more), &channels(&["mail"]), None);
        if let Some(connection) = connection.as_deref_mut() {
            unwritten.flush(connection).expect("the disk works");
        }
        let mail = unwritten.pending(connection.as_deref(), "mail");
        assert_eq!(mail.items.len(), limits::OUTBOX_ROWS);
        assert_eq!((mail.dropped, mail.undelivered), (2, 2));
        let left: Vec<u64> = mail
            .items
            .iter()
            .filter(|it| it.refusal.is_some())
            .map(|it| it.event.incident)
            .collect();
        assert_eq!(left, [301], "the oldest refused went");
        assert_eq!(mail.items[0].event.incident, 1);
    };
    let (mut connection, mut unwritten) = stored(&full);
    story(&mut unwritten, Some(&mut connection));
    let known = incidents(&connection, limits::INCIDENTS).expect("it reads");
    let of_101 = known.iter().find(|it| it.incident == 101).expect("known");
    let ended = &of_101.deliveries[0].ended;
    assert!(
        ended.is_given_up
            && ended
                .refused
                .as_deref()
                .is_some_and(|it| it.contains("dropped"))
    );
    let mut unwritten = OutboxBuffer::default();
    unwritten.add(commit(&full), &channels(&["mail"]), None);
    unwritten.mark_disk_failed();
    story(&mut unwritten, None);
}

#[test]
fn state_and_history_are_read_back() {
    let both = [
        event(1, AlertEventKind::Trigger),
        event(2, AlertEventKind::Flapping),
        event(1, AlertEventKind::Recovery),
    ];
    let (connection, _) = stored(&both);
    let state = read_state(&connection, "boot")
        .expect("it reads")
        .expect("it is there");
    assert_eq!(state, AlertState::new("boot").counting_from(7));
    let history = incidents(&connection, 10).expect("it reads");
    let rows: Vec<(u64, bool, bool)> = history
        .iter()
        .map(|it| (it.incident, it.ended.is_some(), it.flaps))
        .collect();
    assert_eq!(rows, [(2, false, true), (1, true, false)]);
}

#[test]
fn an_unreadable_alert_state_is_reset_and_counts_on_from_the_history() {
    let (mut connection, _) = stored(&[event(5, AlertEventKind::Trigger)]);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .expect("it begins");
    transaction
        .execute(
            "UPDATE alert_state SET state = '{\"of\": \"tomorrow\"}'",
            [],
        )
        .expect("it is written");
    transaction.commit().expect("it commits");
    let state = read_state(&connection, "boot")
        .expect("it reads")
        .expect("anew");
    assert_eq!(state, AlertState::new("boot").counting_from(5));
}
