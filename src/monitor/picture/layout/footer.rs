//! The lower edge of a picture: sentences, what is wrong, the time.

use super::pen::Pen;
use crate::monitor::picture::content::{PictureContent, PictureTime};
use crate::monitor::picture::shape::{Ink, PixelRect};
use crate::monitor::picture::text::TextStyle;

/// The most that the footer takes of a picture's height.
const LARGEST_SHARE: i32 = 3;
/// Lines of the first sentence, and of each of the others.
const SENTENCE_LINES: usize = 2;

/// Draws it; what is left above.
pub fn draw(
    pen: &mut Pen<'_>,
    page: &PixelRect,
    content: &PictureContent,
    time: &PictureTime,
    left_out: usize,
) -> PixelRect {
    let sizes = pen.sizes;
    let inner = PixelRect::new(
        page.left + sizes.margin,
        page.top,
        page.right - sizes.margin,
        page.bottom,
    );
    let time_text = match &time.battery {
        Some(battery) => format!("{} · {battery}", time.text),
        None => time.text.clone(),
    };
    let time_style = TextStyle::bold(sizes.small);
    let time_text = pen.shorten(&time_text, time_style, inner.width());
    let time_width = pen.width(&time_text, time_style);

    let mut lines = lines(pen, content, inner.width(), left_out);
    let most = page.height() / LARGEST_SHARE;
    while lines.len() > 1 && height_of(pen, &lines) > most {
        lines.pop();
    }
    // Beside the first line that leaves room for it, or below all.
    let beside = inner.width() - time_width - sizes.margin;
    let fits = |(text, style): &(String, TextStyle)| pen.width(text, *style) <= beside;
    let time_line = lines.iter().position(fits).unwrap_or(lines.len());
    if time_line == lines.len() {
        lines.push((String::new(), TextStyle::regular(sizes.small)));
    }
    let height = height_of(pen, &lines);
    let (body, foot) = page.split_bottom(height);
    pen.rule_across(&foot, foot.top);

    let mut baseline = foot.top + sizes.margin / 2;
    for (index, (text, style)) in lines.iter().enumerate() {
        baseline += style.line_height();
        let at = baseline - style.descent() - style.capital / 4;
        pen.text(text, *style, Ink::Black, inner.left, at);
        if index == time_line {
            pen.text_to(&time_text, time_style, Ink::Black, inner.right, at);
        }
    }
    body
}

/// Sentences and notes in lines.
fn lines(
    pen: &Pen<'_>,
    content: &PictureContent,
    width: i32,
    left_out: usize,
) -> Vec<(String, TextStyle)> {
    let sizes = pen.sizes;
    let large = TextStyle::regular(sizes.label * 6 / 5);
    let small = TextStyle::regular(sizes.small);
    let note_of_rest = (left_out > 0).then(|| {
        let values = if left_out == 1 { "value" } else { "values" };
        format!("no room for {left_out} more {values}")
    });
    let mut texts: Vec<(&String, TextStyle)> = Vec::new();
    texts.extend(content.footer.first().map(|it| (it, large)));
    // What is wrong comes before what is less important.
    texts.extend(note_of_rest.iter().map(|it| (it, small)));
    texts.extend(content.notes.iter().map(|it| (it, small)));
    texts.extend(content.footer.iter().skip(1).map(|it| (it, small)));
    let mut lines = Vec::new();
    for (text, style) in texts {
        let wrapped = pen.wrap(text, style, width, SENTENCE_LINES);
        lines.extend(wrapped.into_iter().map(|line| (line, style)));
    }
    lines
}

fn height_of(pen: &Pen<'_>, lines: &[(String, TextStyle)]) -> i32 {
    let text: i32 = lines.iter().map(|(_, style)| style.line_height()).sum();
    text + pen.sizes.margin
}
