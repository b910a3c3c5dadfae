//! Certificate verifier: pinned certificates, else the chain to a trusted root.
//!
//! A pinned certificate (its fingerprint is configured, or `ca_file` holds it) is trusted whatever
//! its issuer, name and dates. The signature of the handshake is always verified: it proves that the
//! server holds the certificate's key. A verified session is resumed without another look, so each
//! set of trusted certificates has a session cache of its own.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, PeerMisbehaved, SignatureScheme,
};

use super::certificate::{PublicKey, ServerCertificate};
use super::fingerprint::CertificateFingerprint;

/// Verifies the certificate of a server, and its signature.
#[derive(Debug)]
pub struct CertificateVerifier {
    /// None: only pinned certificates are trusted.
    pub chain: Option<Arc<WebPkiServerVerifier>>,
    /// Pinned by `fingerprint`.
    pub fingerprints: Arc<[CertificateFingerprint]>,
    /// Of the certificates in `ca_file`, which may be the server's own.
    pub own: Arc<[CertificateFingerprint]>,
    pub algorithms: WebPkiSupportedAlgorithms,
}

/// A certificate that is not accepted.
#[derive(Debug, Clone)]
pub struct RejectedCertificate {
    pub reason: RejectionReason,
    pub presented: ServerCertificate,
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone)]
pub enum RejectionReason {
    /// It is not pinned, and no trusted root vouches for it.
    Untrusted(CertificateError),
    /// It is not one of these, which alone are trusted.
    OtherFingerprint(Vec<CertificateFingerprint>),
    /// Its RSA key has so many bits.
    ShortRsaKey(usize),
    /// The server does not hold its key.
    NotItsKey,
}

impl RejectedCertificate {
    /// The rejection in an error of rustls.
    pub fn find(error: &Error) -> Option<&RejectedCertificate> {
        match error {
            Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
                inner.downcast_ref()
            }
            _ => None,
        }
    }

    fn error(reason: RejectionReason, presented: ServerCertificate) -> Error {
        let rejected = RejectedCertificate { reason, presented };
        Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(rejected))))
    }
}

impl fmt::Display for RejectedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate rejected: {:?}", self.reason)
    }
}

impl std::error::Error for RejectedCertificate {}

impl ServerCertVerifier for CertificateVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = ServerCertificate::of(end_entity);
        if let Some(bits) = presented.short_rsa_key() {
            let reason = RejectionReason::ShortRsaKey(bits);
            return Err(RejectedCertificate::error(reason, presented));
        }
        let mut pinned = self.fingerprints.iter().chain(self.own.iter());
        if pinned.any(|it| *it == presented.fingerprint) {
            return Ok(ServerCertVerified::assertion());
        }
        let changed = || RejectionReason::OtherFingerprint(self.fingerprints.to_vec());
        let Some(chain) = &self.chain else {
            return Err(RejectedCertificate::error(changed(), presented));
        };
        let verified =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map_err(|error| match error {
            Error::InvalidCertificate(problem) => {
                let reason = if self.fingerprints.is_empty() {
                    RejectionReason::Untrusted(problem)
                } else {
                    changed()
                };
                RejectedCertificate::error(reason, presented)
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let presented = ServerCertificate::of(certificate);
        let verified = match presented.key_of_old_version() {
            Some(key) => self.verify_with_key(message, key, signed),
            None => verify_tls12_signature(message, certificate, signed, &self.algorithms),
        };
        verified.map_err(|error| not_its_key(error, presented))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let presented = ServerCertificate::of(certificate);
        let verified = match presented.key_of_old_version() {
            Some(key) => {
                verify_tls13_signature_with_raw_key(message, &key.info, signed, &self.algorithms)
            }
            None => verify_tls13_signature(message, certificate, signed, &self.algorithms),
        };
        verified.map_err(|error| not_its_key(error, presented))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl CertificateVerifier {
    /// The signature of TLS 1.2 by the key alone, which rustls does for TLS 1.3 only.
    fn verify_with_key(
        &self,
        message: &[u8],
        key: &PublicKey,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let schemes = self.algorithms.mapping.iter();
        let mut candidates = schemes
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, algorithms)| algorithms.iter())
            .filter(|algorithm| *algorithm.public_key_alg_id() == *key.algorithm)
            .peekable();
        if candidates.peek().is_none() {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        let is_signed = candidates.any(|algorithm| {
            let verified = algorithm.verify_signature(&key.key, message, signed.signature());
            verified.is_ok()
        });
        if is_signed {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }
}

fn not_its_key(error: Error, presented: ServerCertificate) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            RejectedCertificate::error(RejectionReason::NotItsKey, presented)
        }
        other => other,
    }
}

#[cfg(test)]
#[path = "tests/verifier.rs"]
mod tests;
