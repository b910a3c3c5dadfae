//! TLS: root certificates, the connector of ureq, and error texts.
//!
//! Owns the one list of root certificates in memory. The machine's own bundle comes first: its
//! packages keep it up to date. The compiled-in roots are used where there is none. The bundle is
//! read at the first handshake, never at the start, and again when the file has changed. Runs on
//! the thread that connects. It describes TLS errors, and must not decide whose fault they are.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, PeerIncompatible,
    RootCertStore, StreamOwned,
};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use super::sync::Mutex;
use super::{host_address, text_file};

/// Where systems keep their bundle, the Pi's own first.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The variable that names another bundle, as for OpenSSL and curl.
const BUNDLE_VARIABLE: &str = "SSL_CERT_FILE";

/// Root certificates to trust.
#[derive(Debug, Clone)]
pub enum Trust {
    /// The machine's, or the compiled-in ones where it has none.
    System,
    /// Those of the configured file, and no others.
    Only(Arc<RootCertStore>),
}

impl Trust {
    /// `Err` says what is wrong with the file.
    pub fn of(ca_file: Option<&Path>) -> Result<Trust, String> {
        Ok(match ca_file {
            Some(file) => Trust::Only(Arc::new(read_certificates(file)?)),
            None => Trust::System,
        })
    }

    /// Each config has its own session cache, so that a new one starts without sessions.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let roots = match self {
            Trust::System => system_roots().store,
            Trust::Only(roots) => roots.clone(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

/// Every certificate of a PEM file. An unusable one is an error, since this file was configured
/// explicitly.
fn read_certificates(file: &Path) -> Result<RootCertStore, String> {
    let shown = file.display();
    let pem =
        text_file::read_bytes(file).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let mut roots = RootCertStore::empty();
    for found in CertificateDer::pem_slice_iter(&pem) {
        let nth = roots.len() + 1;
        let broken = || format!("{shown}: certificate {nth} is not valid PEM");
        roots
            .add(found.map_err(|_| broken())?)
            .map_err(|_| broken())?;
    }
    if roots.is_empty() {
        Err(format!(
            "{shown} holds no certificate: expected -----BEGIN CERTIFICATE-----"
        ))
    } else {
        Ok(roots)
    }
}

/// The root certificates in use, and their origin.
#[derive(Debug, Clone)]
pub struct Roots {
    store: Arc<RootCertStore>,
    /// None: compiled in.
    bundle: Option<(PathBuf, BundleStamp)>,
}

/// Identifies the version of a file that was read.
type BundleStamp = (Option<SystemTime>, u64);

impl Roots {
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// The machine's bundle; none if they are the compiled-in ones.
    pub fn file(&self) -> Option<&Path> {
        self.bundle.as_ref().map(|(path, _)| &**path)
    }

    /// The first bundle that holds anything. One certificate among many that cannot be used is
    /// left out, as every other program of the system does.
    fn read(bundles: &[PathBuf]) -> Roots {
        for path in bundles {
            let Some(stamp) = stamp(path) else { continue };
            let Ok(pem) = std::fs::read(path) else {
                continue;
            };
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
            if !store.is_empty() {
                store.roots.shrink_to_fit();
                return Roots {
                    store: Arc::new(store),
                    bundle: Some((path.clone(), stamp)),
                };
            }
        }
        Roots {
            store: Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
            bundle: None,
        }
    }

    /// Whether the bundle is unchanged.
    fn is_current(&self, bundles: &[PathBuf]) -> bool {
        match &self.bundle {
            Some((path, read)) => stamp(path).as_ref() == Some(read),
            None => bundles.iter().all(|path| stamp(path).is_none()),
        }
    }
}

fn stamp(path: &Path) -> Option<BundleStamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok(), metadata.len()))
}

