//! Heartbeat (dead man's switch): requests a URL once a minute while all is well, so that a
//! service outside notices when this node is dead.
//!
//! On the thread `ping`. Nothing is queued.

use ureq::http::Request;

use super::delivery_status::SharedDeliveryStatus;
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::http_client;
use crate::sys::redirect::describe_redirect;
use crate::sys::shutdown::StopToken;
use crate::sys::thread::catch_panic;
use crate::sys::tls::TrustSettings;

/// Sends heartbeats until the node stops, while `is_well`. `status` shows the last result.
pub fn run(
    url: &str,
    is_well: impl Fn() -> bool,
    stop: &StopToken,
    clock: &dyn Clock,
    status: &SharedDeliveryStatus,
) {
    let mut was_ok = true;
    while !stop.is_stopping() {
        let sent = catch_panic("ping", || {
            if is_well() {
                let result = send_ping(url, stop);
                // A request that the stop interrupted says nothing about the URL.
                if result.is_ok() || !stop.is_stopping() {
                    log_change(&result, was_ok);
                    status.record_attempt(&result, clock.now());
                    was_ok = result.is_ok();
                }
            }
        });
        if sent.is_none() {
            was_ok = false;
        }
        stop.wait(limits::PING_INTERVAL);
    }
}

fn send_ping(url: &str, stop: &StopToken) -> Result<(), String> {
    let request = Request::get(url)
        .header(
            "User-Agent",
            concat!("main-node/", env!("CARGO_PKG_VERSION")),
        )
        .body(String::new())
        .map_err(|_| "not a valid URL".to_owned())?;
    let uri = request.uri().clone();
    let response = http_client::send(request, (&TrustSettings::default(), None), stop)?;
    if let Some(why) = describe_redirect(&response, &uri, ("it", "ping")) {
        return Err(why);
    }
    match response.status {
        200..=299 => Ok(()),
        status @ 400..=499 => Err(format!("HTTP {status}; is the URL right?")),
        status => Err(format!("HTTP {status}")),
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
    use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
    use crate::sys::clock::ManualClock;
    use crate::sys::shutdown::StopSource;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;

    #[test]
    fn only_a_healthy_node_sends_heartbeats() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!(
            "http://{}/ping/secret",
            listener.local_addr().expect("bound")
        );
        let source = Arc::new(StopSource::new());
        let stops = source.clone();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection arrives");
            let mut head = [0; 1024];
            let count = stream.read(&mut head).expect("a request arrives");
            stops.stop();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .expect("the client reads");
            String::from_utf8_lossy(&head[..count]).into_owned()
        });
        let clock = clock();
        let status = SharedDeliveryStatus::default();
        run(&url, || true, &source.token(), &clock, &status);
        let head = server.join().expect("the server does not panic");
        assert!(head.starts_with("GET /ping/secret HTTP/1.1\r\n"), "{head}");
        let source = StopSource::new();
        run(
            "http://127.0.0.1:9/",
            || {
                source.stop();
                false
            },
            &source.token(),
            &clock,
            &status,
        );
    }

    fn clock() -> ManualClock {
        ManualClock::new(Moment {
            mono: Mono(0),
            wall: Wall(1_762_027_200_000),
            trust: ClockTrust::Trusted,
        })
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
