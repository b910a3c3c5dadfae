//! A year in SVG, day by day: a column a week, a row a weekday, six colours from low to high.
//!
//! Pure. Six paths and a few names: a year is some 1.3 kB as sent.

use std::fmt::Write;

use jiff::ToSpan;
use jiff::civil::Date;
use maud::{Markup, html};

/// Columns: 53 weeks hold any year that begins and ends anywhere.
pub const WEEKS: usize = 53;
pub const DAYS: usize = WEEKS * 7;
const COLOURS: usize = 6;
/// Rows and the names of months, in pixels.
const ROW: usize = 15;
const MONTHS: usize = 18;

pub struct YearMap<'a> {
    /// A Monday.
    pub first: Date,
    /// From `first` on; None where there are no data.
    pub days: &'a [Option<f64>],
    /// The name of each month: `1` is January.
    pub month: &'a dyn Fn(i8) -> String,
    /// The accessible name.
    pub label: &'a str,
}

/// The last day and the Monday 52 weeks before it.
pub fn first_day(last: Date) -> Date {
    let monday = i32::from(last.weekday().to_monday_zero_offset());
    let weeks = i32::try_from(WEEKS - 1).unwrap_or(i32::MAX);
    last.saturating_sub((monday + 7 * weeks).days())
}

pub fn year_map(year: &YearMap) -> Markup {
    let ColourRange { low, high, .. } = colour_range(year.days);
    let height = MONTHS + 7 * ROW;
    html! {
        svg class="year" role="img" aria-label=(year.label) width="100%" height=(height)
            data-year=(year.first) {
            @for (column, name, is_minor) in months(year) {
                text class=[is_minor.then_some("wide")] x=(format!("{:.2}%", column as f64 / WEEKS as f64 * 100.0)) y="12" {
                    (name)
                }
            }
            svg y=(MONTHS) width="100%" height=(7 * ROW)
                viewBox=(format!("0 0 {WEEKS} 7")) preserveAspectRatio="none" {
                @for (colour, path) in paths(year.days, low, high).iter().enumerate() {
                    @if !path.is_empty() { path class=(format!("c{}", colour + 1)) d=(path) {} }
                }
            }
        }
    }
}

/// The colours between both ends.
pub fn legend(low: &str, high: &str) -> Markup {
    html! {
        p class="scale" {
            (low) " "
            svg width="102" height="14" aria-hidden="true" {
                @for colour in 0..COLOURS {
                    rect class=(format!("c{}", colour + 1)) x=(colour * 17) width="15" height="14" {}
                }
            }
            " " (high)
        }
    }
}

/// The values between which the colours are shared out, and whether some lie outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColourRange {
    pub low: f64,
    pub high: f64,
    pub has_lower: bool,
    pub has_higher: bool,
}

/// From the least to the greatest day. Where a few days are so far off that the others would be of
/// one colour, without them.
pub fn colour_range(days: &[Option<f64>]) -> ColourRange {
    /// The share of days on each side that may be far off, and how far.
    const FEW: usize = 50;
    const FAR: f64 = 2.0;
    let range = |low, high| ColourRange {
        low,
        high,
        has_lower: false,
        has_higher: false,
    };
    let finite = days.iter().flatten().filter(|value| value.is_finite());
    let mut values: Vec<f64> = finite.copied().collect();
    values.sort_by(f64::total_cmp);
    let few = values.len() / FEW;
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return range(0.0, 1.0);
    };
    let (low, high) = (values[few], values[values.len() - 1 - few]);
    let is_far = (last / 2.0 - first / 2.0) > FAR * (high / 2.0 - low / 2.0);
    if is_far && low < high {
        ColourRange {
            low,
            high,
            has_lower: *first < low,
            has_higher: *last > high,
        }
    } else {
        range(*first, *last)
    }
}

