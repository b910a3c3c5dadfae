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
mod mail;
mod option;
mod print;
pub mod reader;
pub mod service;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use self::alert::{Notifications, WebhookFormat};
pub use self::auth::{Auth, ConfiguredCredential};
use self::environment::Environment;
pub use self::mail::{MailConfig, MailTls};
use self::option::{duration_option, option, options, parsed, split_list};
use self::reader::{ConfigReader, TableEntry, TableReader};
pub use self::reader::{Problem, Remark, Severity};
use self::source::Named;
pub use self::source::{SourceConfig, SourceTarget};
use crate::domain::alert::AlertRules;
use crate::domain::plan::{KeyPlan, Merge, Plan, RecordSelector, Selection};
use crate::domain::redact::Secrets;
use crate::domain::toml_text::{key_table, merge_advice, quoted};
use crate::limits;
pub use crate::sys::host_name::name as host_name;
use crate::sys::text_file;
use openapi::operation::{Api, nearest};

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

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Copies kept where nobody says how many.
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
    let reader = ConfigReader::new(label(file.as_deref()), &text, &environment);
    let document = parse(&text, &reader);
    let mut root = TableReader::new(&reader, document.get_ref(), 0..0, "the configuration");
    let listen = read_listen(&mut root, &reader, overrides);
    let (database, database_is_default) = read_database(&mut root, &reader, &directory, overrides);
    let mut problems = reader.into_problems();
    problems.extend(dot_env_problem);
    match problems.is_empty() {
        true => Ok(LocalSettings {
            database,
            database_is_default,
            listen,
        }),
        false => Err(problems),
    }
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
    let reader = ConfigReader::new(label(file.as_deref()), text, &environment);
    let document = parse(text, &reader);
    let config = match reader.has_problems() {
        false => {
            let root = TableReader::new(&reader, document.get_ref(), 0..0, "the configuration");
            read_root(root, &reader, file, &directory, overrides, apis)
        }
        true => None,
    };
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
        reader.problem(&span, format!("this is not TOML: {}", error.message()));
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
) -> Option<Config> {
    let listen = read_listen(&mut root, reader, overrides);
    let name = option(&mut root, reader, "name", "MAIN_NODE_NAME")
        .map_or_else(host_name, |setting| setting.text);
    let hosts = options(&mut root, reader, "hosts", "MAIN_NODE_HOSTS");
    let allow = read_networks(&mut root, reader);
    let (password_file, password) = read_password(&mut root, reader, directory).unzip();
    let timezone = option(&mut root, reader, "timezone", "MAIN_NODE_TIMEZONE");
    if timezone.is_none() {
        warn_unknown_zone(reader);
    }
    let timezone = timezone.map_or_else(TimeZone::system, |setting| {
        read_zone(&setting.text).unwrap_or_else(|message| {
            setting.problem(reader, &message);
            TimeZone::UTC
        })
    });
    let (database, database_is_default) = read_database(&mut root, reader, directory, overrides);
    let mut duration = |key, variable| duration_option(&mut root, reader, key, variable);
    let commit_every = duration("commit_every", "MAIN_NODE_COMMIT_EVERY");
    let keep_raw = duration("keep_raw", "MAIN_NODE_KEEP_RAW");
    let keep_hourly = duration("keep_hourly", "MAIN_NODE_KEEP_HOURLY");
    let backup_every = duration("backup_every", "MAIN_NODE_BACKUP_EVERY");
    let backup_keep = root
        .get("backup_keep")
        .and_then(|item| item.integer(1..=1000));
    let database_max = root.get("database_max").and_then(|item| item.bytes());
    let cors = root
        .get("cors")
        .and_then(|item| item.choice(&[("*", true), ("off", false)]));
    let sources = source::read_all(&mut root, directory, apis);
    let keys = read_keys(&mut root);
    let (alert, mut notifications) = alert::read(&mut root, reader, &sources, &timezone);
    notifications.mail = mail::read(&mut root, reader, directory);
    root.finish();
    check_shared_keys(reader, &sources, &keys);
    warn_unknown_keys(reader, &sources, &keys, &alert);
    Some(Config {
        is_demo: false,
        remarks: Vec::new(),
        file,
        secrets: Arc::default(),
        name,
        listen,
        allow,
        password: password.flatten(),
        password_file,
        hosts: hosts.into_iter().map(|host| host.text).collect(),
        timezone,
        database,
        database_is_default,
        commit_every: commit_every.unwrap_or(limits::COMMIT_EVERY),
        keep_raw: keep_raw.unwrap_or(limits::RAW_KEPT),
        keep_hourly: keep_hourly.unwrap_or(limits::HOURLY_KEPT),
        database_max: database_max.unwrap_or(limits::DATABASE_BYTES),
        backup_every,
        backup_keep: backup_keep.map_or(BACKUPS_KEPT, |count| count as usize),
        cors_any: cors.unwrap_or(false),
        sources: sources.into_iter().map(|(source, _)| source).collect(),
        keys,
        alert,
        notifications,
    })
}

