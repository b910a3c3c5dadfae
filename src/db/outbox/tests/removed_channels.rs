use super::*;
use crate::db::outbox::tests::{channels, database, event};
use crate::db::outbox::{incidents, pending};
use crate::domain::alert_event::AlertEventKind;
use crate::domain::outbox::DeliveryOutcome;

const DAY: i64 = 86_400;

fn counts(count: u64) -> BTreeMap<String, u64> {
    match count {
        0 => BTreeMap::new(),
        count => BTreeMap::from([("old".to_owned(), count)]),
    }
}

#[test]
fn alerts_of_a_removed_channel_are_given_up_after_two_weeks() {
    let mut connection = database();
    let configured = channels(&["phone"]);
    let transaction = connection.transaction().expect("it is free");
    for (channel, incident) in [("old", 1), ("phone", 1), ("old", 2)] {
        let event = event(incident, AlertEventKind::Trigger);
        crate::db::outbox::record_incident(&transaction, &event).expect("it is written");
        crate::db::outbox::append(&transaction, channel, &event).expect("it is written");
    }
    transaction.commit().expect("it is written");
    let start = Wall::from_second(1_762_027_200);
    // (days later, kept, given up); an hour later is the same day, an earlier clock another.
    let mut seconds = vec![(0, 2, 0), (3_600, 2, 0), (-5 * DAY, 2, 0)];
    seconds.extend((1..13).map(|day| ((day - 5) * DAY, 2, 0)));
    seconds.extend([(8 * DAY, 0, 2), (9 * DAY, 0, 0)]);
    for (second, kept, given_up) in seconds {
        let now = Wall::from_second(start.second() + second);
        let found = age_removed_channels(&mut connection, &configured, Some(now));
        let expected = RemovedChannels {
            kept: counts(kept),
            given_up: counts(given_up),
        };
        assert_eq!(found, Ok(expected), "{second}");
    }
    let found = age_removed_channels(&mut connection, &[], None).expect("it can be read");
    assert_eq!(found.kept, BTreeMap::from([("phone".to_owned(), 1)]));
    let phone = pending(&connection, "phone").expect("it can be read");
    assert_eq!((phone.items.len(), phone.undelivered), (1, 0));
    assert_eq!(phone.items[0].refusal, None);
    let old = pending(&connection, "old").expect("it can be read");
    assert_eq!((old.items.len(), old.undelivered), (0, 2));
    let known = incidents(&connection, 9).expect("it can be read");
    for incident in known {
        let delivery = &incident.deliveries[0];
        assert!(delivery.ended.is_given_up);
        assert_eq!(delivery.ended.refused.as_deref(), Some(NOT_CONFIGURED));
    }
}

#[test]
fn a_channel_that_comes_back_has_its_alerts() {
    let mut connection = database();
    let transaction = connection.transaction().expect("it is free");
    let event = event(1, AlertEventKind::Trigger);
    let id = crate::db::outbox::append(&transaction, "old", &event).expect("it is written");
    let refusal = DeliveryRefusal {
        since: 1_000,
        last: 90_000,
        days: 3,
        why: "HTTP 404".to_owned(),
        config_fingerprint: 7,
    };
    let (ids, message_id) = (vec![id], "m@x".to_owned());
    let outcomes = [
        DeliveryOutcome::Refused {
            ids: ids.clone(),
            refusal,
        },
        DeliveryOutcome::Attempting { ids, message_id },
    ];
    for outcome in outcomes {
        crate::db::outbox::record(&transaction, "old", &outcome).expect("it is written");
    }
    transaction.commit().expect("it is written");
    for second in [100_000, 100_000 + DAY] {
        let now = Wall::from_second(second);
        age_removed_channels(&mut connection, &[], Some(now)).expect("it is written");
    }
    let back = pending(&connection, "old").expect("it can be read");
    let item = &back.items[0];
    assert_eq!(item.message_id.as_deref(), Some("m@x"));
    let refusal = item.refusal.as_ref().expect("it is kept as refused");
    assert_eq!((refusal.since, refusal.days), (1_000, 4));
    // With another fingerprint than the channel's, it is tried at once.
    assert_eq!(refusal.config_fingerprint, 0);
}
