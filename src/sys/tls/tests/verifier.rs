//! Handshakes in memory, with pinned certificates and others, in TLS 1.2 and 1.3.

use std::sync::Arc;

use rcgen::PublicKeyData as _;
use rustls::crypto::ring::{default_provider, sign};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConnection, ServerConfig, ServerConnection, SignatureAlgorithm, SupportedProtocolVersion,
};

use super::super::trust::{Trust, TrustSettings};
use super::*;
use crate::golden::Budget;

/// An element in DER form (X.690).
fn der(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let length = contents.len();
    let mut whole = vec![tag];
    match u8::try_from(length) {
        Ok(short @ ..0x80) => whole.push(short),
        Ok(long) => whole.extend([0x81, long]),
        Err(_) => whole.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    whole.extend(contents);
    whole
}

const ECDSA_SHA256: [u8; 10] = [0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const RSA_ENCRYPTION: [u8; 13] = [
    0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0,
];
const COMMON_NAME: [u8; 5] = [0x06, 3, 0x55, 0x04, 0x03];

/// A certificate whose own signature is nonsense.
fn certificate(version: &[u8], public_key_info: &[u8]) -> CertificateDer<'static> {
    let algorithm = der(0x30, &[&ECDSA_SHA256]);
    let common_name = der(0x0c, &["envoy\u{202e}.local\n".as_bytes()]);
    let name = der(0x30, &[&COMMON_NAME, &common_name]);
    let name = der(0x30, &[&der(0x31, &[&name])]);
    let times = [
        der(0x17, &[b"990203040506Z"]),
        der(0x18, &[b"20500203040506Z"]),
    ];
    let validity = der(0x30, &[&times[0], &times[1]]);
    let serial = der(0x02, &[&[7]]);
    let fields = der(
        0x30,
        &[
            version,
            &serial,
            &algorithm,
            &name,
            &validity,
            &name,
            public_key_info,
        ],
    );
    let signature = der(0x03, &[&[0; 9]]);
    CertificateDer::from(der(0x30, &[&fields, &algorithm, &signature]))
}

fn key_pair() -> rcgen::KeyPair {
    rcgen::KeyPair::generate().expect("a key")
}

fn self_signed(name: &str, key: &rcgen::KeyPair) -> CertificateDer<'static> {
    let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a good name");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let made = parameters.self_signed(key);
    made.expect("a certificate").der().clone()
}

#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesServerCert for Presents {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A server that presents a certificate, whether or not the key belongs to it.
fn server(
    presented: &CertificateDer<'static>,
    key: &rcgen::KeyPair,
    version: &'static SupportedProtocolVersion,
) -> ServerConnection {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = sign::any_supported_type(&key).expect("a key");
    assert_eq!(key.algorithm(), SignatureAlgorithm::ECDSA);
    let certified = CertifiedKey::new(vec![presented.clone()], key);
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .expect("a known version")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Presents(Arc::new(certified))));
    ServerConnection::new(Arc::new(config)).expect("a good configuration")
}

/// What the client says of the handshake, and how many bytes of a request the server read.
fn connect(trust: &Trust, mut server: ServerConnection) -> (Result<(), Error>, usize) {
    let name = ServerName::try_from("meter.example").expect("a name");
    let config = trust.client_config(true).expect("a good configuration");
    let mut client = ClientConnection::new(config, name).expect("a good configuration");
    // It is sent as soon as the handshake allows.
    std::io::Write::write_all(&mut client.writer(), b"GET /").expect("it is kept");
    let mut result = Ok(());
    while result.is_ok() && (client.is_handshaking() || client.wants_write()) {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("in memory");
        }
        server.read_tls(&mut &*wire).expect("in memory");
        // The client says why it ends the handshake.
        let _ = server.process_new_packets();
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).expect("in memory");
        }
        client.read_tls(&mut &*wire).expect("in memory");
        result = client.process_new_packets().map(|_| ());
    }
    let mut wire = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut wire).expect("in memory");
    }
    server.read_tls(&mut &*wire).expect("in memory");
    let _ = server.process_new_packets();
    let mut request = [0; 16];
    let read = std::io::Read::read(&mut server.reader(), &mut request);
    (result, read.unwrap_or(0))
}

fn trust(fingerprints: &[CertificateFingerprint]) -> Trust {
    let settings = TrustSettings {
        fingerprints: fingerprints.to_vec(),
        ..TrustSettings::default()
    };
    Trust::of(&settings).expect("no file is read")
}

