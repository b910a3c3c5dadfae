//! OpenAPI contract, `openapi.json`, as it is served: without the indentation of the
//! source file.

/// Made by the build script.
pub static GZIPPED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.gz"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::routes::representation::Representation;

    #[test]
    fn is_the_edited_file_without_its_indentation() {
        const EDITED: &[u8] = include_bytes!("../openapi.json");
        let served = Representation::from_gzip("application/json", GZIPPED)
            .identity
            .body;
        let value = |json| serde_json::from_slice::<serde_json::Value>(json).expect("valid JSON");
        assert_eq!(value(&served), value(EDITED));
        assert!(
            served.len() * 4 < EDITED.len() * 3,
            "{} bytes",
            served.len()
        );
        assert!(
            !served.windows(2).any(|two| two == b"\": "),
            "no blank is left"
        );
    }
}