/// Where the database is, and whether nobody named it.
fn read_database(
    root: &mut TableReader<'_>,
    reader: &ConfigReader<'_>,
    directory: &Path,
    overrides: &Overrides,
) -> (PathBuf, bool) {
    let setting = option(root, reader, "database", "MAIN_NODE_DATABASE");
    match (&overrides.database, setting) {
        (Some(path), _) => (path.clone(), false),
        (None, Some(setting)) => (directory.join(setting.text), false),
        (None, None) => match reader.environment.variable("STATE_DIRECTORY") {
            Some(state) => (Path::new(&state).join("main-node.db"), true),
            None => (directory.join("main-node.db"), true),
        },
    }
}

fn read_listen(
    root: &mut TableReader<'_>,
    reader: &ConfigReader<'_>,
    overrides: &Overrides,
) -> Vec<SocketAddr> {
    let configured = options(root, reader, "listen", "MAIN_NODE_LISTEN");
    let settings = match &overrides.listen {
        Some(flag) => split_list(flag, "--listen"),
        None => configured,
    };
    if settings.is_empty() {
        return vec![([0; 4], 8000).into(), ([0u16; 8], 8000).into()];
    }
    let expected = "expected an address with a port, such as \"0.0.0.0:8000\" or \"[::]:8000\"";
    parsed(settings, reader, expected, |text| text.parse().ok())
}

fn read_networks(root: &mut TableReader<'_>, reader: &ConfigReader<'_>) -> Vec<IpNet> {
    let expected = "expected a network such as \"192.168.0.0/16\" or \"fd00::/8\", or one address";
    let settings = options(root, reader, "allow", "MAIN_NODE_ALLOW");
    parsed(settings, reader, expected, |text| {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse().or_else(|_| address()).ok()
    })
}

/// A file that is named and cannot be used is a problem, never a node without a password.
fn read_password(
    root: &mut TableReader<'_>,
    reader: &ConfigReader<'_>,
    directory: &Path,
) -> Option<(PathBuf, Option<Secret>)> {
    let setting = option(root, reader, "password_file", "MAIN_NODE_PASSWORD_FILE")?;
    let path = directory.join(&setting.text);
    let password = match text_file::read(&path) {
        Ok(text) => {
            let password = text_file::one_line(&text);
            if password.is_none() {
                setting.problem(reader, "expected a file with one line, the password");
            }
            password.map(|password| reader.secret(password.to_owned()))
        }
        Err(error) => {
            let message =
                format!("expected a file with the password, and it cannot be read ({error})");
            setting.problem(reader, &message);
            None
        }
    };
    Some((path, password))
}

fn read_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name)
        .map_err(|_| "expected the IANA name of a time zone, such as \"Europe/Berlin\"".to_owned())
}

/// A `TZ` of the environment that nobody understands is taken for UTC.
fn warn_unknown_zone(reader: &ConfigReader<'_>) {
    let Some((zone, place)) = reader.environment.lookup("TZ") else {
        return;
    };
    let name = zone.strip_prefix(':').unwrap_or(&zone);
    let is_file = name.starts_with('/') && Path::new(name).is_file();
    let is_known = TimeZone::get(name).is_ok() || TimeZone::posix(name).is_ok();
    if !is_known && !is_file {
        reader.remark_at(
            Severity::Note,
            &place,
            format!(
                "expected the IANA name of a time zone, found {name:?}: times are shown in UTC; \
                 set timezone = \"Europe/Berlin\" or the like"
            ),
        );
    }
}

