//! Bars of a key on its page: what a counter counted in local hours, days or months, or the means
//! of other numbers.

use std::sync::Arc;

use maud::{Markup, html};

use super::amounts::{self, Measure, PeriodAmount};
use crate::domain::locale::Locale;
use crate::domain::presentation::{FormatOptions, NumberFormat, SeenNumbers};
use crate::domain::snapshot::Record;
use crate::domain::text::{capitalised, count_noun};
use crate::domain::time::Wall;
use crate::limits;
use crate::monitor::context::HistoryFailure;
use crate::monitor::format::to_zoned;
use crate::monitor::web::PageContext;
use crate::monitor::web::chart::bars::{Bar, BarChart, BarStyle, bar_chart};
use crate::monitor::web::chart::readout::{self, ReadoutPoint};
use crate::monitor::web::chart::ticks::{Tick, period_ticks};
use crate::monitor::web::local_periods::PeriodLength;
use crate::monitor::web::period::Period;

/// More notes than this would lie on each other; the table has them all.
const NOTES: usize = 6;

/// The chart of a counter, of an on/off state in days or longer, or of a key with `chart = "bars"`,
/// with its table.
pub fn section(
    view: &PageContext,
    key: &str,
    record: Option<&Record>,
    period: &Period,
) -> Result<Markup, HistoryFailure> {
    let key: Arc<str> = key.into();
    let is_last_span = period.is_live() && !period.is_all();
    let span = (period.from, period.to);
    let bars = KeyBars::read(view, &key, record, span, is_last_span)?;
    Ok(match bars {
        Some(bars) => bars.figure(view, &key),
        None => html! { p class="quiet" { "No data in this time span." } },
    })
}

/// How amounts are written, the largest of which has about three digits.
pub fn format_of(
    view: &PageContext,
    key: &str,
    record: Option<&Record>,
    measure: Measure,
    amounts: &mut dyn Iterator<Item = f64>,
) -> NumberFormat {
    let largest = amounts.fold(0.0_f64, |most, it| most.max(it.abs()));
    if measure == Measure::TimeOn {
        let options = FormatOptions {
            unit: Some("h".into()),
            decimals: Some(1),
            locale: view.plan.pages.locale,
            ..FormatOptions::default()
        };
        return NumberFormat::new(options, &SeenNumbers::one(largest));
    }
    let unit = record.and_then(|record| record.unit.as_deref());
    view.plan.number_format_of(key, unit, largest)
}

/// What the numbers are: `kWh a day`, `°C, mean of each day`, `On, hours in each day`.
pub fn heading(
    view: &PageContext,
    key: &str,
    measure: Measure,
    unit: Option<&str>,
    length: PeriodLength,
) -> String {
    let name = length.name();
    let each = match length {
        PeriodLength::Hour => "an hour".to_owned(),
        _ => format!("a {name}"),
    };
    match (measure, unit) {
        (Measure::Added, None) => format!("Added each {name}"),
        (Measure::Added, Some(unit)) => format!("{unit} {each}"),
        (Measure::Mean, None) => format!("Mean of each {name}"),
        (Measure::Mean, Some(unit)) => format!("{unit}, mean of each {name}"),
        (Measure::TimeOn, _) => {
            let words = view.plan.number_format_of(key, None, 1.0);
            let word = words.word(1.0).unwrap_or("On");
            format!("{word}, hours in each {name}")
        }
    }
}

/// The amounts of a key in periods, and how they are written.
pub struct KeyBars {
    amounts: Vec<PeriodAmount>,
    measure: Measure,
    length: PeriodLength,
    /// Where the first period begins and the last one ends.
    pub from: Wall,
    pub to: Wall,
    pub format: NumberFormat,
    /// All of them together, where their sum means something.
    total: Option<String>,
}

impl KeyBars {
    /// The bars of a span; None without data. `is_last_span`: it ends now, and has as many periods
    /// as its name says, the running one included.
    pub fn read(
        view: &PageContext,
        key: &Arc<str>,
        record: Option<&Record>,
        (from, to): (Wall, Wall),
        is_last_span: bool,
    ) -> Result<Option<KeyBars>, HistoryFailure> {
        let zone = &view.settings.timezone;
        let length = PeriodLength::for_span(from, to);
        let begin = length.begin(from, zone);
        let first = if is_last_span && begin < from {
            length.next(from, zone)
        } else {
            begin
        };
        let measure = Measure::of(view, key, record).unwrap_or(Measure::Mean);
        let amounts = amounts::read(view, key, measure, length, (first, to))?;
        if amounts.is_empty() {
            return Ok(None);
        }
        let total: f64 = amounts.iter().map(|it| it.amount).sum();
        let format =
            |numbers: &mut dyn Iterator<Item = f64>| format_of(view, key, record, measure, numbers);
        Ok(Some(KeyBars {
            format: format(&mut amounts.iter().map(|it| it.amount)),
            total: (measure != Measure::Mean)
                .then(|| format(&mut [total].into_iter()).with_unit(total)),
            amounts,
            measure,
            length,
            from: first,
            to: length.next(Wall(to.0.saturating_sub(1)), zone),
        }))
    }

    /// What the numbers are: `kWh a day`.
    pub fn heading(&self, view: &PageContext, key: &str) -> String {
        let unit = self.format.unit.as_deref();
        heading(view, key, self.measure, unit, self.length)
    }

