//! Mail channel: a batch of events as one mail, to every recipient that does not have it yet.
//!
//! On the thread `mail`.

use std::sync::Arc;

use super::mail_message::{Envelope, mime_message};
use super::smtp::{self, SmtpAccount, SmtpFailure, SmtpHooks, SmtpStep};
use super::smtp::{SmtpCredential, SmtpLogin, Timeouts};
use super::{
    AccessTokens, Attempt, Channel, ChannelInputs, DeliveryBatch, DeliveryHooks, fingerprint,
};
use crate::alerts::message::{SenderInfo, compose};
use crate::config::{MailConfig, Mailbox};
use crate::domain::alert_filter::AlertFilter;

/// The mail channel, if a server is configured.
pub fn channels(inputs: ChannelInputs<'_>) -> Vec<Box<dyn Channel>> {
    let sender = inputs.sender;
    let Some(mail) = &inputs.settings.mail else {
        return Vec::new();
    };
    vec![Box::new(MailChannel {
        account: account(mail, inputs.mail_tokens, &sender.node),
        from: mail.from.clone(),
        to: mail.to.clone(),
        sender: sender.clone(),
        filter: mail.filter.clone(),
    })]
}

struct MailChannel {
    account: SmtpAccount,
    from: Mailbox,
    to: Vec<Mailbox>,
    sender: SenderInfo,
    filter: AlertFilter,
}

impl Channel for MailChannel {
    fn name(&self) -> &str {
        "mail"
    }

    fn destination(&self) -> String {
        format!("{}:{}", self.account.host, self.account.port)
    }

    fn deliver(&self, batch: &DeliveryBatch<'_>, hooks: DeliveryHooks<'_>) -> Attempt {
        let is_left = |to: &&String| !batch.done_recipients.contains(to);
        let to = self.to.iter().map(|to| &to.address);
        let left: Vec<String> = to.filter(is_left).cloned().collect();
        if left.is_empty() {
            // The remaining recipients are no longer configured.
            return Attempt::default();
        }
        let message = compose(
            batch.items,
            batch.dropped,
            &self.sender,
            batch.now,
            batch.delayed_by,
        );
        let envelope = Envelope {
            message_id: batch.message_id,
            from: &self.from,
            to: &self.to,
            date: batch.now.wall,
        };
        let mail = mime_message(&message, &envelope, &self.sender);
        let hooks = SmtpHooks {
            before_data: hooks.before_data,
            report: &mut |step| (hooks.report)(step.step.name(), step.elapsed, &step.result),
            is_stopping: &|| hooks.stop.is_stopping(),
        };
        match smtp::send(&self.account, &mail, &left, hooks) {
            Ok(sent) => attempt_from_result(sent),
            Err(
                SmtpFailure::Temporary(why)
                | SmtpFailure::LoginRefused(why)
                | SmtpFailure::InDoubt(why),
            ) => Attempt::retry(why),
            Err(SmtpFailure::Permanent(why)) => Attempt {
                refused: Some(why),
                is_about_content: true,
                ..Attempt::default()
            },
        }
    }

    fn check(&self) -> Option<Result<(), String>> {
        let hooks = SmtpHooks {
            before_data: &mut || Ok(()),
            report: &mut |_| (),
            is_stopping: &|| false,
        };
        let result = smtp::try_login(&self.account, hooks);
        Some(result.map_err(|failure| failure.to_string()))
    }

    fn check_token(&self) -> Option<Result<(), String>> {
        match &self.account.login.as_ref()?.credential {
            SmtpCredential::Password(_) => None,
            SmtpCredential::AccessToken(tokens) => {
                let result = tokens(None).map(|_| ());
                Some(result.map_err(|why| format!("{}: {why}", SmtpStep::Token.name())))
            }
        }
    }

    fn carries_own_failure(&self) -> bool {
        false
    }

    fn message_id_domain(&self) -> String {
        let domain = self.account.from.rsplit('@').next().unwrap_or("");
        if domain.is_ascii() && !domain.is_empty() {
            domain.to_owned()
        } else {
            "main-node.invalid".to_owned()
        }
    }

    fn filter(&self) -> AlertFilter {
        self.filter.clone()
    }

    fn config_fingerprint(&self) -> u16 {
        let account = &self.account;
        let (user, password) = match &account.login {
            None => ("", ""),
            Some(login) => match &login.credential {
                SmtpCredential::Password(password) => (login.user.as_str(), password.as_str()),
                SmtpCredential::AccessToken(_) => (login.user.as_str(), "access token"),
            },
        };
        let trust = &account.trust;
        let mut server = format!(
            "{}:{} {:?} {} {:?}",
            account.host, account.port, account.tls, account.plain_anywhere, trust.ca_file
        );
        for fingerprint in &trust.fingerprints {
            server += &fingerprint.to_string();
        }
        let to: Vec<&str> = self.to.iter().map(|to| to.address.as_str()).collect();
        let to = to.join(",");
        fingerprint(&["mail", &server, user, password, &account.from, &to])
    }
}

/// The attempt of a session; a refused recipient does not affect the others.
fn attempt_from_result(sent: smtp::SendResult) -> Attempt {
    let refused = sent.refused.iter().map(|(to, why)| format!("{to}: {why}"));
    let refused: Vec<String> = refused.collect();
    let deferred: Vec<String> = sent
        .deferred
        .iter()
        .map(|(to, why)| format!("RCPT TO {to}: the server replied {why}"))
        .collect();
    Attempt {
        done_recipients: sent.accepted,
        refused: (!refused.is_empty())
            .then(|| format!("the server refused a recipient ({})", refused.join("; "))),
        is_about_content: false,
        retry: deferred.into_iter().next(),
        retry_after: None,
    }
}

fn account(mail: &MailConfig, tokens: Option<&AccessTokens>, node: &str) -> SmtpAccount {
    let credential = match (&mail.auth, &mail.password) {
        (Some(_), _) => Some(SmtpCredential::AccessToken(match tokens {
            Some(tokens) => tokens.clone(),
            None => Arc::new(|_| Err("this command gets no access tokens".to_owned())),
        })),
        (None, Some(password)) => Some(SmtpCredential::Password(password.reveal().to_owned())),
        (None, None) => None,
    };
    let login = mail.user.clone().zip(credential);
    let login = login.map(|(user, credential)| SmtpLogin { user, credential });
    SmtpAccount {
        host: mail.host.clone(),
        port: mail.port,
        tls: mail.tls,
        login,
        from: mail.from.address.clone(),
        trust: mail.trust.clone(),
        plain_anywhere: mail.plain_anywhere,
        own_name: own_name(node),
        timeouts: Timeouts::default(),
    }
}

/// The name for EHLO: only characters of host names, so that it cannot inject a command.
fn own_name(node: &str) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let name: String = node.chars().filter(|c| is_allowed(*c)).take(63).collect();
    if name.is_empty() {
        "main-node.local".to_owned()
    } else {
        name
    }
}
