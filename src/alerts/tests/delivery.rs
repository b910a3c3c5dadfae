//! Delivery worker tests with one channel: batching, retries, refusals, stop.

use super::*;
use crate::alerts::channels::{Attempt, fingerprint};
use crate::domain::alert_event::{AlertEvent, AlertEventKind, AlertText, WallStamp};
use crate::domain::alert_level::AlertLevel;
use crate::domain::outbox::PendingItems;
use crate::domain::time::ClockTrust;
use crate::sys::clock::ManualClock;
use crate::sys::shutdown::StopSource;
use std::sync::{Mutex, MutexGuard, PoisonError};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pending event.
pub fn item(id: i64, message_id: Option<&str>) -> OutboxItem {
    let stamp = WallStamp {
        ms: 1_762_027_200_000,
        is_trusted: true,
    };
    OutboxItem {
        id,
        event: AlertEvent {
            incident: id as u64,
            alert: "source:s".to_owned(),
            kind: AlertEventKind::Trigger,
            level: AlertLevel::default(),
            at: stamp,
            since: stamp,
            lasted_ms: 0,
            text: AlertText::default(),
            last_good: Vec::new(),
            outages: Vec::new(),
            outage_count: 0,
            is_for_own_channel: true,
        },
        message_id: message_id.map(str::to_owned),
        done_recipients: Vec::new(),
        refusal: None,
        thread_root: None,
    }
}

#[derive(Clone, Default)]
struct FakeOutbox {
    items: Arc<Mutex<Vec<OutboxItem>>>,
    outcomes: Arc<Mutex<Vec<String>>>,
    is_requested: Arc<Mutex<bool>>,
    undelivered: Arc<Mutex<u64>>,
}

impl Outbox for FakeOutbox {
    fn pending(&self, _: &str) -> PendingItems {
        PendingItems {
            items: lock(&self.items).clone(),
            dropped: 0,
            undelivered: *lock(&self.undelivered),
        }
    }

    fn is_retry_requested(&self, _: &str) -> bool {
        std::mem::take(&mut *lock(&self.is_requested))
    }

    fn record(&self, _: &str, outcome: DeliveryOutcome) {
        let mut items = lock(&self.items);
        let line = match outcome {
            DeliveryOutcome::Attempting { ids, message_id } => {
                for item in items.iter_mut().filter(|item| ids.contains(&item.id)) {
                    item.message_id.get_or_insert(message_id.clone());
                }
                format!("trying {ids:?}")
            }
            DeliveryOutcome::PartlyDelivered { ids, recipients } => {
                for item in items.iter_mut().filter(|item| ids.contains(&item.id)) {
                    item.done_recipients.extend(recipients.iter().cloned());
                }
                format!("partly {ids:?} {recipients:?}")
            }
            DeliveryOutcome::Delivered { ids, .. } => {
                items.retain(|item| !ids.contains(&item.id));
                format!("delivered {ids:?}")
            }
            DeliveryOutcome::Split { ids } => {
                for item in items.iter_mut().filter(|item| ids.contains(&item.id)) {
                    item.message_id = None;
                }
                format!("split {ids:?}")
            }
            DeliveryOutcome::Refused { ids, refusal } => {
                for item in items.iter_mut().filter(|item| ids.contains(&item.id)) {
                    item.message_id = None;
                    item.refusal = Some(refusal.clone());
                }
                format!("refused {ids:?}")
            }
            DeliveryOutcome::Undelivered { ids, .. } => {
                items.retain(|item| !ids.contains(&item.id));
                *lock(&self.undelivered) += ids.len() as u64;
                format!("undelivered {ids:?}")
            }
        };
        lock(&self.outcomes).push(line);
    }
}

/// A channel with scripted attempts; the last one repeats.
struct ScriptedChannel(Mutex<Vec<(bool, Attempt)>>);

impl Channel for ScriptedChannel {
    fn name(&self) -> &str {
        "mail"
    }

    fn destination(&self) -> String {
        "mail.example:587".to_owned()
    }

    fn deliver(&self, _: &DeliveryBatch<'_>, hooks: DeliveryHooks<'_>) -> Attempt {
        let mut script = lock(&self.0);
        let (reaches_data, attempt) = match script.len() {
            1 => script[0].clone(),
            _ => script.remove(0),
        };
        if reaches_data {
            (hooks.before_data)().expect("it is recorded");
        }
        attempt
    }

