//! OpenAPI security schemes: credentials by the names of schemes, and what an operation needs.

use std::path::Path;

use super::kinds::forms;
use super::{is_table, read_secret, read_single};
use crate::config::problem::Severity;
use crate::config::reader::TableEntry;
use crate::config::types::{
    Auth, AuthConfig, ConfiguredCredential, Header, SourceTarget, TokenCredential,
};
use crate::domain::token_placement::TokenPlacement;
use crate::domain::toml_text::bare_or_quoted;
use openapi::operation::{Location, Operation, SecurityKind, SecurityScheme, nearest};

/// Reports a credential of a type that an operation does not accept.
pub fn check_scheme(item: &TableEntry<'_>, auth: &AuthConfig, target: Option<&SourceTarget>) {
    if let (Some(SourceTarget::Operation { operation, .. }), Some(credential)) =
        (target, &auth.credential)
        && !operation.security.is_empty()
        && credential.has_standard_place()
        && credential.scheme_of(operation).is_none()
    {
        item.problem(format!(
            "{} needs auth = {}",
            operation.id,
            auth_forms(operation)
        ));
    }
}

/// Whether a security scheme of the operation has this name.
pub fn is_scheme(operation: &Operation, name: &str) -> bool {
    let mut schemes = operation.security.iter().flatten();
    schemes.any(|scheme| scheme.name == name)
}

/// Reads credentials by the names of the OpenAPI file's security schemes.
pub fn read_schemes(
    item: &TableEntry<'_>,
    operation: &'static Operation,
    directory: &Path,
) -> Option<Auth> {
    let known: Vec<&'static SecurityScheme> = operation
        .security
        .iter()
        .flat_map(|schemes| schemes.iter())
        .collect();
    let mut credentials = Vec::new();
    let mut is_complete = true;
    for entry in item.entries() {
        let Some(scheme) = known.iter().find(|scheme| scheme.name == entry.key()) else {
            let names = known.iter().map(|scheme| scheme.name.as_str());
            entry.problem(format!(
                "{} has no security scheme {:?}{}; expected {}, or {}",
                operation.id,
                entry.key(),
                nearest(entry.key(), names)
                    .map_or(String::new(), |name| format!(" (did you mean {name:?}?)")),
                forms(),
                auth_forms(operation)
            ));
            return None;
        };
        let login = match scheme.kind {
            SecurityKind::Basic => is_table(&entry)
                .then(|| read_single(&entry, directory)?.credential)
                .flatten(),
            _ => read_secret(&entry).map(|token| {
                ConfiguredCredential::Token(TokenCredential {
                    token,
                    placement: TokenPlacement::Standard,
                })
            }),
        };
        match login {
            Some(login) => credentials.push((*scheme, login)),
            None => is_complete = false,
        }
    }
    let has = |scheme: &SecurityScheme| credentials.iter().any(|(it, _)| it.name == scheme.name);
    let is_enough = operation
        .security
        .iter()
        .any(|schemes| schemes.len() == credentials.len() && schemes.iter().all(has));
    if is_complete && !is_enough {
        item.problem(format!(
            "{} needs auth = {}",
            operation.id,
            auth_forms(operation)
        ));
    }
    is_complete.then_some(Auth::Schemes(credentials))
}

/// Warns if an operation needs credentials and the source has none. Only a warning, because
/// `headers` and `params` can carry credentials too, and a server may not require what its file
/// declares.
pub fn warn_missing_auth(
    item: &TableEntry<'_>,
    operation: &Operation,
    headers: &[Header],
    arguments: &[&str],
) {
    let names = |name: &str| headers.iter().any(|it| it.name.eq_ignore_ascii_case(name));
    let is_filled = |scheme: &SecurityScheme| match &scheme.kind {
        SecurityKind::ApiKey(Location::Header, name) => names(name),
        SecurityKind::ApiKey(Location::Cookie, _) => names("cookie"),
        SecurityKind::ApiKey(_, name) => arguments.contains(&name.as_str()),
        SecurityKind::Basic | SecurityKind::Bearer => names("authorization"),
    };
    let mut ways = operation.security.iter();
    if operation.security.is_empty() || ways.any(|schemes| schemes.iter().all(is_filled)) {
        return;
    }
    let severity = if headers.is_empty() {
        Severity::Problem
    } else {
        Severity::Note
    };
    item.remark(
        severity,
        format!(
            "{} needs credentials and the source has none: add auth = {}",
            operation.id,
            auth_forms(operation)
        ),
    );
}

