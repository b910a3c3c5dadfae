//! Webhook channel: each message is sent to a URL, in one of several formats.
//!
//! On the thread of its name. The URL may be a secret: messages show no more of it than its host.

mod answer;
mod apprise;
mod discord;
mod format;
mod gotify;
mod home_assistant;
mod json;
mod ntfy;
mod plain_text;
mod pushover;
mod slack;
mod telegram;
mod template;
mod text;
mod urgency;

use std::time::Instant;

use ureq::http::{Method, Request};

use self::answer::{AnswerContext, classify};
use self::format::{FormatInput, WebhookRequest};
use self::template::TemplateValues;
use super::{Attempt, Channel, ChannelInputs, DeliveryBatch, DeliveryHooks, fingerprint};
use crate::alerts::message::{SenderInfo, compose};
use crate::alerts::url_mask::mask_url_parts;
use crate::config::{Secret, ServiceOptions, WebhookConfig, WebhookForm, WebhookMethod};
use crate::domain::alert_filter::AlertFilter;
use crate::domain::template::TemplatePlace;
use crate::sys::http_client::{self, HttpResponse};
use crate::sys::tls::TrustOptionNames;

/// The webhooks that are configured.
pub fn channels(inputs: ChannelInputs<'_>) -> Vec<Box<dyn Channel>> {
    let webhooks = inputs.settings.webhooks.iter();
    webhooks
        .map(|settings| -> Box<dyn Channel> {
            Box::new(WebhookChannel {
                settings: settings.clone(),
                sender: inputs.sender.clone(),
            })
        })
        .collect()
}

struct WebhookChannel {
    settings: WebhookConfig,
    sender: SenderInfo,
}

impl Channel for WebhookChannel {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn destination(&self) -> String {
        let host = self.settings.url.reveal().parse::<ureq::http::Uri>().ok();
        let host = host.and_then(|url| url.host().map(str::to_owned));
        format!("the webhook at {}", host.unwrap_or_default())
    }

    fn filter(&self) -> AlertFilter {
        self.settings.filter.clone()
    }

    fn deliver(&self, batch: &DeliveryBatch<'_>, hooks: DeliveryHooks<'_>) -> Attempt {
        let message = compose(
            batch.items,
            batch.dropped,
            &self.sender,
            batch.now,
            batch.delayed_by,
        );
        let page = format!("{}/web", self.sender.page);
        let input = FormatInput::new(&self.settings, &message, batch, &self.sender, &page);
        let request = match self.request(format::compose(&input), &input) {
            Ok(request) => request,
            Err(why) => return Attempt::retry(why),
        };
        if let Err(why) = (hooks.before_data)() {
            return Attempt::retry(why);
        }
        let method = request.method().to_string();
        let began = Instant::now();
        let response = http_client::send(
            request,
            (&self.settings.trust, Some(self.trust_options())),
            hooks.stop,
        );
        let attempt = match response {
            Ok(response) => self.classify(&response, &method),
            Err(why) => Attempt::retry(why),
        };
        let result = match attempt.retry.as_ref().or(attempt.refused.as_ref()) {
            None => Ok("accepted".to_owned()),
            Some(why) => Err(why.clone()),
        };
        (hooks.report)(&method, began.elapsed(), &result);
        attempt
    }

    fn config_fingerprint(&self) -> u16 {
        let WebhookConfig {
            name,
            form: _,
            url,
            format,
            method,
            headers,
            service,
            body,
            filter: _,
            trust,
        } = &self.settings;
        let headers = headers.iter();
        let headers: Vec<String> = headers
            .map(|it| format!("{}: {}", it.name, it.value.reveal()))
            .collect();
        fingerprint(&[
            name,
            url.reveal(),
            &format!("{format:?} {method:?} {trust:?}"),
            &headers.join("\n"),
            &service_text(service),
            body.as_ref().map(Secret::reveal).unwrap_or_default(),
        ])
    }
}

/// All options of a service, for the fingerprint.
fn service_text(service: &ServiceOptions) -> String {
    let secrets = [&service.token, &service.user, &service.password];
    let secrets = secrets.map(|it| it.as_ref().map(Secret::reveal));
    let ServiceOptions {
        chat_id,
        priority,
        tags,
        ..
    } = service;
    format!("{secrets:?} {chat_id:?} {priority:?} {tags:?}")
}

