//! Environment variables, `.env`, secret files and systemd credentials. A command run by hand
//! also gets those of the installed service.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::problem::{Problem, Remark, Severity};

use super::service::InstalledService;
use crate::api::description_file::ApiFileUse;
use crate::sys::container::is_container;
use crate::sys::text_file;

/// What started the process, and so where its variables are set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Launcher {
    #[default]
    Shell,
    Systemd,
    Container,
}

/// Variables by precedence: the process environment, the installed service's, `.env`, the file
/// that `NAME_FILE` names, the credential called `name`. An empty value means unset.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    launcher: Launcher,
    /// What OpenAPI files are read for.
    pub api_files: ApiFileUse,
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
        let environment = Environment::new(process_variables());
        let is_first = std::process::id() == 1;
        let launcher = if environment.process.contains_key("NOTIFY_SOCKET") && !is_first {
            Launcher::Systemd
        } else if is_container() {
            Launcher::Container
        } else {
            Launcher::Shell
        };
        Environment {
            launcher,
            ..environment
        }
    }

    /// The same, where OpenAPI files are read for a service that starts or reloads.
    pub fn with_api_files(self, api_files: ApiFileUse) -> Environment {
        Environment { api_files, ..self }
    }

    /// Adds variables and credentials of the installed service, for a command run by hand.
    pub fn with_service(self, service: InstalledService) -> Environment {
        let is_installed = service != InstalledService::default();
        let launcher = match self.launcher {
            Launcher::Shell if is_installed => Launcher::Systemd,
            launcher => launcher,
        };
        Environment {
            launcher,
            service,
            ..self
        }
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

    /// A variable's value and its location; `Err` if the file or the credential that should hold it
    /// cannot be read.
    pub fn lookup(&self, name: &str) -> Result<Option<(String, String)>, Problem> {
        if let Some(found) = self.plain_variable(name) {
            return Ok(Some(found));
        }
        match self.plain_variable(&format!("{name}_FILE")) {
            Some((file, location)) => {
                let value = self.read_secret_file(name, &file, &location)?;
                Ok(Some((value, file)))
            }
            None => self.credential(name),
        }
    }

    /// A variable that is set itself: of the process, the installed service or `.env`.
    fn plain_variable(&self, name: &str) -> Option<(String, String)> {
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
        filled(&self.dot_env).map(|value| (value, format!("{name} in {}", self.dot_env_location)))
    }

    /// The variables whose names begin so, with their values.
    pub fn with_prefix(&self, prefix: &str) -> BTreeMap<String, String> {
        let own = self.process.iter().chain(&self.dot_env);
        let of_service = self.service.variables.iter();
        let of_service = of_service.map(|(name, (value, _))| (name, value));
        let found = own.chain(of_service);
        let found = found.filter(|(name, value)| name.starts_with(prefix) && !value.is_empty());
        let found = found.map(|(name, value)| (name.clone(), value.clone()));
        found.collect()
    }

    /// Whether a variable is set to an empty text, which counts as not set.
    fn is_empty(&self, name: &str) -> bool {
        let of_service = self.service.variables.get(name);
        let values = [
            self.process.get(name),
            of_service.map(|(value, _)| value),
            self.dot_env.get(name),
        ];
        values.into_iter().flatten().any(String::is_empty)
    }

    /// Reads the file that `NAME_FILE` names, the convention for container secrets.
    fn read_secret_file(&self, name: &str, file: &str, location: &str) -> Result<String, Problem> {
        let problem = |reason: &str| Problem {
            location: location.to_owned(),
            message: format!("{name}_FILE names {file}, {reason}"),
        };
        match text_file::read(Path::new(file)) {
            Ok(text) => match text.trim_end_matches(['\n', '\r']) {
                "" => Err(problem("which is empty: write the value into it")),
                value => Ok(value.to_owned()),
            },
            Err(error) => {
                let advice = match self.launcher {
                    Launcher::Container if !Path::new(file).exists() => {
                        ": give the container that file (`secrets` or `volumes` of compose, -v)"
                    }
                    _ => "",
                };
                Err(problem(&format!("which cannot be read: {error}{advice}")))
            }
        }
    }

    /// Reads a systemd credential: a file with the variable's name, in lower case, as it is, or in
    /// lower case with dashes.
    fn credential(&self, name: &str) -> Result<Option<(String, String)>, Problem> {
        if name.contains('/') {
            return Ok(None);
        }
        let lower = name.to_ascii_lowercase();
        let dashed = lower.replace('_', "-");
        for file_name in [&*lower, name, &*dashed] {
            let passed = self.credentials.iter().map(|it| it.join(file_name));
            let of_service = self.service.credentials.iter();
            let of_service = of_service.filter(|(known, _)| known == file_name);
            let mut paths = passed.chain(of_service.map(|(_, path)| path.clone()));
            let Some(path) = paths.find(|path| path.exists()) else {
                continue;
            };
            let location = format!("the credential {file_name}");
            return match text_file::read(&path) {
                Ok(text) => {
                    let value = text.trim_end_matches(['\n', '\r']).to_owned();
                    Ok((!value.is_empty()).then_some((value, location)))
                }
                Err(error) => Err(Problem {
                    location,
                    message: format!("cannot be read: {error}"),
                }),
            };
        }
        Ok(None)
    }

    /// That a variable is not set, and how to set it where this process was started.
    pub fn not_set(&self, name: &str) -> String {
        let state = if self.is_empty(name) {
            "is empty"
        } else {
            "is not set"
        };
        let lower = name.to_ascii_lowercase();
        let advice = match self.launcher {
            Launcher::Systemd => format!(
                "write {name}=… into /etc/main-node/secrets.env, or pass a credential (`sudo systemctl \
                 edit main-node`, [Service], LoadCredential={lower}:/path/of/file); then `sudo \
                 systemctl restart main-node`, since both are read at the start and not on a reload"
            ),
            Launcher::Container => format!(
                "give it to the container (-e {name}=…, or `environment` in compose.yaml), or name a \
                 file with it (-e {name}_FILE=/run/secrets/{lower})"
            ),
            Launcher::Shell => format!(
                "set it in the environment or in .env beside this file ({name}=…), or name a file \
                 with it ({name}_FILE=/path/of/file)"
            ),
        };
        format!("the variable {name} {state}: {advice}, or write $$ for a plain $")
    }
}

/// The variables of this process that are texts.
pub fn process_variables() -> impl Iterator<Item = (String, String)> {
    let texts = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(texts)
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
