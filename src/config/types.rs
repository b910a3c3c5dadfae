//! Configuration types: what the sections read, print and pass on.
//!
//! Plain values without any reading of files, so that sections can share them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::mail::MailConfig;
use super::problem::Remark;
use super::secret::Secret;
use crate::domain::alert::AlertRules;
use crate::domain::plan::{KeyPlan, Plan, SourcePlan};
use crate::domain::redact::Secrets;
use crate::limits;
use openapi::operation::{Argument, Operation, SecurityScheme};

/// Default of `backup_keep`.
const BACKUPS_KEPT: usize = 7;

/// The effective configuration, complete and valid.
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

impl Config {
    /// The defaults of all options.
    pub fn with_defaults(file: Option<PathBuf>, name: String) -> Config {
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

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub file: Option<PathBuf>,
    pub listen: Option<String>,
    pub database: Option<PathBuf>,
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

/// One source: the domain's plan for it, and how it is called.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    pub plan: SourcePlan,
    pub target: SourceTarget,
    pub headers: Vec<Header>,
    pub auth: Option<Auth>,
    pub timeout: Duration,
    pub body_bytes: u64,
    pub redirects: u32,
    pub ca_file: Option<PathBuf>,
    pub proxy: Option<String>,
    /// Connections to its server at once, shared with the other sources of that server.
    pub connections: usize,
    /// `plan.every` is what a quota leaves, so that a restart must not ask at once.
    pub quota: Option<Duration>,
    /// Where it stands, for messages of parts that find something wrong with it later.
    pub place: String,
}

impl Default for SourceConfig {
    fn default() -> SourceConfig {
        SourceConfig {
            plan: SourcePlan::default(),
            target: SourceTarget::Url {
                url: String::new(),
                params: Vec::new(),
            },
            headers: Vec::new(),
            auth: None,
            timeout: limits::FETCH_TIMEOUT,
            body_bytes: limits::BODY_BYTES,
            redirects: limits::REDIRECTS,
            ca_file: None,
            proxy: None,
            connections: 1,
            quota: None,
            place: String::new(),
        }
    }
}

impl SourceConfig {
    /// The machine that it calls, by name or address without brackets.
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

    /// Sends the source to a simulation of its API, and asks it often.
    pub fn simulate(&mut self, base_of: &dyn Fn(&str) -> String, every: Duration) {
        if let SourceTarget::Operation {
            operation, base, ..
        } = &mut self.target
        {
            *base = Some(base_of(&operation.api));
        }
        self.plan.every = every;
        self.plan.stale_after = None;
    }
}

/// Keys that the file names, each with its place.
pub type KeySpans = Vec<(Arc<str>, Range<usize>)>;

/// What a source calls.
#[derive(Debug, Clone)]
pub enum SourceTarget {
    /// A compiled-in operation; `base` is where, if not where its file says.
    Operation {
        operation: &'static Operation,
        base: Option<String>,
        arguments: Vec<(String, Argument)>,
    },
    /// Any JSON address.
    Url {
        url: String,
        params: Vec<(String, String)>,
    },
    /// Another main-node, by its address.
    Follow { node: String },
}

impl SourceTarget {
    /// Where its first request goes.
    pub fn uri(&self) -> Option<ureq::http::Uri> {
        let url = match self {
            SourceTarget::Operation {
                operation, base, ..
            } => operation.base_url(base.as_deref()).ok()?,
            SourceTarget::Url { url, .. } => url.clone(),
            SourceTarget::Follow { node } => node.clone(),
        };
        url.parse().ok()
    }
}

/// A request header of the owner's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: Secret,
}

/// The owner's credentials; the OpenAPI file says where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// For whichever scheme wants one of its kind.
    Any(ConfiguredCredential),
    /// By the names of schemes: where one is meant of several, or several are needed.
    Schemes(Vec<(&'static SecurityScheme, ConfiguredCredential)>),
}

/// One credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfiguredCredential {
    Basic {
        user: String,
        password: Secret,
    },
    /// A bearer or OAuth 2 token, or an API key.
    Token(Secret),
}

/// Where alerts are sent, and what messages say about the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notifications {
    pub mail: Option<MailConfig>,
    /// Where alerts are posted; the address itself may be the secret.
    pub webhook: Option<WebhookConfig>,
    /// A dead man's switch that hears once a minute that all is well.
    pub ping: Option<Secret>,
    /// Where people find the node's page, for links in messages.
    pub page: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    pub url: Secret,
    pub format: WebhookFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    Json,
    /// The message's text with a title, as ntfy takes it.
    Text,
}

impl WebhookFormat {
    pub fn name(self) -> &'static str {
        match self {
            WebhookFormat::Json => "json",
            WebhookFormat::Text => "text",
        }
    }
}
