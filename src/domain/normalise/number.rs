//! Parser for numbers in texts: `21.5 °C`, `1 234 kWh`, `1.234,5`, `0x1F4`.
//!
//! A decimal point or comma is guessed only where no other reading exists: `21,5` is one number,
//! `1,234` may be two.

use std::borrow::Cow;

use crate::domain::plan::Decimal;
use crate::limits;

/// A number, and the unit that its text names.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    pub number: f64,
    /// Empty where none is named.
    pub unit: String,
}

/// Why a text is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberError {
    NotANumber,
    /// `decimal` decides what it is.
    Ambiguous,
}

/// A number as JSON and programs print it: `21.4`, `+3.5`, `1.2e3`.
pub fn parse_plain(text: &str) -> Option<f64> {
    let text = text.trim();
    // `parse` would take "inf" and "nan", which no API means as a measurement.
    let begins_as_number = text.starts_with(|c: char| "+-.0123456789".contains(c));
    text.parse()
        .ok()
        .filter(|number: &f64| begins_as_number && number.is_finite())
}

/// A number, perhaps with marks between its thousands and with a unit.
pub fn parse_quantity(text: &str, decimal: Option<Decimal>) -> Result<Quantity, NumberError> {
    if text.len() > limits::TEXT_BYTES {
        return Err(NumberError::NotANumber);
    }
    let text = decode_entities(text);
    let text = text.trim();
    if let (None | Some(Decimal::Point), Some(number)) = (decimal, parse_plain(text)) {
        return Ok(Quantity {
            number,
            unit: String::new(),
        });
    }
    let (currency, rest) = match text.chars().next() {
        Some(c) if CURRENCIES.contains(c) => text.split_at(c.len_utf8()),
        _ => ("", text),
    };
    let rest = rest.trim_start();
    let (sign, rest) = match rest.chars().next() {
        Some(c @ ('-' | '\u{2212}')) => ("-", &rest[c.len_utf8()..]),
        Some('+') => ("", &rest[1..]),
        _ => ("", rest),
    };
    let (numeral, rest) = rest.split_at(numeral_length(rest));
    let (exponent, rest) = rest.split_at(exponent_length(rest));
    let unit = rest.trim_start();
    let is_fit = match unit.strip_prefix('/') {
        // `$0.25/kWh`.
        Some(per) => !currency.is_empty() && is_unit(per),
        None if unit.is_empty() => true,
        None if unit == rest && may_be_digits(numeral, unit) => false,
        None => currency.is_empty() && is_unit(unit),
    };
    if !is_fit {
        return Err(NumberError::NotANumber);
    }
    let digits = plain_digits(numeral, decimal)?;
    let number = format!("{sign}{digits}{exponent}").parse::<f64>();
    match number {
        Ok(number) if number.is_finite() => Ok(Quantity {
            number,
            unit: format!("{currency}{unit}"),
        }),
        _ => Err(NumberError::NotANumber),
    }
}

/// A whole number in another base: `0x1F4` or `01F4` of 16. The prefix may be left out.
pub fn parse_in_base(text: &str, base: u32) -> Option<f64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefix = match base {
        2 => ["0b", "0B"],
        8 => ["0o", "0O"],
        16 => ["0x", "0X"],
        _ => ["", ""],
    };
    let digits = prefix
        .into_iter()
        .find_map(|prefix| digits.strip_prefix(prefix))
        .unwrap_or(digits);
    // `from_str_radix` takes a second sign.
    let is_whole = digits.chars().all(|c| c.is_digit(base));
    let number = u128::from_str_radix(digits, base).ok()?;
    is_whole.then_some(sign * number as f64)
}

/// The digits as Rust reads them: without marks, with a decimal point.
fn plain_digits(numeral: &str, decimal: Option<Decimal>) -> Result<String, NumberError> {
    let decimal = match decimal {
        Some(decimal) => decimal,
        None => guess_decimal(numeral)?,
    };
    let (mark, other) = match decimal {
        Decimal::Point => ('.', ','),
        Decimal::Comma => (',', '.'),
    };
    let (whole, fraction) = numeral.split_once(mark).unwrap_or((numeral, ""));
    let whole = without_marks(whole, other).ok_or(NumberError::NotANumber)?;
    let is_fraction = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !is_fraction || whole.is_empty() && fraction.is_empty() {
        return Err(NumberError::NotANumber);
    }
    Ok(format!("{whole}.{fraction}"))
}

/// The decimal mark of a numeral, where it can have no other.
fn guess_decimal(numeral: &str) -> Result<Decimal, NumberError> {
    let Some((whole, fraction)) = numeral.split_once(',') else {
        return Ok(Decimal::Point);
    };
    if whole.contains('.') {
        // Its neighbour may be `1.234`, which is read with a point.
        let is_grouped = is_grouped_by(whole, '.');
        return Err(if is_grouped {
            NumberError::Ambiguous
        } else {
            NumberError::NotANumber
        });
    }
    if fraction.contains([',', '.']) {
        return Ok(Decimal::Point);
    }
    if fraction.is_empty() {
        // As in a list or a sentence.
        Err(NumberError::NotANumber)
    } else if is_grouped_by(numeral, ',') {
        Err(NumberError::Ambiguous)
    } else {
        Ok(Decimal::Comma)
    }
}

