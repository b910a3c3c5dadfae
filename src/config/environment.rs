//! Environment variables, `.env`, secret files and systemd credentials. A command run by hand
//! also gets those of the installed service.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::problem::{Problem, Remark, Severity};

use super::service::InstalledService;
use crate::sys::text_file;

/// Variables by precedence: the process environment, the installed service's, `.env`, the file
/// that `NAME_FILE` names, the credential called `name`. An empty value means unset.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    process: BTreeMap<String, String>,
    dot_env: BTreeMap<String, String>,
    dot_env_location: String,
    /// systemd's credentials directory (`CREDENTIALS_DIRECTORY`).
    credentials: Option<PathBuf>,
    service: InstalledService,
}

impl Environment {
    /// An environment with only the given variables.
    pub fn new(process: impl IntoIterator<Item = (String, String)>) -> Environment {
        let process: BTreeMap<String, String> = process.into_iter().collect();
        let credentials = process.get("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        Environment {
            process,
            credentials,
            ..Environment::default()
        }
    }

    /// The environment of this process.
    pub fn of_process() -> Environment {
        let texts = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Environment::new(texts)
    }

    /// Adds variables and credentials of the installed service, for a command run by hand.
    pub fn with_service(self, service: InstalledService) -> Environment {
        Environment { service, ..self }
    }

    /// Adds `.env` of a directory, if there is one.
    pub fn read_dot_env(&mut self, directory: &Path) -> Result<Vec<Remark>, Problem> {
        let path = directory.join(".env");
        let location = path.display().to_string();
        let problem = |message: String| Problem {
            location: location.clone(),
            message,
        };
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text =
            text_file::read(&path).map_err(|error| problem(format!("cannot be read: {error}")))?;
        let (text, escaped) = escape_dollars(&text, |name| self.process.contains_key(name));
        for entry in dotenvy::from_read_iter(text.as_bytes()) {
            // The library's message quotes the line, which may hold a secret.
            let (name, value) = entry.map_err(|_| {
                problem(
                    "a line is not NAME=value; put quotes around a value with spaces or #"
                        .to_owned(),
                )
            })?;
            self.dot_env.insert(name, value);
        }
        self.dot_env_location = location;
        let remark = |name: String| Remark {
            severity: Severity::Note,
            problem: Problem {
                location: format!("{name} in {}", self.dot_env_location),
                message:
                    "a $ in its value names no known variable and is escaped as $; put single \
                          quotes around the value to say so"
                        .to_owned(),
            },
        };
        Ok(escaped.into_iter().map(remark).collect())
    }

    /// A variable's value and its location.
    pub fn lookup(&self, name: &str) -> Option<(String, String)> {
        let filled = |variables: &BTreeMap<String, String>| {
            variables
                .get(name)
                .filter(|value| !value.is_empty())
                .cloned()
        };
        if let Some(value) = filled(&self.process) {
            return Some((value, format!("the environment variable {name}")));
        }
        if let Some((value, file)) = self.service.variables.get(name)
            && !value.is_empty()
        {
            return Some((value.clone(), format!("{name} in {}", file.display())));
        }
        if let Some(value) = filled(&self.dot_env) {
            return Some((value, format!("{name} in {}", self.dot_env_location)));
        }
        if let Some(path) = self.secret_file(name)
            && let Some(value) = read_secret(&path)
        {
            return Some((value, path.display().to_string()));
        }
        self.credential(name).ok().flatten()
    }

    pub fn variable(&self, name: &str) -> Option<String> {
        self.lookup(name).map(|(value, _)| value)
    }

    /// Reads the file named by `NAME_FILE`, the convention for container secrets.
    pub fn secret_file(&self, name: &str) -> Option<PathBuf> {
        let path = self.process.get(&format!("{name}_FILE"))?;
        (!path.is_empty()).then(|| PathBuf::from(path))
    }

