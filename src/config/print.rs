//! Prints the effective configuration as TOML, secrets masked, for `check`.

use super::alert::print_alert;
use super::api_files::print_apis;
use super::auth::print_accounts;
use super::derived::print_derived;
use super::display::print_displays;
use super::forward::print_forwards;
use super::key::{print_key_patterns, print_keys};
use super::mail::print_mail;
use super::mqtt::print_mqtt;
use super::pages::print_pages;
use super::push::print_pushes;
use super::section::print_options;
use super::source::print_source;
use super::top_level;
use super::types::Config;
use crate::domain::redact::Secrets;
use crate::domain::toml_text::quoted_value;

impl Config {
    /// The effective configuration, defaults included.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        print_options(&mut out, &top_level::OPTIONS, self);
        print_apis(&mut out, &self.apis);
        for source in &self.sources {
            print_source(&mut out, source);
        }
        print_accounts(&mut out, &self.accounts);
        print_keys(&mut out, &self.keys);
        print_key_patterns(&mut out, &self.key_patterns);
        print_derived(&mut out, &self.derived);
        print_pages(&mut out, &self.pages.groups, &self.pages.walls);
        print_displays(&mut out, &self.pages.displays);
        print_alert(&mut out, self);
        print_forwards(&mut out, &self.forwards);
        if let Some(mail) = &self.notifications.mail {
            print_mail(&mut out, mail);
        }
        print_pushes(&mut out, &self.pushes);
        if let Some(mqtt) = &self.mqtt {
            print_mqtt(&mut out, mqtt);
        }
        mask_texts(&out, &self.secrets)
    }
}

/// Masks secrets inside quoted texts: a variable may put one into any of them. Numbers and
/// option names stay unchanged.
fn mask_texts(toml: &str, secrets: &Secrets) -> String {
    let mut masked = String::with_capacity(toml.len());
    let mut rest = toml;
    while let Some(begin) = rest.find('"') {
        masked.push_str(&rest[..begin]);
        rest = &rest[begin..];
        let mut is_escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            let ends = *c == '"' && !is_escaped;
            is_escaped = *c == '\\' && !is_escaped;
            ends
        });
        let (text, behind) = rest.split_at(end.map_or(rest.len(), |(at, _)| at + 1));
        match serde_json::from_str::<String>(text) {
            Ok(inner) => {
                let inner = inner.replace("$$", "$");
                match secrets.mask(&inner) {
                    shown if shown == inner => masked.push_str(text),
                    shown => masked.push_str(&quoted_value(&shown)),
                }
            }
            Err(_) => masked.push_str(text),
        }
        rest = behind;
    }
    masked.push_str(rest);
    masked
}
