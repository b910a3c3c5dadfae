//! Adds shapes to a picture: texts by their edges, rules, areas.

use crate::monitor::picture::panel_colour::PanelColour;
use crate::monitor::picture::shape::{Ink, PictureShape, PixelRect};
use crate::monitor::picture::text::{TextStyle, Typesetter};

/// Sizes that follow from the panel's, in pixels.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// Height of capitals of labels.
    pub label: i32,
    /// Of what is secondary.
    pub small: i32,
    /// From the edge of the picture and of a cell.
    pub margin: i32,
    /// Thickness of rules.
    pub rule: i32,
}

/// Heights of capitals below which text cannot be read.
const LEAST_CAPITAL: i32 = 7;
/// Pixels of a picture's side (square root of its area) for each of a label's capitals.
const SIDE_OF_LABEL: f32 = 41.0;

impl Sizes {
    pub fn of(page: &PixelRect) -> Sizes {
        let side = (page.width() as f32 * page.height() as f32).sqrt();
        let narrow = page.width().min(page.height()) as f32 / 16.0;
        let label = (side / SIDE_OF_LABEL).min(narrow.max(8.0)).round() as i32;
        let label = label.max(LEAST_CAPITAL);
        Sizes {
            label,
            small: (label * 3 / 4).max(LEAST_CAPITAL),
            margin: (label * 9 / 10).max(4),
            rule: (label / 14).max(1),
        }
    }
}

pub struct Pen<'a> {
    typesetter: &'a Typesetter<'a>,
    pub shapes: Vec<PictureShape>,
    pub colour: PanelColour,
    pub sizes: Sizes,
}

impl<'a> Pen<'a> {
    pub fn new(typesetter: &'a Typesetter<'a>, colour: PanelColour, sizes: Sizes) -> Pen<'a> {
        Pen {
            typesetter,
            shapes: Vec::new(),
            colour,
            sizes,
        }
    }

    pub fn width(&self, text: &str, style: TextStyle) -> i32 {
        self.typesetter.width(text, style)
    }

    /// How far letters reach above the baseline and below it.
    pub fn extent(&self, text: &str, style: TextStyle) -> (i32, i32) {
        self.typesetter.extent(text, style)
    }

    pub fn wrap(&self, text: &str, style: TextStyle, width: i32, lines: usize) -> Vec<String> {
        self.typesetter.wrap(text, style, width, lines)
    }

    /// The largest height of capitals, up to `largest`, with which what `width_of` measures is at most `most`
    /// pixels wide; that of small text if none is.
    pub fn fit(&self, largest: i32, most: i32, width_of: &dyn Fn(i32) -> i32) -> i32 {
        self.fit_from(self.sizes.small, largest, most, width_of)
    }

    /// The same without a least height, for numbers: one that is cut reads as another number.
    pub fn fit_whole(&self, largest: i32, most: i32, width_of: &dyn Fn(i32) -> i32) -> i32 {
        self.fit_from(1, largest, most, width_of)
    }

    fn fit_from(&self, least: i32, largest: i32, most: i32, width_of: &dyn Fn(i32) -> i32) -> i32 {
        let least = least.min(largest);
        let width = width_of(largest);
        if width <= most {
            return largest;
        }
        // Widths are in proportion, but for pixels.
        let guess = largest * most.max(0) / width.max(1) + 2;
        let tried = (least..=guess.min(largest)).rev();
        let mut fitting = tried.filter(|capital| width_of(*capital) <= most);
        fitting.next().unwrap_or(least)
    }

    pub fn shorten(&self, text: &str, style: TextStyle, width: i32) -> String {
        self.typesetter.shorten(text, style, width)
    }

    /// Text from `left`; where it ends.
    pub fn text(
        &mut self,
        text: &str,
        style: TextStyle,
        ink: Ink,
        left: i32,
        baseline: i32,
    ) -> i32 {
        let width = self.width(text, style);
        if !text.trim().is_empty() {
            self.shapes.push(PictureShape::Text {
                left,
                baseline,
                width,
                text: text.to_owned(),
                style,
                ink,
            });
        }
        left + width
    }

    /// Text that ends at `right`; where it begins.
    pub fn text_to(
        &mut self,
        text: &str,
        style: TextStyle,
        ink: Ink,
        right: i32,
        baseline: i32,
    ) -> i32 {
        let left = right - self.width(text, style);
        self.text(text, style, ink, left, baseline);
        left
    }

    pub fn centred(&mut self, text: &str, style: TextStyle, ink: Ink, middle: i32, baseline: i32) {
        let left = middle - self.width(text, style) / 2;
        self.text(text, style, ink, left, baseline);
    }

    pub fn area(&mut self, rect: PixelRect, radius: i32, ink: Ink) {
        if !rect.is_empty() {
            self.shapes.push(PictureShape::Area { rect, radius, ink });
        }
    }

    /// A rule over the width of a rectangle, without its margins.
    pub fn rule_across(&mut self, within: &PixelRect, y: i32) {
        let (margin, rule) = (self.sizes.margin, self.sizes.rule);
        let rect = PixelRect::new(within.left + margin, y, within.right - margin, y + rule);
        self.area(rect, 0, self.rule_ink());
    }

    pub fn rule_down(&mut self, within: &PixelRect, x: i32) {
        let (margin, rule) = (self.sizes.margin, self.sizes.rule);
        let rect = PixelRect::new(x, within.top + margin, x + rule, within.bottom - margin);
        self.area(rect, 0, self.rule_ink());
    }

    /// Dots over the width of a rectangle.
    pub fn dots_across(&mut self, left: i32, right: i32, y: i32) {
        let rule = self.sizes.rule;
        self.dots(PixelRect::new(left, y, right, y + rule));
    }

    pub fn dots(&mut self, rect: PixelRect) {
        let step = 4 * self.sizes.rule;
        let ink = Ink::Black;
        if !rect.is_empty() {
            self.shapes.push(PictureShape::Dots { rect, step, ink });
        }
    }

    /// A dotted frame: what is in it is not up to date, and there is no room to say so.
    pub fn dotted_frame(&mut self, rect: &PixelRect) {
        let rule = self.sizes.rule;
        let PixelRect {
            left,
            top,
            right,
            bottom,
        } = *rect;
        for side in [
            PixelRect::new(left, top, right, top + rule),
            PixelRect::new(left, bottom - rule, right, bottom),
            PixelRect::new(left, top, left + rule, bottom),
            PixelRect::new(right - rule, top, right, bottom),
        ] {
            self.dots(side);
        }
    }

    /// Of rules between cells: lighter than text where the panel can, a level of 2, 4 and 8 bits.
    fn rule_ink(&self) -> Ink {
        if self.colour.has_grey() {
            Ink::Grey(170)
        } else {
            Ink::Black
        }
    }
}