impl WebhookChannel {
    fn trust_options(&self) -> &'static TrustOptionNames {
        match self.settings.form {
            WebhookForm::Text => &TrustOptionNames::WEBHOOK,
            WebhookForm::Table => &TrustOptionNames::WEBHOOK_TABLE,
        }
    }

    fn classify(&self, response: &HttpResponse, method: &str) -> Attempt {
        let url = self.settings.url.reveal();
        let (url_option, format_option) = match self.settings.form {
            WebhookForm::Text => ("webhook", "webhook_format"),
            WebhookForm::Table => ("url", "format"),
        };
        let context = AnswerContext {
            url,
            url_option,
            format_option,
            method,
        };
        let attempt = classify(response, &context);
        let judged = format::judge(self.settings.format, response.status, &response.body);
        match judged.filter(|_| attempt.is_complete()) {
            Some(why) => Attempt {
                refused: Some(mask_url_parts(&why, url)),
                ..Attempt::default()
            },
            None => attempt,
        }
    }

    /// The request with what all formats have in common, and with the configuration's own headers.
    fn request(
        &self,
        composed: WebhookRequest,
        input: &FormatInput<'_>,
    ) -> Result<Request<String>, String> {
        let method = match self.settings.method {
            Some(WebhookMethod::Get) => Method::GET,
            Some(WebhookMethod::Post) => Method::POST,
            Some(WebhookMethod::Put) => Method::PUT,
            None => composed.method,
        };
        let values = TemplateValues::new(input);
        // As `webhook = "URL"`, every brace is text.
        let url = match self.settings.form {
            WebhookForm::Text => composed.url,
            WebhookForm::Table => values.fill(&composed.url, TemplatePlace::Url),
        };
        let body = match method {
            Method::GET => String::new(),
            _ => composed.body,
        };
        // A resend of the same message has the same key.
        let common = [("Idempotency-Key", input.message_id)];
        let composed = composed.headers.iter();
        let composed = composed.map(|(name, value)| (&**name, &**value));
        let own = self.settings.headers.iter();
        let own: Vec<(&str, String)> = own
            .map(|it| {
                let value = values.fill(it.value.reveal(), TemplatePlace::Header);
                (&*it.name, value)
            })
            .collect();
        let own = own.iter().map(|(name, value)| (*name, &**value));
        let headers = common.into_iter().chain(composed).chain(own);
        http_client::build_request(method, &url, headers, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::delivery::tests::item;
    use crate::config::Header;
    use crate::config::WebhookFormat;
    use crate::domain::alert_event::LabelledText;
    use crate::domain::alert_level::AlertLevel;
    use crate::domain::outbox::OutboxItem;
    use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
    use crate::sys::shutdown::StopToken;
    use crate::sys::tls::TrustSettings;
    use jiff::tz::TimeZone;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;

    /// Serves one request with `response`; the receiver gets its head and body.
    fn serve(response: &'static str) -> (String, mpsc::Receiver<(String, String)>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!(
            "http://{}/hook?token=hush",
            listener.local_addr().expect("bound")
        );
        let (sender, received) = mpsc::channel();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept()?;
            let mut reader = BufReader::new(stream.try_clone()?);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head)?;
            }
            let length = head.to_lowercase();
            let length = length
                .split("content-length: ")
                .nth(1)
                .and_then(|it| it.split("\r\n").next());
            let mut body = vec![0; length.and_then(|it| it.parse().ok()).unwrap_or(0)];
            reader.read_exact(&mut body)?;
            let _ = sender.send((head, String::from_utf8_lossy(&body).into_owned()));
            (&stream).write_all(response.as_bytes())
        });
        (url, received)
    }

    fn settings(url: String, format: WebhookFormat) -> WebhookConfig {
        WebhookConfig {
            name: "webhook".to_owned(),
            form: WebhookForm::Text,
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

    fn post(format: WebhookFormat, response: &'static str) -> (Attempt, String, String) {
        let (url, received) = serve(response);
        deliver(settings(url, format), &[item(1, None)], &received)
    }

    fn deliver(
        settings: WebhookConfig,
        items: &[OutboxItem],
        received: &mpsc::Receiver<(String, String)>,
    ) -> (Attempt, String, String) {
        let webhook = WebhookChannel {
            settings,
            sender: SenderInfo {
                node: "pi".to_owned(),
                page: "http://pi.local:8000".to_owned(),
                zone: TimeZone::UTC,
            },
        };
        let batch = DeliveryBatch {
            items,
            dropped: 0,
            message_id: "main-node.1@x",
            done_recipients: &[],
            now: Moment {
                mono: Mono(0),
                wall: Wall(1_762_027_260_000),
                trust: ClockTrust::Trusted,
            },
            delayed_by: None,
        };
        let attempt = webhook.deliver(
            &batch,
            DeliveryHooks {
                before_data: &mut || Ok(()),
                report: &mut |_, _, _| (),
                stop: &StopToken::default(),
            },
        );
        let (head, body) = received.recv().expect("a request arrives");
        (attempt, head, body)
    }

    #[test]
    fn a_message_is_posted_as_json() {
        let ok = "HTTP/1.1 204 No Content\r\n\r\n";
        let (attempt, head, body) = post(WebhookFormat::Json, ok);
        assert_eq!(attempt, Attempt::default());
        assert!(
            head.to_lowercase()
                .contains("idempotency-key: main-node.1@x"),
            "{head}"
        );
        let json: serde_json::Value = serde_json::from_str(&body).expect("it is JSON");
        assert_eq!(json["id"], "main-node.1@x");
        assert_eq!(json["events"][0]["kind"], "trigger");
        assert_eq!(json["events"][0]["since"], "2025-11-01T20:00:00Z");
    }

    #[test]
    fn a_message_is_posted_as_text_with_a_title() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let (attempt, head, body) = post(WebhookFormat::Text, ok);
        assert_eq!(attempt, Attempt::default());
        assert!(
            head.to_lowercase().contains("title: [main-node] "),
            "{head}"
        );
        assert!(body.contains("What main-node does"), "{body}");
    }

    #[test]
    fn responses_are_classified_and_redirects_not_followed() {
        let (attempt, ..) = post(
            WebhookFormat::Json,
            "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        );
        assert_eq!(
            attempt.retry.as_deref(),
            Some("the webhook responded with HTTP 503")
        );
        let (attempt, ..) = post(
            WebhookFormat::Json,
            "HTTP/1.1 422 No\r\nContent-Length: 3\r\n\r\nbad",
        );
        let why = attempt.refused.expect("refused");
        assert!(
            why.contains("HTTP 422 bad (the server cannot read"),
            "{why}"
        );
        let elsewhere =
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n";
        let (attempt, ..) = post(WebhookFormat::Json, elsewhere);
        let why = attempt.retry.expect("not followed");
        assert!(!why.contains("hush"), "{why}");
    }

    #[test]
    fn placeholders_are_filled_as_their_place_needs_it() {
        let mut first = item(1, None);
        first.event.level = AlertLevel::Critical;
        first.event.text.labelled = Some(LabelledText {
            key: "house.co2".to_owned(),
            about: "CO\"2\r\nX: y".to_owned(),
            value: "1234.5".to_owned(),
            ..LabelledText::default()
        });
        let (url, received) = serve("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let webhook = WebhookConfig {
            form: WebhookForm::Table,
            url: Secret::new(format!("{url}&id={{id}}&s={{subject}}")),
            method: Some(WebhookMethod::Put),
            headers: vec![Header {
                name: "X-Title".to_owned(),
                value: Secret::new("{level} {key}"),
            }],
            body: Some(Secret::new(
                "{\"s\": \"{subject}\", \"v\": {value}, \"k\": \"{kind}\", \"l\": \"{level}\", \"x\": {}}",
            )),
            ..settings(String::new(), WebhookFormat::Json)
        };
        let (attempt, head, body) = deliver(webhook, &[first], &received);
        assert_eq!(attempt, Attempt::default());
        let path = "PUT /hook?token=hush&id=main-node.1%40x&s=%5Bmain-node%5D%20CO%222";
        assert!(head.starts_with(path), "{head}");
        let lower = head.to_lowercase();
        assert!(lower.contains("x-title: critical house.co2\r\n"), "{head}");
        assert!(
            lower.contains("content-type: application/json\r\n"),
            "{head}"
        );
        let json: serde_json::Value = serde_json::from_str(&body).expect("it is JSON");
        assert_eq!(json["v"], 1234.5);
        assert_eq!(json["k"], "trigger");
        assert_eq!(json["l"], "critical");
        let subject = json["s"].as_str().expect("it is text");
        assert!(
            subject.starts_with("[main-node] CO\"2  X: y: "),
            "{subject}"
        );
    }

    #[test]
    fn a_long_text_is_cut_in_urls_and_headers() {
        let mut first = item(1, None);
        first.event.text.detail = "\u{20ac}".repeat(40_000);
        let (url, received) = serve("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let webhook = WebhookConfig {
            form: WebhookForm::Table,
            url: Secret::new(format!("{url}&t={{text}}")),
            headers: vec![Header {
                name: "X-Text".to_owned(),
                value: Secret::new("{text}"),
            }],
            body: Some(Secret::new("{text}")),
            ..settings(String::new(), WebhookFormat::Json)
        };
        let (attempt, head, body) = deliver(webhook, &[first], &received);
        assert_eq!(attempt, Attempt::default());
        assert!(head.len() < 9_000, "{}", head.len());
        assert!(body.len() > 100_000, "{}", body.len());
    }
}
