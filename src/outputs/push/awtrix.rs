//! Messages for AWTRIX 3: one custom app for each key, over its HTTP API.
//!
//! Pure. An app is removed by an empty body, and with it every app whose name begins with its name:
//! so no name is the begin of another.

use std::sync::Arc;

use serde::Serialize;
use ureq::http::Method;

use super::message::{MessageDigest, PushMessage};
use super::selection::selected;
use crate::config::{AwtrixSettings, LifetimeMode};
use crate::domain::plan::{KeySelector, Plan};
use crate::domain::presentation::transliterate;
use crate::domain::severity::{ValueSeverity, severity};
use crate::domain::snapshot::{Record, Snapshot};
use crate::limits;

/// What the display and its apps are called by.
pub struct AwtrixDisplay {
    /// `http://awtrix.local`, without a path.
    pub base_url: String,
    pub settings: AwtrixSettings,
    pub keys: Vec<KeySelector>,
    pub headers: Vec<(String, String)>,
    /// The begin of the names of all apps of this node.
    app_prefix: String,
}

/// The body of `POST /api/custom`.
#[derive(Serialize)]
struct CustomApp<'a> {
    text: String,
    /// As sent: in capitals, mW and MW are the same.
    #[serde(rename = "textCase")]
    text_case: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'a str>,
    lifetime: u64,
    #[serde(rename = "lifetimeMode")]
    lifetime_mode: u8,
}

const AS_SENT: u8 = 2;

/// A value that is stale gets its frame at once, as if the node had stopped.
const STALE_LIFETIME_S: u64 = 1;

impl AwtrixDisplay {
    pub fn new(
        base_url: String,
        node: &str,
        settings: AwtrixSettings,
        keys: Vec<KeySelector>,
        headers: Vec<(String, String)>,
    ) -> AwtrixDisplay {
        AwtrixDisplay {
            base_url,
            settings,
            keys,
            headers,
            app_prefix: format!("main-node~{}~", name_part(node)),
        }
    }

    /// One message for each key that is shown, and how many keys there is no app for.
    pub fn messages(&self, snapshot: &Snapshot, plan: &Plan) -> (Vec<PushMessage>, usize) {
        let plan = plan.with_upstream_labels(&snapshot.upstream_labels);
        let marks = self.settings.lifetime_mode == LifetimeMode::Mark;
        let mut records = selected(snapshot, &self.keys);
        records.retain(|record| marks || !record.stale);
        let shown = records.iter().take(limits::AWTRIX_APPS);
        let messages = shown.map(|record| self.message(snapshot, &plan, record));
        let left_out = records.len().saturating_sub(limits::AWTRIX_APPS);
        (messages.collect(), left_out)
    }

    fn message(&self, snapshot: &Snapshot, plan: &Plan, record: &Record) -> PushMessage {
        let severity = severity(plan, snapshot, record);
        let icon = self.settings.icon_of(&record.key);
        let value = plan.shown_value(record);
        let has_label = self.settings.label.unwrap_or(icon.is_none());
        let text = if has_label {
            format!("{} {value}", plan.full_label(&record.key))
        } else {
            value
        };
        let app = CustomApp {
            text: display_text(&text),
            text_case: AS_SENT,
            color: color(severity),
            icon,
            lifetime: match severity {
                ValueSeverity::Stale => STALE_LIFETIME_S,
                _ => self.settings.lifetime.as_secs(),
            },
            lifetime_mode: match self.settings.lifetime_mode {
                LifetimeMode::Delete => 0,
                LifetimeMode::Mark => 1,
            },
        };
        let body = serde_json::json!(app).to_string();
        self.request(&self.app_name(&record.key), body)
    }

    /// What takes an app off the display.
    pub fn removal(&self, app: &str) -> PushMessage {
        self.request(app, String::new())
    }

    fn request(&self, app: &str, body: String) -> PushMessage {
        let mut headers = self.headers.clone();
        if !body.is_empty() {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        PushMessage {
            about: Arc::from(app),
            digest: MessageDigest::new(&body, ()),
            method: Method::POST,
            // A name has no character that is encoded.
            url: format!("{}/api/custom?name={app}", self.base_url),
            headers,
            body,
        }
    }

    /// The list of all apps on the display.
    pub fn app_list(&self) -> PushMessage {
        self.read("/api/loop")
    }

    /// What `check` asks for: version and state.
    pub fn stats(&self) -> PushMessage {
        self.read("/api/stats")
    }

    fn read(&self, path: &str) -> PushMessage {
        PushMessage {
            method: Method::GET,
            url: format!("{}{path}", self.base_url),
            headers: self.headers.clone(),
            ..PushMessage::default()
        }
    }

    /// The apps of this node in an answer, which may be cut short.
    pub fn own_apps<'a>(&self, app_list: &'a str) -> Vec<&'a str> {
        let names = app_list.split('"');
        let is_own = |name: &&str| name.starts_with(&self.app_prefix) && name.ends_with('~');
        names.filter(is_own).collect()
    }

    /// Unique, and no begin of another: only the last character of a name is the third `~`.
    fn app_name(&self, key: &str) -> String {
        format!("{}{}~", self.app_prefix, name_part(key))
    }
}

/// A text in characters that need no encoding in URLs, file names and topics.
fn name_part(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            part.push(char::from(byte));
        } else {
            part += &format!("!{byte:02X}");
        }
    }
    part
}

/// A text in the characters of the display: Latin-1, the euro and Cyrillic. Two braces would be
/// the topic of a broker, whose value the display shows.
fn display_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{a0}' | '\u{2009}' | '\u{202f}' => shown.push(' '),
            '{' if shown.ends_with('{') => shown += " {",
            ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{ff}' | '€' | 'А'..='я' => {
                shown.push(c);
            }
            c => shown += &transliterate(c.encode_utf8(&mut [0; 4])),
        }
    }
    shown
}

/// The colour of a value; none is the one that the display is set to.
fn color(severity: ValueSeverity) -> Option<&'static str> {
    match severity {
        ValueSeverity::None => None,
        ValueSeverity::Warn => Some("#FFA500"),
        ValueSeverity::Bad => Some("#FF0000"),
        ValueSeverity::Stale => Some("#808080"),
    }
}

/// The version in an answer to `/api/stats`, which may be cut short.
pub fn version(stats: &str) -> Option<&str> {
    let (_, behind) = stats.split_once("\"version\"")?;
    let version = behind.trim_start_matches([':', ' ']).strip_prefix('"')?;
    version.split_once('"').map(|(version, _)| version)
}
