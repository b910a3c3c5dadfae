use super::super::content::{CellLevel, PictureCell};
use super::super::shape::PictureShape;
use super::super::support::*;
use super::*;
use crate::domain::plan::{PanelColours, Rotation};

const SIZES: [(u16, u16); 16] = [
    (64, 64),
    (128, 64),
    (64, 128),
    (152, 152),
    (212, 104),
    (296, 128),
    (128, 296),
    (400, 300),
    (640, 384),
    (800, 480),
    (480, 800),
    (1072, 1448),
    (1872, 1404),
    (2480, 1860),
    (2600, 64),
    (64, 2600),
];
const WORDS: [&str; 12] = [
    "Wohnzimmer",
    "Küche",
    "Ångström",
    "CO₂",
    "a",
    "Donaudampfschifffahrtsgesellschaftskapitän",
    "gjpqy",
    "Температура",
    "Υγρασία",
    "in 8 min,",
    "→",
    "😀",
];

/// Texts, numbers and levels of any kind, the same for the same seed.
fn anything(random: &mut fastrand::Rng) -> PictureContent {
    let text = |random: &mut fastrand::Rng, most: usize| {
        let words = (0..random.usize(0..=most)).map(|_| WORDS[random.usize(..WORDS.len())]);
        words.collect::<Vec<_>>().join(" ")
    };
    let any_cell = |random: &mut fastrand::Rng| -> PictureCell {
        let number = ["0", "−12,5", "1\u{202f}037", "123456789.123", "20.0"];
        let is_word = random.u8(..3) == 0;
        let value = if is_word {
            text(random, 6)
        } else {
            number[random.usize(..number.len())].to_owned()
        };
        PictureCell {
            label: text(random, 4),
            value,
            unit: [
                None,
                Some("°C"),
                Some("ct/kWh"),
                Some("µg/m³ of everything"),
            ][random.usize(..4)]
            .map(str::to_owned),
            is_word,
            level: [
                CellLevel::Normal,
                CellLevel::Stale,
                CellLevel::Warn,
                CellLevel::Bad,
            ][random.usize(..4)],
            words: random.bool().then(|| text(random, 5)),
        }
    };
    let cells = (0..random.usize(0..20)).map(|_| any_cell(random)).collect();
    let mut table = rooms();
    for (name, cells) in &mut table.rows {
        *name = text(random, 3);
        for cell in cells {
            *cell = random.bool().then(|| any_cell(random));
        }
    }
    let mut chart = price_chart();
    chart.title = text(random, 8);
    chart.note = (random.u8(..4) == 0).then(|| text(random, 12));
    PictureContent {
        layout: PictureLayout::NAMED[random.usize(..5)].1,
        cells,
        table: random.bool().then_some(table),
        chart: random.bool().then_some(chart),
        footer: (0..random.usize(0..4)).map(|_| text(random, 15)).collect(),
        notes: (0..random.usize(0..4)).map(|_| text(random, 15)).collect(),
        message: (random.u8(..8) == 0).then(|| PictureMessage {
            title: text(random, 6),
            text: text(random, 30),
        }),
    }
}

/// The pixels that a text may colour.
fn ink_of(shape: &PictureShape, typesetter: &Typesetter<'_>) -> Option<(PixelRect, String)> {
    let PictureShape::Text {
        left,
        baseline,
        width,
        text,
        style,
        ..
    } = shape
    else {
        return None;
    };
    let (above, below) = typesetter.extent(text, *style);
    let rect = PixelRect::new(*left, baseline - above, left + width, baseline + below);
    Some((rect, text.clone()))
}

#[test]
fn texts_stay_on_the_picture_and_do_not_touch() {
    let mut random = fastrand::Rng::with_seed(31);
    for round in 0..2 {
        for (width, height) in SIZES {
            let content = anything(&mut random);
            let panel = grey(width, height, 1);
            let drawing = draw(&content, &time(), &panel);
            let typesetter = Typesetter::new(&drawing.fonts);
            let page = PixelRect::new(0, 0, width.into(), height.into());
            let told = || format!("{width}×{height}, round {round}, {:?}", content.layout);
            let texts: Vec<_> = drawing
                .shapes
                .iter()
                .filter_map(|it| ink_of(it, &typesetter))
                .collect();
            for (index, (rect, text)) in texts.iter().enumerate() {
                let inside = rect.intersection(&page);
                assert_eq!(inside, *rect, "{text:?} leaves the picture, {}", told());
                for (other, other_text) in &texts[index + 1..] {
                    let shared = rect.intersection(other);
                    assert!(
                        shared.is_empty(),
                        "{text:?} {rect:?} and {other_text:?} {other:?} overlap, {}",
                        told()
                    );
                }
            }
            for shape in &drawing.shapes {
                if let PictureShape::Area { rect, .. } = shape {
                    assert_eq!(rect.intersection(&page), *rect, "{}", told());
                }
            }
        }
    }
}

#[test]
fn every_picture_has_its_time() {
    let mut random = fastrand::Rng::with_seed(7);
    for (width, height) in SIZES {
        let drawing = draw(&anything(&mut random), &time(), &grey(width, height, 1));
        let has_time = |shape: &PictureShape| matches!(shape, PictureShape::Text { text, .. } if text.starts_with("22:4"));
        assert!(drawing.shapes.iter().any(has_time), "{width}×{height}");
    }
}

#[test]
fn a_message_takes_the_place_of_values() {
    let mut content = house(PictureLayout::Grid);
    content.message = Some(PictureMessage {
        title: "No data yet".to_owned(),
        text: "The node has just started.".to_owned(),
    });
    let texts = texts_of(&content, &grey(800, 480, 1));
    assert!(texts.contains(&"No data yet".to_owned()), "{texts:?}");
    assert!(!texts.iter().any(|it| it.contains("20.0")), "{texts:?}");
}

#[test]
fn values_without_room_are_counted() {
    let mut content = house(PictureLayout::Grid);
    content.cells = (0..40)
        .map(|it| cell("Label", &it.to_string(), "W"))
        .collect();
    let texts = texts_of(&content, &grey(296, 128, 1));
    let counted = texts.iter().any(|it| it == "no room for 28 more values");
    assert!(counted, "{texts:?}");
}

#[test]
fn a_turned_panel_is_laid_out_upright() {
    let panel = |width, height, rotation| Panel {
        width,
        height,
        colours: PanelColours::Grey { bits: 1 },
        rotation,
    };
    let content = house(PictureLayout::List);
    let turned = draw(&content, &time(), &panel(480, 800, Rotation::Left));
    let upright = draw(&content, &time(), &panel(800, 480, Rotation::None));
    assert_eq!(turned.shapes, upright.shapes);
}

fn texts_of(content: &PictureContent, panel: &Panel) -> Vec<String> {
    let drawing = draw(content, &time(), panel);
    let text = |shape: &PictureShape| match shape {
        PictureShape::Text { text, .. } => Some(text.clone()),
        _ => None,
    };
    drawing.shapes.iter().filter_map(text).collect()
}
