//! Credentials of an operation, ready to paste: `auth` and `headers`.

use std::fmt::{self, Write};

use crate::domain::text::escape_controls;
use crate::domain::toml_text::{bare_or_quoted, quoted, quoted_value};
use openapi::operation::{Operation, SecurityKind, SecurityScheme};

/// Prints `auth` and `headers`; the alternative with a single credential is preferred.
pub fn print_credentials(out: &mut String, operation: &Operation) -> fmt::Result {
    let ways = &operation.security;
    let Some(way) = ways
        .iter()
        .find(|schemes| matches!(schemes.as_slice(), [one] if !matches!(one.kind, SecurityKind::Other(_))))
        .or_else(|| ways.iter().find(|schemes| !schemes.is_empty()))
    else {
        return Ok(());
    };
    let auth = auth_options(way);
    if !auth.is_empty() {
        writeln!(out, "auth = {{ {} }}", auth.join(", "))?;
    }
    for scheme in way {
        match &scheme.kind {
            SecurityKind::Other(http) if http.is_empty() => writeln!(
                out,
                "# headers = {{ … }}      # what the server wants for {}",
                quoted(&scheme.name)
            )?,
            SecurityKind::Other(http) => {
                let value = quoted_value(&format!("{http} …"));
                writeln!(out, "headers = {{ Authorization = {value} }}")?;
            }
            _ => {}
        }
        for grant in &scheme.grants {
            let (name, url) = (quoted(&grant.grant), quoted_value(&grant.token_url));
            let more = match grant.grant.as_str() {
                "password" => ", user = \"…\", password = \"${PASSWORD}\"",
                "refresh_token" => ", refresh_token = \"${REFRESH_TOKEN}\"",
                _ => "",
            };
            writeln!(
                out,
                "# or auth = {{ grant = {name}, token_url = {url}, client_id = \"…\", \
                 client_secret = \"${{CLIENT_SECRET}}\"{more} }}"
            )?;
        }
        if !scheme.discovery_url.is_empty() {
            writeln!(
                out,
                "# OpenID Connect: {} names the token_url, and which grant gives a token",
                escape_controls(&scheme.discovery_url)
            )?;
        }
    }
    Ok(())
}

fn auth_options(way: &[SecurityScheme]) -> Vec<String> {
    const PASSWORD: &str = "user = \"…\", password = \"${PASSWORD}\"";
    const CERTIFICATE: &str = "certificate = \"client.pem\", key = \"client.key\"";
    let is_credential = |it: &&SecurityScheme| {
        !matches!(
            it.kind,
            SecurityKind::Other(_) | SecurityKind::ClientCertificate
        )
    };
    let count = way.iter().filter(is_credential).count();
    let is_password =
        |it: &SecurityScheme| matches!(it.kind, SecurityKind::Basic | SecurityKind::Digest);
    let option = |scheme: &SecurityScheme| {
        let name = bare_or_quoted(&scheme.name);
        match &scheme.kind {
            SecurityKind::Other(_) => None,
            SecurityKind::ClientCertificate => Some(CERTIFICATE.to_owned()),
            _ if count == 1 && is_password(scheme) => Some(PASSWORD.to_owned()),
            _ if count == 1 => Some("token = \"${TOKEN}\"".to_owned()),
            _ if is_password(scheme) => Some(format!("{name} = {{ {PASSWORD} }}")),
            _ => Some(format!("{name} = \"${{{}}}\"", variable(&scheme.name))),
        }
    };
    way.iter().filter_map(option).collect()
}

/// The name of an environment variable for a credential.
pub fn variable(name: &str) -> String {
    let letters = name.chars().map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    });
    let name: String = letters.collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openapi::operation::{Location, TokenGrant};

    fn scheme(name: &str, kind: SecurityKind) -> SecurityScheme {
        SecurityScheme {
            name: name.to_owned(),
            kind,
            ..SecurityScheme::default()
        }
    }

    #[test]
    fn credentials_are_printed_ready_to_paste() {
        let key = || SecurityKind::ApiKey(Location::Header, "X-Key".to_owned());
        let oauth = SecurityScheme {
            grants: vec![TokenGrant {
                grant: "refresh_token".to_owned(),
                token_url: "https://a.example/token".to_owned(),
            }],
            ..scheme("oauth", SecurityKind::Bearer)
        };
        let openid = SecurityScheme {
            discovery_url: "https://a.example/openid".to_owned(),
            ..scheme("openid", SecurityKind::Bearer)
        };
        let other = |name: &str| scheme("acct", SecurityKind::Other(name.to_owned()));
        let certificate = || scheme("tls", SecurityKind::ClientCertificate);
        let password = || scheme("login", SecurityKind::Digest);
        for (security, expected) in [
            (vec![], ""),
            (vec![vec![]], ""),
            (
                vec![vec![password()]],
                "auth = { user = \"…\", password = \"${PASSWORD}\" }\n",
            ),
            (
                vec![vec![scheme("a.key", key()), password()]],
                "auth = { \"a.key\" = \"${A_KEY}\", login = { user = \"…\", password = \"${PASSWORD}\" } }\n",
            ),
            (
                vec![vec![certificate(), scheme("a.key", key())]],
                "auth = { certificate = \"client.pem\", key = \"client.key\", token = \"${TOKEN}\" }\n",
            ),
            (
                vec![vec![other("Token")]],
                "headers = { Authorization = \"Token …\" }\n",
            ),
            (
                vec![vec![other("")], vec![certificate(), password()]],
                "# headers = { … }      # what the server wants for \"acct\"\n",
            ),
            (
                vec![vec![oauth]],
                "auth = { token = \"${TOKEN}\" }\n\
                 # or auth = { grant = \"refresh_token\", token_url = \"https://a.example/token\", \
                 client_id = \"…\", client_secret = \"${CLIENT_SECRET}\", \
                 refresh_token = \"${REFRESH_TOKEN}\" }\n",
            ),
            (
                vec![vec![openid]],
                "auth = { token = \"${TOKEN}\" }\n\
                 # OpenID Connect: https://a.example/openid names the token_url, and which grant \
                 gives a token\n",
            ),
        ] {
            let operation = Operation {
                security,
                ..Operation::default()
            };
            let mut printed = String::new();
            print_credentials(&mut printed, &operation).expect("a String takes it");
            assert_eq!(printed, expected);
        }
    }
}
