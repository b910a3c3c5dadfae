//! Lenient parser for the head of an HTTP response: finds its end, and rewrites it as strict
//! HTTP/1.1 where a server sends what curl and browsers read and ureq refuses.
//!
//! Pure. A rewritten head has no header that the bytes did not have as a line of their own.

use std::borrow::Cow;
use std::ops::Range;

use crate::domain::text::ellipsis;
use crate::limits;

/// Why a response is refused before or while its body is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FramingError {
    /// No status line; the start of what is there.
    NotHttp(String),
    /// A TLS record where HTTP was expected.
    Tls,
    /// A `Content-Length` that is no number.
    BadLength(String),
    DifferentLengths(u64, u64),
    TooManyInterim,
    /// No chunk length; what is there.
    BadChunk(String),
    /// More beside the data of chunks than a head may have.
    LongChunkLine,
}

impl std::fmt::Display for FramingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("invalid HTTP response")
    }
}

impl std::error::Error for FramingError {}

/// A complete head.
#[derive(Debug, PartialEq, Eq)]
pub struct ResponseHead {
    pub status: u16,
    pub is_chunked: bool,
    /// Whether the length of the body, and so the start of a next response, is in doubt.
    pub is_doubtful: bool,
    /// The head to parse instead; none if it is strict as it is.
    pub rewritten: Option<Vec<u8>>,
}

impl ResponseHead {
    /// `100 Continue`, `103 Early Hints`: another head follows.
    pub fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }
}

/// Finds the end of a head in a growing buffer; reads each byte once.
#[derive(Debug, Default)]
pub struct HeadScanner {
    scanned: usize,
    line_start: usize,
    /// Where the status line begins.
    start: Option<usize>,
}

impl HeadScanner {
    /// The head, with its blank line, once the buffer holds it all.
    pub fn scan(&mut self, input: &[u8]) -> Option<Range<usize>> {
        while let Some(offset) = input[self.scanned..].iter().position(|b| *b == b'\n') {
            let end = self.scanned + offset;
            let is_empty = input[self.line_start..end].iter().all(|b| *b == b'\r');
            let begin = self.line_start;
            self.scanned = end + 1;
            self.line_start = end + 1;
            match self.start {
                Some(start) if is_empty => return Some(start..end + 1),
                Some(_) => {}
                // Empty lines before the status line.
                None if is_empty => {}
                None => self.start = Some(begin),
            }
        }
        self.scanned = input.len();
        None
    }
}

/// Refuses what cannot become a status line, however much more comes.
pub fn check_start(input: &[u8]) -> Result<(), FramingError> {
    let text = input.trim_ascii_start();
    let can_be = |name: &[u8]| {
        let length = text.len().min(name.len());
        text[..length].eq_ignore_ascii_case(&name[..length])
    };
    if can_be(b"HTTP/") || can_be(b"ICY ") {
        Ok(())
    } else {
        Err(not_http(input))
    }
}

fn not_http(input: &[u8]) -> FramingError {
    match input {
        [0x14..=0x17, 3, ..] => FramingError::Tls,
        _ => FramingError::NotHttp(sample(input.trim_ascii_start())),
    }
}

/// The start of the first line, printable.
pub fn sample(bytes: &[u8]) -> String {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = &line[..line.len().min(limits::SAMPLE_CHARS * 4)];
    let text = String::from_utf8_lossy(line.trim_ascii());
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    ellipsis(&text, limits::SAMPLE_CHARS)
}

/// Parses a head that [`HeadScanner`] found.
pub fn parse(head: &[u8]) -> Result<ResponseHead, FramingError> {
    let mut lines = head.split_inclusive(|b| *b == b'\n').map(Line::new);
    let first = lines.next().ok_or_else(|| not_http(head))?;
    let status_line = StatusLine::parse(first.text).ok_or_else(|| not_http(head))?;
    let mut repair = Repair {
        line_ends: !first.is_strict_end,
        other: !status_line.is_strict,
    };
    let fields = read_fields(lines, &mut repair);

    let is_chunked = has_chunked(&fields);
    let (mut length, mut has_odd_length) = (None, false);
    for field in fields.iter().filter(|field| field.is(b"content-length")) {
        for element in field.value.split(|b| *b == b',') {
            match (parse_length(element), length) {
                _ if is_chunked => has_odd_length = true,
                (None, _) => return Err(FramingError::BadLength(sample(element))),
                (Some((found, _)), Some(before)) if found != before => {
                    return Err(FramingError::DifferentLengths(before, found));
                }
                (Some((found, is_strict)), _) => {
                    length = Some(found);
                    has_odd_length |= !is_strict;
                }
            }
        }
    }
    repair.other |= has_odd_length || (is_chunked && status_line.minor == 0);
    let framing = match length {
        _ if is_chunked => Some("Transfer-Encoding: chunked".to_owned()),
        Some(length) if has_odd_length => Some(format!("Content-Length: {length}")),
        _ => None,
    };
    // A body in chunks is rewritten as well, and its head with it.
    let is_rewritten = repair.line_ends || repair.other || is_chunked;
    Ok(ResponseHead {
        status: status_line.code,
        is_chunked,
        is_doubtful: repair.other,
        rewritten: is_rewritten.then(|| write(&status_line, &fields, framing)),
    })
}

/// What had to be changed.
struct Repair {
    /// LF alone, which leaves no doubt where the body begins.
    line_ends: bool,
    other: bool,
}

/// A line without its end.
struct Line<'a> {
    text: &'a [u8],
    /// Whether it ended with CR LF.
    is_strict_end: bool,
}

