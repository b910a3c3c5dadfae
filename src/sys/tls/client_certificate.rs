//! TLS client certificate (mutual TLS): a certificate with its key from PEM files.
//!
//! Read when a source is set up, and again for new connections after failures: a renewed file needs no
//! restart. Messages never show what is in the files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::certificate::CertificateFields;
use crate::sys::text_file;

/// The files of a client certificate, as configured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientCertificateFiles {
    /// The certificate, behind it those of intermediate CAs.
    pub certificate: PathBuf,
    /// None: the key is in the same file.
    pub key: Option<PathBuf>,
}

/// What is wrong with the files of a client certificate.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientCertificateError {
    /// Whether it is about the file of the key.
    pub is_key: bool,
    pub message: String,
}

impl fmt::Display for ClientCertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ClientCertificateError {}

impl ClientCertificateError {
    /// Why no connection was begun, if that is it.
    pub fn find(error: &rustls::Error) -> Option<&ClientCertificateError> {
        match error {
            rustls::Error::Other(other) => other.0.downcast_ref(),
            _ => None,
        }
    }
}

/// The first and the last day of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidDates {
    pub not_before: String,
    pub not_after: String,
}

impl ClientCertificateFiles {
    pub fn load(&self) -> Result<Arc<CertifiedKey>, ClientCertificateError> {
        let of_certificate = |message| ClientCertificateError {
            is_key: false,
            message,
        };
        let of_key = |message| ClientCertificateError {
            is_key: self.key.is_some(),
            message,
        };
        let chain = read_chain(&self.certificate).map_err(of_certificate)?;
        let key_file = self.key_file();
        let shown = key_file.display();
        let der = read_key(key_file, self.key.is_some()).map_err(of_key)?;
        let key = any_supported_type(&der).map_err(|_| {
            of_key(format!(
                "the key in {shown} cannot be used: expected RSA with 2048 to 4096 bits, ECDSA P-256 \
                 or P-384, or Ed25519"
            ))
        })?;
        let fields = chain.first().and_then(|it| CertificateFields::read(it));
        let Some(fields) = fields else {
            return Err(of_certificate(format!(
                "{} is not a certificate (X.509)",
                self.certificate.display()
            )));
        };
        if key
            .public_key()
            .is_some_and(|public| public != fields.public_key.info)
        {
            return Err(of_key(format!(
                "the key in {shown} does not belong to the first certificate in {}: write the \
                 certificate of this key first, or the key that it was made with",
                self.certificate.display()
            )));
        }
        Ok(Arc::new(CertifiedKey::new(chain, key)))
    }

    /// The file that holds the key.
    pub fn key_file(&self) -> &Path {
        self.key.as_deref().unwrap_or(&self.certificate)
    }

    /// When the certificate is valid; `None` if it cannot be read.
    pub fn dates(&self) -> Option<ValidDates> {
        let chain = read_chain(&self.certificate).ok()?;
        let fields = CertificateFields::read(chain.first()?)?;
        Some(ValidDates {
            not_before: fields.not_before,
            not_after: fields.not_after,
        })
    }
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = file.display();
    let pem = read_pem(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = found.map_err(|_| format!("{shown}: a certificate is not valid PEM"))?;
    if chain.is_empty() {
        return Err(format!(
            "{shown} holds no certificate: expected -----BEGIN CERTIFICATE-----"
        ));
    }
    Ok(chain)
}

fn read_key(file: &Path, is_own_file: bool) -> Result<PrivateKeyDer<'static>, String> {
    let shown = file.display();
    let pem = read_pem(file)?;
    if let Ok(key) = PrivateKeyDer::from_pem_slice(&pem)
        && !is_encrypted(&pem)
    {
        return Ok(key);
    }
    Err(if is_encrypted(&pem) {
        format!(
            "the key in {shown} is encrypted with a passphrase, which nobody can type when the \
             service starts: write `openssl pkey -in {shown} -out client.key` and chmod 600 client.key, \
             and name that file in `key`"
        )
    } else if is_own_file {
        format!(
            "{shown} holds no private key: expected -----BEGIN PRIVATE KEY----- (PKCS#8), \
             -----BEGIN RSA PRIVATE KEY----- or -----BEGIN EC PRIVATE KEY-----"
        )
    } else {
        format!("{shown} holds no private key: name the file of the key in `key`")
    })
}

/// PKCS#8 and the older form of OpenSSL.
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED")
}

fn read_pem(file: &Path) -> Result<Vec<u8>, String> {
    let shown = file.display();
    let bytes =
        text_file::read_bytes(file).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    // A sequence in DER form.
    if bytes.first() == Some(&0x30) {
        return Err(format!(
            "{shown} is binary (PKCS#12 or DER), and PEM is expected: `openssl pkcs12 -in {shown} -nodes \
             -out client.pem` writes it"
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
#[path = "tests/client_certificate.rs"]
mod tests;
