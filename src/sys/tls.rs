//! TLS: whom to trust, the connector of ureq, and error texts.
//!
//! Runs on the thread that connects. It describes TLS errors, and must not decide whose fault they
//! are.

mod certificate;
mod client_certificate;
mod describe;
mod fingerprint;
mod roots;
mod trust;
mod verifier;

use std::fmt;
use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use super::host_address;

pub use self::client_certificate::ClientCertificateFiles;
pub use self::describe::{TlsContext, TrustOptionNames, describe_tls_error, pin_advice, pin_hint};
pub use self::fingerprint::CertificateFingerprint;
pub use self::roots::system_roots;
pub use self::trust::{Trust, TrustSettings};
pub use self::verifier::{RejectedCertificate, RejectionReason};

/// Wraps ureq's connections in TLS. ureq's own connector copies the roots for each agent.
#[derive(Debug)]
pub struct Tls {
    trust: Trust,
    /// Which server gets the client certificate: that which was configured, no other.
    own_server: Option<OwnServer>,
    /// With the client certificate, if there is one, and without.
    for_own_server: OnceLock<Arc<ClientConfig>>,
    for_others: OnceLock<Arc<ClientConfig>>,
}

/// Host, in lower case, and port of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnServer(String, u16);

impl OwnServer {
    /// The server of a URL; of `http://` with the usual port that of `https://`, to which it may lead.
    pub fn of(uri: &Uri) -> Option<OwnServer> {
        let port = match host_address::port(uri) {
            80 if uri.scheme_str() == Some("http") => 443,
            port => port,
        };
        Some(OwnServer(uri.host()?.to_ascii_lowercase(), port))
    }
}

impl Tls {
    pub fn new(trust: Trust, own_server: Option<OwnServer>) -> Tls {
        Tls {
            trust,
            own_server,
            for_own_server: OnceLock::new(),
            for_others: OnceLock::new(),
        }
    }

    fn config(&self, uri: &Uri) -> Result<Arc<ClientConfig>, rustls::Error> {
        let is_own = self.own_server.is_some() && OwnServer::of(uri) == self.own_server;
        let kept = if is_own {
            &self.for_own_server
        } else {
            &self.for_others
        };
        Ok(match kept.get() {
            Some(config) => config.clone(),
            None => {
                let made = self.trust.client_config(is_own)?;
                kept.get_or_init(|| made).clone()
            }
        })
    }
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Encrypted>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host_address::without_zone(host).unwrap_or_else(|| host.to_owned());
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned());
        let name = name.map_err(|_| Error::Tls("the host's name can be in no certificate"))?;
        let mut connection = ClientConnection::new(self.config(details.uri)?, name)?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        Ok(Some(Either::B(Encrypted {
            buffers: LazyBuffers::new(
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
            stream: StreamOwned::new(connection, socket),
        })))
    }
}

/// A connection under TLS.
pub struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encrypted")
    }
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let came = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(came);
        Ok(came > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
