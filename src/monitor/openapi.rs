//! The contract, `openapi.json`, as it is served: without the indentation that is for whoever
//! edits it, which would be a third of it in the binary and in memory.

const EDITED: &[u8] = include_bytes!("openapi.json");

/// Compact JSON, made by the compiler.
pub const SERVED: &[u8] = &compact::<{ compact_length(EDITED) }>(EDITED);

const fn compact_length(json: &[u8]) -> usize {
    let (mut at, mut length, mut state) = (0, 0, State::Between);
    while at < json.len() {
        state = state.after(json[at]);
        length += state.keeps(json[at]) as usize;
        at += 1;
    }
    length
}

const fn compact<const LENGTH: usize>(json: &[u8]) -> [u8; LENGTH] {
    let (mut at, mut length, mut state) = (0, 0, State::Between);
    let mut kept = [0; LENGTH];
    while at < json.len() {
        state = state.after(json[at]);
        if state.keeps(json[at]) {
            kept[length] = json[at];
            length += 1;
        }
        at += 1;
    }
    kept
}

#[derive(Clone, Copy)]
enum State {
    Between,
    InString,
    /// Behind a backslash.
    Escaped,
}

impl State {
    const fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Between, b'"') | (Self::Escaped, _) => Self::InString,
            (Self::InString, b'"') => Self::Between,
            (Self::InString, b'\\') => Self::Escaped,
            (state, _) => state,
        }
    }

    /// Whether the byte that led here is more than white space between tokens.
    const fn keeps(self, byte: u8) -> bool {
        !matches!(self, Self::Between) || !byte.is_ascii_whitespace()
    }
}

#[cfg(test)]
mod tests {
    use super::{EDITED, SERVED, compact, compact_length};

    #[test]
    fn is_the_edited_file_without_its_indentation() {
        let value = |json| serde_json::from_slice::<serde_json::Value>(json).expect("valid JSON");
        assert_eq!(value(SERVED), value(EDITED));
        assert!(
            SERVED.len() * 4 < EDITED.len() * 3,
            "{} bytes",
            SERVED.len()
        );
    }

    #[test]
    fn strings_keep_their_blanks_and_quotes() {
        const JSON: &[u8] = br#"{ "a \" b": [1,  "c\\", " "] }"#;
        let found = compact::<{ compact_length(JSON) }>(JSON);
        assert_eq!(&found, br#"{"a \" b":[1,"c\\"," "]}"#);
    }
}
