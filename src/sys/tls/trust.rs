//! Trust: whose certificates a connection accepts, as configured, and the TLS configuration of it.
//!
//! Built at the start; the files are read then.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, OtherError, RootCertStore};

use super::client_certificate::ClientCertificateFiles;
use super::fingerprint::CertificateFingerprint;
use super::roots::system_roots;
use super::verifier::CertificateVerifier;
use crate::sys::text_file;

/// Whom to trust, as configured. Without any, the system's root certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrustSettings {
    /// Root certificates instead of the system's, or the server's own certificate.
    pub ca_file: Option<PathBuf>,
    /// Certificates that are trusted whatever their issuer, name and dates.
    pub fingerprints: Vec<CertificateFingerprint>,
    /// What this node presents itself.
    pub client_certificate: Option<ClientCertificateFiles>,
}

/// Certificates to trust.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: TrustedRoots,
    fingerprints: Arc<[CertificateFingerprint]>,
    /// Of the certificates in the configured file.
    own: Arc<[CertificateFingerprint]>,
    client_certificate: Option<ClientCertificateFiles>,
}

#[derive(Debug, Clone)]
enum TrustedRoots {
    /// The machine's, or the compiled-in ones where it has none.
    System,
    /// Those of the configured file, and no others.
    Only(Arc<RootCertStore>),
    /// Only pinned certificates are trusted.
    None,
}

impl Trust {
    /// `Err` says what is wrong with a file.
    pub fn of(settings: &TrustSettings) -> Result<Trust, String> {
        let (roots, own) = match &settings.ca_file {
            Some(file) => {
                let (roots, own) = read_certificates(file)?;
                (TrustedRoots::Only(Arc::new(roots)), own)
            }
            None if settings.fingerprints.is_empty() => (TrustedRoots::System, Vec::new()),
            None => (TrustedRoots::None, Vec::new()),
        };
        if let Some(files) = &settings.client_certificate {
            files.load().map_err(|error| error.to_string())?;
        }
        Ok(Trust {
            roots,
            fingerprints: settings.fingerprints.clone().into(),
            own: own.into(),
            client_certificate: settings.client_certificate.clone(),
        })
    }

    pub fn has_ca_file(&self) -> bool {
        matches!(self.roots, TrustedRoots::Only(_))
    }

    pub fn has_client_certificate(&self) -> bool {
        self.client_certificate.is_some()
    }

    /// Each config has its own session cache, so that a new one starts without sessions. `is_known`:
    /// whether the server may see the client certificate.
    pub fn client_config(&self, is_known: bool) -> Result<Arc<ClientConfig>, rustls::Error> {
        let roots = match &self.roots {
            TrustedRoots::System => Some(system_roots().store),
            TrustedRoots::Only(roots) => Some(roots.clone()),
            TrustedRoots::None => None,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = roots.map(|roots| {
            WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()
        });
        let chain = chain.transpose();
        let chain = chain.map_err(|error| rustls::Error::General(error.to_string()))?;
        let verifier = CertificateVerifier {
            chain,
            fingerprints: self.fingerprints.clone(),
            own: self.own.clone(),
            algorithms: provider.signature_verification_algorithms,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let files = self.client_certificate.as_ref().filter(|_| is_known);
        Ok(Arc::new(match files {
            None => builder.with_no_client_auth(),
            Some(files) => {
                let loaded = files.load();
                let loaded =
                    loaded.map_err(|error| rustls::Error::Other(OtherError(Arc::new(error))))?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(loaded)))
            }
        }))
    }
}

/// Every certificate of a PEM file, as a root and by its fingerprint: a server may present it as its
/// own. An unusable one is an error, since this file was configured explicitly.
fn read_certificates(file: &Path) -> Result<(RootCertStore, Vec<CertificateFingerprint>), String> {
    let shown = file.display();
    let pem =
        text_file::read_bytes(file).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let mut roots = RootCertStore::empty();
    let mut fingerprints = Vec::new();
    for found in CertificateDer::pem_slice_iter(&pem) {
        let nth = fingerprints.len() + 1;
        let broken = || format!("{shown}: certificate {nth} is not valid PEM");
        let certificate = found.map_err(|_| broken())?;
        fingerprints.push(CertificateFingerprint::of(&certificate));
        roots.add(certificate).map_err(|_| broken())?;
    }
    if roots.is_empty() {
        Err(format!(
            "{shown} holds no certificate: expected -----BEGIN CERTIFICATE-----"
        ))
    } else {
        Ok((roots, fingerprints))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{TlsContext, TrustOptionNames, describe_tls_error};
    use super::*;
    use crate::db::test_support::Directory;

    #[test]
    fn each_config_has_its_own_sessions_and_shares_the_roots() {
        let scratch = Directory::new();
        let file = scratch.path("ca.pem");
        let made = rcgen::generate_simple_self_signed(["one.example".to_owned()]);
        let pem = made.expect("a certificate").cert.pem();
        std::fs::write(&file, pem).expect("a writable directory");
        let settings = TrustSettings {
            ca_file: Some(file),
            ..TrustSettings::default()
        };
        let trust = Trust::of(&settings).expect("a certificate");
        let TrustedRoots::Only(roots) = &trust.roots else {
            panic!("{trust:?} where a file was named");
        };
        let configs = [true, false].map(|is_known| trust.client_config(is_known));
        assert!(configs.iter().all(Result::is_ok));
        assert_eq!(Arc::strong_count(roots), 1 + configs.len());
    }

    #[test]
    fn a_client_certificate_that_is_gone_is_named_when_connections_are_made_anew() {
        let scratch = Directory::new();
        let file = scratch.path("client.pem");
        let made = rcgen::generate_simple_self_signed(["node.example".to_owned()]);
        let made = made.expect("a certificate");
        let pem = made.cert.pem() + &made.signing_key.serialize_pem();
        std::fs::write(&file, pem).expect("a writable directory");
        let settings = TrustSettings {
            client_certificate: Some(ClientCertificateFiles {
                certificate: file.clone(),
                key: None,
            }),
            ..TrustSettings::default()
        };
        let trust = Trust::of(&settings).expect("a certificate");
        std::fs::remove_file(&file).expect("it is there");
        let error = trust.client_config(true).expect_err("no certificate");
        let context = TlsContext {
            host: "meter.local",
            has_ca_file: false,
            has_client_certificate: true,
            options: Some(&TrustOptionNames::SOURCE),
        };
        assert_eq!(
            describe_tls_error(&error, context),
            format!(
                "no TLS connection to meter.local: {} cannot be read: no such file or directory",
                file.display()
            )
        );
    }
}
