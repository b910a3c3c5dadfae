//! Kinds of credentials: which options make one, which it needs and which may stand beside it.

use std::path::Path;

use super::{Reported, login, oauth2, password, token, token_file};
use crate::config::auth_types::ConfiguredCredential;
use crate::config::reader::TableReader;

/// One kind. A row of [`KINDS`] gives all messages about missing, superfluous and mixed options.
pub struct AuthKind {
    /// "a token".
    pub name: &'static str,
    /// Each of these options says that it is this kind; the first kind of the list counts.
    pub markers: &'static [&'static str],
    pub required: &'static [&'static str],
    pub optional: &'static [&'static str],
    /// What to write.
    pub form: &'static str,
    /// Reads it when all required options are there. `None`: a problem is reported.
    pub read: fn(&mut TableReader<'_>, &Path) -> Option<ConfiguredCredential>,
}

static KINDS: [AuthKind; 5] = [
    AuthKind {
        name: "a login",
        markers: &["login"],
        required: &["login"],
        optional: &["header", "param", "ca_file", "fingerprint"],
        form: "{ login = { url = …, … } }",
        read: login::read,
    },
    AuthKind {
        name: "OAuth 2.0",
        markers: &[
            "grant",
            "token_url",
            "client_id",
            "client_secret",
            "refresh_token",
        ],
        required: &["grant", "token_url"],
        optional: &[
            "client_id",
            "client_secret",
            "client_auth",
            "scope",
            "token_params",
            "refresh_token",
            "user",
            "password",
            "header",
            "param",
            "ca_file",
            "fingerprint",
        ],
        form: oauth2::FORM,
        read: oauth2::read,
    },
    AuthKind {
        name: "a file with a token",
        markers: &["token_file"],
        required: &["token_file"],
        optional: &["header", "param"],
        form: token_file::FORM,
        read: token_file::read,
    },
    AuthKind {
        name: "a token",
        markers: &["token"],
        required: &["token"],
        optional: &["header", "param"],
        form: "{ token = … }",
        read: token::read,
    },
    AuthKind {
        name: "a user and password",
        markers: &["user", "password"],
        required: &["user", "password"],
        optional: &["scheme"],
        form: "{ user = …, password = … }",
        read: password::read,
    },
];

impl AuthKind {
    fn takes(&self, option: &str) -> bool {
        self.required.contains(&option) || self.optional.contains(&option)
    }
}

/// The forms of all kinds: `{ token = … } or { user = …, password = … }`.
pub fn forms() -> String {
    // The simplest first.
    list_of(KINDS.iter().rev().map(|kind| kind.form))
}

/// "a, b or c".
fn list_of<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let items: Vec<&str> = items.collect();
    match items.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => String::new(),
    }
}

/// Reads the credential of a table; `Ok(None)` if it has no option for one, `Err` if a problem
/// is reported.
pub fn read_credential(
    table: &mut TableReader<'_>,
    directory: &Path,
) -> Result<Option<ConfiguredCredential>, Reported> {
    let options = KINDS
        .iter()
        .flat_map(|kind| kind.required.iter().chain(kind.optional));
    let mut present: Vec<&'static str> = Vec::new();
    for option in options {
        if table.get(option).is_some() && !present.contains(option) {
            present.push(option);
        }
    }
    let has_marker = |kind: &&AuthKind| kind.markers.iter().any(|it| present.contains(it));
    let Some(kind) = KINDS.iter().find(has_marker) else {
        for option in &present {
            report_alone(table, option);
        }
        return if present.is_empty() {
            Ok(None)
        } else {
            Err(Reported)
        };
    };
    let mut is_valid = true;
    for option in present.iter().filter(|option| !kind.takes(option)) {
        report_superfluous(table, kind, option);
        is_valid = false;
    }
    let missing: Vec<String> = kind
        .required
        .iter()
        .filter(|option| !present.contains(option))
        .map(|option| format!("`{option}`"))
        .collect();
    if !missing.is_empty() && is_valid {
        let (name, missing) = (table.name().to_owned(), missing.join(" and "));
        table.problem(format!("{name} lacks {missing}: write {}", kind.form));
        is_valid = false;
    }
    let credential = (kind.read)(table, directory);
    match credential {
        Some(credential) if is_valid => Ok(Some(credential)),
        _ => Err(Reported),
    }
}

/// Options that say whom to trust.
const TRUST: [&str; 2] = ["ca_file", "fingerprint"];

fn no_token_server(option: &str) -> String {
    format!(
        "`{option}` in `auth` is for the server of `token_url` or `login`, and here is neither: write \
         it in the [[source]] for the source's own server"
    )
}

/// An option that only accompanies a credential, where there is none.
fn report_alone(table: &mut TableReader<'_>, option: &'static str) {
    let kinds = || KINDS.iter().rev().filter(|kind| kind.takes(option));
    let names = list_of(kinds().map(|it| it.name));
    let forms = list_of(kinds().map(|it| it.form));
    if let Some(entry) = table.get(option).filter(|_| TRUST.contains(&option)) {
        entry.problem(no_token_server(option));
    } else if let Some(entry) = table.get(option) {
        entry.problem(format!(
            "`{option}` belongs to {names}, which is missing: write {forms} with it"
        ));
    }
}

fn report_superfluous(table: &mut TableReader<'_>, kind: &AuthKind, option: &'static str) {
    let Some(entry) = table.get(option) else {
        return;
    };
    if TRUST.contains(&option) {
        entry.problem(no_token_server(option));
        return;
    }
    let other = KINDS.iter().find(|it| it.markers.contains(&option));
    entry.problem(match other {
        Some(other) => format!(
            "`{option}` belongs to {}, and this is {}: write {} or {}",
            other.name, kind.name, kind.form, other.form
        ),
        None => format!("`{option}` does not belong to {}: remove it", kind.name),
    });
}
