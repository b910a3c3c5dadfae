//! `main-node test-alert`: the real template by the real way, each step with its time.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::alerts::channels::mail::MailChannel;
use crate::alerts::channels::smtp::{self, SmtpFailure, SmtpHooks, StepReport};
use crate::alerts::delivery::{Channel, DeliveryBatch, WakeSignal};
use crate::alerts::message::{self, Envelope};
use crate::config::Config;
use crate::db::{connection, error, file, outbox, retry_request};
use crate::domain::alert_event::{AlertEvent, AlertEventKind, AlertText, WallStamp};
use crate::domain::outbox::OutboxItem;
use crate::domain::redact::Secrets;
use crate::domain::time::{Moment, millis};
use crate::node::notifiers;
use crate::sys::clock::{Clock, SystemClock};

/// Tries every channel that is configured; 0 if all of them told everybody.
pub fn run(config: &Config) -> u8 {
    let now = SystemClock::new().now();
    let item = test_item(now);
    let mut is_fine = true;
    let mut is_tried = false;
    if let Some(channel) = notifiers::mail_channel(config) {
        is_tried = true;
        let fate = try_mail(&channel, &item, now, &config.secrets);
        is_fine &= fate == TestOutcome::Taken;
        print_consequence(fate, "mail", config);
    }
    if let Some(channel) = notifiers::webhook(config) {
        is_tried = true;
        print_line("webhook");
        let began = Instant::now();
        let items = [item.clone()];
        let batch = DeliveryBatch {
            items: &items,
            dropped: 0,
            message_id: "main-node.test@main-node.invalid",
            done_recipients: &[],
            now,
            delayed_by: None,
        };
        let attempt = channel.deliver(&batch, &mut || Ok(()), &WakeSignal::default());
        let fate = match (&attempt.retry, &attempt.refused) {
            (None, None) => TestOutcome::Taken,
            (None, Some(_)) => TestOutcome::Refused,
            (Some(_), _) => TestOutcome::Later,
        };
        let result = match attempt.retry.or(attempt.refused) {
            None => Ok("taken".to_owned()),
            Some(why) => Err(why),
        };
        is_fine &= fate == TestOutcome::Taken;
        print_step("POST", began.elapsed(), &result, &config.secrets);
        print_consequence(fate, "webhook", config);
    }
    if !is_tried {
        print_line(
            "Nobody would be told: set SMTP_HOST and ALERT_EMAIL (or host and to in [mail]), or \
             webhook in [alert].",
        );
        return 1;
    }
    u8::from(!is_fine)
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

fn try_mail(
    channel: &MailChannel,
    item: &OutboxItem,
    now: Moment,
    secrets: &Secrets,
) -> TestOutcome {
    let account = &channel.account;
    print_line(&format!(
        "mail from {} to {} through {}:{}",
        account.from,
        channel.to.join(", "),
        account.host,
        account.port
    ));
    let message = message::compose(std::slice::from_ref(item), 0, &channel.sender, now, None);
    let message_id = format!(
        "main-node.test.{}@{}",
        now.wall.0,
        channel.message_id_domain()
    );
    let envelope = Envelope {
        message_id: &message_id,
        from: &account.from,
        to: &channel.to,
        date: now.wall,
    };
    let mail = message::mime_message(&message, &envelope, &channel.sender);
    let hooks = SmtpHooks {
        before_data: &mut || Ok(()),
        report: &mut |report: StepReport| {
            print_step(report.step.name(), report.took, &report.result, secrets);
        },
        is_stopping: &|| false,
    };
    match smtp::send(account, &mail, &channel.to, hooks) {
        Ok(sent) if sent.refused.is_empty() && sent.deferred.is_empty() => {
            print_line(&format!("The server has taken it: {}", message.subject));
            TestOutcome::Taken
        }
        Ok(sent) => {
            if !sent.accepted.is_empty() {
                print_line(&format!(
                    "The server has taken it for {}",
                    sent.accepted.join(", ")
                ));
            }
            let fate = match sent.deferred.is_empty() {
                true => TestOutcome::Refused,
                false => TestOutcome::Later,
            };
            for (to, why) in sent.refused {
                print_line(&format!("{to} is refused: {}", secrets.mask(&why)));
            }
            for (to, why) in sent.deferred {
                print_line(&format!("{to} is put off: {}", secrets.mask(&why)));
            }
            fate
        }
        Err(failure) => {
            print_line(&format!("Not sent: {}", secrets.mask(&failure.to_string())));
            match failure {
                SmtpFailure::Permanent(_) => TestOutcome::Refused,
                SmtpFailure::Temporary(_) | SmtpFailure::InDoubt(_) => TestOutcome::Later,
            }
        }
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
            by_mail: true,
        },
        message_id: None,
        done_recipients: Vec::new(),
        refusal: None,
        thread_root: None,
    }
}
