//! Configuration types: the effective configuration of the node, its sources and its alerts.
//!
//! Shared by the sections, which read and print them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use ureq::http::Uri;

use super::alert_types::Notifications;
use super::api_files::ApiFile;
use super::auth_types::{Account, Auth, ConfiguredCredential};
use super::forward_types::ForwardConfig;
use super::mqtt_types::MqttConfig;
use super::problem::Remark;
use super::push_types::PushConfig;
use super::request_types::{Header, RequestMethod, origin_of};
use super::secret::Secret;
use crate::api::pagination::Pagination;
use crate::domain::alert::AlertRules;
use crate::domain::derived_key::DerivedKeys;
use crate::domain::key_pattern::KeyPattern;
use crate::domain::percent;
use crate::domain::plan::{KeyPlan, PagesPlan, Plan, SourcePlan};
use crate::domain::quota::Quota;
use crate::domain::redact::Secrets;
use crate::domain::time::Moment;
use crate::limits;
use crate::sys::percent::SharedPercent;
use crate::sys::tls::{ClientCertificateFiles, TrustSettings};
use openapi::operation::{Argument, Operation};

/// Default of `backup_keep`.
const BACKUPS_KEPT: usize = 7;

/// The effective configuration, complete and valid.
#[derive(Debug, Clone)]
pub struct Config {
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// Warnings and notes.
    pub remarks: Vec<Remark>,
    /// When it was loaded; unset where the node starts with it at once.
    pub loaded: Option<Moment>,
    /// Whether the sources are simulated (`demo`).
    pub is_demo: bool,
    /// How much of the demo's history is generated.
    pub demo_history: Option<Arc<SharedPercent>>,
    /// Name of the node, for `via` and alerts.
    pub name: String,
    pub listen: Vec<SocketAddr>,
    /// Networks that may connect; empty means all.
    pub allow: Vec<IpNet>,
    /// All secrets, for masking.
    pub secrets: Arc<Secrets>,
    /// Password for HTTP clients.
    pub password: Option<Secret>,
    /// The file that has the password.
    pub password_file: Option<PathBuf>,
    /// Token for HTTP clients that cannot send the password.
    pub token: Option<Secret>,
    /// Reverse proxies whose `X-Forwarded-…` headers are read.
    pub trusted_proxies: Vec<IpNet>,
    /// Path prefix of links (`/node`); empty without.
    pub base_path: String,
    /// Sites that may show pages in a frame, as in CSP.
    pub frame_ancestors: Vec<String>,
    /// Additional allowed host names.
    pub hosts: Vec<String>,
    pub timezone: TimeZone,
    pub database: PathBuf,
    /// Whether `database` is the default path.
    pub database_is_default: bool,
    pub commit_every: Duration,
    /// Retention of raw rows and of hourly aggregates; daily ones are kept for ever.
    pub keep_raw: Duration,
    pub keep_hourly: Duration,
    /// Above this file size the oldest raw rows are deleted.
    pub database_max: u64,
    /// Interval of automatic backups, and how many are kept.
    pub backup_every: Option<Duration>,
    pub backup_keep: usize,
    /// Their directory, if not that of the database.
    pub backup_to: Option<PathBuf>,
    /// Most records of all sources together.
    pub max_records: usize,
    /// Origins whose pages may read (CORS); `*` is every one.
    pub cors: Vec<String>,
    /// OpenAPI files that sources name operations of.
    pub apis: Vec<ApiFile>,
    pub sources: Vec<SourceConfig>,
    /// By the names of their tables.
    pub accounts: BTreeMap<Arc<str>, Account>,
    pub keys: BTreeMap<Arc<str>, KeyPlan>,
    /// The longest pattern first.
    pub key_patterns: Vec<(KeyPattern, KeyPlan)>,
    pub derived: DerivedKeys,
    /// Title, locale, groups and walls.
    pub pages: PagesPlan,
    pub alert: AlertRules,
    /// Alert channels.
    pub notifications: Notifications,
    pub pushes: Vec<PushConfig>,
    /// The MQTT broker that values are published to.
    pub mqtt: Option<MqttConfig>,
    /// Servers that stored rows are forwarded to.
    pub forwards: Vec<ForwardConfig>,
}

impl Config {
    /// The path that automatic backups are named after: `PATH.backup-DATE`. In a directory of their
    /// own it begins with the name of the node, since several nodes may share that.
    pub fn backups_named_after(&self) -> PathBuf {
        let Some(directory) = &self.backup_to else {
            return self.database.clone();
        };
        let database = self.database.file_name().unwrap_or_default();
        let node = percent::encode(&self.name);
        directory.join(format!("{node}.{}", database.to_string_lossy()))
    }

