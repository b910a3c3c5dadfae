//! Source options (`[[source]]`): what is fetched, from where, how often, and which records are
//! read.
//!
//! Options that depend on each other are read here; `options` lists all.

mod devices;
mod options;
mod pagination;
mod records;
mod target;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use toml::de::DeValue;

use self::devices::{NamedSource, read_entry};
use self::options::SourceDraft;
pub use self::options::{OPTIONS, PREFIX};
use self::pagination::check_pagination;
use self::records::read_selection;
use self::target::read_target;
use super::api_files::Apis;
use super::auth::{
    Accounts, SourceCredentials, check_login, check_scheme, may_have_schemes, read_auth,
    warn_missing_auth, warn_sent_twice, warn_unused_user_info,
};
use super::auth_types::{Auth, AuthConfig, ConfiguredCredential};
use super::problem::Severity;
use super::reader::TableReader;
use super::request::body::read_method;
use super::request_types::RequestMethod;
use super::section::{print_options, read_options, set};
use super::trust::no_tls;
use super::types::{KeySpans, SourceConfig, SourceTarget};
use crate::api::connection_pool;
use crate::domain::plan::Selection;
use crate::limits;

#[cfg(test)]
pub use self::records::OPTIONS as RECORD_OPTIONS;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);
/// Another main-node responds from memory, mostly with 304.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(10);

/// What reading a source needs besides its table.
#[derive(Clone, Copy)]
pub struct SourceInputs<'a> {
    /// Base directory of relative paths.
    pub directory: &'a Path,
    pub apis: &'a Apis<'a>,
    pub accounts: &'a Accounts,
}

pub fn read_sources(
    root: &mut TableReader<'_>,
    inputs: SourceInputs<'_>,
) -> Vec<(SourceConfig, KeySpans)> {
    let Some(list) = root.get("source") else {
        let begin = if root.is_empty() {
            "the file is empty, or has comments alone"
        } else {
            "nothing to fetch"
        };
        root.problem(format!(
            "{begin}: add a [[source]] with a name and an operation or a url (`main-node operations` \
             prints ready ones)"
        ));
        return Vec::new();
    };
    let entries = list.tables();
    let read = |entry| read_entry(entry, inputs);
    let named: Vec<NamedSource> = entries.iter().flat_map(read).collect();
    if named.len() > limits::SOURCES {
        let (maximum, found) = (limits::SOURCES, named.len());
        list.problem(format!("expected at most {maximum} sources, found {found}"));
    }
    let mut names = BTreeSet::new();
    for it in &named {
        let name = &it.source.plan.name;
        if !names.insert(name) {
            let message = format!("two sources are named {name:?}: rename one");
            root.reader().problem(&it.name_span, message);
        }
    }
    named.into_iter().map(|it| (it.source, it.keys)).collect()
}

fn is_source_option(name: &str) -> bool {
    OPTIONS.iter().any(|option| option.name == name)
}

fn read_source(
    mut table: TableReader<'_>,
    inputs: SourceInputs<'_>,
) -> Option<(SourceConfig, KeySpans)> {
    let mut draft = SourceDraft::default();
    read_options(&OPTIONS, &mut table, inputs.directory, &mut draft);
    if table.device().is_none()
        && let Some(name) = &draft.name
    {
        table.rename(format!("[[source]] {name:?}"));
    }
    let target = read_request(&mut table, inputs, &mut draft.source);
    if let Some(Auth::Any(auth)) = &draft.source.auth {
        let certificate = auth.trust.client_certificate.clone();
        draft.source.trust.client_certificate = certificate;
    }
    check_encryption(&mut table, target.as_ref(), &draft.source);
    if let Some(SourceTarget::Follow { .. }) = target {
        note_ignored_options(&mut table);
    }
    if let (Some(pagination), Some(target)) = (&draft.source.pagination, &target) {
        let is_post = matches!(draft.source.method, RequestMethod::Post(_));
        check_pagination(
            &mut table,
            pagination,
            target,
            is_post,
            draft.source.plan.format,
            draft.source.quota,
        );
    }
    let (selection, keys) =
        read_selection(&mut table, inputs.directory, draft.source.plan.max_records);
    draft.source.plan.selection = selection;
    draft.source.plan.has_shared_prefix = table.device().is_some() && table.get("prefix").is_some();
    draft.source.location = table.location();
    table.finish();
    let source = finish_source(draft, target)?;
    Some((source, keys))
}

/// Reads what is requested: target, method and credentials.
fn read_request(
    table: &mut TableReader<'_>,
    inputs: SourceInputs<'_>,
    source: &mut SourceConfig,
) -> Option<SourceTarget> {
    let reader = table.reader();
    let can_refuse = inputs.apis.can_refuse(table);
    let earlier = if can_refuse {
        reader.take_problems()
    } else {
        Vec::new()
    };
    let target = read_target(table, inputs.apis);
    let method = read_method(table, target.as_ref(), &source.headers);
    set(&mut source.method, method);
    read_credentials(table, inputs, target.as_ref(), source);
    if !can_refuse {
        return target;
    }
    // Its OpenAPI file may have changed since the configuration was checked.
    let problems = reader.take_problems();
    reader.put_back_problems(earlier);
    let Some(first) = problems.into_iter().next() else {
        return target;
    };
    let operation = table.get("operation").and_then(|it| it.text());
    source.auth = None;
    let reason = format!("{}: {}", first.location, first.message);
    reader.remark_at(Severity::Problem, &first.location, first.message);
    Some(SourceTarget::Unavailable {
        operation: operation.unwrap_or_default(),
        reason,
    })
}

