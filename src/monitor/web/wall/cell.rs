//! Cells of the wall page: label, value and what is wrong with it, as SVG in the units of the
//! label's font, ten to an em.

use maud::{Markup, html};

use super::super::fitted_text::{Weight, fitting_size, width, wrap};
use crate::domain::presentation::ShownValue;
use crate::monitor::web::PageContext;
use crate::monitor::web::severity::{ValueSeverity, severity};
use crate::monitor::web::shown_keys::{ShownKey, words};

const LABEL_SIZE: f64 = 10.0;
const LABEL_LINE: f64 = 11.0;
const WORDS_SIZE: f64 = 9.0;
const WORDS_LINE: f64 = 11.0;
/// The unit's size as a share of the figure's: at least, and at most where there is room.
const UNIT: (f64, f64) = (0.28, 0.5);
/// The gap before it.
const UNIT_GAP: f64 = 0.14;
/// The figure's size as a share of the cell's width: at most, and at least while it fits.
const FIGURE: (f64, f64) = (0.3, 0.2);

/// What a cell shows.
pub struct CellContent {
    label: String,
    value: ShownValue,
    severity: ValueSeverity,
    /// What is wrong, in words.
    words: Option<String>,
}

pub fn content(view: &PageContext, shown: &ShownKey) -> CellContent {
    let record = match shown {
        ShownKey::Record(record) => record,
        ShownKey::Missing(key) => {
            return CellContent {
                label: view.plan.full_label(key),
                value: ShownValue {
                    text: "–".to_owned(),
                    unit: None,
                    is_word: false,
                },
                severity: ValueSeverity::Stale,
                words: Some("no value yet".to_owned()),
            };
        }
    };
    CellContent {
        label: view.plan.full_label(&record.key),
        value: view.plan.number_format(record).value(&record.value),
        words: words(view, record),
        severity: severity(view, record),
    }
}

/// The sizes that all cells of a page have in common.
pub struct CellLayout {
    /// Columns and rows on a wide screen; a high one has them swapped.
    pub grid: (usize, usize),
    width: f64,
    label_lines: usize,
    figure: f64,
    has_words: bool,
}

impl CellLayout {
    pub fn of(cells: &[CellContent]) -> CellLayout {
        let grid = grid(cells.len());
        // So that a label is at least 3 % of the screen's width high.
        let width = match grid.0 {
            1 => 150.0,
            2 => 108.0,
            3 => 92.0,
            4 => 70.0,
            5 => 56.0,
            _ => 46.0,
        };
        let label_lines = cells.iter().map(|it| label(it, width).1.len()).max();
        // Longer values are written smaller than the others.
        let figures = cells.iter().map(|it| figure_size(it, width));
        let common = figures.filter(|size| *size >= width * FIGURE.1);
        let figure = common.fold(width * FIGURE.0, f64::min);
        CellLayout {
            grid,
            width,
            label_lines: label_lines.unwrap_or(1),
            figure,
            has_words: cells.iter().any(|it| it.words.is_some()),
        }
    }

    pub fn cell(&self, content: &CellContent) -> Markup {
        let above_figure = LABEL_LINE * self.count(self.label_lines);
        let words_line = if self.has_words { WORDS_LINE } else { 0.0 };
        let height = above_figure + self.figure * 1.15 + words_line;
        let (size, label) = label(content, self.width);
        // A short label stands at its value.
        let first = self.label_lines.saturating_sub(label.len());
        let view_box = format!("0 0 {:.0} {height:.1}", self.width);
        html! {
            li class=(format!("cell {}", content.severity.class())) {
                svg role="img" aria-label=(spoken(content)) viewBox=(view_box)
                    preserveAspectRatio="xMinYMid meet" {
                    @for (at, line) in (first..).zip(&label) {
                        (text("label", LABEL_LINE * self.count(at) + 8.5, size, line))
                    }
                    (self.figure(content, above_figure))
                    @if let Some(words) = &content.words {
                        (text("words", height - 2.0, fitting_size(words, Weight::Bold, self.width, WORDS_SIZE), words))
                    }
                }
            }
        }
    }

    /// The value, with its unit small beside it; a text that is too long for one line in two.
    fn figure(&self, content: &CellContent, top: f64) -> Markup {
        let value = &content.value;
        let size = figure_size(content, self.width).min(self.figure);
        let baseline = top + self.figure * 0.95;
        if value.is_word && size < self.figure * 0.6 {
            let size = self.figure * 0.5;
            let lines = wrap(&value.text, Weight::Bold, self.width / size, 2);
            return html! {
                @for (at, line) in lines.iter().enumerate() {
                    (text("figure", top + size * (1.0 + 1.15 * self.count(at)), size, line))
                }
            };
        }
        let unit = value.unit.as_ref().map(|unit| {
            let gap = size * UNIT_GAP;
            let room = self.width - width(&value.text, Weight::Bold) * size - gap;
            let size = fitting_size(unit, Weight::Regular, room, size * UNIT.1);
            (unit, gap, size)
        });
        html! {
            text class="figure" x="0" y=(format!("{baseline:.1}")) font-size=(format!("{size:.1}")) {
                (value.text)
                @if let Some((unit, gap, size)) = unit {
                    tspan class="unit" dx=(format!("{gap:.1}")) font-size=(format!("{size:.1}")) { (unit) }
                }
            }
        }
    }

    /// A number of lines, for reckoning with sizes.
    fn count(&self, lines: usize) -> f64 {
        lines.min(2) as f64
    }
}

/// The lines of the label and their size, smaller where it is long.
fn label(content: &CellContent, width: f64) -> (f64, Vec<String>) {
    let lines = |size: f64| wrap(&content.label, Weight::Regular, width / size, 2);
    let is_cut = |lines: &[String]| lines.iter().any(|line| line.ends_with('…'));
    let (usual, small) = (lines(LABEL_SIZE), LABEL_SIZE * 0.8);
    if is_cut(&usual) {
        (small, lines(small))
    } else {
        (LABEL_SIZE, usual)
    }
}

/// The size in which the value and its unit, at its smallest, fit the cell.
fn figure_size(content: &CellContent, room: f64) -> f64 {
    let value = &content.value;
    let unit = value.unit.as_ref();
    let unit = unit.map_or(0.0, |unit| UNIT_GAP + UNIT.0 * width(unit, Weight::Regular));
    let ems = (width(&value.text, Weight::Bold) + unit).max(0.1);
    room / ems
}

fn text(class: &str, baseline: f64, size: f64, text: &str) -> Markup {
    html! {
        text class=(class) x="0" y=(format!("{baseline:.1}")) font-size=(format!("{size:.1}")) { (text) }
    }
}

/// What a screen reader says.
fn spoken(content: &CellContent) -> String {
    let unit = content
        .value
        .unit
        .as_ref()
        .map_or(String::new(), |unit| format!(" {unit}"));
    let words = content
        .words
        .as_ref()
        .map_or(String::new(), |words| format!(", {words}"));
    format!("{}: {}{unit}{words}", content.label, content.value.text)
}

/// Columns and rows for so many cells, on a screen that is wider than high.
fn grid(cells: usize) -> (usize, usize) {
    match cells {
        0 | 1 => (1, 1),
        2 => (2, 1),
        3 => (3, 1),
        4 => (2, 2),
        5 | 6 => (3, 2),
        7 | 8 => (4, 2),
        9 => (3, 3),
        10..=12 => (4, 3),
        13..=16 => (4, 4),
        17..=20 => (5, 4),
        _ => (6, 4),
    }
}
