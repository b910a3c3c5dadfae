use std::io::Read;

use super::super::support::*;
use super::super::{draw, font, shape::Ink, shape::PictureShape, shape::PixelRect};
use super::*;
use crate::domain::plan::{PanelColours, PictureLayout, Rotation};
use crate::monitor::picture::content::CellLevel;
use PictureFormat::{Bmp, Png, Raw};

const COLOURS: [PanelColours; 8] = [
    PanelColours::Grey { bits: 1 },
    PanelColours::Grey { bits: 2 },
    PanelColours::Grey { bits: 4 },
    PanelColours::Grey { bits: 8 },
    PanelColours::BlackWhiteRed,
    PanelColours::BlackWhiteYellow,
    PanelColours::BlackWhiteRedYellow,
    PanelColours::Spectra6,
];
const ROTATIONS: [Rotation; 4] = [
    Rotation::None,
    Rotation::Right,
    Rotation::Half,
    Rotation::Left,
];

fn picture(panel: &Panel, format: PictureFormat) -> Vec<u8> {
    draw(&house(PictureLayout::Grid), &time(), panel).encode(panel, format)
}

/// What a device makes of a PNG: bits, kind of colour, palette and the number of each pixel.
struct DecodedPng {
    width: usize,
    height: usize,
    bits: u8,
    kind: u8,
    palette: Vec<[u8; 3]>,
    pixels: Vec<u8>,
}

fn decode_png(file: &[u8]) -> DecodedPng {
    assert_eq!(file[..8], *b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, mut chunks) = (8, Vec::new());
    while at < file.len() {
        let length = number(at);
        let data = &file[at + 4..at + 8 + length];
        assert_eq!(
            number(at + 8 + length),
            crc(data) as usize,
            "sum of a chunk"
        );
        chunks.push((&data[..4], &data[4..]));
        at += 12 + length;
    }
    let header = chunks[0].1;
    assert_eq!((chunks[0].0, header.len()), (b"IHDR".as_slice(), 13));
    assert_eq!(chunks.last().unwrap().0, b"IEND");
    assert_eq!(
        header[10..],
        [0, 0, 0],
        "deflate, no filter method, no interlace"
    );
    let named = |name: &'static [u8]| chunks.iter().filter(move |it| it.0 == name);
    let palette = named(b"PLTE").flat_map(|it| it.1.as_chunks().0.to_vec());
    let data: Vec<u8> = named(b"IDAT").flat_map(|it| it.1.to_vec()).collect();
    let mut rows = Vec::new();
    flate2::read::ZlibDecoder::new(data.as_slice())
        .read_to_end(&mut rows)
        .expect("IDAT is zlib");
    let (width, height, bits) = (number(16), number(20), header[8]);
    let stride = (width * usize::from(bits)).div_ceil(8);
    assert_eq!(rows.len(), height * (stride + 1), "whole rows");
    let pixels = rows.chunks(stride + 1).flat_map(|row| {
        assert_eq!(row[0], 0, "no filter");
        unpack(&row[1..], bits, width)
    });
    DecodedPng {
        width,
        height,
        bits,
        kind: header[9],
        palette: palette.collect(),
        pixels: pixels.collect(),
    }
}

/// CRC-32 as PNG's specification has it, bit by bit.
fn crc(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (if sum & 1 == 1 { 0xEDB8_8320 } else { 0 })
        })
    })
}

fn unpack(row: &[u8], bits: u8, width: usize) -> Vec<u8> {
    let pixel = |index: usize| {
        let bit = index * usize::from(bits);
        let shift = 8 - usize::from(bits) - bit % 8;
        (row[bit / 8] >> shift) & (255 >> (8 - bits))
    };
    (0..width).map(pixel).collect()
}

#[test]
fn png_is_grey_without_a_palette_or_indexed_for_colours() {
    for colours in COLOURS {
        let panel = panel(403, 301, colours);
        let decoded = decode_png(&picture(&panel, Png));
        assert_eq!((decoded.width, decoded.height), (403, 301));
        let expected = match colours {
            PanelColours::Grey { bits } => (bits, 0, 0),
            PanelColours::BlackWhiteRed | PanelColours::BlackWhiteYellow => (2, 3, 3),
            PanelColours::BlackWhiteRedYellow => (2, 3, 4),
            PanelColours::Spectra6 => (4, 3, 7),
        };
        let found = (decoded.bits, decoded.kind, decoded.palette.len());
        assert_eq!(found, expected, "{colours:?}");
        assert_eq!(
            decoded.palette.get(..2).unwrap_or(&[[0; 3], [255; 3]]),
            [[0; 3], [255; 3]]
        );
    }
}

