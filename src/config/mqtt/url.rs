//! The address of an MQTT broker: `mqtt://USER:PASSWORD@HOST:PORT`, `mqtts://HOST`.

use ureq::http::Uri;

use crate::config::reader::TableEntry;
use crate::config::secret::Secret;
use crate::domain::percent;
use crate::domain::toml_text::quoted;

/// Ports of MQTT, and of MQTT over TLS (IANA).
const PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;

pub struct BrokerUrl {
    pub host: String,
    pub port: u16,
    pub has_tls: bool,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

/// Reads the address; a login in it is registered as a secret.
pub fn read_url(entry: &TableEntry<'_>) -> Option<BrokerUrl> {
    let text = entry.text()?;
    let (login, bare) = split_login(text.trim());
    let password = login.and_then(|it| it.split_once(':')).map(|it| it.1);
    if let Some(password) = password {
        entry.add_secret(password);
        entry.add_secret(percent::decode_lossy(password));
    }
    match parse(&bare) {
        Err(wrong) => {
            entry.problem(format!("url: {wrong}"));
            None
        }
        Ok((host, port, has_tls)) => {
            let part = |text: &str| {
                let decoded = percent::decode_lossy(text);
                (!decoded.is_empty()).then_some(decoded)
            };
            let user = login.and_then(|it| part(it.split(':').next().unwrap_or_default()));
            let password = password.and_then(part);
            if user.is_none() && password.is_some() {
                entry.problem("url: a password without a user, which MQTT does not have");
                return None;
            }
            Some(BrokerUrl {
                host,
                port,
                has_tls,
                user,
                password: password.map(|it| entry.reader().secret(it)),
            })
        }
    }
}

/// `USER:PASSWORD`, and the address without it.
fn split_login(text: &str) -> (Option<&str>, String) {
    let begin = text.find("://").map_or(0, |at| at + 3);
    let rest = &text[begin..];
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@').or_else(|| rest.rfind('@')) {
        Some(at) => {
            let bare = format!("{}{}", &text[..begin], &rest[at + 1..]);
            (Some(&rest[..at]), bare)
        }
        None => (None, text.to_owned()),
    }
}

/// Host, port and whether it is encrypted, of an address without a login; `Err` says what to write.
fn parse(bare: &str) -> Result<(String, u16, bool), String> {
    let (scheme, rest) = match bare.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => {
            let host = if bare.is_empty() { "HOST" } else { bare };
            let meant = quoted(&format!("mqtt://{host}"));
            return Err(format!(
                "expected a scheme: write {meant}, or mqtts:// with TLS"
            ));
        }
    };
    let has_tls = match scheme.as_str() {
        "mqtt" => false,
        "mqtts" => true,
        "tcp" => return Err(format!("write {}", quoted(&format!("mqtt://{rest}")))),
        "ssl" | "tls" => return Err(format!("write {}", quoted(&format!("mqtts://{rest}")))),
        "ws" | "wss" => {
            return Err(
                "MQTT over WebSocket is not spoken here: write mqtt:// or mqtts:// with the port of the \
                 broker's plain listener (usually 1883 and 8883)"
                    .to_owned(),
            );
        }
        "http" | "https" => {
            return Err(
                "a broker has no web address: write mqtt:// (usually port 1883) or mqtts:// (8883)"
                    .to_owned(),
            );
        }
        other => {
            return Err(format!(
                "expected mqtt:// or mqtts://, found {}",
                quoted(&format!("{other}://"))
            ));
        }
    };
    let example = format!("expected {scheme}://HOST or {scheme}://HOST:PORT");
    let authority = rest.trim_end_matches('/');
    if authority.contains(['/', '?', '#']) {
        return Err(format!(
            "{example}, without a path: what topics begin with is the option `prefix`"
        ));
    }
    let uri: Uri = format!("http://{authority}/")
        .parse()
        .map_err(|_| example.clone())?;
    let host = uri.host().unwrap_or_default();
    let port = match authority[host.len().min(authority.len())..].strip_prefix(':') {
        None if has_tls => TLS_PORT,
        None => PORT,
        Some(port) => port.parse().unwrap_or(0),
    };
    if host.is_empty() || port == 0 {
        return Err(example);
    }
    Ok((host.trim_matches(['[', ']']).to_owned(), port, has_tls))
}
