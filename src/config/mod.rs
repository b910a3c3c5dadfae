//! What the owner wants: TOML, environment, `.env` and flags → one typed [`Config`].
//!
//! Read once, at start, by `main`; every part is handed its slice. All problems are found
//! in one run, each with its place and what to change. Nothing here opens the network or
//! the database.

mod alert;
mod auth;
mod env_file;
pub mod environment;
pub mod example;
mod key;
mod mail;
mod option;
mod print;
mod problem;
pub mod reader;
mod secret;
mod section;
pub mod service;
mod source;
mod top_level;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::DeTable;

pub use self::alert::{Notifications, WebhookFormat};
pub use self::auth::{Auth, ConfiguredCredential};
use self::environment::Environment;
use self::key::{check_shared_keys, read_keys, warn_unknown_keys};
pub use self::mail::{MailConfig, MailTls};
pub use self::problem::{Problem, Remark, Severity};
use self::reader::{ConfigReader, TableReader};
pub use self::secret::Secret;
use self::section::read_options;
use self::source::read_sources;
pub use self::source::{SourceConfig, SourceTarget};
use self::top_level::{TopLevelDraft, is_top_level, local_options};
use crate::domain::alert::AlertRules;
use crate::domain::plan::{KeyPlan, Plan};
use crate::domain::redact::Secrets;
use crate::limits;
pub use crate::sys::host_name::name as host_name;
use crate::sys::text_file;
use openapi::operation::Api;

/// The effective configuration, whole and valid.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// What is worth saying about it.
    pub remarks: Vec<Remark>,
    /// The sources are simulated: the demonstration.
    pub is_demo: bool,
    /// The node's own name, for `via` and mail.
    pub name: String,
    pub listen: Vec<SocketAddr>,
    /// Networks that may connect; none is all.
    pub allow: Vec<IpNet>,
    /// Everything that is never shown, to mask it in texts of others.
    pub secrets: Arc<Secrets>,
    /// What must be known to read here.
    pub password: Option<Secret>,
    /// The file that it is in.
    pub password_file: Option<PathBuf>,
    /// Further names under which displays ask.
    pub hosts: Vec<String>,
    pub timezone: TimeZone,
    pub database: PathBuf,
    /// Nobody named the database: it lies where the node puts it unasked.
    pub database_is_default: bool,
    pub commit_every: Duration,
    /// How long rows and hours are kept; days are for ever.
    pub keep_raw: Duration,
    pub keep_hourly: Duration,
    /// Past this size of the file the oldest rows go first.
    pub database_max: u64,
    /// A verified copy beside the database so often, and how many of them.
    pub backup_every: Option<Duration>,
    pub backup_keep: usize,
    /// Pages of other sites may read this node (`Access-Control-Allow-Origin: *`).
    pub cors_any: bool,
    pub sources: Vec<SourceConfig>,
    pub keys: BTreeMap<Arc<str>, KeyPlan>,
    pub alert: AlertRules,
    /// Where alerts are sent.
    pub notifications: Notifications,
}

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub file: Option<PathBuf>,
    pub listen: Option<String>,
    pub database: Option<PathBuf>,
}

/// Backups kept where nobody says how many.
const BACKUPS_KEPT: usize = 7;

/// How often `demo` asks, so that one sees it move.
const DEMO_INTERVAL: Duration = Duration::from_secs(5);

/// Where the configuration is looked for when no flag names it.
const PLACES: [&str; 2] = ["main-node.toml", "/etc/main-node/main-node.toml"];

