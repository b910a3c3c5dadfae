//! Pictures for displays: letters that the font lacks, and the keys of devices.

use super::Finding::{self, Fine, Note, Problem};
use crate::config::Config;
use crate::domain::plan::{DisplayPlan, KeyPlan, PictureLayout, Plan, Selection};
use crate::domain::text::truncate_list;
use crate::domain::toml_text::quoted;
use crate::monitor::DeviceKeys;
use crate::monitor::picture::missing_glyphs;

/// Displays that a note names.
const NAMED_DISPLAYS: usize = 5;

/// A note for each text of the configuration that is drawn with a box in a picture, and whether the file
/// with the secret of the devices' keys can be used.
pub fn findings(config: &Config) -> Vec<Finding> {
    glyph_notes(config).chain(device_keys(config)).collect()
}

fn device_keys(config: &Config) -> Option<Finding> {
    let mut displays = config.pages.displays.iter();
    let has_devices = displays.any(|display| display.device.is_some());
    let found = has_devices.then(|| DeviceKeys::beside(&config.database).load())?;
    Some(match found {
        Ok(true) => Fine("the keys of TRMNL devices can be read".to_owned()),
        Ok(false) => Note(
            "no TRMNL device has its key yet: set it up (docs/displays.md); one that was set up \
             before has to be set up again"
                .to_owned(),
        ),
        Err(problem) => Problem(problem),
    })
}

/// A note for each text, with the displays that write it.
fn glyph_notes(config: &Config) -> impl Iterator<Item = Finding> {
    let plan = config.plan();
    let mut found: Vec<((String, String), Vec<String>)> = Vec::new();
    for display in &config.pages.displays {
        let name = quoted(&display.name);
        for text in texts(&plan, display) {
            match found.iter_mut().find(|(known, _)| *known == text) {
                Some((_, displays)) if displays.contains(&name) => {}
                Some((_, displays)) => displays.push(name.clone()),
                None => found.push((text, vec![name.clone()])),
            }
        }
    }
    found.into_iter().filter_map(|((what, text), displays)| {
        let missing: String = missing_glyphs(&text).iter().collect();
        let displays = match displays.as_slice() {
            [one] => format!("the display {one} draws"),
            several => format!(
                "the displays {} draw",
                truncate_list(several, NAMED_DISPLAYS)
            ),
        };
        (!missing.is_empty()).then(|| {
            Note(format!(
                "the font of pictures has no {missing}, which {displays} as a box: {what} is {}",
                quoted(&text)
            ))
        })
    })
}

/// What the configuration has the picture write, and where it comes from.
fn texts(plan: &Plan, display: &DisplayPlan) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    // Without keys the picture shows those of the first group, which may be any.
    let any = plan.keys.keys().filter(|_| display.keys.is_empty());
    for key in display.named_keys().chain(any) {
        let of_key = |what: &str| format!("the {what} of {}", quoted(key));
        texts.push((of_key("label"), plan.full_label(key)));
        let of_source = plan
            .sources
            .iter()
            .find_map(|source| match &source.selection {
                Selection::Selectors(picks) => {
                    let pick = picks.iter().find(|pick| pick.selects_key(key))?;
                    pick.unit.clone()
                }
                Selection::AllLeaves { .. } => None,
            });
        let unit = plan.key_setting(key, |key: &KeyPlan| key.unit.clone());
        let unit = unit.or(of_source);
        texts.extend(unit.map(|unit| (of_key("unit"), unit.to_string())));
        let words = plan.key_setting(key, |key| {
            Some(key.words.clone()).filter(|it| !it.is_empty())
        });
        let words = words.into_iter().flatten();
        texts.extend(words.map(|(_, word)| (of_key("word"), word)));
    }
    let is_table = display.layout == PictureLayout::Rooms;
    let mut groups = plan.pages.groups.iter().filter(|_| is_table);
    if let Some(matrix) = groups.find_map(|group| group.matrix.as_ref()) {
        let names = matrix.rows.iter().chain(&matrix.columns);
        texts.extend(
            names.map(|(part, name)| (format!("the name of {}", quoted(part)), name.clone())),
        );
    }
    texts.extend(
        plan.pages
            .title
            .iter()
            .map(|title| ("`title`".to_owned(), title.to_string())),
    );
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;
    use crate::config::{self, Overrides};

    fn load(scratch: &str, text: &str) -> Config {
        let directory = crate::golden::scratch(scratch);
        let file = directory.join("main-node.toml");
        std::fs::write(&file, text).expect("it can be written");
        let overrides = Overrides {
            file: Some(file),
            ..Overrides::default()
        };
        config::load(&overrides, Environment::default(), &[]).expect("it is valid")
    }

    #[test]
    fn letters_that_the_font_lacks_are_named() {
        let config = load(
            "check-displays",
            "[[source]]\nname = \"meter\"\nurl = \"http://meter.local/\"\n\
             [key.a]\nlabel = \"漢 Größe 字\"\nunit = \"µg/m³\"\n[key.b]\nlabel = \"Температура\"\nwords = { 1 = \"오\" }\n\
             [[display]]\nname = \"hall\"\nsize = [800, 480]\nkeys = [\"a\", \"b\"]\nchart = { key = \"a\" }\n\
             [[display]]\nname = \"attic\"\nsize = [800, 480]\nkeys = [\"a\"]\n",
        );
        let notes: Vec<String> = findings(&config)
            .into_iter()
            .filter_map(|finding| match finding {
                Note(text) => Some(text),
                _ => None,
            })
            .collect();
        assert_eq!(
            notes,
            [
                "the font of pictures has no 漢字, which the displays \"hall\", \"attic\" draw as a box: the label of \"a\" is \"漢 Größe 字\"",
                "the font of pictures has no 오, which the display \"hall\" draws as a box: the word of \"b\" is \"오\"",
            ]
        );
    }

    #[test]
    fn the_keys_of_devices_are_looked_at_where_there_are_devices() {
        let source = "[[source]]\nname = \"meter\"\nurl = \"http://meter.local/\"\n";
        let display = "[[display]]\nname = \"hall\"\nsize = [800, 480]\n";
        let device = "device = \"AA:BB:CC:DD:EE:FF\"\n";
        let found = |text: &str, keys: Option<&str>| -> Vec<String> {
            let mut config = load("check-device-keys", text);
            let directory = crate::golden::scratch("check-device-keys-data");
            config.database = directory.join("main-node.db");
            if let Some(keys) = keys {
                let file = directory.join("displays.json");
                std::fs::write(file, keys).expect("it can be written");
            }
            let found = findings(&config).into_iter().map(|finding| match finding {
                Fine(text) | Note(text) | Problem(text) => text,
                _ => String::new(),
            });
            found.collect()
        };
        let without_device = format!("{source}{display}");
        assert!(found(&without_device, Some("{")).is_empty());
        let text = format!("{source}{display}{device}");
        let secret = "ab".repeat(32);
        let sound = format!("{{\"version\": 1, \"secret\": \"{secret}\", \"devices\": {{}}}}");
        for (keys, expected) in [
            (None, "no TRMNL device has its key yet"),
            (Some(&*sound), "the keys of TRMNL devices can be read"),
            (Some("{"), "displays.json cannot be used: it is damaged"),
        ] {
            let found = found(&text, keys);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(expected), "{found:?}");
            assert!(!found[0].contains(&secret));
        }
    }
}
