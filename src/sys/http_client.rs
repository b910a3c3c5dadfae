//! HTTP client for webhooks, the heartbeat and outputs: one short request at a time, no redirects.

use std::io::Read;
use std::sync::mpsc::channel;
use std::time::Duration;

use jiff::Timestamp;
use ureq::config::Config;
use ureq::http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, NextTimeout, TcpConnector};
use ureq::{Agent, Error};

use super::host_address;
use super::name_lookup::{self, LookupError, LookupRequest, NoAddress};
use super::os_error::reason;
use super::retry_after::retry_after_of;
use super::shutdown::StopToken;
use super::thread::{self, catch_panic};
use super::tls::{
    Tls, TlsContext, Trust, TrustOptionNames, TrustSettings, describe_tls_error, pin_hint,
};
use crate::domain::text::ellipsis;
use crate::domain::time::Wall;
use crate::limits;

/// Whom to trust, and what a message may say of it.
#[derive(Debug, Clone, Copy)]
struct TrustFacts {
    has_ca_file: bool,
    options: Option<&'static TrustOptionNames>,
}

/// A response, as far as it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    /// The beginning of the body, without control characters; nothing if it is compressed.
    pub body: String,
    /// Whether it is a web page.
    pub is_html: bool,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
}

impl HttpResponse {
    /// The beginning of the body for a message; `…` marks where it was cut.
    pub fn shown_body(&self) -> String {
        ellipsis(&self.body, limits::REPLY_CHARS)
    }
}

/// A request with main-node's name. Of headers with the same name the last one is sent.
pub fn build_request<'h>(
    method: Method,
    url: &str,
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    body: String,
) -> Result<Request<String>, String> {
    let agent = concat!("main-node/", env!("CARGO_PKG_VERSION"));
    let request = Request::builder().method(method).uri(url).body(body);
    let mut request = request.map_err(|_| "the address cannot be used".to_owned())?;
    for (name, value) in [("User-Agent", agent)].into_iter().chain(headers) {
        let invalid = || format!("the header {name} cannot be sent");
        let header: HeaderName = name.parse().map_err(|_| invalid())?;
        // In UTF-8, as most servers read it.
        let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid())?;
        value.set_sensitive(true);
        request.headers_mut().insert(header, value);
    }
    Ok(request)
}

/// One request, ended early by the stop, and the beginning of its response. The names of the options
/// whose values `trust` has are for messages.
pub fn send(
    request: Request<String>,
    (trust, options): (&TrustSettings, Option<&'static TrustOptionNames>),
    stop: &StopToken,
) -> Result<HttpResponse, String> {
    let facts = TrustFacts {
        has_ca_file: trust.ca_file.is_some(),
        options,
    };
    let agent = agent(Trust::of(trust)?, stop.clone());
    let (results, result) = channel();
    let (caller, caller_results) = (agent.clone(), results.clone());
    let spawned = thread::spawn("call", move || {
        let result = catch_panic("HTTP request", || send_request(&caller, request, facts));
        // The receiver is gone once the node stops.
        let _ = caller_results
            .send(result.unwrap_or_else(|| Err("internal error; see the log".to_owned())));
    });
    spawned.map_err(|error| format!("cannot start a thread: {}", reason(&error)))?;
    let _on_stop = stop.on_stop(move || {
        agent.shutdown();
        // The receiver is gone once the request has ended.
        let _ = results.send(Err("main-node is stopping".to_owned()));
    });
    let received = result.recv_timeout(limits::WEBHOOK_TIMEOUT * 2);
    received.unwrap_or_else(|_| Err(no_response()))
}

fn agent(trust: Trust, stop: StopToken) -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(limits::WEBHOOK_TIMEOUT))
        .timeout_connect(Some(limits::CONNECT_TIMEOUT))
        .http_status_as_error(false)
        // A secret in the URL or a message must not reach another host.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(limits::RESPONSE_HEAD_BYTES)
        .proxy(None)
        .build();
    let connector = ().chain(TcpConnector::default()).chain(Tls::new(trust, None));
    let resolver = RequestResolver {
        stop,
        system: DefaultResolver::default(),
    };
    Agent::with_parts(config, connector, resolver)
}

/// Resolves host names: `.local` ones and zones by [`name_lookup`], others as ureq does.
struct RequestResolver {
    stop: StopToken,
    system: DefaultResolver,
}

impl std::fmt::Debug for RequestResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestResolver")
    }
}

