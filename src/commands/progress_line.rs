//! Progress on a terminal, on one line that is written again and again.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often people read it.
const INTERVAL: Duration = Duration::from_millis(200);

/// The line, on standard error; nothing where that is no terminal.
pub struct ProgressLine {
    is_terminal: bool,
    shown: Option<Instant>,
}

impl ProgressLine {
    pub fn new() -> ProgressLine {
        ProgressLine {
            is_terminal: std::io::stderr().is_terminal(),
            shown: None,
        }
    }

    /// Shows a text, if the last one was read.
    pub fn show(&mut self, text: impl FnOnce() -> String) {
        let is_due = self.shown.is_none_or(|shown| shown.elapsed() >= INTERVAL);
        if self.is_terminal && is_due {
            self.shown = Some(Instant::now());
            write(&format!("\r{}\x1b[K", text()));
        }
    }

    /// Leaves the line to what is printed next.
    pub fn clear(&self) {
        if self.shown.is_some() {
            // Erases to the end of the line.
            write("\r\x1b[K");
        }
    }
}

/// A terminal that went away is no reason to stop.
fn write(text: &str) {
    let mut terminal = std::io::stderr();
    let _ = terminal
        .write_all(text.as_bytes())
        .and_then(|()| terminal.flush());
}
