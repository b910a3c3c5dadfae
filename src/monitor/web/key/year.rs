//! A year of a key on its page, day by day: what each day had, its records, and months as a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;
use maud::{Markup, html};

use super::amounts::{self, Measure, PeriodBuckets};
use super::bars::{format_of, heading};
use crate::domain::history::Bucket;
use crate::domain::plan::ChartKind;
use crate::domain::presentation::NumberFormat;
use crate::domain::snapshot::Record;
use crate::domain::time::{Mono, Wall};
use crate::limits;
use crate::monitor::context::HistoryFailure;
use crate::monitor::format::to_zoned;
use crate::monitor::web::PageContext;
use crate::monitor::web::chart::year::{DAYS, YearMap, colour_range, first_day, legend, year_map};
use crate::monitor::web::local_periods::PeriodLength;
use crate::sys::sync::Mutex;

/// With fewer days there is no pattern to see.
const LEAST_DAYS: usize = 7;

/// One day; all three are the same where there is one number a day.
#[derive(Debug, Clone, Copy, PartialEq)]
struct DayNumbers {
    low: f64,
    value: f64,
    high: f64,
}

impl DayNumbers {
    fn one(value: f64) -> DayNumbers {
        DayNumbers {
            low: value,
            value,
            high: value,
        }
    }
}

/// The years read last, by key. The mutex is never held while reading.
#[derive(Default)]
pub struct YearCache(Mutex<BTreeMap<Arc<str>, CachedYear>>);

struct CachedYear {
    read: Mono,
    measure: Measure,
    today: Date,
    days: Arc<[Option<DayNumbers>]>,
}

impl YearCache {
    fn get(
        &self,
        key: &str,
        measure: Measure,
        today: Date,
        now: Mono,
    ) -> Option<Arc<[Option<DayNumbers>]>> {
        let years = self.0.lock();
        let year = years.get(key)?;
        let is_current = year.measure == measure
            && year.today == today
            && now.since(year.read) < limits::YEAR_TTL;
        is_current.then(|| year.days.clone())
    }

    fn insert(&self, key: &Arc<str>, year: CachedYear) {
        let mut years = self.0.lock();
        if years.len() >= limits::YEARS && !years.contains_key(key) {
            let oldest = years.iter().min_by_key(|(_, year)| year.read);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|key| years.remove(&key));
        }
        years.insert(key.clone(), year);
    }
}

/// The year until now; nothing where there are too few days, or no numbers.
pub fn section(view: &PageContext, key: &str, record: Option<&Record>) -> Markup {
    let setting = view.plan.key_setting(key, |it| it.chart);
    let measure = Measure::of(view, key, record).filter(|_| setting != Some(ChartKind::None));
    let Some(measure) = measure else {
        return html! {};
    };
    match KeyYear::of(view, &key.into(), record, measure) {
        Ok(year) if year.days.iter().flatten().count() >= LEAST_DAYS => year.section(view, key),
        Ok(_) => html! {},
        Err(failure) => {
            log::debug!("year of {key:?}: {failure}");
            html! {}
        }
    }
}

struct KeyYear {
    measure: Measure,
    first: Date,
    days: Arc<[Option<DayNumbers>]>,
    format: NumberFormat,
}

impl KeyYear {
    fn of(
        view: &PageContext,
        key: &Arc<str>,
        record: Option<&Record>,
        measure: Measure,
    ) -> Result<KeyYear, HistoryFailure> {
        let today = to_zoned(view.now.wall, &view.settings.timezone).date();
        let days = match view.years.get(key, measure, today, view.now.mono) {
            Some(days) => days,
            None => {
                let days: Arc<[_]> = read_days(view, key, measure)?.into();
                view.years.insert(
                    key,
                    CachedYear {
                        read: view.now.mono,
                        measure,
                        today,
                        days: days.clone(),
                    },
                );
                days
            }
        };
        let mut numbers = days.iter().flatten().map(|day| day.value);
        let format = match record.filter(|_| measure == Measure::Mean) {
            Some(record) => view.plan.number_format(record),
            None => format_of(view, key, record, measure, &mut numbers),
        };
        Ok(KeyYear {
            measure,
            first: first_day(today),
            days,
            format,
        })
    }

