//! One value: its label, figure and unit, and why it is not as it should be.

use super::pen::Pen;
use crate::monitor::picture::content::{CellLevel, PictureCell};
use crate::monitor::picture::shape::{Ink, PixelRect};
use crate::monitor::picture::text::TextStyle;

/// Lines of a value that is text.
const WORD_LINES: i32 = 3;
/// Of the height of figures, in hundredths: a unit, and the space before it.
const UNIT_PERCENT: i32 = 42;
const UNIT_SPACE_PERCENT: i32 = 24;
/// Below so many heights of a label, a cell has a small label; of two lines it may be from so many.
const LOW: i32 = 7;
const LOW_FOR_TWO: i32 = 8;

/// The label of a cell, in lines.
pub struct CellHead {
    lines: Vec<String>,
    style: TextStyle,
}

impl CellHead {
    /// In the size of labels or smaller, then in two lines, then cut.
    pub fn new(pen: &Pen<'_>, rect: &PixelRect, text: &str) -> CellHead {
        let sizes = pen.sizes;
        let width = inner(pen, rect).width();
        let small = TextStyle::regular(sizes.small);
        let usual = if rect.height() < LOW * sizes.label {
            small
        } else {
            TextStyle::regular(sizes.label)
        };
        let fits = |style: &TextStyle| pen.width(text, *style) <= width;
        let style = [usual, small].into_iter().find(fits).unwrap_or(small);
        let most = if rect.height() < LOW_FOR_TWO * sizes.small {
            1
        } else {
            2
        };
        CellHead {
            lines: pen.wrap(text, style, width, most),
            style,
        }
    }

    /// From the first capitals to what stands below.
    pub fn height(&self) -> i32 {
        let more = (self.lines.len() as i32 - 1).max(0);
        self.style.capital + more * self.style.line_height() + gap(self.style.capital)
    }
}

/// How a cell is filled.
pub struct CellPlan {
    inner: PixelRect,
    head: CellHead,
    /// Of the labels of all cells of a row.
    head_height: i32,
    /// Height of capitals of the figure.
    pub figure: i32,
    /// The value in lines; a number has one.
    lines: Vec<String>,
    /// How far it reaches above figures, and below the baseline.
    rise: i32,
    fall: i32,
    unit: Option<String>,
    words: Vec<String>,
    words_style: TextStyle,
    /// What letters below the last baseline lack to the edge of an inverted cell.
    below_words: i32,
}

/// Sizes of a cell, the figure at most `largest` high, below labels of `head_height`.
pub fn plan(
    pen: &Pen<'_>,
    rect: &PixelRect,
    cell: &PictureCell,
    largest: i32,
    head_height: i32,
) -> CellPlan {
    let sizes = pen.sizes;
    let inner = inner(pen, rect);
    let small = TextStyle::regular(sizes.small);
    let head = CellHead::new(pen, rect, &cell.label);
    let below_head = inner.height() - head_height;
    let below_words = if is_filled(cell.level) {
        let down = rect.bottom - inner.bottom - edge(pen);
        (small.descent() - down).max(0)
    } else {
        0
    };
    let for_words = sizes.small + gap(sizes.small) + below_words;
    // In place of the unit where there is no room below.
    let has_room = below_head - for_words >= sizes.small;
    let (unit, words) = match (&cell.words, has_room) {
        (Some(_), false) if cell.is_scaled => (cell.unit.clone(), None),
        (Some(words), false) => (Some(words.clone()), None),
        (words, _) => (cell.unit.clone(), words.clone()),
    };
    let room = below_head - if words.is_some() { for_words } else { 0 };
    let mut plan = CellPlan {
        inner,
        head,
        head_height,
        figure: largest.min(room).max(sizes.small),
        lines: vec![cell.value.clone()],
        rise: 0,
        fall: 0,
        unit,
        words: Vec::new(),
        words_style: small,
        below_words,
    };
    let below = if words.is_some() { gap(sizes.small) } else { 0 };
    plan.keep_within(pen, cell, room, below);
    let style = figure_style(cell.level, plan.figure);
    if cell.is_word && pen.width(&cell.value, style) > inner.width() {
        plan.wrap(pen, cell, room);
    } else {
        plan.shrink(pen, cell);
    }
    plan.reach(pen, cell);
    if let Some(words) = words {
        let spare =
            plan.spare(cell.level) + plan.fall - plan.to_words() - small.capital - below_words;
        let most = (spare + small.line_height()).div_euclid(small.line_height());
        plan.words = pen.wrap(&words, small, inner.width(), most.clamp(0, 2) as usize);
    }
    plan
}

