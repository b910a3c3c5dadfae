//! Fetchers of the configured sources: request, transport settings and credentials of each.
//!
//! Runs on the main thread at start; connection pools are shared by sources of one server.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::api::agent::TransportSettings;
use crate::api::client::CALLS;
use crate::api::connection_pool::ConnectionPool;
use crate::api::fetcher::{Fetcher, SourceSettings};
use crate::api::origin;
use crate::api::request::{Credential, Endpoint, PreparedCall};
use crate::api::transport::SendRequest;
use crate::api::url_source;
use crate::config::{Auth, Config, ConfiguredCredential, SourceConfig, SourceTarget};
use crate::sys::clock::Clock;
use openapi::operation::{Argument, Operation, SecurityScheme};

/// A fetcher per source, in the configuration's order. `Err` names the source that cannot be
/// fetched, and what to change.
pub fn fetchers(config: &Config, clock: &Arc<dyn Clock>) -> Result<Vec<Fetcher>, String> {
    let pools = pools(&config.sources);
    let sources = config.sources.iter().enumerate();
    sources
        .map(|(index, source)| {
            // Every source has a pool: both come from the same list.
            let pool = pools[&pool_key(source)].clone();
            fetcher(config, index, source, pool, clock).map_err(|problem| {
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
    ca_file: Option<&'a Path>,
}

fn pool_key(source: &SourceConfig) -> PoolKey<'_> {
    let uri = source.target.uri().unwrap_or_default();
    PoolKey {
        origin: origin::pool_key(&uri),
        proxy: source.proxy.as_deref(),
        ca_file: source.ca_file.as_deref(),
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
    pool: Arc<ConnectionPool>,
    clock: &Arc<dyn Clock>,
) -> Result<Fetcher, String> {
    let (request, declared) = match &source.target {
        SourceTarget::Operation {
            operation,
            base,
            arguments,
        } => {
            let request = operation_request(source, operation, base.as_deref(), arguments)?;
            (request, Some(*operation))
        }
        SourceTarget::Url { url, params } => {
            let request = url_source::prepare_request(url, params, &url_headers(source))?;
            (request, None)
        }
        SourceTarget::Follow { node } => {
            let url = format!("{node}/snapshot?full=1");
            (
                url_source::prepare_request(&url, &[], &url_headers(source))?,
                None,
            )
        }
    };
    let follows = matches!(source.target, SourceTarget::Follow { .. });
    let settings = SourceSettings {
        index,
        plan: source.plan.clone(),
        request,
        operation: declared,
        follow: follows.then(|| config.name.as_str().into()),
        transport: TransportSettings {
            timeout: source.timeout,
            body_limit: source.body_bytes,
            redirects: source.redirects,
            ca_file: source.ca_file.clone(),
            proxy: source.proxy.clone(),
            keep_alive: source.keep_alive,
            pool,
            ..TransportSettings::default()
        },
        quota: source.quota,
        secrets: config.secrets.clone(),
    };
    Fetcher::new(settings, clock.clone())
}

fn operation_request(
    source: &SourceConfig,
    operation: &'static Operation,
    base: Option<&str>,
    arguments: &[(String, Argument)],
) -> Result<Box<SendRequest>, String> {
    let call = CALLS
        .iter()
        .find(|call| call.api == operation.api && call.operation == operation.id)
        .ok_or_else(|| format!("the operation {} is not compiled in", operation.id))?;
    let prepared =
        PreparedCall::new(operation, arguments, None).map_err(|problem| problem.message)?;
    let configured = source
        .auth
        .iter()
        .flat_map(|auth| auth.credentials_for(operation));
    let credentials = configured.map(|(scheme, value)| credential(scheme, value));
    let endpoint = Endpoint {
        base: operation.base_url(base)?,
        headers: headers(source),
        credentials: credentials.collect(),
    };
    Ok(Box::new(move |agent| {
        (call.send)(&prepared, &endpoint, agent)
    }))
}

/// A credential where the OpenAPI file requires it, or in the `Authorization` header.
fn credential(scheme: Option<&SecurityScheme>, value: &ConfiguredCredential) -> Credential {
    match (scheme, value) {
        (Some(scheme), ConfiguredCredential::Basic { user, password }) => {
            Credential::fill(scheme, user, password.reveal())
        }
        (Some(scheme), ConfiguredCredential::Token(token)) => {
            Credential::fill(scheme, "", token.reveal())
        }
        (None, ConfiguredCredential::Basic { user, password }) => Credential::Basic {
            user: user.clone(),
            password: password.reveal().to_owned(),
        },
        (None, ConfiguredCredential::Token(token)) => Credential::Bearer {
            token: token.reveal().to_owned(),
        },
    }
}

fn headers(source: &SourceConfig) -> Vec<(String, String)> {
    let pairs = source.headers.iter();
    pairs
        .map(|header| (header.name.clone(), header.value.reveal().to_owned()))
        .collect()
}

/// The headers of a plain URL: the credential goes into the `Authorization` header.
fn url_headers(source: &SourceConfig) -> Vec<(String, String)> {
    let mut headers = headers(source);
    match &source.auth {
        // Only an OpenAPI file names schemes.
        None | Some(Auth::Schemes(_)) => {}
        Some(Auth::Any(ConfiguredCredential::Token(token))) => {
            headers.push((
                "Authorization".to_owned(),
                format!("Bearer {}", token.reveal()),
            ));
        }
        Some(Auth::Any(ConfiguredCredential::Basic { user, password })) => {
            let pair = format!("{user}:{}", password.reveal());
            headers.push((
                "Authorization".to_owned(),
                format!("Basic {}", BASE64.encode(pair)),
            ));
        }
    }
    headers
}