    fn section(&self, view: &PageContext, key: &str) -> Markup {
        let unit = self.format.unit.as_deref();
        let what = heading(view, key, self.measure, unit, PeriodLength::Day);
        let values: Vec<Option<f64>> = self
            .days
            .iter()
            .map(|day| Some(day.as_ref()?.value))
            .collect();
        let range = colour_range(&values);
        let locale = view.plan.pages.locale;
        let label = format!(
            "{}, {what}, a year: from {} to {}",
            view.plan.full_label(key),
            self.format.with_unit(range.low),
            self.format.with_unit(range.high)
        );
        let below = if range.has_lower { "≤ " } else { "" };
        let above = if range.has_higher { "≥ " } else { "" };
        let low = format!("{below}{}", self.format.number(range.low));
        let high = format!("{above}{}", self.format.with_unit(range.high));
        let map = YearMap {
            first: self.first,
            days: &values,
            month: &|month| locale.month(month).to_owned(),
            label: &label,
        };
        html! {
            h2 { "A year, day by day" }
            figure class="chart" {
                figcaption {
                    span class="quiet" { (what) } " "
                    (self.records(view, key))
                }
                (year_map(&map))
                (legend(&low, &high))
            }
            (self.table(view, key))
        }
    }

    /// The lowest and the highest day, with links to them.
    fn records(&self, view: &PageContext, key: &str) -> Markup {
        let days = || {
            self.days
                .iter()
                .zip(0..)
                .filter_map(|(day, at)| Some((at, (*day)?)))
        };
        let lowest = days().min_by(|(_, one), (_, other)| one.low.total_cmp(&other.low));
        let highest = days().max_by(|(_, one), (_, other)| one.high.total_cmp(&other.high));
        let (Some((low_at, low)), Some((high_at, high))) = (lowest, highest) else {
            return html! {};
        };
        let (least, most) = match self.measure {
            Measure::Mean => ("lowest", "highest"),
            Measure::Added | Measure::TimeOn => ("least", "most"),
        };
        html! {
            span class="records" {
                "Records: " (least) " " (self.format.number(low.low)) " (" (self.day_link(view, key, low_at)) ")"
                " · " (most) " " (self.format.number(high.high)) " (" (self.day_link(view, key, high_at)) ")"
            }
        }
    }

    fn date(&self, at: i32) -> Date {
        self.first.saturating_add(at.days())
    }

    fn day_link(&self, view: &PageContext, key: &str, at: i32) -> Markup {
        let date = self.date(at);
        html! {
            a href=(format!("{}?span=24h&at={date}", view.links.key(key))) {
                (view.plan.pages.locale.day_and_month(date))
            }
        }
    }

