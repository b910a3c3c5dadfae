//! ureq agent with every limit set: configuration, proxy, connectors.
//!
//! Built on the thread that starts the sources, used on the fetch thread.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::HeaderValue;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector};

use super::auth::SourceAuth;
use super::connection_pool::ConnectionPool;
use super::dns::DnsResolver;
use super::fetch_control::FetchControl;
use super::lenient_transport::LenientConnector;
use super::pooled_connection::PoolingConnector;
use super::private_address;
use super::proxy::HttpProxyConnector;
use super::sent_request::{RequestRecorder, SentRequest};
use super::tcp::TcpConnector;
use crate::limits;
use crate::sys::sync::Mutex;
use crate::sys::tls::{OwnServer, Tls, Trust, TrustSettings};

/// HTTP settings of a source.
#[derive(Debug, Clone)]
pub struct TransportSettings {
    /// The whole of one fetch, redirects included.
    pub timeout: Duration,
    /// Of the body, after decompression.
    pub body_limit: u64,
    pub redirects: u32,
    pub trust: TrustSettings,
    /// The source's own server: only it gets the client certificate of `trust`.
    pub own_server: Option<OwnServer>,
    /// `http://host:port`; proxies of the environment are not used.
    pub proxy: Option<String>,
    /// Whether connections are used again.
    pub keep_alive: bool,
    pub user_agent: String,
    /// What adds a credential to requests, and renews it.
    pub auth: Option<Arc<SourceAuth>>,
    /// Shared with the other sources of its server.
    pub pool: Arc<ConnectionPool>,
    /// Which addresses redirects from public servers must not reach; tests use others.
    pub is_private: fn(IpAddr) -> bool,
}

impl Default for TransportSettings {
    fn default() -> TransportSettings {
        TransportSettings {
            timeout: limits::FETCH_TIMEOUT,
            body_limit: limits::BODY_BYTES,
            redirects: limits::REDIRECTS,
            trust: TrustSettings::default(),
            own_server: None,
            proxy: None,
            keep_alive: true,
            user_agent: concat!("main-node/", env!("CARGO_PKG_VERSION")).to_owned(),
            auth: None,
            pool: ConnectionPool::new("", limits::CONNECTIONS_PER_DEVICE),
            is_private: private_address::is_private,
        }
    }
}

pub fn make_agent(
    (config, direct): (&Config, &Config),
    trust: &Trust,
    control: &Arc<FetchControl>,
    settings: &TransportSettings,
) -> Agent {
    let opens = ()
        .chain(HttpProxyConnector {
            direct: direct.clone(),
        })
        .chain(ConnectProxyConnector::default())
        .chain(TcpConnector(control.clone()))
        .chain(Tls::new(trust.clone(), settings.own_server.clone()));
    let has_proxy = config.proxy().is_some();
    let connector = LenientConnector {
        connector: PoolingConnector {
            connector: opens,
            pool: settings.pool.clone(),
            control: control.clone(),
            keep_alive: settings.keep_alive,
            has_proxy,
        },
        control: control.clone(),
        has_proxy,
    };
    Agent::with_parts(config.clone(), connector, DnsResolver(control.clone()))
}

pub fn build_config(
    settings: &TransportSettings,
    proxy: Option<ureq::Proxy>,
    sent: Arc<Mutex<SentRequest>>,
) -> Result<Config, String> {
    let recorder = RequestRecorder {
        sent,
        auth: settings.auth.clone(),
        user_agent: HeaderValue::from_str(&settings.user_agent)
            .map_err(|_| "expected a user agent of printable ASCII")?,
        keep_alive: settings.keep_alive,
    };
    Ok(Agent::config_builder()
        .timeout_global(Some(settings.timeout))
        .timeout_resolve(Some(limits::RESOLVE_TIMEOUT.min(settings.timeout)))
        .timeout_connect(Some(limits::CONNECT_TIMEOUT.min(settings.timeout)))
        .timeout_recv_response(Some(settings.timeout))
        .http_status_as_error(false)
        // Followed here: ureq would take custom headers along to another host.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(limits::RESPONSE_HEAD_BYTES)
        // One byte more than the limit, or ureq waits for space instead of failing.
        .input_buffer_size(limits::RESPONSE_HEAD_BYTES + 1)
        .output_buffer_size(limits::TRANSPORT_BUFFER_BYTES)
        // The pool keeps them, for all sources of a server.
        .max_idle_connections(0)
        // Decompressed by `content_coding`, which reads more than ureq does.
        .accept_encoding("gzip")
        // Also in CONNECT.
        .user_agent(settings.user_agent.as_str())
        .proxy(proxy)
        .middleware(recorder)
        .build())
}

pub fn parse_proxy(text: &str) -> Result<ureq::Proxy, String> {
    let wrong = "expected a proxy as http://host:port or https://host:port";
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(wrong.to_owned());
    }
    ureq::Proxy::new(text).map_err(|_| wrong.to_owned())
}
