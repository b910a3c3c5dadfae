//! What a `[[push]]` sends: the apps of an AWTRIX display, the body of `/snapshot`, or templates.

use ureq::http::{HeaderName, HeaderValue};

use super::PushDraft;
use crate::config::problem::Severity;
use crate::config::push_types::{AwtrixSettings, PushContent, PushTemplates};
use crate::config::reader::{TableEntry, TableReader};
use crate::config::request::body::add_secrets_of_text;
use crate::config::request::headers::read_literal_headers;
use crate::config::request::url::{check_url, read_url};
use crate::config::request_types::Header;
use crate::config::secret::Secret;
use crate::domain::template::{TemplatePlace, TemplateValue, TextTemplate};
use crate::limits;
use openapi::operation::nearest;

/// `format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushFormat {
    Awtrix,
    Json,
}

/// Placeholders of one key. With any of them there is one request for each key.
pub const KEY_PLACEHOLDERS: [&str; 6] = ["key", "value", "unit", "label", "text", "stale"];

/// Placeholders that every template has.
const PLACEHOLDERS: [&str; 9] = [
    "key",
    "value",
    "unit",
    "label",
    "text",
    "stale",
    "timestamp",
    "node",
    "alert",
];

const JSON: &str = "application/json";

/// Options that only an AWTRIX display has.
const AWTRIX_OPTIONS: [&str; 3] = ["icons", "label", "lifetime_mode"];

impl PushFormat {
    pub const ALL: [(&str, PushFormat); 2] =
        [("awtrix", PushFormat::Awtrix), ("json", PushFormat::Json)];
}

/// URL, headers and content; `None` where one of them is wrong, which is reported.
pub fn read_content(
    table: &mut TableReader<'_>,
    draft: &PushDraft,
) -> Option<(Secret, Vec<Header>, PushContent)> {
    let headers = table.get("headers");
    let headers = headers
        .map(|it| read_literal_headers(&it))
        .unwrap_or_default();
    let Some(url) = table.get("url") else {
        table.problem("a [[push]] needs a url, such as url = \"http://awtrix.local\"");
        return None;
    };
    if draft.format != Some(PushFormat::Awtrix) {
        for entry in AWTRIX_OPTIONS.iter().filter_map(|it| table.get(it)) {
            entry.problem(format!(
                "`{}` is of an AWTRIX display: write format = \"awtrix\" too, or remove it",
                entry.key()
            ));
        }
    }
    let Some(format) = draft.format else {
        if table.get("format").is_some() {
            return None;
        }
        let templates = read_templates(table, draft, &url, &headers)?;
        let text = Secret::new(url.text()?);
        return Some((text, headers, PushContent::Template(templates)));
    };
    if let Some(body) = table.get("body") {
        body.problem("`format` says what the body is: remove one of `format` and `body`");
    }
    let text = read_url(&url)?;
    for name in PLACEHOLDERS {
        if text.contains(&format!("{{{name}}}")) {
            url.remark(
                Severity::Problem,
                format!(
                    "url: {{{name}}} is sent as it is: with `format` the URL has no placeholders"
                ),
            );
        }
    }
    match format {
        PushFormat::Json => {
            if draft.method == Some("GET") {
                let method = table.get("method");
                method
                    .inspect(|it| it.problem("a GET request has no body: write method = \"POST\""));
            }
            Some((Secret::new(text), headers, PushContent::Snapshot))
        }
        PushFormat::Awtrix => {
            let settings = read_awtrix(table, draft, &url, &text)?;
            Some((Secret::new(text), headers, PushContent::Awtrix(settings)))
        }
    }
}

fn read_awtrix(
    table: &mut TableReader<'_>,
    draft: &PushDraft,
    item: &TableEntry<'_>,
    url: &str,
) -> Option<AwtrixSettings> {
    let rest = url.split_once("://").map_or("", |it| it.1);
    let (host, path) = rest.split_once(['/', '?', '#']).unwrap_or((rest, ""));
    if !matches!(path.trim_end_matches('/'), "" | "api/custom") {
        let scheme = url.split_once("://").map_or("http", |it| it.0);
        let host = host.rsplit_once('@').map_or(host, |it| it.1);
        item.problem(format!(
            "url: expected the address of the AWTRIX display alone: write url = \"{scheme}://{host}\""
        ));
        return None;
    }
    if let Some(method) = table.get("method")
        && draft.method.is_some_and(|it| it != "POST")
    {
        method.problem("AWTRIX 3 takes only POST: remove `method`");
    }
    if table.get("keys").is_none() {
        table.problem(format!(
            "an AWTRIX display shows one app for each key, and has room for {}: write \
             keys = [\"temperature\", \"solar.power\"]",
            limits::AWTRIX_APPS
        ));
    }
    Some(AwtrixSettings {
        lifetime: draft.lifetime.unwrap_or(limits::AWTRIX_LIFETIME),
        lifetime_mode: draft.lifetime_mode.unwrap_or_default(),
        label: draft.label,
        icons: draft.icons.clone(),
    })
}

