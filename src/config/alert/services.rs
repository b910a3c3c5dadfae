//! What the services of webhooks need: the options of each format, and addresses that do not fit.

use crate::config::alert_types::{WebhookConfig, WebhookForm, WebhookFormat, WebhookMethod};
use crate::config::problem::Severity;
use crate::domain::redact::MASK;
use crate::domain::service_url::{has_user_info, host, path, query_value};

/// Something wrong, at an option.
#[derive(Debug, PartialEq, Eq)]
pub struct ServiceRemark {
    pub option: &'static str,
    pub message: String,
    /// A problem if there is none: the configuration is refused.
    pub severity: Option<Severity>,
}

fn wrong(option: &'static str, message: impl Into<String>) -> Option<ServiceRemark> {
    Some(ServiceRemark {
        option,
        message: message.into(),
        severity: None,
    })
}

/// What is wrong with the options of a webhook for its service.
pub fn check(webhook: &WebhookConfig) -> Vec<ServiceRemark> {
    let of_service = || check_format(webhook, webhook.format).or_else(|| check_address(webhook));
    // A body of one's own is for a service that no format is for.
    let of_service = webhook.body.is_none().then(of_service).flatten();
    let of_method = check_method(webhook);
    unused(webhook, options_of(webhook.format))
        .chain(check_login(webhook))
        .chain(of_service)
        .chain(of_method)
        .collect()
}

/// A GET sends what is in the URL alone.
fn check_method(webhook: &WebhookConfig) -> Option<ServiceRemark> {
    let is_get = webhook.method == Some(WebhookMethod::Get);
    let sends_body = !matches!(webhook.format, WebhookFormat::Json | WebhookFormat::Text);
    (is_get && sends_body && webhook.body.is_none())
        .then(|| {
            let format = webhook.format.name();
            let message =
                format!("a GET has no body, which format = \"{format}\" needs: remove `method`");
            wrong("method", message)
        })
        .flatten()
}

/// What a format misses.
fn check_format(webhook: &WebhookConfig, format: WebhookFormat) -> Option<ServiceRemark> {
    match format {
        // As `check` prints it: what the address holds is not known.
        _ if webhook.url.reveal().contains(MASK) => None,
        WebhookFormat::Json | WebhookFormat::Text | WebhookFormat::Slack => None,
        WebhookFormat::Ntfy => check_ntfy(webhook),
        WebhookFormat::Gotify => check_gotify(webhook),
        WebhookFormat::Discord => check_discord(webhook),
        WebhookFormat::Telegram => check_telegram(webhook),
        WebhookFormat::Pushover => check_pushover(webhook),
        WebhookFormat::Apprise => check_apprise(webhook),
        WebhookFormat::HomeAssistant => check_home_assistant(webhook),
    }
}

const LOGIN: [&str; 3] = ["token", "user", "password"];

/// The options that a format uses besides those of every webhook.
fn options_of(format: WebhookFormat) -> &'static [&'static str] {
    match format {
        WebhookFormat::Ntfy => &["priority", "tags"],
        WebhookFormat::Gotify => &["priority"],
        WebhookFormat::Telegram => &["chat_id"],
        WebhookFormat::Pushover => &["priority"],
        WebhookFormat::Apprise => &["tags"],
        WebhookFormat::Json
        | WebhookFormat::Text
        | WebhookFormat::Slack
        | WebhookFormat::Discord
        | WebhookFormat::HomeAssistant => &[],
    }
}

fn unused<'a>(
    webhook: &'a WebhookConfig,
    used: &'static [&'static str],
) -> impl Iterator<Item = ServiceRemark> + 'a {
    let service = &webhook.service;
    let login: &[&str] = match webhook.format {
        WebhookFormat::Discord => &[],
        WebhookFormat::Gotify | WebhookFormat::Telegram => &["token"],
        WebhookFormat::Pushover => &["token", "user"],
        _ => &LOGIN,
    };
    let given = [
        ("token", service.token.is_some()),
        ("user", service.user.is_some()),
        ("password", service.password.is_some()),
        ("chat_id", service.chat_id.is_some()),
        ("priority", service.priority.is_some()),
        ("tags", !service.tags.is_empty()),
    ];
    let (format, has_body) = (webhook.format.name(), webhook.body.is_some());
    let unused = given.into_iter().filter(move |(option, is_given)| {
        *is_given && !used.contains(option) && !login.contains(option)
    });
    unused.filter_map(move |(option, _)| {
        wrong(
            option,
            if has_body {
                format!("`{option}` is not used with a `body`: write it there, or remove it")
            } else {
                format!("`{option}` is not used by format = \"{format}\": remove it")
            },
        )
    })
}

