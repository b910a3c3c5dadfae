//! The mail channel: a batch of events as one mail, to whoever does not have it yet.

use super::smtp::{self, Account, Failure, Hooks};
use crate::alerts::delivery::{Attempt, Batch, Bell, Channel, fingerprint};
use crate::alerts::message::{self, Envelope, Sender};

pub struct MailChannel {
    pub account: Account,
    pub to: Vec<String>,
    pub sender: Sender,
}

impl Channel for MailChannel {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn deliver(
        &self,
        batch: &Batch<'_>,
        before_data: &mut dyn FnMut() -> Result<(), String>,
        bell: &Bell,
    ) -> Attempt {
        let is_left = |to: &&String| !batch.settled.contains(to);
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
        let mail = message::mail(&message, &envelope, &self.sender);
        let hooks = Hooks {
            before_data,
            report: &mut |report| log::debug!("mail: {report:?}"),
            is_stopping: &|| bell.is_closed(),
        };
        match smtp::send(&self.account, &mail, &left, hooks) {
            Ok(sent) => settle(sent),
            Err(Failure::Later(why) | Failure::InDoubt(why)) => Attempt::again(why),
            Err(Failure::Never(why)) => Attempt {
                refused: Some(why),
                is_about_content: true,
                ..Attempt::default()
            },
        }
    }

    fn domain(&self) -> String {
        let domain = self.account.from.rsplit('@').next().unwrap_or("");
        match domain.is_ascii() && !domain.is_empty() {
            true => domain.to_owned(),
            false => "main-node.invalid".to_owned(),
        }
    }

    fn setup(&self) -> u16 {
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
fn settle(sent: smtp::Sent) -> Attempt {
    let refused = sent.refused.iter().map(|(to, why)| format!("{to}: {why}"));
    let refused: Vec<String> = refused.collect();
    let again: Vec<String> = sent
        .deferred
        .iter()
        .map(|(to, why)| format!("RCPT TO {to}: the server answers {why}"))
        .collect();
    Attempt {
        settled: sent.accepted,
        refused: (!refused.is_empty())
            .then(|| format!("the server refuses a recipient ({})", refused.join("; "))),
        is_about_content: false,
        again: again.into_iter().next(),
    }
}
