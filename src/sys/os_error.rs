//! Text of operating system errors: `no such file or directory`, without their number.
//!
//! Pure.

use std::io::{Error, ErrorKind};

/// The system's text of an error, for use within a sentence, without its number.
pub fn reason(error: &Error) -> String {
    // TLS libraries refer to their manual here.
    if error.kind() == ErrorKind::UnexpectedEof {
        return "the other side closed the connection".to_owned();
    }
    let text = error.to_string();
    let text = match error.raw_os_error() {
        Some(number) => text.strip_suffix(&format!(" (os error {number})")),
        None => None,
    }
    .unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_described_without_its_number() {
        let error = Error::from_raw_os_error(libc::ECONNRESET);
        assert_eq!(reason(&error), "connection reset by peer");
        let error = Error::new(ErrorKind::UnexpectedEof, "see https://x");
        assert_eq!(reason(&error), "the other side closed the connection");
        let error = Error::other("The peer spoke.");
        assert_eq!(reason(&error), "the peer spoke.");
    }
}
