//! What an OpenAPI operation needs for authentication, and whether a source sends it.

use crate::config::auth_types::{AuthConfig, ConfiguredCredential};
use crate::config::problem::Severity;
use crate::config::reader::TableEntry;
use crate::config::request_types::Header;
use crate::domain::token_placement::{TOKEN_PLACEHOLDER, TokenPlacement};
use crate::domain::toml_text::{bare_or_quoted, quoted};
use openapi::operation::{Location, Operation, SecurityKind, SecurityScheme, TokenGrant};

/// What a source sends besides `auth`.
#[derive(Clone, Copy)]
pub struct SourceCredentials<'a> {
    pub headers: &'a [Header],
    /// Names of `params`.
    pub arguments: &'a [&'a str],
    pub has_client_certificate: bool,
}

impl SourceCredentials<'_> {
    /// Whether a header or a parameter is the credential of a scheme.
    pub fn has_scheme(&self, scheme: &SecurityScheme) -> bool {
        let has = |name: &str| {
            let mut headers = self.headers.iter();
            headers.any(|it| it.name.eq_ignore_ascii_case(name))
        };
        match &scheme.kind {
            SecurityKind::ApiKey(Location::Header, name) => has(name),
            SecurityKind::ApiKey(Location::Cookie, _) => has("cookie"),
            SecurityKind::ApiKey(_, name) => self.arguments.contains(&name.as_str()),
            SecurityKind::Basic | SecurityKind::Digest | SecurityKind::Bearer => {
                has("authorization")
            }
            SecurityKind::ClientCertificate => self.has_client_certificate,
            // What it is called is not known.
            SecurityKind::Other(http) if http.is_empty() => !self.headers.is_empty(),
            SecurityKind::Other(_) => has("authorization"),
        }
    }

    /// Whether headers and parameters are all that an operation needs.
    fn meet(&self, operation: &Operation) -> bool {
        let mut ways = operation.security.iter();
        let is_met = |schemes: &Vec<SecurityScheme>| schemes.iter().all(|it| self.has_scheme(it));
        operation.security.is_empty() || ways.any(is_met)
    }

    /// Whether they are with a credential, which is for one scheme.
    fn meet_with(&self, operation: &Operation, credential: &ConfiguredCredential) -> bool {
        let is_met = |schemes: &Vec<SecurityScheme>| {
            let is_rest_met = |filled: &SecurityScheme| {
                let mut rest = schemes.iter().filter(|it| it.name != filled.name);
                rest.all(|it| self.has_scheme(it))
            };
            let mut fitting = schemes.iter().filter(|it| credential.fits(it));
            fitting.any(is_rest_met)
        };
        operation.security.is_empty() || operation.security.iter().any(is_met)
    }
}

impl ConfiguredCredential {
    /// Where its token goes, if it has one.
    pub fn placement(&self) -> Option<&TokenPlacement> {
        match self {
            ConfiguredCredential::Basic { .. } => None,
            ConfiguredCredential::Token(token) => Some(&token.placement),
            ConfiguredCredential::TokenFile(file) => Some(&file.placement),
            ConfiguredCredential::OAuth2(settings) => Some(&settings.placement),
            ConfiguredCredential::Login(login) => login.token.as_ref().map(|_| &login.placement),
        }
    }

    /// Whether it is for a scheme. A token with a place of its own is for any.
    pub fn fits(&self, scheme: &SecurityScheme) -> bool {
        if self
            .placement()
            .is_some_and(|it| *it != TokenPlacement::Standard)
        {
            return true;
        }
        match self {
            ConfiguredCredential::Basic { .. } => {
                matches!(scheme.kind, SecurityKind::Basic | SecurityKind::Digest)
            }
            ConfiguredCredential::Token(_) => {
                matches!(scheme.kind, SecurityKind::Bearer | SecurityKind::ApiKey(..))
            }
            // Got at run time, and sent as a bearer token.
            ConfiguredCredential::TokenFile(_) | ConfiguredCredential::OAuth2(_) => {
                scheme.kind == SecurityKind::Bearer
            }
            // What is in cookies goes where they belong.
            ConfiguredCredential::Login(login) => {
                login.token.is_none() || scheme.kind == SecurityKind::Bearer
            }
        }
    }

