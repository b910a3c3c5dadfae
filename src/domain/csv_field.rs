//! Fields of CSV as RFC 4180 wants them, and texts that spreadsheets do not run.
//!
//! Pure; any thread.

/// A text field. A spreadsheet runs a cell that begins with one of these signs as a formula,
/// and keys and texts come from servers: an apostrophe in front makes it text (CSV injection).
/// What begins with apostrophes before such a sign gets one too, so that taking one away
/// always gives the original. A text that is a number is harmless and stays one.
pub fn csv_text(text: &str) -> String {
    let is_number = || {
        let digits = text.bytes().all(|byte| b"0123456789+-.eE".contains(&byte));
        digits && text.parse::<f64>().is_ok()
    };
    if begins_as_formula(text) && !is_number() {
        csv_quote(&format!("'{text}"))
    } else {
        csv_quote(text)
    }
}

/// Whether [`csv_text`] put an apostrophe before this text.
pub fn is_escaped_formula(text: &str) -> bool {
    text.starts_with('\'') && begins_as_formula(text)
}

/// Whether a spreadsheet runs it, apostrophes before it left aside.
fn begins_as_formula(text: &str) -> bool {
    let begin = text.trim_start_matches('\'');
    begin.starts_with(['\t', '\r', '\n'])
        || begin.trim_start().starts_with([
            '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
        ])
}

/// A field in quotes where it needs them.
pub fn csv_quote(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula_to_a_spreadsheet_and_numbers_stay_numbers() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+49 30 1234", "'+49 30 1234"),
            ("-2+3", "'-2+3"),
            ("-", "'-"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("\n=1", "\"'\n=1\""),
            (" =1", "' =1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            (
                "=HYPERLINK(\"http://x\",1)",
                "\"'=HYPERLINK(\"\"http://x\"\",1)\"",
            ),
            // One apostrophe more for what has one already: nothing becomes ambiguous.
            ("'=1", "''=1"),
            ("'quoted'", "'quoted'"),
            ("-3.5", "-3.5"),
            ("+1e3", "+1e3"),
            ("-inf", "'-inf"),
            ("a=b", "a=b"),
            ("°C", "°C"),
            ("", ""),
        ] {
            assert_eq!(csv_text(text), expected, "{text:?}");
        }
    }
}