#[test]
fn png_raw_and_bmp_have_the_same_pixels() {
    for colours in COLOURS {
        for rotation in ROTATIONS {
            let panel = Panel {
                rotation,
                ..panel(203, 301, colours)
            };
            let expected = decode_png(&picture(&panel, Png)).pixels;
            let raw = picture(&panel, Raw);
            let pixels = match colours {
                PanelColours::BlackWhiteRed | PanelColours::BlackWhiteYellow => {
                    let (black, colour) = raw.split_at(raw.len() / 2);
                    let planes = rows_of(black, 1).into_iter().zip(rows_of(colour, 1));
                    planes
                        .map(|(white, no_colour)| if no_colour == 0 { 2 } else { white })
                        .collect()
                }
                PanelColours::Grey { bits } => rows_of(&raw, bits),
                PanelColours::BlackWhiteRedYellow => rows_of(&raw, 2),
                PanelColours::Spectra6 => rows_of(&raw, 4),
            };
            assert!(pixels == expected, "raw, {colours:?}");

            let bmp = picture(&panel, Bmp);
            let bits = bmp[28];
            let start = u32::from_le_bytes(bmp[10..14].try_into().unwrap()) as usize;
            let stride = (203 * usize::from(bits)).div_ceil(32) * 4;
            let rows = bmp[start..].chunks(stride).rev();
            let pixels: Vec<u8> = rows.flat_map(|row| unpack(row, bits, 203)).collect();
            assert!(pixels == expected, "bmp, {colours:?}");
        }
    }
}

fn rows_of(raw: &[u8], bits: u8) -> Vec<u8> {
    let stride = (203 * usize::from(bits)).div_ceil(8);
    let rows = raw.chunks(stride);
    rows.flat_map(|row| unpack(row, bits, 203)).collect()
}

#[test]
fn bmp_of_trmnl_is_48062_bytes_from_the_lowest_row() {
    let file = picture(&grey(800, 480, 1), Bmp);
    let mut header = b"BM".to_vec();
    for number in [48_062, 0, 62, 40, 800, 480] {
        header.extend(u32::to_le_bytes(number));
    }
    header.extend([1, 0, 1, 0]);
    for number in [0, 48_000, 2835, 2835, 2, 0] {
        header.extend(u32::to_le_bytes(number));
    }
    header.extend([0, 0, 0, 0, 255, 255, 255, 0]);
    assert_eq!(file[..62], header);
    assert_eq!(file.len(), 48_062);
}

#[test]
fn raw_has_one_for_white_where_there_is_one_bit() {
    let nothing = Drawing {
        shapes: Vec::new(),
        fonts: font::Fonts::unpack(),
    };
    let panel = grey(20, 2, 1);
    assert_eq!(
        nothing.encode(&panel, Raw),
        [255, 255, 0xF0, 255, 255, 0xF0]
    );
    let both = panel_of(20, PanelColours::BlackWhiteRed);
    assert_eq!(nothing.encode(&both, Raw), [255, 255, 0xF0, 255, 255, 0xF0]);
}

fn panel_of(width: u16, colours: PanelColours) -> Panel {
    panel(width, 1, colours)
}

#[test]
fn a_turned_picture_has_the_same_pixels_elsewhere() {
    let pixels = |width, height, rotation| {
        let panel = Panel {
            rotation,
            ..panel(width, height, PanelColours::BlackWhiteRed)
        };
        decode_png(&picture(&panel, Png)).pixels
    };
    let (width, height) = (300_usize, 200_usize);
    let upright = pixels(300, 200, Rotation::None);
    let at = |x: usize, y: usize| upright[y * width + x];
    let turned = |columns: usize, rows: usize, of: &dyn Fn(usize, usize) -> u8| -> Vec<u8> {
        let places = (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y)));
        places.map(|(x, y)| of(x, y)).collect()
    };
    let right = turned(height, width, &|x, y| at(y, height - 1 - x));
    assert!(pixels(200, 300, Rotation::Right) == right);
    let half = turned(width, height, &|x, y| at(width - 1 - x, height - 1 - y));
    assert!(pixels(300, 200, Rotation::Half) == half);
    let left = turned(height, width, &|x, y| at(width - 1 - y, x));
    assert!(pixels(200, 300, Rotation::Left) == left);
}

#[test]
fn bands_do_not_show() {
    for rotation in ROTATIONS {
        let panel = Panel {
            rotation,
            ..grey(301, 203, 8)
        };
        let drawing = draw(&house(PictureLayout::Rooms), &time(), &panel);
        let typesetter = Typesetter::new(&drawing.fonts);
        let of_bands = |rows: i32| {
            let mut pixels = Vec::new();
            for top in (0..203).step_by(rows as usize) {
                let mut band = PixelBand::new(&panel, top, rows.min(203 - top));
                for shape in &drawing.shapes {
                    band.draw(shape, &typesetter);
                }
                pixels.extend(band.rows().flatten().copied());
            }
            pixels
        };
        let whole = of_bands(203);
        for rows in [1, 7, 64] {
            let differing = whole
                .iter()
                .zip(of_bands(rows))
                .filter(|(a, b)| a.abs_diff(*b) > 1);
            assert_eq!(differing.count(), 0, "{rows} rows, {rotation:?}");
        }
    }
}

