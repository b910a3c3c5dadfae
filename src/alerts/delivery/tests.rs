//! Stories of one channel: what goes together, what is tried again, what a stop does.

use super::*;
use crate::domain::alert::{Event, Kind, Told, Words};
use crate::domain::outbox::Pending;
use crate::domain::time::Trust;
use crate::sys::clock::ManualClock;

/// An event on its way.
pub fn item(id: i64, message_id: Option<&str>) -> Item {
    let told = Told {
        ms: 1_762_027_200_000,
        sure: true,
    };
    Item {
        id,
        event: Event {
            incident: id as u64,
            alert: "source:s".to_owned(),
            kind: Kind::Trigger,
            at: told,
            since: told,
            lasted_ms: 0,
            words: Words::default(),
            last_good: Vec::new(),
            outages: Vec::new(),
            outage_count: 0,
            by_mail: true,
        },
        message_id: message_id.map(str::to_owned),
        settled: Vec::new(),
        thread: None,
    }
}

#[derive(Clone, Default)]
struct Letters {
    items: Arc<Mutex<Vec<Item>>>,
    outcomes: Arc<Mutex<Vec<String>>>,
}

impl Outbox for Letters {
    fn pending(&self, _: &str) -> Pending {
        Pending {
            items: lock(&self.items).clone(),
            dropped: 0,
        }
    }

    fn record(&self, _: &str, outcome: Outcome) {
        let mut items = lock(&self.items);
        let said = match outcome {
            Outcome::Trying { ids, message_id } => {
                for item in items.iter_mut().filter(|item| ids.contains(&item.id)) {
                    item.message_id.get_or_insert(message_id.clone());
                }
                format!("trying {ids:?}")
            }
            Outcome::Partly { ids, recipients } => {
                for item in items.iter_mut().filter(|item| ids.contains(&item.id)) {
                    item.settled.extend(recipients.iter().cloned());
                }
                format!("partly {ids:?} {recipients:?}")
            }
            Outcome::Delivered { ids, .. } => {
                items.retain(|item| !ids.contains(&item.id));
                format!("delivered {ids:?}")
            }
            Outcome::Refused { ids, .. } => {
                items.retain(|item| !ids.contains(&item.id));
                format!("refused {ids:?}")
            }
        };
        lock(&self.outcomes).push(said);
    }
}

/// A channel that does what it is told, in turn; the last for ever.
struct Scripted(Mutex<Vec<(bool, Attempt)>>);

impl Channel for Scripted {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn deliver(
        &self,
        _: &Batch<'_>,
        before_data: &mut dyn FnMut() -> Result<(), String>,
        _: &Bell,
    ) -> Attempt {
        let mut script = lock(&self.0);
        let (reaches_data, attempt) = match script.len() {
            1 => script[0].clone(),
            _ => script.remove(0),
        };
        if reaches_data {
            before_data().expect("it is recorded");
        }
        attempt
    }

    fn domain(&self) -> String {
        "example.org".to_owned()
    }
}

fn again(why: &str) -> Attempt {
    Attempt {
        again: Some(why.to_owned()),
        ..Attempt::default()
    }
}

fn moment(seconds: u64) -> Moment {
    Moment {
        mono: Mono(seconds * 1000),
        wall: Wall(1_762_027_200_000),
        trust: Trust::Trusted,
    }
}

fn delivery(outbox: &Letters, script: Vec<(bool, Attempt)>, gather: u64) -> Delivery<Scripted> {
    Delivery::new(
        Scripted(Mutex::new(script)),
        Box::new(outbox.clone()),
        Arc::new(ManualClock::new(moment(0))),
        Bell::default(),
        Duration::from_secs(gather),
    )
}

fn outbox(items: Vec<Item>) -> Letters {
    Letters {
        items: Arc::new(Mutex::new(items)),
        ..Letters::default()
    }
}