/// What is left of a cell within its margins.
fn inner(pen: &Pen<'_>, rect: &PixelRect) -> PixelRect {
    let across = pen.sizes.margin;
    let down = across.min(rect.height() / 9);
    PixelRect::new(
        rect.left + across,
        rect.top + down,
        rect.right - across,
        rect.bottom - down,
    )
}

impl CellPlan {
    /// Makes room for accents, and for what hangs deeper than the `below` pixels that are free there.
    fn keep_within(&mut self, pen: &Pen<'_>, cell: &PictureCell, room: i32, below: i32) {
        self.reach(pen, cell);
        let height = |it: &CellPlan| {
            it.figure + it.rise + (it.fall + clear_above(it.words_style) - below).max(0)
        };
        let beyond = height(self) - room;
        if beyond > 0 {
            // What stands above and below is in proportion, but for pixels.
            let less = beyond * self.figure / (self.figure + self.rise + self.fall);
            self.figure = (self.figure - (less - 2).max(0)).max(pen.sizes.small);
            self.reach(pen, cell);
        }
        while height(self) > room && self.figure > pen.sizes.small {
            self.figure -= 1;
            self.reach(pen, cell);
        }
    }

    fn reach(&mut self, pen: &Pen<'_>, cell: &PictureCell) {
        let style = figure_style(cell.level, self.figure);
        let (above, below) = pen.extent(&cell.value, style);
        let unit = self.unit.as_deref().unwrap_or_default();
        let (_, below_unit) = pen.extent(unit, unit_style(pen, self.figure));
        self.rise = (above - self.figure).max(0);
        self.fall = below.max(below_unit);
    }

    /// Makes a text smaller until it fits in lines; what is still too long is cut.
    fn wrap(&mut self, pen: &Pen<'_>, cell: &PictureCell, room: i32) {
        // Nothing stands beside it.
        self.unit = None;
        let least = pen.sizes.label.min(self.figure);
        let mut next = self.figure;
        loop {
            let capital = next.max(least);
            next = capital - (capital / 16).max(1);
            let style = figure_style(cell.level, capital);
            let beyond = (self.rise + self.fall) * capital / self.figure.max(1) + 1;
            let more = (room - capital - beyond) / style.line_height();
            let most = (more + 1).clamp(1, WORD_LINES) as usize;
            let lines = pen.wrap(&cell.value, style, self.inner.width(), most);
            // A word is not broken for the sake of size.
            let is_whole = lines.join(" ") == cell.value;
            let fits = |line: &String| pen.width(line, style) <= self.inner.width();
            if (is_whole && lines.iter().all(fits)) || capital == least {
                self.figure = capital;
                self.lines = lines;
                return;
            }
        }
    }

    /// Makes figures smaller until they and the unit fit, then leaves the unit out, then makes them as small as need be.
    /// A number that was scaled means nothing without its unit.
    fn shrink(&mut self, pen: &Pen<'_>, cell: &PictureCell) {
        let largest = self.figure;
        let width = self.inner.width();
        let beside = self.unit.take();
        let other = cell
            .unit
            .clone()
            .filter(|unit| Some(unit) != beside.as_ref());
        let others = if cell.is_scaled {
            Vec::new()
        } else {
            vec![other, None]
        };
        for unit in std::iter::once(beside).chain(others) {
            self.unit = unit;
            self.figure = pen.fit(largest, width, &|figure| self.width(pen, cell, figure));
            if self.width(pen, cell, self.figure) <= width {
                break;
            }
        }
        if self.width(pen, cell, self.figure) > width {
            let figure_width = |figure| self.width(pen, cell, figure);
            self.figure = pen.fit_whole(self.figure, width, &figure_width);
        }
    }

    fn width(&self, pen: &Pen<'_>, cell: &PictureCell, figure: i32) -> i32 {
        value_width(pen, cell, self.unit.as_deref(), figure)
    }

    /// Whether it says why the cell has its level.
    fn says_words(&self, cell: &PictureCell) -> bool {
        !self.words.is_empty() || (cell.words.is_some() && self.unit == cell.words)
    }

    /// From the baseline of the value to the capitals of its words.
    fn to_words(&self) -> i32 {
        gap(self.words_style.capital).max(self.fall + clear_above(self.words_style))
    }

    /// What labels, value and words leave of the cell's height.
    pub fn spare(&self, level: CellLevel) -> i32 {
        let more = self.lines.len() as i32 - 1;
        let more = more * figure_style(level, self.figure).line_height();
        let value = self.rise + self.figure + more;
        let style = self.words_style;
        let words = match self.words.len() as i32 {
            0 => self.fall,
            lines => {
                let more = (lines - 1) * style.line_height() + self.below_words;
                self.to_words() + style.capital + more
            }
        };
        let used = self.head_height + value + words;
        self.inner.height() - used
    }
}

