//! `main-node healthcheck`: health of the running node as an exit status, for supervisors that
//! run a command (Docker's HEALTHCHECK; the image has no curl).

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use super::{FAILED, USAGE_ERROR, installed_service, print_out, print_problems};
use crate::config::environment::Environment;
use crate::config::{self, Overrides};
use crate::limits;
use crate::sys::os_error::reason;

pub fn run(overrides: &Overrides) -> u8 {
    let environment = Environment::of_process().with_service(installed_service(overrides));
    let settings = match config::local_settings(overrides, environment) {
        Ok(settings) => settings,
        Err(problems) => {
            print_problems(&problems);
            return USAGE_ERROR;
        }
    };
    match request_health(&settings.listen) {
        Ok(text) => print_out(&format_args!("{text}\n")),
        Err(text) => {
            eprintln!("{text}");
            FAILED
        }
    }
}

/// Requests `/healthz` at the first address that accepts a connection; address families that
/// this machine lacks are skipped. The text has the address and the result.
fn request_health(listen: &[SocketAddr]) -> Result<String, String> {
    let mut silent = Vec::new();
    for address in listen.iter().copied().map(connectable) {
        let url = format!("http://{address}/healthz");
        let stream = match TcpStream::connect_timeout(&address, limits::HEALTHCHECK_TIMEOUT) {
            Ok(stream) => stream,
            Err(error) => {
                silent.push(format!(
                    "{url} does not accept connections: {}",
                    reason(&error)
                ));
                continue;
            }
        };
        return match get(stream, address) {
            Ok((200, _)) => Ok(format!("{url} responded with 200")),
            Ok((status, body)) => Err(match body.trim() {
                "" => format!("{url} responded with {status}"),
                body => format!("{url} responded with {status}: {body}"),
            }),
            // What a socket says when its time is over.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(format!(
                    "{url} did not respond within {} s",
                    limits::HEALTHCHECK_TIMEOUT.as_secs()
                ))
            }
            Err(error) => Err(format!("{url} did not respond: {}", reason(&error))),
        };
    }
    Err(silent.join("\n"))
}

/// The address to connect to for a listen address.
fn connectable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The status and the body of `/healthz`.
fn get(mut stream: TcpStream, address: SocketAddr) -> std::io::Result<(u16, String)> {
    stream.set_read_timeout(Some(limits::HEALTHCHECK_TIMEOUT))?;
    stream.set_write_timeout(Some(limits::HEALTHCHECK_TIMEOUT))?;
    write!(
        stream,
        "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut response = Vec::new();
    stream
        .take(limits::HEALTHCHECK_BYTES)
        .read_to_end(&mut response)?;
    let response = String::from_utf8_lossy(&response);
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    let status = head.split_ascii_whitespace().nth(1);
    let status = status
        .filter(|_| head.starts_with("HTTP/1."))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| std::io::Error::new(ErrorKind::InvalidData, "the response is not HTTP"))?;
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that responds to one request with these bytes, and its address.
    fn respond_once(response: &'static str) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client connects");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request comes whole");
                request.extend(byte);
            }
            assert!(request.starts_with(b"GET /healthz HTTP/1.1\r\n"));
            stream.write_all(response.as_bytes()).expect("it is read");
        });
        address
    }

    #[test]
    fn only_status_200_is_healthy_and_other_results_are_reported() {
        let text =
            request_health(&[respond_once("HTTP/1.1 200 OK\r\n\r\n")]).expect("it is healthy");
        assert!(text.ends_with("/healthz responded with 200"), "{text}");
        for (response, expected) in [
            (
                "HTTP/1.1 503 Service Unavailable\r\n\r\nstuck\n",
                "responded with 503: stuck",
            ),
            ("HTTP/1.1 404 Not Found\r\n\r\n", "responded with 404"),
            ("SSH-2.0-x 200\r\n", "the response is not HTTP"),
            ("", "the response is not HTTP"),
        ] {
            let text = request_health(&[respond_once(response)]).expect_err("it is not");
            assert!(text.ends_with(expected), "{text}");
        }
    }

    #[test]
    fn an_address_family_without_a_listener_is_skipped() {
        let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let unused = closed.local_addr().expect("it is bound");
        drop(closed);
        let text = request_health(&[unused]).expect_err("nothing listens");
        assert!(text.contains("does not accept connections"), "{text}");
        assert!(request_health(&[unused, respond_once("HTTP/1.1 200 OK\r\n\r\n")]).is_ok());
    }

    #[test]
    fn unspecified_addresses_become_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:80", "[::1]:80"),
            ("192.168.0.7:8000", "192.168.0.7:8000"),
        ] {
            let listen: SocketAddr = listen.parse().expect("an address");
            assert_eq!(connectable(listen).to_string(), expected);
        }
    }
}
