//! Fetchers of the configured sources: request and transport settings of each.
//!
//! Runs on the main thread at start; connection pools are shared by sources of one server.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::authenticators::Authenticators;
use super::requests;
use crate::api::agent::TransportSettings;
use crate::api::connection_pool::ConnectionPool;
use crate::api::fetcher::{Fetcher, SourceSettings};
use crate::api::origin;
use crate::config::{Config, SourceConfig, SourceTarget};
use crate::sys::clock::Clock;
use crate::sys::tls::{OwnServer, TrustSettings};

/// A fetcher per source, in the configuration's order. `Err` names the source that cannot be
/// fetched, and what to change.
pub fn fetchers(config: &Config, clock: &Arc<dyn Clock>) -> Result<Vec<Fetcher>, String> {
    fetchers_with(config, &Authenticators::new(config)?, clock)
}

/// The same with authenticators that others share.
pub fn fetchers_with(
    config: &Config,
    authenticators: &Authenticators,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Fetcher>, String> {
    let pools = pools(&config.sources);
    let sources = config.sources.iter().enumerate();
    sources
        .map(|(index, source)| {
            // Every source has a pool: both come from the same list.
            let pool = pools[&pool_key(source)].clone();
            fetcher(config, index, source, (pool, authenticators), clock).map_err(|problem| {
                format!("{}: {}", source.location, config.secrets.mask(&problem))
            })
        })
        .collect()
}

/// Sources with the same key share connections.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct PoolKey<'a> {
    origin: String,
    proxy: Option<&'a str>,
    trust: &'a TrustSettings,
}

fn pool_key(source: &SourceConfig) -> PoolKey<'_> {
    let uri = source.target.uri().unwrap_or_default();
    PoolKey {
        origin: origin::pool_key(&uri),
        proxy: source.proxy.as_deref(),
        trust: &source.trust,
    }
}

/// A connection pool for each server. Where its sources differ in `connections`, the largest value
/// is used.
fn pools(sources: &[SourceConfig]) -> BTreeMap<PoolKey<'_>, Arc<ConnectionPool>> {
    let mut most: BTreeMap<PoolKey, usize> = BTreeMap::new();
    for source in sources {
        let connections = most.entry(pool_key(source)).or_default();
        *connections = source.connections.max(*connections);
    }
    let pools = most.into_iter();
    pools
        .map(|(key, most)| {
            let pool = ConnectionPool::new(&key.origin, most);
            (key, pool)
        })
        .collect()
}

fn fetcher(
    config: &Config,
    index: usize,
    source: &SourceConfig,
    (pool, authenticators): (Arc<ConnectionPool>, &Authenticators),
    clock: &Arc<dyn Clock>,
) -> Result<Fetcher, String> {
    let follows = matches!(source.target, SourceTarget::Follow { .. });
    let settings = SourceSettings {
        index,
        plan: source.plan.clone(),
        request: requests::request(config, source)?,
        operation: source.operation(),
        follow: follows.then(|| config.name.as_str().into()),
        transport: TransportSettings {
            timeout: source.timeout,
            body_limit: source.body_bytes,
            redirects: source.redirects,
            trust: source.trust.clone(),
            own_server: source.target.uri().and_then(|uri| OwnServer::of(&uri)),
            proxy: source.proxy.clone(),
            keep_alive: source.keep_alive,
            auth: authenticators.of(source)?,
            pool,
            ..TransportSettings::default()
        },
        quota: source.quota.map(|it| it.request_interval(source.pages())),
        pagination: source.pagination.clone(),
        obey_expires: source.obey_expires,
        secrets: config.secrets.clone(),
    };
    Fetcher::new(settings, clock.clone())
}
