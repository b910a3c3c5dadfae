//! Lenient HTTP parsing: a transport that rewrites the head of a response, and the chunks of its
//! body, into strict HTTP/1.1 before ureq parses them.
//!
//! Runs on the fetch thread, one for each request, above the pool and TLS. A strict head and a
//! body that is not in chunks pass without a copy. Where a repair leaves the length of a response
//! in doubt, the connection is not reused.

use std::fmt;
use std::io;
use std::sync::Arc;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use super::chunked::ChunkDecoder;
use super::fetch_control::FetchControl;
use super::response_head::{self, FramingError, HeadScanner, ResponseHead};
use crate::limits;

/// Wraps each connection for the one response that is read from it.
pub struct LenientConnector<C> {
    pub connector: C,
    pub control: Arc<FetchControl>,
    /// The connection to a proxy is opened through this connector as well, without a proxy in
    /// its configuration.
    pub has_proxy: bool,
}

impl<C> fmt::Debug for LenientConnector<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LenientConnector")
    }
}

impl<C: Connector<(), Out = Box<dyn Transport>>> Connector<()> for LenientConnector<C> {
    type Out = LenientTransport;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let is_to_proxy = self.has_proxy && details.config.proxy().is_none();
        let opened = self.connector.connect(details, chained)?;
        Ok(opened.map(|transport| LenientTransport {
            transport,
            control: self.control.clone(),
            state: if is_to_proxy {
                ReadState::ToProxy
            } else {
                ReadState::Head(HeadScanner::default())
            },
            interim_responses: 0,
            is_connect: false,
            is_doubtful: false,
            rewritten: None,
        }))
    }
}

/// What is read next.
enum ReadState {
    /// A connection to a proxy, before its first request.
    ToProxy,
    Head(HeadScanner),
    /// Until the end of the response, or of the tunnel.
    AsItIs,
    Chunks(ChunkDecoder),
}

/// A connection whose response is rewritten where it has to be.
pub struct LenientTransport {
    transport: Box<dyn Transport>,
    control: Arc<FetchControl>,
    state: ReadState,
    interim_responses: usize,
    is_connect: bool,
    is_doubtful: bool,
    /// Bytes for ureq to read before, or instead of, those of the connection.
    rewritten: Option<LazyBuffers>,
}

impl fmt::Debug for LenientTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LenientTransport")
    }
}

fn refuse(error: FramingError) -> Error {
    Error::Other(Box::new(error))
}

impl LenientTransport {
    /// Waits for a whole head, and skips interim responses.
    fn await_head(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        loop {
            let ReadState::Head(scanner) = &mut self.state else {
                return Ok(true);
            };
            let input = self.transport.buffers().input();
            let found = scanner.scan(input);
            let size = found.as_ref().map_or(input.len(), |head| head.end);
            if size > limits::RESPONSE_HEAD_BYTES {
                return Err(Error::LargeResponseHeader(
                    size,
                    limits::RESPONSE_HEAD_BYTES,
                ));
            }
            response_head::check_start(input).map_err(refuse)?;
            let Some(range) = found else {
                if self.transport.await_input(timeout)? {
                    continue;
                }
                return Err(Error::Io(io::ErrorKind::UnexpectedEof.into()));
            };
            let (start, end) = (range.start, range.end);
            let head = response_head::parse(&input[range]).map_err(refuse)?;
            if !head.is_interim() {
                self.begin_body(head, start, end);
                return Ok(true);
            }
            self.interim_responses += 1;
            if self.interim_responses > limits::INTERIM_RESPONSES {
                return Err(refuse(FramingError::TooManyInterim));
            }
            self.transport.buffers().input_consume(end);
            self.state = ReadState::Head(HeadScanner::default());
        }
    }

    /// Hands a final head to ureq.
    fn begin_body(&mut self, head: ResponseHead, start: usize, end: usize) {
        self.state = ReadState::AsItIs;
        let rewritten = if self.is_connect {
            // Other headers say nothing about a tunnel (RFC 9110 §9.3.6).
            Some(format!("HTTP/1.1 {}\r\n\r\n", head.status).into_bytes())
        } else {
            self.is_doubtful = head.is_doubtful;
            if head.is_chunked && !matches!(head.status, 204 | 304) {
                self.state = ReadState::Chunks(ChunkDecoder::new());
            }
            head.rewritten
        };
        match rewritten {
            None if start > 0 => self.transport.buffers().input_consume(start),
            None => {}
            Some(bytes) => {
                self.transport.buffers().input_consume(end);
                let size = bytes.len().max(limits::TRANSPORT_BUFFER_BYTES);
                let mut buffers = LazyBuffers::new(size, 1);
                buffers.input_append_buf()[..bytes.len()].copy_from_slice(&bytes);
                buffers.input_appended(bytes.len());
                self.rewritten = Some(buffers);
            }
        }
    }

    /// Waits for the next bytes of a body in chunks.
    fn await_chunks(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let (ReadState::Chunks(decoder), Some(output)) = (&mut self.state, &mut self.rewritten)
        else {
            return Ok(false);
        };
        loop {
            let input = self.transport.buffers();
            let (used, written) = decoder
                .decode(input.input(), output.input_append_buf())
                .map_err(refuse)?;
            if used > 0 {
                input.input_consume(used);
            }
            output.input_appended(written);
            if written > 0 {
                return Ok(true);
            }
            if decoder.is_done() || !input.input().is_empty() {
                return Ok(false);
            }
            if !self.transport.await_input(timeout)? {
                self.is_doubtful = true;
                let written = decoder.end(output.input_append_buf());
                output.input_appended(written);
                return Ok(written > 0);
            }
        }
    }
}

impl Transport for LenientTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        let is_in_chunks = matches!(&self.state, ReadState::Chunks(decoder) if !decoder.is_done());
        match &mut self.rewritten {
            Some(rewritten) if is_in_chunks || !rewritten.input().is_empty() => rewritten,
            _ => self.transport.buffers(),
        }
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if let ReadState::ToProxy = self.state {
            let output = &self.transport.buffers().output()[..amount];
            self.is_connect = output.starts_with(b"CONNECT ");
            // The response to another request is read through the connection's own wrapper.
            self.state = if self.is_connect {
                ReadState::Head(HeadScanner::default())
            } else {
                ReadState::AsItIs
            };
        }
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        match self.state {
            ReadState::Head(_) => self.await_head(timeout),
            ReadState::Chunks(_) => self.await_chunks(timeout),
            ReadState::ToProxy | ReadState::AsItIs => {
                let has_input = self.transport.await_input(timeout)?;
                if !has_input && self.transport.is_tls() {
                    self.control.note_tls_close();
                }
                Ok(has_input)
            }
        }
    }

    fn is_open(&mut self) -> bool {
        let is_complete = match &self.state {
            ReadState::Head(_) => false,
            ReadState::Chunks(decoder) => decoder.is_done(),
            ReadState::ToProxy | ReadState::AsItIs => true,
        };
        let is_read = self
            .rewritten
            .as_ref()
            .is_none_or(|rewritten| rewritten.input().is_empty());
        is_complete && is_read && !self.is_doubtful && self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

#[cfg(test)]
#[path = "tests/lenient_transport.rs"]
mod tests;
