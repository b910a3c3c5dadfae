//! HTTP dates (RFC 9110, 5.6.7).
//!
//! Pure.

use crate::domain::time::Wall;

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn parse(text: &str) -> Option<Wall> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Wall(zoned.timestamp().as_millisecond()))
}
