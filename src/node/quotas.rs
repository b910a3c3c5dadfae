//! Quotas of the sources and of their accounts (`[auth.NAME]`): restored from the database at
//! start, saved by the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::api::request_quota::{AccountQuota, QuotaHandle};
use crate::config::Config;
use crate::db::store::Store;
use crate::domain::quota::{QuotaReservation, SavedQuota};
use crate::domain::time::{Moment, Mono};

/// What earlier runs have saved.
pub struct SavedQuotas {
    /// Of each source, in the plan's order.
    sources: Vec<SavedQuota>,
    /// By the names of the tables.
    accounts: BTreeMap<Arc<str>, SavedQuota>,
}

impl SavedQuotas {
    /// Reads them by `read`, which returns one for each name.
    pub fn read(config: &Config, read: impl FnOnce(&[String]) -> Vec<SavedQuota>) -> SavedQuotas {
        let sources = config.sources.iter().map(|it| it.plan.name.to_string());
        let accounts = config.accounts.keys().map(|name| entry_name(name));
        let names: Vec<String> = sources.chain(accounts).collect();
        let mut sources = read(&names);
        let of_accounts = sources.split_off(config.sources.len().min(sources.len()));
        let accounts = config.accounts.keys().cloned().zip(of_accounts);
        SavedQuotas {
            sources,
            accounts: accounts.collect(),
        }
    }

    /// How long each source still waits for an earlier run's requests.
    pub fn waits<'a>(
        &'a self,
        config: &'a Config,
        now: Mono,
    ) -> impl Iterator<Item = Duration> + 'a {
        let sources = self.sources.iter().zip(&config.sources);
        sources.map(move |(saved, source)| {
            let account = source.account.as_ref();
            let account = account.and_then(|name| self.accounts.get(name));
            let of_account = account.map(|saved| saved.wait(now)).unwrap_or_default();
            saved.wait(now).max(of_account)
        })
    }

    /// A handle for each source; sources of one account share its quota.
    pub fn into_handles(
        self,
        config: &Config,
        store: &Arc<Store>,
        now: Moment,
    ) -> Vec<QuotaHandle> {
        let mut accounts: BTreeMap<Arc<str>, Arc<AccountQuota>> = BTreeMap::new();
        for (name, carried) in self.accounts {
            let Some(account) = config.accounts.get(&name) else {
                continue;
            };
            let users = config.sources_of(&name).count();
            let pages = config.sources_of(&name).map(|it| it.pages()).max();
            let pages = pages.unwrap_or(1);
            let shared = AccountQuota::new(
                account.quota.map(|quota| quota.request_interval(pages)),
                account
                    .quota
                    .map(|quota| quota.interval_of_each(users, pages)),
                carried,
                reserve(store, entry_name(&name)),
                now,
            );
            accounts.insert(name, Arc::new(shared));
        }
        let sources = self.sources.into_iter().zip(&config.sources);
        sources
            .map(|(carried, source)| QuotaHandle {
                carried,
                reserve: reserve(store, source.plan.name.to_string()),
                account: source
                    .account
                    .as_ref()
                    .and_then(|name| accounts.get(name).cloned()),
            })
            .collect()
    }
}

/// The name under which the quota of an account is saved; the name of a source has no colon.
fn entry_name(account: &str) -> String {
    format!("auth:{account}")
}

fn reserve(store: &Arc<Store>, name: String) -> Box<dyn Fn(&QuotaReservation) + Send> {
    let (store, name): (Arc<Store>, Arc<str>) = (store.clone(), name.into());
    Box::new(move |reserved| store.reserve(&name, reserved))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourceConfig;

    #[test]
    fn an_account_and_a_source_of_one_name_are_saved_apart_and_sources_wait_for_both() {
        let mut config = Config::with_defaults(None, String::new());
        for (name, account) in [("solar", Some("solar")), ("other", None)] {
            let mut source = SourceConfig::default();
            source.plan.name = name.into();
            source.account = account.map(Into::into);
            config.sources.push(source);
        }
        config.accounts.insert("solar".into(), Default::default());
        let mut asked = Vec::new();
        let saved = SavedQuotas::read(&config, |names| {
            asked = names.to_vec();
            let until = |it| SavedQuota::SameBoot { until: Mono(it) };
            vec![until(1_000), until(2_000), until(9_000)]
        });
        assert_eq!(asked, ["solar", "other", "auth:solar"]);
        let waits: Vec<u128> = saved
            .waits(&config, Mono(0))
            .map(|it| it.as_millis())
            .collect();
        assert_eq!(waits, [9_000, 2_000]);
    }
}