/// The roots of the machine, read again if its bundle has changed.
pub fn system_roots() -> Roots {
    static READ: Mutex<Option<Roots>> = Mutex::new(None);
    let named = std::env::var_os(BUNDLE_VARIABLE).map(PathBuf::from);
    let bundles: Vec<PathBuf> = match named {
        Some(named) => vec![named],
        None => BUNDLES.iter().map(PathBuf::from).collect(),
    };
    let mut read = READ.lock();
    match &*read {
        Some(roots) if roots.is_current(&bundles) => roots.clone(),
        _ => read.insert(Roots::read(&bundles)).clone(),
    }
}

/// What is wrong with a certificate, as the end of "the certificate of HOST …"; the names of the
/// library's types mean nothing to users.
pub fn describe_certificate_error(problem: &CertificateError) -> &'static str {
    match problem {
        CertificateError::BadEncoding => "is damaged: it is not valid X.509",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet"
        }
        CertificateError::Revoked => "was revoked by its CA",
        CertificateError::UnhandledCriticalExtension => {
            "has a critical extension that main-node does not know"
        }
        CertificateError::UnknownIssuer => "is signed by no CA that this node trusts",
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. }
        | CertificateError::InvalidOcspResponse => "cannot be checked for being revoked",
        CertificateError::BadSignature => {
            "has a signature that does not match: the trusted CA has the same name and another \
             key, or the certificate was changed"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not meant for a server: make one with the extended key usage serverAuth"
        }
        CertificateError::Other(_) if mentions(problem, "CaUsedAsEndEntity") => {
            "is a CA's (CA:TRUE), which no server may use; make one that says CA:FALSE"
        }
        CertificateError::Other(_) if mentions(problem, "UnsupportedCertVersion") => {
            "is of an old form (X.509 version 1); make one of version 3"
        }
        // rustls has several variants for this, some of them to be removed.
        _ if mentions(problem, "Unsupported") => {
            "has a key or a signature that is no longer safe (RSA below 2048 bits, SHA-1); make \
             one with RSA 2048 or ECDSA P-256, and SHA-256"
        }
        _ => {
            "is not acceptable; make a new one: X.509 version 3, CA:FALSE, RSA 2048 or ECDSA P-256"
        }
    }
}

/// By the error text: the types are private, or of an indirect dependency.
fn mentions(problem: &CertificateError, name: &str) -> bool {
    format!("{problem:?}").contains(name)
}

/// Why a handshake failed, with the server's name in it.
pub fn describe_handshake_error(error: &rustls::Error, host: &str) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => {
            format!(
                "the certificate of {host} {}",
                describe_certificate_error(problem)
            )
        }
        rustls::Error::InvalidMessage(_) => {
            format!("{host} does not speak TLS on that port: try http:// instead of https://")
        }
        rustls::Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            describe_old_tls(host)
        }
        rustls::Error::PeerIncompatible(_) => format!(
            "{host} speaks TLS 1.2 without what is required for it to be safe; newer firmware may \
             have it, or TLS 1.3"
        ),
        rustls::Error::PeerMisbehaved(_)
        | rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. }
        | rustls::Error::PeerSentOversizedRecord
        | rustls::Error::DecryptError => format!("{host} violates TLS"),
        rustls::Error::NoCertificatesPresented => format!("{host} sends no certificate"),
        rustls::Error::AlertReceived(alert) => describe_tls_alert(*alert, host),
        _ => format!("TLS connection to {host} failed"),
    }
}

fn describe_old_tls(host: &str) -> String {
    format!(
        "{host} speaks only TLS 1.0 or 1.1 (or SSL), which are no longer safe; main-node needs \
         TLS 1.2 or 1.3, which newer firmware may have"
    )
}

