//! `main-node test-alert`: delivers a test alert over every channel and prints each step.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::alerts::channels::{Channel, DeliveryBatch, DeliveryHooks};
use crate::config::Config;
use crate::db::{connection, error, file, outbox, retry_request};
use crate::domain::alert_event::{AlertEvent, AlertEventKind, AlertText, WallStamp};
use crate::domain::alert_level::AlertLevel;
use crate::domain::outbox::OutboxItem;
use crate::domain::redact::Secrets;
use crate::domain::time::{Moment, millis};
use crate::node::notifiers;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::shutdown::StopToken;

/// Tries every configured channel; 0 if all of them delivered to every recipient.
pub fn run(config: &Config) -> u8 {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let now = clock.now();
    let item = test_item(now);
    let channels = match notifiers::usable_channels(config, &clock) {
        Ok(channels) => channels,
        Err(problem) => {
            print_line(&problem);
            return 1;
        }
    };
    let mut is_fine = send_ping(config);
    if channels.is_empty() {
        print_line(
            "No channel is configured: set SMTP_HOST and ALERT_EMAIL (or host and to in [mail]), \
             or webhook in [alert].",
        );
        return 1;
    }
    for channel in &channels {
        let outcome = deliver_test(&**channel, &item, now, &config.secrets);
        is_fine &= outcome == TestOutcome::Delivered;
        print_consequence(outcome, channel.name(), config);
    }
    u8::from(!is_fine)
}

/// Sends one heartbeat, if one is configured; false if the service does not take it.
fn send_ping(config: &Config) -> bool {
    let Some(ping) = notifiers::ping(config) else {
        return true;
    };
    print_line(&format!("ping: {}", ping.destination()));
    let began = Instant::now();
    let Some(result) = ping.send(&Ok(()), &StopToken::default()) else {
        return true;
    };
    print_step(ping.method(), began.elapsed(), &result, &config.secrets);
    print_line(match result {
        Ok(_) => "Sent: the service knows that this node is alive.",
        Err(_) => "Not accepted: the service may alert you although this node is alive.",
    });
    result.is_ok()
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
        report: &mut |step, elapsed, result| print_step(step, elapsed, result, secrets),
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
        (None, None) => TestOutcome::Delivered,
        (None, Some(_)) => TestOutcome::Refused,
        (Some(_), _) => TestOutcome::Later,
    }
}

/// What would happen to a real alert.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TestOutcome {
    Delivered,
    Later,
    Refused,
}

/// Prints what would happen to a real alert, and requests a retry of refused ones after a success.
fn print_consequence(outcome: TestOutcome, channel: &str, config: &Config) {
    match outcome {
        TestOutcome::Delivered => request_retry(channel, &config.database),
        TestOutcome::Later => print_line(
            "A real alert would be kept and retried after a minute, then less often, up to \
             once an hour.",
        ),
        TestOutcome::Refused => print_line(
            "A real alert would be kept, shown as refused on the pages and in /status, and \
             retried once a day for 14 days, when the service starts with another \
             configuration, and when test-alert succeeds.",
        ),
    }
}

/// Asks the service to retry what this channel had refused, now that it accepts messages.
fn request_retry(channel: &str, database: &Path) {
    if !database.exists() {
        return;
    }
    let waiting = connection::open_read_only(database)
        .and_then(|connection| outbox::count_refused(&connection, channel));
    let what = match waiting {
        Ok(0) => return,
        Ok(1) => "1 refused alert is waiting".to_owned(),
        Ok(several) => format!("{several} refused alerts are waiting"),
        Err(error) => format!(
            "Cannot read whether refused alerts are waiting ({})",
            error::describe(&error)
        ),
    };
    match retry_request::create(database, channel) {
        Ok(()) => print_line(&format!(
            "{what}: the service retries within a minute, or when it starts."
        )),
        Err(error) => print_line(&format!(
            "{what}. Cannot ask the service to retry now, because {} is not writable ({}): run \
             this command as root, or wait a day.",
            file::parent_directory(database).display(),
            error.kind()
        )),
    }
}

fn print_step(name: &str, elapsed: Duration, result: &Result<String, String>, secrets: &Secrets) {
    let (mark, text) = match result {
        Ok(text) => ("ok    ", text.as_str()),
        // The line names the step already.
        Err(why) => {
            let bare = why.strip_prefix(name).and_then(|it| it.strip_prefix(": "));
            ("FAILED", bare.unwrap_or(why))
        }
    };
    print_line(&format!(
        "  {mark} {name:<10} {:>6} ms  {}",
        millis(elapsed),
        secrets.mask(text)
    ));
}

fn print_line(line: &str) {
    // A closed pipe is no error.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn test_item(now: Moment) -> OutboxItem {
    let stamp = WallStamp {
        ms: now.wall.0,
        is_trusted: true,
    };
    OutboxItem {
        id: 0,
        event: AlertEvent {
            incident: 0,
            alert: "test".to_owned(),
            kind: AlertEventKind::Trigger,
            level: AlertLevel::default(),
            at: stamp,
            since: stamp,
            lasted_ms: 0,
            text: AlertText {
                about: "Test".to_owned(),
                problem: "test message".to_owned(),
                cause: "main-node test-alert".to_owned(),
                cause_name: String::new(),
                detail: "Nothing is wrong.".to_owned(),
                displays: "Displays do not show it.".to_owned(),
                node_does: "Nothing. No other message follows.".to_owned(),
                check: vec![
                    "whether this message is in the inbox and not in the spam folder".to_owned(),
                ],
                short: "test".to_owned(),
                labelled: None,
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
