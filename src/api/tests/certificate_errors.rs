//! Certificates: verification, `ca_file`, an unset clock, servers without TLS.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;

use super::super::agent::TransportSettings;
use super::super::fault_server::{AfterResponse, FaultServer, send};
use super::super::support::{
    cause, clock_at_noon, fetcher, get_url, good_response, long_timeout, script, sends,
    short_timeout,
};
use super::super::transport::Transport;
use super::super::validators::Validators;
use crate::domain::failure::Cause;
use crate::domain::reading::{FetchOutcome, Observation};
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
use crate::golden;
use crate::sys::clock::{Clock, ManualClock};
use crate::sys::tls::{CertificateFingerprint, ClientCertificateFiles, OwnServer, TrustSettings};

struct TestCertificate {
    config: Arc<rustls::ServerConfig>,
    /// The server's own certificate.
    own: CertificateDer<'static>,
    /// The CA that issued it, as PEM.
    ca: String,
}

impl TestCertificate {
    fn fingerprint(&self) -> CertificateFingerprint {
        CertificateFingerprint::of(&self.own)
    }
}

fn parameters(name: &str, years: (i32, i32)) -> rcgen::CertificateParams {
    let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a good name");
    parameters.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    parameters
}

/// A server's certificate, issued by a CA of its own.
fn certify(name: &str, years: (i32, i32)) -> TestCertificate {
    certify_for(name, years, None)
}

/// With `client`, the server requires that certificate of its clients.
fn certify_for(
    name: &str,
    years: (i32, i32),
    client: Option<&CertificateDer<'static>>,
) -> TestCertificate {
    let (key, ca_key) = [(); 2]
        .map(|()| rcgen::KeyPair::generate().expect("a key"))
        .into();
    let mut ca = parameters("ca.example", (2020, 2120));
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let own = parameters(name, years).signed_by(&key, &issuer);
    let own = own.expect("a certificate").der().clone();
    let der = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = client.map(|client| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(client.clone()).expect("a certificate");
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        builder.build().expect("a good configuration")
    });
    let clients = clients.unwrap_or_else(WebPkiClientVerifier::no_client_auth);
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let chain = vec![own.clone()];
            let builder = builder.with_client_cert_verifier(clients);
            builder.with_single_cert(chain, der)
        })
        .expect("a good configuration");
    TestCertificate {
        config: Arc::new(config),
        own,
        ca: ca_certificate.pem(),
    }
}

fn pem(der: &CertificateDer<'_>) -> String {
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n")
}

/// What a source trusts.
#[derive(Debug, Clone, Copy)]
enum Trusted {
    System,
    Ca,
    Own,
    Pin,
    OtherPin,
    OtherPinOrCa,
}

impl Trusted {
    fn settings(self, certified: &TestCertificate, file: &Path) -> TrustSettings {
        let other = CertificateFingerprint::of(b"another");
        let (text, fingerprint) = match self {
            Trusted::System => (None, None),
            Trusted::Ca => (Some(certified.ca.clone()), None),
            Trusted::Own => (Some(pem(&certified.own)), None),
            Trusted::Pin => (None, Some(certified.fingerprint())),
            Trusted::OtherPin => (None, Some(other)),
            Trusted::OtherPinOrCa => (Some(certified.ca.clone()), Some(other)),
        };
        if let Some(text) = &text {
            std::fs::write(file, text).expect("a writable directory");
        }
        TrustSettings {
            ca_file: text.map(|_| file.to_owned()),
            fingerprints: fingerprint.into_iter().collect(),
            client_certificate: None,
        }
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
        let mut words = words.replace(&server.address.to_string(), "HOST");
        if let Some(at) = words.find("found sha256:") {
            words.replace_range(
                at + "found ".len()..at + "found ".len() + 102,
                "FINGERPRINT",
            );
        }
        lines += &format!("{name}\n    {words}\n");
        match outcome {
            FetchOutcome::Failed { failure, .. } => Some(failure.cause),
            _ => None,
        }
    };
    let secure =
        |server: &FaultServer| get_url(&format!("https://{}/x?key=topsecret", server.address));
    let (here, valid) = ("127.0.0.1", (2020, 2120));
    for (name, host, years, trusted, is_good) in [
        ("unknown issuer", here, valid, Trusted::System, false),
        ("issued by ca_file", here, valid, Trusted::Ca, true),
        ("itself in ca_file", here, valid, Trusted::Own, true),
        ("pinned", here, valid, Trusted::Pin, true),
        (
            "another one is pinned",
            here,
            valid,
            Trusted::OtherPin,
            false,
        ),
        (
            "another one is pinned, or ca_file",
            here,
            valid,
            Trusted::OtherPinOrCa,
            true,
        ),
        ("expired", here, (2020, 2021), Trusted::Ca, false),
        (
            "expired, itself in ca_file",
            here,
            (2020, 2021),
            Trusted::Own,
            true,
        ),
        ("expired, pinned", here, (2020, 2021), Trusted::Pin, true),
        (
            "expired, another one is pinned",
            here,
            (2020, 2021),
            Trusted::OtherPinOrCa,
            false,
        ),
        ("not valid yet", here, (2119, 2120), Trusted::Ca, false),
        (
            "not valid yet, pinned",
            here,
            (2119, 2120),
            Trusted::Pin,
            true,
        ),
        (
            "for another name",
            "other.example",
            valid,
            Trusted::Ca,
            false,
        ),
        (
            "for another name, in ca_file",
            "other.example",
            valid,
            Trusted::Own,
            true,
        ),
        (
            "for another name, pinned",
            "other.example",
            valid,
            Trusted::Pin,
            true,
        ),
    ] {
        let certified = certify(host, years);
        let settings = TransportSettings {
            trust: trusted.settings(&certified, &scratch.0.join("ca.pem")),
            ..long_timeout()
        };
        let found = certified.fingerprint().to_string();
        let server = FaultServer::start_tls(script(vec![sends(good_response())]), certified.config);
        let mut fetcher = fetcher(secure(&server), settings, clock_at_noon());
        fetcher.record_exchanges();
        let expected = (!is_good).then_some(Cause::Tls);
        assert_eq!(cause(fetcher.fetch_once()), expected, "{name}");
        assert_eq!(
            tell(name, fetcher.fetch_once(), &server),
            expected,
            "{name}"
        );
        let [exchange] = &fetcher.exchanges()[..] else {
            panic!("{name}: one request was tried");
        };
        let advice = exchange.lines(false).concat();
        let line = format!("fingerprint = \"{found}\"");
        assert_eq!(advice.ends_with(&line), !is_good, "{name}: {advice}");
        let served = !server.server.heads.lock().expect("not poisoned").is_empty();
        assert_eq!(
            served, is_good,
            "{name}: nothing is sent to an unknown server"
        );
    }

