//! Files that are served as they are, in the coding that most clients take: gzip (RFC 1952).

use std::path::Path;

const FILES: [&str; 3] = [
    "src/monitor/openapi.json",
    "src/monitor/web/style.css",
    "src/monitor/web/live.js",
];

/// Each becomes `<name>.gz`.
pub fn write(root: &Path, out: &Path) {
    crate::watch(root, &FILES);
    for file in FILES {
        let path = root.join(file);
        let text = crate::read(&path);
        let text = if file.ends_with(".json") {
            compact(&text)
        } else {
            text
        };
        let name = file.rsplit('/').next().unwrap_or(file);
        crate::write(
            &out.join(format!("{name}.gz")),
            &crate::gzip(text.as_bytes()),
        );
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
