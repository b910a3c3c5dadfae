//! Files that are served as they are, in the coding that most clients take, and the fonts of pictures: gzip (RFC 1952).

use std::path::Path;

/// The parts of the stylesheet, in the order in which they hold.
const STYLE: [&str; 5] = [
    "src/monitor/web/style/base.css",
    "src/monitor/web/style/overview.css",
    "src/monitor/web/style/chart.css",
    "src/monitor/web/style/bars.css",
    "src/monitor/web/style/system.css",
];

/// The parts of the script.
const SCRIPT: [&str; 2] = ["src/monitor/web/live.js", "src/monitor/web/chart.js"];

/// Files, each with the name of what is made of it.
const FILES: [(&str, &[&str]); 5] = [
    ("openapi.json", &["src/monitor/openapi.json"]),
    ("style.css", &STYLE),
    ("live.js", &SCRIPT),
    ("wall.css", &["src/monitor/web/wall.css"]),
    ("wall.js", &["src/monitor/web/wall.js"]),
];

/// Fonts that `.ci/font` makes, each of which becomes `<name>.gz`.
const FONTS: [&str; 2] = ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"];
const FONT_FOLDER: &str = "src/monitor/picture/font";

/// Each becomes `<name>`, its parts one behind the other, and `<name>.gz`.
pub fn write(root: &Path, out: &Path) {
    for (name, parts) in FILES {
        crate::watch(root, parts);
        let text: String = parts.iter().map(|it| crate::read(&root.join(it))).collect();
        let text = if name.ends_with(".json") {
            compact(&text)
        } else {
            text
        };
        crate::write(&out.join(name), text.as_bytes());
        let gzipped = crate::gzip(text.as_bytes());
        crate::write(&out.join(format!("{name}.gz")), &gzipped);
    }
    for name in FONTS {
        let file = format!("{FONT_FOLDER}/{name}");
        crate::watch(root, &[&file]);
        let gzipped = crate::gzip(&crate::read_bytes(&root.join(file)));
        crate::write(&out.join(format!("{name}.gz")), &gzipped);
    }
}

/// JSON without the indentation that is for whoever edits it, its members in their order.
fn compact(json: &str) -> String {
    let (mut is_in_text, mut is_escaped) = (false, false);
    let keeps = |letter: &char| {
        let keeps = is_in_text || !letter.is_ascii_whitespace();
        if !is_escaped && *letter == '"' {
            is_in_text = !is_in_text;
        }
        is_escaped = is_in_text && !is_escaped && *letter == '\\';
        keeps
    };
    json.chars().filter(keeps).collect()
}
