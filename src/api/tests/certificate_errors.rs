//! Certificates: verification, `ca_file`, an unset clock, servers without TLS.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::agent::TransportSettings;
use super::super::fault_server::{AfterResponse, FaultServer, send};
use super::super::sent_request::Validators;
use super::super::support::{
    cause, clock_at_noon, fetcher, get_url, good_response, long_timeout, script, sends,
    short_timeout,
};
use super::super::transport::Transport;
use crate::domain::failure::Cause;
use crate::domain::reading::{FetchOutcome, Observation};
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
use crate::golden;
use crate::sys::clock::{Clock, ManualClock};

struct TestCertificate {
    config: Arc<rustls::ServerConfig>,
    /// What would have to be trusted.
    pem: String,
}

fn certify(name: &str, years: (i32, i32)) -> TestCertificate {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a good name");
    parameters.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let certificate = parameters.self_signed(&key).expect("a certificate");
    let der = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let chain = vec![certificate.der().clone()];
            builder.with_no_client_auth().with_single_cert(chain, der)
        })
        .expect("a good configuration");
    TestCertificate {
        config: Arc::new(config),
        pem: certificate.pem(),
    }
}

/// A directory of the test's own, gone when it ends.
struct ScratchFile(std::path::PathBuf);

impl ScratchFile {
    fn new(name: &str) -> ScratchFile {
        let path = std::env::temp_dir().join(format!("main-node-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a writable directory");
        ScratchFile(path)
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn certificates_are_verified_and_a_ca_file_is_trusted() {
    let scratch = ScratchFile::new("certificates");
    let mut lines = String::new();
    let mut tell = |name: &str, fetched: Option<Observation>, server: &FaultServer| {
        let outcome = fetched.expect("not cancelled").outcome;
        let words = match &outcome {
            FetchOutcome::Failed { failure, .. } => failure.to_string(),
            _ => "fine".to_owned(),
        };
        let words = words.replace(&server.address.to_string(), "HOST");
        lines += &format!("{name}\n    {words}\n");
        match outcome {
            FetchOutcome::Failed { failure, .. } => Some(failure.cause),
            _ => None,
        }
    };
    let secure =
        |server: &FaultServer| get_url(&format!("https://{}/x?key=topsecret", server.address));
    for (name, host, years, trusted, expected) in [
        (
            "self-signed",
            "127.0.0.1",
            (2020, 2120),
            false,
            Some(Cause::Tls),
        ),
        (
            "self-signed and in ca_file",
            "127.0.0.1",
            (2020, 2120),
            true,
            None,
        ),
        ("expired", "127.0.0.1", (2020, 2021), true, Some(Cause::Tls)),
        (
            "not valid yet",
            "127.0.0.1",
            (2119, 2120),
            true,
            Some(Cause::Tls),
        ),
        (
            "for another name",
            "other.example",
            (2020, 2120),
            true,
            Some(Cause::Tls),
        ),
    ] {
        let certified = certify(host, years);
        let file = scratch.0.join("ca.pem");
        std::fs::write(&file, &certified.pem).expect("a writable directory");
        let settings = TransportSettings {
            ca_file: trusted.then_some(file),
            ..long_timeout()
        };
        let server = FaultServer::start_tls(script(vec![sends(good_response())]), certified.config);
        let mut fetcher = fetcher(secure(&server), settings, clock_at_noon());
        assert_eq!(cause(fetcher.fetch_once()), expected, "{name}");
        assert_eq!(
            tell(name, fetcher.fetch_once(), &server),
            expected,
            "{name}"
        );
    }

    let certified = certify("127.0.0.1", (2119, 2120));
    let unset = ManualClock::new(Moment {
        trust: ClockTrust::Untrusted,
        ..clock_at_noon().now()
    });
    let file = scratch.0.join("ca.pem");
    std::fs::write(&file, &certified.pem).expect("a writable directory");
    let settings = TransportSettings {
        ca_file: Some(file),
        ..long_timeout()
    };
    let server = FaultServer::start_tls(script(vec![sends(good_response())]), certified.config);
    let mut behind = fetcher(secure(&server), settings, Arc::new(unset));
    let found = tell(
        "not valid yet, by an unset clock",
        behind.fetch_once(),
        &server,
    );
    assert_eq!(found, Some(Cause::Clock));

    // A server that waits for a request in plain HTTP, and one that speaks first.
    let server = FaultServer::start(script(vec![sends(good_response())]));
    let mut plain = fetcher(secure(&server), short_timeout(), clock_at_noon());
    let found = tell("silent instead of TLS", plain.fetch_once(), &server);
    assert_eq!(found, Some(Cause::Timeout));
    let server = FaultServer::start_speaking("HTTP/1.1 400 Bad Request\r\n\r\n");
    let mut plain = fetcher(secure(&server), long_timeout(), clock_at_noon());
    let found = tell("plain HTTP instead of TLS", plain.fetch_once(), &server);
    assert_eq!(found, Some(Cause::Tls));

    // At 1970 nothing is tried over TLS, and everything is when the clock is set.
    let certified = certify("127.0.0.1", (2020, 2120));
    let file = scratch.0.join("ca.pem");
    std::fs::write(&file, &certified.pem).expect("a writable directory");
    let settings = TransportSettings {
        ca_file: Some(file),
        ..long_timeout()
    };
    let server = FaultServer::start_tls(script(vec![sends(good_response())]), certified.config);
    let clock = Arc::new(ManualClock::new(Moment {
        mono: Mono(1_000),
        wall: Wall(60_000),
        trust: ClockTrust::Untrusted,
    }));
    let mut early = fetcher(secure(&server), settings, clock.clone());
    for _ in 0..3 {
        assert_eq!(cause(early.fetch_once()), Some(Cause::Clock));
    }
    tell("at 1970", early.fetch_once(), &server);
    assert_eq!(server.server.connections.load(Ordering::SeqCst), 0);
    clock.set(clock_at_noon().now());
    assert_eq!(cause(early.fetch_once()), None);
    golden::check("certificates.txt", &lines);
}

#[test]
fn a_bad_ca_file_is_reported_before_any_request() {
    let scratch = ScratchFile::new("ca-file");
    let file = scratch.0.join("ca.pem");
    let wrong = |text: Option<&str>| {
        match text {
            Some(text) => std::fs::write(&file, text).expect("a writable directory"),
            None => drop(std::fs::remove_file(&file)),
        }
        let settings = TransportSettings {
            ca_file: Some(file.clone()),
            ..TransportSettings::default()
        };
        let message = super::super::transport::Transport::new(settings).err();
        message.map(|message| message.replace(&file.display().to_string(), "FILE"))
    };
    let good = certify("127.0.0.1", (2020, 2120)).pem;
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, expected) in [
        (Some(good.as_str()), None),
        (
            Some("nothing"),
            Some("FILE holds no certificate: expected -----BEGIN CERTIFICATE-----"),
        ),
        (Some(broken), Some("FILE: certificate 1 is not valid PEM")),
        (
            Some(&format!("{good}{broken}")),
            Some("FILE: certificate 2 is not valid PEM"),
        ),
        (None, Some("FILE cannot be read: no such file or directory")),
    ] {
        assert_eq!(wrong(text).as_deref(), expected);
    }
}

#[test]
fn the_end_of_tls_marks_the_end_of_a_body() {
    let scratch = ScratchFile::new("end-of-tls");
    let certified = certify("127.0.0.1", (2020, 2120));
    let file = scratch.0.join("ca.pem");
    std::fs::write(&file, &certified.pem).expect("a writable directory");
    let settings = TransportSettings {
        ca_file: Some(file),
        ..long_timeout()
    };
    // Its close_notify follows the body.
    let server = FaultServer::start_tls(
        Arc::new(|_, wire, _| {
            send(wire, "HTTP/1.1 200 OK\n\na,b\n1,2");
            AfterResponse::Close
        }),
        certified.config,
    );
    let transport = Transport::new(settings).expect("the settings are good");
    let request = get_url(&format!("https://{}/", server.address));
    let fetched = transport.fetch(clock_at_noon().now(), &Validators::default(), &*request);
    let fetched = fetched.expect("readable");
    assert_eq!(fetched.body, b"a,b\n1,2");
    assert!(fetched.is_end_marked);
}
