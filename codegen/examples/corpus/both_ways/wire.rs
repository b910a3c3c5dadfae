//! An agent whose connections record what is sent, and answer `{}`.

use std::sync::{Arc, Mutex, PoisonError};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Error};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
/// Of a request; a longer one is sent in parts.
const BUFFER_BYTES: usize = 16 * 1024;

/// The agent, and what the last connection carried.
pub struct Wire {
    pub agent: Agent,
    sent: Recording,
}

#[derive(Debug, Clone, Default)]
struct Recording(Arc<Mutex<Vec<u8>>>);

impl Recording {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Wire {
    pub fn new() -> Wire {
        let sent = Recording::default();
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .build();
        let agent = Agent::with_parts(config, sent.clone(), Nowhere);
        Wire { agent, sent }
    }

    /// The bytes of the request that `act` sends, with the address that it went to.
    pub fn record<T>(&self, act: impl FnOnce(&Agent) -> Result<T, Error>) -> Result<String, Error> {
        self.sent.with(Vec::clear);
        act(&self.agent)?;
        let bytes = self.sent.with(std::mem::take);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Every host is the same: no connection leaves this process.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(
        &self,
        _uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(([127, 0, 0, 1], 9).into());
        Ok(addresses)
    }
}

impl Connector for Recording {
    type Out = Line;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<Line>, Error> {
        let origin = (details.uri.scheme_str(), details.uri.authority());
        self.with(|sent| sent.extend(format!("{origin:?}\n").into_bytes()));
        Ok(Some(Line {
            sent: self.clone(),
            buffers: LazyBuffers::new(BUFFER_BYTES, BUFFER_BYTES),
            is_answered: false,
        }))
    }
}

#[derive(Debug)]
struct Line {
    sent: Recording,
    buffers: LazyBuffers,
    is_answered: bool,
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _timeout: NextTimeout) -> Result<(), Error> {
        let output = &self.buffers.output()[..amount];
        self.sent.with(|sent| sent.extend_from_slice(output));
        Ok(())
    }

    fn await_input(&mut self, _timeout: NextTimeout) -> Result<bool, Error> {
        if self.is_answered {
            return Ok(false);
        }
        self.is_answered = true;
        let input = self.buffers.input_append_buf();
        input[..ANSWER.len()].copy_from_slice(ANSWER);
        self.buffers.input_appended(ANSWER.len());
        Ok(true)
    }

    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        true
    }
}
