//! Coordinates of a place as people type or paste them: `52.52 13.41`, `-33.87, 151.21`.
//!
//! Pure.

/// Degrees north and east, as numbers of TOML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coordinates {
    pub latitude: String,
    pub longitude: String,
}

const HOW: &str = "\
main-node init weather LATITUDE LONGITUDE, such as: main-node init weather 52.52 13.41
Degrees north and east; south and west are negative. A map shows them: on openstreetmap.org
right-click the place and choose \"Show address\".";

impl Coordinates {
    pub fn read(words: &[String]) -> Result<Coordinates, String> {
        let text = words.join(" ");
        let parts: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || c == ',' || c == ';')
            .filter(|it| !it.is_empty())
            .collect();
        if let Some(word) = parts.iter().find(|it| number(it).is_none()) {
            return Err(format!(
                "{word:?} is no number: a place is given by its coordinates, since main-node asks no \
                 service for names\n{HOW}"
            ));
        }
        let [latitude, longitude] = parts[..] else {
            return Err(format!(
                "expected two numbers, found {}\n{HOW}",
                parts.len()
            ));
        };
        Ok(Coordinates {
            latitude: within(latitude, "latitude", 90.0)?,
            longitude: within(longitude, "longitude", 180.0)?,
        })
    }
}

/// Copied text may have a typographic minus.
fn number(text: &str) -> Option<f64> {
    let text = text.trim_end_matches('°').replace('\u{2212}', "-");
    text.parse().ok().filter(|it: &f64| it.is_finite())
}

fn within(text: &str, what: &str, most: f64) -> Result<String, String> {
    match number(text) {
        Some(it) if it.abs() <= most => Ok(format!("{it:?}")),
        _ => Err(format!(
            "expected a {what} from -{most} to {most}, found {text}\n{HOW}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_read_as_people_paste_them() {
        for (typed, expected) in [
            ("52.52 13.41", Some(("52.52", "13.41"))),
            ("52.52,13.41", Some(("52.52", "13.41"))),
            ("52.520008, 13.404954", Some(("52.520008", "13.404954"))),
            ("-33.87 151.21", Some(("-33.87", "151.21"))),
            ("\u{2212}33.87° 151°", Some(("-33.87", "151.0"))),
            ("91 0", None),
            ("0 181", None),
            ("52.52", None),
            ("1 2 3", None),
            ("nan 0", None),
            ("Berlin", None),
            ("", None),
        ] {
            let words: Vec<String> = typed.split(' ').map(str::to_owned).collect();
            let read = Coordinates::read(&words).ok();
            let read = read.map(|it| (it.latitude, it.longitude));
            let expected = expected.map(|(north, east)| (north.to_owned(), east.to_owned()));
            assert_eq!(read, expected, "{typed}");
        }
    }
}
