//! Certificate fingerprint: the SHA-256 of a certificate in DER form, as `openssl x509 -fingerprint
//! -sha256` and browsers show it.

use std::fmt;

/// Identifies one certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateFingerprint([u8; 32]);

impl CertificateFingerprint {
    pub fn of(der: &[u8]) -> CertificateFingerprint {
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        CertificateFingerprint(bytes)
    }

    /// Reads `sha256:` and 64 hexadecimal digits, with or without colons and blanks; the prefix may be
    /// absent, or the `sha256 Fingerprint=` of openssl. `Err` says what was expected.
    pub fn parse(text: &str) -> Result<CertificateFingerprint, &'static str> {
        let text = text.trim();
        if text.contains("//") || text.ends_with('=') {
            return Err(
                "this is the pin of a public key (base64); expected the fingerprint of the \
                 certificate: \"sha256:\" and 64 hexadecimal digits",
            );
        }
        if is_sha_1(text) {
            return Err(SHA_1);
        }
        let digits = match text.rsplit_once('=') {
            Some((label, digits)) if is_label(label) => digits,
            Some(_) => return Err(EXPECTED),
            None => match text.split_at_checked(PREFIX.len()) {
                Some((prefix, digits)) if prefix.eq_ignore_ascii_case(PREFIX) => digits,
                _ => text,
            },
        };
        let digits: Vec<char> = digits.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
        let digits: Option<Vec<u32>> = digits.iter().map(|c| c.to_digit(16)).collect();
        let digits = digits.ok_or(EXPECTED)?;
        match digits.len() {
            64 => {}
            40 => return Err(SHA_1),
            32 => {
                return Err(
                    "this is an MD5 fingerprint; expected that of SHA-256, with 64 \
                     hexadecimal digits, which `main-node check --online` prints",
                );
            }
            _ => return Err(EXPECTED),
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] * 16 + pair[1]) as u8;
        }
        Ok(CertificateFingerprint(bytes))
    }
}

const PREFIX: &str = "sha256:";

const SHA_1: &str = "this is a SHA-1 fingerprint; expected that of SHA-256, with 64 hexadecimal \
                     digits, which `main-node check --online` prints";

/// Whether a text says so itself: `sha1:…`, `SHA1 Fingerprint=…`.
fn is_sha_1(text: &str) -> bool {
    let text = text.trim_start().to_ascii_lowercase();
    ["sha1", "sha-1"].iter().any(|name| text.starts_with(name))
}

const EXPECTED: &str = "expected the SHA-256 fingerprint of a certificate: \"sha256:\" and 64 \
                        hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` prints it";

/// The text before `=` in the output of openssl: `sha256 Fingerprint`.
fn is_label(text: &str) -> bool {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    matches!(&words[..], [hash, word] if hash == "sha256" && word == "fingerprint")
}

/// `sha256:AB:CD:…`
impl fmt::Display for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256")?;
        self.0.iter().try_for_each(|byte| write!(f, ":{byte:02X}"))
    }
}

impl fmt::Debug for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of the empty input.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn every_usual_form_is_read() {
        let upper = EMPTY.to_uppercase();
        let pairs: Vec<&str> = (0..64).step_by(2).map(|at| &upper[at..at + 2]).collect();
        let colons = pairs.join(":");
        let printed = format!("sha256:{colons}");
        for text in [
            format!("sha256:{EMPTY}"),
            format!("SHA256:{upper}"),
            EMPTY.to_owned(),
            colons.clone(),
            printed.clone(),
            pairs.join(" "),
            format!("sha256 Fingerprint={colons}"),
            format!("SHA256 Fingerprint={colons}\n"),
            format!("sha256: {}", pairs.join(" ")),
        ] {
            let found = CertificateFingerprint::parse(&text);
            assert_eq!(found, Ok(CertificateFingerprint::of(b"")), "{text}");
        }
        let shown = CertificateFingerprint::of(b"").to_string();
        assert_eq!(shown, printed);
    }

    #[test]
    fn other_hashes_and_pins_are_named() {
        for (text, expected) in [
            (&EMPTY[..40], "SHA-1"),
            (&EMPTY[..32], "MD5"),
            (
                "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
                "public key",
            ),
            (&EMPTY[..63], "64"),
            ("", "64"),
            ("sha256:", "64"),
            ("SHA1 Fingerprint=AB", "SHA-1"),
            ("sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709", "SHA-1"),
            (&format!("{EMPTY}00"), "64"),
            (&EMPTY.replace('e', "é"), "64"),
        ] {
            let found = CertificateFingerprint::parse(text).err();
            assert!(
                found.is_some_and(|it| it.contains(expected)),
                "{text}: {found:?}"
            );
        }
    }
}