    fn message_id_domain(&self) -> String {
        "example.org".to_owned()
    }

    fn config_fingerprint(&self) -> u16 {
        7
    }
}

fn retry_later(why: &str) -> Attempt {
    Attempt {
        retry: Some(why.to_owned()),
        ..Attempt::default()
    }
}

fn moment(seconds: u64) -> Moment {
    Moment {
        mono: Mono(seconds * 1000),
        wall: Wall(1_762_027_200_000),
        trust: ClockTrust::Trusted,
    }
}

fn delivery(outbox: &FakeOutbox, script: Vec<(bool, Attempt)>, gather: u64) -> DeliveryWorker {
    DeliveryWorker::new(
        Box::new(ScriptedChannel(Mutex::new(script))),
        Box::new(outbox.clone()),
        Arc::new(ManualClock::new(moment(0))),
        StopToken::default(),
        Duration::from_secs(gather),
    )
}

fn outbox(items: Vec<OutboxItem>) -> FakeOutbox {
    FakeOutbox {
        items: Arc::new(Mutex::new(items)),
        ..FakeOutbox::default()
    }
}

#[test]
fn events_within_the_batch_delay_go_in_one_message() {
    let outbox = outbox(vec![item(1, None)]);
    let mut delivery = delivery(&outbox, vec![(true, Attempt::default())], 10);
    assert_eq!(delivery.deliver_due(moment(0)), Duration::from_secs(10));
    lock(&outbox.items).push(item(2, None));
    assert_eq!(delivery.deliver_due(moment(5)), Duration::from_secs(5));
    assert_eq!(delivery.deliver_due(moment(10)), Duration::ZERO);
    assert_eq!(delivery.deliver_due(moment(10)), IDLE_WAIT);
    assert_eq!(
        *lock(&outbox.outcomes),
        ["trying [1, 2]", "delivered [1, 2]"]
    );
}

#[test]
fn a_message_in_doubt_is_resent_first_and_unsent_events_join_the_next_batch() {
    let outbox = outbox(vec![item(1, None)]);
    let script = vec![
        (false, retry_later("no network")),
        (true, retry_later("no answer")),
        (true, Attempt::default()),
    ];
    let mut delivery = delivery(&outbox, script, 0);
    assert_eq!(delivery.deliver_due(moment(0)), Duration::from_secs(60));
    lock(&outbox.items).push(item(2, None));
    assert_eq!(delivery.deliver_due(moment(60)), Duration::from_secs(120));
    lock(&outbox.items).push(item(3, None));
    assert_eq!(delivery.deliver_due(moment(180)), Duration::ZERO);
    assert_eq!(delivery.deliver_due(moment(180)), Duration::ZERO);
    let expected = [
        "trying [1, 2]",
        "trying [1, 2]",
        "delivered [1, 2]",
        "trying [3]",
        "delivered [3]",
    ];
    assert_eq!(*lock(&outbox.outcomes), expected);
}

#[test]
fn retry_waits_grow_to_an_hour_and_a_new_event_shortens_them_to_a_minute() {
    let outbox = outbox(vec![item(1, None)]);
    let mut delivery = delivery(&outbox, vec![(false, retry_later("no network"))], 0);
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let pause = delivery.deliver_due(moment(now)).as_secs();
        pauses.push(pause);
        now += pause;
    }
    assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    let status = delivery.status().get();
    let failure = status.failure.expect("delivery fails");
    assert_eq!((failure.since, status.waiting), (Mono(0), 1));
    let last_try = now - 3600;
    delivery.shorten_retry(Mono((last_try + 5) * 1000));
    assert_eq!(
        delivery.deliver_due(moment(last_try + 5)),
        Duration::from_secs(55)
    );
}

#[test]
fn a_server_may_ask_for_a_longer_wait_and_once_for_a_shorter_one() {
    let asks = |seconds| {
        let attempt = Attempt {
            retry_after: Some(Duration::from_secs(seconds)),
            ..retry_later("too many requests")
        };
        (true, attempt)
    };
    let outbox = outbox(vec![item(1, None)]);
    let script = vec![asks(3), asks(3), asks(600), delivered()];
    let mut delivery = delivery(&outbox, script, 0);
    let pause = |delivery: &mut DeliveryWorker, at| delivery.deliver_due(moment(at)).as_secs();
    assert_eq!(pause(&mut delivery, 0), 3);
    assert_eq!(pause(&mut delivery, 3), 120);
    assert_eq!(pause(&mut delivery, 123), 600);
    // A new event does not shorten what the server asked for.
    delivery.shorten_retry(Mono(200_000));
    assert_eq!(pause(&mut delivery, 200), 523);
    assert_eq!(pause(&mut delivery, 723), 0);
    assert_eq!(delivery.status().get().failure, None);
}

