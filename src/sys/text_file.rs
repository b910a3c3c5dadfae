//! Text files: UTF-8 with or without a byte order mark, of bounded size.
//!
//! For what a person edits: the configuration, `.env`, passwords, certificates. Windows' editors
//! put a byte order mark in front, which is removed, or write UTF-16, which is an error.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

use super::os_error::reason;
use super::privileges::user_id;
use crate::limits;

/// The bytes without a byte order mark. `Err` completes "FILE cannot be read: …".
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let most = limits::TEXT_FILE_BYTES;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
        .map_err(|error| describe(path, &error))?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {} MB", most / 1_000_000));
    }
    without_byte_order_mark(bytes)
}

/// Why a file cannot be read, with what is usually the cause.
fn describe(path: &Path, error: &Error) -> String {
    if path.is_dir() {
        return "it is a directory, not a file; Docker creates one where the file of a volume does not \
                exist on the host"
            .to_owned();
    }
    match error.kind() {
        ErrorKind::PermissionDenied => {
            let user = user_id();
            format!("permission denied: it must be readable for user {user}, as which this runs")
        }
        _ => reason(error),
    }
}

/// The text without a byte order mark. `Err` completes "FILE cannot be read: …".
pub fn read(path: &Path) -> Result<String, String> {
    String::from_utf8(read_bytes(path)?).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not UTF-8: save it as UTF-8")
    })
}

/// The only line of a file with one secret, without its line end and trailing empty lines, which
/// editors add. `None` if there is not exactly one line.
pub fn one_line(text: &str) -> Option<&str> {
    let (line, rest) = text.split_once(['\n', '\r']).unwrap_or((text, ""));
    let is_one = !line.is_empty() && rest.trim().is_empty() && !line.chars().any(char::is_control);
    is_one.then_some(line)
}

fn without_byte_order_mark(mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let is_utf_16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    // Without a mark, every other byte of ordinary text is zero.
    if is_utf_16 || bytes.iter().take(2).any(|byte| *byte == 0) {
        return Err("it is UTF-16: save it as UTF-8".to_owned());
    }
    if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        bytes.drain(..3);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_removed_and_utf_16_is_an_error() {
        let utf_16 = |text: &str, mark: &[u8], of: fn(u16) -> [u8; 2]| {
            let mut bytes = mark.to_vec();
            bytes.extend(text.encode_utf16().flat_map(of));
            bytes
        };
        for (bytes, expected) in [
            (b"a\r\n".to_vec(), Ok("a\r\n")),
            (b"\xef\xbb\xbfa".to_vec(), Ok("a")),
            (Vec::new(), Ok("")),
            (utf_16("ab", b"\xff\xfe", u16::to_le_bytes), Err(())),
            (utf_16("ab", b"\xfe\xff", u16::to_be_bytes), Err(())),
            (utf_16("ab", b"", u16::to_le_bytes), Err(())),
            (utf_16("ab", b"", u16::to_be_bytes), Err(())),
        ] {
            let found = without_byte_order_mark(bytes.clone());
            match expected {
                Ok(text) => assert_eq!(found.as_deref(), Ok(text.as_bytes()), "{bytes:?}"),
                Err(()) => assert!(found.is_err_and(|it| it.contains("save it as UTF-8"))),
            }
        }
    }

    #[test]
    fn one_line_ignores_line_ends_and_trailing_empty_lines() {
        for (text, expected) in [
            ("open sesame", Some("open sesame")),
            ("open sesame\n", Some("open sesame")),
            ("open sesame\r\n", Some("open sesame")),
            ("open sesame\r\n \n\n", Some("open sesame")),
            ("open sesame \n", Some("open sesame ")),
            ("one\ntwo\n", None),
            ("", None),
            ("\n", None),
            ("a\tb\n", None),
        ] {
            assert_eq!(one_line(text), expected, "{text:?}");
        }
    }
}
