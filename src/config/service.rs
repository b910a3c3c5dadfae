//! systemd unit of the installed service (`main-node.service`): its environment files,
//! credentials and state directory, for commands run by hand.
//!
//! Reads unit files below a root directory, which tests replace. Knows only the systemd options
//! that set values and ignores the others.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::env_file;
use crate::sys::service_access::is_hidden;

const UNIT: &str = "main-node.service";

/// Unit directories, highest precedence first (systemd.unit(5)).
const UNITS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Search path of credentials without a path.
const CREDENTIAL_STORES: [&str; 4] = [
    "etc/credstore",
    "run/credstore",
    "usr/local/lib/credstore",
    "usr/lib/credstore",
];

/// Configuration file of the service without `--config`.
const CONFIGURATION: &str = "/etc/main-node/main-node.toml";

/// Environment and credentials of the installed service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstalledService {
    /// Variables, each with the file that sets it.
    pub variables: BTreeMap<String, (String, PathBuf)>,
    /// Environment files that this user may not read.
    pub unreadable: Vec<PathBuf>,
    /// Credentials by name, in search order.
    pub credentials: Vec<(String, PathBuf)>,
    /// State directory, for the database. systemd creates it when the service starts.
    pub state_directory: Option<PathBuf>,
    /// Directories that it may write to; `None` where its unit does not restrict them.
    pub writable: Option<Vec<PathBuf>>,
    /// Whether its unit hides the home directories.
    pub hides_homes: bool,
}

/// One option of a unit.
type Options = Vec<(String, String)>;

impl InstalledService {
    /// Configuration file of the service installed below `root`.
    pub fn configuration(root: &Path) -> Option<PathBuf> {
        read_unit(root).map(|options| configuration_file(&options, root))
    }

    /// The service installed below `root` that uses `configuration`.
    pub fn of(configuration: &Path, root: &Path) -> Option<InstalledService> {
        let options = read_unit(root)?;
        let file = configuration_file(&options, root);
        let is_same = match (file.canonicalize(), configuration.canonicalize()) {
            (Ok(file), Ok(configuration)) => file == configuration,
            _ => file == configuration,
        };
        is_same.then(|| InstalledService::read(&options, root))
    }

