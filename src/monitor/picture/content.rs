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

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureCell {
    pub label: String,
    pub value: String,
    pub unit: Option<String>,
    /// The value is text, which may be wrapped; a number is not.
    pub is_word: bool,
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
