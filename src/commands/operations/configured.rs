//! The `[[api]]` tables of the configuration that would be used, as they are written: it may have
//! problems, and most of it matters to no list of operations.

use std::path::{Path, PathBuf};

use super::describe::comment;
use crate::config::{self, Overrides};
use crate::sys::build_id::shell_quoted;
use crate::sys::text_file;

/// What is known of the configuration.
#[derive(Debug, Default)]
pub struct Configured {
    /// Its file, as it was found or named.
    pub file: Option<PathBuf>,
    pub apis: Vec<ConfiguredApi>,
    /// Whether the file could not be read, or is no TOML.
    pub is_unreadable: bool,
}

/// One `[[api]]`.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfiguredApi {
    pub name: String,
    /// With the directory of the configuration.
    pub file: PathBuf,
}

impl Configured {
    pub fn read(overrides: &Overrides) -> Configured {
        let Some(file) = config::file(overrides) else {
            return Configured::default();
        };
        let table = text_file::read(&file).ok();
        let table = table.and_then(|text| text.parse::<toml::Table>().ok());
        let directory = file.parent().unwrap_or(Path::new(""));
        Configured {
            apis: table.iter().flat_map(|it| apis(it, directory)).collect(),
            is_unreadable: table.is_none(),
            file: Some(file),
        }
    }

    /// A comment for each OpenAPI file, with the command that lists it.
    pub fn comments(&self) -> String {
        let file = self.shown();
        if self.is_unreadable {
            return comment(&format!(
                "{file} cannot be read here, so its [[api]] tables are not listed: `main-node check` says why"
            ));
        }
        let lines = self.apis.iter().map(|api| {
            let command = shell_quoted(&api.file.display().to_string());
            let name = &api.name;
            comment(&format!(
                "{file} also has the API {name}, whose operations `main-node operations {command}` lists"
            ))
        });
        lines.collect()
    }

    /// The configuration for messages.
    pub fn shown(&self) -> String {
        let file = self.file.as_deref().unwrap_or(Path::new("main-node.toml"));
        file.display().to_string()
    }

    /// The `[[api]]` that has this file.
    pub fn api_of(&self, file: &Path) -> Option<&ConfiguredApi> {
        let same = |it: &&ConfiguredApi| {
            let (one, other) = (it.file.canonicalize(), file.canonicalize());
            it.file == file || one.is_ok_and(|one| other.is_ok_and(|other| one == other))
        };
        self.apis.iter().find(same)
    }

    /// A file as the configuration names it: relative where it is below the configuration's directory.
    pub fn spelled(&self, file: &Path) -> String {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let configuration = self.file.as_deref().unwrap_or(Path::new("main-node.toml"));
        let configuration = absolute(configuration);
        let whole = absolute(file);
        let directory = configuration.parent().unwrap_or(Path::new("/"));
        let relative = whole.strip_prefix(directory).unwrap_or(&whole);
        relative.display().to_string()
    }
}

fn apis(table: &toml::Table, directory: &Path) -> Vec<ConfiguredApi> {
    let tables = table.get("api").and_then(toml::Value::as_array);
    let read = |it: &toml::Value| {
        let text = |name: &str| it.get(name).and_then(toml::Value::as_str);
        Some(ConfiguredApi {
            name: text("name")?.to_owned(),
            file: directory.join(text("file")?),
        })
    };
    tables.into_iter().flatten().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(text: &str) -> Configured {
        let table = text.parse::<toml::Table>().ok();
        Configured {
            file: Some(PathBuf::from("/etc/main-node/main-node.toml")),
            apis: table
                .iter()
                .flat_map(|it| apis(it, Path::new("/etc/main-node")))
                .collect(),
            is_unreadable: table.is_none(),
        }
    }

    #[test]
    fn api_tables_are_listed_whatever_else_is_wrong() {
        for (text, expected) in [
            ("", ""),
            (
                "[[api]]\nname = \"evcc\"\nfile = \"my evcc.yaml\"\nnonsense = 1\n[[api]]\nname = 3\n[[source]]\n",
                "# /etc/main-node/main-node.toml also has the API evcc, whose operations \
                 `main-node operations '/etc/main-node/my evcc.yaml'` lists\n",
            ),
            ("api = 3\n", ""),
            (
                "[[api]\n",
                "# /etc/main-node/main-node.toml cannot be read here, so its [[api]] tables are not \
                 listed: `main-node check` says why\n",
            ),
        ] {
            assert_eq!(configured(text).comments(), expected, "{text}");
        }
    }

    #[test]
    fn files_below_the_configuration_are_relative() {
        let configured = configured("[[api]]\nname = \"evcc\"\nfile = \"evcc.yaml\"\n");
        for (file, expected) in [
            ("/etc/main-node/evcc.yaml", "evcc.yaml"),
            ("/etc/main-node/apis/evcc.yaml", "apis/evcc.yaml"),
            ("/home/a/evcc.yaml", "/home/a/evcc.yaml"),
        ] {
            assert_eq!(configured.spelled(Path::new(file)), expected);
        }
        let known = configured.api_of(Path::new("/etc/main-node/evcc.yaml"));
        assert_eq!(known.map(|it| it.name.as_str()), Some("evcc"));
        assert_eq!(configured.api_of(Path::new("/home/a/evcc.yaml")), None);
        let here = Configured::default();
        assert_eq!(here.spelled(Path::new("evcc.yaml")), "evcc.yaml");
        assert_eq!(
            here.spelled(Path::new("./apis/evcc.yaml")),
            "apis/evcc.yaml"
        );
    }
}