/// Whether token, or user and password, go into the header `Authorization`.
fn has_login_header(webhook: &WebhookConfig) -> bool {
    !matches!(
        webhook.format,
        WebhookFormat::Gotify
            | WebhookFormat::Discord
            | WebhookFormat::Telegram
            | WebhookFormat::Pushover
    )
}

fn check_login(webhook: &WebhookConfig) -> Option<ServiceRemark> {
    if !has_login_header(webhook) {
        return None;
    }
    let service = &webhook.service;
    let is_given = service.token.is_some() || service.user.is_some() && service.password.is_some();
    if is_given && has_header(webhook, "Authorization") {
        return wrong(
            "headers",
            "`headers` has an Authorization already, and so has `token` or `user`: remove one of them",
        );
    }
    if is_given && has_user_info(webhook.url.reveal()) {
        return wrong(
            "url",
            "the address has a login already, and so has `token` or `user`: remove one of them",
        );
    }
    match (&service.token, &service.user, &service.password) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => wrong(
            "token",
            "`token` stands for `user` and `password`: remove one or the others",
        ),
        (None, Some(_), None) => wrong("user", "`user` needs a `password`"),
        (None, None, Some(_)) => wrong("password", "`password` needs a `user`"),
        _ => None,
    }
}

fn has_header(webhook: &WebhookConfig, name: &str) -> bool {
    let mut headers = webhook.headers.iter();
    headers.any(|header| header.name.eq_ignore_ascii_case(name))
}

fn check_ntfy(webhook: &WebhookConfig) -> Option<ServiceRemark> {
    let url = webhook.url.reveal();
    let topic = path(url).trim_matches('/');
    if topic.is_empty() {
        return wrong(
            "url",
            "ntfy needs a topic behind the host: url = \"https://ntfy.sh/my-secret-topic\"",
        );
    }
    match webhook.service.priority {
        Some(priority) if !(1..=5).contains(&priority) => wrong(
            "priority",
            format!("expected 1 (least) to 5 (most) for ntfy, found {priority}"),
        ),
        _ => None,
    }
}

fn check_gotify(webhook: &WebhookConfig) -> Option<ServiceRemark> {
    let service = &webhook.service;
    let in_url = query_value(webhook.url.reveal(), "token").is_some();
    let in_header = ["X-Gotify-Key", "Authorization"]
        .iter()
        .any(|it| has_header(webhook, it));
    match (&service.token, service.priority) {
        (None, _) if !in_url && !in_header => wrong(
            "format",
            "Gotify needs the token of an application (in its page under “Apps”): token = \"…\"",
        ),
        (_, Some(priority)) if !(0..=10).contains(&priority) => wrong(
            "priority",
            format!("expected 0 to 10 for Gotify, found {priority}"),
        ),
        (Some(token), _) if token.reveal().starts_with('C') => Some(ServiceRemark {
            option: "token",
            message: "tokens of Gotify that begin with C are for clients, which cannot send: take \
                      that of an application, which begins with A"
                .to_owned(),
            severity: Some(Severity::Problem),
        }),
        _ => None,
    }
}

fn check_discord(webhook: &WebhookConfig) -> Option<ServiceRemark> {
    let path = path(webhook.url.reveal()).trim_end_matches('/');
    for (end, instead) in [("/slack", ", or write format = \"slack\""), ("/github", "")] {
        if path.ends_with(end) {
            let message = format!(
                "the address of format = \"discord\" ends with the token: remove {end} from it{instead}"
            );
            return wrong("url", message);
        }
    }
    if !path.contains("/webhooks/") {
        return wrong(
            "url",
            "expected the address of a webhook (in Discord: channel settings, Integrations, \
             Webhooks): https://discord.com/api/webhooks/NUMBER/TOKEN",
        );
    }
    None
}

