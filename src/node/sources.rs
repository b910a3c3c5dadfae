//! From a configured source to a fetcher: which call, where to, with which credentials.

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

/// A fetcher per source, in the configuration's order. `Err` says which source cannot be
/// fetched so, and what to change.
pub fn fetchers(config: &Config, clock: &Arc<dyn Clock>) -> Result<Vec<Fetcher>, String> {
    let pools = pools(&config.sources);
    let sources = config.sources.iter().enumerate();
    sources
        .map(|(index, source)| {
            // Each source's server has one.
            let pool = pools[&server(source)].clone();
            fetcher(config, index, source, pool, clock)
                .map_err(|problem| format!("{}: {}", source.place, config.secrets.mask(&problem)))
        })
        .collect()
}

/// What sources must have in common to share connections.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Server<'a> {
    origin: String,
    proxy: Option<&'a str>,
    ca_file: Option<&'a Path>,
}

fn server(source: &SourceConfig) -> Server<'_> {
    let uri = source.target.uri().unwrap_or_default();
    Server {
        origin: origin::pool_key(&uri),
        proxy: source.proxy.as_deref(),
        ca_file: source.ca_file.as_deref(),
    }
}

/// A pool for each server. Where its sources differ in `connections` the largest counts: one
/// that says more says what the server can take.
fn pools(sources: &[SourceConfig]) -> BTreeMap<Server<'_>, Arc<ConnectionPool>> {
    let mut most: BTreeMap<Server, usize> = BTreeMap::new();
    for source in sources {
        let connections = most.entry(server(source)).or_default();
        *connections = source.connections.max(*connections);
    }
    let pools = most.into_iter();
    pools
        .map(|(server, most)| {
            let pool = ConnectionPool::new(&server.origin, most);
            (server, pool)
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
    let prepared = PreparedCall::new(operation, arguments).map_err(|problem| problem.message)?;
    let filling = source.auth.iter().flat_map(|auth| auth.filling(operation));
    let credentials = filling.map(|(scheme, login)| credential(scheme, login));
    let endpoint = Endpoint {
        base: operation.base_url(base)?,
        headers: headers(source),
        credentials: credentials.collect(),
    };
    Ok(Box::new(move |agent| {
        (call.send)(&prepared, &endpoint, agent)
    }))
}

/// A credential in its place: where the file says, or as the header that is usual for it.
fn credential(scheme: Option<&SecurityScheme>, login: &ConfiguredCredential) -> Credential {
    match (scheme, login) {
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

/// The headers of a plain address, which no OpenAPI file tells where its credential goes.
fn url_headers(source: &SourceConfig) -> Vec<(String, String)> {
    let mut headers = headers(source);
    match &source.auth {
        // Schemes have names where there is a file alone.
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