/// Reads the configuration by its precedence: flag, environment, `.env`, credentials, TOML,
/// default.
pub fn load(
    overrides: &Overrides,
    environment: Environment,
    apis: &[&'static Api],
) -> Result<Config, Vec<Problem>> {
    let (text, file) = find(overrides)?;
    read(&text, file, overrides, environment, apis)
}

/// The file that the configuration is read from; none is the built-in example.
pub fn file(overrides: &Overrides) -> Option<PathBuf> {
    match &overrides.file {
        Some(file) => Some(file.clone()),
        None => PLACES.iter().map(PathBuf::from).find(|path| path.exists()),
    }
}

/// The configuration's text, and the file that it stands in.
fn find(overrides: &Overrides) -> Result<(String, Option<PathBuf>), Vec<Problem>> {
    let file = file(overrides);
    let text = match &file {
        None => example::EXAMPLE.to_owned(),
        Some(path) => text_file::read(path).map_err(|error| {
            vec![Problem {
                place: path.display().to_string(),
                message: format!("the configuration cannot be read: {error}"),
            }]
        })?,
    };
    Ok((text, file))
}

/// Where the node keeps its data and listens: all that copying, exporting or asking a running
/// node needs. Sources, alerts and their secrets are not read, so that nothing about them can
/// be in the way.
#[derive(Debug, Clone)]
pub struct LocalSettings {
    pub database: PathBuf,
    pub database_is_default: bool,
    pub listen: Vec<SocketAddr>,
}

pub fn local_settings(
    overrides: &Overrides,
    mut environment: Environment,
) -> Result<LocalSettings, Vec<Problem>> {
    let (text, file) = find(overrides)?;
    let directory = directory_of(file.as_deref());
    let dot_env_problem = environment.read_dot_env(&directory).err();
    let reader = ConfigReader::new(label(file.as_deref()), &text, &environment, is_top_level);
    let document = parse(&text, &reader);
    let mut root = TableReader::new(&reader, document.get_ref(), 0..0, "the configuration");
    let mut draft = TopLevelDraft {
        config: Config::with_defaults(file, String::new()),
        overrides: overrides.clone(),
    };
    read_options(local_options(), &mut root, &directory, &mut draft);
    let mut problems = reader.into_problems();
    problems.extend(dot_env_problem);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(LocalSettings {
        database: draft.config.database,
        database_is_default: draft.config.database_is_default,
        listen: draft.config.listen,
    })
}

/// The configuration of `demo`: an example for what is compiled in, asked often, of the
/// simulated API that `base_of` says the address of.
pub fn demo(
    base_of: &dyn Fn(&str) -> String,
    database: PathBuf,
    overrides: &Overrides,
    apis: &[&'static Api],
) -> Result<Config, Vec<Problem>> {
    let listen = overrides.listen.clone();
    let overrides = Overrides {
        file: None,
        listen: Some(listen.unwrap_or("127.0.0.1:8000".to_owned())),
        database: Some(database),
    };
    let text = example::demo_text(apis);
    let mut config = read(&text, None, &overrides, Environment::default(), apis)?;
    for source in &mut config.sources {
        source.simulate(base_of, DEMO_INTERVAL);
    }
    config.commit_every = DEMO_INTERVAL;
    config.is_demo = true;
    Ok(config)
}

fn read(
    text: &str,
    file: Option<PathBuf>,
    overrides: &Overrides,
    mut environment: Environment,
    apis: &[&'static Api],
) -> Result<Config, Vec<Problem>> {
    let directory = directory_of(file.as_deref());
    let dot_env = environment.read_dot_env(&directory);
    let reader = ConfigReader::new(label(file.as_deref()), text, &environment, is_top_level);
    let document = parse(text, &reader);
    let config = (!reader.has_problems()).then(|| {
        let root = TableReader::new(&reader, document.get_ref(), 0..0, "the configuration");
        read_root(root, &reader, file, &directory, overrides, apis)
    });
    let secrets = Arc::new(reader.secrets());
    let mut remarks = reader.take_remarks();
    let mut problems = reader.into_problems();
    match dot_env {
        Ok(notes) => remarks.extend(notes),
        Err(problem) => problems.push(problem),
    }
    match config {
        Some(config) if problems.is_empty() => Ok(Config {
            secrets,
            remarks,
            ..config
        }),
        _ => Err(problems),
    }
}

/// The directory that relative paths of a configuration begin at.
fn directory_of(file: Option<&Path>) -> PathBuf {
    file.and_then(Path::parent)
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// What messages call a configuration.
fn label(file: Option<&Path>) -> String {
    match file {
        Some(path) => path.display().to_string(),
        None => "the built-in example".to_owned(),
    }
}

/// The document as far as it is TOML; what is not, is told.
fn parse<'a>(text: &'a str, reader: &ConfigReader<'_>) -> Spanned<DeTable<'a>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        reader.problem(&span, format!("invalid TOML: {}", error.message()));
    }
    document
}

fn read_root(
    mut root: TableReader<'_>,
    reader: &ConfigReader<'_>,
    file: Option<PathBuf>,
    directory: &Path,
    overrides: &Overrides,
    apis: &[&'static Api],
) -> Config {
    let mut draft = TopLevelDraft {
        config: Config::with_defaults(file, host_name()),
        overrides: overrides.clone(),
    };
    read_options(&top_level::OPTIONS, &mut root, directory, &mut draft);
    let sources = read_sources(&mut root, directory, apis);
    let keys = read_keys(&mut root);
    let (alert, mut notifications) =
        alert::read_alert(&mut root, reader, &sources, &draft.config.timezone);
    notifications.mail = mail::read_mail(&mut root, reader, directory);
    root.finish();
    check_shared_keys(reader, &sources, &keys);
    warn_unknown_keys(reader, &sources, &keys, &alert);
    Config {
        sources: sources.into_iter().map(|(source, _)| source).collect(),
        keys,
        alert,
        notifications,
        ..draft.config
    }
}

fn read_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name)
        .map_err(|_| "expected the IANA name of a time zone, such as \"Europe/Berlin\"".to_owned())
}

impl Config {
    /// What holds where nobody says anything.
    fn with_defaults(file: Option<PathBuf>, name: String) -> Config {
        Config {
            file,
            remarks: Vec::new(),
            is_demo: false,
            name,
            listen: Vec::new(),
            allow: Vec::new(),
            secrets: Arc::default(),
            password: None,
            password_file: None,
            hosts: Vec::new(),
            timezone: TimeZone::UTC,
            database: PathBuf::new(),
            database_is_default: true,
            commit_every: limits::COMMIT_EVERY,
            keep_raw: limits::RAW_RETENTION,
            keep_hourly: limits::HOURLY_RETENTION,
            database_max: limits::DATABASE_BYTES,
            backup_every: None,
            backup_keep: BACKUPS_KEPT,
            cors_any: false,
            sources: Vec::new(),
            keys: BTreeMap::new(),
            alert: AlertRules::default(),
            notifications: Notifications::default(),
        }
    }

    /// Where people find the node's page: as configured, else by the name that mDNS gives it.
    pub fn page(&self) -> String {
        if let Some(page) = &self.notifications.page {
            return page.trim_end_matches('/').to_owned();
        }
        let host = if self.name.contains('.') {
            self.name.clone()
        } else {
            format!("{}.local", self.name)
        };
        let port = self.listen.first().map_or(8000, SocketAddr::port);
        format!("http://{host}:{port}")
    }

    /// The domain's slice.
    pub fn plan(&self) -> Plan {
        Plan {
            sources: self
                .sources
                .iter()
                .map(|source| source.plan.clone())
                .collect(),
            keys: self.keys.clone(),
            alert_keys: {
                let values = self.alert.values.iter().map(|rule| &rule.key);
                let stale = self.alert.stale.iter().map(|rule| &rule.key);
                values.chain(stale).cloned().collect()
            },
            is_example: self.file.is_none(),
        }
    }
}

#[cfg(test)]
#[path = "tests/reference.rs"]
pub mod reference;
#[cfg(test)]
#[path = "tests/support.rs"]
mod support;
#[cfg(test)]
#[path = "tests/config.rs"]
mod tests;
