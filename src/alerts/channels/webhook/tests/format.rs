//! What each service gets: limits, levels, and texts that hold markup.

use super::*;
use crate::alerts::delivery::tests::item;
use crate::config::{Secret, WebhookForm};
use crate::domain::alert_event::AlertEventKind;
use crate::domain::alert_filter::AlertFilter;
use crate::sys::tls::TrustSettings;

const PAGE: &str = "http://my_pi.local:8000/web";
const HOSTILE: &str = "@everyone <!channel> <b>*x* [a](http://evil) & `c`";

fn settings(format: WebhookFormat, url: &str) -> WebhookConfig {
    WebhookConfig {
        name: "one".to_owned(),
        form: WebhookForm::Table,
        url: Secret::new(url),
        format,
        method: None,
        headers: Vec::new(),
        service: ServiceOptions::default(),
        body: None,
        filter: AlertFilter::default(),
        trust: TrustSettings::default(),
    }
}

/// The request about one event.
fn composed(
    settings: &WebhookConfig,
    (level, kind): (AlertLevel, AlertEventKind),
    (subject, text): (&str, &str),
) -> WebhookRequest {
    let mut event = item(1, None);
    event.event.level = level;
    event.event.kind = kind;
    let message = Message {
        subject: subject.to_owned(),
        text: String::new(),
        chat_text: text.to_owned(),
        html: String::new(),
        references: Vec::new(),
    };
    compose(&FormatInput {
        settings,
        message: &message,
        events: &[event],
        message_id: "main-node.1@x",
        node: "pi",
        page: PAGE,
        level,
    })
}

fn warning(settings: &WebhookConfig, subject: &str, text: &str) -> WebhookRequest {
    let what = (AlertLevel::Warning, AlertEventKind::Trigger);
    composed(settings, what, (subject, text))
}

fn json(request: &WebhookRequest) -> serde_json::Value {
    serde_json::from_str(&request.body).expect("it is JSON")
}

fn header<'a>(request: &'a WebhookRequest, name: &str) -> Option<&'a str> {
    let mut headers = request.headers.iter();
    headers
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

/// The text that a service shows, by its limit: bytes, characters or units of UTF-16.
const LIMITS: [(WebhookFormat, &str, usize); 6] = [
    (WebhookFormat::Gotify, "message", 16_000),
    (WebhookFormat::Slack, "text", 4_000),
    (WebhookFormat::Discord, "content", 2_000),
    (WebhookFormat::Telegram, "text", 4_096),
    (WebhookFormat::Pushover, "message", 1_024),
    (WebhookFormat::Apprise, "body", 16_000),
];

#[test]
fn a_long_text_is_cut_to_what_the_service_takes() {
    for (format, field, most) in LIMITS {
        for text in ["a", "😀", "&", "*", "ä\n"] {
            let settings = settings(format, "https://pi.lan/x");
            let request = warning(&settings, "Küche: heiß", &text.repeat(20_000));
            let body = json(&request);
            let shown = body[field].as_str().expect("a text");
            let length = match format {
                WebhookFormat::Telegram | WebhookFormat::Discord => shown.encode_utf16().count(),
                _ => shown.chars().count(),
            };
            assert!(
                (most - 5..=most).contains(&length),
                "{format:?} {text} {length}"
            );
            assert!(shown.contains("… see the page"), "{format:?} {text}");
            // Where nothing else links to the page, the text does.
            let links = matches!(format, WebhookFormat::Gotify | WebhookFormat::Pushover)
                || shown.ends_with(PAGE);
            assert!(links, "{format:?}");
        }
    }
    let ntfy = settings(WebhookFormat::Ntfy, "https://ntfy.sh/t");
    let request = warning(&ntfy, "a", &"ä".repeat(3_000));
    assert!(
        (4_090..=4_096).contains(&request.body.len()),
        "{}",
        request.body.len()
    );
    assert!(request.body.ends_with("ä… see the page"));
    assert_eq!(
        warning(&ntfy, "a", &"ä".repeat(2_048)).body,
        "ä".repeat(2_048)
    );
}

/// Level and kind of an event, and what ntfy, Gotify, Pushover and Apprise make of them.
const URGENCIES: [(AlertLevel, AlertEventKind, &str, &str, i64, i64, &str); 6] = {
    use AlertEventKind::*;
    use AlertLevel::*;
    [
        (Critical, Trigger, "5", "rotating_light", 8, 1, "failure"),
        (Warning, Trigger, "4", "warning", 5, 0, "warning"),
        (Warning, Reminder, "4", "warning", 5, 0, "warning"),
        (Info, Flapping, "3", "information_source", 2, -1, "info"),
        (Critical, Recovery, "3", "white_check_mark", 4, 0, "success"),
        (
            Warning,
            RuleRemoved,
            "3",
            "white_check_mark",
            4,
            0,
            "success",
        ),
    ]
};

