//! Heartbeat (dead man's switch): requests a URL once a minute while all is well, so that a
//! service outside notices when this node is dead; and another one, if there is one, while the node
//! is not well.
//!
//! On the thread `ping`. Nothing is queued.

use std::sync::Arc;

use ureq::http::{Method, Request, Uri};

use super::delivery_status::SharedDeliveryStatus;
use super::message::SenderInfo;
use super::url_mask::mask_url_parts;
use crate::config::{PingConfig, WebhookForm, WebhookMethod, content_type};
use crate::domain::redact::Secrets;
use crate::domain::template::{TemplatePlace, TemplateValue, TextTemplate};
use crate::domain::time::Mono;
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::http_client;
use crate::sys::redirect::describe_redirect;
use crate::sys::shutdown::StopToken;
use crate::sys::thread::catch_panic;
use crate::sys::tls::TrustOptionNames;

/// The requests of the heartbeat.
pub struct Ping {
    settings: PingConfig,
    sender: SenderInfo,
    secrets: Arc<Secrets>,
}

impl Ping {
    pub fn new(settings: &PingConfig, sender: &SenderInfo, secrets: &Arc<Secrets>) -> Ping {
        Ping {
            settings: settings.clone(),
            sender: sender.clone(),
            secrets: secrets.clone(),
        }
    }

    /// Where it goes, without secrets.
    pub fn destination(&self) -> String {
        let host = self.settings.url.reveal().parse::<Uri>().ok();
        let host = host.and_then(|url| url.host().map(str::to_owned));
        format!("the ping at {}", host.unwrap_or_default())
    }

    pub fn method(&self) -> &'static str {
        self.settings.method.name()
    }

    /// Sends one heartbeat, and says what the service answered. `health` says what is wrong with the
    /// node; nothing is sent then where there is no URL for it.
    pub fn send(
        &self,
        health: &Result<(), String>,
        stop: &StopToken,
    ) -> Option<Result<String, String>> {
        let url = match health {
            Ok(()) => &self.settings.url,
            Err(_) => self.settings.fail_url.as_ref()?,
        };
        let mask = |text: String| self.secrets.mask(&text).into_owned();
        let result = self.request(url.reveal(), health, stop);
        Some(result.map(mask).map_err(mask))
    }

    fn request(
        &self,
        url: &str,
        health: &Result<(), String>,
        stop: &StopToken,
    ) -> Result<String, String> {
        let values = [
            ("ok", TemplateValue::Boolean(health.is_ok())),
            (
                "text",
                TemplateValue::Text(health.as_ref().err().map_or("OK", |why| why)),
            ),
            ("node", TemplateValue::Text(&self.sender.node)),
            ("page", TemplateValue::Text(&self.sender.page)),
        ];
        let fill = |text: &str, place| {
            // As a plain URL, every brace is text.
            let names: &[&'static str] = match self.settings.form {
                WebhookForm::Text => &[],
                WebhookForm::Table => &PingConfig::PLACEHOLDERS,
            };
            let template = TextTemplate::parse(text, place, names);
            template.map(|template| template.fill(&values))
        };
        let filled = fill(url, TemplatePlace::Url).map_err(|problem| problem.to_string())?;
        let own = self.settings.headers.iter();
        let own = own.map(|it| (&*it.name, it.value.reveal()));
        let content_type = content_type(&self.settings.headers);
        let body = self.settings.body.as_ref().map(|body| {
            let place = TemplatePlace::of_body(content_type, body.reveal());
            fill(body.reveal(), place).map(|filled| (filled, place.content_type()))
        });
        let body = body.transpose().map_err(|problem| problem.to_string())?;
        let (body, content_type) = body.unzip();
        let default = content_type.map(|it| ("Content-Type", it));
        let headers = default.into_iter().chain(own);
        let method = match self.settings.method {
            WebhookMethod::Get => Method::GET,
            WebhookMethod::Post => Method::POST,
            WebhookMethod::Put => Method::PUT,
        };
        let body = body.unwrap_or_default();
        let request = http_client::build_request(method, &filled, headers, body)?;
        self.answer(request, stop)
    }

    fn answer(&self, request: Request<String>, stop: &StopToken) -> Result<String, String> {
        let uri = request.uri().clone();
        let trust = (&self.settings.trust, Some(&TrustOptionNames::PING));
        let response = http_client::send(request, trust, stop)?;
        let option = match self.settings.form {
            WebhookForm::Text => "ping",
            WebhookForm::Table => "url",
        };
        if let Some(why) = describe_redirect(&response, &uri, ("it", option)) {
            return Err(why);
        }
        let status = response.status;
        let body = mask_url_parts(&response.shown_body(), &uri.to_string());
        let said = match &*body {
            "" => format!("HTTP {status}"),
            body => format!("HTTP {status} {body}"),
        };
        let method = self.method();
        match status {
            200..=299 => Ok(said),
            405 => Err(format!(
                "{said}; {method} is not allowed: set `method` in [alert.ping]"
            )),
            401 | 403 => Err(format!(
                "{said}; access denied: set `headers` in [alert.ping], or check the URL"
            )),
            400..=499 => Err(format!("{said}; is the URL right?")),
            _ => Err(said),
        }
    }
}