fn read_templates(
    table: &mut TableReader<'_>,
    draft: &PushDraft,
    url_item: &TableEntry<'_>,
    headers: &[Header],
) -> Option<PushTemplates> {
    let url_text = url_item.text()?;
    if !["http://", "https://"]
        .iter()
        .any(|it| url_text.starts_with(it))
    {
        check_url(url_item, &url_text);
        return None;
    }
    let url = match TextTemplate::parse(&url_text, TemplatePlace::Url, &PLACEHOLDERS) {
        Ok(url) => url,
        Err(problem) => {
            url_item.problem(format!("url: {problem}"));
            return None;
        }
    };
    if !check_url(url_item, &url.fill(&samples())) {
        return None;
    }
    let mut headers = read_header_templates(table, headers)?;
    let body_item = table.get("body");
    let body_text = match &body_item {
        Some(item) => Some(item.text()?),
        None => None,
    };
    let content_type = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let content_type = content_type.map(|(_, value)| value.fill(&samples()));
    let body = match (&body_item, &body_text) {
        (Some(item), Some(text)) => Some(read_body(item, text, content_type.as_deref())?),
        _ => None,
    };
    if let (Some(text), None) = (&body_text, content_type) {
        let content_type = match TemplatePlace::of_body(None, text) {
            TemplatePlace::Json => JSON,
            _ => "text/plain; charset=utf-8",
        };
        let value = TextTemplate::parse(content_type, TemplatePlace::Header, &[]).ok()?;
        headers.push(("Content-Type".to_owned(), value));
    }
    if let (Some(item), Some("GET")) = (&body_item, draft.method) {
        item.problem("a GET request has no body: write method = \"POST\", or remove `body`");
    }
    let all: Vec<&TextTemplate> = std::iter::once(&url)
        .chain(headers.iter().map(|(_, value)| value))
        .chain(&body)
        .collect();
    let uses = |names: &[&str]| names.iter().any(|name| all.iter().any(|it| it.uses(name)));
    if !uses(&PLACEHOLDERS) {
        table.problem(
            "a [[push]] needs something to send: write format = \"awtrix\" or \"json\", or placeholders \
             such as {key} and {value} in `url` or `body`",
        );
    }
    Some(PushTemplates {
        is_per_key: uses(&KEY_PLACEHOLDERS),
        url,
        headers,
        body,
        body_text,
    })
}

fn read_header_templates(
    table: &mut TableReader<'_>,
    headers: &[Header],
) -> Option<Vec<(String, TextTemplate)>> {
    let item = table.get("headers");
    let mut templates = Vec::new();
    for header in headers {
        let value = header.value.reveal();
        let template = TextTemplate::parse(value, TemplatePlace::Header, &PLACEHOLDERS).ok()?;
        let filled = template.fill(&samples());
        let fits =
            header.name.parse::<HeaderName>().is_ok() && filled.parse::<HeaderValue>().is_ok();
        if !fits {
            item.inspect(|it| it.problem("headers: a value is not a valid HTTP header (RFC 9110)"));
            return None;
        }
        templates.push((header.name.clone(), template));
    }
    Some(templates)
}

fn read_body(
    item: &TableEntry<'_>,
    text: &str,
    content_type: Option<&str>,
) -> Option<TextTemplate> {
    let place = TemplatePlace::of_body(content_type, text);
    let template = TextTemplate::parse(text, place, &PLACEHOLDERS).ok()?;
    add_secrets_of_text(item, text, &template.fill(&samples()));
    if place == TemplatePlace::Json
        && let Err(problem) = template.check_json()
    {
        item.problem(format!("body: {problem}"));
        return None;
    }
    Some(template)
}

/// Values with which texts are checked.
fn samples() -> [(&'static str, TemplateValue<'static>); 9] {
    PLACEHOLDERS.map(|name| (name, TemplateValue::Text("a")))
}

/// Notes words in braces that are sent as they are and look like a placeholder.
pub fn warn_unfilled(entry: &TableEntry<'_>, content: &PushContent) {
    let Some(templates) = content.templates() else {
        return;
    };
    let texts = templates.body.iter().chain([&templates.url]);
    let words = texts.flat_map(TextTemplate::literal_names);
    for word in words {
        let known = PLACEHOLDERS.into_iter();
        let meant = match word {
            "name" | "id" | "metric" | "sensor" | "entity" => Some("key"),
            "state" | "number" | "val" => Some("value"),
            "time" | "now" | "date" | "ts" => Some("timestamp"),
            "host" | "hostname" => Some("node"),
            _ => nearest(word, known),
        };
        if let Some(meant) = meant {
            entry.remark(
                Severity::Note,
                format!("{{{word}}} is sent as it is; the placeholder is {{{meant}}}"),
            );
        }
    }
}
