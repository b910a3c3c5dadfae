//! OpenAPI security schemes: credentials by the names of schemes.

use std::path::Path;

use super::requirements::{SourceCredentials, needs};
use super::{is_table, read_single};
use crate::config::auth_types::{Auth, ConfiguredCredential, TokenCredential};
use crate::config::reader::TableEntry;
use crate::domain::token_placement::TokenPlacement;
use crate::sys::tls::TrustSettings;
use openapi::operation::{Operation, SecurityKind, SecurityScheme, nearest};

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
    others: SourceCredentials<'_>,
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
                "{} has no security scheme {:?}{}; {}",
                operation.id,
                entry.key(),
                nearest(entry.key(), names)
                    .map_or(String::new(), |name| format!(" (did you mean {name:?}?)")),
                needs(operation)
            ));
            return None;
        };
        let credential = match scheme.kind {
            SecurityKind::Basic | SecurityKind::Digest => is_table(&entry)
                .then(|| read_single(&entry, directory)?.credential)
                .flatten(),
            SecurityKind::ClientCertificate | SecurityKind::Other(_) => {
                entry.problem(needs(operation));
                None
            }
            SecurityKind::ApiKey(..) | SecurityKind::Bearer => entry.secret().map(|token| {
                ConfiguredCredential::Token(TokenCredential {
                    token,
                    placement: TokenPlacement::Standard,
                })
            }),
        };
        match credential {
            Some(credential) => credentials.push((*scheme, credential)),
            None => is_complete = false,
        }
    }
    let has = |scheme: &SecurityScheme| credentials.iter().any(|(it, _)| it.name == scheme.name);
    let is_enough = operation.security.iter().any(|schemes| {
        let named = schemes.iter().filter(|it| has(it)).count();
        let is_met = |scheme: &SecurityScheme| has(scheme) || others.has_scheme(scheme);
        named == credentials.len() && schemes.iter().all(is_met)
    });
    if is_complete && !is_enough {
        item.problem(needs(operation));
    }
    is_complete.then_some(Auth::Schemes(credentials))
}

impl Auth {
    /// Whether cookies are kept and sent.
    pub fn keeps_cookies(&self) -> bool {
        matches!(self, Auth::Any(auth) if auth.cookies)
    }

    /// Whom to trust at the server of tokens or logins, and the client certificate.
    pub fn trust(&self) -> TrustSettings {
        match self {
            Auth::Any(auth) => auth.trust.clone(),
            Auth::Schemes(_) => TrustSettings::default(),
        }
    }

    /// Its credential, which is for no named security scheme.
    pub fn credential(&self) -> Option<&ConfiguredCredential> {
        match self {
            Auth::Any(auth) => auth.credential.as_ref(),
            Auth::Schemes(_) => None,
        }
    }