    fn read(options: &Options, root: &Path) -> InstalledService {
        let mut service = InstalledService::default();
        let unit = PathBuf::from(UNIT);
        for value in list(options, "Environment") {
            for assignment in split_arguments(&value) {
                if let Some((name, value)) = assignment.split_once('=') {
                    let value = (value.to_owned(), unit.clone());
                    service.variables.insert(name.to_owned(), value);
                }
            }
        }
        for value in list(options, "EnvironmentFile") {
            let path = below(root, value.trim_start_matches('-'));
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let found = env_file::parse(&text).into_iter();
                    let found = found.map(|(name, value)| (name, (value, path.clone())));
                    service.variables.extend(found);
                }
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    service.unreadable.push(path);
                }
                Err(_) => {}
            }
        }
        // Credentials that systemd provides to the running service, encrypted ones included.
        let running = below(root, &credentials_directory());
        for option in [
            "LoadCredential",
            "LoadCredentialEncrypted",
            "SetCredentialEncrypted",
        ] {
            for value in list(options, option) {
                let (name, path) = match value.split_once(':') {
                    Some((name, path)) => (name, path),
                    None => (&*value, ""),
                };
                service.add_credential(name, running.join(name));
                if option == "LoadCredential" {
                    let stores = CREDENTIAL_STORES
                        .iter()
                        .map(|store| root.join(store).join(name));
                    if path.starts_with('/') {
                        service.add_credential(name, below(root, path));
                    } else {
                        stores.for_each(|path| service.add_credential(name, path));
                    }
                }
            }
        }
        if !service.credentials.is_empty() {
            let value = (running.display().to_string(), unit.clone());
            let variables = &mut service.variables;
            variables.insert("CREDENTIALS_DIRECTORY".to_owned(), value);
        }
        let state = list(options, "StateDirectory").into_iter().next();
        let state = state.and_then(|value| Some(value.split_whitespace().next()?.to_owned()));
        service.state_directory = state.map(|name| {
            let name = name.split(':').next().unwrap_or(&name);
            below(root, "/var/lib").join(name)
        });
        if let Some(state) = &service.state_directory {
            let value = (state.display().to_string(), unit);
            service
                .variables
                .insert("STATE_DIRECTORY".to_owned(), value);
        }
        service.read_writable(options, root);
        service
    }

    /// Whether its unit lets it write to this directory.
    pub fn may_write(&self, directory: &Path) -> bool {
        let writable = self.writable.as_deref();
        writable.is_none_or(|all| all.iter().any(|it| directory.starts_with(it)))
    }

    /// Whether its unit hides this directory from it.
    pub fn hides(&self, directory: &Path) -> bool {
        let is_opened = self.writable.is_some() && self.may_write(directory);
        self.hides_homes && is_hidden(directory) && !is_opened
    }

    /// Directories that `ProtectSystem=strict` leaves writable.
    fn read_writable(&mut self, options: &Options, root: &Path) {
        let last = |name: &str| {
            let mut values = options.iter().rev().filter(|(option, _)| option == name);
            values.next().map(|(_, value)| value.as_str())
        };
        self.hides_homes = last("ProtectHome")
            .is_some_and(|value| matches!(value, "yes" | "true" | "on" | "1" | "tmpfs"));
        if last("ProtectSystem") != Some("strict") {
            return;
        }
        let mut paths: Vec<String> = Vec::new();
        for value in list(options, "ReadWritePaths") {
            paths.extend(split_arguments(&value));
        }
        for value in list(options, "BindPaths") {
            // SOURCE, or SOURCE:DESTINATION with options.
            let destination = |it: &String| it.split(':').nth(1).unwrap_or(it).to_owned();
            paths.extend(split_arguments(&value).iter().map(destination));
        }
        let paths = paths.iter().map(|it| it.trim_start_matches(['-', '+']));
        let mut writable: Vec<PathBuf> = paths.map(|path| below(root, path)).collect();
        writable.extend(self.state_directory.clone());
        self.writable = Some(writable);
    }

    fn add_credential(&mut self, name: &str, path: PathBuf) {
        if let Err(error) = path.metadata()
            && error.kind() == ErrorKind::PermissionDenied
        {
            self.unreadable.push(path);
            return;
        }
        self.credentials.push((name.to_owned(), path));
    }
}

fn configuration_file(options: &Options, root: &Path) -> PathBuf {
    let mut commands = options.iter().rev();
    let command = commands.find(|(name, value)| name == "ExecStart" && !value.is_empty());
    let file = command.and_then(|(_, command)| configuration_argument(command));
    below(root, file.as_deref().unwrap_or(CONFIGURATION))
}

/// The unit's options in order, those of its drop-ins last.
fn read_unit(root: &Path) -> Option<Options> {
    let directories = UNITS.map(|directory| root.join(directory));
    let unit = directories
        .iter()
        .find_map(|directory| std::fs::read_to_string(directory.join(UNIT)).ok())?;
    // By file name; the first directory wins.
    let mut additions: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for directory in &directories {
        let entries = std::fs::read_dir(directory.join(format!("{UNIT}.d")));
        for path in entries.into_iter().flatten().flatten().map(|it| it.path()) {
            let name = path.file_name().map(PathBuf::from);
            if let Some(name) = name.filter(|name| name.extension().is_some_and(|it| it == "conf"))
            {
                additions.entry(name).or_insert(path);
            }
        }
    }
    let mut options = Options::new();
    parse_options(&unit, &mut options);
    for path in additions.values() {
        parse_options(
            &std::fs::read_to_string(path).unwrap_or_default(),
            &mut options,
        );
    }
    Some(options)
}

