//! The lower edge of a picture: sentences, what is wrong, the time.

use super::LeftOut;
use super::pen::Pen;
use crate::monitor::picture::content::{PictureContent, PictureTime};
use crate::monitor::picture::shape::{Ink, PixelRect};
use crate::monitor::picture::text::TextStyle;

/// The most that the footer takes of a picture's height.
const LARGEST_SHARE: i32 = 3;
/// Lines of a sentence or note.
const SENTENCE_LINES: usize = 2;

/// Draws it; what is left above.
pub fn draw(
    pen: &mut Pen<'_>,
    page: &PixelRect,
    content: &PictureContent,
    time: &PictureTime,
    left_out: LeftOut,
) -> PixelRect {
    let sizes = pen.sizes;
    let inner = PixelRect::new(
        page.left + sizes.margin,
        page.top,
        page.right - sizes.margin,
        page.bottom,
    );
    let most = page.height() / LARGEST_SHARE;
    let (mut lines, rest) = lines(pen, content, (inner.width(), most), left_out);
    let rest = (rest > 0).then(|| format!("+{rest}"));
    let time_style = TextStyle::bold(sizes.small);
    let time_text = time_text(pen, time, rest.as_deref(), (time_style, inner.width()));
    let time_width = pen.width(&time_text, time_style);
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

/// The time, the charge, and how much found no room; where that is too wide, without the day, then without
/// the charge, then the time alone.
fn time_text(
    pen: &Pen<'_>,
    time: &PictureTime,
    rest: Option<&str>,
    (style, width): (TextStyle, i32),
) -> String {
    let join = |parts: [Option<&str>; 3]| {
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        parts.join(" · ")
    };
    let charge = time.battery.as_deref();
    let hour = time.text.rsplit(", ").next();
    let candidates = [
        join([Some(&time.text), charge, rest]),
        join([hour, charge, rest]),
        join([hour, None, rest]),
    ];
    let fits = |text: &String| pen.width(text, style) <= width;
    let fitting = candidates.into_iter().find(fits);
    fitting.unwrap_or_else(|| pen.shorten(hour.unwrap_or_default(), style, width))
}

/// Sentences, then notes, in lines of at most so many pixels in width, and in height if it can be. What finds no room is
/// counted in the last line; the count alone is returned if that has none.
fn lines(
    pen: &Pen<'_>,
    content: &PictureContent,
    (width, most): (i32, i32),
    left_out: LeftOut,
) -> (Vec<(String, TextStyle)>, usize) {
    let large = TextStyle::regular(pen.sizes.label * 6 / 5);
    let small = TextStyle::regular(pen.sizes.small);
    let texts = content.footer.iter().chain(&content.notes);
    let texts: Vec<&String> = texts.filter(|it| !it.trim().is_empty()).collect();
    let (mut kept, mut most_lines) = (texts.len(), SENTENCE_LINES);
    loop {
        let mut lines = Vec::new();
        for (index, text) in texts.iter().take(kept).enumerate() {
            let is_first = index == 0 && !content.footer.is_empty();
            let style = if is_first { large } else { small };
            let wrapped = pen.wrap(text, style, width, most_lines);
            lines.extend(wrapped.into_iter().map(|line| (line, style)));
        }
        if let Some(rest) = rest(left_out, texts.len() - kept) {
            lines.push((pen.shorten(&rest, small, width), small));
        }
        if lines.len() <= 1 || height_of(pen, &lines) <= most {
            return (lines, 0);
        }
        // The first is rather cut than left out.
        if kept > 1 {
            kept -= 1;
        } else if most_lines > 1 {
            most_lines = 1;
        } else {
            lines.truncate(1);
            return (lines, left_out.values + texts.len() - kept);
        }
    }
}

/// What found no room.
fn rest(left_out: LeftOut, messages: usize) -> Option<String> {
    let part = |count: usize, name: &str| match count {
        0 => None,
        1 => Some(format!("1 more {name}")),
        _ => Some(format!("{count} more {name}s")),
    };
    let chart = left_out.chart.then(|| "a chart".to_owned());
    let parts = [
        part(left_out.values, "value"),
        part(messages, "message"),
        chart,
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("and {}", parts.join(", ")))
}

fn height_of(pen: &Pen<'_>, lines: &[(String, TextStyle)]) -> i32 {
    let text: i32 = lines.iter().map(|(_, style)| style.line_height()).sum();
    text + pen.sizes.margin
}
