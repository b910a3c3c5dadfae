use super::*;
use crate::monitor::picture::missing_glyphs;

/// What pages, labels and units write, and the letters of the languages of Europe.
const NEEDED: &str = "ABCXYZabcxyz0123456789 !\"#%&'()*+,-./:;<=>?@[]_{|}~ \u{a0}\u{2009}\u{202f}\
    ÄÖÜäöüßéèêëáàâãåæçñøœŒšžčřěůłŁąęśźżńćőűğışİțșŢş¿¡ĐđÞþ ΑΒΓΩαβγωάέή АБВЯабвяёЁіїєґҐ\
    °−–—·…‘’“”„‚‹›•×÷±²³¹⁰⁴⁵⁶⁷⁸⁹⁺⁻ⁿ₀₁₂₃₄₅₆₇₈₉ₓµμ€£¥§Ω℃℉′″‰≈≠≤≥∞√←↑→↓▲▼▶●○■★☀✓✕½¼¾ªº";

#[test]
fn the_fonts_have_the_characters_in_use() {
    let fonts = Fonts::unpack();
    for weight in [FontWeight::Regular, FontWeight::Bold] {
        let face = fonts.face(weight);
        let missing: String = NEEDED
            .chars()
            .filter(|it| face.glyph(*it).is_none())
            .collect();
        assert_eq!(missing, "", "{weight:?}");
    }
}

#[test]
fn missing_characters_are_named_once_and_drawn_as_a_box() {
    assert_eq!(missing_glyphs("Ofen 温度 😀 und 😀"), ['温', '度', '😀']);
    assert!(missing_glyphs("Grüße").is_empty());
    let fonts = Fonts::unpack();
    let face = fonts.face(FontWeight::Bold);
    let mut rows = vec![String::new(); 10];
    face.outline(None, 10.0 / CAPITAL_UNITS)
        .rasterise(-10, 0, |x, y, share| {
            let row = &mut rows[(y + 10) as usize];
            while row.len() < x as usize {
                row.push('.');
            }
            row.push(if share >= 0.5 { '#' } else { '.' });
        });
    let (first, last) = (rows[0].clone(), rows[9].clone());
    assert!(first.contains("####") && first == last, "{rows:#?}");
    let middle = rows[5].trim_start_matches('.');
    assert!(
        middle.starts_with("#.") || middle.starts_with("##."),
        "{rows:#?}"
    );
}

#[test]
fn stems_fill_whole_pixels() {
    let fonts = Fonts::unpack();
    for weight in [FontWeight::Regular, FontWeight::Bold] {
        let face = fonts.face(weight);
        for capital in 8..40 {
            for letter in ['l', 'I', 'H', 'E', 'L', 'T', '1'] {
                let outline = face.outline(face.glyph(letter), capital as f32 / CAPITAL_UNITS);
                let (_, top, _, bottom) = outline.bounds().expect("ink");
                assert_eq!(bottom, 0, "{letter} stands on the line");
                let is_capital_high = -top == capital || letter == 'l';
                assert!(is_capital_high, "{letter} {capital} {weight:?}: {top}");
                let (mut half, mut full) = (0, 0);
                outline.rasterise(top, bottom, |_, _, share| {
                    if share > 0.98 {
                        full += 1;
                    } else if share > 0.02 {
                        half += 1;
                    }
                });
                let most = if letter == '1' { full } else { full / 4 };
                assert!(
                    half <= most,
                    "{letter} {capital} {weight:?}: {half} of {full}"
                );
            }
        }
    }
}

#[test]
fn text_is_wrapped_at_spaces_and_ends_in_an_ellipsis() {
    let fonts = Fonts::unpack();
    let typesetter = Typesetter::new(&fonts);
    let style = TextStyle::regular(12);
    let width = typesetter.width("eleven letters", style);
    for (text, lines, expected) in [
        ("", 2, vec![]),
        ("short", 2, vec!["short"]),
        (
            "eleven letters and more",
            2,
            vec!["eleven letters", "and more"],
        ),
        (
            "eleven letters and more and still more",
            2,
            vec!["eleven letters", "and more a…"],
        ),
        ("one two three four", 1, vec!["one two thr…"]),
        ("a b", 0, vec![]),
    ] {
        assert_eq!(
            typesetter.wrap(text, style, width, lines),
            expected,
            "{text}"
        );
    }
    // A word that is wider than a line is broken.
    let parts = typesetter.wrap("Donaudampfschifffahrt", style, width / 2, 9);
    assert!(
        parts.len() > 1 && parts.concat() == "Donaudampfschifffahrt",
        "{parts:?}"
    );
    for narrow in 0..40 {
        let cut = typesetter.shorten("eleven letters", style, narrow);
        assert!(
            typesetter.width(&cut, style) <= narrow,
            "{cut:?} in {narrow}"
        );
    }
}

#[test]
fn dots_do_not_touch_what_is_below_them() {
    let fonts = Fonts::unpack();
    for weight in [FontWeight::Regular, FontWeight::Bold] {
        let face = fonts.face(weight);
        for capital in 7..40 {
            for letter in [
                'i', 'j', 'ï', 'ö', 'ä', 'ü', '!', '?', ':', ';', 'ё', 'Ö', 'Ё',
            ] {
                let outline = face.outline(face.glyph(letter), capital as f32 / CAPITAL_UNITS);
                let (_, top, _, bottom) = outline.bounds().expect("ink");
                let mut has_ink = vec![false; (bottom - top) as usize];
                outline.rasterise(top, bottom, |_, y, share| {
                    has_ink[(y - top) as usize] |= share >= 0.5;
                });
                let shown = has_ink.iter().skip_while(|ink| !**ink);
                let gaps = shown.clone().filter(|ink| !**ink).count();
                let below = shown.skip_while(|ink| **ink).any(|ink| *ink);
                assert!(
                    gaps > 0 && below,
                    "{letter} {capital} {weight:?}: {has_ink:?}"
                );
            }
        }
    }
}