/// 0 to 5: six equal parts between both ends.
fn colour(value: f64, low: f64, high: f64) -> usize {
    let share = (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
    if share.is_finite() {
        // A negative number becomes 0.
        ((share * COLOURS as f64) as usize).min(COLOURS - 1)
    } else {
        COLOURS / 2
    }
}

fn paths(days: &[Option<f64>], low: f64, high: f64) -> [String; COLOURS] {
    let mut paths = [const { String::new() }; COLOURS];
    for (at, value) in days.iter().take(DAYS).enumerate() {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            continue;
        };
        let path = &mut paths[colour(value, low, high)];
        // Writing to a String cannot fail.
        let _ = write!(path, "M{} {}h.9v.9h-.9z", at / 7, at % 7);
    }
    paths
}

/// The week in which each month begins, and its name; every other one is left out where the
/// screen is narrow.
fn months(year: &YearMap) -> Vec<(usize, String, bool)> {
    let mut found = Vec::new();
    let mut day = year.first;
    for week in 0..WEEKS {
        let sunday = day.saturating_add(6.days());
        let is_new = sunday.day() <= 7;
        // A name at the edge would be cut.
        if is_new && week + 1 < WEEKS {
            found.push((week, (year.month)(sunday.month()), found.len() % 2 == 1));
        }
        day = day.saturating_add(7.days());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_last_day_is_in_the_last_week() {
        for (last, first) in [
            (date(2026, 11, 29), date(2025, 11, 24)),
            (date(2026, 11, 30), date(2025, 12, 1)),
            (date(2024, 2, 29), date(2023, 2, 27)),
        ] {
            let found = first_day(last);
            assert_eq!(found, first);
            let days = found.until(last).expect("it is in range").get_days();
            assert!((364..371).contains(&days), "{days}");
        }
    }

    #[test]
    fn six_colours_share_the_range() {
        for (value, low, high, expected) in [
            (-2.0, -2.0, 22.0, 0),
            (1.9, -2.0, 22.0, 0),
            (2.1, -2.0, 22.0, 1),
            (10.1, -2.0, 22.0, 3),
            (22.0, -2.0, 22.0, 5),
            (5.0, 5.0, 5.0, 3),
            (f64::MAX, f64::MIN, f64::MAX, 5),
            (-30.0, -2.0, 22.0, 0),
            (99.0, -2.0, 22.0, 5),
        ] {
            assert_eq!(colour(value, low, high), expected, "{value}");
        }
    }

    #[test]
    fn a_few_days_far_off_do_not_make_the_others_one_colour() {
        let range = |far: f64, count: usize| {
            let usual = (0..300).map(|day| Some(f64::from(day % 10)));
            let days: Vec<_> = usual.chain(vec![Some(far); count]).collect();
            let range = colour_range(&days);
            (range.low, range.high, range.has_lower, range.has_higher)
        };
        assert_eq!(range(12.0, 1), (0.0, 12.0, false, false));
        assert_eq!(range(1_000.0, 1), (0.0, 9.0, false, true));
        assert_eq!(range(-1_000.0, 2), (0.0, 9.0, true, false));
        // A month is not a few days.
        assert_eq!(range(1_000.0, 30), (0.0, 1_000.0, false, false));
    }

    #[test]
    fn missing_days_are_empty_and_months_have_names() {
        let mut days = vec![None; DAYS];
        days[0] = Some(1.0);
        days[8] = Some(2.0);
        days[9] = Some(f64::NAN);
        let year = YearMap {
            first: date(2025, 11, 24),
            days: &days,
            month: &|month| month.to_string(),
            label: "Temperature",
        };
        let svg = year_map(&year).into_string();
        assert!(
            svg.contains(r#"<path class="c1" d="M0 0h.9v.9h-.9z">"#),
            "{svg}"
        );
        assert!(
            svg.contains(r#"<path class="c6" d="M1 1h.9v.9h-.9z">"#),
            "{svg}"
        );
        assert_eq!(svg.matches("<path").count(), 2);
        let names: Vec<(usize, String, bool)> = months(&year);
        let names: Vec<&str> = names.iter().map(|(_, name, _)| &**name).collect();
        assert_eq!(names.join(" "), "12 1 2 3 4 5 6 7 8 9 10 11");
    }
}
