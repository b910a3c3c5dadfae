//! Accounts (`[auth.NAME]`): credentials and a quota that sources share.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeValue;

use super::kinds::forms;
use super::options::{OPTIONS, QUOTA};
use super::read_auth_options;
use crate::config::auth_types::{Account, AuthConfig, ConfiguredCredential};
use crate::config::option::{fetch_beyond_quota, is_source_name};
use crate::config::problem::Severity;
use crate::config::reader::{ConfigReader, TableEntry, TableReader};
use crate::config::section::{print_options, read_options};
use crate::config::types::SourceConfig;
use crate::domain::text::format_duration;
use crate::domain::toml_text::{bare_or_quoted, quoted};
use openapi::operation::nearest;

/// All `[auth.NAME]` tables, and which of them sources name.
#[derive(Default)]
pub struct Accounts {
    accounts: BTreeMap<Arc<str>, (Account, Range<usize>)>,
    /// Tables that have problems count as known.
    names: BTreeSet<String>,
    used: RefCell<BTreeSet<Arc<str>>>,
}

impl Accounts {
    pub fn read(root: &mut TableReader<'_>, directory: &Path) -> Accounts {
        let mut accounts = Accounts::default();
        let Some(list) = root.get("auth") else {
            return accounts;
        };
        if !matches!(list.value(), DeValue::Table(_)) {
            list.problem("`auth` belongs into a [[source]]; here it is a table: [auth.NAME]");
            return accounts;
        }
        for entry in list.entries() {
            let name = entry.key().to_owned();
            if !is_source_name(&name) || !matches!(entry.value(), DeValue::Table(_)) {
                let message = "expected a table [auth.NAME], with a name of 1 to 40 letters, \
                               digits, spaces or -_., or `auth` in a [[source]]";
                root.reader().problem(&entry.key_span(), message);
                continue;
            }
            accounts.names.insert(name.clone());
            if let Some(account) = read_account(&entry, directory) {
                accounts
                    .accounts
                    .insert(name.into(), (account, entry.key_span()));
            }
        }
        accounts
    }

    /// The account that `auth = "NAME"` names.
    pub fn find(&self, item: &TableEntry<'_>) -> Option<(Arc<str>, &Account)> {
        let hint = format!("a credential is written {}", forms());
        self.find_or_explain(item, &hint)
    }

    fn find_or_explain(&self, item: &TableEntry<'_>, hint: &str) -> Option<(Arc<str>, &Account)> {
        let name = item.text()?;
        if let Some((name, (account, _))) = self.accounts.get_key_value(name.as_str()) {
            self.used.borrow_mut().insert(name.clone());
            return Some((name.clone(), account));
        }
        if self.names.contains(&name) {
            // Its problem is reported there.
            return None;
        }
        // The text may be a credential, which is never shown.
        let near = nearest(&name, self.names.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => hint.to_owned(),
        };
        if !is_source_name(&name) || name.contains(' ') {
            item.add_secret(name);
        }
        item.problem(format!(
            "auth: a text is the NAME of a table [auth.NAME], and there is none of this name; {hint}"
        ));
        None
    }

    /// The account that `auth` of `[mail]` names, which must be an OAuth client.
    pub fn find_oauth_client(&self, item: &TableEntry<'_>) -> Option<Arc<str>> {
        if !matches!(item.value(), DeValue::String(_)) {
            item.problem(OAUTH_CLIENT);
            return None;
        }
        let (name, account) = self.find_or_explain(item, OAUTH_CLIENT)?;
        let credential = &account.auth.credential;
        if matches!(credential, Some(ConfiguredCredential::OAuth2(_))) {
            return Some(name);
        }
        item.problem(
            "[mail] logs in with an access token of OAuth 2.0, so that table needs `grant`; a user \
             and password are written as `user` and `password` in [mail]",
        );
        None
    }

    /// Raises the intervals of sources to their share of their account's quota, and notes the
    /// result, and accounts that no source uses.
    pub fn share_quotas<K>(&self, reader: &ConfigReader<'_>, sources: &mut [(SourceConfig, K)]) {
        for (name, (account, span)) in &self.accounts {
            let is_user = |source: &SourceConfig| source.account.as_ref() == Some(name);
            let users = sources.iter().filter(|(source, _)| is_user(source)).count();
            if users == 0 {
                if !self.used.borrow().contains(name) {
                    let table = account_table(name);
                    let message = format!(
                        "no source uses {table}: write auth = {} in a [[source]]",
                        quoted(name)
                    );
                    reader.remark(Severity::Note, span, message);
                }
                continue;
            }
            let Some(quota) = account.quota else {
                continue;
            };
            let of_account = sources.iter().filter(|(source, _)| is_user(source));
            let pages = of_account.map(|(source, _)| source.pages()).max();
            let pages = pages.unwrap_or(1);
            if let Some(message) = fetch_beyond_quota(quota, pages) {
                reader.problem(span, message);
            }
            let share = quota.interval_of_each(users, pages);
            let mut is_slower = false;
            for (source, _) in sources.iter_mut().filter(|(source, _)| is_user(source)) {
                is_slower |= source.plan.every > share;
                source.plan.every = source.plan.every.max(share);
            }
            let interval = format_duration(share);
            let every = if is_slower { " or less often" } else { "" };
            let message = match users {
                1 => format!("1 source has {quota}: every {interval}{every}"),
                _ => format!("{users} sources share {quota}: each every {interval}{every}"),
            };
            reader.remark(Severity::Note, span, message);
        }
    }

    pub fn into_accounts(self) -> BTreeMap<Arc<str>, Account> {
        let accounts = self.accounts.into_iter();
        accounts
            .map(|(name, (account, _))| (name, account))
            .collect()
    }
}

fn read_account(entry: &TableEntry<'_>, directory: &Path) -> Option<Account> {
    let mut table = entry.table(account_table(entry.key()))?;
    let auth = read_auth_options(&mut table, directory);
    let mut account = Account::default();
    read_options(&QUOTA, &mut table, directory, &mut account);
    let quota = table.get("quota");
    if quota.is_none()
        && let Ok(auth) = &auth
        && *auth == AuthConfig::default()
    {
        let name = table.name();
        table.problem(format!("{name} is empty: add {}, or `quota`", forms()));
        table.finish();
        return None;
    }
    // Reports unknown options last, when all known ones were asked for.
    table.finish();
    account.auth = auth.ok()?;
    let is_complete = quota.is_none() || account.quota.is_some();
    is_complete.then_some(account)
}

const OAUTH_CLIENT: &str = "[mail] takes the name of a table with `grant`: auth = \"google\" beside \
                            [auth.google] with grant, token_url and client_id";

fn account_table(name: &str) -> String {
    format!("[auth.{}]", bare_or_quoted(name))
}

/// Prints the accounts as TOML, credentials masked.
pub fn print_accounts(out: &mut String, accounts: &BTreeMap<Arc<str>, Account>) {
    for (name, account) in accounts {
        *out += &format!("\n{}\n", account_table(name));
        print_options(out, &OPTIONS, &account.auth);
        print_options(out, &QUOTA, account);
    }
}
