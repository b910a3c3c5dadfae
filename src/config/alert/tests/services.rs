use super::*;
use crate::config::alert_types::{ServiceOptions, WebhookForm};
use crate::config::request_types::Header;
use crate::config::secret::Secret;
use crate::domain::alert_filter::AlertFilter;
use crate::sys::tls::TrustSettings;

fn webhook(format: WebhookFormat, url: &str, options: &[(&str, &str)]) -> WebhookConfig {
    let mut service = ServiceOptions::default();
    let (mut headers, mut method) = (Vec::new(), None);
    for (name, value) in options {
        let text = (*value).to_owned();
        match *name {
            "token" => service.token = Some(Secret::new(text)),
            "user" => service.user = Some(Secret::new(text)),
            "password" => service.password = Some(Secret::new(text)),
            "chat_id" => service.chat_id = Some(text),
            "priority" => service.priority = value.parse().ok(),
            "tags" => service.tags = vec![text],
            "method" => method = Some(WebhookMethod::Get),
            name => headers.push(Header {
                name: name.to_owned(),
                value: Secret::new(text),
            }),
        }
    }
    WebhookConfig {
        name: "one".to_owned(),
        form: WebhookForm::Table,
        url: Secret::new(url),
        format,
        method,
        headers,
        service,
        body: None,
        filter: AlertFilter::default(),
        trust: TrustSettings::default(),
    }
}

const BOT: &str = "123456:ABC-DEF_1";

#[test]
fn what_a_service_needs_is_known() {
    use WebhookFormat::*;
    for (format, url, options) in [
        (Ntfy, "https://ntfy.sh/topic", &[] as &[(&str, &str)]),
        (
            Ntfy,
            "https://pi.lan/ntfy/topic?x=y",
            &[("token", "tk_1"), ("priority", "5"), ("tags", "a")],
        ),
        (
            Ntfy,
            "https://ntfy.sh/topic",
            &[("user", "me"), ("password", "x")],
        ),
        (Gotify, "https://gotify.lan", &[("token", "A1")]),
        (
            Gotify,
            "https://gotify.lan/message?token=A1",
            &[("priority", "0")],
        ),
        (Gotify, "https://gotify.lan/", &[("x-gotify-key", "A1")]),
        (Slack, "https://hooks.slack.com/services/a/b/c", &[]),
        (Slack, "https://discord.com/api/webhooks/1/x/slack", &[]),
        (Slack, "https://mattermost.lan/hooks/x", &[("token", "x")]),
        (
            Discord,
            "https://discord.com/api/webhooks/1/x?thread_id=2",
            &[],
        ),
        (Discord, "https://ptb.discord.com/api/v10/webhooks/1/x", &[]),
        (
            Telegram,
            "https://api.telegram.org",
            &[("token", BOT), ("chat_id", "-100")],
        ),
        (
            Telegram,
            "https://api.telegram.org/",
            &[("token", BOT), ("chat_id", "@house")],
        ),
        (
            Telegram,
            "https://api.telegram.org/bot1:a/sendMessage?chat_id=1",
            &[],
        ),
        (
            Pushover,
            "https://api.pushover.net",
            &[("token", "a"), ("user", "u"), ("priority", "-2")],
        ),
        (
            Pushover,
            "https://api.pushover.net/1/messages.json?token=a&user=u",
            &[],
        ),
        (
            Apprise,
            "http://pi:8000/notify/main",
            &[("tags", "a"), ("user", "me"), ("password", "x")],
        ),
        (HomeAssistant, "http://hass.local:8123/api/webhook/x", &[]),
        (HomeAssistant, "https://hooks.nabu.casa/x", &[]),
        (
            HomeAssistant,
            "http://hass.local:8123/api/services/notify/phone",
            &[("token", "x")],
        ),
        (Json, "https://pi.lan/x", &[("token", "x")]),
        (Text, "https://ntfy.sh/topic", &[]),
    ] {
        assert_eq!(
            check(&webhook(format, url, options)),
            [],
            "{format:?} {url} {options:?}"
        );
    }
}