#[test]
fn a_recipient_that_has_the_message_is_not_sent_it_again() {
    let outbox = outbox(vec![item(1, None)]);
    let script = vec![
        (
            true,
            Attempt {
                done_recipients: vec!["a@x".to_owned()],
                ..retry_later("RCPT TO b@x: later")
            },
        ),
        (true, Attempt::default()),
    ];
    let mut delivery = delivery(&outbox, script, 0);
    delivery.deliver_due(moment(0));
    assert_eq!(lock(&outbox.items)[0].done_recipients, ["a@x"]);
    delivery.deliver_due(moment(60));
    assert!(lock(&outbox.items).is_empty());
}

const DAY: u64 = 86_400;

fn refused(why: &str) -> Attempt {
    Attempt {
        refused: Some(why.to_owned()),
        ..Attempt::default()
    }
}

/// Refused for its content.
fn refused_content(why: &str) -> Attempt {
    Attempt {
        is_about_content: true,
        ..refused(why)
    }
}

fn delivered() -> (bool, Attempt) {
    (true, Attempt::default())
}

/// The outcomes since the last call, without the attempts.
fn take_outcomes(outbox: &FakeOutbox) -> Vec<String> {
    let mut outcomes = std::mem::take(&mut *lock(&outbox.outcomes));
    outcomes.retain(|it| !it.starts_with("trying"));
    outcomes
}

/// A refused item of an earlier run.
fn refused_item(id: i64, last: i64, days: u32, config_fingerprint: u16) -> OutboxItem {
    let mut item = item(id, None);
    item.refusal = Some(DeliveryRefusal {
        since: 0,
        last,
        days,
        why: "no".to_owned(),
        config_fingerprint,
    });
    item
}

#[test]
fn a_refused_event_stays_queued_is_reported_and_delays_no_other() {
    let outbox = outbox(vec![item(1, None)]);
    let script = vec![(true, refused("HTTP 401")), delivered()];
    let mut delivery = delivery(&outbox, script, 10);
    delivery.deliver_due(moment(0));
    delivery.deliver_due(moment(10));
    assert_eq!(take_outcomes(&outbox), ["refused [1]"]);
    let status = delivery.status();
    let now = status.get();
    assert_eq!((now.waiting, now.refused), (1, 1));
    assert_eq!(now.refusal.as_deref(), Some("HTTP 401"));
    assert_eq!(now.failure.map(|it| it.why).as_deref(), Some("HTTP 401"));
    assert_eq!(now.last_delivered, None, "not delivered");
    assert_eq!(delivery.deliver_due(moment(11)), limits::REFUSED_RETRY_POLL);
    // A new event is sent at once; the refusal is still reported.
    lock(&outbox.items).push(item(2, None));
    delivery.deliver_due(moment(12));
    delivery.deliver_due(moment(22));
    assert_eq!(take_outcomes(&outbox), ["delivered [2]"]);
    let now = status.get();
    assert_eq!(now.refused, 1);
    assert!(now.failure.is_some() && now.last_delivered.is_some());
    // A day after the refusal new events still go first.
    lock(&outbox.items).push(item(3, None));
    delivery.deliver_due(moment(DAY + 10));
    delivery.deliver_due(moment(DAY + 20));
    delivery.deliver_due(moment(DAY + 20));
    assert_eq!(take_outcomes(&outbox), ["delivered [3]", "delivered [1]"]);
    assert_eq!(status.get().failure, None);
}

#[test]
fn a_batch_refused_for_its_content_is_split_into_single_events() {
    let items = (1..=4).map(|id| item(id, None)).collect();
    let outbox = outbox(items);
    let script = vec![
        (true, refused_content("HTTP 413")),
        delivered(),
        (true, refused_content("HTTP 413")),
        delivered(),
    ];
    let mut delivery = delivery(&outbox, script, 0);
    for _ in 0..5 {
        assert_eq!(delivery.deliver_due(moment(0)), Duration::ZERO);
    }
    let expected = [
        "split [1, 2, 3, 4]",
        "delivered [1]",
        "refused [2]",
        "delivered [3]",
        "delivered [4]",
    ];
    assert_eq!(take_outcomes(&outbox), expected);
    assert_eq!(lock(&outbox.items)[0].id, 2);
}

