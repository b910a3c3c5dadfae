//! Types of `[[push]]`: receivers that are sent values, and what they are sent.

use std::time::Duration;

use super::request_types::Header;
use super::secret::Secret;
use crate::domain::plan::KeySelector;
use crate::domain::template::TextTemplate;
use crate::sys::tls::TrustSettings;

/// One `[[push]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushConfig {
    pub name: Option<String>,
    /// As it is written; it may hold secrets.
    pub url: Secret,
    pub content: PushContent,
    pub method: &'static str,
    pub headers: Vec<Header>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// The header `Authorization` of `user` and `password`, or of those in the URL.
    pub authorization: Option<Secret>,
    /// Empty: all.
    pub keys: Vec<KeySelector>,
    pub every: Duration,
    pub lifetime: Option<Duration>,
    pub trust: TrustSettings,
}

impl PushConfig {
    /// The name of the output.
    pub fn output_name(&self) -> String {
        match &self.name {
            Some(name) => format!("push {name}"),
            None => "push".to_owned(),
        }
    }

    pub fn awtrix(&self) -> Option<&AwtrixSettings> {
        match &self.content {
            PushContent::Awtrix(settings) => Some(settings),
            _ => None,
        }
    }
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushContent {
    Awtrix(AwtrixSettings),
    /// The body of `/snapshot`.
    Snapshot,
    Template(PushTemplates),
}

/// Custom apps of AWTRIX 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwtrixSettings {
    pub lifetime: Duration,
    pub lifetime_mode: LifetimeMode,
    /// `None`: for keys without an icon.
    pub label: Option<bool>,
    /// By a key or a pattern; the first that matches counts.
    pub icons: Vec<(String, String)>,
}

/// What happens with a value that is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LifetimeMode {
    #[default]
    Delete,
    Mark,
}

/// A request with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushTemplates {
    pub url: TextTemplate,
    pub headers: Vec<(String, TextTemplate)>,
    pub body: Option<TextTemplate>,
    /// The body as it is written.
    pub body_text: Option<String>,
    /// Whether there is one request for each key.
    pub is_per_key: bool,
}

impl LifetimeMode {
    pub const ALL: [(&str, LifetimeMode); 2] = [
        ("delete", LifetimeMode::Delete),
        ("mark", LifetimeMode::Mark),
    ];

    pub fn name(self) -> &'static str {
        match self {
            LifetimeMode::Delete => "delete",
            LifetimeMode::Mark => "mark",
        }
    }
}

impl PushContent {
    pub fn format(&self) -> Option<&'static str> {
        match self {
            PushContent::Awtrix(_) => Some("awtrix"),
            PushContent::Snapshot => Some("json"),
            PushContent::Template(_) => None,
        }
    }

    pub fn templates(&self) -> Option<&PushTemplates> {
        match self {
            PushContent::Template(templates) => Some(templates),
            _ => None,
        }
    }
}

impl AwtrixSettings {
    pub fn icon_of(&self, key: &str) -> Option<&str> {
        let mut icons = self.icons.iter();
        let found = icons.find(|(name, _)| KeySelector::new(name).matches(key));
        found.map(|(_, icon)| icon.as_str())
    }
}
