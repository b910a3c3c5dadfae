//! Server certificate: what messages say of it, and its public key (X.509, RFC 5280).
//!
//! Reads the few fields that rustls keeps to itself, of certificates in version 1 too. Never decides
//! whether a certificate is trusted.

use std::fmt;

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

use super::fingerprint::CertificateFingerprint;
use crate::domain::text::is_invisible;
use crate::limits;

/// A certificate that a server presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCertificate {
    pub fingerprint: CertificateFingerprint,
    /// None if the certificate cannot be read.
    pub fields: Option<CertificateFields>,
}

/// The fields of a certificate that are read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFields {
    /// Whether it is X.509 version 3, the only one that rustls reads.
    pub is_version_3: bool,
    /// `CN=envoy.local, O=Enphase`; empty if it has neither.
    pub subject: String,
    /// Dates as `2026-11-29`.
    pub not_before: String,
    pub not_after: String,
    pub public_key: PublicKey,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The whole SubjectPublicKeyInfo.
    pub info: SubjectPublicKeyInfoDer<'static>,
    /// Contents of its AlgorithmIdentifier.
    pub algorithm: Vec<u8>,
    pub key: Vec<u8>,
}

impl ServerCertificate {
    pub fn of(der: &CertificateDer<'_>) -> ServerCertificate {
        ServerCertificate {
            fingerprint: CertificateFingerprint::of(der),
            fields: CertificateFields::read(der),
        }
    }

    /// The bits of an RSA key that is too short to be used.
    pub fn short_rsa_key(&self) -> Option<usize> {
        let bits = self.fields.as_ref()?.public_key.rsa_bits()?;
        (bits < limits::RSA_KEY_BITS).then_some(bits)
    }

    /// Its key, if rustls cannot take it from the certificate.
    pub fn key_of_old_version(&self) -> Option<&PublicKey> {
        let fields = self.fields.as_ref().filter(|it| !it.is_version_3);
        fields.map(|it| &it.public_key)
    }
}

/// `CN=envoy.local, valid from 2020-01-01 to 2030-01-01`
impl fmt::Display for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(fields) = &self.fields else {
            return f.write_str("not readable");
        };
        let subject = match fields.subject.as_str() {
            "" => "no name",
            subject => subject,
        };
        let (from, to) = (&fields.not_before, &fields.not_after);
        write!(f, "{subject}, valid from {from} to {to}")
    }
}

/// `rsaEncryption` (1.2.840.113549.1.1.1).
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const ORGANISATION: [u8; 3] = [0x55, 0x04, 0x0a];

// Tags of DER (X.690).
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// The version of a TBSCertificate; absent in version 1.
const VERSION: u8 = 0xa0;

impl PublicKey {
    fn rsa_bits(&self) -> Option<usize> {
        if DerReader(&self.algorithm).read(OBJECT_IDENTIFIER)? != RSA {
            return None;
        }
        let mut numbers = DerReader(DerReader(&self.key).read(SEQUENCE)?);
        let modulus = numbers.read(INTEGER)?;
        let start = modulus.iter().position(|byte| *byte != 0)?;
        Some((modulus.len() - start) * 8 - modulus[start].leading_zeros() as usize)
    }
}

impl CertificateFields {
    pub fn read(der: &[u8]) -> Option<CertificateFields> {
        let mut certificate = DerReader(DerReader(der).read(SEQUENCE)?);
        let mut fields = DerReader(certificate.read(SEQUENCE)?);
        let mut element = fields.next()?;
        let mut version = 0;
        if element.tag == VERSION {
            version = *DerReader(element.contents).read(INTEGER)?.last()?;
            element = fields.next()?;
        }
        if element.tag != INTEGER {
            return None;
        }
        let _signature_algorithm = fields.read(SEQUENCE)?;
        let _issuer = fields.read(SEQUENCE)?;
        let mut validity = DerReader(fields.read(SEQUENCE)?);
        let (not_before, not_after) = (date(&validity.next()?)?, date(&validity.next()?)?);
        let subject = name(fields.read(SEQUENCE)?);
        let info = fields.next().filter(|it| it.tag == SEQUENCE)?;
        let mut key = DerReader(info.contents);
        let algorithm = key.read(SEQUENCE)?;
        // The first byte is the number of unused bits, which no key has.
        let key = key.read(BIT_STRING)?.strip_prefix(&[0])?;
        Some(CertificateFields {
            is_version_3: version == 2,
            subject,
            not_before,
            not_after,
            public_key: PublicKey {
                info: SubjectPublicKeyInfoDer::from(info.whole.to_vec()),
                algorithm: algorithm.to_vec(),
                key: key.to_vec(),
            },
        })
    }
}

/// One element in DER form.
struct DerElement<'a> {
    tag: u8,
    contents: &'a [u8],
    /// With its tag and length.
    whole: &'a [u8],
}

/// Reads elements one after another.
struct DerReader<'a>(&'a [u8]);

impl<'a> DerReader<'a> {
    fn next(&mut self) -> Option<DerElement<'a>> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0, |length, byte| length << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (contents, after) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        Some(DerElement {
            tag,
            contents,
            whole,
        })
    }

    /// The contents of the next element, which must have this tag.
    fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        let element = self.next()?;
        (element.tag == tag).then_some(element.contents)
    }
}

/// `20200101000000Z` or `200101000000Z` as `2020-01-01`.
fn date(time: &DerElement<'_>) -> Option<String> {
    let digits = std::str::from_utf8(time.contents).ok()?;
    let (century, rest) = match time.tag {
        // RFC 5280, 4.1.2.5.1
        UTC_TIME if digits.get(..2)? < "50" => ("20", digits),
        UTC_TIME => ("19", digits),
        GENERALIZED_TIME => digits.split_at_checked(2)?,
        _ => return None,
    };
    let date = rest.get(..6)?;
    let is_number = century
        .bytes()
        .chain(date.bytes())
        .all(|it| it.is_ascii_digit());
    is_number.then(|| format!("{century}{}-{}-{}", &date[..2], &date[2..4], &date[4..]))
}

/// The common name and the organisation of a Name.
fn name(contents: &[u8]) -> String {
    let mut shown = Vec::new();
    let mut sets = DerReader(contents);
    while let Some(set) = sets.next().filter(|it| it.tag == SET) {
        let pair = DerReader(set.contents).read(SEQUENCE).unwrap_or_default();
        let mut pair = DerReader(pair);
        let (Some(kind), Some(value)) = (pair.read(OBJECT_IDENTIFIER), pair.next()) else {
            continue;
        };
        let label = match kind {
            _ if kind == COMMON_NAME => "CN",
            _ if kind == ORGANISATION => "O",
            _ => continue,
        };
        let text = match value.tag {
            BMP_STRING => {
                let units = value.contents.chunks_exact(2);
                let units = units.map(|it| u16::from_be_bytes([it[0], it[1]]));
                String::from_utf16_lossy(&units.collect::<Vec<u16>>())
            }
            _ => String::from_utf8_lossy(value.contents).into_owned(),
        };
        let text = text
            .chars()
            .filter(|c| !c.is_control() && !is_invisible(*c));
        let text: String = text.take(limits::CERTIFICATE_NAME_CHARS).collect();
        shown.push(format!("{label}={text}"));
    }
    shown.truncate(limits::CERTIFICATE_NAMES);
    shown.join(", ")
}
