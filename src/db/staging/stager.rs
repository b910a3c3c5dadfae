//! Rows of an import: checked, brought into the form of `records`, and written to the staged file.
//!
//! Every source hands its rows over as they are; what is wrong with one is decided here alone. A
//! row that is wrong is left out, counted, and the first of each kind is named.

use std::collections::HashMap;
use std::ops::ControlFlow;

use rusqlite::types::ValueRef;

use super::StageError;
use super::input_row::{
    InputRow, InputSummary, StagedValue, check_key, describe, read_summary, read_value,
};
use super::number_style::NumberStyle;
use super::report::{self, SkipReason, StageReport};
use super::row_meta::{RowMeta, read_meta};
use super::staged_file::{RowWriter, UnfinishedFile};
use super::time_text::TimeReader;
use crate::domain::text::shorten;
use crate::domain::time::Wall;
use crate::limits;

/// How far an import has read its input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageProgress {
    pub rows: u64,
    /// From 0 to 1; `None` where the size of the input is not known.
    pub part: Option<f64>,
}

/// Called every some thousand rows; `Break` ends the import.
pub type OnProgress<'a> = &'a mut dyn FnMut(StageProgress) -> ControlFlow<()>;

/// Rows between two reports of progress.
const PROGRESS_ROWS: u64 = 4_096;
/// Times that are read: 1970 to 9999.
const SECONDS: std::ops::Range<i64> = 0..253_402_300_800;
/// The begin of the year 100. Earlier years were written with two digits.
const YEAR_100: i64 = -59_011_459_200;

pub struct Stager<'a> {
    pub report: StageReport,
    /// What a place of the input is called: row or line.
    pub place_name: &'static str,
    /// How texts are read as numbers.
    pub numbers: NumberStyle,
    /// How much of the input is read, of how much: rows or bytes.
    pub position: Option<(u64, u64)>,
    /// Rows before it are part of summaries that are staged, seconds since 1970.
    pub summed_up_until: i64,
    file: &'a UnfinishedFile,
    writer: RowWriter<'a>,
    times: TimeReader,
    latest: i64,
    progress: OnProgress<'a>,
    keys: HashMap<Box<str>, usize>,
    /// By the key's number, from 1.
    units: Vec<KeyUnit>,
    counts: NoteCounts,
}

#[derive(Default)]
struct KeyUnit {
    unit: Option<Box<str>>,
    /// Another one that rows of the key have.
    other: Option<Box<str>>,
}

#[derive(Default)]
struct NoteCounts {
    dropped_meta: u64,
    shortened_texts: u64,
    summed_up: u64,
    /// Values that are texts, and the first of them.
    texts: Option<(u64, String)>,
}