/// The forms of `auth` that an operation accepts, without duplicates.
pub fn auth_forms(operation: &Operation) -> String {
    let mut ways: Vec<String> = Vec::new();
    for schemes in &operation.security {
        let way = match schemes.as_slice() {
            [] => continue,
            [one] if one.kind == SecurityKind::Basic => "{ user = …, password = … }".to_owned(),
            [_] => "{ token = … }".to_owned(),
            several => {
                let parts = several.iter().map(|scheme| {
                    let value = match scheme.kind {
                        SecurityKind::Basic => "{ user = …, password = … }",
                        SecurityKind::Bearer | SecurityKind::ApiKey(..) => "…",
                    };
                    format!("{} = {value}", bare_or_quoted(&scheme.name))
                });
                format!("{{ {} }}", parts.collect::<Vec<_>>().join(", "))
            }
        };
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    if ways.is_empty() {
        "nothing".to_owned()
    } else {
        ways.join(" or ")
    }
}

impl Auth {
    /// Its credential, which is for no named security scheme.
    pub fn credential(&self) -> Option<&ConfiguredCredential> {
        match self {
            Auth::Any(auth) => auth.credential.as_ref(),
            Auth::Schemes(_) => None,
        }
    }

    /// The credentials for an operation, each with its security scheme if the file declares
    /// one.
    pub fn credentials_for(
        &self,
        operation: &'static Operation,
    ) -> Vec<(Option<&'static SecurityScheme>, &ConfiguredCredential)> {
        match self {
            Auth::Any(auth) => {
                let credential = auth.credential.iter();
                credential.map(|it| (it.scheme_of(operation), it)).collect()
            }
            Auth::Schemes(credentials) => credentials
                .iter()
                .map(|(scheme, login)| (Some(*scheme), login))
                .collect(),
        }
    }
}

impl ConfiguredCredential {
    /// Whether it goes where an OpenAPI file says; `header` and `param` name another place.
    fn has_standard_place(&self) -> bool {
        match self {
            ConfiguredCredential::Basic { .. } => true,
            ConfiguredCredential::Token(token) => token.placement == TokenPlacement::Standard,
        }
    }

    /// The scheme that this credential alone satisfies.
    fn scheme_of(&self, operation: &'static Operation) -> Option<&'static SecurityScheme> {
        let fits = |kind: &SecurityKind| match self {
            ConfiguredCredential::Basic { .. } => *kind == SecurityKind::Basic,
            ConfiguredCredential::Token(_) => {
                self.has_standard_place() && *kind != SecurityKind::Basic
            }
        };
        let singles = operation
            .security
            .iter()
            .filter(|schemes| schemes.len() == 1);
        singles
            .flat_map(|schemes| schemes.iter())
            .find(|scheme| fits(&scheme.kind))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Config, Environment, Overrides, read};
    use openapi::operation::Api;

    fn scheme(name: &str, kind: SecurityKind) -> SecurityScheme {
        SecurityScheme {
            name: name.to_owned(),
            kind,
            description: String::new(),
        }
    }

    /// `together` requires two schemes at once, `either` one or none.
    fn api() -> &'static Api {
        let key = |name: &str, location| SecurityKind::ApiKey(location, name.to_owned());
        let api_key = scheme("apiKey", key("X-Api-Key", Location::Header));
        let app = scheme("app.key", key("app", Location::Query));
        let login = scheme("login", SecurityKind::Basic);
        let oauth = scheme("oauth", SecurityKind::Bearer);
        let operation = |id: &str, security| Operation {
            api: "vendor".to_owned(),
            id: id.to_owned(),
            path: "/".to_owned(),
            security,
            ..Operation::default()
        };
        Box::leak(Box::new(Api {
            name: "vendor".to_owned(),
            operations: vec![
                operation(
                    "together",
                    vec![vec![api_key.clone(), app], vec![api_key.clone(), login]],
                ),
                operation("either", vec![vec![api_key], vec![oauth], Vec::new()]),
            ],
            ..Api::default()
        }))
    }

    fn config(operation: &str, auth: &str) -> Result<Config, String> {
        let text = format!(
            "[[source]]\nname = \"vendor\"\noperation = \"{operation}\"\n\
             base_url = \"http://vendor.local\"\nauth = {auth}\n"
        );
        let file = Some(PathBuf::from("main-node.toml"));
        let environment = Environment::new([]);
        read(&text, file, &Overrides::default(), environment, &[api()]).map_err(|problems| {
            let lines = problems.iter().map(ToString::to_string);
            lines.collect::<Vec<_>>().join("\n")
        })
    }

    /// The names of the satisfied schemes.
    fn satisfied_schemes(id: &str, auth: &str) -> Vec<&'static str> {
        let mut operations = api().operations.iter();
        let operation = operations.find(|it| it.id == id).expect("it is known");
        let config = config(id, auth).expect("it is valid");
        let auth = config.sources[0].auth.as_ref().expect("auth is set");
        let filled = auth.credentials_for(operation).into_iter();
        filled
            .flat_map(|(scheme, _)| scheme)
            .map(|it| it.name.as_str())
            .collect()
    }

    #[test]
    fn a_credential_satisfies_the_scheme_of_its_type_and_a_name_selects_one() {
        assert_eq!(
            satisfied_schemes("either", r#"{ token = "s" }"#),
            ["apiKey"]
        );
        assert_eq!(satisfied_schemes("either", r#"{ oauth = "s" }"#), ["oauth"]);
    }

    #[test]
    fn schemes_required_together_are_satisfied_together() {
        let keys = r#"{ apiKey = "hush", "app.key" = "hush" }"#;
        assert_eq!(satisfied_schemes("together", keys), ["apiKey", "app.key"]);
        let with_user = r#"{ apiKey = "hush", login = { user = "me", password = "hush" } }"#;
        assert_eq!(
            satisfied_schemes("together", with_user),
            ["apiKey", "login"]
        );
        let described = config("together", with_user)
            .expect("it is valid")
            .to_toml();
        let line = r#"auth = { apiKey = "***", login = { user = "***", password = "***" } }"#;
        assert!(described.contains(line), "{described}");
    }

    #[test]
    fn wrong_credentials_are_reported_with_the_right_form() {
        let mut messages = String::new();
        for (operation, auth) in [
            ("together", r#"{ token = "hush" }"#),
            ("together", r#"{ apiKey = "hush" }"#),
            ("together", r#"{ apiKey = "hush", login = "hush" }"#),
            ("together", r#"{ apiKey = "hush", app_key = "hush" }"#),
            ("either", r#"{ apiKey = "hush", oauth = "hush" }"#),
            ("either", r#"{ user = "me", password = "hush" }"#),
            ("either", r#"{ oauth = 5 }"#),
            ("either", r#""hush""#),
        ] {
            let found = config(operation, auth).expect_err("it is refused");
            assert!(!found.contains("hush"), "{found}");
            messages += &format!("== {operation}: {auth}\n{found}\n");
        }
        crate::golden::check("auth-problems.txt", &messages);
    }

    #[test]
    fn missing_credentials_are_reported() {
        for (operation, more, expected) in [
            ("together", "", Some(Severity::Problem)),
            // Possibly what the server requires.
            (
                "together",
                "headers = { X-Other = \"k\" }",
                Some(Severity::Note),
            ),
            (
                "together",
                "headers = { x-api-key = \"k\", authorization = \"Basic x\" }",
                None,
            ),
            // One alternative needs no credentials.
            ("either", "", None),
        ] {
            let text = format!(
                "[[source]]\nname = \"vendor\"\noperation = \"{operation}\"\n\
                 base_url = \"http://vendor.local\"\n{more}\n"
            );
            let environment = Environment::new([]);
            let config = read(&text, None, &Overrides::default(), environment, &[api()]);
            let remarks = config.expect("it is valid").remarks;
            let found = remarks.first().map(|it| it.severity);
            assert_eq!(found, expected, "{operation} {more}");
            let all = "{ apiKey = …, \"app.key\" = … } or { apiKey = …, login = ";
            let is_told = |it: &crate::config::Remark| it.problem.message.contains(all);
            assert!(remarks.iter().all(is_told), "{remarks:?}");
        }
    }
}
