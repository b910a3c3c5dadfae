//! Demo API server (`main-node demo`): every compiled-in operation and the devices of a simulated
//! house over loopback HTTP.
//!
//! Owns one listener on 127.0.0.1 and the thread `demo-api`. Only this node's own fetchers
//! connect to it, which is why plain tiny_http is enough. No configuration, no state:
//! `simulate` and the house make each response from the request and the clock.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use rustix::net::sockopt;
use serde_json::json;
use tiny_http::{Header, Method, Request, Response, Server};

use super::simulate::{Arguments, simulate};
use super::simulated_house::House;
use crate::domain::percent;
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::thread::{Thread, catch_panic, spawn};
use openapi::operation::{Api, Location, Operation};

/// How the host names of the house's devices end.
const DEVICE_DOMAIN: &str = ".home.arpa";

pub struct DemoServer {
    address: SocketAddr,
    server: Arc<Server>,
    thread: Option<Thread>,
}

impl DemoServer {
    /// Listens on a free port of 127.0.0.1 and answers from then on.
    pub fn start(
        apis: &'static [&'static Api],
        house: Arc<House>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<DemoServer> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        // Connections inherit it. A response that is written in parts waits for nothing then, where
        // 40 ms for each would be minutes for a year of history.
        sockopt::set_tcp_nodelay(&listener, true)?;
        let server = Server::from_listener(listener, None).map_err(io::Error::other)?;
        let server = Arc::new(server);
        let address = server
            .server_addr()
            .to_ip()
            .ok_or_else(|| io::Error::other("no address of the demo's API"))?;
        let listening = server.clone();
        let thread = spawn("demo-api", move || {
            for request in listening.incoming_requests() {
                catch_panic("the demo's API", || respond(request, apis, &house, &*clock));
            }
        })?;
        Ok(DemoServer {
            address,
            server,
            thread: Some(thread),
        })
    }

    /// Replaces the server URL of an API by its name (`Endpoint::base`), or that of a device by its
    /// host.
    pub fn base_url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// Stops listening; waits for the current response.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            thread.join_by(Instant::now() + limits::SHUTDOWN_TIMEOUT);
        }
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn respond(request: Request, apis: &[&'static Api], house: &House, clock: &dyn Clock) {
    let method = match request.method() {
        Method::Get => Some(openapi::operation::Method::Get),
        Method::Post => Some(openapi::operation::Method::Post),
        _ => None,
    };
    let (status, body) = match method {
        Some(method) => answer(method, request.url(), (apis, house), clock),
        None => {
            let error = json!({"error": "only GET and POST are simulated"});
            (405, error.to_string())
        }
    };
    let etag = format!("\"{:016x}\"", fingerprint(&body));
    let known = request
        .headers()
        .iter()
        .any(|header| header.field.equiv("If-None-Match") && header.value.as_str() == etag);
    let (status, body) = if known && status == 200 {
        (304, String::new())
    } else {
        (status, body)
    };
    let mut response = Response::from_data(body)
        .with_status_code(status)
        .with_chunked_threshold(usize::MAX);
    for (name, value) in [
        ("Content-Type", "application/json"),
        ("ETag", etag.as_str()),
    ] {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    // A fetcher that stopped has closed the connection.
    let _ = request.respond(response);
}

/// Status and body for a request target: `/open_meteo/v1/forecast?latitude=…`.
fn answer(
    method: openapi::operation::Method,
    target: &str,
    (apis, house): (&[&'static Api], &House),
    clock: &dyn Clock,
) -> (u16, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path: Vec<String> = path.split('/').skip(1).map(decode).collect();
    let wall = clock.now().wall;
    let device = path
        .first()
        .and_then(|host| host.strip_suffix(DEVICE_DOMAIN));
    if let Some((status, body)) = device.and_then(|device| house.answer(device, wall)) {
        return (status, body.to_string());
    }
    let found = apis.iter().find_map(|api| {
        let (first, rest) = path.split_first()?;
        if *first != api.name {
            return None;
        }
        let mut operations = api.operations.iter().filter(|it| it.method == method);
        operations.find_map(|operation| {
            match_path(&operation.path, rest).map(|arguments| (operation, arguments))
        })
    });
    let Some((operation, mut arguments)) = found else {
        let error = json!({"error": "no operation of the compiled-in APIs has this path"});
        return (404, error.to_string());
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        add_argument(&mut arguments, &decode(name), value);
    }
    if let Some(missing) = missing_parameter(operation, &arguments) {
        let reason = format!("the parameter {missing} is needed");
        return (400, json!({"error": true, "reason": reason}).to_string());
    }
    let known = |name: &str, wall| house.weather(name, wall);
    let body = simulate(operation, &arguments, wall, &known);
    (200, body.to_string())
}

/// Lists come as `a,b`, as repeated parameters or with another separator; a plain text with a
/// comma is split too, which does no harm here.
fn add_argument(arguments: &mut Arguments, name: &str, value: &str) {
    let value = decode(value);
    let parts = value.split([',', '|', ' ']).map(str::to_owned);
    match arguments.iter_mut().find(|(known, _)| known == name) {
        Some((_, values)) => values.extend(parts),
        None => arguments.push((name.to_owned(), parts.collect())),
    }
}

fn missing_parameter<'a>(operation: &'a Operation, arguments: &Arguments) -> Option<&'a str> {
    let wanted = operation.parameters.iter().filter(|parameter| {
        parameter.required && parameter.location == Location::Query && !parameter.filled_by_security
    });
    let mut names = wanted.map(|parameter| parameter.name.as_str());
    names.find(|name| !arguments.iter().any(|(given, _)| given == name))
}

/// The arguments in a path, if it matches `template`: `/stations/{id}.json`.
fn match_path(template: &str, path: &[String]) -> Option<Arguments> {
    let template = template.split('?').next().unwrap_or_default();
    let wanted: Vec<&str> = template.split('/').skip(1).collect();
    if wanted.len() != path.len() {
        return None;
    }
    let mut arguments = Arguments::new();
    for (wanted, segment) in wanted.iter().zip(path) {
        match wanted.split_once('{') {
            None if wanted == segment => {}
            None => return None,
            Some((before, rest)) => {
                let (name, _) = rest.split_once('}')?;
                // Of several parameters in one segment only the first is read.
                let after = rest.rsplit_once('}')?.1;
                let value = segment.strip_prefix(before)?.strip_suffix(after)?;
                arguments.push((name.to_owned(), vec![value.to_owned()]));
            }
        }
    }
    Some(arguments)
}

/// Form decoding: a plus is a space.
fn decode(text: &str) -> String {
    percent::decode_lossy(&text.replace('+', " "))
}

fn fingerprint(body: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use crate::api::source_request::SourceRequest;
    use std::time::Duration;

    use super::*;
    use crate::api::agent::TransportSettings;
    use crate::api::client::{APIS, CALLS};
    use crate::api::fetcher::{Fetcher, SourceSettings};
    use crate::api::request::{Endpoint, PreparedCall};
    use crate::api::support::test_plan;
    use crate::domain::plan::Selection;
    use crate::domain::reading::FetchOutcome;
    use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
    use crate::sys::clock::ManualClock;
    use openapi::operation::Argument;

    #[test]
    fn the_generated_client_fetches_moving_readings_from_the_demo() {
        let clock = Arc::new(ManualClock::new(Moment {
            mono: Mono(1_000),
            wall: Wall(1_795_435_200_000),
            trust: ClockTrust::Trusted,
        }));
        let house = Arc::new(House::new(jiff::tz::TimeZone::UTC));
        let demo = DemoServer::start(&APIS, house, clock.clone()).expect("loopback");
        let call = &CALLS[0];
        let text = |text: &str| Argument::Text(text.to_owned());
        let arguments = [
            ("latitude".to_owned(), Argument::Number(52.52)),
            ("longitude".to_owned(), Argument::Number(13.41)),
            (
                "current".to_owned(),
                Argument::List(vec![text("temperature_2m"), text("rain")]),
            ),
        ];
        let operation = &APIS[0].operations[0];
        let prepared = PreparedCall::new(operation, &arguments, None).expect("good arguments");
        let endpoint = Endpoint {
            base: demo.base_url(call.api),
            ..Endpoint::default()
        };
        let mut source = test_plan();
        source.selection = Selection::AllLeaves {
            prefix: String::new(),
        };
        source.observed_at = Some("/current/time".into());
        source.units_at = Some("/current_units".into());
        let settings = SourceSettings {
            index: 0,
            plan: source,
            request: SourceRequest::Fixed(Arc::new(move |agent| {
                (call.send)(&prepared, &endpoint, agent)
            })),
            operation: Some(operation),
            follow: None,
            transport: TransportSettings::default(),
            quota: None,
            pagination: None,
            obey_expires: false,
            secrets: Arc::default(),
        };
        let mut fetcher = Fetcher::new(settings, clock.clone()).expect("good settings");
        let mut temperatures = Vec::new();
        for _ in 0..5 {
            let observation = fetcher.fetch_once().expect("not cancelled");
            let FetchOutcome::Readings {
                observed,
                readings,
                issues,
                ..
            } = observation.outcome
            else {
                panic!("{:?}", observation.outcome);
            };
            assert_eq!(issues, []);
            assert_eq!(observed, Some(clock.now().wall));
            let temperature = readings
                .iter()
                .find(|reading| &*reading.key == "current.temperature_2m")
                .expect("it was asked for");
            assert_eq!(temperature.unit.as_deref(), Some("°C"));
            temperatures.push(temperature.value.to_string());
            clock.advance(Duration::from_secs(120));
        }
        temperatures.dedup();
        assert!(temperatures.len() > 2, "{temperatures:?}");
        // Same time, same body: 304.
        fetcher.fetch_once().expect("not cancelled");
        let again = fetcher.fetch_once().expect("not cancelled");
        assert_eq!(again.outcome, FetchOutcome::Unchanged);
        demo.stop();
    }

    #[test]
    fn paths_and_queries_are_read_as_the_template_says() {
        let segments = |path: &str| -> Vec<String> { path.split('/').map(decode).collect() };
        for (template, path, expected) in [
            ("/v1/x", "v1/x", Some(vec![])),
            ("/v1/x", "v1/y", None),
            ("/a/{id}.json", "a/7%2F8.json", Some(vec![("id", "7/8")])),
            ("/a/{id}", "a", None),
        ] {
            let found = match_path(template, &segments(path));
            let expected = expected.map(|pairs: Vec<(&str, &str)>| -> Arguments {
                let pair = |(name, value): (&str, &str)| (name.to_owned(), vec![value.to_owned()]);
                pairs.into_iter().map(pair).collect()
            });
            assert_eq!(found, expected, "{template} {path}");
        }
        assert_eq!(decode("a+b%20%zz%C3%A4%"), "a b %zzä%");
    }
}