#[test]
fn the_level_becomes_the_priority_of_the_service() {
    for (level, kind, ntfy, tag, gotify, pushover, apprise) in URGENCIES {
        let of = |format| {
            composed(
                &settings(format, "https://pi.lan/x"),
                (level, kind),
                ("s", "t"),
            )
        };
        let request = of(WebhookFormat::Ntfy);
        assert_eq!(header(&request, "Priority"), Some(ntfy));
        assert_eq!(header(&request, "Tags"), Some(tag));
        assert_eq!(json(&of(WebhookFormat::Gotify))["priority"], gotify);
        assert_eq!(json(&of(WebhookFormat::Pushover))["priority"], pushover);
        assert_eq!(json(&of(WebhookFormat::Apprise))["type"], apprise);
        let is_silent = level == AlertLevel::Info;
        assert_eq!(
            json(&of(WebhookFormat::Telegram))["disable_notification"],
            is_silent
        );
    }
    let mut own = settings(WebhookFormat::Ntfy, "https://ntfy.sh/t");
    own.service.priority = Some(2);
    own.service.tags = vec!["haus".to_owned(), "küche".to_owned()];
    let request = warning(&own, "s", "t");
    assert_eq!(header(&request, "Priority"), Some("2"));
    // printf 'warning,haus,küche' | base64
    assert_eq!(
        header(&request, "Tags"),
        Some("=?UTF-8?B?d2FybmluZyxoYXVzLGvDvGNoZQ==?=")
    );
}

#[test]
fn text_of_others_has_no_meaning() {
    let of = |format| {
        json(&warning(
            &settings(format, "https://pi.lan/x"),
            HOSTILE,
            HOSTILE,
        ))
    };
    let slack = of(WebhookFormat::Slack);
    let text = slack["text"].as_str().expect("a text");
    assert!(
        !text.contains(['<', '>']) && !text.contains("@everyone"),
        "{text}"
    );
    assert!(
        text.contains("&lt;\u{200b}b&gt;*x*") && text.contains(" &amp; "),
        "{text}"
    );
    assert_eq!(slack["mrkdwn"], false);

    let discord = of(WebhookFormat::Discord);
    let text = discord["content"].as_str().expect("a text");
    let escaped = r"@everyone \<!channel> \<b>\*x\* \[a\](http://evil) & \`c\`";
    assert_eq!(text, format!("**{escaped}**\n\n{escaped}\n\n{PAGE}"));
    assert_eq!(discord["allowed_mentions"]["parse"], serde_json::json!([]));

    let telegram = of(WebhookFormat::Telegram);
    let text = telegram["text"].as_str().expect("a text");
    assert!(
        !text.contains("@everyone") && text.contains("@\u{200b}everyone"),
        "{text}"
    );
    assert!(telegram.get("parse_mode").is_none());
    assert_eq!(telegram["link_preview_options"]["is_disabled"], true);

    // What has no markup shows the text as it is.
    assert_eq!(of(WebhookFormat::Gotify)["message"], HOSTILE);
    assert_eq!(of(WebhookFormat::Pushover)["message"], HOSTILE);
    assert_eq!(of(WebhookFormat::HomeAssistant)["message"], HOSTILE);
    let ntfy = warning(
        &settings(WebhookFormat::Ntfy, "https://ntfy.sh/t"),
        HOSTILE,
        HOSTILE,
    );
    assert_eq!(
        (header(&ntfy, "Title"), &*ntfy.body),
        (Some(HOSTILE), HOSTILE)
    );
}

#[test]
fn lines_of_markdown_are_escaped_for_discord() {
    let discord = settings(
        WebhookFormat::Discord,
        "https://discord.com/api/webhooks/1/x",
    );
    let body = json(&warning(&discord, "s", "# a\n- b\n  > c\na-b > c\n-# d"));
    let expected = "**s**\n\n\\# a\n\\- b\n  \\> c\na-b \\> c\n\\-# d\n\n";
    assert_eq!(body["content"], format!("{expected}{PAGE}"));
}

