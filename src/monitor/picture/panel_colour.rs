//! Colours of a panel by number: levels of grey from black, or what is in its palette.

use super::shape::Ink;
use crate::domain::plan::PanelColours;

/// Red, green, blue.
pub type Rgb = [u8; 3];

const BLACK: Rgb = [0, 0, 0];
const WHITE: Rgb = [255, 255, 255];
const YELLOW: Rgb = [255, 255, 0];
const RED: Rgb = [255, 0, 0];
const BLUE: Rgb = [0, 0, 255];
const GREEN: Rgb = [0, 255, 0];

/// How inks are numbered on a panel.
#[derive(Clone, Copy)]
pub struct PanelColour {
    colours: PanelColours,
}

impl PanelColour {
    pub fn new(colours: PanelColours) -> PanelColour {
        PanelColour { colours }
    }

    /// Bits of a pixel in files: those of its number.
    pub fn bits(self) -> u8 {
        match self.colours {
            PanelColours::Grey { bits } => bits,
            PanelColours::BlackWhiteRed
            | PanelColours::BlackWhiteYellow
            | PanelColours::BlackWhiteRedYellow => 2,
            PanelColours::Spectra6 => 4,
        }
    }

    /// By number, of a panel with colours; as drivers of Spectra 6 number them, the fifth of which there is not.
    pub fn palette(self) -> Option<&'static [Rgb]> {
        match self.colours {
            PanelColours::Grey { .. } => None,
            PanelColours::BlackWhiteRed => Some(&[BLACK, WHITE, RED]),
            PanelColours::BlackWhiteYellow => Some(&[BLACK, WHITE, YELLOW]),
            PanelColours::BlackWhiteRedYellow => Some(&[BLACK, WHITE, YELLOW, RED]),
            PanelColours::Spectra6 => Some(&[BLACK, WHITE, YELLOW, RED, BLACK, BLUE, GREEN]),
        }
    }

    pub fn white(self) -> u8 {
        match self.colours {
            PanelColours::Grey { .. } => self.levels(),
            _ => 1,
        }
    }

    pub fn has_red(self) -> bool {
        self.number_of(RED).is_some()
    }

    pub fn has_yellow(self) -> bool {
        self.number_of(YELLOW).is_some()
    }

    pub fn has_grey(self) -> bool {
        matches!(self.colours, PanelColours::Grey { bits } if bits > 1)
    }

    /// The greatest level of grey.
    fn levels(self) -> u8 {
        match self.colours {
            PanelColours::Grey { bits } => 255 >> (8 - bits.clamp(1, 8)),
            _ => 1,
        }
    }

    fn number_of(self, colour: Rgb) -> Option<u8> {
        let palette = self.palette()?;
        let index = palette.iter().position(|it| *it == colour)?;
        u8::try_from(index).ok()
    }

    /// Of a pixel of an area at a place of the drawing.
    pub fn area(self, ink: Ink, x: i32, y: i32) -> u8 {
        let Ink::Grey(level) = ink else {
            return self.solid(ink);
        };
        let parts = u32::from(level) * u32::from(self.levels()) * PATTERN_LEVELS / 255;
        // The darker level next to it where there is one, else between two levels by the pattern.
        if self.has_grey() {
            return (parts / PATTERN_LEVELS) as u8;
        }
        let is_higher = parts % PATTERN_LEVELS > ordered_threshold(x, y);
        (parts / PATTERN_LEVELS) as u8 + u8::from(is_higher)
    }

    /// Of a pixel that was `below`, after ink has covered a share of it.
    pub fn over(self, below: u8, ink: Ink, share: f32) -> u8 {
        let ink = self.solid(ink);
        if self.has_grey() {
            let (below, ink) = (f32::from(below), f32::from(ink));
            (below + (ink - below) * share).round() as u8
        } else if share >= 0.5 {
            ink
        } else {
            below
        }
    }

    /// Of letters, lines and full areas: on panels without grey it is black.
    fn solid(self, ink: Ink) -> u8 {
        match ink {
            Ink::Black => 0,
            Ink::White => self.white(),
            Ink::Red => self.number_of(RED).unwrap_or(0),
            Ink::Yellow => self.number_of(YELLOW).unwrap_or(self.white()),
            Ink::Grey(level) if self.has_grey() => {
                let levels = u32::from(self.levels());
                ((u32::from(level) * levels + 127) / 255) as u8
            }
            Ink::Grey(_) => 0,
        }
    }
}

const PATTERN_LEVELS: u32 = 64;

/// The ordered pattern of 8 × 8 (Bayer): 0 to 63, each once.
fn ordered_threshold(x: i32, y: i32) -> u32 {
    let (x, y) = (x as u32, y as u32);
    (0..3).fold(0, |made, bit| {
        let (across, down) = ((x ^ y) >> bit & 1, y >> bit & 1);
        made << 2 | across << 1 | down
    })
}
