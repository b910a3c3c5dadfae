//! Connector that reuses an idle connection of the pool, and returns it after use.
//!
//! Runs on the fetch threads. The agent keeps no connection itself.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use super::connection_pool::{ConnectionPool, IdleConnection};
use super::fetch_control::{FetchControl, TcpConnection};
use super::origin;

/// Reuses an idle connection of the pool, or opens one.
pub struct PoolingConnector<C> {
    pub connector: C,
    pub pool: Arc<ConnectionPool>,
    pub control: Arc<FetchControl>,
    /// Whether a connection is used again.
    pub keep_alive: bool,
    /// The connection to a proxy is opened through this connector as well, without a proxy in
    /// its configuration: it is part of another one and not kept by itself.
    pub has_proxy: bool,
}

impl<C> fmt::Debug for PoolingConnector<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PoolingConnector")
    }
}

impl<C: Connector<()>> Connector<()> for PoolingConnector<C> {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        if self.has_proxy && details.config.proxy().is_none() {
            let opened = self.connector.connect(details, chained)?;
            return Ok(opened.map(Transport::boxed));
        }
        let origin = origin::pool_key(details.uri);
        if self.keep_alive
            && let Some(idle) = self.pool.take_idle(&origin)
        {
            self.control.adopt(&idle.connection)?;
            return Ok(Some(Box::new(PooledConnection {
                origin,
                transport: idle.transport,
                connection: idle.connection,
                pool: self.pool.clone(),
                keep_alive: true,
                is_reusable: false,
            })));
        }
        self.pool.evict_idle();
        let Some(opened) = self.connector.connect(details, chained)? else {
            return Ok(None);
        };
        Ok(Some(match self.control.connection() {
            Some(connection) => Box::new(PooledConnection {
                origin,
                transport: opened.boxed(),
                connection,
                pool: self.pool.clone(),
                keep_alive: self.keep_alive,
                is_reusable: false,
            }),
            None => opened.boxed(),
        }))
    }
}

/// A connection in use. The agent keeps none itself: after a complete response it calls
/// `is_open` and drops it; it is then returned to the pool.
struct PooledConnection {
    origin: String,
    transport: Box<dyn Transport>,
    connection: Arc<TcpConnection>,
    pool: Arc<ConnectionPool>,
    keep_alive: bool,
    /// The last result of `is_open`, if the connection was not used since.
    is_reusable: bool,
}

impl fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PooledConnection")
    }
}

impl Transport for PooledConnection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.is_reusable = false;
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.is_reusable = false;
        let has_input = self.transport.await_input(timeout)?;
        if has_input {
            self.connection.control.lock().note_input();
        }
        Ok(has_input)
    }

    fn is_open(&mut self) -> bool {
        self.is_reusable = self.transport.is_open();
        self.is_reusable
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if self.is_reusable && self.keep_alive {
            let closed = Box::new(ClosedTransport(LazyBuffers::new(1, 1)));
            self.pool.return_idle(IdleConnection {
                origin: std::mem::take(&mut self.origin),
                transport: std::mem::replace(&mut self.transport, closed),
                connection: self.connection.clone(),
                since: Instant::now(),
            });
        }
    }
}

/// Placeholder for a connection that was returned.
#[derive(Debug)]
struct ClosedTransport(LazyBuffers);

impl Transport for ClosedTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.0
    }

    fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), Error> {
        Err(Error::ConnectionFailed)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        Err(Error::ConnectionFailed)
    }

    fn is_open(&mut self) -> bool {
        false
    }
}