/// An alert with which the server ended the handshake (RFC 8446 §6).
fn describe_tls_alert(alert: AlertDescription, host: &str) -> String {
    match alert {
        AlertDescription::ProtocolVersion | AlertDescription::InappropriateFallback => {
            describe_old_tls(host)
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => format!(
            "{host} and this node have no TLS cipher in common: those of the server are no longer \
             safe, or it requires a client certificate; newer firmware may have others"
        ),
        AlertDescription::CertificateRequired | AlertDescription::BadCertificate => format!(
            "{host} requires a client certificate (mutual TLS), which main-node does not support: \
             switch that off for this URL, or use another one"
        ),
        AlertDescription::UnrecognisedName => {
            format!("{host} has no site of that name: use the name in its certificate")
        }
        AlertDescription::AccessDenied => format!("{host} refuses access to this node"),
        AlertDescription::InternalError => {
            format!("{host} has an internal error with TLS")
        }
        other => format!("{host} ended the TLS handshake (alert {})", u8::from(other)),
    }
}

/// Wraps ureq's connections in TLS. ureq's own connector copies the roots for each agent.
#[derive(Debug)]
pub struct Tls {
    trust: Trust,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    pub fn new(trust: Trust) -> Tls {
        Tls {
            trust,
            config: OnceLock::new(),
        }
    }

    fn config(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        Ok(match self.config.get() {
            Some(config) => config.clone(),
            None => {
                let made = self.trust.client_config()?;
                self.config.get_or_init(|| made).clone()
            }
        })
    }
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Encrypted>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host_address::without_zone(host).unwrap_or_else(|| host.to_owned());
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned());
        let name = name.map_err(|_| Error::Tls("the host's name can be in no certificate"))?;
        let mut connection = ClientConnection::new(self.config()?, name)?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        Ok(Some(Either::B(Encrypted {
            buffers: LazyBuffers::new(
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
            stream: StreamOwned::new(connection, socket),
        })))
    }
}

/// A connection under TLS.
pub struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encrypted")
    }
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let came = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(came);
        Ok(came > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::test_support::Directory;

    fn certificate(name: &str) -> String {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]);
        made.expect("a certificate").cert.pem()
    }

    #[test]
    fn system_roots_are_used_and_compiled_in_roots_where_there_are_none() {
        let scratch = Directory::new();
        let bundles = ["absent.pem", "bundle.pem"].map(|name| scratch.path(name));
        let write = |text: &str| std::fs::write(&bundles[1], text).expect("a writable directory");

        let compiled_in = Roots::read(&bundles);
        assert_eq!(compiled_in.len(), webpki_roots::TLS_SERVER_ROOTS.len());
        assert_eq!(compiled_in.file(), None);
        assert!(compiled_in.is_current(&bundles));

        write(&(certificate("one.example") + &certificate("two.example")));
        assert!(!compiled_in.is_current(&bundles), "a bundle was installed");
        let roots = Roots::read(&bundles);
        assert_eq!((roots.len(), roots.file()), (2, Some(bundles[1].as_path())));
        assert!(roots.is_current(&bundles));

        let unusable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        write(&(certificate("one.example") + unusable));
        assert!(!roots.is_current(&bundles), "the bundle was updated");
        assert_eq!(
            Roots::read(&bundles).len(),
            1,
            "only the usable one is read"
        );

        write("nothing of the kind");
        assert_eq!(Roots::read(&bundles).file(), None);
        std::fs::remove_file(&bundles[1]).expect("it is there");
        assert!(!roots.is_current(&bundles), "the bundle was removed");
    }

    #[test]
    fn each_config_has_its_own_sessions_and_shares_the_roots() {
        let scratch = Directory::new();
        let file = scratch.path("ca.pem");
        std::fs::write(&file, certificate("one.example")).expect("a writable directory");
        let trust = Trust::of(Some(&file)).expect("a certificate");
        let Trust::Only(roots) = &trust else {
            panic!("{trust:?} where a file was named");
        };
        let configs = [trust.client_config(), trust.client_config()];
        assert!(configs.iter().all(Result::is_ok));
        assert_eq!(Arc::strong_count(roots), 1 + configs.len());
    }
}
