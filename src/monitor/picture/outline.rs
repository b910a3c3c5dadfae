//! Outlines of glyphs, fitted to the grid of pixels: stems are whole pixels wide and begin at a pixel, letters
//! stand on the baseline and reach the same heights. Text of one bit is crisp by that alone.

use ab_glyph_rasterizer::{Point, Rasterizer, point};
use ttf_parser::OutlineBuilder;

/// Heights that letters share, in units: from, to (round letters reach over), and what both become.
const ZONES: [(f32, f32, f32); 5] = [
    (-450.0, -400.0, -426.0),
    (-40.0, 0.0, 0.0),
    (1120.0, 1150.0, 1120.0),
    (1493.0, 1525.0, 1493.0),
    (1550.0, 1570.0, 1556.0),
];
/// Straight pieces shorter than this are corners, in units.
const SHORTEST_EDGE: f32 = 50.0;
/// Pieces of one edge, apart in units.
const SAME_EDGE: f32 = 8.0;
/// Stems of capitals and small letters differ so much from the usual, and are drawn alike.
const SAME_STEM: f32 = 0.13;
const WIDEST_STEM: f32 = 2.0;

enum Piece {
    Move(Point),
    Line(Point),
    Curve(Point, Point),
}

pub struct GlyphOutline {
    pieces: Vec<Piece>,
}

/// A straight edge of the outline along one axis.
struct Edge {
    at: f32,
    /// Along the other axis.
    from: f32,
    to: f32,
    /// Ink is on the side of greater numbers.
    begins: bool,
}

/// Two edges with ink between them.
struct Stem {
    from: f32,
    to: f32,
    length: f32,
}

/// What an edge is moved to: from units to pixels.
type Anchor = (f32, f32);

impl GlyphOutline {
    pub fn new() -> GlyphOutline {
        GlyphOutline { pieces: Vec::new() }
    }

    /// The box of a missing glyph, of `advance` and `height` units.
    pub fn missing_box(&mut self, advance: f32, height: f32) {
        let side = 120.0;
        let mut ring = |inset: f32, turn: bool| {
            let (left, right) = (side + inset, advance - side - inset);
            let (bottom, top) = (inset, height - inset);
            let mut corners = [(left, bottom), (left, top), (right, top), (right, bottom)];
            if turn {
                corners.reverse();
            }
            let [first, ..] = corners;
            self.move_to(first.0, first.1);
            for (x, y) in corners.into_iter().skip(1).chain([first]) {
                self.line_to(x, y);
            }
        };
        ring(0.0, false);
        ring(120.0, true);
    }

    /// From units to pixels; `standard` is the usual width of stems, in units.
    pub fn fit(&mut self, scale: f32, standard: f32) {
        let across = anchors(&stems(&self.edges(Axis::X), standard), scale, standard);
        let edges = self.edges(Axis::Y);
        let zones = zone_anchors(&edges, scale);
        let upward = stems_at_zones(zones, &stems(&edges, standard), scale, standard);
        for piece in &mut self.pieces {
            let points: &mut [&mut Point] = match piece {
                Piece::Move(at) | Piece::Line(at) => &mut [at],
                Piece::Curve(control, at) => &mut [control, at],
            };
            for at in points {
                **at = point(moved(at.x, &across, scale), -moved(at.y, &upward, scale));
            }
        }
    }

    /// Left, top, right and bottom, in whole pixels; None without ink.
    pub fn bounds(&self) -> Option<(i32, i32, i32, i32)> {
        let mut bounds: Option<(f32, f32, f32, f32)> = None;
        for piece in &self.pieces {
            let points: &[Point] = match piece {
                Piece::Move(at) | Piece::Line(at) => &[*at],
                Piece::Curve(control, at) => &[*control, *at],
            };
            for at in points {
                let (left, top, right, bottom) = bounds.unwrap_or((at.x, at.y, at.x, at.y));
                bounds = Some((
                    left.min(at.x),
                    top.min(at.y),
                    right.max(at.x),
                    bottom.max(at.y),
                ));
            }
        }
        let (left, top, right, bottom) = bounds?;
        Some((
            left.floor() as i32,
            top.floor() as i32,
            right.ceil() as i32,
            bottom.ceil() as i32,
        ))
    }