#[test]
fn what_does_not_fit_a_service_is_a_problem() {
    use WebhookFormat::*;
    for (format, url, options, option, message) in [
        (
            Ntfy,
            "https://ntfy.sh",
            &[] as &[(&str, &str)],
            "url",
            "needs a topic",
        ),
        (Ntfy, "https://ntfy.sh/?auth=x", &[], "url", "needs a topic"),
        (
            Ntfy,
            "https://ntfy.sh/a",
            &[("priority", "6")],
            "priority",
            "1 (least) to 5",
        ),
        (
            Ntfy,
            "https://ntfy.sh/a",
            &[("token", "x"), ("user", "me")],
            "token",
            "remove one",
        ),
        (
            Ntfy,
            "https://ntfy.sh/a",
            &[("token", "x"), ("authorization", "Bearer y")],
            "headers",
            "remove one",
        ),
        (
            Ntfy,
            "https://me:x@ntfy.sh/a",
            &[("token", "x")],
            "url",
            "remove one",
        ),
        (
            Ntfy,
            "https://ntfy.sh/a",
            &[("method", "GET")],
            "method",
            "a GET has no body",
        ),
        (
            Ntfy,
            "https://ntfy.sh/a",
            &[("user", "me")],
            "user",
            "needs a `password`",
        ),
        (
            Ntfy,
            "https://ntfy.sh/a",
            &[("password", "x")],
            "password",
            "needs a `user`",
        ),
        (
            Ntfy,
            "https://ntfy.sh/a",
            &[("chat_id", "1")],
            "chat_id",
            "not used by format = \"ntfy\"",
        ),
        (
            Gotify,
            "https://gotify.lan/message",
            &[],
            "format",
            "token of an application",
        ),
        (
            Gotify,
            "https://gotify.lan",
            &[("token", "A"), ("user", "me")],
            "user",
            "not used",
        ),
        (
            Gotify,
            "https://gotify.lan",
            &[("token", "A"), ("priority", "11")],
            "priority",
            "0 to 10",
        ),
        (
            Slack,
            "https://ntfy.sh/a",
            &[],
            "url",
            "write format = \"ntfy\"",
        ),
        (
            Discord,
            "https://discord.com/api/webhooks/1/x/slack",
            &[],
            "url",
            "remove /slack",
        ),
        (
            Discord,
            "https://discord.com/channels/1",
            &[],
            "url",
            "Integrations",
        ),
        (
            Discord,
            "https://discord.com/api/webhooks/1/x",
            &[("token", "x")],
            "token",
            "not used",
        ),
        (
            Telegram,
            "https://api.telegram.org",
            &[("chat_id", "1")],
            "format",
            "BotFather",
        ),
        (
            Telegram,
            "https://api.telegram.org",
            &[("token", BOT)],
            "format",
            "chat_id = 123456789",
        ),
        (
            Telegram,
            "https://api.telegram.org",
            &[("token", "bot1:a"), ("chat_id", "1")],
            "token",
            "without \"bot\"",
        ),
        (
            Telegram,
            "https://api.telegram.org/bot1:a/sendMessage",
            &[("token", BOT), ("chat_id", "1")],
            "token",
            "has a token already",
        ),
        (
            Telegram,
            "https://api.telegram.org",
            &[("token", BOT), ("chat_id", "house")],
            "chat_id",
            "@name",
        ),
        (
            Pushover,
            "https://api.pushover.net",
            &[("user", "u")],
            "format",
            "token of an application",
        ),
        (
            Pushover,
            "https://api.pushover.net",
            &[("token", "a")],
            "format",
            "key of a user",
        ),
        (
            Pushover,
            "https://api.pushover.net",
            &[("token", "a"), ("user", "u"), ("priority", "2")],
            "priority",
            "until somebody confirms",
        ),
        (Apprise, "http://pi:8000", &[], "url", "/notify/KEY"),
        (Apprise, "http://pi:8000/notify/", &[], "url", "/notify/KEY"),
        (
            HomeAssistant,
            "http://hass.local:8123",
            &[],
            "url",
            "/api/webhook/ID",
        ),
        (
            HomeAssistant,
            "http://hass.local:8123/api/services/notify/x",
            &[],
            "format",
            "access token",
        ),
    ] {
        let found = check(&webhook(format, url, options));
        let [remark] = &found[..] else {
            panic!("{format:?} {url} {options:?}: {found:?}");
        };
        assert_eq!(
            (remark.option, remark.severity),
            (option, None),
            "{url} {options:?}"
        );
        assert!(remark.message.contains(message), "{}", remark.message);
    }
}

#[test]
fn a_known_address_with_another_format_is_noticed() {
    use Severity::{Note, Problem};
    for (url, severity, instead) in [
        ("https://ntfy.sh/topic", Some(Note), "\"ntfy\""),
        ("https://ntfy.example.org/topic", Some(Note), "\"ntfy\""),
        (
            "https://hooks.slack.com/services/a/b/c",
            Some(Note),
            "\"slack\"",
        ),
        (
            "https://discord.com/api/webhooks/1/x",
            Some(Problem),
            "\"discord\"",
        ),
        (
            "https://discord.com/api/webhooks/1/x/slack",
            Some(Note),
            "\"slack\"",
        ),
        (
            "https://api.telegram.org/bot1:a/sendMessage?chat_id=1",
            Some(Note),
            "\"telegram\"",
        ),
        (
            "https://api.pushover.net/1/messages.json?token=a&user=u",
            Some(Problem),
            "\"pushover\"",
        ),
        (
            "https://gotify.lan/message?token=A",
            Some(Note),
            "\"gotify\"",
        ),
        ("https://pi.lan/message?token=A", Some(Note), "\"gotify\""),
        ("http://pi.lan:8000/notify/main", Some(Note), "\"apprise\""),
        (
            "https://chat.googleapis.com/v1/spaces/A/messages?key=k",
            Some(Problem),
            "a `body` for it",
        ),
        (
            "https://prod-1.westeurope.logic.azure.com/workflows/x",
            Some(Problem),
            "a `body` for it",
        ),
        (
            "https://example.webhook.office.com/x",
            Some(Problem),
            "a `body` for it",
        ),
        (
            "https://m.org/_matrix/client/v3/rooms/!r/send/m.room.message/1",
            Some(Problem),
            "a `body` for it",
        ),
        ("http://hass.local:8123/api/webhook/x", None, ""),
        ("https://notslack.com/services/x", None, ""),
        ("https://example.org/hook", None, ""),
    ] {
        let found = check(&webhook(WebhookFormat::Json, url, &[]));
        assert_eq!(
            found.first().map(|it| it.severity),
            severity.map(Some),
            "{url}"
        );
        assert!(
            found.iter().all(|it| it.message.contains(instead)),
            "{found:?}"
        );
        let with_body = WebhookConfig {
            body: Some(Secret::new("{text}")),
            ..webhook(WebhookFormat::Json, url, &[])
        };
        assert_eq!(check(&with_body), []);
    }
}
