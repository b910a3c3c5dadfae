//! The mail channel: a batch of events as one mail, to whoever does not have it yet.

use super::delivery::{Attempt, Batch, Bell, Channel};
use super::message::{self, Envelope, Sender};
use super::smtp::{self, Account, Failure, Hooks};

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
            return Attempt {
                settled: self.to.clone(),
                ..Attempt::default()
            };
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
            Err(Failure::Later(why) | Failure::InDoubt(why)) => Attempt {
                again: Some(why),
                ..Attempt::default()
            },
            Err(Failure::Never(why)) => Attempt {
                refused: Some(why),
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
}

fn settle(sent: smtp::Sent) -> Attempt {
    let mut settled = sent.accepted;
    // A refusal of everybody settles nobody: the message as a whole is refused.
    let nobody = settled.is_empty() && sent.deferred.is_empty();
    let refused = sent.refused.iter().map(|(to, why)| format!("{to}: {why}"));
    let refused: Vec<String> = refused.collect();
    if !nobody {
        settled.extend(sent.refused.into_iter().map(|(to, _)| to));
    }
    let again: Vec<String> = sent
        .deferred
        .iter()
        .map(|(to, why)| format!("RCPT TO {to}: the server answers {why}"))
        .collect();
    Attempt {
        settled,
        refused: (!refused.is_empty())
            .then(|| format!("the server refuses a recipient ({})", refused.join("; "))),
        again: again.into_iter().next(),
    }
}
