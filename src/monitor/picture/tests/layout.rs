use super::super::PictureFormat;
use super::super::content::{CellLevel, PictureBar, PictureCell, PictureTable};
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
            is_scaled: !is_word && random.usize(..4) == 0,
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
    let dated = PictureTime {
        text: "Mon 30 Nov, 22:46".to_owned(),
        ..time()
    };
    for (width, height) in SIZES {
        for time in [time(), dated.clone()] {
            let drawing = draw(&anything(&mut random), &time, &grey(width, height, 1));
            let has_time = |shape: &PictureShape| matches!(shape, PictureShape::Text { text, .. } if text.contains("22:46"));
            assert!(drawing.shapes.iter().any(has_time), "{width}×{height}");
        }
    }
}

#[test]
fn figures_of_a_row_stand_on_one_line() {
    let labels = ["Outside", "Temperature of the living room, south"];
    let cells = labels.map(|label| cell(label, "20.5", "°C"));
    let drawing = draw(
        &only(
            PictureLayout::Grid,
            [cells.clone(), cells.clone(), cells].concat(),
        ),
        &time(),
        &grey(800, 480, 1),
    );
    let texts = drawing.shapes.iter().filter_map(|shape| match shape {
        PictureShape::Text {
            text,
            baseline,
            style,
            ..
        } => Some((text.as_str(), *baseline, style.capital)),
        _ => None,
    });
    let of = |is_it: &dyn Fn(&str) -> bool| {
        let found = texts.clone().filter(|(text, ..)| is_it(text));
        found
            .map(|(_, baseline, capital)| (baseline, capital))
            .collect::<Vec<_>>()
    };
    let figures = of(&|text| text == "20.5");
    assert_eq!(figures.len(), 6);
    let is_even = |row: &[(i32, i32)]| row.iter().all(|it| *it == row[0]);
    assert!(figures.chunks(2).all(is_even), "{figures:?}");
    let heads = of(&|text| labels.contains(&text));
    assert!(heads.iter().any(|head| head.1 != heads[0].1), "{heads:?}");
}

/// A value that is not up to date says so in words, or has a dotted frame.
#[test]
fn a_stale_value_is_told_from_others_in_every_size() {
    let stale = |it| with(CellLevel::Stale, "since 21:39", it);
    for (name, layout) in PictureLayout::NAMED {
        for (width, height) in SIZES {
            let cells = [
                cell("Energy", "123 456 789", "kWh"),
                word("Washing", "Rinse"),
            ];
            let cells: Vec<PictureCell> = cells.into_iter().map(stale).collect();
            let drawing = draw(&only(layout, cells), &time(), &grey(width, height, 1));
            let count = |is_it: &dyn Fn(&PictureShape) -> bool| {
                drawing.shapes.iter().filter(|it| is_it(it)).count()
            };
            let dots = count(&|it| matches!(it, PictureShape::Dots { .. }));
            let words = count(
                &|it| matches!(it, PictureShape::Text { text, .. } if text.starts_with("since") || text.starts_with("sin")),
            );
            let shown = count(
                &|it| matches!(it, PictureShape::Text { text, .. } if text.starts_with("123") || text.starts_with('R')),
            );
            assert!(
                words + dots / 4 >= shown,
                "{width}×{height} {name}: {words} {dots} {shown}"
            );
        }
    }
}

