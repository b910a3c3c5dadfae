//! Command lines that are printed for copying: quoted for the shell, with the files that were named.
//!
//! Pure.

use crate::config::Overrides;
use crate::sys::build_id::shell_quoted;

/// `main-node` with these words, for the configuration and the database of this command.
pub fn printed_command(overrides: &Overrides, words: &[&str]) -> String {
    let mut command = "main-node".to_owned();
    for word in words {
        command += &format!(" {}", shell_quoted(word));
    }
    for (option, file) in [
        ("--config", &overrides.file),
        ("--database", &overrides.database),
    ] {
        if let Some(file) = file {
            command += &format!(" {option} {}", shell_quoted(&file.to_string_lossy()));
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_the_files_that_were_named() {
        for (config, database, expected) in [
            (None, None, "main-node rename ' lead' NEW"),
            (
                Some("my node.toml"),
                None,
                "main-node rename ' lead' NEW --config 'my node.toml'",
            ),
            (
                Some("n.toml"),
                Some("x.db"),
                "main-node rename ' lead' NEW --config n.toml --database x.db",
            ),
        ] {
            let overrides = Overrides {
                file: config.map(Into::into),
                database: database.map(Into::into),
                ..Overrides::default()
            };
            let found = printed_command(&overrides, &["rename", " lead", "NEW"]);
            assert_eq!(found, expected);
        }
    }
}