#[test]
fn requests_go_where_the_documentation_says() {
    let token = || Some(Secret::new("T"));
    for (format, url, has_token, expected) in [
        (
            WebhookFormat::Ntfy,
            "https://ntfy.sh/t?x=y",
            false,
            "https://ntfy.sh/t?x=y",
        ),
        (
            WebhookFormat::Gotify,
            "https://g.lan",
            true,
            "https://g.lan/message",
        ),
        (
            WebhookFormat::Gotify,
            "https://g.lan/sub/?token=A",
            false,
            "https://g.lan/sub/message?token=A",
        ),
        (
            WebhookFormat::Gotify,
            "https://g.lan/message?token=A",
            false,
            "https://g.lan/message?token=A",
        ),
        (
            WebhookFormat::Discord,
            "https://d.lan/api/webhooks/1/x",
            false,
            "https://d.lan/api/webhooks/1/x?wait=true",
        ),
        (
            WebhookFormat::Discord,
            "https://d.lan/w?thread_id=1",
            false,
            "https://d.lan/w?thread_id=1&wait=true",
        ),
        (
            WebhookFormat::Telegram,
            "https://api.telegram.org",
            true,
            "https://api.telegram.org/botT/sendMessage",
        ),
        (
            WebhookFormat::Telegram,
            "https://a/botT",
            false,
            "https://a/botT/sendMessage",
        ),
        (
            WebhookFormat::Telegram,
            "https://a/botT/sendMessage?chat_id=1",
            false,
            "https://a/botT/sendMessage?chat_id=1",
        ),
        (
            WebhookFormat::Pushover,
            "https://api.pushover.net/",
            true,
            "https://api.pushover.net/1/messages.json",
        ),
        (
            WebhookFormat::Pushover,
            "https://a/1/messages.json?user=u",
            true,
            "https://a/1/messages.json?user=u",
        ),
        (
            WebhookFormat::Apprise,
            "http://a/notify/main",
            false,
            "http://a/notify/main",
        ),
    ] {
        let mut settings = settings(format, url);
        settings.service.token = token().filter(|_| has_token);
        assert_eq!(warning(&settings, "s", "t").url, expected);
    }
}

#[test]
fn logins_go_where_the_documentation_says() {
    let mut own = settings(WebhookFormat::Ntfy, "https://pi.lan/x");
    own.service.token = Some(Secret::new("T"));
    for format in WebhookFormat::ALL {
        own.format = format;
        let request = warning(&own, "s", "t");
        let authorization = header(&request, "Authorization");
        let (expected, key) = match format {
            WebhookFormat::Gotify => (None, Some("T")),
            WebhookFormat::Discord | WebhookFormat::Telegram | WebhookFormat::Pushover => {
                (None, None)
            }
            _ => (Some("Bearer T"), None),
        };
        assert_eq!(
            (authorization, header(&request, "X-Gotify-Key")),
            (expected, key),
            "{format:?}"
        );
    }
    let mut own = settings(WebhookFormat::Ntfy, "https://ntfy.sh/t");
    own.service.user = Some(Secret::new("Aladdin"));
    own.service.password = Some(Secret::new("open sesame"));
    // The example of RFC 7617.
    let expected = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(header(&warning(&own, "s", "t"), "Authorization"), expected);
    own.format = WebhookFormat::Pushover;
    assert_eq!(json(&warning(&own, "s", "t"))["user"], "Aladdin");
    for (chat, expected) in [
        ("-100", serde_json::json!(-100)),
        ("@house", serde_json::json!("@house")),
    ] {
        own.format = WebhookFormat::Telegram;
        own.service.chat_id = Some(chat.to_owned());
        assert_eq!(json(&warning(&own, "s", "t"))["chat_id"], expected);
    }
}

#[test]
fn an_answer_that_says_no_is_a_refusal_whatever_its_status() {
    use WebhookFormat::*;
    for (format, status, body, refusal) in [
        (Slack, 200, "ok", None),
        (Slack, 200, r#"{"ok":true}"#, None),
        (
            Slack,
            200,
            r#"{"ok":false,"error":"channel_not_found"}"#,
            Some("channel_not_found"),
        ),
        (Slack, 200, r#"{"success":false}"#, Some("without a reason")),
        (Telegram, 200, r#"{"ok":true,"result":{}}"#, None),
        (
            Telegram,
            200,
            r#"{"ok":false,"description":"chat not found"}"#,
            Some("chat not found"),
        ),
        (Pushover, 200, r#"{"status":1,"request":"x"}"#, None),
        (
            Pushover,
            200,
            r#"{"status":0,"errors":["a is b","c"]}"#,
            Some("a is b, c"),
        ),
        (Pushover, 200, r#"{"status":0}"#, Some("without a reason")),
        (Pushover, 200, "", None),
        (Apprise, 200, "", None),
        (
            Apprise,
            204,
            "",
            Some("Apprise API has no configuration for the key at the end of the address"),
        ),
        (Discord, 204, "", None),
        (Ntfy, 200, r#"{"ok":false}"#, None),
        (Json, 200, r#"{"ok":false}"#, None),
    ] {
        assert_eq!(
            judge(format, status, body).as_deref(),
            refusal,
            "{format:?} {body}"
        );
    }
}

/// Actions refuse unknown fields; a webhook takes what an automation may ask for.
#[test]
fn home_assistant_gets_what_its_address_takes() {
    let of = |path: &str| {
        let settings = settings(
            WebhookFormat::HomeAssistant,
            &format!("http://h:8123{path}"),
        );
        let body = json(&warning(&settings, "s", "t"));
        let mut names: Vec<String> = body
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(of("/api/services/notify/phone"), "message title");
    assert_eq!(
        of("/api/webhook/x"),
        "events id is_over level message node page title"
    );
}