/// Fills in the fields that depend on name and target.
fn finish_source(draft: SourceDraft, target: Option<SourceTarget>) -> Option<SourceConfig> {
    let (name, target) = (draft.name?, target?);
    let mut source = draft.source;
    let default_interval = match target {
        SourceTarget::Follow { .. } => FOLLOW_INTERVAL,
        _ => DEFAULT_INTERVAL,
    };
    let every = draft.every.unwrap_or(default_interval);
    let share = source.quota.map(|it| it.request_interval(source.pages()));
    source.plan.every = every.max(share.unwrap_or_default());
    source.plan.name = name.into();
    source.plan.is_upstream_node = matches!(target, SourceTarget::Follow { .. });
    let (label, summary, description) = match &target {
        SourceTarget::Operation { operation, .. } => (
            operation.id.as_str(),
            operation.summary.as_str(),
            operation.description.as_str(),
        ),
        SourceTarget::Url { .. } => (source.plan.format.address(), "", ""),
        SourceTarget::Follow { .. } => ("another main-node", "", ""),
        SourceTarget::Unavailable { operation, .. } => (operation.as_str(), "", ""),
    };
    source.plan.target = label.into();
    source.plan.summary = summary.into();
    source.plan.description = description.into();
    let host = target.uri().and_then(|uri| uri.host().map(str::to_owned));
    let default = connection_pool::default_connections(&host.unwrap_or_default());
    source.connections = draft.connections.unwrap_or(default);
    source.target = target;
    Some(source)
}

/// Reads `auth`: credentials, or the name of an account that has them.
fn read_credentials(
    table: &mut TableReader<'_>,
    inputs: SourceInputs<'_>,
    target: Option<&SourceTarget>,
    source: &mut SourceConfig,
) {
    let operation = match target {
        Some(SourceTarget::Operation {
            operation,
            arguments,
            ..
        }) => Some((*operation, arguments.as_slice())),
        _ => None,
    };
    let arguments = operation.map_or(&[][..], |(_, arguments)| arguments);
    let arguments: Vec<&str> = arguments.iter().map(|(name, _)| name.as_str()).collect();
    let others = SourceCredentials {
        headers: &source.headers,
        arguments: &arguments,
        has_client_certificate: false,
    };
    // It is a problem already that the operation is not known.
    let is_unknown = target.is_none() && table.get("operation").is_some();
    let is_missing = match table.get("auth") {
        None => true,
        Some(entry) if is_unknown && may_have_schemes(&entry) => false,
        Some(entry) if matches!(entry.value(), DeValue::String(_)) => {
            let found = inputs.accounts.find(&entry);
            let auth = found.as_ref().map(|(_, account)| account.auth.clone());
            let auth = auth.filter(|it| *it != AuthConfig::default());
            if let (Some(auth), Some((operation, _))) = (&auth, operation) {
                check_scheme(&entry, auth, operation, others);
            }
            let is_missing = found.is_some() && auth.is_none();
            source.account = found.map(|(name, _)| name);
            source.auth = auth.map(Auth::Any);
            is_missing
        }
        Some(entry) => {
            source.auth = read_auth(&entry, target, inputs.directory, others);
            false
        }
    };
    if is_missing
        && let Some((operation, _)) = operation
        && let Some(entry) = table.get("operation")
    {
        warn_missing_auth(&entry, operation, others);
    }
    if let Some(auth) = &source.auth
        && let Some(ConfiguredCredential::Login(login)) = auth.credential()
        && let Some(entry) = table.get("auth")
    {
        check_login(&entry, login, target);
    }
    if let (Some(SourceTarget::Url { url, params }), Some(auth)) = (target, &source.auth)
        && let Some(entry) = table.get("auth")
    {
        warn_sent_twice(&entry, auth, &source.headers, params);
        warn_unused_user_info(&entry, auth, url);
    }
}

/// Options that need TLS: a fingerprint is compared with the certificate of the server or of an
/// `https://` proxy, and a client certificate is for the server.
fn check_encryption(
    table: &mut TableReader<'_>,
    target: Option<&SourceTarget>,
    source: &SourceConfig,
) {
    let is_plain = target
        .and_then(SourceTarget::uri)
        .is_some_and(|uri| uri.scheme_str() == Some("http"));
    if let Some(entry) = table.get("auth")
        && is_plain
        && source.trust.client_certificate.is_some()
    {
        let message =
            "the client certificate needs TLS: write https:// in the address of this source";
        entry.problem(message);
    }
    let proxy = source.proxy.as_deref().unwrap_or_default();
    if let Some(entry) = table.get("fingerprint")
        && is_plain
        && !proxy.starts_with("https://")
    {
        entry.problem(no_tls("write https:// in the address"));
    }
}

fn note_ignored_options(table: &mut TableReader<'_>) {
    if let Some(entry) = table.get("format") {
        entry
            .problem("`format` belongs to a `url` or an `operation`, not to a `follow`: remove it");
    }
    for option in ["records", "prefix", "observed_at", "units_at", "numbers"] {
        if let Some(entry) = table.get(option) {
            entry.remark(
                Severity::Note,
                format!(
                    "`{option}` has no effect on a `follow` source, whose keys are those of the \
                     other node: remove it, or read that node with url = \"…/snapshot\""
                ),
            );
        }
    }
}

/// Prints the source as TOML, secrets masked.
pub fn print_source(out: &mut String, source: &SourceConfig) {
    out.push_str("\n[[source]]\n");
    print_options(out, &OPTIONS, source);
    print_options(out, &PREFIX, source);
    if let Selection::Selectors(selectors) = &source.plan.selection {
        records::print_records(out, selectors);
    }
}