impl<'a> Stager<'a> {
    pub fn new(
        file: &'a UnfinishedFile,
        writer: RowWriter<'a>,
        times: TimeReader,
        latest: Option<Wall>,
        progress: OnProgress<'a>,
    ) -> Stager<'a> {
        Stager {
            report: StageReport::default(),
            place_name: "row",
            numbers: NumberStyle::Plain,
            position: None,
            summed_up_until: i64::MIN,
            file,
            writer,
            times,
            latest: latest.map_or(i64::MAX, Wall::second),
            progress,
            keys: HashMap::new(),
            units: Vec::new(),
            counts: NoteCounts::default(),
        }
    }

    /// Takes one row.
    pub fn take(&mut self, row: &InputRow) -> Result<(), StageError> {
        self.count_read()?;
        let staged = match &row.summary {
            None => self.take_reading(row)?,
            Some(summary) => self.take_summary(row, summary)?,
        };
        if let Err((reason, cell)) = staged {
            self.skip(reason, row.place, cell);
        }
        Ok(())
    }

    /// Counts a row that cannot be read as one.
    pub fn take_broken(&mut self, place: i64, found: &[u8]) -> Result<(), StageError> {
        self.count_read()?;
        self.skip(SkipReason::BrokenLine, place, ValueRef::Text(found));
        Ok(())
    }

    fn count_read(&mut self) -> Result<(), StageError> {
        let is_due = self.report.read.is_multiple_of(PROGRESS_ROWS);
        self.report.read += 1;
        if !is_due {
            return Ok(());
        }
        let part = self.position.filter(|(_, all)| *all > 0);
        let progress = StageProgress {
            rows: self.report.read,
            part: part.map(|(done, all)| (done as f64 / all as f64).min(1.0)),
        };
        match (self.progress)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(StageError::Interrupted),
        }
    }

    fn skip(&mut self, reason: SkipReason, place: i64, cell: ValueRef) {
        let name = self.place_name;
        self.report.skip(reason, || match describe(cell) {
            Some(found) => format!("{name} {place}: {found}"),
            None => format!("{name} {place}"),
        });
    }

    fn take_reading<'r>(&mut self, row: &InputRow<'r>) -> Taken<'r> {
        let second = match self.second(row.time) {
            Ok(second) => second,
            Err(skipped) => return Ok(Err(skipped)),
        };
        if second < self.summed_up_until {
            self.counts.summed_up += 1;
            return Ok(Ok(()));
        }
        let key = match check_key(row.key) {
            Ok(key) => key,
            Err(reason) => return Ok(Err((reason, row.key))),
        };
        let meta = self.meta(row);
        let read = self.numbers.read(row.value);
        let read = read.map_err(|reason| (reason, row.value));
        let value = read.and_then(|value| read_value(value, row.text, meta.text.as_deref()));
        let value = match value {
            Ok(value) => value,
            Err(skipped) => return Ok(Err(skipped)),
        };
        let Some(k) = self.key_id(key) else {
            return Ok(Err((SkipReason::TooManyKeys, row.key)));
        };
        self.add_unit(k, row.unit, meta.unit.as_deref());
        let (number, text) = match value {
            StagedValue::Number(number) => (Some(number), None),
            StagedValue::Text(text) => (None, Some(self.bounded(text))),
        };
        if text.is_some() && matches!(row.value, ValueRef::Text(value) if !value.is_empty()) {
            self.count_text(row);
        }
        let meta = meta.rest.compose(text.as_deref(), row.is_untrusted);
        let written = self.writer.insert_row(k, second, number, meta.as_deref());
        written.map_err(|error| self.file.failed(&error))?;
        self.widen_span(second, second);
        Ok(Ok(()))
    }

    fn take_summary<'r>(&mut self, row: &InputRow<'r>, summary: &InputSummary<'r>) -> Taken<'r> {
        let second = match self.second(row.time) {
            Ok(second) => second,
            Err(skipped) => return Ok(Err(skipped)),
        };
        let key = match check_key(row.key) {
            Ok(key) => key,
            Err(reason) => return Ok(Err((reason, row.key))),
        };
        let (mean, summary) = match self.numbers.read_summary(row.value, summary) {
            Ok(read) => read,
            Err(reason) => return Ok(Err((reason, row.value))),
        };
        let Some(staged) = read_summary(second, mean, &summary) else {
            return Ok(Err((SkipReason::BadSummary, row.time)));
        };
        let Some(k) = self.key_id(key) else {
            return Ok(Err((SkipReason::TooManyKeys, row.key)));
        };
        self.add_unit(k, row.unit, None);
        let written = self.writer.insert_summary(k, &staged);
        written.map_err(|error| self.file.failed(&error))?;
        self.widen_span(second, second);
        Ok(Ok(()))
    }

    fn second<'r>(&mut self, time: ValueRef<'r>) -> Result<i64, (SkipReason, ValueRef<'r>)> {
        match self.times.read(time) {
            None => Err((SkipReason::BadTime, time)),
            Some(second) if second < YEAR_100 => Err((SkipReason::ShortYear, time)),
            Some(second) if !SECONDS.contains(&second) => Err((SkipReason::OutsideCalendar, time)),
            Some(second) if second > self.latest => Err((SkipReason::AheadOfClock, time)),
            Some(second) => Ok(second),
        }
    }

    fn meta(&mut self, row: &InputRow) -> RowMeta {
        read_meta(row.meta).unwrap_or_else(|| {
            self.counts.dropped_meta += 1;
            RowMeta::default()
        })
    }

    /// Counts a text where a number was to be expected: `21,5 °C` becomes one too.
    fn count_text(&mut self, row: &InputRow) {
        match &mut self.counts.texts {
            Some((count, _)) => *count += 1,
            None => {
                let found = describe(row.value).unwrap_or_default();
                let example = format!("{} {}: {found}", self.place_name, row.place);
                self.counts.texts = Some((1, report::example(&example)));
            }
        }
    }

    /// The text, at most as long as the node stores one.
    fn bounded<'t>(&mut self, text: &'t str) -> std::borrow::Cow<'t, str> {
        if text.len() <= limits::TEXT_BYTES {
            return text.into();
        }
        self.counts.shortened_texts += 1;
        shorten(text, limits::TEXT_BYTES).into()
    }

    /// The key's number; `None` where there are too many keys.
    fn key_id(&mut self, key: &str) -> Option<i64> {
        let id = match self.keys.get(key) {
            Some(id) => *id,
            None if self.units.len() >= limits::IMPORT_KEYS => return None,
            None => {
                self.units.push(KeyUnit::default());
                self.keys.insert(key.into(), self.units.len());
                self.units.len()
            }
        };
        i64::try_from(id).ok()
    }

    /// The unit that the database says its keys have now.
    pub fn set_unit(&mut self, key: &str, unit: &str) {
        if let Some(known) = self.keys.get(key).and_then(|id| self.units.get_mut(id - 1)) {
            known.unit = Some(shorten(unit, limits::UNIT_BYTES).into());
            known.other = None;
        }
    }

    /// The last unit stays.
    fn add_unit(&mut self, k: i64, unit: ValueRef, of_meta: Option<&str>) {
        let unit = unit.as_str().ok().or(of_meta).map(str::trim);
        let index = usize::try_from(k - 1).unwrap_or(usize::MAX);
        let (Some(unit), Some(known)) = (unit, self.units.get_mut(index)) else {
            return;
        };
        if unit.is_empty() || known.unit.as_deref() == Some(unit) {
            return;
        }
        let unit = shorten(unit, limits::UNIT_BYTES);
        if known.unit.as_deref() != Some(&*unit) {
            let before = known.unit.replace(unit.into());
            known.other = before.or(known.other.take());
        }
    }

    fn widen_span(&mut self, first: i64, last: i64) {
        let (first, last) = (Wall::from_second(first), Wall::from_second(last));
        let span = self.report.span.get_or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
    }

    /// Writes the keys and completes the report.
    pub fn finish(self) -> Result<StageReport, StageError> {
        let Stager {
            mut report,
            file,
            writer,
            times,
            keys,
            units,
            counts,
            ..
        } = self;
        let mut names: Vec<&str> = vec![""; keys.len()];
        for (key, id) in &keys {
            names[id - 1] = key;
        }
        let of_units = units.iter().map(|it| it.unit.as_deref());
        let staged = writer.finish(names.iter().copied().zip(of_units));
        report.staged = staged.map_err(|error| file.failed(&error))?;
        add_notes(&mut report, &times, &counts);
        let mixed = units.iter().zip(&names).filter_map(|(it, name)| {
            let (last, other) = (it.unit.as_ref()?, it.other.as_ref()?);
            Some(format!("{name} is in {other} and in {last} in the file"))
        });
        report.mixed_units = mixed.collect();
        Ok(report)
    }
}

