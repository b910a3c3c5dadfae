//! State strip in SVG: what a state was, as segments with colour, pattern and word.
//!
//! Pure.

use maud::{Markup, html};

use super::ticks::{Tick, percent, tick_name};
use crate::domain::time::Wall;

/// States with a colour of their own; what is beyond them is one more.
pub const DISTINCT_STATES: usize = 8;

/// One state from one instant to another.
#[derive(Debug, Clone, PartialEq)]
pub struct StateSegment {
    pub from: Wall,
    pub to: Wall,
    /// Place in the list of states, from which its colour and pattern follow.
    pub state: usize,
}

/// How a state is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateStyle {
    /// Off, closed, idle: the quiet one.
    pub is_rest: bool,
    pub place: usize,
}

impl StateStyle {
    fn name(self) -> String {
        match self {
            StateStyle { is_rest: true, .. } => "rest".to_owned(),
            StateStyle { place, .. } => format!("s{}", place.min(DISTINCT_STATES - 1) + 1),
        }
    }

    /// The first one and the quiet one are plain.
    fn has_pattern(self) -> bool {
        !self.is_rest && self.place > 0
    }

    /// The attributes `class` and `fill`. A stylesheet cannot name a pattern of the page.
    fn class_and_fill(self) -> (Option<String>, Option<String>) {
        if self.has_pattern() {
            (None, Some(format!("url(#p-{})", self.name())))
        } else {
            (Some(self.name()), None)
        }
    }
}

pub struct StateStrip<'a> {
    pub segments: &'a [StateSegment],
    /// Word and style of each state.
    pub states: &'a [(String, StateStyle)],
    pub gaps: &'a [(Wall, Wall)],
    pub from: Wall,
    pub to: Wall,
    pub ticks: &'a [Tick],
    /// The accessible name.
    pub label: &'a str,
}

const HEIGHT: f64 = 34.0;
/// The share of the strip that a letter takes where it is narrow, and where it is wide.
const LETTER_NARROW: f64 = 0.028;
const LETTER_WIDE: f64 = 0.009;

pub fn state_strip(strip: &StateStrip) -> Markup {
    html! {
        svg class="lines states" role="img" aria-label=(strip.label) tabindex="0" width="100%"
            height="60" {
            (patterns(strip))
            g fill="url(#p-no-data)" {
                @for (from, to) in strip.gaps { (segment(strip, *from, *to)) }
            }
            @for (at, (_, style)) in strip.states.iter().enumerate() {
                @let (class, fill) = style.class_and_fill();
                g class=[class] fill=[fill] {
                    @for part in strip.segments.iter().filter(|part| part.state == at) {
                        (segment(strip, part.from, part.to))
                    }
                }
            }
            @for part in strip.segments { (word(strip, part)) }
            @for tick in strip.ticks { (tick_name(tick, share(strip, tick.at), 54.0)) }
            rect class="zoom" x="0" y="0" width="0" height=(HEIGHT) {}
            line class="cross" x1="-9" x2="-9" y1="0" y2=(HEIGHT) {}
        }
    }
}

fn segment(strip: &StateStrip, from: Wall, to: Wall) -> Markup {
    let (left, right) = (share(strip, from), share(strip, to));
    // The shortest one is still to be seen.
    let width = (right - left).max(0.001);
    html! { rect x=(percent(left)) width=(percent(width)) height=(HEIGHT) {} }
}

/// The word in a segment, where it has room.
fn word(strip: &StateStrip, part: &StateSegment) -> Markup {
    let (left, right) = (share(strip, part.from), share(strip, part.to));
    let Some((word, style)) = strip.states.get(part.state) else {
        return html! {};
    };
    let letters = word.chars().count() as f64 + 1.0;
    let class = match right - left {
        width if width >= letters * LETTER_NARROW => "word middle ",
        width if width >= letters * LETTER_WIDE => "word middle wide ",
        _ => return html! {},
    };
    // On a plain colour a word needs no outline.
    let (plain, _) = style.class_and_fill();
    let class = format!("{class}{}", plain.unwrap_or_default());
    let middle = percent(f64::midpoint(left, right));
    html! { text class=(class.trim_end()) x=(middle) y="22" { (word) } }
}