/// The options of the section `[Service]`.
fn parse_options(text: &str, options: &mut Options) {
    let mut section = String::new();
    let mut continued = String::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(begun) = line.strip_suffix('\\') {
            continued += begun;
            continued.push(' ');
            continue;
        }
        let line = std::mem::take(&mut continued) + line;
        if line.starts_with('[') {
            section = line;
        } else if section == "[Service]"
            && let Some((name, value)) = line.split_once('=')
        {
            options.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
}

/// The values of a repeatable option; an empty value resets the list.
fn list(options: &Options, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for (_, value) in options.iter().filter(|(option, _)| option == name) {
        if value.is_empty() {
            values.clear();
        } else {
            values.push(expand_specifiers(value));
        }
    }
    values
}

/// Replaces the specifiers of systemd.unit(5) that values of a service have: `%d` is the directory
/// of its credentials, `%%` a plain one.
fn expand_specifiers(value: &str) -> String {
    let mut parts = value.split("%%");
    let first = parts
        .next()
        .unwrap_or_default()
        .replace("%d", &credentials_directory());
    parts.fold(first, |text, part| {
        format!("{text}%{}", part.replace("%d", &credentials_directory()))
    })
}

/// Where systemd puts the credentials of the running service.
fn credentials_directory() -> String {
    format!("/run/credentials/{UNIT}")
}

/// Splits a value at whitespace outside quotes.
fn split_arguments(value: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut argument = String::new();
    let mut quote = None;
    for c in value.chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => arguments.push(std::mem::take(&mut argument)),
            _ => argument.push(c),
        }
    }
    arguments.push(argument);
    arguments.retain(|argument| !argument.is_empty());
    arguments
}

