//! What the installed service (`main-node.service`) has that a command run by hand has not:
//! its environment files, its credentials, its state directory.
//!
//! Reads unit and files below a root, so that tests bring their own. Knows of systemd's options
//! those that lead to values; whatever it does not understand it leaves out.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::env_file;

const UNIT: &str = "main-node.service";

/// Where units lie, the first having the last word (systemd.unit(5)).
const UNITS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// Where a credential without a path is looked for.
const CREDENTIAL_STORES: [&str; 4] = [
    "etc/credstore",
    "run/credstore",
    "usr/local/lib/credstore",
    "usr/lib/credstore",
];

/// The configuration that the service takes unless its command line names another.
const CONFIGURATION: &str = "/etc/main-node/main-node.toml";

/// What the service is given beside its configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstalledService {
    /// Variables, each with the file that sets it.
    pub variables: BTreeMap<String, (String, PathBuf)>,
    /// Files that hold some and that this user may not read.
    pub closed: Vec<PathBuf>,
    /// Credentials by name, in the order in which they are tried.
    pub credentials: Vec<(String, PathBuf)>,
    /// Where it keeps its database. systemd makes it when the service starts.
    pub state: Option<PathBuf>,
}

/// One option of a unit.
type Options = Vec<(String, String)>;

impl InstalledService {
    /// The service that takes `configuration`, if one is installed below `root`.
    pub fn of(configuration: &Path, root: &Path) -> Option<InstalledService> {
        let options = read_unit(root)?;
        let own = options
            .iter()
            .rev()
            .find(|(name, value)| name == "ExecStart" && !value.is_empty())
            .and_then(|(_, command)| configuration_argument(command))
            .unwrap_or(CONFIGURATION.to_owned());
        let own = below(root, &own);
        let is_same = match (own.canonicalize(), configuration.canonicalize()) {
            (Ok(own), Ok(configuration)) => own == configuration,
            _ => own == configuration,
        };
        is_same.then(|| InstalledService::read(&options, root))
    }

    fn read(options: &Options, root: &Path) -> InstalledService {
        let mut service = InstalledService::default();
        let unit = PathBuf::from(UNIT);
        for value in list(options, "Environment") {
            for assignment in words(&value) {
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
                    service.closed.push(path);
                }
                Err(_) => {}
            }
        }
        // What systemd itself has put there for the running service, encrypted ones included.
        let running = below(root, "/run/credentials").join(UNIT);
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
                        service.add_credential(name, below(root, path))
                    } else {
                        stores.for_each(|path| service.add_credential(name, path))
                    }
                }
            }
        }
        let state = list(options, "StateDirectory").into_iter().next();
        let state = state.and_then(|value| Some(value.split_whitespace().next()?.to_owned()));
        service.state = state.map(|name| {
            let name = name.split(':').next().unwrap_or(&name);
            below(root, "/var/lib").join(name)
        });
        if let Some(state) = &service.state {
            let value = (state.display().to_string(), unit);
            service
                .variables
                .insert("STATE_DIRECTORY".to_owned(), value);
        }
        service
    }

    fn add_credential(&mut self, name: &str, path: PathBuf) {
        if let Err(error) = path.metadata()
            && error.kind() == ErrorKind::PermissionDenied
        {
            self.closed.push(path);
            return;
        }
        self.credentials.push((name.to_owned(), path));
    }
}

/// The unit's options in order, those of its drop-ins last.
fn read_unit(root: &Path) -> Option<Options> {
    let places = UNITS.map(|place| root.join(place));
    let unit = places
        .iter()
        .find_map(|place| std::fs::read_to_string(place.join(UNIT)).ok())?;
    // By name; of those called the same the one in the first place is meant.
    let mut additions: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for place in &places {
        let entries = std::fs::read_dir(place.join(format!("{UNIT}.d")));
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

/// The values of an option that may be given several times; an empty one takes back those
/// before it.
fn list(options: &Options, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    for (_, value) in options.iter().filter(|(option, _)| option == name) {
        if value.is_empty() {
            values.clear()
        } else {
            values.push(value.replace("%%", "%"))
        }
    }
    values
}

/// The words of a value; quotes hold one together.
fn words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in value.chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// The file behind `--config` in a command line.
fn configuration_argument(command: &str) -> Option<String> {
    let words = words(command);
    let at = words
        .iter()
        .position(|word| word == "--config" || word.starts_with("--config="))?;
    match words[at].split_once('=') {
        Some((_, file)) => Some(file.to_owned()),
        None => words.get(at + 1).cloned(),
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
                     LoadCredential=smtp_pass:/etc/main-node/smtp_pass\nLoadCredential=stored\n",
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
            "files go before the unit's own words"
        );
        let state = root.join("var/lib/main-node");
        assert_eq!(value("STATE_DIRECTORY"), state.to_str());
        assert_eq!(service.state, Some(state));
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
    fn a_configuration_that_the_service_does_not_use_gets_nothing() {
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
        assert_eq!(service.closed, [""; 0].map(PathBuf::from));
    }
}
