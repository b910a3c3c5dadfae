//! HTTP proxy for `http://` URLs: the request goes to the proxy in absolute form (RFC 9112 §3.2.2),
//! since most proxies refuse CONNECT to port 80. `https://` is tunnelled by ureq's own connector.
//!
//! Runs on the fetch thread. The proxy's credentials go to the proxy alone: they are added here,
//! below the request's own headers, which redirects may take along.

use ureq::Error;
use ureq::config::Config;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport,
};

use super::{basic_auth, origin};

/// Connects to the proxy for plain HTTP requests.
#[derive(Debug)]
pub struct HttpProxyConnector {
    /// Configuration for the connection to the proxy itself.
    pub direct: Config,
}

impl<In: Transport> Connector<In> for HttpProxyConnector {
    type Out = Either<In, AbsoluteFormTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(opened) = chained {
            return Ok(Some(Either::A(opened)));
        }
        let Some(proxy) = details.config.proxy().filter(|_| !details.needs_tls()) else {
            return Ok(None);
        };
        let uri = proxy.uri();
        let addrs = details
            .resolver
            .resolve(uri, &self.direct, details.timeout)?;
        let to_proxy = ConnectionDetails {
            uri,
            addrs,
            config: &self.direct,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let transport = (details.run_connector)(&to_proxy)?;
        let (user, password) = (proxy.username(), proxy.password());
        let login = (user.is_some() || password.is_some()).then(|| {
            let (user, password) = (user.unwrap_or_default(), password.unwrap_or_default());
            basic_auth::header_text(user.as_bytes(), password.as_bytes())
        });
        Ok(Some(Either::B(AbsoluteFormTransport {
            transport,
            origin: origin::display_origin(details.uri),
            authorization: login.map(|login| format!("Proxy-Authorization: {login}\r\n")),
            is_at_start: true,
        })))
    }
}

/// A connection to a proxy on which each request line names the whole address.
pub struct AbsoluteFormTransport {
    transport: Box<dyn Transport>,
    origin: String,
    authorization: Option<String>,
    /// Whether a request line is sent next.
    is_at_start: bool,
}

impl std::fmt::Debug for AbsoluteFormTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AbsoluteFormTransport")
    }
}

impl AbsoluteFormTransport {
    /// `GET /x HTTP/1.1` becomes `GET http://host/x HTTP/1.1` with the proxy's credentials below.
    fn rewrite(&self, head: &[u8]) -> Vec<u8> {
        let mut whole = Vec::with_capacity(head.len() + self.origin.len());
        let method = head
            .iter()
            .position(|byte| *byte == b' ')
            .map_or(0, |at| at + 1);
        let line = head.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let line = line.unwrap_or(head.len());
        whole.extend_from_slice(&head[..method]);
        whole.extend_from_slice(self.origin.as_bytes());
        whole.extend_from_slice(&head[method..line]);
        whole.extend_from_slice(self.authorization.as_deref().unwrap_or_default().as_bytes());
        whole.extend_from_slice(&head[line..]);
        whole
    }
}