    let certified = certify("127.0.0.1", (2119, 2120));
    let unset = ManualClock::new(Moment {
        trust: ClockTrust::Untrusted,
        ..clock_at_noon().now()
    });
    let settings = TransportSettings {
        trust: Trusted::Ca.settings(&certified, &scratch.0.join("ca.pem")),
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
    let settings = TransportSettings {
        trust: Trusted::Ca.settings(&certified, &scratch.0.join("ca.pem")),
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
            trust: TrustSettings {
                ca_file: Some(file.clone()),
                ..TrustSettings::default()
            },
            ..TransportSettings::default()
        };
        let message = super::super::transport::Transport::new(settings).err();
        message.map(|message| message.replace(&file.display().to_string(), "FILE"))
    };
    let good = certify("127.0.0.1", (2020, 2120)).ca;
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
    let settings = TransportSettings {
        trust: Trusted::Ca.settings(&certified, &scratch.0.join("ca.pem")),
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

#[test]
fn only_the_own_server_gets_the_client_certificate() {
    let scratch = ScratchFile::new("client-certificate");
    let made = rcgen::generate_simple_self_signed(["node.example".to_owned()]);
    let client = made.expect("a certificate");
    let file = scratch.0.join("client.pem");
    let text = client.cert.pem() + &client.signing_key.serialize_pem();
    std::fs::write(&file, text).expect("a writable directory");
    let certified =
        [(); 3].map(|()| certify_for("127.0.0.1", (2020, 2120), Some(client.cert.der())));
    let fingerprints: Vec<_> = certified.iter().map(TestCertificate::fingerprint).collect();
    let [own, redirecting, other] = certified.map(|it| it.config);

    let own = FaultServer::start_tls(script(vec![sends(good_response())]), own);
    let other = FaultServer::start_tls(script(vec![sends(good_response())]), other);
    let target = other.address;
    let redirecting = FaultServer::start_tls(
        Arc::new(move |_, wire, _| {
            let head = format!("HTTP/1.1 302 Found\r\nLocation: https://{target}/\r\n");
            send(wire, &(head + "Content-Length: 0\r\n\r\n"));
            AfterResponse::Close
        }),
        redirecting,
    );
    let fetch = |server: &FaultServer, has_certificate: bool| {
        let url = format!("https://{}/", server.address);
        let uri = url.parse().expect("a URL");
        let settings = TransportSettings {
            trust: TrustSettings {
                fingerprints: fingerprints.clone(),
                client_certificate: has_certificate.then(|| ClientCertificateFiles {
                    certificate: file.clone(),
                    key: None,
                }),
                ..TrustSettings::default()
            },
            own_server: OwnServer::of(&uri),
            ..long_timeout()
        };
        let mut fetcher = fetcher(get_url(&url), settings, clock_at_noon());
        match fetcher.fetch_once().expect("not cancelled").outcome {
            FetchOutcome::Failed { failure, .. } => Some(failure.detail),
            _ => None,
        }
    };
    assert_eq!(fetch(&own, true), None);
    let without = fetch(&own, false).expect("it is required");
    assert!(
        without.contains("set `certificate` and `key` in `auth`"),
        "{without}"
    );
    let redirected = fetch(&redirecting, true).expect("the other one gets none");
    assert!(redirected.contains(&target.to_string()), "{redirected}");
    assert!(redirected.contains("requires"), "{redirected}");
}
