//! Transliteration: text in ASCII, for displays that have no other letters.
//!
//! Pure. German spelling (`ä` is `ae`); what has no Latin letters becomes `?`.

/// Characters and what they are in ASCII.
static TABLE: &[(&str, &str)] = &[
    ("áàâãāăą", "a"),
    ("ÁÀÂÃĀĂĄ", "A"),
    ("äæ", "ae"),
    ("ÄÆ", "Ae"),
    ("å", "a"),
    ("Å", "A"),
    ("çćč", "c"),
    ("ÇĆČ", "C"),
    ("ďđ", "d"),
    ("ĎĐ", "D"),
    ("éèêëēęě", "e"),
    ("ÉÈÊËĒĘĚ", "E"),
    ("ğ", "g"),
    ("Ğ", "G"),
    ("íìîïīı", "i"),
    ("ÍÌÎÏĪİ", "I"),
    ("łľĺ", "l"),
    ("ŁĽĹ", "L"),
    ("ñńň", "n"),
    ("ÑŃŇ", "N"),
    ("óòôõōő", "o"),
    ("ÓÒÔÕŌŐ", "O"),
    ("öøœ", "oe"),
    ("ÖØŒ", "Oe"),
    ("řŕ", "r"),
    ("ŘŔ", "R"),
    ("śšşș", "s"),
    ("ŚŠŞȘ", "S"),
    ("ß", "ss"),
    ("ťțţ", "t"),
    ("ŤȚŢ", "T"),
    ("úùûūůű", "u"),
    ("ÚÙÛŪŮŰ", "U"),
    ("ü", "ue"),
    ("Ü", "Ue"),
    ("ýÿ", "y"),
    ("Ý", "Y"),
    ("źżž", "z"),
    ("ŹŻŽ", "Z"),
    ("₀⁰", "0"),
    ("₁¹", "1"),
    ("₂²", "2"),
    ("₃³", "3"),
    ("₄⁴", "4"),
    ("₅⁵", "5"),
    ("₆⁶", "6"),
    ("₇⁷", "7"),
    ("₈⁸", "8"),
    ("₉⁹", "9"),
    ("ₓ", "x"),
    ("°", " deg "),
    ("µμ", "u"),
    ("Ω", "Ohm"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("–—−‐‑", "-"),
    ("·•×", "*"),
    ("‘’‚′", "'"),
    ("“”„″", "\""),
    ("…", "..."),
    ("→", "->"),
    ("←", "<-"),
    ("↑", "^"),
    ("\u{a0}\u{2009}\u{202f}", " "),
];

/// `text` in printable ASCII.
pub fn transliterate(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        let entry = TABLE.iter().find(|(from, _)| from.contains(c));
        match entry {
            _ if (' '..='~').contains(&c) => ascii.push(c),
            // A degree sign brings blanks that may be there already.
            Some((_, to)) if ascii.is_empty() || ascii.ends_with(' ') => {
                ascii += to.trim_start();
            }
            Some((_, to)) => ascii += to,
            None => ascii.push('?'),
        }
    }
    ascii.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_ascii() {
        for (text, expected) in [
            ("Bedroom CO₂", "Bedroom CO2"),
            ("Küche", "Kueche"),
            ("Über Größe", "Ueber Groesse"),
            ("20 °C", "20 deg C"),
            ("90°", "90 deg"),
            ("Łódź", "Lodz"),
            ("Ærø", "Aeroe"),
            ("café – naïve", "cafe - naive"),
            ("1\u{202f}031\u{a0}ppm", "1 031 ppm"),
            ("m³", "m3"),
            ("温度", "??"),
            ("a\nb", "a?b"),
        ] {
            assert_eq!(transliterate(text), expected, "{text}");
        }
    }
}
