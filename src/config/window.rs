//! Options that are hours of some days (`dim`, `quiet`).

use super::section::OptionReader;
use crate::domain::time_window::TimeWindow;

pub fn read_window(option: &mut OptionReader<'_, '_>) -> Option<TimeWindow> {
    const WHAT: &str =
        "hours such as \"22:00-06:00\", or days and hours such as \"Mon-Fri 22:00-06:00\"";
    let entry = option.entry()?;
    let window = TimeWindow::parse(&entry.text_as(WHAT)?);
    if window.is_none() {
        entry.expected(WHAT);
    }
    window
}