#[test]
fn a_batch_refused_for_other_reasons_is_not_split() {
    let outbox = outbox(vec![item(1, None), item(2, None)]);
    let mut delivery = delivery(&outbox, vec![(true, refused("HTTP 401"))], 0);
    delivery.deliver_due(moment(0));
    assert_eq!(take_outcomes(&outbox), ["refused [1]", "refused [2]"]);
    assert_eq!(delivery.deliver_due(moment(1)), limits::REFUSED_RETRY_POLL);
    // Nor a day later: they are retried in one message.
    delivery.deliver_due(moment(DAY));
    assert_eq!(delivery.status().get().attempts, 2);
}

#[test]
fn a_refusing_recipient_does_not_block_the_others() {
    let outbox = outbox(vec![item(1, None)]);
    let script = vec![
        (
            true,
            Attempt {
                done_recipients: vec!["a@x".to_owned()],
                ..refused("b@x: 550 no such user")
            },
        ),
        delivered(),
    ];
    let mut delivery = delivery(&outbox, script, 0);
    delivery.deliver_due(moment(0));
    assert_eq!(
        take_outcomes(&outbox),
        [r#"partly [1] ["a@x"]"#, "refused [1]"]
    );
    let status = delivery.status().get();
    assert_eq!(status.refused, 1);
    assert!(
        status.last_delivered.is_some(),
        "delivered to one recipient"
    );
    // Events with different recipients left are not batched.
    lock(&outbox.items).push(item(2, None));
    delivery.deliver_due(moment(1));
    delivery.deliver_due(moment(DAY));
    assert_eq!(take_outcomes(&outbox), ["delivered [2]", "delivered [1]"]);
}

#[test]
fn refused_events_are_retried_on_a_new_configuration_on_request_and_daily() {
    let wall = moment(0).wall.second();
    let half_a_day = wall - DAY as i64 / 2;
    let rows = [
        (
            "another configuration",
            refused_item(1, wall, 3, 6),
            false,
            0,
        ),
        ("a request", refused_item(1, wall, 3, 7), true, 0),
        (
            "half a day ago",
            refused_item(1, half_a_day, 3, 7),
            false,
            DAY / 2,
        ),
        (
            "a clock that was ahead",
            refused_item(1, wall + 900_000, 3, 7),
            false,
            0,
        ),
        ("years ago", refused_item(1, 0, 3, 7), false, 0),
    ];
    for (case, item, is_requested, due) in rows {
        let is_daily = due > 0 || !(is_requested || case == "another configuration");
        let outbox = outbox(vec![item]);
        *lock(&outbox.is_requested) = is_requested;
        let mut delivery = delivery(&outbox, vec![(true, refused("still no"))], 0);
        if due > 0 {
            delivery.deliver_due(moment(0));
            delivery.deliver_due(moment(due - 1));
            assert!(take_outcomes(&outbox).is_empty(), "{case}: too early");
        }
        delivery.deliver_due(moment(due));
        assert_eq!(take_outcomes(&outbox), ["refused [1]"], "{case}");
        let refusal = lock(&outbox.items)[0]
            .refusal
            .clone()
            .expect("it stays refused");
        assert_eq!(
            (refusal.days, refusal.config_fingerprint),
            (3 + u32::from(is_daily), 7),
            "{case}"
        );
        delivery.deliver_due(moment(due + DAY - 1));
        assert!(take_outcomes(&outbox).is_empty(), "{case}: once a day");
        delivery.deliver_due(moment(due + DAY));
        assert_eq!(
            take_outcomes(&outbox),
            ["refused [1]"],
            "{case}: the day after"
        );
    }
}

#[test]
fn refused_events_are_given_up_after_fourteen_daily_retries_despite_clock_jumps() {
    let outbox = outbox(vec![item(1, None)]);
    let mut delivery = delivery(&outbox, vec![(true, refused("no"))], 0);
    delivery.deliver_due(moment(0));
    for day in 1..=14 {
        // The wall clock jumps ahead by years every day.
        for hour in [1, 9, 23] {
            let mut now = moment((day - 1) * DAY + hour * 3600);
            now.wall = Wall(now.wall.0 + (day * 400 * DAY * 1000) as i64);
            delivery.deliver_due(now);
        }
        let expected = match day {
            1 => vec!["refused [1]"],
            _ => Vec::new(),
        };
        assert_eq!(take_outcomes(&outbox), expected, "day {day}");
        delivery.deliver_due(moment(day * DAY));
        let expected = match day {
            14 => "undelivered [1]",
            _ => "refused [1]",
        };
        assert_eq!(take_outcomes(&outbox), [expected], "day {day}");
    }
    let status = delivery.status().get();
    assert_eq!(
        (status.waiting, status.refused, status.undelivered),
        (0, 0, 1)
    );
    assert_eq!((status.failure, status.last_delivered), (None, None));
}

#[test]
fn a_retry_without_response_backs_off_and_does_not_block_new_events() {
    let outbox = outbox(vec![refused_item(1, 0, 0, 6)]);
    let script = vec![(false, retry_later("no network")), delivered(), delivered()];
    let mut delivery = delivery(&outbox, script, 0);
    delivery.deliver_due(moment(0));
    assert!(take_outcomes(&outbox).is_empty());
    assert!(lock(&outbox.items)[0].refusal.is_some(), "still refused");
    assert!(delivery.deliver_due(moment(1)) <= Duration::from_secs(59));
    lock(&outbox.items).push(item(2, None));
    delivery.deliver_due(moment(2));
    delivery.deliver_due(moment(60));
    assert_eq!(take_outcomes(&outbox), ["delivered [2]", "delivered [1]"]);
}

#[test]
fn fingerprints_differ_with_every_setting() {
    let one = fingerprint(&["https://hook.example/a", "Json"]);
    assert_eq!(one, fingerprint(&["https://hook.example/a", "Json"]));
    assert_ne!(one, fingerprint(&["https://hook.example/b", "Json"]));
    assert_ne!(one, fingerprint(&["https://hook.example/aJson", ""]));
}

#[test]
fn a_stop_ends_the_delivery_thread() {
    let outbox = outbox(Vec::new());
    let mut delivery = delivery(&outbox, vec![(true, Attempt::default())], 0);
    let source = StopSource::new();
    delivery.stop = source.token();
    let thread = std::thread::spawn(move || delivery.run());
    source.token().wake();
    source.stop();
    thread.join().expect("it ends");
}

/// A channel whose login is an access token; it delivers everything.
struct TokenChannel(Arc<Mutex<Vec<Result<(), String>>>>);

impl Channel for TokenChannel {
    fn name(&self) -> &str {
        "mail"
    }

    fn destination(&self) -> String {
        "mail.example:587".to_owned()
    }

    fn deliver(&self, _: &DeliveryBatch<'_>, _: DeliveryHooks<'_>) -> Attempt {
        Attempt::default()
    }

    fn check_token(&self) -> Option<Result<(), String>> {
        Some(lock(&self.0).remove(0))
    }

    fn config_fingerprint(&self) -> u16 {
        7
    }
}

#[test]
fn a_login_that_has_ended_is_shown_before_an_alert_needs_it() {
    let outbox = outbox(Vec::new());
    let revoked = Err("token: revoked".to_owned());
    let results = Arc::new(Mutex::new(vec![revoked.clone(), revoked, Ok(())]));
    let mut delivery = DeliveryWorker::new(
        Box::new(TokenChannel(results.clone())),
        Box::new(outbox.clone()),
        Arc::new(ManualClock::new(moment(0))),
        StopToken::default(),
        Duration::ZERO,
    );
    let status = delivery.status();
    let left = || lock(&results).len();
    assert_eq!(delivery.deliver_due(moment(0)), Duration::from_secs(600));
    assert_eq!((status.get().failure, left()), (None, 3));
    delivery.deliver_due(moment(600));
    delivery.deliver_due(moment(1200));
    let shown = status.get().failure.expect("it is shown");
    assert_eq!(
        (shown.since, shown.why.as_str()),
        (Mono(600_000), "token: revoked")
    );
    // A delivery shows that the login works; the next check is a day later.
    lock(&outbox.items).push(item(1, None));
    delivery.deliver_due(moment(1300));
    delivery.deliver_due(moment(1300));
    assert_eq!((status.get().failure, left()), (None, 1));
    delivery.deliver_due(moment(80_000));
    assert_eq!(left(), 1);
    delivery.deliver_due(moment(87_700));
    assert_eq!((status.get().failure, left()), (None, 0));
}