#[test]
fn grey_areas_are_dots_where_the_panel_has_no_grey() {
    let white_pixels = |colours, level| {
        let panel = panel(64, 64, colours);
        let whole = PictureShape::Area {
            rect: PixelRect::new(0, 0, 64, 64),
            radius: 0,
            ink: Ink::Grey(level),
        };
        let drawing = Drawing {
            shapes: vec![whole],
            fonts: font::Fonts::unpack(),
        };
        let pixels = decode_png(&drawing.encode(&panel, Png)).pixels;
        let sum: usize = pixels.iter().copied().map(usize::from).sum();
        (
            sum,
            pixels.iter().max().copied(),
            pixels.iter().min().copied(),
        )
    };
    let one = PanelColours::Grey { bits: 1 };
    for (level, white) in [(0, 0), (64, 1024), (128, 2048), (224, 3584), (255, 4096)] {
        assert_eq!(white_pixels(one, level).0, white, "{level}");
        assert_eq!(white_pixels(PanelColours::BlackWhiteRed, level).0, white);
    }
    // Between two levels it is the darker one, without dots.
    let two = PanelColours::Grey { bits: 2 };
    assert_eq!(white_pixels(two, 213), (2 * 4096, Some(2), Some(2)));
    assert_eq!(white_pixels(two, 170), (2 * 4096, Some(2), Some(2)));
    let eight = PanelColours::Grey { bits: 8 };
    assert_eq!(white_pixels(eight, 221), (221 * 4096, Some(221), Some(221)));
}

#[test]
fn what_is_wrong_is_red_or_yellow_where_there_is_such_a_colour() {
    let counts = |colours, level| {
        let panel = panel(200, 100, colours);
        let mut content = house(PictureLayout::Grid);
        content.cells = vec![with(level, "above 3", cell("Label", "4", ""))];
        content.chart = None;
        content.footer.clear();
        content.notes.clear();
        let pixels = decode_png(&draw(&content, &time(), &panel).encode(&panel, Png)).pixels;
        let count = |number: u8| pixels.iter().filter(|it| **it == number).count();
        // The figure alone has fewer.
        [0, 1, 2, 3].map(|number| count(number) > 3000)
    };
    let three = PanelColours::BlackWhiteRed;
    let four = PanelColours::BlackWhiteRedYellow;
    for (colours, level, expected) in [
        (three, CellLevel::Bad, [false, true, true, false]),
        (three, CellLevel::Warn, [true, true, false, false]),
        (four, CellLevel::Bad, [false, true, false, true]),
        (four, CellLevel::Warn, [false, true, true, false]),
        (four, CellLevel::Stale, [false, true, false, false]),
    ] {
        assert_eq!(counts(colours, level), expected, "{colours:?} {level:?}");
    }
}

/// Files to look at, with the time that each takes:
/// `PICTURES=/folder cargo test --release --bin main-node pictures_to_look_at -- --ignored --nocapture`.
#[test]
#[ignore = "writes files for a person"]
fn pictures_to_look_at() {
    let folder = std::env::var("PICTURES").expect("PICTURES names a folder");
    let panels = [
        ("800x480-1bit", grey(800, 480, 1)),
        ("800x480-2bit", grey(800, 480, 2)),
        ("600x800-1bit", grey(600, 800, 1)),
        ("1404x1872-8bit", grey(1404, 1872, 8)),
        ("400x300-bwr", panel(400, 300, PanelColours::BlackWhiteRed)),
        ("296x128-1bit", grey(296, 128, 1)),
        ("128x64-1bit", grey(128, 64, 1)),
        ("800x480-spectra6", panel(800, 480, PanelColours::Spectra6)),
    ];
    for (name, panel) in panels {
        for (layout, kind) in PictureLayout::NAMED {
            let started = std::time::Instant::now();
            let mut content = house(kind);
            content.cells.extend([
                word("Next tram", "M10 → Warschauer Straße in 10 min"),
                cell(
                    "Counter",
                    "9\u{202f}007\u{202f}199\u{202f}254\u{202f}740\u{202f}993",
                    "Wh",
                ),
            ]);
            let file = draw(&content, &time(), &panel).encode(&panel, Png);
            let took = started.elapsed();
            eprintln!("{name} {layout}: {} bytes, {took:?}", file.len());
            std::fs::write(format!("{folder}/{name}-{layout}.png"), file).expect("written");
        }
    }
}