    /// The credential that may be more than a header of every request: any, but of several for
    /// named schemes only the user and password.
    pub fn active_credential(&self) -> Option<&ConfiguredCredential> {
        match self {
            Auth::Any(auth) => auth.credential.as_ref(),
            Auth::Schemes(credentials) => credentials
                .iter()
                .map(|(_, it)| it)
                .find(|it| matches!(it, ConfiguredCredential::Basic { .. })),
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::OnceLock;

    use super::*;
    use crate::config::{Config, Environment, Overrides, Problem, Remark, Severity, read};
    use openapi::operation::{Api, Location, TokenGrant};

    fn scheme(name: &str, kind: SecurityKind) -> SecurityScheme {
        SecurityScheme {
            name: name.to_owned(),
            kind,
            ..SecurityScheme::default()
        }
    }

    /// `together` requires two schemes at once, `either` one or none.
    fn api() -> &'static Api {
        let key = |name: &str, location| SecurityKind::ApiKey(location, name.to_owned());
        let api_key = scheme("apiKey", key("X-Api-Key", Location::Header));
        let app = scheme("app.key", key("app", Location::Query));
        let login = scheme("login", SecurityKind::Basic);
        let oauth = scheme("oauth", SecurityKind::Bearer);
        let grant = |grant: &str| TokenGrant {
            grant: grant.to_owned(),
            token_url: "https://a.example/token".to_owned(),
        };
        let with_grants = SecurityScheme {
            grants: ["client_credentials", "password", "refresh_token"]
                .map(grant)
                .to_vec(),
            ..oauth.clone()
        };
        let openid = SecurityScheme {
            discovery_url: "https://a.example/.well-known/openid-configuration".to_owned(),
            ..oauth.clone()
        };
        let other = |name: &str, http: &str| scheme(name, SecurityKind::Other(http.to_owned()));
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
                operation(
                    "either",
                    vec![vec![api_key.clone()], vec![oauth], Vec::new()],
                ),
                operation("digest", vec![vec![scheme("login", SecurityKind::Digest)]]),
                operation("grants", vec![vec![with_grants]]),
                operation("openid", vec![vec![openid]]),
                operation(
                    "other",
                    vec![vec![other("acct", "Token")], vec![other("x", "")]],
                ),
                operation(
                    "mutual",
                    vec![vec![scheme("tls", SecurityKind::ClientCertificate)]],
                ),
                operation(
                    "mutual-token",
                    vec![vec![
                        scheme("tls", SecurityKind::ClientCertificate),
                        scheme("jwt", SecurityKind::Bearer),
                    ]],
                ),
                operation("both", vec![vec![api_key, other("acct", "Token")]]),
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

    /// The path of a client certificate with its key.
    fn certificate() -> &'static str {
        static PATH: OnceLock<String> = OnceLock::new();
        PATH.get_or_init(make_certificate)
    }

    fn make_certificate() -> String {
        let made = rcgen::generate_simple_self_signed(["client".to_owned()]);
        let made = made.expect("a certificate");
        let place = crate::golden::scratch("auth-requirements");
        let file = place.join("client.pem");
        let text = made.cert.pem() + &made.signing_key.serialize_pem();
        std::fs::write(&file, text).expect("a file can be written");
        file.display().to_string()
    }

    /// What is remarked upon a source without `auth`, but with other options.
    fn remarks(operation: &str, more: &str) -> Result<Vec<Remark>, Vec<Problem>> {
        let more = more.replace("a.pem", certificate());
        let text = format!(
            "[[source]]\nname = \"vendor\"\noperation = \"{operation}\"\n\
             base_url = \"https://vendor.local\"\n{more}\n"
        );
        let environment = Environment::new([]);
        let config = read(&text, None, &Overrides::default(), environment, &[api()]);
        Ok(config?.remarks)
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
            ("digest", r#"{ token = "hush" }"#),
            ("grants", r#"{ user = "me", password = "hush" }"#),
            ("openid", r#"{ user = "me", password = "hush" }"#),
            ("other", r#"{ token = "hush" }"#),
            ("other", r#"{ acct = "hush" }"#),
            ("both", r#"{ token = "hush" }"#),
        ] {
            let found = config(operation, auth).expect_err("it is refused");
            assert!(!found.contains("hush"), "{found}");
            messages += &format!("== {operation}: {auth}\n{found}\n");
        }
        crate::golden::check("auth-problems.txt", &messages);
    }

    #[test]
    fn what_auth_and_headers_have_together_is_enough() {
        for (operation, more) in [
            (
                "together",
                r#"auth = { user = "me", password = "hush" }
headers = { X-Api-Key = "hush" }"#,
            ),
            (
                "together",
                r#"auth = { login = { user = "me", password = "hush" } }
headers = { X-Api-Key = "hush" }"#,
            ),
            ("digest", r#"auth = { user = "me", password = "hush" }"#),
            (
                "other",
                r#"auth = { token = "hush", header = "Authorization: Token {token}" }"#,
            ),
            ("other", r#"headers = { Authorization = "Token hush" }"#),
            (
                "both",
                r#"auth = { token = "hush" }
headers = { Authorization = "Token hush" }"#,
            ),
            (
                "both",
                r#"headers = { X-Api-Key = "hush", Authorization = "Token hush" }"#,
            ),
            ("mutual", r#"auth = { certificate = "a.pem" }"#),
            (
                "mutual-token",
                r#"auth = { certificate = "a.pem", token = "hush" }"#,
            ),
        ] {
            let remarks = remarks(operation, more).expect("it is valid");
            assert_eq!(remarks, [], "{operation} {more}");
        }
    }

    #[test]
    fn missing_credentials_are_reported() {
        let mut messages = String::new();
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
            ("digest", "", Some(Severity::Problem)),
            ("grants", "", Some(Severity::Problem)),
            ("openid", "", Some(Severity::Problem)),
            // Nobody knows what the server requires.
            ("other", "", Some(Severity::Note)),
            ("both", "", Some(Severity::Note)),
            ("mutual", "", Some(Severity::Problem)),
            (
                "mutual-token",
                "auth = { certificate = \"a.pem\" }",
                Some(Severity::Problem),
            ),
        ] {
            let remarks = remarks(operation, more).expect("it is valid");
            let found = remarks.first().map(|it| it.severity);
            assert_eq!(found, expected, "{operation} {more}");
            if let Some(remark) = remarks.first() {
                messages += &format!("== nothing of {operation}\n{}\n", remark.problem.message);
            }
        }
        crate::golden::check("auth-missing.txt", &messages);
    }
}
