//! Panels of displays: size, colours and orientation of the pictures that a device takes.

/// What a device shows pictures on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panel {
    /// In pixels, of the picture as the device takes it.
    pub width: u16,
    pub height: u16,
    pub colours: PanelColours,
    pub rotation: Rotation,
}

impl Panel {
    /// Width and height of what is drawn, before it is turned.
    pub fn drawn_size(&self) -> (u16, u16) {
        match self.rotation {
            Rotation::None | Rotation::Half => (self.width, self.height),
            Rotation::Right | Rotation::Left => (self.height, self.width),
        }
    }
}

/// The colours of a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PanelColours {
    /// Black, white, and what lies between: 1, 2, 4 or 8 bits of grey.
    Grey {
        bits: u8,
    },
    BlackWhiteRed,
    BlackWhiteYellow,
    BlackWhiteRedYellow,
    /// Black, white, yellow, red, blue, green (E Ink Spectra 6).
    Spectra6,
}

impl PanelColours {
    /// As the option `colours` spells them.
    pub const NAMED: [(&str, PanelColours); 4] = [
        ("bwr", PanelColours::BlackWhiteRed),
        ("bwy", PanelColours::BlackWhiteYellow),
        ("bwry", PanelColours::BlackWhiteRedYellow),
        ("spectra6", PanelColours::Spectra6),
    ];
}

/// How the picture is turned, clockwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rotation {
    #[default]
    None,
    Right,
    Half,
    Left,
}

impl Rotation {
    pub fn from_degrees(degrees: u64) -> Option<Rotation> {
        match degrees {
            0 => Some(Rotation::None),
            90 => Some(Rotation::Right),
            180 => Some(Rotation::Half),
            270 => Some(Rotation::Left),
            _ => None,
        }
    }

    pub fn degrees(self) -> u16 {
        match self {
            Rotation::None => 0,
            Rotation::Right => 90,
            Rotation::Half => 180,
            Rotation::Left => 270,
        }
    }
}

/// Devices whose panel is known, as the option `model` spells them.
pub const MODELS: [(&str, Panel); 15] = [
    ("trmnl-og", grey(800, 480, 1)),
    ("trmnl-x", grey(1872, 1404, 4)),
    ("kindle", grey(600, 800, 8)),
    ("kindle-paperwhite", grey(758, 1024, 8)),
    ("kindle-paperwhite-3", grey(1072, 1448, 8)),
    ("kobo-clara", grey(1072, 1448, 8)),
    ("inkplate-6", grey(800, 600, 1)),
    ("inkplate-10", grey(1200, 825, 4)),
    ("m5paper", grey(540, 960, 4)),
    ("waveshare-2.9", grey(296, 128, 1)),
    ("waveshare-4.2", grey(400, 300, 1)),
    ("waveshare-7.5", grey(800, 480, 1)),
    (
        "waveshare-7.5-bwr",
        coloured(800, 480, PanelColours::BlackWhiteRed),
    ),
    ("seeed-e1002", coloured(800, 480, PanelColours::Spectra6)),
    ("remarkable-2", grey(1404, 1872, 8)),
];

const fn grey(width: u16, height: u16, bits: u8) -> Panel {
    coloured(width, height, PanelColours::Grey { bits })
}

const fn coloured(width: u16, height: u16, colours: PanelColours) -> Panel {
    Panel {
        width,
        height,
        colours,
        rotation: Rotation::None,
    }
}
