//! What a picture shows, in words: made from the published snapshot, without pixels.
//!
//! Nothing in it changes with time alone: a picture is drawn again only when its content has changed.

use serde::Serialize;

use crate::domain::plan::PictureLayout;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureContent {
    #[serde(skip)]
    pub layout: PictureLayout,
    pub cells: Vec<PictureCell>,
    /// Of the layout `rooms`.
    pub table: Option<PictureTable>,
    pub chart: Option<PictureChart>,
    /// Sentences at the bottom, the first of which is large.
    pub footer: Vec<String>,
    /// What is wrong, in small letters.
    pub notes: Vec<String>,
    /// In place of everything else.
    pub message: Option<PictureMessage>,
}

impl PictureContent {
    /// Changes every text in it.
    pub fn change_texts(&mut self, change: &dyn Fn(&mut String)) {
        let PictureContent {
            layout: _,
            cells,
            table,
            chart,
            footer,
            notes,
            message,
        } = self;
        let in_table = table.iter_mut().flat_map(|it| &mut it.rows);
        let in_table = in_table.flat_map(|(_, cells)| cells.iter_mut().flatten());
        for cell in cells.iter_mut().chain(in_table) {
            change(&mut cell.label);
            change(&mut cell.value);
            let others = cell.unit.iter_mut().chain(&mut cell.words);
            others.for_each(change);
        }
        if let Some(table) = table {
            let rows = table.rows.iter_mut().map(|(name, _)| name);
            table.columns.iter_mut().chain(rows).for_each(change);
        }
        if let Some(chart) = chart {
            let ticks = chart.y_ticks.iter_mut().chain(&mut chart.x_ticks);
            let ticks = ticks.map(|(_, text)| text);
            ticks
                .chain([&mut chart.title])
                .chain(&mut chart.note)
                .for_each(change);
        }
        footer.iter_mut().chain(notes).for_each(change);
        if let Some(message) = message {
            change(&mut message.title);
            change(&mut message.text);
        }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureCell {
    pub label: String,
    pub value: String,
    pub unit: Option<String>,
    /// The value is text, which may be wrapped; a number is not.
    pub is_word: bool,
    /// The number is in another unit than the source's, as `MW` for `W`.
    #[serde(skip)]
    pub is_scaled: bool,
    pub level: CellLevel,
    /// Why it has its level: "since 21:39", "above 1000 ppm".
    pub words: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CellLevel {
    Normal,
    Stale,
    Warn,
    Bad,
}

/// Values by row and column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureTable {
    pub columns: Vec<String>,
    /// Name of the row, and a cell for each column.
    pub rows: Vec<(String, Vec<Option<PictureCell>>)>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureChart {
    pub title: String,
    /// Runs without a gap; x and y as shares of the plot, 0 to 1, from left and bottom.
    pub lines: Vec<Vec<(f64, f64)>>,
    /// In place of lines: of a counter, or with `chart = "bars"`.
    pub bars: Vec<PictureBar>,
    /// Where the values to come begin, as a share of the plot.
    pub forecast_from: Option<f64>,
    pub y_ticks: Vec<(f64, String)>,
    pub x_ticks: Vec<(f64, String)>,
    /// Why it is empty.
    pub note: Option<String>,
}

/// A bar of a chart, in shares of the plot, 0 to 1, from left and bottom.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureBar {
    pub left: f64,
    pub right: f64,
    /// The place of zero, and of the amount: above it, or below for a negative one.
    pub zero: f64,
    pub amount: f64,
    /// Of a whole period, without a gap in its data.
    pub is_whole: bool,
}

/// A text in place of values: no data yet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureMessage {
    pub title: String,
    pub text: String,
}

/// In the corner of every picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureTime {
    /// When it was first drawn: "22:46" or "Mon 23 Nov, 22:46".
    pub text: String,
    /// Of the device: "81 %".
    pub battery: Option<String>,
}