/// The patterns of the states that are shown, and that of gaps.
fn patterns(strip: &StateStrip) -> Markup {
    let styles = strip.states.iter().map(|(_, style)| *style);
    html! {
        defs {
            @for style in styles.filter(|style| style.has_pattern()) { (pattern(&style.name())) }
            @if !strip.gaps.is_empty() { (pattern("no-data")) }
        }
    }
}

/// Strokes that differ in direction and distance, so that colour is not the only sign.
fn pattern(name: &str) -> Markup {
    let strokes = match name {
        "s3" => "M0 4H8",
        "s4" => "M4 0V8",
        "s5" => "M0 0L8 8M-2 6L2 10M6-2L10 2",
        "s6" => "M0 4H8M4 0V8",
        "s7" => "M2 4h3",
        "s8" => "M0 0L8 8M0 8L8 0",
        _ => "M0 8L8 0M-2 2L2-2M6 10L10 6",
    };
    html! {
        pattern id=(format!("p-{name}")) class=(name) width="8" height="8"
            patternUnits="userSpaceOnUse" {
            rect width="8" height="8" {}
            path d=(strokes) {}
        }
    }
}

/// A patch of a state for the legend.
pub fn swatch(style: StateStyle) -> Markup {
    let (class, fill) = style.class_and_fill();
    patch(class, fill)
}

/// A patch of the time without data.
pub fn gap_swatch() -> Markup {
    patch(None, Some("url(#p-no-data)".to_owned()))
}

fn patch(class: Option<String>, fill: Option<String>) -> Markup {
    html! {
        svg class="swatch" width="16" height="12" aria-hidden="true" {
            g class=[class] fill=[fill] { rect width="16" height="12" {} }
        }
    }
}

/// 0 at the left edge, 1 at the right.
fn share(strip: &StateStrip, at: Wall) -> f64 {
    let length = strip.to.0.saturating_sub(strip.from.0).max(1);
    let place = at.0.saturating_sub(strip.from.0) as f64 / length as f64;
    place.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_have_class_place_and_a_word_where_there_is_room() {
        let states = [
            (
                "On".to_owned(),
                StateStyle {
                    is_rest: false,
                    place: 0,
                },
            ),
            (
                "Off".to_owned(),
                StateStyle {
                    is_rest: true,
                    place: 1,
                },
            ),
        ];
        let part = |from, to, state| StateSegment {
            from: Wall(from),
            to: Wall(to),
            state,
        };
        let strip = StateStrip {
            segments: &[part(0, 500, 0), part(500, 501, 1), part(600, 1_000, 0)],
            states: &states,
            gaps: &[(Wall(501), Wall(600))],
            from: Wall(0),
            to: Wall(1_000),
            ticks: &[Tick {
                at: Wall(500),
                label: "12:00".to_owned(),
                narrow: Some("12:00".to_owned()),
            }],
            label: "Compressor",
        };
        let svg = state_strip(&strip).into_string();
        for expected in [
            r#"<g class="s1"><rect x="0.00%" width="50.00%" height="34"></rect><rect x="60.00%""#,
            r#"<g class="rest"><rect x="50.00%" width="0.10%" height="34"></rect></g>"#,
            r#"<g fill="url(#p-no-data)"><rect x="50.10%" width="9.90%" height="34"></rect></g>"#,
            r#"<text class="word middle s1" x="25.00%" y="22">On</text>"#,
            r#"<text class="middle" x="50.00%" y="54">12:00</text>"#,
            r#"<pattern id="p-no-data""#,
        ] {
            assert!(svg.contains(expected), "{expected}: {svg}");
        }
        assert!(!svg.contains(">Off<"), "{svg}");
    }

    #[test]
    fn words_of_a_state_are_text() {
        let states = [(
            "<b>".to_owned(),
            StateStyle {
                is_rest: false,
                place: 0,
            },
        )];
        let strip = StateStrip {
            segments: &[StateSegment {
                from: Wall(0),
                to: Wall(10),
                state: 0,
            }],
            states: &states,
            gaps: &[],
            from: Wall(0),
            to: Wall(10),
            ticks: &[],
            label: "\"x\"",
        };
        let svg = state_strip(&strip).into_string();
        assert!(svg.contains("&lt;b&gt;") && !svg.contains("<b>"), "{svg}");
    }
}