impl Line<'_> {
    fn new(line: &[u8]) -> Line<'_> {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        let mut text = bare;
        while let [rest @ .., b'\r'] = text {
            text = rest;
        }
        Line {
            text,
            is_strict_end: bare.len() == text.len() + 1,
        }
    }
}

struct StatusLine<'a> {
    minor: u8,
    code: u16,
    reason: &'a [u8],
    is_strict: bool,
}

impl StatusLine<'_> {
    /// `HTTP/1.1 200 OK`; also other versions, as a server that only means well writes them,
    /// and `ICY 200 OK` of audio streamers.
    fn parse(line: &[u8]) -> Option<StatusLine<'_>> {
        let text = line.trim_ascii_start();
        let blank = text.iter().position(|b| matches!(b, b' ' | b'\t'))?;
        let (version, rest) = text.split_at(blank);
        let (name, number) = version.split_at(version.len().min(5));
        let is_http = name.eq_ignore_ascii_case(b"HTTP/");
        let minor = match number {
            b"1.0" if is_http => 0,
            [b'1'..=b'3'] | [b'1'..=b'3', b'.', b'0'..=b'9'] if is_http => 1,
            [] if version.eq_ignore_ascii_case(b"ICY") => 0,
            _ => return None,
        };
        let code = rest.trim_ascii_start();
        let (digits, reason) = code.split_at_checked(3)?;
        let is_number = digits.iter().all(u8::is_ascii_digit) && digits[0] != b'0';
        if !is_number || reason.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let is_strict = text.len() == line.len()
            && matches!(version, b"HTTP/1.0" | b"HTTP/1.1")
            && rest[0] == b' '
            && rest.len() == code.len() + 1
            && matches!(reason.first(), None | Some(b' '))
            && reason.iter().all(|b| is_text_byte(*b));
        Some(StatusLine {
            minor,
            code: digits
                .iter()
                .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')),
            reason,
            is_strict,
        })
    }
}

struct Field<'a> {
    name: &'a [u8],
    value: Cow<'a, [u8]>,
}

impl Field<'_> {
    fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Header fields: folded ones joined by a blank, lines that are none left out.
fn read_fields<'a>(lines: impl Iterator<Item = Line<'a>>, repair: &mut Repair) -> Vec<Field<'a>> {
    let mut fields: Vec<Field> = Vec::with_capacity(16);
    // Whether a folded line continues a field that is kept.
    let mut is_kept = false;
    for line in lines {
        repair.line_ends |= !line.is_strict_end;
        if let [b' ' | b'\t', ..] = line.text {
            repair.other = true;
            if is_kept && let Some(field) = fields.last_mut() {
                let value = field.value.to_mut();
                value.push(b' ');
                value.extend_from_slice(line.text.trim_ascii());
            }
            continue;
        }
        if line.text.is_empty() {
            break;
        }
        let mut parts = line.text.splitn(2, |b| *b == b':');
        let whole_name = parts.next().unwrap_or_default();
        let name = whole_name.trim_ascii_end();
        is_kept = false;
        match parts.next() {
            Some(value) if !name.is_empty() && name.iter().all(|b| is_token_byte(*b)) => {
                repair.other |=
                    name.len() != whole_name.len() || !value.iter().all(|b| is_text_byte(*b));
                let value = Cow::Borrowed(value.trim_ascii());
                fields.push(Field { name, value });
                is_kept = true;
            }
            _ => repair.other = true,
        }
    }
    fields
}

fn has_chunked(fields: &[Field]) -> bool {
    let mut codings = fields
        .iter()
        .filter(|field| field.is(b"transfer-encoding"))
        .flat_map(|field| field.value.split(|b| *b == b','));
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// The number, and whether it is written strictly; curl reads `+15` and `15 bytes` too.
fn parse_length(text: &[u8]) -> Option<(u64, bool)> {
    let text = text.trim_ascii();
    let bare = text.strip_prefix(b"+").unwrap_or(text);
    let end = bare.iter().position(|b| !b.is_ascii_digit());
    let (digits, rest) = bare.split_at(end.unwrap_or(bare.len()));
    if !matches!(rest.first(), None | Some(b' ' | b'\t' | b';')) {
        return None;
    }
    let length = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((length, digits.len() == text.len()))
}

fn write(status: &StatusLine, fields: &[Field], framing: Option<String>) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    let minor = if framing.is_some() { 1 } else { status.minor };
    head.extend_from_slice(format!("HTTP/1.{minor} {} ", status.code).as_bytes());
    push_text(&mut head, status.reason.trim_ascii());
    head.extend_from_slice(b"\r\n");
    for field in fields {
        let is_framing = field.is(b"content-length") || field.is(b"transfer-encoding");
        if framing.is_some() && is_framing {
            continue;
        }
        head.extend_from_slice(field.name);
        head.extend_from_slice(b": ");
        push_text(&mut head, &field.value);
        head.extend_from_slice(b"\r\n");
    }
    if let Some(framing) = framing {
        head.extend_from_slice(framing.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Control characters become blanks: a CR must not begin a header.
fn push_text(head: &mut Vec<u8>, text: &[u8]) {
    head.extend(
        text.iter()
            .map(|b| if is_text_byte(*b) { *b } else { b' ' }),
    );
}

/// What a header value may hold (RFC 9110 §5.5, with obs-text).
fn is_text_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// What a header name may hold (RFC 9110 §5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
#[path = "tests/response_head.rs"]
mod tests;