    /// Files of the client certificates of all sources, each once.
    pub fn client_certificates(&self) -> BTreeSet<&ClientCertificateFiles> {
        let sources = self.sources.iter();
        sources
            .filter_map(|it| it.trust.client_certificate.as_ref())
            .collect()
    }

    /// The defaults of all options.
    pub fn with_defaults(file: Option<PathBuf>, name: String) -> Config {
        Config {
            file,
            remarks: Vec::new(),
            loaded: None,
            is_demo: false,
            demo_history: None,
            name,
            listen: Vec::new(),
            allow: Vec::new(),
            secrets: Arc::default(),
            password: None,
            password_file: None,
            token: None,
            trusted_proxies: Vec::new(),
            base_path: String::new(),
            frame_ancestors: Vec::new(),
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
            backup_to: None,
            max_records: limits::RECORDS_TOTAL,
            cors: Vec::new(),
            apis: Vec::new(),
            sources: Vec::new(),
            accounts: BTreeMap::new(),
            keys: BTreeMap::new(),
            key_patterns: Vec::new(),
            derived: DerivedKeys::default(),
            pages: PagesPlan::default(),
            alert: AlertRules::default(),
            notifications: Notifications::default(),
            pushes: Vec::new(),
            mqtt: None,
            forwards: Vec::new(),
        }
    }

    /// URL of the node's page: `page`, else its mDNS name.
    pub fn page(&self) -> String {
        let base = &self.base_path;
        if let Some(page) = &self.notifications.page {
            let page = page.trim_end_matches('/');
            return match page.parse::<Uri>().map(|page| page.path().len()) {
                // It names a path itself.
                Ok(2..) => page.to_owned(),
                _ => format!("{page}{base}"),
            };
        }
        let host = if self.name.contains('.') {
            self.name.clone()
        } else {
            format!("{}.local", self.name)
        };
        let port = self.listen.first().map_or(8000, SocketAddr::port);
        format!("http://{host}:{port}{base}")
    }

    /// The files of `token_file`.
    pub fn token_files(&self) -> impl Iterator<Item = &Path> {
        let of_sources = self.sources.iter().filter_map(|it| it.auth.as_ref());
        let of_sources = of_sources.filter_map(Auth::credential);
        let of_accounts = self.accounts.values();
        let of_accounts = of_accounts.filter_map(|it| it.auth.credential.as_ref());
        of_sources.chain(of_accounts).filter_map(|it| match it {
            ConfiguredCredential::TokenFile(file) => Some(file.path.as_path()),
            _ => None,
        })
    }

    /// The sources that use an account.
    pub fn sources_of(&self, account: &str) -> impl Iterator<Item = &SourceConfig> {
        let sources = self.sources.iter();
        sources.filter(move |source| source.account.as_deref() == Some(account))
    }

    /// Tells the sources which keys other sections name.
    pub fn with_named_keys(mut self) -> Config {
        let named: BTreeSet<Arc<str>> = self.plan().expected_keys().into_iter().cloned().collect();
        let named = Arc::new(named);
        for source in &mut self.sources {
            source.plan.named_keys = named.clone();
        }
        self
    }

    /// The part that `domain` needs.
    pub fn plan(&self) -> Plan {
        Plan {
            sources: self
                .sources
                .iter()
                .map(|source| source.plan.clone())
                .collect(),
            keys: self.keys.clone(),
            key_patterns: self.key_patterns.clone(),
            upstream_labels: Arc::default(),
            max_records: self.max_records,
            derived: self.derived.clone(),
            alert_keys: {
                let values = self.alert.values.iter().map(|rule| &rule.key);
                let stale = self.alert.stale.iter().map(|rule| &rule.key);
                values.chain(stale).cloned().collect()
            },
            key_alerts: self.alert.key_alerts(),
            pages: self.pages.clone(),
            is_example: self.file.is_none(),
        }
    }
}

/// Command-line flags that override the configuration.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub file: Option<PathBuf>,
    pub listen: Option<String>,
    pub database: Option<PathBuf>,
}

/// Database and listen addresses, for `backup`, `export`, `import`, `restore` and the like. Sources,
/// alerts and secrets are not read, so that problems in them do not matter.
#[derive(Debug, Clone)]
pub struct LocalSettings {
    pub database: PathBuf,
    pub database_is_default: bool,
    pub listen: Vec<SocketAddr>,
}