/// Sends heartbeats until the node stops. `health` says what is wrong; `status` shows the last
/// result.
pub fn run(
    ping: &Ping,
    health: impl Fn() -> Result<(), String>,
    stop: &StopToken,
    clock: &dyn Clock,
    status: &SharedDeliveryStatus,
) {
    let mut was_ok = true;
    let mut trouble = Trouble::default();
    let started = clock.now().mono;
    let mut has_sent = false;
    while !stop.is_stopping() {
        let sent = catch_panic("ping", || {
            let now = clock.now();
            let Some(health) = trouble.report(health(), now.mono) else {
                return;
            };
            let Some(result) = ping.send(&health, stop) else {
                return;
            };
            has_sent = true;
            let result = result.map(drop);
            // A request that the stop interrupted says nothing about the URL.
            if result.is_ok() || !stop.is_stopping() {
                log_change(&result, was_ok);
                status.record_attempt(&result, clock.now());
                was_ok = result.is_ok();
            }
        });
        if sent.is_none() {
            was_ok = false;
        }
        // The first one goes out soon after the first values.
        let is_start = !has_sent && clock.now().mono.since(started) < limits::PING_FAIL_AFTER;
        stop.wait(if is_start {
            limits::PING_START_POLL
        } else {
            limits::PING_INTERVAL
        });
    }
}

/// Since when the node is not well.
#[derive(Default)]
struct Trouble {
    since: Option<Mono>,
    is_reported: bool,
}

impl Trouble {
    /// What the heartbeat says; nothing while a trouble is young.
    fn report(&mut self, health: Result<(), String>, now: Mono) -> Option<Result<(), String>> {
        let Err(why) = &health else {
            if std::mem::take(self).is_reported {
                log::info!("ping: all is well again");
            }
            return Some(health);
        };
        let since = *self.since.get_or_insert(now);
        if now.since(since) < limits::PING_FAIL_AFTER {
            return None;
        }
        if !self.is_reported {
            log::warn!("ping: the node is not well: {why}");
            self.is_reported = true;
        }
        Some(health)
    }
}

