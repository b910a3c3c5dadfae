//! Text formatting: durations, numbers, sizes, hexadecimal digits, plurals, lists, ellipsis, sentences.
//!
//! Pure.

use std::time::Duration;

use super::time::millis;

/// A duration for people: `8 s`, `23 min`, `5 h 12 min`, `3 days`.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => {
            let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
            match minutes {
                0 => format!("{hours} h"),
                _ => format!("{hours} h {minutes} min"),
            }
        }
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Reads a duration as the configuration spells it: `30s`, `5m`, `1h`, `2d`, `500ms`, and
/// sums such as `1h30m`. `None` for anything else, zero included.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let unit_ms: u64 = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        rest = &rest[letters..];
        total_ms = total_ms.checked_add(count.checked_mul(unit_ms)?)?;
    }
    (total_ms > 0).then(|| Duration::from_millis(total_ms))
}

/// The configuration's spelling of a duration, the inverse of [`parse_duration`].
pub fn format_duration(duration: Duration) -> String {
    let mut rest = millis(duration);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, unit_ms) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        if rest >= unit_ms {
            text += &format!("{}{unit}", rest / unit_ms);
            rest %= unit_ms;
        }
    }
    text
}

/// A JSON number (RFC 8259) in its shortest form; `null` for what JSON cannot say.
pub fn format_number(number: f64) -> String {
    if !number.is_finite() {
        return "null".to_owned();
    }
    // Rust prints the shortest digits that read back, but never an exponent: past the
    // range where that stays short, `{:e}` is the shorter spelling.
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-5..1e16).contains(&magnitude) {
        format!("{number:e}")
    } else {
        format!("{number}")
    }
}

/// Bytes in a unit that suits their size.
pub fn format_bytes(count: u64) -> String {
    let (mut size, mut unit) = (count as f64, "B");
    for larger in ["kB", "MB", "GB", "TB"] {
        if size < 1_000.0 {
            break;
        }
        size /= 1_000.0;
        unit = larger;
    }
    match unit {
        "B" => format!("{count} B"),
        _ if size < 10.0 => format!("{size:.1} {unit}"),
        _ => format!("{size:.0} {unit}"),
    }
}

/// A limit in bytes: `512 bytes`, `32 KiB`, `4 MiB`.
pub fn format_binary_size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

/// Bytes as hexadecimal digits, in lower case.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A count with its noun, whose plural ends in s: `1 issue`, `3 issues`.
pub fn count_noun(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// The end of a sentence that names the first of several: `; and 3 more`, or nothing.
pub fn and_more(count: usize) -> String {
    match count {
        0 => String::new(),
        _ => format!("; and {count} more"),
    }
}

/// The first `most` items, separated by commas, and an ellipsis if there are more.
pub fn truncate_list<T: AsRef<str>>(items: &[T], most: usize) -> String {
    let shown: Vec<&str> = items.iter().take(most).map(AsRef::as_ref).collect();
    let more = if items.len() > most { ", …" } else { "" };
    shown.join(", ") + more
}

/// At most `chars` characters of `text`, with an ellipsis if it was cut.
pub fn ellipsis(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether a character changes the direction or the form of the text beside it: Unicode's
/// bidirectional controls, joiners and line separators.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A text without what turns the direction of all that follows it: Unicode's embeddings,
/// overrides and isolates. Marks and joiners, which languages and emoji need, stay.
pub fn strip_directions(text: &str) -> String {
    text.replace(
        |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'),
        "",
    )
}

/// A text from elsewhere on one line, its control and invisible characters escaped: `\n`, `\u{200b}`.
pub fn escape_controls(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' | '\0' => escaped.extend(c.escape_default()),
            c if c.is_control() || is_invisible(c) => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped
}

/// At most `bytes` bytes of `text`, cut between characters, without control characters.
pub fn shorten(text: &str, bytes: usize) -> String {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end]
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// With a capital first letter, as at the start of a sentence.
pub fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A text from elsewhere as a sentence of its own. A host name keeps its small letter.
pub fn sentence(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    if first.chars().all(char::is_alphabetic) {
        with_full_stop(&capitalised(text))
    } else {
        with_full_stop(text)
    }
}

/// With one full stop at its end, unless another mark ends it.
pub fn with_full_stop(text: &str) -> String {
    if text.ends_with(['.', '?', '!']) || text.is_empty() {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_the_configuration_spells_them() {
        for (text, expected_ms) in [
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("1h30m", Some(5_400_000)),
            ("2d", Some(172_800_000)),
            ("250ms", Some(250)),
            ("", None),
            ("0s", None),
            ("5", None),
            ("m", None),
            ("5 m", None),
            ("-5m", None),
            ("99999999999999999999s", None),
            ("9999999999999999d", None),
        ] {
            let read = parse_duration(text).map(millis);
            assert_eq!(read, expected_ms, "{text:?}");
            if let Some(duration) = parse_duration(text) {
                assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
            }
        }
    }

    #[test]
    fn durations_in_words() {
        for (seconds, expected) in [
            (8, "8 s"),
            (120, "2 min"),
            (1_399, "23 min"),
            (7_200, "2 h"),
            (18_720, "5 h 12 min"),
            (300_000, "3 days"),
        ] {
            assert_eq!(human_duration(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn numbers_print_shortest_and_read_back() {
        for (number, expected) in [
            (21.4, "21.4"),
            (21.0, "21"),
            (-0.5, "-0.5"),
            (0.0, "0"),
            (1e300, "1e300"),
            (1.5e-9, "1.5e-9"),
            (0.1 + 0.2, "0.30000000000000004"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ] {
            let spelled = format_number(number);
            assert_eq!(spelled, expected);
            if number.is_finite() {
                assert_eq!(spelled.parse::<f64>(), Ok(number));
                assert!(serde_json::from_str::<serde_json::Number>(&spelled).is_ok());
            }
        }
    }

    #[test]
    fn sizes_in_decimal_and_binary_units() {
        assert_eq!(format_bytes(999), "999 B");
        assert_eq!(format_bytes(1_500), "1.5 kB");
        assert_eq!(format_bytes(36_000_000), "36 MB");
        assert_eq!(format_binary_size(512), "512 bytes");
        assert_eq!(format_binary_size(32_768), "32 KiB");
        assert_eq!(format_binary_size(4 << 20), "4 MiB");
    }

    #[test]
    fn lists_sentences_and_long_texts() {
        assert_eq!(truncate_list(&["a", "b"], 2), "a, b");
        assert_eq!(truncate_list(&["a", "b", "c"], 2), "a, b, …");
        assert_eq!(count_noun(1, "issue"), "1 issue");
        assert_eq!(count_noun(2, "issue"), "2 issues");
        assert_eq!(
            (and_more(0), and_more(3)),
            (String::new(), "; and 3 more".to_owned())
        );
        assert_eq!(ellipsis("äbc", 2), "äb…");
        assert_eq!(shorten("ä\nb", 3), "ä ");
        assert_eq!(sentence("no data"), "No data.");
        assert_eq!(sentence("nas.local is down!"), "nas.local is down!");
    }
}