    /// Calls `put` with x, y and the share of each pixel that is covered, in rows `from` to `to` alone.
    pub fn rasterise(&self, from: i32, to: i32, mut put: impl FnMut(i32, i32, f32)) {
        let Some((left, top, right, bottom)) = self.bounds() else {
            return;
        };
        let (top, bottom) = (top.max(from), bottom.min(to));
        if top >= bottom {
            return;
        }
        // A column more at each side: sums of slopes may be a hair outside.
        let left = left - 1;
        let place = |at: &Point| point(at.x - left as f32, at.y - top as f32);
        let mut rasterizer = Rasterizer::new((right - left) as usize + 2, (bottom - top) as usize);
        let mut last = point(0.0, 0.0);
        for piece in &self.pieces {
            last = match piece {
                Piece::Move(at) => place(at),
                Piece::Line(at) => {
                    rasterizer.draw_line(last, place(at));
                    place(at)
                }
                Piece::Curve(control, at) => {
                    rasterizer.draw_quad(last, place(control), place(at));
                    place(at)
                }
            };
        }
        rasterizer.for_each_pixel_2d(|x, y, share| {
            if share > 0.01 {
                put(left + x as i32, top + y as i32, share.min(1.0));
            }
        });
    }

    /// Edges along an axis, pieces of one edge joined, by their place.
    fn edges(&self, axis: Axis) -> Vec<Edge> {
        let mut edges: Vec<Edge> = Vec::new();
        let mut last = point(0.0, 0.0);
        for piece in &self.pieces {
            let (steps, end): (&[Point], Point) = match piece {
                Piece::Move(at) => (&[], *at),
                Piece::Line(at) => (&[*at], *at),
                Piece::Curve(control, at) => (&[*control, *at], *at),
            };
            for next in steps {
                if let Some(edge) = axis.edge(last, *next) {
                    edges.push(edge);
                }
                last = *next;
            }
            last = end;
        }
        edges.sort_by(|a, b| a.at.total_cmp(&b.at));
        let mut joined: Vec<Edge> = Vec::new();
        for edge in edges {
            let same = joined.iter_mut().rev().find(|it| {
                it.begins == edge.begins
                    && edge.at - it.at <= SAME_EDGE
                    && edge.from <= it.to + SHORTEST_EDGE
                    && it.from <= edge.to + SHORTEST_EDGE
            });
            match same {
                Some(same) => {
                    same.from = same.from.min(edge.from);
                    same.to = same.to.max(edge.to);
                }
                None => joined.push(edge),
            }
        }
        joined
    }
}

impl OutlineBuilder for GlyphOutline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.pieces.push(Piece::Move(point(x, y)));
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.pieces.push(Piece::Line(point(x, y)));
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let (control, at) = (point(x1, y1), point(x, y));
        self.pieces.push(Piece::Curve(control, at));
    }

    // Not in fonts with a table of glyf.
    fn curve_to(&mut self, _: f32, _: f32, _: f32, _: f32, x: f32, y: f32) {
        self.line_to(x, y);
    }

    // Contours end where they began.
    fn close(&mut self) {}
}

/// Across which edges lie: an edge on X is vertical.
#[derive(Clone, Copy)]
enum Axis {
    X,
    Y,
}

impl Axis {
    /// Outer contours of TrueType run clockwise: ink is on the right of what goes up, and below what goes right.
    fn edge(self, a: Point, b: Point) -> Option<Edge> {
        let (at, to, from, next, begins) = match self {
            Axis::X => (a.x, b.x, a.y, b.y, b.y > a.y),
            Axis::Y => (a.y, b.y, a.x, b.x, b.x < a.x),
        };
        let is_straight = (at - to).abs() <= 2.0 && (from - next).abs() >= SHORTEST_EDGE;
        is_straight.then(|| Edge {
            at,
            from: from.min(next),
            to: from.max(next),
            begins,
        })
    }
}