/// Logs only changes.
fn log_change(result: &Result<(), String>, was_ok: bool) {
    match result {
        Err(why) if was_ok => log::warn!("ping: heartbeat URL not reachable: {why}"),
        Ok(()) if !was_ok => log::info!("ping: heartbeat URL reachable again"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::domain::time::{ClockTrust, Moment, Wall};
    use crate::sys::clock::ManualClock;
    use crate::sys::shutdown::StopSource;
    use crate::sys::tls::TrustSettings;
    use jiff::tz::TimeZone;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    /// A server that answers `count` requests with `response`; its address, and what it got.
    fn serve(
        count: usize,
        response: &'static str,
        stops: Option<Arc<StopSource>>,
    ) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let server = std::thread::spawn(move || {
            let request = |_| {
                let (stream, _) = listener.accept().expect("a connection arrives");
                let mut reader = BufReader::new(&stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    reader.read_line(&mut head).expect("a line arrives");
                }
                let lower = head.to_lowercase();
                let length = lower.split("content-length: ").nth(1);
                let length = length.and_then(|it| it.split("\r\n").next()?.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                reader.read_exact(&mut body).expect("the body arrives");
                if let Some(stops) = &stops {
                    stops.stop();
                }
                (&stream)
                    .write_all(response.as_bytes())
                    .expect("the client reads");
                head + &String::from_utf8_lossy(&body)
            };
            (0..count).map(request).collect()
        });
        (address, server)
    }

    fn ping(url: &str, fail_url: Option<&str>, body: Option<&str>) -> Ping {
        let settings = PingConfig {
            form: WebhookForm::Table,
            url: Secret::new(url),
            fail_url: fail_url.map(Secret::new),
            method: match body {
                Some(_) => WebhookMethod::Post,
                None => WebhookMethod::Get,
            },
            headers: Vec::new(),
            body: body.map(Secret::new),
            trust: TrustSettings::default(),
        };
        let sender = SenderInfo {
            node: "pi".to_owned(),
            page: "http://pi.local:8000".to_owned(),
            zone: TimeZone::UTC,
        };
        Ping::new(&settings, &sender, &Arc::default())
    }

    fn clock() -> ManualClock {
        ManualClock::new(Moment {
            mono: Mono(0),
            wall: Wall(1_762_027_200_000),
            trust: ClockTrust::Trusted,
        })
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn only_a_healthy_node_sends_heartbeats() {
        let source = Arc::new(StopSource::new());
        let (address, server) = serve(1, OK, Some(source.clone()));
        let (clock, status) = (clock(), SharedDeliveryStatus::default());
        let is_alive = ping(&format!("{address}/ping/secret"), None, None);
        run(&is_alive, || Ok(()), &source.token(), &clock, &status);
        let requests = server.join().expect("the server does not panic");
        let begin = "GET /ping/secret HTTP/1.1\r\n";
        assert!(requests[0].starts_with(begin), "{requests:?}");
        let before = status.get().attempts;
        let source = StopSource::new();
        let stops = || {
            source.stop();
            Err("no source has fresh values".to_owned())
        };
        let nowhere = ping("http://127.0.0.1:9/", None, None);
        run(&nowhere, stops, &source.token(), &clock, &status);
        assert_eq!(status.get().attempts, before);
    }

    #[test]
    fn a_node_that_is_not_well_says_so_elsewhere() {
        let (address, server) = serve(2, OK, None);
        let url = format!("{address}/push?status=up&msg={{text}}");
        let fail_url = format!("{address}/push?status=down&msg={{text}}");
        let ping = ping(
            &url,
            Some(&fail_url),
            Some("{\"up\": {ok}, \"why\": \"{text}\"}"),
        );
        let stop = StopToken::default();
        let well = ping.send(&Ok(()), &stop);
        assert_eq!(well, Some(Ok("HTTP 200".to_owned())));
        let failing = ping.send(&Err("a \"b\" & c".to_owned()), &stop);
        assert_eq!(failing, Some(Ok("HTTP 200".to_owned())));
        let requests = server.join().expect("the server does not panic");
        for (request, path, body) in [
            (
                &requests[0],
                "POST /push?status=up&msg=OK HTTP/1.1\r\n",
                "{\"up\": true, \"why\": \"OK\"}",
            ),
            (
                &requests[1],
                "POST /push?status=down&msg=a%20%22b%22%20%26%20c HTTP/1.1\r\n",
                "{\"up\": false, \"why\": \"a \\\"b\\\" & c\"}",
            ),
        ] {
            assert!(request.starts_with(path), "{request}");
            assert!(request.ends_with(body), "{request}");
            let head = request.to_lowercase();
            assert!(head.contains("content-type: application/json"), "{head}");
        }
    }

    #[test]
    fn a_start_is_no_failure() {
        let minute = |minutes: u64| Mono(minutes * 60_000);
        let bad = || Err("no source has fresh values".to_owned());
        let mut trouble = Trouble::default();
        assert_eq!(trouble.report(bad(), minute(0)), None);
        assert_eq!(trouble.report(bad(), minute(1)), None);
        assert_eq!(trouble.report(bad(), minute(2)), Some(bad()));
        assert_eq!(trouble.report(bad(), minute(3)), Some(bad()));
        assert_eq!(trouble.report(Ok(()), minute(4)), Some(Ok(())));
        assert_eq!(trouble.report(bad(), minute(5)), None);
    }

    #[test]
    fn what_the_service_answers_is_shown_with_what_to_change() {
        for (response, expected) in [
            (
                "HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n",
                "HTTP 405; GET is not allowed: set `method` in [alert.ping]",
            ),
            (
                "HTTP/1.1 404 No\r\nContent-Length: 21\r\n\r\nnothing at /s3cr3tkey",
                "HTTP 404 nothing at /***; is the URL right?",
            ),
            (
                "HTTP/1.1 301 Moved\r\nLocation: https://hc.example/s3cr3tkey\r\nContent-Length: 0\r\n\r\n",
                "it redirects (HTTP 301) to https://hc.example, and redirects are not followed: set \
                 `url` to the final address there, if you trust it",
            ),
        ] {
            let (address, server) = serve(1, response, None);
            let ping = ping(&format!("{address}/s3cr3tkey"), None, None);
            let found = ping.send(&Ok(()), &StopToken::default());
            assert_eq!(found, Some(Err(expected.to_owned())));
            server.join().expect("the server does not panic");
        }
    }

    #[test]
    fn a_failing_heartbeat_is_shown_until_it_succeeds() {
        let status = SharedDeliveryStatus::default();
        let clock = clock();
        status.record_attempt(&Err("HTTP 405".to_owned()), clock.now());
        let shown = status.get();
        assert_eq!(shown.failure.map(|it| it.why).as_deref(), Some("HTTP 405"));
        assert_eq!(shown.last_delivered, None);
        status.record_attempt(&Ok(()), clock.now());
        let shown = status.get();
        assert!(shown.failure.is_none() && shown.last_delivered.is_some());
    }
}
