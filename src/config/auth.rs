//! Authentication of a source (`auth`): credentials and the OpenAPI security schemes they are
//! for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use toml::de::DeValue;

use super::problem::Severity;
use super::reader::{TableEntry, TableReader};
use super::secret::Secret;
use super::types::{Auth, ConfiguredCredential, Header, SourceTarget};
use crate::domain::toml_text::bare_or_quoted;
use openapi::operation::{Location, Operation, SecurityKind, SecurityScheme, nearest};

const FORMS: &str = "expected { user = …, password = … } or { token = … }";

pub fn read_auth(item: &TableEntry<'_>, target: Option<&SourceTarget>) -> Option<Auth> {
    let operation = match target {
        Some(SourceTarget::Operation { operation, .. }) => Some(*operation),
        _ => None,
    };
    if !is_table(item) {
        return None;
    }
    let is_one = item
        .entries()
        .iter()
        .all(|entry| matches!(entry.key(), "user" | "password" | "token"));
    match operation {
        Some(operation) if !is_one => read_schemes(item, operation),
        _ => {
            let login = read_login(item)?;
            check_scheme(item, &login, target);
            Some(Auth::Any(login))
        }
    }
}

/// Reports a credential of a type that an operation does not accept.
pub fn check_scheme(
    item: &TableEntry<'_>,
    login: &ConfiguredCredential,
    target: Option<&SourceTarget>,
) {
    if let Some(SourceTarget::Operation { operation, .. }) = target
        && !operation.security.is_empty()
        && login.scheme_of(operation).is_none()
    {
        item.problem(format!(
            "{} needs auth = {}",
            operation.id,
            auth_forms(operation)
        ));
    }
}

/// Checked here because the usual type error would show the value, which is a secret.
fn is_table(item: &TableEntry<'_>) -> bool {
    let is_table = matches!(item.value(), DeValue::Table(_));
    if !is_table {
        item.problem(FORMS);
    }
    is_table
}

fn read_login(item: &TableEntry<'_>) -> Option<ConfiguredCredential> {
    let mut table = item.table("auth")?;
    let found = read_credential(&mut table);
    table.finish();
    if !matches!(found, Ok(Some(_)) | Err(CredentialError::Reported)) {
        item.problem(FORMS);
    }
    found.ok().flatten()
}

/// Why a table has no credential.
pub enum CredentialError {
    /// A value cannot be read.
    Reported,
    /// Options are missing, or do not belong together.
    Incomplete,
}

/// Reads the credential of a table; `None` if it has no option for one.
pub fn read_credential(
    table: &mut TableReader<'_>,
) -> Result<Option<ConfiguredCredential>, CredentialError> {
    // A value that cannot be read is reported already.
    let mut is_complete = true;
    let mut value_of = |value: Option<Option<Secret>>| {
        is_complete &= value != Some(None);
        value.flatten()
    };
    let user = table.get("user").map(|item| item.text().map(Secret::new));
    let user = value_of(user).map(|user| user.reveal().to_owned());
    let password = value_of(table.get("password").map(|item| secret(&item)));
    let token = value_of(table.get("token").map(|item| secret(&item)));
    if !is_complete {
        return Err(CredentialError::Reported);
    }
    match (user, password, token) {
        (Some(user), Some(password), None) => {
            // Services whose key is the user name need an empty or a fixed password.
            if password.reveal().is_empty() || (user.len() >= 16 && !user.contains('@')) {
                table.reader().add_secret(user.clone());
            }
            let pair = format!("{user}:{}", password.reveal());
            table.reader().add_secret(BASE64.encode(pair));
            Ok(Some(ConfiguredCredential::Basic { user, password }))
        }
        (None, None, Some(token)) => Ok(Some(ConfiguredCredential::Token(token))),
        (None, None, None) => Ok(None),
        _ => Err(CredentialError::Incomplete),
    }
}

fn secret(item: &TableEntry<'_>) -> Option<Secret> {
    if !matches!(item.value(), DeValue::String(_)) {
        item.problem("expected a text in quotes");
        return None;
    }
    let text = item.text()?;
    item.add_secret(text.clone());
    Some(Secret::new(text))
}

/// Reads credentials by the names of the OpenAPI file's security schemes.
fn read_schemes(item: &TableEntry<'_>, operation: &'static Operation) -> Option<Auth> {
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
                "{} has no security scheme {:?}{}; {FORMS}, or {}",
                operation.id,
                entry.key(),
                nearest(entry.key(), names)
                    .map_or(String::new(), |name| format!(" (did you mean {name:?}?)")),
                auth_forms(operation)
            ));
            return None;
        };
        let login = match scheme.kind {
            SecurityKind::Basic => is_table(&entry).then(|| read_login(&entry)).flatten(),
            _ => secret(&entry).map(ConfiguredCredential::Token),
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

/// Notes an `Authorization` header that a source of a URL has twice. No problem: version 0.1 took it.
pub fn warn_authorization(item: &TableEntry<'_>, auth: &Auth, headers: &[Header]) {
    let mut names = headers.iter().map(|it| it.name.as_str());
    if names.any(|name| name.eq_ignore_ascii_case("authorization")) {
        item.remark(
            Severity::Note,
            "`auth` is the header Authorization, which `headers` has too: remove one of them",
        );
    }
    if let Auth::Any(ConfiguredCredential::Token(token)) = auth
        && token
            .reveal()
            .get(..7)
            .is_some_and(|begin| begin.eq_ignore_ascii_case("bearer "))
    {
        item.remark(
            Severity::Note,
            "`token` is sent as `Bearer TOKEN`: remove the `Bearer ` that it begins with",
        );
    }
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
    /// The credentials for an operation, each with its security scheme if the file declares
    /// one.
    pub fn credentials_for(
        &self,
        operation: &'static Operation,
    ) -> Vec<(Option<&'static SecurityScheme>, &ConfiguredCredential)> {
        match self {
            Auth::Any(login) => vec![(login.scheme_of(operation), login)],
            Auth::Schemes(credentials) => credentials
                .iter()
                .map(|(scheme, login)| (Some(*scheme), login))
                .collect(),
        }
    }
}

impl ConfiguredCredential {
    /// The scheme that this credential alone satisfies.
    fn scheme_of(&self, operation: &'static Operation) -> Option<&'static SecurityScheme> {
        let fits = |kind: &SecurityKind| match self {
            ConfiguredCredential::Basic { .. } => *kind == SecurityKind::Basic,
            ConfiguredCredential::Token(_) => *kind != SecurityKind::Basic,
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

/// `auth` as TOML, credentials masked, the user name too: some services take their key as the
/// user name.
pub fn auth_as_toml(auth: &Auth) -> String {
    let login = |login: &ConfiguredCredential| match login {
        ConfiguredCredential::Basic { .. } => "user = \"***\", password = \"***\"".to_owned(),
        ConfiguredCredential::Token(_) => "token = \"***\"".to_owned(),
    };
    match auth {
        Auth::Any(credential) => login(credential),
        Auth::Schemes(credentials) => {
            let entry = |(scheme, credential): &(&SecurityScheme, ConfiguredCredential)| {
                let name = bare_or_quoted(&scheme.name);
                match credential {
                    ConfiguredCredential::Basic { .. } => {
                        format!("{name} = {{ {} }}", login(credential))
                    }
                    ConfiguredCredential::Token(_) => format!("{name} = \"***\""),
                }
            };
            credentials.iter().map(entry).collect::<Vec<_>>().join(", ")
        }
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