    fn figure(&self, view: &PageContext, key: &str) -> Markup {
        let what = self.heading(view, key);
        let zone = &view.settings.timezone;
        let periods = self
            .length
            .bounds(self.from, self.to, zone, limits::PERIODS)
            .len()
            - 1;
        let span = count_noun(periods, self.length.name());
        let total = self.total.as_ref().map(|total| format!("{span}: {total}"));
        let parts = [
            Some(view.plan.full_label(key)),
            Some(what.clone()),
            total.clone(),
        ];
        let label = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let bars: Vec<Bar> = self.bars(view);
        let chart = BarChart {
            bars: &bars,
            from: self.from,
            to: self.to,
            ticks: &self.ticks(view),
            label: &label,
        };
        let axis = |shown, step| self.format.axis(shown, step);
        html! {
            figure class="chart" data-v=(readout::attribute(&self.points(view))) {
                figcaption {
                    span class="quiet" { (what) } " "
                    @if let Some(total) = &total { strong { (total) } " " }
                    output {}
                }
                (bar_chart(&chart, &axis))
            }
            (self.table(view, key))
        }
    }

    pub fn bars(&self, view: &PageContext) -> Vec<Bar> {
        let gaps = self.amounts.iter().filter(|it| it.periods > 1).count();
        let bars = self.amounts.iter().map(|it| Bar {
            from: it.from,
            to: it.to,
            height: it.amount * self.format.factor / it.periods.max(1) as f64,
            style: match it {
                it if it.to > view.now.wall => BarStyle::Unfinished,
                // A mean is one of a part, too.
                it if (it.has_gap || it.is_partial) && self.measure != Measure::Mean => {
                    BarStyle::Gap
                }
                _ => BarStyle::Whole,
            },
            note: (it.periods > 1 && gaps <= NOTES)
                .then(|| count_noun(it.periods, self.length.name())),
        });
        bars.collect()
    }

    /// Days, months and years have their names below their middle.
    pub fn ticks(&self, view: &PageContext) -> Vec<Tick> {
        let zone = &view.settings.timezone;
        let span = (self.from, self.to);
        let mut ticks = period_ticks(self.length, span, zone, view.plan.pages.locale);
        if self.length != PeriodLength::Hour {
            for tick in &mut ticks {
                let next = self.length.next(tick.at, zone);
                tick.at = Wall(tick.at.0.midpoint(next.0));
            }
        }
        ticks
    }

    fn points(&self, view: &PageContext) -> Vec<ReadoutPoint> {
        let length = self.to.0.saturating_sub(self.from.0).max(1);
        let points = self.amounts.iter().map(|it| {
            let middle = it.from.0.max(self.from.0).midpoint(it.to.0);
            ReadoutPoint {
                share: (middle.saturating_sub(self.from.0)) as f64 / length as f64,
                label: self.name(view, it),
                values: vec![format!(
                    "{}{}",
                    self.format.with_unit(it.amount),
                    remark(view, it)
                )],
            }
        });
        points.collect()
    }

    /// `Sat 28 Nov`, or from when until when.
    fn name(&self, view: &PageContext, amount: &PeriodAmount) -> String {
        let locale = view.plan.pages.locale;
        let zone = &view.settings.timezone;
        let name = |at| period_name(self.length, at, zone, locale);
        if self.length == PeriodLength::Hour {
            return format!(
                "{}–{}",
                name(amount.from),
                to_zoned(amount.to, zone).strftime("%H:%M")
            );
        }
        match amount.periods {
            1 => name(amount.from),
            _ => format!("{} – {}", name(amount.from), name(Wall(amount.to.0 - 1))),
        }
    }

    fn table(&self, view: &PageContext, key: &str) -> Markup {
        let heading = match self.measure {
            Measure::Added => "Added",
            Measure::Mean => "Mean",
            Measure::TimeOn => "On",
        };
        html! {
            details {
                summary { "Show as table" }
                table {
                    thead {
                        tr {
                            th scope="col" { (capitalised(self.length.name())) }
                            th scope="col" class="figure" { (heading) }
                        }
                    }
                    tbody {
                        @for it in &self.amounts {
                            tr {
                                th scope="row" {
                                    @match link(view, key, self.length, it) {
                                        Some(link) => a href=(link) { (self.name(view, it)) },
                                        None => (self.name(view, it)),
                                    }
                                }
                                td data-label=(heading) class="figure" {
                                    (self.format.with_unit(it.amount))
                                    span class="quiet" { (remark(view, it)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What to know about an amount that is not that of one whole period.
fn remark(view: &PageContext, amount: &PeriodAmount) -> &'static str {
    match amount {
        it if it.to > view.now.wall => " so far",
        it if it.is_partial => ", from the first reading on",
        it if it.has_gap => ", with a gap in the data",
        _ => "",
    }
}

/// A local period by name: `Sat 28 Nov 14:00`, `Sat 28 Nov`, `Nov 2026`, `2026`.
fn period_name(
    length: PeriodLength,
    at: Wall,
    zone: &jiff::tz::TimeZone,
    locale: Locale,
) -> String {
    let local = to_zoned(at, zone);
    let date = local.date();
    match length {
        PeriodLength::Hour => {
            format!(
                "{} {}",
                locale.weekday_and_date(date),
                local.strftime("%H:%M")
            )
        }
        PeriodLength::Day => locale.weekday_and_date(date),
        PeriodLength::Month => locale.month_and_year(date),
        PeriodLength::Year => date.year().to_string(),
    }
}

/// The page of the period: a day by its hours, a month by its days, a year by its months.
fn link(
    view: &PageContext,
    key: &str,
    length: PeriodLength,
    amount: &PeriodAmount,
) -> Option<String> {
    let zone = &view.settings.timezone;
    let day = |at: Wall| to_zoned(at, zone).date();
    let page = view.links.key(key);
    match length {
        PeriodLength::Hour => None,
        PeriodLength::Day if amount.periods == 1 => {
            Some(format!("{page}?span=24h&at={}", day(amount.from)))
        }
        _ => Some(format!(
            "{page}?from={}&to={}",
            day(amount.from),
            day(amount.to)
        )),
    }
}
