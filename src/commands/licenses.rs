//! `main-node licenses`: licence notices of all compiled-in packages, collected by the build
//! script (src/build/notices.rs).

use std::fmt::{Display, Formatter, Result};

use crate::sys::assets;

static GZIPPED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/notices.txt.gz"));

/// Displays as the text.
pub struct Notices;

impl Display for Notices {
    fn fmt(&self, to: &mut Formatter) -> Result {
        to.write_str(&String::from_utf8_lossy(&assets::decompress(GZIPPED)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_have_every_package_and_its_licence_texts() {
        let text = Notices.to_string();
        assert_eq!(text, include_str!(concat!(env!("OUT_DIR"), "/notices.txt")));
        let (list, texts) = text.split_once("\n---- ").expect("texts follow the list");
        for package in ["SQLite: public", "rusqlite ", "ring ", "ureq ", "smol "] {
            assert!(list.contains(package), "{package} is not in:\n{list}");
        }
        // Macros, build and test dependencies are not compiled in.
        for absent in ["rcgen ", "cc ", "syn ", "serde_derive "] {
            assert!(!list.contains(&format!("\n{absent}")), "{absent}");
        }
        let texts: Vec<&str> = texts.split("\n---- ").collect();
        let titles: Vec<&str> = texts
            .iter()
            .filter_map(|text| text.split_once(" ----\n"))
            .map(|(title, _)| title)
            .collect();
        assert_eq!(titles.len(), texts.len(), "{titles:?}");
        for line in list.lines().skip_while(|line| !line.is_empty()).skip(1) {
            let (name, licence) = line.split_once(": ").expect(line);
            let name = name.split(' ').next().unwrap_or(name);
            let named = |title: &&str| title.split(", ").any(|word| word == name);
            assert!(
                ["Apache-2.0", "public domain", "MIT;"]
                    .iter()
                    .any(|once| licence.starts_with(once) && !licence.contains(" AND "))
                    || titles.iter().any(named),
                "no text for {line}"
            );
        }
    }
}
