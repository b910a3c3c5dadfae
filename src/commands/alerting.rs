//! What the configuration means for those who tell people: each part's slice of it.

use crate::alerts::mail::MailChannel;
use crate::alerts::message::Sender;
use crate::alerts::smtp::{Account, Login, Protection};
use crate::alerts::webhook::{Format, Webhook};
use crate::config::{Config, Mail, Tls, WebhookFormat};

/// Who every message says that it comes from.
pub fn sender(config: &Config) -> Sender {
    Sender {
        node: config.name.clone(),
        page: config.page(),
        zone: config.timezone.clone(),
    }
}

/// The mail channel, where one is configured.
pub fn mail_channel(config: &Config) -> Option<MailChannel> {
    let mail = config.mail.as_ref()?;
    Some(MailChannel {
        account: account(mail, &config.name),
        to: mail.to.clone(),
        sender: sender(config),
    })
}

/// The second channel, where one is configured.
pub fn webhook(config: &Config) -> Option<Webhook> {
    let webhook = config.telling.webhook.as_ref()?;
    Some(Webhook {
        url: webhook.url.reveal().to_owned(),
        format: match webhook.format {
            WebhookFormat::Json => Format::Json,
            WebhookFormat::Text => Format::Text,
        },
        sender: sender(config),
    })
}

fn account(mail: &Mail, node: &str) -> Account {
    let login = match (&mail.user, &mail.password) {
        (Some(user), Some(password)) => Some(Login {
            user: user.clone(),
            password: password.reveal().to_owned(),
        }),
        _ => None,
    };
    Account {
        host: mail.host.clone(),
        port: mail.port,
        protection: match mail.tls {
            Tls::Upgrade => Protection::StartTls,
            Tls::Implicit => Protection::Implicit,
            Tls::None => Protection::None,
        },
        login,
        from: mail.from.clone(),
        ca_file: mail.ca_file.clone(),
        plain_anywhere: mail.plain_anywhere,
        own_name: own_name(node),
    }
}

/// What EHLO says; anything but a host name's letters would be another command.
fn own_name(node: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let name: String = node.chars().filter(|c| fits(*c)).take(63).collect();
    match name.is_empty() {
        true => "main-node.local".to_owned(),
        false => name,
    }
}

#[cfg(test)]
mod tests;
