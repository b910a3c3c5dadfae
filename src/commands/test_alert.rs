//! `main-node test-alert`: delivers a test alert over every channel and prints each step.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::alerts::channels::{Channel, DeliveryBatch, DeliveryHooks};
use crate::config::Config;
use crate::db::{connection, error, file, outbox, retry_request};
use crate::domain::alert_event::{AlertEvent, AlertEventKind, AlertText, WallStamp};
use crate::domain::outbox::OutboxItem;
use crate::domain::redact::Secrets;
use crate::domain::time::{Moment, millis};
use crate::node::notifiers;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::shutdown::StopToken;

/// Tries every channel that is configured; 0 if all of them delivered to everybody.
pub fn run(config: &Config) -> u8 {
    let now = SystemClock::new().now();
    let item = test_item(now);
    let channels = notifiers::channels(config);
    if channels.is_empty() {
        print_line(
            "No channel is configured: set SMTP_HOST and ALERT_EMAIL (or host and to in [mail]), \
             or webhook in [alert].",
        );
        return 1;
    }
    let mut is_fine = true;
    for channel in &channels {
        let outcome = deliver_test(&**channel, &item, now, &config.secrets);
        is_fine &= outcome == TestOutcome::Taken;
        print_consequence(outcome, channel.name(), config);
    }
    u8::from(!is_fine)
}

fn deliver_test(
    channel: &dyn Channel,
    item: &OutboxItem,
    now: Moment,
    secrets: &Secrets,
) -> TestOutcome {
    print_line(&format!("{}: {}", channel.name(), channel.destination()));
    let message_id = format!(
        "main-node.test.{}@{}",
        now.wall.0,
        channel.message_id_domain()
    );
    let batch = DeliveryBatch {
        items: std::slice::from_ref(item),
        dropped: 0,
        message_id: &message_id,
        done_recipients: &[],
        now,
        delayed_by: None,
    };
    let hooks = DeliveryHooks {
        before_data: &mut || Ok(()),
        report: &mut |step, took, result| print_step(step, took, result, secrets),
        stop: &StopToken::default(),
    };
    let attempt = channel.deliver(&batch, hooks);
    let is_partial = !attempt.done_recipients.is_empty();
    match (&attempt.retry, &attempt.refused) {
        (None, None) => print_line("Delivered."),
        _ if is_partial => print_line(&format!(
            "Delivered to {}",
            attempt.done_recipients.join(", ")
        )),
        _ => {}
    }
    for why in [&attempt.refused, &attempt.retry].into_iter().flatten() {
        print_line(&format!("Not sent: {}", secrets.mask(why)));
    }
    match (attempt.retry, attempt.refused) {
        (None, None) => TestOutcome::Taken,
        (None, Some(_)) => TestOutcome::Refused,
        (Some(_), _) => TestOutcome::Later,
    }
}

/// What would become of a real alert.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TestOutcome {
    Taken,
    Later,
    Refused,
}

/// What a real alert would have met with, and what becomes of those that were refused before.
fn print_consequence(fate: TestOutcome, channel: &str, config: &Config) {
    match fate {
        TestOutcome::Taken => request_retry(channel, &config.database),
        TestOutcome::Later => print_line(
            "A real alert would be kept and tried again: after a minute, then less \
                            often, every hour at last.",
        ),
        TestOutcome::Refused => print_line(
            "A real alert would be kept, shown as refused on the pages and in \
                              /status, and tried again once a day for 14 days, when the service \
                              starts with another configuration, and when test-alert succeeds.",
        ),
    }
}

/// Asks the service to try again what this channel has refused, now that it takes messages.
fn request_retry(channel: &str, database: &Path) {
    if !database.exists() {
        return;
    }
    let waiting = connection::open_read_only(database)
        .and_then(|connection| outbox::count_refused(&connection, channel));
    let what = match waiting {
        Ok(0) => return,
        Ok(1) => "1 alert that was refused before waits".to_owned(),
        Ok(several) => format!("{several} alerts that were refused before wait"),
        Err(error) => format!(
            "Whether alerts that were refused before wait cannot be read ({})",
            error::describe(&error)
        ),
    };
    match retry_request::create(database, channel) {
        Ok(()) => print_line(&format!(
            "{what}: the service tries again within a minute, or when it starts."
        )),
        Err(error) => print_line(&format!(
            "{what}. The service cannot be asked to try again now, because {} cannot be written \
             ({}): run this command as root, or wait a day.",
            file::parent_directory(database).display(),
            error.kind()
        )),
    }
}

fn print_step(name: &str, took: Duration, result: &Result<String, String>, secrets: &Secrets) {
    let (mark, said) = match result {
        Ok(said) => ("ok    ", said.as_str()),
        // The step stands before it already.
        Err(why) => {
            let bare = why.strip_prefix(name).and_then(|it| it.strip_prefix(": "));
            ("FAILED", bare.unwrap_or(why))
        }
    };
    print_line(&format!(
        "  {mark} {name:<10} {:>6} ms  {}",
        millis(took),
        secrets.mask(said)
    ));
}

fn print_line(line: &str) {
    // A closed pipe has nobody to tell.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn test_item(now: Moment) -> OutboxItem {
    let told = WallStamp {
        ms: now.wall.0,
        is_trusted: true,
    };
    OutboxItem {
        id: 0,
        event: AlertEvent {
            incident: 0,
            alert: "test".to_owned(),
            kind: AlertEventKind::Trigger,
            at: told,
            since: told,
            lasted_ms: 0,
            text: AlertText {
                about: "Test".to_owned(),
                trouble: "somebody tries whether alerts arrive".to_owned(),
                cause: "main-node test-alert".to_owned(),
                cause_name: String::new(),
                detail: "Nothing is wrong.".to_owned(),
                displays: "Displays show nothing of it.".to_owned(),
                node_does: "Nothing; there will be no second message.".to_owned(),
                check: vec!["whether this message stands in the inbox, not among spam".to_owned()],
                short: "test".to_owned(),
            },
            last_good: Vec::new(),
            outages: Vec::new(),
            outage_count: 0,
            is_for_own_channel: true,
        },
        message_id: None,
        done_recipients: Vec::new(),
        refusal: None,
        thread_root: None,
    }
}
