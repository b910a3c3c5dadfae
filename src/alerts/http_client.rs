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
        // Nobody receives any more once the node stops.
        let _ = caller_results.send(result.unwrap_or_else(|| Err("internal error".to_owned())));
    });
    spawned.map_err(|error| format!("no thread can be started: {}", reason(&error)))?;
    let _cut_short = stop.on_stop(move || {
        agent.shutdown();
        // The request has ended already where nobody receives this.
        let _ = results.send(Err("main-node is stopping".to_owned()));
    });
    let received = result.recv_timeout(limits::WEBHOOK_TIMEOUT * 2);
    received.unwrap_or_else(|_| Err(no_answer()))
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(limits::WEBHOOK_TIMEOUT))
        .timeout_connect(Some(limits::CONNECT_TIMEOUT))
        .http_status_as_error(false)
        // A secret in the address or a message must not wander to another host.
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
    let mut answer = agent
        .run(request)
        .map_err(|error| format!("{host}: {}", describe_error(&error)))?;
    let mut beginning = Vec::new();
    let bytes = limits::REPLY_CHARS as u64;
    // What it says beside its status is a courtesy.
    let _ = answer
        .body_mut()
        .as_reader()
        .take(bytes)
        .read_to_end(&mut beginning);
    let said = String::from_utf8_lossy(&beginning);
    let said = said.chars().map(|c| if c.is_control() { ' ' } else { c });
    let said: String = said.collect();
    Ok((answer.status().as_u16(), said.trim().to_owned()))
}

fn no_answer() -> String {
    format!("no answer within {} s", limits::WEBHOOK_TIMEOUT.as_secs())
}

/// The library's own words may hold the address.
fn describe_error(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => no_answer(),
        ureq::Error::HostNotFound => "its name cannot be resolved".to_owned(),
        ureq::Error::Io(error) => reason(error),
        ureq::Error::ConnectionFailed => "it cannot be connected".to_owned(),
        ureq::Error::Rustls(rustls::Error::InvalidCertificate(why)) => {
            format!("its certificate {}", describe_certificate_error(why))
        }
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "its certificate is not trusted".to_owned(),
        _ => "it does not answer as HTTP should".to_owned(),
    }
}