/// Digits without the marks between their thousands, all of one kind; `other` is one of them.
fn without_marks(whole: &str, other: char) -> Option<String> {
    let is_mark = |c: char| c == other || is_thousands_mark(c);
    let Some(mark) = whole.chars().find(|c| !c.is_ascii_digit()) else {
        return Some(whole.to_owned());
    };
    (is_mark(mark) && is_grouped_by(whole, mark)).then(|| whole.replace(mark, ""))
}

/// Whether the groups between marks have three digits: `1,234,567`, or as in India `12,34,567`.
fn is_grouped_by(whole: &str, mark: char) -> bool {
    let groups: Vec<&str> = whole.split(mark).collect();
    let [first, middle @ .., last] = groups.as_slice() else {
        return false;
    };
    let is_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let is_first = (1..=3).contains(&first.len()) && !first.starts_with('0');
    let is_middle = |length: usize| middle.iter().all(|group| group.len() == length);
    groups.iter().all(|group| is_digits(group))
        && is_first
        && last.len() == 3
        && (is_middle(3) || is_middle(2) && first.len() <= 2)
}

/// Blanks of every width and apostrophes.
fn is_thousands_mark(c: char) -> bool {
    matches!(
        c,
        ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '\'' | '\u{2019}'
    )
}

/// Bytes of the digits at the begin of `text`, with the marks between them.
fn numeral_length(text: &str) -> usize {
    let mut end = 0;
    for (at, c) in text.char_indices() {
        match c {
            '0'..='9' | '.' | ',' => end = at + c.len_utf8(),
            c if is_thousands_mark(c) && end == at && end > 0 => {
                let next = text[at + c.len_utf8()..].chars().next();
                if !next.is_some_and(|next| next.is_ascii_digit()) {
                    break;
                }
                end = at + c.len_utf8();
            }
            _ => break,
        }
    }
    end
}

fn exponent_length(text: &str) -> usize {
    let Some(rest) = text.strip_prefix(['e', 'E']) else {
        return 0;
    };
    let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    let after = unsigned.trim_start_matches(|c: char| c.is_ascii_digit());
    if unsigned.len() == after.len() {
        return 0;
    }
    text.len() - after.len()
}

const CURRENCIES: &str = "€$£¥";

/// Whether a text is written as units are: letters and signs, digits only as exponents.
fn is_unit(text: &str) -> bool {
    let mut before = ' ';
    let is_part = |c: char| {
        let is_sign = "°℃℉%‰′″µΩ/²³¹⁻·*^()€$£¥".contains(c);
        let is_exponent =
            matches!(c, '1'..='3') && (before.is_alphabetic() || "-^".contains(before));
        let is_minus = c == '-' && (before.is_alphabetic() || before == '^');
        let is_fit = c.is_alphabetic() || is_sign || is_exponent || is_minus;
        before = c;
        is_fit
    };
    text.chars().count() <= limits::UNIT_CHARS
        && !text.starts_with(['/', '*', '^', '(', ')', '·', '-'])
        && text.chars().all(is_part)
        && !text.ends_with('-')
}

/// Whether what follows a digit at once may be more digits, of base 16, or a name's: `84f3`, but
/// not `21.5C`.
fn may_be_digits(numeral: &str, unit: &str) -> bool {
    if numeral.contains(['.', ',']) && matches!(unit, "C" | "F") {
        return false;
    }
    let is_hexadecimal = unit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_digit = unit.bytes().any(|byte| byte.is_ascii_digit());
    (is_hexadecimal || has_digit) && !is_known_unit(unit)
}

/// Units that make a number of a text which nobody has selected: `230 V`, but not `7 days`.
pub fn is_known_unit(unit: &str) -> bool {
    KNOWN_UNITS.split_ascii_whitespace().any(|it| it == unit)
}

const KNOWN_UNITS: &str = "\
    ° °C ℃ °F ℉ K % ‰ %RH %rH ppm ppb W kW MW GW Wh kWh MWh GWh VA kVA VAr VAR var kvar VAh kVAh \
    varh kvarh V mV kV A mA kA Ah mAh Hz kHz MHz GHz J kJ MJ GJ Pa hPa kPa MPa bar mbar psi inHg \
    mmHg mm cm m km in ft mi m² m2 m³ m3 ft³ l L ml mL hl m/s km/h kmh mph kn kt ft/s l/h L/h l/min \
    L/min l/s m³/h m3/h mm/h in/h mg g kg t lb oz lx lux lm cd klx dB dBA dBm mg/m³ µg/m³ μg/m³ \
    ug/m3 mg/m3 µS/cm W/m² W/m2 kWh/m² J/cm² ms s sec min h d B kB KB MB GB TB KiB MiB GiB TiB kB/s \
    MB/s bit/s kbit/s Mbit/s Gbit/s kbps Mbps Gbps rpm RPM Ω kΩ € $ £ EUR USD GBP CHF ct ct/kWh \
    €/kWh EUR/kWh €/MWh EUR/MWh g/kWh gCO2/kWh µSv/h nSv/h Bq/m³ pH NTU";

/// Characters that web pages write as entities.
const ENTITIES: [(&str, &str); 9] = [
    ("&deg;", "°"),
    ("&#176;", "°"),
    ("&#xB0;", "°"),
    ("&nbsp;", " "),
    ("&#160;", " "),
    ("&micro;", "µ"),
    ("&sup2;", "²"),
    ("&sup3;", "³"),
    ("&euro;", "€"),
];

fn decode_entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let decode = |text: String, (name, character): (&str, &str)| text.replace(name, character);
    ENTITIES.into_iter().fold(text.to_owned(), decode).into()
}

#[cfg(test)]
#[path = "tests/number.rs"]
mod tests;
