//! Advice which option reads a text that was refused as a number.

use super::number::{Quantity, is_known_unit, parse_in_base, parse_plain, parse_quantity};
use crate::domain::plan::{Decimal, Numbers, RecordSelector};
use crate::domain::text::format_number;
use crate::domain::toml_text::{bare_or_quoted, quoted};
use crate::limits;

/// The end of "found the text …" of a record: `, a number with decimal = ","`.
pub fn advise(text: &str, pick: &RecordSelector, numbers: Numbers) -> String {
    let text = text.trim();
    if let Some((near, _)) = pick.map.iter().find(|(known, _)| is_near(known, text)) {
        return format!(
            "; `map` has {}, and upper case and blanks count",
            quoted(near)
        );
    }
    let has_option = pick.decimal.is_some() || pick.base.is_some() || pick.pattern.is_some();
    if parse_plain(text).is_some() && !has_option && numbers == Numbers::Strict {
        return ", a number with numbers = \"lenient\"".to_owned();
    }
    if let Some(advice) = advise_decimal(text) {
        return advice;
    }
    if pick.decimal == Some(Decimal::Comma) && parse_quantity(text, Some(Decimal::Point)).is_ok() {
        return ", a number with decimal = \".\"".to_owned();
    }
    if parse_quantity(text, None).is_ok() && pick.decimal.is_none() && pick.base.is_none() {
        return ", a number with numbers = \"lenient\"".to_owned();
    }
    if is_hexadecimal(text) && pick.base != Some(16) {
        return ", a number with base = 16".to_owned();
    }
    if let (Some(number), None) = (only_number(text), &pick.pattern) {
        return format!("; pattern = \"([-0-9.,]+)\" takes {number} out of it");
    }
    if text.parse::<f64>().is_ok() {
        // NaN and infinity are no values, and not numbers to be written otherwise.
        return "; text = true stores it".to_owned();
    }
    if text.chars().count() <= limits::MAPPED_TEXT_CHARS && !text.contains(is_digit) {
        let name = bare_or_quoted(text);
        return format!("; map = {{ {name} = 0 }} gives it a number, text = true stores it");
    }
    "; text = true stores it".to_owned()
}

/// The option with which a record reads a text as a number: none where `numbers` suffices. `None`
/// where it is no number, or has a unit that is not known.
pub fn number_option(text: &str, numbers: Numbers) -> Option<Option<Decimal>> {
    let read = |decimal| {
        let read = parse_quantity(text, decimal).ok()?;
        (read.unit.is_empty() || is_known_unit(&read.unit)).then_some(read.number)
    };
    if numbers == Numbers::Lenient && read(None).is_some() {
        return Some(None);
    }
    match (read(Some(Decimal::Point)), read(Some(Decimal::Comma))) {
        (Some(point), Some(comma)) if point != comma => None,
        (Some(_), _) => Some(Some(Decimal::Point)),
        (None, Some(_)) => Some(Some(Decimal::Comma)),
        (None, None) => None,
    }
}

/// The same where a decimal point or comma decides.
pub fn advise_decimal(text: &str) -> Option<String> {
    let numeral = text.trim_start_matches(|c: char| !is_digit(c));
    let numeral = numeral.trim_end_matches(|c: char| !is_digit(c));
    let read = |decimal| parse_quantity(text, Some(decimal)).ok();
    let (comma, point) = (read(Decimal::Comma), read(Decimal::Point));
    let is_affected = numeral.contains(',') || numeral.matches('.').count() > 1;
    let shown = |it: &Quantity| format_number(it.number);
    match (comma, point) {
        (Some(comma), Some(point)) if is_affected => Some(format!(
            ", {} with decimal = \",\" and {} with decimal = \".\"",
            shown(&comma),
            shown(&point)
        )),
        (Some(_), None) if is_affected => Some(", a number with decimal = \",\"".to_owned()),
        (None, Some(_)) if is_affected => Some(", a number with decimal = \".\"".to_owned()),
        _ => None,
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_near(known: &str, text: &str) -> bool {
    known.trim().to_lowercase() == text.to_lowercase()
}

/// Whether a text is digits of base 16, as counters and registers are printed.
fn is_hexadecimal(text: &str) -> bool {
    let has_prefix = text.contains("0x") || text.contains("0X");
    let has_both = text.contains(is_digit) && text.contains(|c: char| c.is_ascii_alphabetic());
    (has_prefix || has_both) && parse_in_base(text, 16).is_some()
}

/// The number in a text that has one, and is no date, time or address.
fn only_number(text: &str) -> Option<&str> {
    let is_part = |c: char| is_digit(c) || "-.,".contains(c);
    let mut numbers = text
        .split(|c| !is_part(c))
        .filter(|part| part.contains(is_digit));
    let number = numbers.next()?;
    let is_alone = numbers.next().is_none();
    (is_alone && parse_quantity(number, None).is_ok()).then_some(number)
}