impl Transport for AbsoluteFormTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if !std::mem::take(&mut self.is_at_start) {
            return self.transport.transmit_output(amount, timeout);
        }
        // The request line fits the buffer as a whole, or ureq fails; made longer it may not.
        let head = self.transport.buffers().output()[..amount].to_vec();
        let whole = self.rewrite(&head);
        let room = self.transport.buffers().output().len().max(1);
        for part in whole.chunks(room) {
            self.transport.buffers().output()[..part.len()].copy_from_slice(part);
            self.transport.transmit_output(part.len(), timeout)?;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.is_at_start = true;
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::super::agent::TransportSettings;
    use super::super::fault_server::{AfterResponse, FaultServer, response, send};
    use super::super::support::{clock_at_noon, fetcher, good_response, long_timeout};
    use super::super::url_source;
    use crate::domain::reading::{FetchOutcome, Observation};
    use crate::limits;

    fn detail(observation: Option<Observation>) -> Option<String> {
        match observation.expect("not cancelled").outcome {
            FetchOutcome::Failed { failure, .. } => Some(failure.to_string()),
            FetchOutcome::Readings { .. } | FetchOutcome::Unchanged | FetchOutcome::Empty => None,
        }
    }

    /// A proxy that answers every request for a resource itself, and CONNECT with `connect`.
    fn proxy(connect: &'static str) -> FaultServer {
        FaultServer::start(Arc::new(move |head: &str, wire, _: &_| {
            let is_sent = if head.starts_with("CONNECT ") {
                send(wire, response(connect, "", ""))
            } else {
                send(wire, good_response())
            };
            if is_sent {
                AfterResponse::Keep
            } else {
                AfterResponse::Close
            }
        }))
    }

    fn through(proxy: &FaultServer, login: &str) -> TransportSettings {
        TransportSettings {
            proxy: Some(format!("http://{login}{}", proxy.address)),
            ..long_timeout()
        }
    }

    fn heads(server: &FaultServer) -> Vec<String> {
        server.server.heads.lock().expect("no act panics").clone()
    }

    #[test]
    fn plain_http_requests_use_the_absolute_form() {
        let proxy = proxy("403 Forbidden");
        let request = url_source::prepare_request("http://api.example.org:81/x?y=1", &[], &[])
            .expect("a URL");
        let mut source = fetcher(request, through(&proxy, "me:p%40ss@"), clock_at_noon());
        for _ in 0..2 {
            assert_eq!(detail(source.fetch_once()), None);
        }
        for head in heads(&proxy) {
            let lines: Vec<&str> = head.lines().collect();
            assert_eq!(lines[0], "GET http://api.example.org:81/x?y=1 HTTP/1.1");
            // me:p@ss
            assert_eq!(lines[1], "Proxy-Authorization: Basic bWU6cEBzcw==");
            assert_eq!(head.matches("bWU6cEBzcw==").count(), 1);
            assert!(head.to_lowercase().contains("host: api.example.org:81\r\n"));
        }
        assert_eq!(heads(&proxy).len(), 2);
        assert_eq!(proxy.server.connections.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_request_line_longer_than_the_buffer_is_sent_whole() {
        let proxy = proxy("403 Forbidden");
        let long = "x".repeat(limits::TRANSPORT_BUFFER_BYTES - "GET / HTTP/1.1\r\n".len());
        let url = format!("http://api.example.org/{long}");
        let request = url_source::prepare_request(&url, &[], &[]).expect("a URL");
        let mut source = fetcher(request, through(&proxy, ""), clock_at_noon());
        assert_eq!(detail(source.fetch_once()), None);
        let head = heads(&proxy).remove(0);
        assert!(head.starts_with(&format!("GET {url} HTTP/1.1\r\n")));
        assert!(!head.to_lowercase().contains("proxy-authorization"));
    }

    #[test]
    fn an_error_page_of_the_proxy_is_not_taken_for_the_servers() {
        for (status, field, expected) in [
            (
                "503 Service Unavailable",
                "X-Squid-Error: ERR_DNS_FAIL 0\r\n",
                "connect: the proxy answers 503 Service Unavailable (ERR_DNS_FAIL) for \
                 api.example.org: it finds no host of that name; is the name right?",
            ),
            (
                "403 Forbidden",
                "X-Squid-Error: ERR_ACCESS_DENIED 0\r\n",
                "connect: the proxy answers 403 Forbidden (ERR_ACCESS_DENIED) for \
                 api.example.org: does it allow that host and port?",
            ),
            (
                "504 Gateway Timeout",
                "Proxy-Status: gate; error=connection_timeout; details=\"x\"\r\n",
                "connect: the proxy answers 504 Gateway Timeout (connection_timeout) for \
                 api.example.org: it did not get a response from there",
            ),
            // Not marked: the server's own.
            (
                "503 Service Unavailable",
                "",
                "http_status: api.example.org answers 503 Service Unavailable: the server has a \
                 problem",
            ),
            (
                "407 Proxy Authentication Required",
                "X-Squid-Error: ERR_CACHE_ACCESS_DENIED 0\r\n",
                "http_status: the proxy answers 407: user or password missing or wrong; write \
                 them as proxy = \"http://user:password@host:port\"",
            ),
        ] {
            let proxy = FaultServer::start(Arc::new(move |_: &str, wire, _: &_| {
                send(wire, response(status, field, "<html>"));
                AfterResponse::Close
            }));
            let request =
                url_source::prepare_request("http://api.example.org/x", &[], &[]).expect("a URL");
            let mut source = fetcher(request, through(&proxy, ""), clock_at_noon());
            assert_eq!(detail(source.fetch_once()).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_refusing_proxy_is_reported_with_its_status() {
        for (status, url, expected) in [
            (
                "403 Forbidden",
                "https://api.example.org/x",
                "connect: the proxy answers 403 Forbidden to a connection to api.example.org: does \
                 it allow that host and port?",
            ),
            (
                "503 Service Unavailable",
                "https://api.example.org/x",
                "connect: the proxy answers 503 Service Unavailable to a connection to \
                 api.example.org: it cannot reach that host",
            ),
            (
                "407 Proxy Authentication Required",
                "https://api.example.org/x",
                "connect: the proxy answers 407: user or password missing or wrong; write them \
                 as proxy = \"http://user:password@host:port\"",
            ),
        ] {
            let proxy = proxy(status);
            let request = url_source::prepare_request(url, &[], &[]).expect("a URL");
            let mut source = fetcher(request, through(&proxy, ""), clock_at_noon());
            assert_eq!(detail(source.fetch_once()).as_deref(), Some(expected));
            assert!(heads(&proxy)[0].starts_with("CONNECT api.example.org:443 HTTP/1.1\r\n"));
        }

        let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = closed.local_addr().expect("bound");
        drop(closed);
        let settings = TransportSettings {
            proxy: Some(format!("http://{address}")),
            ..long_timeout()
        };
        let request =
            url_source::prepare_request("http://api.example.org/x", &[], &[]).expect("a URL");
        let message = detail(fetcher(request, settings, clock_at_noon()).fetch_once());
        let expected = format!(
            "connect: the proxy {address} refused the connection; is the service running there?"
        );
        assert_eq!(message, Some(expected));
    }
}