impl Resolver for RequestResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let request = LookupRequest {
            host: uri.host().unwrap_or_default(),
            port: host_address::port(uri),
            timeout: limits::RESOLVE_TIMEOUT.min(*timeout.after),
            is_stopping: &|| self.stop.is_stopping(),
        };
        let system = |left: Duration| {
            let timeout = NextTimeout {
                after: left.into(),
                ..timeout
            };
            let found = self.system.resolve(uri, config, timeout)?;
            Ok(found.iter().copied().collect())
        };
        let found = name_lookup::look_up(&request, system).map_err(|error| match error {
            LookupError::System(error) => error,
            LookupError::NoAddress(why, _) => Error::Other(Box::new(why)),
        })?;
        let mut addresses = self.empty();
        for address in found.into_iter().take(limits::RESOLVED_ADDRESSES) {
            addresses.push(address);
        }
        if addresses.is_empty() {
            Err(Error::HostNotFound)
        } else {
            Ok(addresses)
        }
    }
}

fn send_request(
    agent: &Agent,
    mut request: Request<String>,
    facts: TrustFacts,
) -> Result<HttpResponse, String> {
    if let Some(host) = host_address::host_field(request.uri()) {
        request.headers_mut().insert(header::HOST, host);
    }
    let host = request.uri().host().unwrap_or_default().to_owned();
    let mut response = agent
        .run(request)
        .map_err(|error| describe_error(&error, &host, facts))?;
    let mut body = Vec::new();
    let bytes = limits::REPLY_BYTES;
    // The body is optional: it explains the status.
    let _ = response
        .body_mut()
        .as_reader()
        .take(bytes)
        .read_to_end(&mut body);
    let headers = response.headers();
    let is_readable = headers
        .get(header::CONTENT_ENCODING)
        .is_none_or(|it| it == "identity");
    let text = if is_readable {
        String::from_utf8_lossy(&body)
    } else {
        "".into()
    };
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text: String = text.collect();
    if is_readable && body.len() as u64 == bytes {
        // So that the begin of a secret at the end is known as one.
        text.push('…');
    }
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_html = media_type.is_some_and(|it| it.to_ascii_lowercase().starts_with(b"text/html"));
    let location = headers.get(header::LOCATION);
    let location = location.and_then(|it| it.to_str().ok()).map(str::to_owned);
    let now = Wall(Timestamp::now().as_millisecond());
    Ok(HttpResponse {
        status: response.status().as_u16(),
        body: text.trim().to_owned(),
        is_html,
        location,
        retry_after: retry_after_of(headers, now),
    })
}

fn no_response() -> String {
    format!("no response within {} s", limits::WEBHOOK_TIMEOUT.as_secs())
}

/// Own error texts: the library's may contain the URL.
fn describe_error(error: &Error, host: &str, facts: TrustFacts) -> String {
    let what = match error {
        Error::Other(inner) if let Some(why) = inner.downcast_ref::<NoAddress>() => {
            format!("the name cannot be resolved: {why}")
        }
        Error::Timeout(_) => no_response(),
        Error::HostNotFound => "the name cannot be resolved".to_owned(),
        Error::Rustls(error) => return describe_tls(error, host, facts),
        Error::Io(error) => {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            if let Some(error) = inner {
                return describe_tls(error, host, facts);
            }
            reason(error)
        }
        Error::ConnectionFailed => "cannot connect".to_owned(),
        Error::Tls(_) => "its name can be in no certificate".to_owned(),
        _ => "the response is not valid HTTP".to_owned(),
    };
    format!("{host}: {what}")
}

fn describe_tls(error: &rustls::Error, host: &str, facts: TrustFacts) -> String {
    let context = TlsContext {
        host,
        has_ca_file: facts.has_ca_file,
        has_client_certificate: false,
        options: facts.options,
    };
    let what = describe_tls_error(error, context);
    match facts.options.and_then(|options| pin_hint(error, options)) {
        Some(hint) => format!("{what}; {hint}"),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_header_of_a_name_is_sent() {
        let headers = [
            ("content-type", "a"),
            ("Content-Type", "é"),
            ("user-agent", "me"),
        ];
        let request = build_request(Method::PUT, "http://a.local/x", headers, "b".to_owned());
        let request = request.expect("it is a request");
        let all = request.headers().iter();
        let mut all: Vec<_> = all
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        all.sort();
        assert_eq!(
            all,
            [("content-type", "é".as_bytes()), ("user-agent", b"me")]
        );
        for (url, header) in [
            ("http://a b", ("x", "y")),
            ("http://a", ("x y", "z")),
            ("http://a", ("x", "y\n")),
        ] {
            let found = build_request(Method::GET, url, [header], String::new());
            assert!(found.is_err(), "{url} {header:?}");
        }
    }
}
