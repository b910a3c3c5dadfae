//! Content codings of a body (RFC 9110 §8.4): gzip and deflate, said or not, and those that are
//! none.
//!
//! Pure. What comes out is never larger than the limit, whatever goes in.

use std::io::Read;

use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use ureq::http::{HeaderMap, header};

use super::response_head::sample;
use crate::domain::failure::{Cause, Failure};
use crate::domain::text::format_binary_size;
use crate::limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentCoding {
    Gzip,
    Deflate,
}

/// Why a body cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodingError {
    /// A coding that was not asked for and is not known here.
    Unsupported(String),
    TooMany,
    TooLarge,
    Invalid(ContentCoding),
    Truncated(ContentCoding),
}

/// A decoded body.
#[derive(Debug, PartialEq, Eq)]
pub struct DecodedBody {
    pub body: Vec<u8>,
    /// Whether compressed data was read up to its own end.
    pub has_trailer: bool,
}

/// The codings that the headers name, in the order in which they were applied.
pub fn named_codings(headers: &HeaderMap) -> Result<Vec<ContentCoding>, CodingError> {
    let mut codings = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in value.as_bytes().split(|b| *b == b',') {
            match name.trim_ascii().to_ascii_lowercase().as_slice() {
                b"gzip" | b"x-gzip" => codings.push(ContentCoding::Gzip),
                b"deflate" => codings.push(ContentCoding::Deflate),
                // Charsets and words that some servers write here.
                b"" | b"identity" | b"none" | b"utf-8" | b"utf8" | b"iso-8859-1" | b"us-ascii"
                | b"ascii" | b"binary" | b"7bit" | b"8bit" => {}
                other => return Err(CodingError::Unsupported(sample(other))),
            }
        }
    }
    if codings.len() > limits::CONTENT_CODINGS {
        Err(CodingError::TooMany)
    } else {
        Ok(codings)
    }
}

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b, 8];

/// Removes the codings from a body, the last one first; then gzip that no header names.
pub fn decode(
    body: Vec<u8>,
    codings: &[ContentCoding],
    limit: u64,
) -> Result<DecodedBody, CodingError> {
    let mut decoded = DecodedBody {
        body,
        has_trailer: false,
    };
    for coding in codings.iter().rev() {
        decoded = remove(decoded, *coding, limit)?;
    }
    if decoded.body.starts_with(GZIP_MAGIC) {
        decoded = remove(decoded, ContentCoding::Gzip, limit)?;
    }
    if decoded.body.len() as u64 > limit {
        return Err(CodingError::TooLarge);
    }
    Ok(decoded)
}

/// The same for the start of a body, as far as it goes.
pub fn decode_start(start: Vec<u8>, limit: u64) -> Vec<u8> {
    if !start.starts_with(GZIP_MAGIC) {
        return start;
    }
    let mut text = Vec::new();
    // The rest is missing: what was decompressed until then is used.
    let _ = GzDecoder::new(start.as_slice())
        .take(limit)
        .read_to_end(&mut text);
    text
}

fn remove(
    before: DecodedBody,
    coding: ContentCoding,
    limit: u64,
) -> Result<DecodedBody, CodingError> {
    let result = match coding {
        _ if before.body.is_empty() => return Ok(before),
        ContentCoding::Gzip if before.body.starts_with(GZIP_MAGIC) => gunzip(&before.body, limit),
        ContentCoding::Gzip => Err(CodingError::Invalid(coding)),
        ContentCoding::Deflate => inflate(&before.body, limit),
    };
    match result {
        Ok(body) => Ok(DecodedBody {
            body,
            has_trailer: true,
        }),
        // The header is wrong, as servers behind a cache write it: the body is there to read.
        Err(CodingError::Invalid(_)) if is_text(&before.body) => Ok(before),
        Err(error) => Err(error),
    }
}

/// Whether a body begins as text does.
fn is_text(body: &[u8]) -> bool {
    let start = &body[..body.len().min(64)];
    let is_control = |b: &u8| b.is_ascii_control() && !b.is_ascii_whitespace();
    !start.is_empty() && !start.iter().any(is_control)
}

/// All members of a gzip stream; what follows them is ignored, as padding.
fn gunzip(mut rest: &[u8], limit: u64) -> Result<Vec<u8>, CodingError> {
    let mut body = Vec::new();
    for _ in 0..limits::GZIP_MEMBERS {
        let room = (limit + 1).saturating_sub(body.len() as u64);
        let member = GzDecoder::new(&mut rest);
        member
            .take(room)
            .read_to_end(&mut body)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => CodingError::Truncated(ContentCoding::Gzip),
                _ => CodingError::Invalid(ContentCoding::Gzip),
            })?;
        if body.len() as u64 > limit {
            return Err(CodingError::TooLarge);
        }
        if !rest.starts_with(GZIP_MAGIC) {
            return Ok(body);
        }
    }
    Err(CodingError::TooLarge)
}

/// `deflate` is zlib by the standard, and raw DEFLATE of some servers.
fn inflate(body: &[u8], limit: u64) -> Result<Vec<u8>, CodingError> {
    let is_zlib = match body {
        [first, second, ..] => {
            first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31)
        }
        _ => false,
    };
    match inflate_stream(body, is_zlib, limit) {
        Err(CodingError::Invalid(_)) if is_zlib => inflate_stream(body, false, limit),
        // Text that is no DEFLATE data can look like the start of some.
        Err(CodingError::Truncated(coding)) if !is_zlib && is_text(body) => {
            Err(CodingError::Invalid(coding))
        }
        result => result,
    }
}

fn inflate_stream(body: &[u8], is_zlib: bool, limit: u64) -> Result<Vec<u8>, CodingError> {
    let mut stream = Decompress::new(is_zlib);
    let mut output = Vec::new();
    loop {
        let (used, made) = (stream.total_in(), stream.total_out());
        output.reserve(limits::TRANSPORT_BUFFER_BYTES);
        let rest = &body[(used as usize).min(body.len())..];
        let status = stream
            .decompress_vec(rest, &mut output, FlushDecompress::None)
            .map_err(|_| CodingError::Invalid(ContentCoding::Deflate))?;
        if output.len() as u64 > limit {
            return Err(CodingError::TooLarge);
        }
        if status == Status::StreamEnd {
            return Ok(output);
        }
        if (stream.total_in(), stream.total_out()) == (used, made) {
            return Err(CodingError::Truncated(ContentCoding::Deflate));
        }
    }
}

impl CodingError {
    pub fn failure(&self, host: &str, body_limit: u64) -> Failure {
        let name = |coding: &ContentCoding| match coding {
            ContentCoding::Gzip => "gzip",
            ContentCoding::Deflate => "deflate",
        };
        let detail = match self {
            CodingError::Unsupported(name) => format!(
                "{host} sent its response with the content coding \"{name}\" although only gzip \
                 was asked for"
            ),
            CodingError::TooMany => format!(
                "{host} applied more than {} content codings to its response",
                limits::CONTENT_CODINGS
            ),
            CodingError::TooLarge => {
                let limit = format_binary_size(body_limit);
                let detail = format!("the response of {host} is larger than {limit}");
                return Failure::new(Cause::TooLarge, detail);
            }
            CodingError::Invalid(coding) => format!(
                "the response of {host} is declared as {} and cannot be decompressed",
                name(coding)
            ),
            CodingError::Truncated(coding) => format!(
                "the response of {host} ended early: its {} data has no end",
                name(coding)
            ),
        };
        Failure::new(Cause::Protocol, detail)
    }
}

#[cfg(test)]
#[path = "tests/content_coding.rs"]
mod tests;