/// The file after `--config` in a command line.
fn configuration_argument(command: &str) -> Option<String> {
    let arguments = split_arguments(command);
    let at = arguments
        .iter()
        .position(|argument| argument == "--config" || argument.starts_with("--config="))?;
    match arguments[at].split_once('=') {
        Some((_, file)) => Some(file.to_owned()),
        None => arguments.get(at + 1).cloned(),
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = crate::golden::scratch(name);
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("it lies in a directory")).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    const TOML: &str = "etc/main-node/main-node.toml";

    #[test]
    fn what_the_unit_lets_the_service_write_is_known() {
        const UNIT: &str = "etc/systemd/system/main-node.service";
        let ours = include_str!("../../systemd/main-node.service");
        for (name, unit, addition, expected) in [
            ("service-strict", ours, "", [false, false, false]),
            (
                "service-paths",
                ours,
                "[Service]\nReadWritePaths=/srv -/mnt\nBindPaths=/data:/home/node",
                [true, true, false],
            ),
            (
                "service-reset",
                ours,
                "[Service]\nProtectSystem=full",
                [true, true, true],
            ),
            (
                "service-plain",
                "[Service]\nExecStart=/bin/node\n",
                "",
                [true, true, true],
            ),
        ] {
            let addition = ("etc/systemd/system/main-node.service.d/own.conf", addition);
            let root = machine(name, &[(TOML, ""), (UNIT, unit), addition]);
            let service =
                InstalledService::of(&root.join(TOML), &root).expect("it is the service's");
            let found = ["mnt/usb", "home/node/backups", "media/pi"];
            let found = found.map(|directory| service.may_write(&root.join(directory)));
            assert_eq!(found, expected, "{name}");
            assert_eq!(service.hides_homes, unit == ours, "{name}");
        }
    }

    #[test]
    fn variables_and_credentials_of_the_unit_are_read() {
        let root = machine(
            "service-unit",
            &[
                (TOML, ""),
                (
                    "etc/systemd/system/main-node.service",
                    include_str!("../../systemd/main-node.service"),
                ),
                (
                    "etc/systemd/system/main-node.service.d/own.conf",
                    "[Unit]\nLoadCredential=no:/no\n[Service]\nEnvironment=\"GREETING=good day\" RUST_LOG=debug\n\
                     Environment=KEY_FILE=%d/key_100%%d\nLoadCredential=smtp_pass:/etc/main-node/smtp_pass\nLoadCredential=stored\n",
                ),
                (
                    "etc/main-node/secrets.env",
                    "METER_TOKEN='a$b'\nRUST_LOG=info\n",
                ),
                ("etc/main-node/smtp_pass", "hush\n"),
            ],
        );
        let service = InstalledService::of(&root.join(TOML), &root).expect("it is the service's");
        let value = |name: &str| service.variables.get(name).map(|(value, _)| value.as_str());
        assert_eq!(value("METER_TOKEN"), Some("a$b"));
        assert_eq!(value("GREETING"), Some("good day"));
        assert_eq!(
            value("RUST_LOG"),
            Some("info"),
            "files go before the unit's own variables"
        );
        assert_eq!(
            value("KEY_FILE"),
            Some("/run/credentials/main-node.service/key_100%d")
        );
        let running = root.join("run/credentials/main-node.service");
        assert_eq!(value("CREDENTIALS_DIRECTORY"), running.to_str());
        let state = root.join("var/lib/main-node");
        assert_eq!(value("STATE_DIRECTORY"), state.to_str());
        assert_eq!(service.state_directory, Some(state));
        let paths: Vec<_> = service
            .credentials
            .iter()
            .map(|(name, path)| (name.as_str(), path.clone()))
            .collect();
        assert!(paths.contains(&("smtp_pass", root.join("etc/main-node/smtp_pass"))));
        assert!(paths.contains(&(
            "smtp_pass",
            root.join("run/credentials/main-node.service/smtp_pass")
        )));
        assert!(paths.contains(&("stored", root.join("etc/credstore/stored"))));
        assert!(
            !paths.iter().any(|(name, _)| *name == "no"),
            "another section's"
        );
    }

    #[test]
    fn another_configuration_gets_no_service_variables() {
        let unit = "[Service]\nExecStart=/usr/local/bin/main-node serve\nEnvironmentFile=/etc/e\n";
        let path = "usr/lib/systemd/system/main-node.service";
        let root = machine(
            "service-other",
            &[(TOML, ""), ("home/main-node.toml", ""), (path, unit)],
        );
        assert!(InstalledService::of(&root.join(TOML), &root).is_some());
        assert_eq!(
            InstalledService::of(&root.join("home/main-node.toml"), &root),
            None
        );
        let named = unit.replace("serve", "serve --config /home/main-node.toml");
        std::fs::write(root.join(path), named).unwrap();
        assert!(InstalledService::of(&root.join("home/main-node.toml"), &root).is_some());
        assert_eq!(InstalledService::of(&root.join(TOML), &root), None);
        std::fs::remove_file(root.join(path)).unwrap();
        assert_eq!(
            InstalledService::of(&root.join(TOML), &root),
            None,
            "no service, no guess"
        );
    }

    #[test]
    fn a_drop_in_resets_options_of_the_unit() {
        let root = machine(
            "service-reset",
            &[
                (TOML, ""),
                (
                    "lib/systemd/system/main-node.service",
                    "[Service]\nEnvironmentFile=/etc/a\n",
                ),
                ("etc/a", "A=1"),
                ("etc/b", "B=2"),
                (
                    "run/systemd/system/main-node.service.d/z.conf",
                    "[Service]\nEnvironmentFile=\nEnvironmentFile=-/etc/b\nEnvironmentFile=-/etc/absent\n",
                ),
            ],
        );
        let service = InstalledService::of(&root.join(TOML), &root).expect("it is the service's");
        assert_eq!(service.variables.keys().collect::<Vec<_>>(), ["B"]);
        assert_eq!(service.unreadable, [""; 0].map(PathBuf::from));
    }
}