#[test]
fn a_scaled_number_never_lacks_its_unit() {
    let huge = || PictureCell {
        is_scaled: true,
        ..cell("Huge", "123 456 789 012", "MW")
    };
    for (name, layout) in PictureLayout::NAMED {
        for (width, height) in SIZES {
            for level in [CellLevel::Normal, CellLevel::Stale, CellLevel::Bad] {
                let cells = (0..4).map(|_| with(level, "above 1 000 000 MW", huge()));
                let texts = texts_of(&only(layout, cells.collect()), &grey(width, height, 1));
                let count = |text: &str| texts.iter().filter(|it| *it == text).count();
                let (numbers, units) = (count("123 456 789 012"), count("MW"));
                assert_eq!(numbers, units, "{width}×{height} {name}: {texts:?}");
            }
        }
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

/// `count` numbers, each of which is told from the others.
fn numbers(count: usize) -> Vec<PictureCell> {
    let numbers = 1000..1000 + count;
    numbers.map(|it| cell("x", &it.to_string(), "W")).collect()
}

fn only(layout: PictureLayout, cells: Vec<PictureCell>) -> PictureContent {
    let columns = vec!["a".to_owned(), "b".to_owned()];
    let pair = |pair: &[PictureCell]| (String::new(), pair.iter().cloned().map(Some).collect());
    let rows = cells.chunks(2).map(pair).collect();
    PictureContent {
        table: Some(PictureTable { columns, rows }),
        cells,
        chart: None,
        footer: Vec::new(),
        notes: Vec::new(),
        ..house(layout)
    }
}

#[test]
fn values_without_room_are_counted() {
    for (name, layout) in PictureLayout::NAMED {
        for (width, height) in SIZES {
            let texts = texts_of(&only(layout, numbers(40)), &grey(width, height, 1));
            let shown = (1000..1040).filter(|it| texts.contains(&it.to_string()));
            let shown = shown.count();
            let expected = match 40 - shown {
                0 => None,
                1 => Some("and 1 more value".to_owned()),
                missing => Some(format!("and {missing} more values")),
            };
            let counted = texts.iter().find(|it| it.starts_with("and "));
            let is_right = match (counted, &expected) {
                // Cut where the panel is narrow.
                (Some(counted), Some(expected)) => {
                    expected.starts_with(counted.trim_end_matches('…'))
                }
                (counted, expected) => counted.is_none() && expected.is_none(),
            };
            let told = format!("{width}×{height} {name}: {expected:?}, {texts:?}");
            assert!(is_right, "{told}");
        }
    }
}

#[test]
fn what_a_low_picture_leaves_out_is_counted_beside_its_time() {
    let mut content = only(PictureLayout::Grid, numbers(8));
    content.footer = house(PictureLayout::Grid).footer;
    let texts = texts_of(&content, &grey(128, 64, 1));
    let shown = texts.iter().filter(|it| it.starts_with("100")).count();
    let expected = format!("22:46 · 81 % · +{}", 8 - shown + 1);
    assert!(shown > 0 && texts.contains(&expected), "{texts:?}");
}

/// Letters below a line, too.
#[test]
fn what_is_wrong_stands_within_its_inverted_cell() {
    for (name, layout) in PictureLayout::NAMED {
        for (width, height) in SIZES.into_iter().filter(|(w, h)| w.min(h) > &290) {
            let content = house(layout);
            let drawing = draw(&content, &time(), &grey(width, height, 1));
            let typesetter = Typesetter::new(&drawing.fonts);
            let white = drawing
                .shapes
                .iter()
                .filter(|it| matches!(it, PictureShape::Text { ink, .. } if *ink == Ink::White));
            for (rect, text) in white.filter_map(|it| ink_of(it, &typesetter)) {
                let is_within = drawing.shapes.iter().any(|it| {
                    matches!(it, PictureShape::Area { rect: area, .. } if area.intersection(&rect) == rect)
                });
                assert!(is_within, "{width}×{height} {name}: {text:?} {rect:?}");
            }
        }
    }
}

#[test]
fn numbers_are_never_cut() {
    let longest = [
        "9\u{202f}007\u{202f}199\u{202f}254\u{202f}740\u{202f}993",
        "−0.000000123456789",
    ];
    for (name, layout) in PictureLayout::NAMED {
        for (width, height) in SIZES {
            let cells = longest.map(|it| cell("x", it, "of a long unit"));
            let texts = texts_of(&only(layout, cells.into()), &grey(width, height, 1));
            let told = || format!("{width}×{height} {name}: {texts:?}");
            for number in longest {
                let is_part = |text: &str| {
                    let text = text.trim_end_matches('…');
                    text.len() > 3 && text != number && number.contains(text)
                };
                assert!(!texts.iter().any(|it| is_part(it)), "{}", told());
            }
            let is_shown = |text: &String| longest.contains(&text.as_str());
            let is_counted = |text: &String| text.starts_with("and ");
            let shown = texts.iter().filter(|it| is_shown(it)).count();
            assert!(shown == 2 || texts.iter().any(is_counted), "{}", told());
        }
    }
}

#[test]
fn sentences_come_before_what_is_wrong() {
    let mut content = house(PictureLayout::Grid);
    content.notes = (0..9).map(|it| format!("note {it}")).collect();
    for (width, height, most) in [(800, 480, 4), (600, 800, 9), (296, 128, 1)] {
        let texts = texts_of(&content, &grey(width, height, 1));
        let messages = content.footer.iter().chain(&content.notes);
        let shown: Vec<&String> = messages.filter(|it| texts.contains(it)).collect();
        let in_order = texts.iter().filter(|it| shown.contains(it));
        assert_eq!(in_order.collect::<Vec<_>>(), shown, "{texts:?}");
        assert!(shown.len() >= most, "{texts:?}");
        let missing = 11 - shown.len();
        let count = format!("and {missing} more messages");
        let counted = texts.iter().any(|it| it.starts_with(&count));
        let says_chart = texts.iter().any(|it| it.ends_with(", a chart"));
        assert_eq!(says_chart, height == 128, "it has no room: {texts:?}");
        assert_eq!(counted, missing > 0, "{texts:?}");
    }
}

#[test]
fn a_text_in_a_list_is_whole_and_as_large_as_labels() {
    let sentence = "M10 → Warschauer Straße in 10 min";
    for (width, height, others, most_lines) in [
        (800, 480, 3, 1),
        (800, 480, 9, 1),
        (600, 800, 7, 2),
        (1404, 1872, 5, 2),
        (400, 300, 3, 2),
    ] {
        let mut cells = numbers(others);
        cells.push(word("Next tram", sentence));
        let content = only(PictureLayout::List, cells);
        let panel = grey(width, height, 1);
        let drawing = draw(&content, &time(), &panel);
        let (mut lines, mut label) = (Vec::new(), 0);
        for shape in &drawing.shapes {
            if let PictureShape::Text { text, style, .. } = shape {
                if text == "Next tram" {
                    label = style.capital;
                } else if text != "W" && sentence.contains(text.as_str()) {
                    lines.push((text.as_str(), style.capital));
                }
            }
        }
        let whole: Vec<&str> = lines.iter().map(|(text, _)| *text).collect();
        assert_eq!(whole.join(" "), sentence, "{width}×{height}");
        assert!(lines.len() <= most_lines, "{width}×{height}: {lines:?}");
        assert!(
            lines.iter().all(|(_, capital)| *capital >= label),
            "{width}×{height}: {lines:?}, label {label}"
        );
    }
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

fn chart_of(lines: Vec<Vec<(f64, f64)>>, bars: Vec<PictureBar>) -> PictureContent {
    let mut chart = price_chart();
    (chart.lines, chart.bars, chart.forecast_from) = (lines, bars, None);
    PictureContent {
        chart: Some(chart),
        ..only(PictureLayout::Chart, numbers(1))
    }
}

#[test]
fn a_value_alone_in_a_chart_is_seen() {
    let lines = vec![vec![(0.2, 0.5)], vec![(0.6, 0.5)]];
    let drawing = draw(&chart_of(lines, Vec::new()), &time(), &grey(800, 480, 1));
    let seen = drawing.shapes.iter().filter(|shape| match shape {
        PictureShape::Line { points, .. } => points.len() == 2 && points[0].0 < points[1].0,
        _ => false,
    });
    assert_eq!(seen.count(), 2);
}

#[test]
fn what_cannot_be_seen_of_a_line_is_not_another_picture() {
    let shapes = |value: f64| {
        let lines = vec![vec![(0.2, 0.5), (0.4, value), (0.6, 0.5)]];
        draw(&chart_of(lines, Vec::new()), &time(), &grey(800, 480, 8)).shapes
    };
    assert_eq!(shapes(0.5), shapes(0.5002));
    assert_ne!(shapes(0.5), shapes(0.51));
}

#[test]
fn bars_are_apart_and_those_of_a_part_are_lighter() {
    for (width, height, count) in [
        (800, 480, 7),
        (800, 480, 62),
        (400, 300, 62),
        (200, 200, 30),
    ] {
        let share = |at: usize| at as f64 / count as f64;
        let bars = (0..count).map(|at| PictureBar {
            left: share(at),
            right: share(at + 1),
            zero: 0.25,
            amount: if at % 2 == 0 { 0.75 } else { 0.0 },
            is_whole: at + 1 < count,
        });
        let content = chart_of(Vec::new(), bars.collect());
        let panel = grey(width, height, 8);
        let pixels = draw(&content, &time(), &panel).encode(&panel, PictureFormat::Raw);
        // In a row of pixels above zero every second bar is black.
        let runs = |row: &[u8]| row.split(|it| *it > 0).filter(|run| run.len() > 1).count();
        let most = pixels.chunks(usize::from(width)).map(runs).max();
        assert!(
            most >= Some(count / 2),
            "{width}×{height}: {most:?} of {count}"
        );
        for bits in [1, 8] {
            let shapes = draw(&content, &time(), &grey(width, height, bits)).shapes;
            let lighter = shapes.iter().filter(|shape| {
                matches!(shape, PictureShape::Area { ink: Ink::Grey(level), .. } if *level > 200)
            });
            assert_eq!(lighter.count(), 1, "{width}×{height}, {bits} bits");
        }
    }
}
