//! Values of key options: display unit, words, range of the chart, limits.

use super::read_label;
use crate::config::reader::{TableEntry, TableReader};
use crate::config::section::{list, text};
use crate::domain::plan::{Bounds, DisplayUnit, KeyPlan};
use crate::domain::text::format_number;
use crate::domain::toml_text::quoted;
use crate::limits;

/// `show`: a factor and a unit.
pub fn read_display_unit(entry: &TableEntry<'_>) -> Option<DisplayUnit> {
    const WHAT: &str = "a factor, a blank and a unit, such as \"1e-3 kWh\"";
    let shown = entry.text_as(WHAT)?;
    let parts = shown.trim().split_once(' ').and_then(|(factor, unit)| {
        let factor: f64 = factor.parse().ok()?;
        let unit = unit.trim();
        let is_fit = factor.is_finite() && factor != 0.0 && unit.len() <= limits::UNIT_BYTES;
        is_fit.then(|| DisplayUnit {
            factor,
            unit: unit.into(),
        })
    });
    if parts.is_none() {
        entry.expected(WHAT);
    }
    parts
}

/// `words`: numbers, as they are spelled, and the words for them.
pub fn read_words(entry: &TableEntry<'_>) -> Vec<(String, String)> {
    let mut words = Vec::new();
    for pair in entry.entries() {
        let number = pair.key().parse::<f64>().ok();
        if !number.is_some_and(f64::is_finite) {
            pair.problem(format!(
                "expected a number for the word, found {}: write {{ 0 = \"Off\", 1 = \"On\" }}",
                quoted(pair.key())
            ));
        } else if let Some(word) = read_label(&pair) {
            words.push((pair.key().to_owned(), word));
        }
    }
    words
}

/// `range`: the lowest and the highest number.
pub fn read_range(entry: &TableEntry<'_>) -> Option<(f64, f64)> {
    const WHAT: &str = "a list of two numbers, the lower one first, such as [0, 9000]";
    match entry.numbers().as_deref() {
        Some([low, high]) if low < high => Some((*low, *high)),
        Some([high, low]) => {
            let [high, low] = [high, low].map(|it| format_number(*it));
            entry.problem(format!(
                "range: expected the lower number first, found [{high}, {low}]"
            ));
            None
        }
        _ => {
            entry.expected(WHAT);
            None
        }
    }
}

/// `warn` and `bad`: limits above and below.
pub fn read_bounds(entry: &TableEntry<'_>) -> Bounds {
    let mut bounds = Bounds::default();
    for (text, span) in entry.texts_as(
        "a text such as \">1000\" or \"<5\"",
        "a text such as \">1000\", or two such as [\"<10\", \">1400\"]",
    ) {
        let text = text.trim();
        let limit = |sign: char| {
            let number: f64 = text.strip_prefix(sign)?.trim().parse().ok()?;
            number.is_finite().then_some(number)
        };
        let (above, below) = (limit('>'), limit('<'));
        let is_second = (above.is_some() && bounds.above.is_some())
            || (below.is_some() && bounds.below.is_some());
        if is_second || (above.is_none() && below.is_none()) {
            let message = format!(
                "{}: expected one limit above or below, or both, a sign and a number without its unit, such as \">1000\" or [\"<10\", \">1400\"], found {}",
                entry.key(),
                quoted(text)
            );
            entry.reader().problem(&span, message);
        }
        bounds.above = bounds.above.or(above);
        bounds.below = bounds.below.or(below);
    }
    if let Bounds {
        above: Some(above),
        below: Some(below),
    } = bounds
        && above < below
    {
        let (below, above) = (format_number(below), format_number(above));
        entry.problem(format!(
            "{}: every value is below {below} or above {above}: write [\"<{above}\", \">{below}\"]",
            entry.key()
        ));
    }
    bounds
}

/// Values beyond `bad` are shown as bad, so `warn` has to begin before it.
pub fn check_bad_behind_warn(table: &mut TableReader<'_>, plan: &KeyPlan) {
    let (warn, bad) = (plan.warn, plan.bad);
    let is_hidden = |is_beyond: bool, sign: char, warn: f64, bad: f64| {
        let (warn, bad) = (format_number(warn), format_number(bad));
        is_beyond.then(|| {
            format!(
                "warn = \"{sign}{warn}\" never shows: bad = \"{sign}{bad}\" begins there already"
            )
        })
    };
    let above = warn.above.zip(bad.above);
    let below = warn.below.zip(bad.below);
    let above = above.and_then(|(warn, bad)| is_hidden(bad <= warn, '>', warn, bad));
    let below = below.and_then(|(warn, bad)| is_hidden(bad >= warn, '<', warn, bad));
    let Some(entry) = table.get("warn") else {
        return;
    };
    for message in above.into_iter().chain(below) {
        entry.problem(message);
    }
}

/// The limits as they are written.
pub fn print_bounds(bounds: Bounds) -> Option<String> {
    let below = bounds.below.map(|it| format!("<{}", format_number(it)));
    let above = bounds.above.map(|it| format!(">{}", format_number(it)));
    let limits: Vec<String> = below.into_iter().chain(above).collect();
    match limits.as_slice() {
        [one] => text(one),
        both => list(both),
    }
}
