//! A dead man's switch, in the way of healthchecks: somebody outside hears once a minute that
//! all is well, and tells a person when that stops. A dead Pi cannot mail.
//!
//! Runs on the thread `ping`. Nothing is queued: an old sign of life is worth nothing.

use ureq::http::Request;

use super::delivery_status::SharedDeliveryStatus;
use super::http_client;
use crate::limits;
use crate::sys::clock::Clock;
use crate::sys::shutdown::StopToken;
use crate::sys::thread::catch_panic;

/// Pings until the stop; `is_well` says whether every loop turned and something is
/// fresh. `status` shows whether the switch hears.
pub fn run(
    url: &str,
    is_well: impl Fn() -> bool,
    stop: &StopToken,
    clock: &dyn Clock,
    status: &SharedDeliveryStatus,
) {
    let mut was_heard = true;
    while !stop.is_stopping() {
        let turn = catch_panic("ping", || {
            if is_well() {
                let heard = send_ping(url, stop);
                // An answer that the stop cut off says nothing of the switch.
                if heard.is_ok() || !stop.is_stopping() {
                    log_change(&heard, was_heard);
                    status.record_attempt(&heard, clock.now());
                    was_heard = heard.is_ok();
                }
            }
        });
        if turn.is_none() {
            was_heard = false;
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
        .map_err(|_| "its address cannot be used".to_owned())?;
    match http_client::send(request, stop)? {
        (200..=299, _) => Ok(()),
        (status @ 300..=399, _) => Err(format!(
            "it sends elsewhere (HTTP {status}), and a redirect is not followed"
        )),
        (status @ 400..=499, _) => Err(format!("it answers HTTP {status}; is its address right?")),
        (status, _) => Err(format!("it answers HTTP {status}")),
    }
}

/// Once each time that it changes.
fn log_change(heard: &Result<(), String>, was_heard: bool) {
    match heard {
        Err(why) if was_heard => log::warn!("ping: heartbeat URL not reachable: {why}"),
        Ok(()) if !was_heard => log::info!("ping: heartbeat URL reachable again"),
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
    fn a_well_node_pings_and_an_unwell_one_keeps_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!(
            "http://{}/ping/secret",
            listener.local_addr().expect("bound")
        );
        let source = Arc::new(StopSource::new());
        let stops = source.clone();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("it comes");
            let mut head = [0; 1024];
            let count = stream.read(&mut head).expect("it speaks");
            stops.stop();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .expect("it listens");
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
    fn a_switch_that_does_not_hear_is_in_sight_until_it_hears() {
        let status = SharedDeliveryStatus::default();
        let clock = clock();
        status.record_attempt(&Err("it answers HTTP 405".to_owned()), clock.now());
        let shown = status.get();
        assert_eq!(
            shown.failure.map(|it| it.why).as_deref(),
            Some("it answers HTTP 405")
        );
        assert_eq!(shown.last_delivered, None);
        status.record_attempt(&Ok(()), clock.now());
        let shown = status.get();
        assert!(shown.failure.is_none() && shown.last_delivered.is_some());
    }
}