    /// The scheme of an operation that it fills: one that it satisfies alone, else the only one
    /// of several.
    pub fn scheme_of(&self, operation: &'static Operation) -> Option<&'static SecurityScheme> {
        let fitting = operation.security.iter().filter_map(|schemes| {
            let mut fitting = schemes.iter().filter(|scheme| self.fits(scheme));
            let one = fitting.next()?;
            fitting.next().is_none().then_some((schemes.len(), one))
        });
        // The first of the shortest.
        fitting.min_by_key(|(count, _)| *count).map(|(_, one)| one)
    }
}

/// Reports credentials that an operation does not accept.
pub fn check_scheme(
    item: &TableEntry<'_>,
    auth: &AuthConfig,
    operation: &Operation,
    others: SourceCredentials<'_>,
) {
    let others = SourceCredentials {
        has_client_certificate: auth.trust.client_certificate.is_some(),
        ..others
    };
    match &auth.credential {
        Some(credential) if !others.meet_with(operation, credential) => {
            item.problem(match (credential, key_place(operation)) {
                (ConfiguredCredential::Login(_), Some(place)) => format!(
                    "{} expects the token elsewhere than in `Authorization: Bearer`: add {place} beside \
                     `login`",
                    operation.id
                ),
                _ => needs(operation),
            });
        }
        Some(_) => {}
        None => warn_missing_auth(item, operation, others),
    }
}

/// How `header` or `param` say where an operation expects a key.
fn key_place(operation: &Operation) -> Option<String> {
    let singles = operation.security.iter().filter(|it| it.len() == 1);
    let mut schemes = singles.flat_map(|it| it.iter());
    schemes.find_map(|scheme| match &scheme.kind {
        SecurityKind::ApiKey(Location::Query, name) => Some(format!("param = {}", quoted(name))),
        SecurityKind::ApiKey(Location::Cookie, name) => {
            let header = format!("Cookie: {name}={TOKEN_PLACEHOLDER}");
            Some(format!("header = {}", quoted(&header)))
        }
        SecurityKind::ApiKey(_, name) => {
            let header = format!("{name}: {TOKEN_PLACEHOLDER}");
            Some(format!("header = {}", quoted(&header)))
        }
        _ => None,
    })
}

/// Warns if an operation needs credentials and the source has none. Only a warning, because
/// a server may not require what its file declares.
pub fn warn_missing_auth(
    item: &TableEntry<'_>,
    operation: &Operation,
    others: SourceCredentials<'_>,
) {
    if others.meet(operation) {
        return;
    }
    let is_unknown = |scheme: &SecurityScheme| matches!(scheme.kind, SecurityKind::Other(_));
    let is_unsure = operation.security.iter().flatten().any(is_unknown);
    // Another header may be what the server requires.
    let severity = if others.headers.is_empty() && !is_unsure {
        Severity::Problem
    } else {
        Severity::Note
    };
    let message = format!("the source has no credentials: {}", needs(operation));
    item.remark(severity, message);
}

/// What an operation needs, as a sentence with all alternatives.
pub fn needs(operation: &Operation) -> String {
    let ways = operation.security.iter().filter(|it| !it.is_empty());
    let (mut auth, mut with_headers): (Vec<String>, Vec<String>) = Default::default();
    for schemes in ways {
        let headers = headers_form(schemes);
        match (auth_form(schemes), headers) {
            (Some(form), None) => add(&mut auth, form),
            (Some(form), Some(headers)) => {
                add(&mut with_headers, format!("auth = {form} with {headers}"));
            }
            (None, Some(headers)) => add(&mut with_headers, headers),
            (None, None) => {}
        }
        if let [one] = schemes.as_slice() {
            one.grants
                .iter()
                .map(grant_form)
                .for_each(|form| add(&mut auth, form));
        }
    }
    let mut all = Vec::new();
    if !auth.is_empty() {
        all.push(format!("auth = {}", auth.join(" or ")));
    }
    all.extend(with_headers);
    if all.is_empty() {
        all.push("no credentials".to_owned());
    }
    let all = all.join(" or ");
    format!("{} needs {all}{}", operation.id, discovery(operation))
}

fn add(forms: &mut Vec<String>, form: String) {
    if !forms.contains(&form) {
        forms.push(form);
    }
}

/// The form of `auth` for schemes that are needed together.
fn auth_form(schemes: &[SecurityScheme]) -> Option<String> {
    let is_own = |scheme: &&SecurityScheme| {
        !matches!(
            scheme.kind,
            SecurityKind::ClientCertificate | SecurityKind::Other(_)
        )
    };
    let credentials: Vec<&SecurityScheme> = schemes.iter().filter(is_own).collect();
    let mut options: Vec<String> = match credentials.as_slice() {
        [one] if is_password(one) => vec!["user = …, password = …".to_owned()],
        [_] => vec!["token = …".to_owned()],
        several => several.iter().map(|scheme| named_form(scheme)).collect(),
    };
    let is_certificate = |it: &SecurityScheme| it.kind == SecurityKind::ClientCertificate;
    if schemes.iter().any(is_certificate) {
        options.push("certificate = …, key = …".to_owned());
    }
    (!options.is_empty()).then(|| format!("{{ {} }}", options.join(", ")))
}

fn named_form(scheme: &SecurityScheme) -> String {
    let value = if is_password(scheme) {
        "{ user = …, password = … }"
    } else {
        "…"
    };
    format!("{} = {value}", bare_or_quoted(&scheme.name))
}

fn is_password(scheme: &SecurityScheme) -> bool {
    matches!(scheme.kind, SecurityKind::Basic | SecurityKind::Digest)
}

/// What `headers` must have, of a scheme that main-node does not know.
fn headers_form(schemes: &[SecurityScheme]) -> Option<String> {
    schemes.iter().find_map(|scheme| match &scheme.kind {
        SecurityKind::Other(http) if http.is_empty() => {
            let name = quoted(&scheme.name);
            Some(format!("`headers` with what the server wants for {name}"))
        }
        SecurityKind::Other(http) => {
            let value = quoted(&format!("{http} …"));
            Some(format!("headers = {{ Authorization = {value} }}"))
        }
        _ => None,
    })
}

/// The options that get a token by a grant of OAuth 2.0.
fn grant_form(grant: &TokenGrant) -> String {
    let more = match grant.grant.as_str() {
        "password" => ", user = …, password = …",
        "refresh_token" => ", refresh_token = …",
        _ => "",
    };
    format!(
        "{{ grant = {}, token_url = {}, client_id = …, client_secret = …{more} }}",
        quoted(&grant.grant),
        quoted(&grant.token_url)
    )
}

/// Where OpenID Connect says how it gives tokens.
fn discovery(operation: &Operation) -> String {
    let mut urls = operation.security.iter().flatten();
    let url = urls.find_map(|it| Some(it.discovery_url.as_str()).filter(|it| !it.is_empty()));
    url.map_or(String::new(), |url| {
        format!(
            "; the token is a bearer token of OpenID Connect: {url} names the `token_url`, and \
             which `grant` gives it"
        )
    })
}