fn check_telegram(webhook: &WebhookConfig) -> Option<ServiceRemark> {
    let url = webhook.url.reveal();
    let service = &webhook.service;
    let has_bot = path(url).contains("/bot");
    if service.token.is_none() && !has_bot {
        return wrong(
            "format",
            "Telegram needs the token of the bot, as BotFather gave it: token = \"123456:ABC…\"",
        );
    }
    match &service.token {
        Some(_) if has_bot => {
            return wrong(
                "token",
                "the address has a token already: remove one of them",
            );
        }
        Some(token) if !is_bot_token(token.reveal()) => {
            return wrong(
                "token",
                "expected the token as BotFather gave it: digits, a colon, then letters, digits, - \
                 and _, without \"bot\" in front",
            );
        }
        _ => {}
    }
    match &service.chat_id {
        None if query_value(url, "chat_id").is_none() => wrong(
            "format",
            "Telegram needs the chat to send to: chat_id = 123456789, a negative number for a \
             group, or \"@name\" of a public channel",
        ),
        Some(chat) if chat.parse::<i64>().is_err() && !chat.starts_with('@') => wrong(
            "chat_id",
            "expected the number of a chat, or \"@name\" of a public channel: people have no name \
             there",
        ),
        _ => None,
    }
}

fn is_bot_token(token: &str) -> bool {
    let is_secret = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    token.split_once(':').is_some_and(|(number, secret)| {
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && !secret.is_empty()
            && secret.bytes().all(is_secret)
    })
}

fn check_pushover(webhook: &WebhookConfig) -> Option<ServiceRemark> {
    let url = webhook.url.reveal();
    let service = &webhook.service;
    let has = |given: bool, name: &str| given || query_value(url, name).is_some();
    if !has(service.token.is_some(), "token") {
        return wrong(
            "format",
            "Pushover needs the token of an application (“Create an Application/API Token”): \
             token = \"…\"",
        );
    }
    if !has(service.user.is_some(), "user") {
        return wrong(
            "format",
            "Pushover needs the key of a user or group (“Your User Key”): user = \"…\"",
        );
    }
    match service.priority {
        Some(2) => wrong(
            "priority",
            "priority 2 of Pushover repeats a message until somebody confirms it, which main-node \
             does not use: expected -2 to 1",
        ),
        Some(priority) if !(-2..=1).contains(&priority) => wrong(
            "priority",
            format!("expected -2 to 1 for Pushover, found {priority}"),
        ),
        _ => None,
    }
}

fn check_apprise(webhook: &WebhookConfig) -> Option<ServiceRemark> {
    let path = path(webhook.url.reveal());
    let key = path
        .split_once("/notify/")
        .map(|(_, key)| key.trim_matches('/'));
    if key.is_none_or(str::is_empty) {
        return wrong(
            "url",
            "expected the address of Apprise API with the key of a configuration: \
             http://apprise.lan:8000/notify/KEY",
        );
    }
    None
}

fn check_home_assistant(webhook: &WebhookConfig) -> Option<ServiceRemark> {
    let path = path(webhook.url.reveal());
    if path.trim_matches('/').is_empty() {
        return wrong(
            "url",
            "expected the address of a webhook trigger: \
             http://homeassistant.local:8123/api/webhook/ID",
        );
    }
    let is_action = path.starts_with("/api/services/");
    let has_login = webhook.service.token.is_some() || has_header(webhook, "Authorization");
    if is_action && !has_login {
        return wrong(
            "format",
            "an action of Home Assistant needs a long-lived access token (in your profile, under \
             “Security”): token = \"…\"",
        );
    }
    None
}

/// A service that an address looks like.
struct KnownService {
    name: &'static str,
    /// `None` if it needs a body of its own.
    format: Option<WebhookFormat>,
    /// Whether it is certain.
    is_certain: bool,
}

