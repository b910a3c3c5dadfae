//! The mail channel: a batch of events as one mail, to whoever does not have it yet.

use super::smtp::{self, SmtpAccount, SmtpFailure, SmtpHooks};
use crate::alerts::delivery::{Attempt, Channel, DeliveryBatch, WakeSignal, fingerprint};
use crate::alerts::message::{self, Envelope, SenderInfo};

pub struct MailChannel {
    pub account: SmtpAccount,
    pub to: Vec<String>,
    pub sender: SenderInfo,
}

impl Channel for MailChannel {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn deliver(
        &self,
        batch: &DeliveryBatch<'_>,
        before_data: &mut dyn FnMut() -> Result<(), String>,
        wake_signal: &WakeSignal,
    ) -> Attempt {
        let is_left = |to: &&String| !batch.done_recipients.contains(to);
        let left: Vec<String> = self.to.iter().filter(is_left).cloned().collect();
        if left.is_empty() {
            // The configuration no longer names who still waited for it.
            return Attempt::default();
        }
        let message = message::compose(
            batch.items,
            batch.dropped,
            &self.sender,
            batch.now,
            batch.delayed_by,
        );
        let envelope = Envelope {
            message_id: batch.message_id,
            from: &self.account.from,
            to: &self.to,
            date: batch.now.wall,
        };
        let mail = message::mime_message(&message, &envelope, &self.sender);
        let hooks = SmtpHooks {
            before_data,
            report: &mut |report| log::debug!("mail: {report:?}"),
            is_stopping: &|| wake_signal.is_closed(),
        };
        match smtp::send(&self.account, &mail, &left, hooks) {
            Ok(sent) => attempt_from_result(sent),
            Err(SmtpFailure::Temporary(why) | SmtpFailure::InDoubt(why)) => Attempt::retry(why),
            Err(SmtpFailure::Permanent(why)) => Attempt {
                refused: Some(why),
                is_about_content: true,
                ..Attempt::default()
            },
        }
    }

    fn message_id_domain(&self) -> String {
        let domain = self.account.from.rsplit('@').next().unwrap_or("");
        match domain.is_ascii() && !domain.is_empty() {
            true => domain.to_owned(),
            false => "main-node.invalid".to_owned(),
        }
    }

    fn config_fingerprint(&self) -> u16 {
        let account = &self.account;
        let (user, password) = account
            .login
            .as_ref()
            .map_or(("", ""), |login| (&login.user, &login.password));
        let server = format!(
            "{}:{} {:?} {} {:?}",
            account.host, account.port, account.protection, account.plain_anywhere, account.ca_file
        );
        let to = self.to.join(",");
        fingerprint(&["mail", &server, user, password, &account.from, &to])
    }
}

/// Who refuses it keeps nobody else from having it.
fn attempt_from_result(sent: smtp::SendResult) -> Attempt {
    let refused = sent.refused.iter().map(|(to, why)| format!("{to}: {why}"));
    let refused: Vec<String> = refused.collect();
    let again: Vec<String> = sent
        .deferred
        .iter()
        .map(|(to, why)| format!("RCPT TO {to}: the server answers {why}"))
        .collect();
    Attempt {
        done_recipients: sent.accepted,
        refused: (!refused.is_empty())
            .then(|| format!("the server refuses a recipient ({})", refused.join("; "))),
        is_about_content: false,
        retry: again.into_iter().next(),
    }
}
