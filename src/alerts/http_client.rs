//! HTTP client for webhooks and the heartbeat: one short request at a time, no redirects.

use std::io::Read;
use std::sync::mpsc::channel;

use ureq::Agent;
use ureq::http::Request;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, TcpConnector};

use crate::limits;
use crate::sys::os_error::reason;
use crate::sys::shutdown::StopToken;
use crate::sys::thread::{self, catch_panic};
use crate::sys::tls::{Tls, Trust, describe_certificate_error};

/// One request, ended early by the stop; the status and the beginning of the response body.
pub fn send(request: Request<String>, stop: &StopToken) -> Result<(u16, String), String> {
    let agent = agent();
    let (results, result) = channel();
    let (caller, caller_results) = (agent.clone(), results.clone());
    let spawned = thread::spawn("call", move || {
        let result = catch_panic("webhook", || send_request(&caller, request));
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

fn agent() -> Agent {
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
    let connector = ().chain(TcpConnector::default()).chain(Tls::new(Trust::System));
    Agent::with_parts(config, connector, DefaultResolver::default())
}

fn send_request(agent: &Agent, request: Request<String>) -> Result<(u16, String), String> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let mut response = agent
        .run(request)
        .map_err(|error| format!("{host}: {}", describe_error(&error)))?;
    let mut body = Vec::new();
    let bytes = limits::REPLY_CHARS as u64;
    // The body is optional: it only explains the status.
    let _ = response
        .body_mut()
        .as_reader()
        .take(bytes)
        .read_to_end(&mut body);
    let text = String::from_utf8_lossy(&body);
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text: String = text.collect();
    Ok((response.status().as_u16(), text.trim().to_owned()))
}

fn no_response() -> String {
    format!("no response within {} s", limits::WEBHOOK_TIMEOUT.as_secs())
}

/// Own error texts: the library's may contain the URL.
fn describe_error(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => no_response(),
        ureq::Error::HostNotFound => "the name cannot be resolved".to_owned(),
        ureq::Error::Io(error) => reason(error),
        ureq::Error::ConnectionFailed => "cannot connect".to_owned(),
        ureq::Error::Rustls(rustls::Error::InvalidCertificate(why)) => {
            format!("the certificate {}", describe_certificate_error(why))
        }
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "the certificate is not trusted".to_owned(),
        _ => "the response is not valid HTTP".to_owned(),
    }
}