/// The stems of an axis that do not overlap, the longer ones first taken, by their place.
fn stems(edges: &[Edge], standard: f32) -> Vec<Stem> {
    let mut found: Vec<Stem> = Vec::new();
    for begin in edges.iter().filter(|it| it.begins) {
        let end = edges.iter().find(|end| {
            !end.begins && end.at > begin.at && end.from < begin.to && begin.from < end.to
        });
        if let Some(end) = end
            && end.at - begin.at <= standard * WIDEST_STEM
        {
            found.push(Stem {
                from: begin.at,
                to: end.at,
                length: (end.to - end.from).min(begin.to - begin.from),
            });
        }
    }
    found.sort_by(|a, b| b.length.total_cmp(&a.length));
    let mut kept: Vec<Stem> = Vec::new();
    for stem in found {
        if kept
            .iter()
            .all(|it| stem.to <= it.from || it.to <= stem.from)
        {
            kept.push(stem);
        }
    }
    kept.sort_by(|a, b| a.from.total_cmp(&b.from));
    kept
}

/// Whole pixels of a stem.
fn thickness(stem: &Stem, scale: f32, standard: f32) -> f32 {
    let width = stem.to - stem.from;
    let is_usual = (width / standard - 1.0).abs() <= SAME_STEM;
    let width = if is_usual { standard } else { width };
    (width * scale).round().max(1.0)
}

/// Each stem at the pixel next to its place, one pixel at least from the one before.
fn anchors(stems: &[Stem], scale: f32, standard: f32) -> Vec<Anchor> {
    let mut anchors: Vec<Anchor> = Vec::new();
    for stem in stems {
        let width = thickness(stem, scale, standard);
        let middle = (stem.from + stem.to) / 2.0 * scale;
        let least = anchors.last().map_or(f32::MIN, |last| last.1 + 1.0);
        let left = (middle - width / 2.0).round().max(least);
        anchors.extend([(stem.from, left), (stem.to, left + width)]);
    }
    anchors
}

/// Edges at heights that letters share.
fn zone_anchors(edges: &[Edge], scale: f32) -> Vec<Anchor> {
    let mut anchors: Vec<Anchor> = Vec::new();
    for edge in edges {
        let zone = ZONES
            .iter()
            .find(|(from, to, _)| (*from..=*to).contains(&edge.at));
        if let Some((_, _, height)) = zone {
            anchors.push((edge.at, (height * scale).round()));
        }
    }
    anchors
}

/// Those, and stems: from their edge at such a height, or else at the pixel next to their place.
fn stems_at_zones(zones: Vec<Anchor>, stems: &[Stem], scale: f32, standard: f32) -> Vec<Anchor> {
    let at_zone = |at: f32| zones.iter().find(|zone| zone.0 == at).map(|zone| zone.1);
    let mut anchors: Vec<Anchor> = Vec::new();
    for stem in stems {
        let width = thickness(stem, scale, standard);
        let middle = (stem.from + stem.to) / 2.0 * scale;
        let (from, to) = match (at_zone(stem.from), at_zone(stem.to)) {
            (Some(from), _) => (from, from + width),
            // Not so thick that it lies on what is below it: the dot of an i.
            (None, Some(to)) => {
                let below = zones.iter().filter(|zone| zone.0 < stem.from);
                let least = below.map(|zone| zone.1 + 1.0).fold(f32::MIN, f32::max);
                ((to - width).max(least).min(to - 1.0), to)
            }
            (None, None) => {
                let from = (middle - width / 2.0).round();
                (from, from + width)
            }
        };
        anchors.extend([(stem.from, from), (stem.to, to)]);
    }
    anchors.extend(zones);
    anchors.sort_by(|a, b| a.0.total_cmp(&b.0));
    anchors.dedup_by(|a, b| a.0 == b.0);
    // What is above stays above.
    let mut highest = f32::MIN;
    for anchor in &mut anchors {
        highest = highest.max(anchor.1);
        anchor.1 = highest;
    }
    anchors
}

/// From units to pixels: between two anchors in proportion, outside by the nearest.
fn moved(at: f32, anchors: &[Anchor], scale: f32) -> f32 {
    let above = anchors.partition_point(|anchor| anchor.0 <= at);
    let below = above.checked_sub(1).and_then(|index| anchors.get(index));
    match (below, anchors.get(above)) {
        (Some(low), Some(high)) => {
            low.1 + (at - low.0) * (high.1 - low.1) / (high.0 - low.0).max(1.0)
        }
        (Some(near), None) | (None, Some(near)) => near.1 + (at - near.0) * scale,
        (None, None) => at * scale,
    }
}