fn read_keys(root: &mut TableReader<'_>) -> BTreeMap<Arc<str>, KeyPlan> {
    let mut keys = BTreeMap::new();
    for entry in root.get("key").iter().flat_map(TableEntry::entries) {
        let name = entry.key().to_owned();
        let Some(mut table) = entry.table(key_table(&name)) else {
            continue;
        };
        let DeValue::Table(inner) = entry.value() else {
            continue;
        };
        if let Some((part, _)) = inner.iter().find(|(_, it)| it.get_ref().is_table()) {
            let whole = format!("{name}.{}", part.get_ref());
            let message = format!("a key with a dot wants quotes: {}", key_table(&whole));
            root.reader().problem(&part.span(), message);
            continue;
        }
        let merges = Merge::ALL.map(|merge| (merge.name(), merge));
        let plan = KeyPlan {
            merge: table.get("merge").and_then(|item| item.choice(&merges)),
            stale_after: table.get("stale_after").and_then(|item| item.duration()),
            unit: table
                .get("unit")
                .and_then(|item| item.text())
                .map(Into::into),
        };
        table.finish();
        keys.insert(name.into(), plan);
    }
    keys
}

/// Two sources that name one key need a word on how to merge them.
fn check_shared_keys(
    reader: &ConfigReader<'_>,
    sources: &[Named],
    keys: &BTreeMap<Arc<str>, KeyPlan>,
) {
    let mut first_giver: BTreeMap<&str, &str> = BTreeMap::new();
    for (source, named) in sources {
        for (key, span) in named {
            let giver = *first_giver.entry(key).or_insert(&source.plan.name);
            let is_merged = keys.get(key).is_some_and(|key| key.merge.is_some());
            if giver != &*source.plan.name && !is_merged {
                let is_template = |pick: &RecordSelector| pick.each.is_some() && *pick.key == **key;
                let advice = match &source.plan.selection {
                    // What merges them would have to name each key that comes of it.
                    Selection::Selectors(picks) if picks.iter().any(is_template) => {
                        let own = quoted(&format!("{}.{key}", source.plan.name));
                        format!("give one of them another beginning, such as {own}")
                    }
                    _ => format!("rename one, or {}", merge_advice(key)),
                };
                let message = format!("the source {giver:?} gives the key {key:?} too: {advice}");
                reader.problem(span, message);
            }
        }
    }
}

/// Keys that `[alert]` and `[key.NAME]` are about, and that no source names: certainly wrong
/// where every source names its records, else for the sources to tell.
fn warn_unknown_keys(
    reader: &ConfigReader<'_>,
    sources: &[Named],
    keys: &BTreeMap<Arc<str>, KeyPlan>,
    alert: &AlertRules,
) {
    let picks = || {
        let selections = sources.iter().map(|(source, _)| &source.plan.selection);
        selections.filter_map(|selection| match selection {
            Selection::Selectors(picks) => Some(picks),
            Selection::AllLeaves { .. } => None,
        })
    };
    let are_all_named = picks().count() == sources.len();
    let values = alert.values.iter().map(|it| (&it.key, "[[alert.value]]"));
    let stale = alert.stale.iter().map(|it| (&it.key, "[[alert.stale]]"));
    let tables = keys.keys().map(|key| (key, "[key]"));
    for (key, place) in values.chain(stale).chain(tables) {
        if picks().flatten().any(|pick| pick.selects_key(key)) {
            continue;
        }
        let place = match place {
            "[key]" => key_table(key),
            _ => format!("{place} key = {}", quoted(key)),
        };
        let near = nearest(key, picks().flatten().map(|pick| &*pick.key));
        let hint = near.map_or_else(String::new, |near| {
            format!("; did you mean {}?", quoted(near))
        });
        let (weight, message) = match are_all_named {
            true => (Severity::Problem, format!("no source gives this key{hint}")),
            false => (
                Severity::NotChecked,
                format!("whether a source gives this key: no [source.records] names it{hint}"),
            ),
        };
        reader.remark_at(weight, &place, message);
    }
}

impl Config {
    /// Where people find the node's page: as configured, else by the name that mDNS gives it.
    pub fn page(&self) -> String {
        if let Some(page) = &self.notifications.page {
            return page.trim_end_matches('/').to_owned();
        }
        let host = match self.name.contains('.') {
            true => self.name.clone(),
            false => format!("{}.local", self.name),
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
#[path = "tests/config.rs"]
mod tests;
