//! MQTT options (`[mqtt]`): broker, login, topics.

mod url;

use std::path::Path;

use toml::de::DeValue;

use self::url::{BrokerUrl, read_url};
use super::auth::read_client_certificate;
use super::key_list::read_key_list;
use super::mqtt_types::{MqttConfig, MqttVersion};
use super::reader::{TableEntry, TableReader};
use super::secret::Secret;
use super::section::{
    ConfigOption, list, masked, path, plain, print_options, read_options, set, text, with_others,
};
use super::trust::{self, print_fingerprints, read_fingerprints, reject_without_tls};
use crate::domain::percent;
use crate::domain::plan::KeySelector;
use crate::domain::toml_text::quoted;
use crate::limits;
use crate::sys::tls::TrustSettings;

/// `[mqtt]` while it is read.
#[derive(Default)]
pub struct MqttDraft {
    url: Option<BrokerUrl>,
    user: Option<String>,
    password: Option<Secret>,
    version: MqttVersion,
    client_id: Option<String>,
    prefix: Option<String>,
    keys: Vec<KeySelector>,
    home_assistant: bool,
    discovery_prefix: Option<String>,
    trust: TrustSettings,
}

type MqttOption = ConfigOption<MqttDraft, MqttConfig>;

pub static OPTIONS: [MqttOption; 13] = [
    MqttOption::new(
        "url",
        "text",
        "required",
        "\"mqtt://broker.local:1883\"",
        "The broker: `mqtt://HOST`, or `mqtts://HOST` with TLS; the ports are 1883 and 8883 unless it says another. Without a path: topics begin with `prefix`.",
        |draft, option| draft.url = option.entry().and_then(|entry| read_url(&entry)),
        |mqtt| text(&mqtt.url()),
    ),
    MqttOption::new(
        "user",
        "text",
        "none (no login)",
        "\"main-node\"",
        "User name at the broker. It may also stand in `url`.",
        |draft, option| draft.user = option.text(),
        |mqtt| text(mqtt.user.as_deref()?),
    ),
    MqttOption::new(
        "password",
        "text",
        "none",
        "\"${MQTT_PASSWORD}\"",
        "Password at the broker, best taken from a variable. It is never shown.",
        |draft, option| draft.password = option.secret(),
        |mqtt| masked(mqtt.password.as_ref()),
    ),
    MqttOption::new(
        "version",
        "\"3.1.1\" or \"5\"",
        "\"3.1.1\"",
        "\"5\"",
        "Version of the protocol. Every broker has 3.1.1; with 5 the broker says why it refuses something, such as a topic that its access rules do not allow.",
        |draft, option| {
            let version = option.entry().as_ref().and_then(read_version);
            set(&mut draft.version, version);
        },
        |mqtt| text(mqtt.version.name()),
    ),
    MqttOption::new(
        "client_id",
        "text",
        "\"main-node-\" and the node's name",
        "\"main-node-lake\"",
        "Client identifier. Two clients with one identifier throw each other out.",
        |draft, option| draft.client_id = option.entry().as_ref().and_then(read_client_id),
        |mqtt| text(&mqtt.client_id),
    ),
    MqttOption::new(
        "prefix",
        "text",
        "\"main-node/\" and the node's name",
        "\"house/lake\"",
        "What all topics begin with: `PREFIX/KEY`, `PREFIX/KEY/available`, `PREFIX/snapshot`, `PREFIX/status`. Each node needs its own.",
        |draft, option| draft.prefix = option.entry().as_ref().and_then(read_prefix),
        |mqtt| text(&mqtt.prefix),
    ),
    MqttOption::new(
        "keys",
        "list of keys and patterns",
        "none (all)",
        "[\"temperature\", \"solar.*\"]",
        "The keys that are published; in a pattern `*` stands for any characters.",
        |draft, option| draft.keys = read_key_list(option),
        |mqtt| list(&mqtt.keys),
    ),
    MqttOption::new(
        "home_assistant",
        "true or false",
        "false",
        "true",
        "Announce every key to Home Assistant, which then shows it without any configuration of its own (MQTT discovery).",
        |draft, option| set(&mut draft.home_assistant, option.boolean()),
        |mqtt| plain(mqtt.home_assistant),
    ),
    MqttOption::new(
        "discovery_prefix",
        "text",
        "\"homeassistant\"",
        "\"ha\"",
        "The discovery prefix that is set in Home Assistant's MQTT integration.",
        |draft, option| draft.discovery_prefix = option.entry().as_ref().and_then(read_prefix),
        |mqtt| text(&mqtt.discovery_prefix),
    ),
    MqttOption::new(
        "ca_file",
        "file",
        "none (the system's root certificates)",
        "\"home-ca.pem\"",
        trust::CA_FILE_HELP,
        |draft, option| draft.trust.ca_file = option.path(),
        |mqtt| path(mqtt.trust.ca_file.as_deref()?),
    ),
    MqttOption::new(
        "fingerprint",
        "text, or list of texts",
        "none",
        trust::EXAMPLE,
        trust::OUTPUT_FINGERPRINT_HELP,
        |draft, option| draft.trust.fingerprints = read_fingerprints(option),
        |mqtt| print_fingerprints(&mqtt.trust.fingerprints),
    ),
    MqttOption::new(
        "certificate",
        "file",
        "none",
        "\"client.pem\"",
        "PEM file with the certificate that the node presents to the broker, behind it those of intermediate CAs.",
        with_others,
        |mqtt| path(&mqtt.trust.client_certificate.as_ref()?.certificate),
    ),
    MqttOption::new(
        "key",
        "file",
        "none (the file of `certificate`)",
        "\"client.key\"",
        "PEM file with the private key of `certificate`.",
        with_others,
        |mqtt| path(mqtt.trust.client_certificate.as_ref()?.key.as_deref()?),
    ),
];

