//! Label of a key that the configuration gives none: the key's words, as people write them.
//!
//! Pure: `room.bedroom.co2` is `Room bedroom CO₂`, and `Bedroom CO₂` under the heading of `room.`.

use super::abbreviations::{pair, spelling};
use crate::domain::percent;
use crate::domain::text::{capitalised, is_invisible};

/// What separates the words of a key.
const SEPARATORS: [char; 4] = ['_', '.', ':', '/'];

/// Segments at the begin of a key around all that a response has to say.
const WRAPPERS: [&str; 5] = ["body", "data", "payload", "response", "result"];

/// The words of a key, or of a part of one. The key itself where it has none.
pub fn label_text(key: &str) -> String {
    let text = words(key);
    let first = text.split(' ').next().unwrap_or_default();
    if spelling(first).is_some() || has_capital_second(first) {
        text
    } else {
        capitalised(&text)
    }
}

/// The same inside of a text: the first letter stays small.
pub fn words(key: &str) -> String {
    let decoded = percent::decode_lossy(key);
    let parts = split_parts(strip_wrappers(&decoded));
    let is_shouted = is_shouted(&parts);
    let mut words: Vec<String> = Vec::new();
    let mut index = 0;
    while let Some(part) = parts.get(index) {
        let together = parts.get(index + 1).and_then(|next| pair(part, next));
        match together {
            Some(written) => words.push(written.to_owned()),
            None => words.extend(split_camel_case(part).iter().map(|it| word(it, is_shouted))),
        }
        index += if together.is_some() { 2 } else { 1 };
    }
    // `temperature.temperature` says it twice; `0.0` are two indices.
    words.dedup_by(|a, b| a == b && a.chars().any(char::is_alphabetic));
    if words.is_empty() {
        key.to_owned()
    } else {
        words.join(" ")
    }
}

/// `Body.Data.PAC.Value` is about `PAC`.
fn strip_wrappers(key: &str) -> &str {
    let mut inner = key;
    while let Some((first, rest)) = inner.split_once('.')
        && WRAPPERS.iter().any(|it| first.eq_ignore_ascii_case(it))
        && rest.starts_with(char::is_alphabetic)
    {
        inner = rest;
    }
    match inner.rsplit_once('.') {
        Some((rest, last)) if last.eq_ignore_ascii_case("value") && !rest.is_empty() => rest,
        _ => inner,
    }
}

/// `key` without what the heading around it says already.
pub fn strip_context<'k>(key: &'k str, context: &str) -> &'k str {
    let is_separator = |c: char| SEPARATORS.contains(&c);
    let name = context.trim_end_matches(is_separator);
    match key.strip_prefix(name) {
        Some(rest) if !name.is_empty() && rest.starts_with(is_separator) => {
            let rest = rest.trim_start_matches(is_separator);
            if rest.is_empty() { key } else { rest }
        }
        _ => key,
    }
}

/// The prefix that all keys of a heading have and that it says already: that of a source
/// (`says` is `None`), or one whose words are words of the heading. Empty if there is none.
pub fn common_context<'k>(keys: &[&'k str], says: Option<&str>) -> &'k str {
    let Some((first, others)) = keys.split_first() else {
        return "";
    };
    let mut end = 0;
    for (at, c) in first.char_indices().filter(|(_, c)| SEPARATORS.contains(c)) {
        let next = at + c.len_utf8();
        let prefix = &first[..next];
        let is_common = others.iter().all(|key| key.starts_with(prefix));
        let leaves_something = keys.iter().all(|key| key.len() > next);
        let is_said = says.is_none_or(|heading| is_said(heading, &first[end..at]));
        if !(is_common && leaves_something && is_said) {
            break;
        }
        end = next;
    }
    &first[..end]
}

/// Whether a heading has this word, or its plural.
fn is_said(heading: &str, part: &str) -> bool {
    let words = |text: &str| {
        let text = label_text(text).to_lowercase();
        let words = text
            .split(' ')
            .map(|it| it.trim_end_matches('s').to_owned());
        words.collect::<Vec<_>>()
    };
    let heading = words(heading);
    words(part).iter().all(|word| heading.contains(word))
}

/// The parts between separators; a hyphen separates letters, and is the sign of a number.
fn split_parts(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let is_letter = |index: Option<usize>| {
        let letter = index.and_then(|index| letters.get(index));
        letter.is_some_and(|c| c.is_alphabetic())
    };
    let separates = |index: usize, c: char| {
        SEPARATORS.contains(&c)
            || c.is_whitespace()
            || c.is_control()
            || is_invisible(c)
            || c == '\u{fffd}'
            || (c == '-' && is_letter(index.checked_sub(1)) && is_letter(index.checked_add(1)))
    };
    let mut parts = vec![String::new()];
    for (index, &c) in letters.iter().enumerate() {
        if separates(index, c) {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether a key is written in capitals alone, `DAY_ENERGY`, and not an abbreviation.
fn is_shouted(parts: &[String]) -> bool {
    let has_small = |part: &String| part.chars().any(char::is_lowercase);
    let is_word = |part: &String| part.chars().filter(|c| c.is_uppercase()).count() > 4;
    !parts.iter().any(has_small) && parts.iter().any(is_word)
}

/// `batteryLevel` is two words; `tC`, `kWh` and `pH` are one.
fn split_camel_case(part: &str) -> Vec<String> {
    let letters: Vec<char> = part.chars().collect();
    let is_capital = |index: usize| letters.get(index).is_some_and(|c| c.is_uppercase());
    let is_small = |index: usize| letters.get(index).is_some_and(|c| c.is_lowercase());
    let mut words = Vec::new();
    let mut start = 0;
    for index in 1..letters.len() {
        let is_long = index - start >= 2;
        let opens_word = is_small(index + 1) || is_capital(index + 1);
        let from_small = is_small(index - 1) && is_capital(index) && opens_word;
        let from_capitals = is_capital(index - 1)
            && is_capital(index)
            && is_small(index + 1)
            && is_small(index + 2);
        if is_long && (from_small || from_capitals) {
            words.push(letters[start..index].iter().collect::<String>());
            start = index;
        }
    }
    words.push(letters[start..].iter().collect());
    if words.len() > 1 {
        for word in &mut words {
            if !has_capital_second(word) {
                *word = word.to_lowercase();
            }
        }
    }
    words
}

fn has_capital_second(word: &str) -> bool {
    word.chars().nth(1).is_some_and(char::is_uppercase)
}

fn word(word: &str, is_shouted: bool) -> String {
    // A phase, a tariff, a sensor: `l1`, `t2`.
    let mut letters = word.chars();
    let is_numbered = letters.next().is_some_and(|c| c.is_ascii_lowercase())
        && letters.as_str().parse::<u16>().is_ok();
    match spelling(word) {
        Some(written) => written,
        None if is_numbered => word.to_uppercase(),
        None if is_shouted && word.chars().count() > 2 => word.to_lowercase(),
        None => word.to_owned(),
    }
}

#[cfg(test)]
#[path = "tests/label_text.rs"]
mod tests;
