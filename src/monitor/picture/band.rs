//! A band of a picture's rows: shapes become pixels, each as the number of its colour on the panel.
//!
//! Letters and lines are never dithered: where the panel has no grey, a pixel is theirs when half of it is. Areas of
//! grey become an ordered pattern there, which needs nothing of other bands.

use super::panel_colour::PanelColour;
use super::shape::{Ink, PictureShape, PixelRect};
use super::text::Typesetter;
use crate::domain::plan::{Panel, Rotation};

pub struct PixelBand<'a> {
    panel: &'a Panel,
    colour: PanelColour,
    /// First row, of the panel.
    top: i32,
    rows: i32,
    /// A byte for each pixel.
    pixels: Vec<u8>,
    /// What it covers of the drawing.
    clip: PixelRect,
}

impl PixelBand<'_> {
    /// White, from row `top` of the panel.
    pub fn new(panel: &Panel, top: i32, rows: i32) -> PixelBand<'_> {
        let colour = PanelColour::new(panel.colours);
        let width = i32::from(panel.width);
        let (drawn_width, drawn_height) = panel.drawn_size();
        let (right, bottom) = (i32::from(drawn_width), i32::from(drawn_height));
        let clip = match panel.rotation {
            Rotation::None => PixelRect::new(0, top, right, top + rows),
            Rotation::Right => PixelRect::new(top, 0, top + rows, bottom),
            Rotation::Half => PixelRect::new(0, bottom - top - rows, right, bottom - top),
            Rotation::Left => PixelRect::new(right - top - rows, 0, right - top, bottom),
        };
        PixelBand {
            panel,
            colour,
            top,
            rows,
            pixels: vec![colour.white(); (width * rows) as usize],
            clip,
        }
    }

    /// Rows of pixels, from the upper.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, u8> {
        self.pixels.chunks_exact(usize::from(self.panel.width))
    }

    pub fn draw(&mut self, shape: &PictureShape, typesetter: &Typesetter<'_>) {
        match shape {
            PictureShape::Area { rect, radius, ink } => self.area(rect, *radius, *ink),
            PictureShape::Text { .. } => self.text(shape, typesetter),
            PictureShape::Line { points, width, ink } => self.line(points, *width, *ink),
            PictureShape::Under {
                points,
                bottom,
                ink,
            } => self.under(points, *bottom, *ink),
            PictureShape::Dots { rect, step, ink } => self.dots(rect, *step, *ink),
        }
    }

    fn area(&mut self, rect: &PixelRect, radius: i32, ink: Ink) {
        let seen = rect.intersection(&self.clip);
        for y in seen.top..seen.bottom {
            for x in seen.left..seen.right {
                let share = corner_share(rect, radius, x, y);
                if share >= 1.0 {
                    self.fill(x, y, ink);
                } else if share > 0.0 {
                    self.cover(x, y, share, ink);
                }
            }
        }
    }

    fn text(&mut self, shape: &PictureShape, typesetter: &Typesetter<'_>) {
        let PictureShape::Text {
            left,
            baseline,
            width,
            text,
            style,
            ink,
        } = shape
        else {
            return;
        };
        let (top, bottom) = (baseline - style.ascent(), baseline + style.descent());
        let reach = PixelRect::new(*left, top, left + width, bottom).inset(-style.capital);
        if reach.intersection(&self.clip).is_empty() {
            return;
        }
        let (face, clip) = (typesetter.face(style.weight), self.clip);
        typesetter.set(text, *style, |glyph, x| {
            let at = left + x;
            // No glyph is wider than three capitals are high.
            if at + 3 * style.capital < clip.left || at - style.capital > clip.right {
                return;
            }
            let outline = face.outline(glyph, style.scale());
            outline.rasterise(
                clip.top - baseline,
                clip.bottom - baseline,
                |x, y, share| {
                    self.cover(at + x, baseline + y, share, *ink);
                },
            );
        });
    }

    fn line(&mut self, points: &[(f32, f32)], width: f32, ink: Ink) {
        let reach = width / 2.0 + 1.0;
        for pair in points.windows(2) {
            let &[(x0, y0), (x1, y1)] = pair else {
                continue;
            };
            let seen = PixelRect::new(
                (x0.min(x1) - reach).floor() as i32,
                (y0.min(y1) - reach).floor() as i32,
                (x0.max(x1) + reach).ceil() as i32,
                (y0.max(y1) + reach).ceil() as i32,
            )
            .intersection(&self.clip);
            for y in seen.top..seen.bottom {
                for x in seen.left..seen.right {
                    let centre = (x as f32 + 0.5, y as f32 + 0.5);
                    let away = distance(centre, (x0, y0), (x1, y1));
                    let share = (width / 2.0 + 0.5 - away).clamp(0.0, 1.0);
                    if share > 0.0 {
                        self.cover(x, y, share, ink);
                    }
                }
            }
        }
    }

    fn under(&mut self, points: &[(f32, f32)], bottom: i32, ink: Ink) {
        for pair in points.windows(2) {
            let &[(x0, y0), (x1, y1)] = pair else {
                continue;
            };
            let columns = PixelRect::new(
                x0.round() as i32,
                y0.min(y1).floor() as i32,
                x1.round() as i32,
                bottom,
            )
            .intersection(&self.clip);
            for x in columns.left..columns.right {
                let along = ((x as f32 + 0.5 - x0) / (x1 - x0).max(0.01)).clamp(0.0, 1.0);
                let from = (y0 + along * (y1 - y0)).round() as i32;
                for y in from.max(columns.top)..columns.bottom {
                    self.fill(x, y, ink);
                }
            }
        }
    }

    fn dots(&mut self, rect: &PixelRect, step: i32, ink: Ink) {
        let seen = rect.intersection(&self.clip);
        let thickness = rect.width().min(rect.height()).max(1);
        for y in seen.top..seen.bottom {
            for x in seen.left..seen.right {
                if (x - rect.left + y - rect.top) % step.max(1) < thickness {
                    self.cover(x, y, 1.0, ink);
                }
            }
        }
    }

    /// A pixel of an area.
    fn fill(&mut self, x: i32, y: i32, ink: Ink) {
        let colour = self.colour.area(ink, x, y);
        if let Some(pixel) = self.pixel(x, y) {
            *pixel = colour;
        }
    }

    /// A pixel of a letter or line, which covers a share of it.
    fn cover(&mut self, x: i32, y: i32, share: f32, ink: Ink) {
        let colour = self.colour;
        if let Some(pixel) = self.pixel(x, y) {
            *pixel = colour.over(*pixel, ink, share);
        }
    }

    /// The pixel of the panel at a place of the drawing, if it is in this band.
    fn pixel(&mut self, x: i32, y: i32) -> Option<&mut u8> {
        let (width, height) = (i32::from(self.panel.width), i32::from(self.panel.height));
        let (x, y) = match self.panel.rotation {
            Rotation::None => (x, y),
            Rotation::Right => (width - 1 - y, x),
            Rotation::Half => (width - 1 - x, height - 1 - y),
            Rotation::Left => (y, height - 1 - x),
        };
        let row = y - self.top;
        let is_inside = (0..width).contains(&x) && (0..self.rows).contains(&row);
        let index = is_inside.then_some((row * width + x) as usize)?;
        self.pixels.get_mut(index)
    }
}

/// How much of a pixel a rectangle with round corners covers.
fn corner_share(rect: &PixelRect, radius: i32, x: i32, y: i32) -> f32 {
    let past = |at: i32, from: i32, to: i32| {
        let at = at as f32 + 0.5;
        let (from, to) = ((from + radius) as f32, (to - radius) as f32);
        (from - at).max(at - to).max(0.0)
    };
    let (across, down) = (
        past(x, rect.left, rect.right),
        past(y, rect.top, rect.bottom),
    );
    if across == 0.0 || down == 0.0 {
        return 1.0;
    }
    (radius as f32 + 0.5 - across.hypot(down)).clamp(0.0, 1.0)
}

/// From a point to a part of a line.
fn distance(at: (f32, f32), start: (f32, f32), end: (f32, f32)) -> f32 {
    let (along_x, along_y) = (end.0 - start.0, end.1 - start.1);
    let square = along_x * along_x + along_y * along_y;
    let (x, y) = (at.0 - start.0, at.1 - start.1);
    let share = if square > 0.0 {
        ((x * along_x + y * along_y) / square).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (x - share * along_x).hypot(y - share * along_y)
}
