//! Telling people: from events in the outbox to mail, webhooks and a dead man's switch.
//!
//! The threads `mail` and `webhook` each deliver one channel, `ping` tells a dead man's
//! switch that all is well. None of them decides what is worth telling (`domain::alert`
//! does), and none touches the database: the outbox is handed in. Async code lives in
//! [`smtp`] alone.

pub mod delivery;
pub mod mail;
pub mod message;
pub mod ping;
pub mod smtp;
pub mod webhook;

/// The system's words for an error, to stand within a sentence, without its number.
fn reason(error: &std::io::Error) -> String {
    let words = error.to_string();
    let words = words.split(" (os error ").next().unwrap_or_default();
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_without_its_number() {
        let error = std::io::Error::from_raw_os_error(libc::ECONNRESET);
        assert_eq!(reason(&error), "connection reset by peer");
        let error = std::io::Error::other("The peer spoke.");
        assert_eq!(reason(&error), "the peer spoke.");
    }
}