/// One source: its plan, and the HTTP settings of its requests.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    pub plan: SourcePlan,
    pub target: SourceTarget,
    pub method: RequestMethod,
    pub headers: Vec<Header>,
    /// `observed_zone`, if it is set: the zone of date placeholders.
    pub zone: Option<TimeZone>,
    /// Its credentials: its own, or those of its account.
    pub auth: Option<Auth>,
    /// Name of the `[auth.NAME]` that it shares with other sources.
    pub account: Option<Arc<str>>,
    pub timeout: Duration,
    pub body_bytes: u64,
    pub redirects: u32,
    /// Whose certificates its server may present.
    pub trust: TrustSettings,
    pub proxy: Option<String>,
    /// Maximum connections to its server, shared by all sources of that server.
    pub connections: usize,
    /// Whether its connections are used again.
    pub keep_alive: bool,
    /// Requests before a restart count too.
    pub quota: Option<Quota>,
    /// How further pages of its responses are found, if they are fetched.
    pub pagination: Option<Pagination>,
    /// Whether the next request waits until a response expires.
    pub obey_expires: bool,
    /// Its location in the file, for later messages.
    pub location: String,
}

impl Default for SourceConfig {
    fn default() -> SourceConfig {
        SourceConfig {
            plan: SourcePlan::default(),
            target: SourceTarget::Url {
                url: String::new(),
                params: Vec::new(),
            },
            method: RequestMethod::Get,
            headers: Vec::new(),
            zone: None,
            auth: None,
            account: None,
            timeout: limits::FETCH_TIMEOUT,
            body_bytes: limits::BODY_BYTES,
            redirects: limits::REDIRECTS,
            trust: TrustSettings::default(),
            proxy: None,
            connections: 1,
            keep_alive: true,
            quota: None,
            pagination: None,
            obey_expires: false,
            location: String::new(),
        }
    }
}

impl SourceConfig {
    /// Requests that one fetch may take, redirects aside.
    pub fn pages(&self) -> u32 {
        self.pagination.as_ref().map_or(1, |it| it.pages)
    }

    /// Host name or address (without brackets) of its server.
    pub fn host(&self) -> Option<String> {
        let uri = self.target.uri()?;
        Some(uri.host()?.trim_matches(['[', ']']).to_owned())
    }

    pub fn operation(&self) -> Option<&'static Operation> {
        match &self.target {
            SourceTarget::Operation { operation, .. } => Some(operation),
            _ => None,
        }
    }

    /// Redirects the source to the simulated API or device, with a short interval. `base_of` an
    /// API's name or a device's host is the URL that its paths are below.
    pub fn simulate(&mut self, base_of: &dyn Fn(&str) -> String, every: Duration) {
        match &mut self.target {
            SourceTarget::Operation {
                operation, base, ..
            } => {
                *base = Some(base_of(&operation.api));
                self.plan.stale_after = None;
            }
            SourceTarget::Url { url, .. } => {
                let behind_scheme = url.split_once("://").map_or("", |it| it.1);
                let (host, path) = behind_scheme.split_once('/').unwrap_or((behind_scheme, ""));
                *url = format!("{}/{path}", base_of(host));
            }
            SourceTarget::Follow { .. } | SourceTarget::Unavailable { .. } => {}
        }
        self.plan.every = self.plan.every.min(every);
    }
}

/// Keys of a source, each with its location.
pub type KeySpans = Vec<(Arc<str>, Range<usize>)>;

/// The target of a source's requests.
#[derive(Debug, Clone)]
pub enum SourceTarget {
    /// An operation, compiled in or of an `[[api]]`; `base` replaces the server of the OpenAPI file.
    Operation {
        operation: &'static Operation,
        base: Option<String>,
        arguments: Vec<(String, Argument)>,
    },
    /// Any URL that responds with JSON.
    Url {
        url: String,
        params: Vec<(String, String)>,
    },
    /// Another main-node, by its URL.
    Follow { node: String },
    /// An operation of an `[[api]]` whose file cannot be used; only in a service that has started
    /// without it.
    Unavailable { operation: String, reason: String },
}

impl SourceTarget {
    /// URI of the first request.
    pub fn uri(&self) -> Option<Uri> {
        let url = match self {
            SourceTarget::Operation {
                operation, base, ..
            } => operation.base_url(base.as_deref()).ok()?,
            // A date placeholder behind the host need not be a valid part of a URL.
            SourceTarget::Url { url, .. } => return origin_of(url),
            SourceTarget::Follow { node } => node.clone(),
            SourceTarget::Unavailable { .. } => return None,
        };
        url.parse().ok()
    }
}
