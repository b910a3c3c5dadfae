//! Variables for the secrets of a new source: a name for each, and the file that has them.
//!
//! The values go to that file alone, which only its owner can read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::commands::operations::variable_name;
use crate::domain::toml_text::quoted;
use crate::sys::text_file;

/// What the secrets of a source are called, and those that were found.
pub struct SecretVariables {
    /// `METER`.
    prefix: String,
    /// Those that are set already.
    known: BTreeMap<String, String>,
    pub found: Vec<(String, String)>,
}

impl SecretVariables {
    pub fn new(source: &str, known: BTreeMap<String, String>) -> SecretVariables {
        SecretVariables {
            prefix: variable_name(source),
            known,
            found: Vec::new(),
        }
    }

    /// `${NAME}` for a secret, as a part of a text of the configuration.
    pub fn reference(&mut self, what: &str, secret: String) -> String {
        let base = format!("{}_{}", self.prefix, variable_name(what));
        let mut name = base.clone();
        let mut number = 1;
        while self.known.get(&name).is_some_and(|known| *known != secret) {
            number += 1;
            name = format!("{base}_{number}");
        }
        let reference = format!("${{{name}}}");
        if self.known.insert(name.clone(), secret.clone()).is_none() {
            self.found.push((name, secret));
        }
        reference
    }

    /// The same as a TOML text of its own.
    pub fn variable(&mut self, what: &str, secret: String) -> String {
        quoted(&self.reference(what, secret))
    }
}

/// The file of the secrets of a configuration: read by systemd for the service, else by main-node.
pub fn secrets_file(configuration: &Path, is_service: bool) -> PathBuf {
    configuration.with_file_name(if is_service { "secrets.env" } else { ".env" })
}

/// The content of that file with more variables. `Err` completes "FILE cannot be read: …".
pub fn with_secrets(file: &Path, secrets: &[(String, String)]) -> Result<String, String> {
    let mut text = if file.exists() {
        text_file::read(file)?
    } else {
        String::new()
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for (name, value) in secrets {
        text += &format!("{name}={}\n", env_quoted(value));
    }
    Ok(text)
}

/// A value as systemd and the reader of `.env` both read it.
fn env_quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@%+/:,=~".contains(c);
    if value.chars().all(is_plain) {
        return value.to_owned();
    }
    if !value.contains('\'') {
        return format!("'{value}'");
    }
    let escape = |c: char| match c {
        '"' | '\\' | '$' => format!("\\{c}"),
        _ => c.to_string(),
    };
    format!("\"{}\"", value.chars().map(escape).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;

    #[test]
    fn secrets_read_back_from_both_kinds_of_files() {
        let directory = crate::golden::scratch("init-secrets");
        let file = directory.join(".env");
        std::fs::write(&file, "OLD='1'").expect("it can be written");
        let secrets: Vec<(String, String)> = [
            "plain",
            "p@ss's;:",
            "a$b",
            "it's $HOME",
            "\"q\"",
            "it's \"q\" \\ `x`",
            "#1",
            " a ",
            "ä'€",
        ]
        .iter()
        .enumerate()
        .map(|(number, value)| (format!("S_{number}"), (*value).to_owned()))
        .collect();
        let text = with_secrets(&file, &secrets).expect("readable");
        std::fs::write(&file, &text).expect("it can be written");
        let read = crate::config::env_file(&text);
        assert_eq!(read[0], ("OLD".to_owned(), "1".to_owned()));
        assert_eq!(read[1..], secrets);
        let mut environment = Environment::default();
        environment.read_dot_env(&directory).expect("it is valid");
        for (name, value) in &secrets {
            let found = environment.lookup(name).expect("it can be read");
            assert_eq!(found.map(|(found, _)| found).as_ref(), Some(value));
        }
        std::fs::remove_dir_all(directory).expect("its own directory");
    }

    #[test]
    fn a_variable_has_one_meaning() {
        let known = [("METER_PASSWORD", "old"), ("METER_KEY", "same")];
        let known = known.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut secrets = SecretVariables::new("meter", known.into());
        assert_eq!(
            secrets.reference("PASSWORD", "new".to_owned()),
            "${METER_PASSWORD_2}"
        );
        assert_eq!(
            secrets.reference("password", "new".to_owned()),
            "${METER_PASSWORD_2}"
        );
        assert_eq!(secrets.reference("key", "same".to_owned()), "${METER_KEY}");
        assert_eq!(
            secrets.found,
            [("METER_PASSWORD_2".to_owned(), "new".to_owned())]
        );
    }
}