/// Draws a cell as planned, `down` pixels below its upper margin, from its left edge or in its middle.
pub fn draw(
    pen: &mut Pen<'_>,
    rect: &PixelRect,
    cell: &PictureCell,
    plan: &CellPlan,
    down: i32,
    centred: bool,
) {
    let ink = background(pen, rect, cell.level);
    if cell.level == CellLevel::Stale && !plan.says_words(cell) {
        pen.dotted_frame(&rect.inset(edge(pen)));
    }
    let inner = plan.inner;
    let left_of = |width: i32| {
        inner.left
            + if centred {
                (inner.width() - width) / 2
            } else {
                0
            }
    };
    let put = |pen: &mut Pen<'_>, text: &str, style: TextStyle, baseline: i32| {
        let left = left_of(pen.width(text, style));
        pen.text(text, style, ink, left, baseline);
    };
    let head = &plan.head;
    // Labels of one line stand above their value, the values of a row on one line.
    let mut baseline = inner.top + down + plan.head_height - head.height() + head.style.capital;
    for line in &head.lines {
        put(pen, line, head.style, baseline);
        baseline += head.style.line_height();
    }
    baseline = inner.top + down + plan.head_height + plan.rise + plan.figure;
    let style = figure_style(cell.level, plan.figure);
    if let ([value], Some(unit)) = (plan.lines.as_slice(), &plan.unit) {
        let end = pen.text(
            value,
            style,
            ink,
            left_of(plan.width(pen, cell, plan.figure)),
            baseline,
        );
        let unit_left = end + unit_space(plan.figure);
        pen.text(unit, unit_style(pen, plan.figure), ink, unit_left, baseline);
    } else {
        for (index, line) in plan.lines.iter().enumerate() {
            baseline += if index > 0 { style.line_height() } else { 0 };
            put(pen, line, style, baseline);
        }
    }
    let style = plan.words_style;
    baseline += plan.to_words() + style.capital;
    for line in &plan.words {
        put(pen, line, style, baseline);
        baseline += style.line_height();
    }
}

/// Whether a cell is inverted.
pub fn is_filled(level: CellLevel) -> bool {
    matches!(level, CellLevel::Warn | CellLevel::Bad)
}

/// Inverts what is not as it should be; the ink of what is drawn on it.
pub fn background(pen: &mut Pen<'_>, rect: &PixelRect, level: CellLevel) -> Ink {
    let (fill, ink) = match level {
        CellLevel::Normal | CellLevel::Stale => return Ink::Black,
        CellLevel::Warn if pen.colour.has_yellow() => (Ink::Yellow, Ink::Black),
        CellLevel::Bad if pen.colour.has_red() => (Ink::Red, Ink::White),
        CellLevel::Warn | CellLevel::Bad => (Ink::Black, Ink::White),
    };
    pen.area(rect.inset(edge(pen)), pen.sizes.margin / 2, fill);
    ink
}

/// Around an inverted cell, in pixels.
pub fn edge(pen: &Pen<'_>) -> i32 {
    (pen.sizes.margin / 3).max(1)
}

/// A stale value is not bold.
pub fn figure_style(level: CellLevel, capital: i32) -> TextStyle {
    match level {
        CellLevel::Stale => TextStyle::regular(capital),
        CellLevel::Normal | CellLevel::Warn | CellLevel::Bad => TextStyle::bold(capital),
    }
}

/// Of value and unit side by side, in pixels.
pub fn value_width(pen: &Pen<'_>, cell: &PictureCell, unit: Option<&str>, figure: i32) -> i32 {
    let value = pen.width(&cell.value, figure_style(cell.level, figure));
    let unit = unit.map_or(0, |unit| {
        pen.width(unit, unit_style(pen, figure)) + unit_space(figure)
    });
    value + unit
}

/// Of the unit beside figures so high.
pub fn unit_style(pen: &Pen<'_>, figure: i32) -> TextStyle {
    let capital = (figure * UNIT_PERCENT / 100).max(pen.sizes.small);
    TextStyle::regular(capital.min(figure))
}

pub fn unit_space(figure: i32) -> i32 {
    (figure * UNIT_SPACE_PERCENT / 100).max(3)
}

/// Below a baseline, up to the next capitals.
fn gap(capital: i32) -> i32 {
    (capital * 4 / 5).max(4)
}

/// Above capitals, for accents.
fn clear_above(style: TextStyle) -> i32 {
    style.ascent() - style.capital
}
