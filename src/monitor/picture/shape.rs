//! Shapes that a picture is drawn of, in pixels from its upper left corner.

use super::text::TextStyle;

/// Pixels from `left` and `top` up to and without `right` and `bottom`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelRect {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

impl PixelRect {
    pub fn new(left: i32, top: i32, right: i32, bottom: i32) -> PixelRect {
        PixelRect {
            left,
            top,
            right,
            bottom,
        }
    }

    pub fn width(&self) -> i32 {
        self.right - self.left
    }

    pub fn height(&self) -> i32 {
        self.bottom - self.top
    }

    /// Smaller by `by` on each side.
    pub fn inset(&self, by: i32) -> PixelRect {
        PixelRect::new(
            self.left + by,
            self.top + by,
            self.right - by,
            self.bottom - by,
        )
    }

    /// The part in both.
    pub fn intersection(&self, other: &PixelRect) -> PixelRect {
        PixelRect::new(
            self.left.max(other.left),
            self.top.max(other.top),
            self.right.min(other.right),
            self.bottom.min(other.bottom),
        )
    }

    pub fn is_empty(&self) -> bool {
        self.right <= self.left || self.bottom <= self.top
    }

    /// Parts of equal width side by side, which leave nothing between them.
    pub fn columns(&self, count: usize) -> Vec<PixelRect> {
        let edge = |index: usize| self.left + share(self.width(), index, count);
        let column = |index| PixelRect {
            left: edge(index),
            right: edge(index + 1),
            ..*self
        };
        (0..count).map(column).collect()
    }

    /// Parts of equal height one below the other.
    pub fn rows(&self, count: usize) -> Vec<PixelRect> {
        let edge = |index: usize| self.top + share(self.height(), index, count);
        let row = |index| PixelRect {
            top: edge(index),
            bottom: edge(index + 1),
            ..*self
        };
        (0..count).map(row).collect()
    }

    /// The upper part of `height` pixels, and the rest.
    pub fn split_top(&self, height: i32) -> (PixelRect, PixelRect) {
        let at = (self.top + height).clamp(self.top, self.bottom.max(self.top));
        let (upper, lower) = (*self, *self);
        (
            PixelRect {
                bottom: at,
                ..upper
            },
            PixelRect { top: at, ..lower },
        )
    }

    /// The upper part, and the rest of `height` pixels.
    pub fn split_bottom(&self, height: i32) -> (PixelRect, PixelRect) {
        self.split_top(self.height() - height)
    }
}

fn share(of: i32, index: usize, count: usize) -> i32 {
    of * index as i32 / count.max(1) as i32
}

/// What is put on the panel. A panel without red draws it black, one without yellow leaves it white.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Black,
    White,
    Red,
    Yellow,
    /// From 0, black, to 255, white. Areas of a level that the panel lacks are dots.
    Grey(u8),
}

#[derive(Debug, Clone, PartialEq)]
pub enum PictureShape {
    /// A filled rectangle, with corners of `radius` pixels.
    Area {
        rect: PixelRect,
        radius: i32,
        ink: Ink,
    },
    Text {
        left: i32,
        baseline: i32,
        width: i32,
        text: String,
        style: TextStyle,
        ink: Ink,
    },
    /// A line through points, `width` pixels wide.
    Line {
        points: Vec<(f32, f32)>,
        width: f32,
        ink: Ink,
    },
    /// The area between a line, whose points go to the right, and `bottom`.
    Under {
        points: Vec<(f32, f32)>,
        bottom: i32,
        ink: Ink,
    },
    /// Every `step`th pixel of a rectangle of one row or column, so many pixels at once.
    Dots {
        rect: PixelRect,
        step: i32,
        ink: Ink,
    },
}
