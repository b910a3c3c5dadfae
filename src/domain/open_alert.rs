//! Open alerts, as snapshots, pages and displays show them.

use std::sync::Arc;

use super::time::Wall;

/// An open alert.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAlert {
    /// `source:weather`, or `network`: what `alert_active{alert}` says.
    pub name: Arc<str>,
    /// When the problem began.
    pub since: Wall,
    /// Whether the clock could be believed then, or since.
    pub since_is_trusted: bool,
    /// ASCII, at most 32 characters.
    pub display_text: Arc<str>,
    /// What it is about and what is wrong, without the value at that time: `Bedroom CO₂: above 1 000 ppm`.
    pub headline: String,
    /// One sentence, without anything that ticks.
    pub message: String,
    /// Whether the problem is over, but not yet for long enough.
    pub is_recovering: bool,
}

/// The words that a display shows for all open alerts.
pub fn display_summary(open: &[OpenAlert]) -> Option<Arc<str>> {
    match open {
        [] => None,
        [one] => Some(one.display_text.clone()),
        several => Some(format!("{} alerts", several.len()).into()),
    }
}

/// Plain ASCII of at most 32 characters; what is neither becomes `?`.
pub fn ascii_line(text: &str) -> String {
    /// What a display's one line holds.
    const DISPLAY_CHARS: usize = 32;
    text.chars()
        .map(|c| match c {
            ' '..='~' => c,
            _ => '?',
        })
        .take(DISPLAY_CHARS)
        .collect()
}