/// Reads `[mqtt]`; `node` is the node's name.
pub fn read_mqtt(root: &mut TableReader<'_>, directory: &Path, node: &str) -> Option<MqttConfig> {
    let entry = root.get("mqtt")?;
    if matches!(entry.value(), DeValue::String(_)) {
        // The text may have a password in it.
        entry.problem(
            "[mqtt] is a table: write the heading [mqtt], and below it url = \"mqtt://HOST\"",
        );
        return None;
    }
    if matches!(entry.value(), DeValue::Array(_)) {
        entry.problem("there is one broker: write [mqtt], not [[mqtt]]");
        return None;
    }
    let mut table = entry.table("[mqtt]")?;
    let mut draft = MqttDraft::default();
    read_options(&OPTIONS, &mut table, directory, &mut draft);
    draft.trust.client_certificate = read_client_certificate(&mut table, directory);
    check_login(&mut table, &draft);
    if draft.url.as_ref().is_some_and(|url| !url.has_tls) {
        let options = ["ca_file", "fingerprint", "certificate"];
        let advice = "write mqtts:// in `url` (the usual port is 8883)";
        reject_without_tls(&mut table, &options, advice);
    }
    if table.get("url").is_none() {
        table.problem("[mqtt] needs the broker: url = \"mqtt://HOST\"");
    }
    table.finish();
    let url = draft.url?;
    let name = percent::encode_set(node, percent::TOPIC);
    Some(MqttConfig {
        host: url.host,
        port: url.port,
        has_tls: url.has_tls,
        user: draft.user.or(url.user),
        password: draft.password.or(url.password),
        version: draft.version,
        client_id: draft
            .client_id
            .unwrap_or_else(|| format!("main-node-{node}")),
        prefix: draft.prefix.unwrap_or_else(|| format!("main-node/{name}")),
        keys: draft.keys,
        home_assistant: draft.home_assistant,
        discovery_prefix: draft
            .discovery_prefix
            .unwrap_or_else(|| "homeassistant".to_owned()),
        trust: draft.trust,
    })
}

/// Prints `[mqtt]` as TOML, secrets masked.
pub fn print_mqtt(out: &mut String, mqtt: &MqttConfig) {
    out.push_str("\n[mqtt]\n");
    print_options(out, &OPTIONS, mqtt);
}

fn check_login(table: &mut TableReader<'_>, draft: &MqttDraft) {
    let Some(url) = &draft.url else {
        return;
    };
    for (name, is_in_url) in [
        ("user", url.user.is_some()),
        ("password", url.password.is_some()),
    ] {
        if is_in_url && let Some(entry) = table.get(name) {
            entry.problem(format!("`{name}` stands in `url` too: remove one of them"));
        }
    }
    let has_user = draft.user.is_some() || url.user.is_some();
    if !has_user
        && draft.password.is_some()
        && let Some(entry) = table.get("password")
    {
        entry.problem("a password without a user, which MQTT does not have: add user = \"…\"");
    }
}

fn read_version(entry: &TableEntry<'_>) -> Option<MqttVersion> {
    const WHAT: &str = "\"3.1.1\" or \"5\"";
    let version = match entry.value() {
        DeValue::Integer(number) if number.as_str() == "5" => Some(MqttVersion::V5),
        DeValue::String(text) => match text.as_ref() {
            "3.1.1" | "311" | "4" => Some(MqttVersion::V3),
            "5" | "5.0" => Some(MqttVersion::V5),
            _ => None,
        },
        DeValue::Float(number) if number.as_str() == "5.0" => Some(MqttVersion::V5),
        _ => None,
    };
    if version.is_none() {
        entry.expected(WHAT);
    }
    version
}

fn read_client_id(entry: &TableEntry<'_>) -> Option<String> {
    let id = entry.text()?;
    let most = limits::MQTT_CLIENT_ID_BYTES;
    if id.is_empty() || id.len() > most || id.chars().any(char::is_control) {
        entry.expected(&format!("a text of 1 to {most} bytes"));
        return None;
    }
    Some(id)
}

/// What topics begin with.
fn read_prefix(entry: &TableEntry<'_>) -> Option<String> {
    let prefix = entry.text()?;
    let most = limits::MQTT_PREFIX_BYTES;
    let trimmed = prefix.trim_end_matches('/');
    let wrong = if prefix.is_empty() || prefix.len() > most {
        format!("expected a text of 1 to {most} bytes")
    } else if let Some(wildcard) = prefix.chars().find(|c| matches!(c, '#' | '+')) {
        format!(
            "{wildcard} is a wildcard of subscriptions, which a topic cannot have: leave it out"
        )
    } else if prefix.starts_with('$') {
        "topics that begin with $ are the broker's own: leave the $ out".to_owned()
    } else if prefix.chars().any(char::is_control) {
        "a topic has no control characters".to_owned()
    } else if trimmed.len() < prefix.len() && !trimmed.is_empty() {
        format!("leave out the / at the end: {}", quoted(trimmed))
    } else if prefix.split('/').any(str::is_empty) {
        "expected levels between the slashes, such as \"house/lake\"".to_owned()
    } else {
        return Some(prefix);
    };
    entry.problem(format!("{}: {wrong}", entry.key()));
    None
}

#[cfg(test)]
#[path = "tests/mqtt.rs"]
mod tests;
