//! Options that say whose TLS certificates are trusted, `ca_file` and `fingerprint`: shared by
//! sources, alert channels and outputs.

use super::reader::TableReader;
use super::section::{OptionReader, list};
use crate::limits;
use crate::sys::tls::CertificateFingerprint;

/// An example for the documentation.
pub const EXAMPLE: &str =
    "\"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"";

pub const CA_FILE_HELP: &str = "PEM file with the root certificates to trust, instead of the system's, or with the server's own certificate.";

/// Of an alert channel.
pub const CHANNEL_FINGERPRINT_HELP: &str = "SHA-256 fingerprint of the server's certificate: this certificate is trusted, whatever its issuer, name and dates, and no other unless `ca_file` trusts it too. `main-node test-alert` prints the line.";

pub const OUTPUT_FINGERPRINT_HELP: &str = "SHA-256 fingerprint of the server's certificate: this certificate is trusted, whatever its issuer, name and dates, and no other unless `ca_file` trusts it too. `main-node check --online` prints the line.";

/// A fingerprint, or a list of them.
pub fn read_fingerprints(option: &mut OptionReader<'_, '_>) -> Vec<CertificateFingerprint> {
    let reader = option.reader();
    let Some(entry) = option.entry() else {
        return Vec::new();
    };
    let texts = entry.texts();
    let most = limits::FINGERPRINTS;
    if texts.len() > most {
        let found = texts.len();
        entry.problem(format!(
            "expected at most {most} fingerprints, found {found}"
        ));
    }
    let parse = |(text, span): &(String, _)| match CertificateFingerprint::parse(text) {
        Ok(fingerprint) => Some(fingerprint),
        Err(wrong) => {
            reader.problem(span, format!("{wrong}; found {text:?}"));
            None
        }
    };
    texts.iter().filter_map(parse).collect()
}

/// One as a text, several as a list.
pub fn print_fingerprints(fingerprints: &[CertificateFingerprint]) -> Option<String> {
    match fingerprints {
        [one] => Some(format!("\"{one}\"")),
        several => list(several),
    }
}

/// Reports options of certificates where the connection has no TLS.
pub fn reject_without_tls(
    table: &mut TableReader<'_>,
    options: &[&'static str],
    what_to_write: &str,
) {
    for &name in options {
        if let Some(entry) = table.get(name) {
            entry.problem(no_tls(what_to_write));
        }
    }
}

/// What is wrong with a fingerprint where no certificate is ever seen.
pub fn no_tls(what_to_write: &str) -> String {
    format!(
        "this connection has no TLS, and so no certificate to compare: {what_to_write}, or remove \
         this line"
    )
}