fn known_service(url: &str) -> Option<KnownService> {
    let host = host(url).to_ascii_lowercase();
    let path = path(url);
    let is_below = |domain: &str| {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let known = |name, format, is_certain| {
        Some(KnownService {
            name,
            format,
            is_certain,
        })
    };
    let format = match () {
        () if host == "ntfy.sh" => return known("ntfy", Some(WebhookFormat::Ntfy), true),
        () if is_below("hooks.slack.com") => ("Slack", WebhookFormat::Slack),
        () if is_below("discord.com") || is_below("discordapp.com") => {
            if path.trim_end_matches('/').ends_with("/slack") {
                ("Discord with /slack", WebhookFormat::Slack)
            } else {
                ("Discord", WebhookFormat::Discord)
            }
        }
        () if host == "api.telegram.org" => ("Telegram", WebhookFormat::Telegram),
        () if host == "api.pushover.net" => ("Pushover", WebhookFormat::Pushover),
        () if host == "chat.googleapis.com" => return known("Google Chat", None, true),
        () if is_below("webhook.office.com")
            || is_below("logic.azure.com")
            || is_below("api.powerplatform.com") =>
        {
            return known("Microsoft Teams", None, true);
        }
        () if path.contains("/_matrix/client/") => return known("Matrix", None, true),
        () if host.starts_with("ntfy.") => return known("ntfy", Some(WebhookFormat::Ntfy), false),
        () if path.starts_with("/message") && query_value(url, "token").is_some()
            || host.starts_with("gotify.") =>
        {
            return known("Gotify", Some(WebhookFormat::Gotify), false);
        }
        () if path.starts_with("/notify/") => {
            return known("Apprise API", Some(WebhookFormat::Apprise), false);
        }
        () => return None,
    };
    known(format.0, Some(format.1), true)
}

/// An address of a service that the format is not for.
fn check_address(webhook: &WebhookConfig) -> Option<ServiceRemark> {
    let known = known_service(webhook.url.reveal())?;
    let format = webhook.format;
    let is_plain = matches!(format, WebhookFormat::Json | WebhookFormat::Text);
    // ntfy takes the text with its title as 0.1 sent it.
    let fits = known.format == Some(format)
        || known.format == Some(WebhookFormat::Ntfy) && format == WebhookFormat::Text
        || !is_plain && !known.is_certain;
    if fits {
        return None;
    }
    let name = known.name;
    let option = match webhook.form {
        WebhookForm::Text => "webhook_format",
        WebhookForm::Table => "format",
    };
    let instead = match known.format {
        // The address may have all that the service needs.
        Some(format)
            if webhook.form == WebhookForm::Table || check_format(webhook, format).is_none() =>
        {
            format!("write {option} = \"{}\"", format.name())
        }
        Some(format) => format!(
            "write a table [[alert.webhook]] with url and format = \"{}\"",
            format.name()
        ),
        None => "write a `body` for it (see “Services” in docs/alerts.md)".to_owned(),
    };
    // Slack and Telegram read `text`, which the JSON has; ntfy shows whatever it gets.
    let is_shown = match known.format {
        Some(WebhookFormat::Ntfy) => true,
        Some(WebhookFormat::Slack | WebhookFormat::Telegram) => format == WebhookFormat::Json,
        _ => false,
    };
    let is = if known.is_certain { "is" } else { "looks like" };
    let what = if is_shown {
        "shows the message badly"
    } else {
        "does not take the message"
    };
    let sent = format!("{option} = \"{}\"", format.name());
    let message =
        format!("the address {is} one of {name}, which {what}; now it is {sent}: {instead}");
    // What 0.1 took stays valid.
    let severity = if !is_plain {
        None
    } else if known.is_certain && !is_shown {
        Some(Severity::Problem)
    } else {
        Some(Severity::Note)
    };
    Some(ServiceRemark {
        option: "url",
        message,
        severity,
    })
}

#[cfg(test)]
#[path = "tests/services.rs"]
mod tests;