#[test]
fn what_comes_together_is_told_together() {
    let outbox = outbox(vec![item(1, None)]);
    let mut delivery = delivery(&outbox, vec![(true, Attempt::default())], 10);
    assert_eq!(delivery.turn(moment(0)), Duration::from_secs(10));
    lock(&outbox.items).push(item(2, None));
    assert_eq!(delivery.turn(moment(5)), Duration::from_secs(5));
    assert_eq!(delivery.turn(moment(10)), Duration::ZERO);
    assert_eq!(delivery.turn(moment(10)), IDLE);
    assert_eq!(
        *lock(&outbox.outcomes),
        ["trying [1, 2]", "delivered [1, 2]"]
    );
}

#[test]
fn what_is_in_doubt_goes_first_and_alone_and_what_never_left_joins_what_follows() {
    let outbox = outbox(vec![item(1, None)]);
    let script = vec![
        (false, again("no network")),
        (true, again("no answer")),
        (true, Attempt::default()),
    ];
    let mut delivery = delivery(&outbox, script, 0);
    assert_eq!(delivery.turn(moment(0)), Duration::from_secs(60));
    lock(&outbox.items).push(item(2, None));
    assert_eq!(delivery.turn(moment(60)), Duration::from_secs(120));
    lock(&outbox.items).push(item(3, None));
    assert_eq!(delivery.turn(moment(180)), Duration::ZERO);
    assert_eq!(delivery.turn(moment(180)), Duration::ZERO);
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
fn pauses_widen_to_an_hour_and_news_cut_them_to_a_minute() {
    let outbox = outbox(vec![item(1, None)]);
    let mut delivery = delivery(&outbox, vec![(false, again("no network"))], 0);
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let pause = delivery.turn(moment(now)).as_secs();
        pauses.push(pause);
        now += pause;
    }
    assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    let status = delivery.status().get();
    let trouble = status.trouble.expect("it is in trouble");
    assert_eq!((trouble.since, status.waiting), (Mono(0), 1));
    let last_try = now - 3600;
    delivery.hurry(Mono((last_try + 5) * 1000));
    assert_eq!(delivery.turn(moment(last_try + 5)), Duration::from_secs(55));
}

#[test]
fn who_has_it_is_not_sent_it_again() {
    let outbox = outbox(vec![item(1, None)]);
    let script = vec![
        (
            true,
            Attempt {
                settled: vec!["a@x".to_owned()],
                ..again("RCPT TO b@x: later")
            },
        ),
        (true, Attempt::default()),
    ];
    let mut delivery = delivery(&outbox, script, 0);
    delivery.turn(moment(0));
    assert_eq!(lock(&outbox.items)[0].settled, ["a@x"]);
    delivery.turn(moment(60));
    assert!(lock(&outbox.items).is_empty());
}

#[test]
fn what_nobody_will_ever_take_is_given_up_and_shown() {
    let outbox = outbox(vec![item(1, None)]);
    let refused = Attempt {
        refused: Some("DATA: the server answers 554 spam".to_owned()),
        ..Attempt::default()
    };
    let mut delivery = delivery(
        &outbox,
        vec![(true, refused), (true, Attempt::default())],
        0,
    );
    delivery.turn(moment(0));
    assert_eq!(*lock(&outbox.outcomes), ["trying [1]", "refused [1]"]);
    let status = delivery.status();
    assert!(
        status
            .get()
            .trouble
            .is_some_and(|it| it.why.contains("554 spam"))
    );
    lock(&outbox.items).push(item(2, None));
    delivery.turn(moment(1));
    assert_eq!(status.get().trouble, None);
}

#[test]
fn closing_the_bell_ends_the_thread() {
    let outbox = outbox(Vec::new());
    let delivery = delivery(&outbox, vec![(true, Attempt::default())], 0);
    let bell = delivery.bell.clone();
    let thread = std::thread::spawn(move || delivery.run());
    bell.ring();
    bell.close();
    thread.join().expect("it ends");
}
