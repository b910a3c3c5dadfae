//! Configuration: TOML file, environment, `.env` and flags → one typed [`Config`].
//!
//! Read once at start by `main`; other modules get only the part they need. One run reports all
//! problems, each with its location and a fix. Must not open the network or the database.

mod alert;
mod alert_filter;
mod alert_names;
mod alert_types;
mod api_files;
mod auth;
mod auth_types;
mod derived;
mod device;
mod display;
mod env_file;
pub mod environment;
pub mod example;
pub mod example_body;
mod forward;
mod forward_types;
mod key;
mod key_list;
mod listen;
mod mail;
mod mqtt;
mod mqtt_types;
mod option;
mod other_names;
mod page_keys;
mod pages;
mod print;
mod problem;
mod push;
mod push_types;
pub mod reader;
mod request;
mod request_types;
mod reverse_proxy;
mod secret;
mod section;
pub mod service;
mod source;
mod top_level;
mod trust;
mod types;
mod unknown_keys;
mod variables;
mod window;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::DeTable;

use self::alert_names::{warn_alert_names, warn_display_rules};
pub use self::alert_types::{
    Notifications, PingConfig, ServiceOptions, WebhookConfig, WebhookForm, WebhookFormat,
    WebhookMethod, content_type,
};
pub use self::api_files::ApiFile;
use self::api_files::Apis;
use self::auth::Accounts;
pub use self::auth_types::{
    Auth, ConfiguredCredential, LoginConfig, LoginMethod, OAuth2Config, OAuth2Grant,
    PasswordScheme, TokenCredential,
};
use self::derived::{check_derived_names, order_derived, read_derived, set_holds};
use self::display::read_displays;
pub use self::env_file::parse as env_file;
use self::environment::Environment;
use self::forward::read_forwards;
#[cfg(test)]
pub use self::forward::tests::forward_config;
pub use self::forward_types::{ForwardConfig, TimePrecision};
use self::key::{check_shared_keys, read_keys};
pub use self::mail::{MailConfig, MailTls, Mailbox};
pub use self::mqtt_types::{MqttConfig, MqttVersion};
use self::page_keys::{warn_output_keys, warn_page_keys};
use self::pages::{read_groups, read_walls};
pub use self::problem::{Problem, Remark, Severity};
use self::push::read_pushes;
pub use self::push_types::{AwtrixSettings, LifetimeMode, PushConfig, PushContent, PushTemplates};
use self::reader::{ConfigReader, TableEntry, TableReader};
#[cfg(test)]
pub use self::request_types::Header;
pub use self::request_types::{ConfiguredBody, RequestMethod};
pub use self::secret::Secret;
use self::section::read_options;
use self::source::{SourceInputs, read_sources};
use self::top_level::{TopLevelDraft, is_top_level, options_named};
use self::types::KeySpans;
pub use self::types::{Config, LocalSettings, Overrides, SourceConfig, SourceTarget};
use self::unknown_keys::{KeyNames, warn_unknown_inputs, warn_unknown_keys};
use self::variables::warn_unknown_variables;
pub use crate::api::description_file::ApiFileUse;
use crate::domain::toml_text::quoted;
pub use crate::sys::host_name::name as host_name;
use crate::sys::text_file;
use openapi::operation::Api;

/// Request interval of `demo`, short so that values visibly change.
const DEMO_INTERVAL: Duration = Duration::from_secs(5);

/// Default paths of the configuration file, in search order.
const DEFAULT_PATHS: [&str; 2] = ["main-node.toml", "/etc/main-node/main-node.toml"];

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

/// Path of the configuration file; `None` is the built-in example.
pub fn file(overrides: &Overrides) -> Option<PathBuf> {
    match &overrides.file {
        Some(file) => Some(file.clone()),
        None => DEFAULT_PATHS
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists()),
    }
}

/// Where the configuration file is searched while no flag names it, as absolute paths.
pub fn searched_paths() -> Vec<PathBuf> {
    let absolute = |path: &&str| std::path::absolute(path).unwrap_or_else(|_| path.into());
    DEFAULT_PATHS.iter().map(absolute).collect()
}