/// Whether a row was staged, or why not and because of which cell; errors are the staged file's.
type Taken<'r> = Result<Result<(), (SkipReason, ValueRef<'r>)>, StageError>;

fn add_notes(report: &mut StageReport, times: &TimeReader, counts: &NoteCounts) {
    let skipped: u64 = report.skipped.iter().map(|it| it.count).sum();
    let staged = report.staged.rows + report.staged.hours + report.staged.days;
    let repeated = report
        .read
        .saturating_sub(counts.summed_up + skipped + staged);
    report.note(
        repeated,
        "with the key and the second of a later one, which is taken",
    );
    report.note(
        counts.summed_up,
        "that the database has summed up; the hours and days are taken",
    );
    report.note(
        times.ambiguous,
        "whose time is twice in the zone, when clocks are set back: the first is taken",
    );
    report.note(
        times.nonexistent,
        "whose time does not exist in the zone, when clocks are set forward: read as an hour later",
    );
    if let Some((count, example)) = &counts.texts {
        let text = format!("whose value is a text and no number ({example})");
        report.note(*count, &text);
    }
    let text = format!("whose text is cut to {} bytes", limits::TEXT_BYTES);
    report.note(counts.shortened_texts, &text);
    let text = format!(
        "whose `meta` is no JSON object of at most {} bytes, and left out",
        limits::IMPORT_META_BYTES
    );
    report.note(counts.dropped_meta, &text);
}