    /// The months with their days, as links.
    fn table(&self, view: &PageContext, key: &str) -> Markup {
        let is_mean = self.measure == Measure::Mean;
        let headings = if is_mean {
            ["Lowest", "Mean", "Highest"]
        } else {
            ["Least day", "Sum", "Most in a day"]
        };
        html! {
            details {
                summary { "Show as table" }
                table {
                    thead {
                        tr {
                            th scope="col" { "Month" }
                            @for heading in headings { th scope="col" class="figure" { (heading) } }
                        }
                    }
                    tbody {
                        @for month in self.months() {
                            @let next = month.begin.saturating_add(1.month());
                            @let link = format!("{}?from={}&to={next}", view.links.key(key), month.begin);
                            tr {
                                th scope="row" {
                                    a href=(link) { (view.plan.pages.locale.month_and_year(month.begin)) }
                                }
                                td data-label=(headings[0]) class="figure" {
                                    (self.format.number(month.low.1)) " " (self.day_link(view, key, month.low.0))
                                }
                                td data-label=(headings[1]) class="figure" {
                                    @if is_mean {
                                        (self.format.number(month.sum / f64::from(month.days)))
                                    } @else {
                                        (self.format.number(month.sum))
                                    }
                                }
                                td data-label=(headings[2]) class="figure" {
                                    (self.format.number(month.high.1)) " " (self.day_link(view, key, month.high.0))
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn months(&self) -> Vec<MonthNumbers> {
        let mut months: Vec<MonthNumbers> = Vec::new();
        for (day, at) in self.days.iter().zip(0..) {
            let Some(day) = day else { continue };
            let begin = self.date(at).first_of_month();
            match months.last_mut().filter(|month| month.begin == begin) {
                Some(month) => {
                    if day.low < month.low.1 {
                        month.low = (at, day.low);
                    }
                    if day.high > month.high.1 {
                        month.high = (at, day.high);
                    }
                    month.sum += day.value;
                    month.days += 1;
                }
                None => months.push(MonthNumbers {
                    begin,
                    low: (at, day.low),
                    high: (at, day.high),
                    sum: day.value,
                    days: 1,
                }),
            }
        }
        months
    }
}

/// The days from `first_day` on, as far as they have numbers.
fn read_days(
    view: &PageContext,
    key: &Arc<str>,
    measure: Measure,
) -> Result<Vec<Option<DayNumbers>>, HistoryFailure> {
    let zone = &view.settings.timezone;
    let today = to_zoned(view.now.wall, zone).date();
    let first = first_day(today);
    let begin = PeriodLength::Day.begin(view.now.wall, zone);
    let days_before = first.until(today).map_or(0, |span| span.get_days());
    let from = (0..days_before).fold(begin, |at, _| PeriodLength::Day.previous(at, zone));
    let mut days = vec![None; DAYS];
    let mut set = |from: Wall, numbers: DayNumbers| {
        let date = to_zoned(from, zone).date();
        let place = first.until(date).map_or(-1, |span| span.get_days());
        let place = usize::try_from(place).ok();
        if let Some(day) = place.and_then(|place| days.get_mut(place)) {
            *day = Some(numbers);
        }
    };
    // A day that is not over has a mean, but no sum.
    let to = match measure {
        Measure::Mean => view.now.wall,
        Measure::Added | Measure::TimeOn => begin,
    };
    if measure == Measure::Mean {
        let bounds = PeriodLength::Day.bounds(from, to, zone, DAYS);
        let read = PeriodBuckets::read(view, key, bounds)?;
        for (begin, bucket) in read.bounds.iter().zip(&read.buckets) {
            if let Some(bucket) = bucket {
                set(*begin, day_numbers(bucket));
            }
        }
    } else {
        let amounts = amounts::read(view, key, measure, PeriodLength::Day, (from, to))?;
        for it in amounts.iter().filter(|it| !it.has_gap && !it.is_partial) {
            set(it.from, DayNumbers::one(it.amount));
        }
    }
    Ok(days)
}

/// The days of a month together: where its extremes were, and what they are.
struct MonthNumbers {
    begin: Date,
    low: (i32, f64),
    high: (i32, f64),
    sum: f64,
    days: u32,
}

fn day_numbers(bucket: &Bucket) -> DayNumbers {
    DayNumbers {
        low: bucket.min,
        value: bucket.mean,
        high: bucket.max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_kept_for_a_while_and_few_of_them() {
        let today = jiff::civil::date(2026, 11, 29);
        let cache = YearCache::default();
        let minute = |count: u64| Mono(count * 60_000);
        let insert = |key: &str, at: u64| {
            let year = CachedYear {
                read: minute(at),
                measure: Measure::Mean,
                today,
                days: Arc::new([]),
            };
            cache.insert(&key.into(), year);
        };
        insert("power", 0);
        let has = |key: &str, measure, day, at| cache.get(key, measure, day, minute(at)).is_some();
        assert!(has("power", Measure::Mean, today, 14));
        assert!(!has("power", Measure::Mean, today, 15));
        assert!(!has("power", Measure::Added, today, 1));
        assert!(!has(
            "power",
            Measure::Mean,
            today.saturating_add(1.day()),
            1
        ));
        assert!(!has("voltage", Measure::Mean, today, 1));
        for at in 1..=limits::YEARS {
            insert(&at.to_string(), u64::try_from(at).expect("few"));
        }
        assert!(!has("power", Measure::Mean, today, 1), "the oldest goes");
        assert!(has("2", Measure::Mean, today, 3));
    }
}