    /// Reads a systemd credential: a file with the variable's name in lower case.
    pub fn credential(&self, name: &str) -> Result<Option<(String, String)>, Problem> {
        let file_name = name.to_ascii_lowercase();
        let location = format!("the credential {file_name}");
        let passed = self.credentials.iter().map(|it| it.join(&file_name));
        let of_service = self.service.credentials.iter();
        let of_service = of_service.filter(|(known, _)| *known == file_name);
        let mut paths = passed.chain(of_service.map(|(_, path)| path.clone()));
        let Some(path) = paths.find(|path| path.exists()) else {
            return Ok(None);
        };
        match text_file::read(&path) {
            Ok(text) => {
                let value = text.trim_end_matches(['\n', '\r']).to_owned();
                Ok((!value.is_empty()).then_some((value, location)))
            }
            Err(error) => Err(Problem {
                location,
                message: format!("cannot be read: {error}"),
            }),
        }
    }
}

/// Reads a secret file, without the final line break.
fn read_secret(path: &Path) -> Option<String> {
    let text = text_file::read(path).ok()?;
    let value = text.trim_end_matches(['\n', '\r']).to_owned();
    (!value.is_empty()).then_some(value)
}

/// Escapes every `$` in `text` that does not start a known variable's name. The `.env` parser
/// would replace it by an empty value, but a password with a `$` is more likely than an unset
/// variable. Known names are those of earlier lines and those for which `is_set`. Returns the
/// names of the changed lines.
fn escape_dollars(text: &str, is_set: impl Fn(&str) -> bool) -> (String, Vec<String>) {
    let mut escaped = String::with_capacity(text.len());
    let mut changed = Vec::new();
    let mut earlier = BTreeSet::new();
    // Quoted values may span lines; a line inside one does not start with a name.
    let mut quote = None;
    let mut name = String::new();
    for line in text.split_inclusive('\n') {
        let value_at = match quote {
            Some(_) => 0,
            None => {
                let begin = line.trim_start();
                if begin.starts_with('#') {
                    escaped.push_str(line);
                    continue;
                }
                let begin = begin.strip_prefix("export ").unwrap_or(begin);
                name = begin
                    .split('=')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_owned();
                line.find('=').map_or(line.len(), |at| at + 1)
            }
        };
        escaped.push_str(&line[..value_at]);
        let mut is_escaped = false;
        let mut before = ' ';
        let mut taken_to = value_at;
        for (at, c) in line.char_indices() {
            if at < taken_to {
                continue;
            }
            match (c, quote) {
                _ if is_escaped => is_escaped = false,
                ('\'', Some('\'')) | ('"', Some('"')) => quote = None,
                (_, Some('\'')) => {}
                ('\\', _) => is_escaped = true,
                ('\'' | '"', None) => quote = Some(c),
                // The rest is a comment.
                ('#', None) if before.is_whitespace() => {
                    escaped.push_str(&line[at..]);
                    break;
                }
                ('$', _) => {
                    let rest = &line[at + 1..];
                    match variable_at(rest) {
                        Some(known) if earlier.contains(known) || is_set(known) => {
                            // In braces: otherwise text right after the name would be read as
                            // part of it.
                            if !rest.starts_with('{') {
                                escaped.push_str(&format!("${{{known}}}"));
                                taken_to = at + 1 + known.len();
                                continue;
                            }
                        }
                        _ => {
                            escaped.push('\\');
                            if changed.last() != Some(&name) {
                                changed.push(name.clone());
                            }
                        }
                    }
                }
                _ => {}
            }
            escaped.push(c);
            before = c;
        }
        if quote.is_none() {
            earlier.insert(name.clone());
        }
    }
    (escaped, changed)
}

/// The name in `NAME…` or `{NAME}…`, by the rules of the `.env` parser.
fn variable_at(rest: &str) -> Option<&str> {
    if let Some(rest) = rest.strip_prefix('{') {
        return rest.split_once('}').map(|(name, _)| name);
    }
    let end = rest
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

#[cfg(test)]
#[path = "tests/environment.rs"]
mod tests;