/// The configuration's text and file.
fn find(overrides: &Overrides) -> Result<(String, Option<PathBuf>), Vec<Problem>> {
    let file = file(overrides);
    let text = match &file {
        None => example::EXAMPLE.to_owned(),
        Some(path) => text_file::read(path).map_err(|error| {
            vec![Problem {
                location: path.display().to_string(),
                message: match advice_on_directory(path) {
                    Some(advice) => format!("expected a file, found a directory: {advice}"),
                    None => format!("the configuration cannot be read: {error}"),
                },
            }]
        })?,
    };
    Ok((text, file))
}

/// What to do about a directory in the place of the configuration file.
fn advice_on_directory(path: &Path) -> Option<String> {
    let inside = path.join("main-node.toml");
    if inside.is_file() {
        return Some(format!("write --config {}", inside.display()));
    }
    let advice = "Docker creates one where the file of `-v` or `volumes` does not exist on the host. \
                  Remove the directory there, put the file in its place, and create the container \
                  anew (`docker compose up -d --force-recreate`)";
    path.is_dir().then(|| advice.to_owned())
}

pub fn local_settings(
    overrides: &Overrides,
    environment: Environment,
) -> Result<LocalSettings, Vec<Problem>> {
    let config = top_level_options(overrides, environment, &["listen", "database"])?;
    Ok(LocalSettings {
        database: config.database,
        database_is_default: config.database_is_default,
        listen: config.listen,
    })
}

/// The option `timezone` alone.
pub fn timezone(overrides: &Overrides, environment: Environment) -> Result<TimeZone, Vec<Problem>> {
    Ok(top_level_options(overrides, environment, &["timezone"])?.timezone)
}

/// The options `keep_raw` and `keep_hourly` alone.
pub fn retention(
    overrides: &Overrides,
    environment: Environment,
) -> Result<(Duration, Duration), Vec<Problem>> {
    let config = top_level_options(overrides, environment, &["keep_raw", "keep_hourly"])?;
    Ok((config.keep_raw, config.keep_hourly))
}

/// Defaults with these options at the top level; problems in others do not matter.
fn top_level_options(
    overrides: &Overrides,
    mut environment: Environment,
    names: &[&str],
) -> Result<Config, Vec<Problem>> {
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
    read_options(options_named(names), &mut root, &directory, &mut draft);
    let mut problems = reader.into_problems();
    problems.extend(dot_env_problem);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(draft.config)
}

/// The configuration of `demo`: an example for the compiled-in APIs, with short intervals and
/// the base URLs of the simulated APIs from `base_of`.
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

/// Reads a text as if it were that file.
pub fn read(
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
    warn_unknown_variables(&reader, text);
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

/// Base directory of relative paths in a configuration.
fn directory_of(file: Option<&Path>) -> PathBuf {
    file.and_then(Path::parent)
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// Name of a configuration in messages.
fn label(file: Option<&Path>) -> String {
    match file {
        Some(path) => path.display().to_string(),
        None => "the built-in example".to_owned(),
    }
}

/// Parses as much of the document as is valid TOML and reports the rest.
fn parse<'a>(text: &'a str, reader: &ConfigReader<'_>) -> Spanned<DeTable<'a>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let written = text.get(span.start..).unwrap_or_default();
        let advice = toml_advice(error.message(), written);
        reader.problem(&span, format!("invalid TOML: {}{advice}", error.message()));
    }
    document
}