#[test]
fn a_pinned_certificate_is_trusted_with_its_own_key_only() {
    let (key, other_key) = (key_pair(), key_pair());
    let version_3 = self_signed("other.example", &key);
    let version_1 = certificate(&[], &key.subject_public_key_info());
    // Its version is that of X.509 version 2.
    let version_2 = certificate(&der(0xa0, &[&[0x02, 1, 1]]), &key.subject_public_key_info());
    let renewed = self_signed("other.example", &key);
    let pins = [&version_3, &version_1, &version_2].map(|it| CertificateFingerprint::of(it));
    let pinned = trust(&pins);
    let (system, other) = (trust(&[]), trust(&[CertificateFingerprint::of(b"another")]));
    for version in [&TLS12, &TLS13] {
        for (name, presented) in [
            ("version 3, CA:TRUE, another name", &version_3),
            ("version 1", &version_1),
            ("version 2", &version_2),
        ] {
            let name = format!("{version:?} {name}");
            let (result, sent) = connect(&pinned, server(presented, &key, version));
            assert_eq!((result, sent), (Ok(()), 5), "{name}");

            let (result, sent) = connect(&pinned, server(presented, &other_key, version));
            let error = result.expect_err(&name);
            let rejected = RejectedCertificate::find(&error);
            let reason = rejected.map(|it| &it.reason);
            assert!(
                matches!(reason, Some(RejectionReason::NotItsKey)),
                "{name}: {error:?}"
            );
            assert_eq!(sent, 0, "{name}");

            for trust in [&other, &system] {
                let (result, sent) = connect(trust, server(presented, &key, version));
                assert!(result.is_err(), "{name}");
                assert_eq!(sent, 0, "{name}");
            }
        }
        let (result, sent) = connect(&pinned, server(&renewed, &key, version));
        let error = result.expect_err("another certificate of the same key");
        let rejected = RejectedCertificate::find(&error).expect("rejected");
        let RejectionReason::OtherFingerprint(expected) = &rejected.reason else {
            panic!("{rejected:?}");
        };
        assert_eq!(expected, &pins);
        let found = CertificateFingerprint::of(&renewed);
        assert_eq!((rejected.presented.fingerprint, sent), (found, 0));
    }
}

#[test]
fn a_short_rsa_key_is_refused_pinned_or_not() {
    let system = trust(&[]);
    for (bits, is_short) in [(512, true), (1024, true), (2047, true), (2048, false)] {
        // As many bits as are asked for, behind the zero that makes the number positive.
        let mut modulus = vec![0];
        modulus.push(if bits % 8 == 0 { 0x80 } else { 0x7f });
        modulus.resize(1 + usize::div_ceil(bits, 8), 0xff);
        let numbers = der(0x30, &[&der(0x02, &[&modulus]), &[0x02, 1, 3]]);
        let key = der(0x03, &[&[0], &numbers]);
        let info = der(0x30, &[&der(0x30, &[&RSA_ENCRYPTION]), &key]);
        let presented = certificate(&der(0xa0, &[&[0x02, 1, 2]]), &info);
        let pinned = trust(&[CertificateFingerprint::of(&presented)]);
        for trust in [&pinned, &system] {
            let server = server(&presented, &key_pair(), &TLS12);
            let error = connect(trust, server).0.expect_err("it has no such key");
            let reason = RejectedCertificate::find(&error).map(|it| &it.reason);
            let found = match reason {
                Some(RejectionReason::ShortRsaKey(found)) => Some(*found),
                _ => None,
            };
            assert_eq!(found, is_short.then_some(bits), "{error:?}");
        }
    }
}

#[test]
fn a_certificate_is_described_in_one_line() {
    let shown = |certificate: &CertificateDer<'_>| ServerCertificate::of(certificate).to_string();
    let info = key_pair().subject_public_key_info();
    assert_eq!(
        shown(&certificate(&[], &info)),
        "CN=envoy.local, valid from 1999-02-03 to 2050-02-03"
    );
    assert_eq!(
        shown(&CertificateDer::from(b"nonsense".to_vec())),
        "not readable"
    );
}

/// Certificates come from servers that nobody has verified yet.
#[test]
fn fuzz_certificates() {
    let key = key_pair();
    let seeds = [
        certificate(&[], &key.subject_public_key_info()),
        certificate(&der(0xa0, &[&[0x02, 1, 2]]), &key.subject_public_key_info()),
        self_signed("meter.example", &key),
    ];
    let printed = CertificateFingerprint::of(&seeds[0]).to_string();
    for seed in Budget::new(20_000).seeds() {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = seeds[random.usize(..seeds.len())].to_vec();
        for _ in 0..random.usize(..6) {
            let at = random.usize(..bytes.len().max(1)).min(bytes.len() - 1);
            match random.u8(..3) {
                0 => bytes[at] = random.u8(..),
                1 => bytes.truncate(at + 1),
                _ => bytes.insert(at, random.u8(..)),
            }
        }
        let shown = ServerCertificate::of(&CertificateDer::from(bytes)).to_string();
        let is_short = shown.chars().count() < 400 && !shown.contains('\n');
        assert!(is_short, "FUZZ_SEED={seed}: {shown}");

        let mut text: Vec<char> = printed.chars().collect();
        for _ in 0..random.usize(..4) {
            let at = random.usize(..text.len());
            text[at] = random.char(..);
        }
        let text: String = text.into_iter().collect();
        if let Ok(parsed) = CertificateFingerprint::parse(&text) {
            let again = CertificateFingerprint::parse(&parsed.to_string());
            assert_eq!(again, Ok(parsed), "FUZZ_SEED={seed}: {text}");
        }
    }
}