/// What to write instead of JSON in a TOML file.
fn toml_advice(message: &str, written: &str) -> &'static str {
    if written.starts_with("null") {
        "; TOML has no null: write a table with it as a text of JSON, in single quotes"
    } else if written.starts_with('{') && message.contains("key") {
        "; a key with braces or dots needs quotes: \"{id}.wind\" = …"
    } else if written.starts_with(':') && message.contains("unquoted key") {
        "; in TOML an option is NAME = VALUE, a text in quotes"
    } else if message.contains("expected `=`") && written.starts_with(':') {
        "; in TOML a table is { a = 1, b = \"two\" }; JSON can be a text in single quotes: '{ \"a\": 1 }'"
    } else if message.contains("duplicate key") && written.starts_with("webhook") {
        "; write the URL of webhook = \"URL\" in a table too: [[alert.webhook]], name = \"webhook\", url = \"URL\""
    } else if message.contains("duplicate key") && written.starts_with("ping") {
        "; write the URL of ping = \"URL\" as `url` in [alert.ping]"
    } else {
        ""
    }
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
    let accounts = Accounts::read(&mut root, directory);
    let usage = reader.environment.api_files;
    let paths = (directory, &*draft.config.database);
    let (apis, api_files) = Apis::read(&mut root, apis, usage, paths);
    let inputs = SourceInputs {
        directory,
        apis: &apis,
        accounts: &accounts,
    };
    let mut sources = read_sources(&mut root, inputs);
    let find_client = |auth: &TableEntry<'_>| accounts.find_oauth_client(auth);
    let mail = mail::read_mail(&mut root, reader, directory, &find_client);
    accounts.share_quotas(reader, &mut sources);
    let (keys, patterns) = read_keys(&mut root, directory);
    draft.config.pages.groups = read_groups(&mut root, directory);
    draft.config.pages.walls = read_walls(&mut root, directory);
    draft.config.pages.displays = read_displays(&mut root, directory);
    draft.config.pushes = read_pushes(&mut root, directory);
    draft.config.forwards = read_forwards(&mut root, directory);
    let timezone = draft.config.timezone.clone();
    let mut derived = read_derived(&mut root, directory, &timezone);
    let (alert, mut notifications) =
        alert::read_alert(&mut root, directory, &sources, &draft.config.timezone);
    notifications.mail = mail;
    draft.config.mqtt = mqtt::read_mqtt(&mut root, directory, &draft.config.name);
    root.finish();
    check_shared_keys(reader, &sources, &keys);
    check_record_limits(reader, &sources, draft.config.max_records);
    let is_merged = |key: &str| keys.get(key).is_some_and(|key| key.merge.is_some());
    check_derived_names(reader, &derived, &sources, is_merged);
    set_holds(&mut derived, &sources, |key| keys.get(key)?.stale_after);
    let names = KeyNames::new(&sources, &derived);
    warn_unknown_keys(reader, &names, &keys, &patterns, &alert);
    warn_alert_names(reader, &sources, &alert, &notifications);
    warn_display_rules(reader, &draft.config.pages.displays, &alert);
    let plans: Vec<_> = sources.iter().map(|(source, _)| &source.plan).collect();
    warn_page_keys(reader, &names, &draft.config.pages, &plans);
    warn_output_keys(reader, &names, &draft.config);
    warn_unknown_inputs(reader, &derived, &names);
    let derived = order_derived(reader, &derived);
    let timezone = &draft.config.timezone;
    let sources = sources.into_iter().map(|(mut source, _)| {
        let zone = source.zone.as_ref().unwrap_or(timezone);
        source.plan.placeholder_zone = zone.clone();
        source
    });
    let config = Config {
        apis: api_files,
        sources: sources.collect(),
        accounts: accounts.into_accounts(),
        keys,
        key_patterns: patterns
            .into_iter()
            .map(|it| (it.pattern, it.plan))
            .collect(),
        derived,
        alert,
        notifications,
        ..draft.config
    };
    config.with_named_keys()
}

/// A source may have no more records than all together.
fn check_record_limits(
    reader: &ConfigReader<'_>,
    sources: &[(SourceConfig, KeySpans)],
    in_all: usize,
) {
    for (source, _) in sources {
        let own = source.plan.max_records;
        if own > in_all {
            let message = format!(
                "max_records = {own} of the source {} is more than all sources together may have: \
                 write max_records = {own} at the top of the file too",
                quoted(&source.plan.name)
            );
            reader.remark_at(Severity::Problem, &source.location, message);
        }
    }
}

#[cfg(test)]
#[path = "tests/account.rs"]
mod account_tests;
#[cfg(test)]
#[path = "tests/devices.rs"]
mod device_tests;
#[cfg(test)]
#[path = "tests/login.rs"]
mod login_tests;
#[cfg(test)]
#[path = "tests/reference.rs"]
pub mod reference;
#[cfg(test)]
#[path = "tests/support.rs"]
mod support;
#[cfg(test)]
#[path = "tests/config.rs"]
mod tests;
