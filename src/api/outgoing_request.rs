//! One HTTP request as it is sent: method, URL, headers, body.
//!
//! A value; sending happens on the fetch thread. GET and POST only.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri};
use ureq::{Agent, Body, Error};

use super::http_exchange::HttpExchange;
use super::request::SentBody;

/// Sends the first request of a fetch with the agent it is given; redirects are followed by
/// `transport`.
pub type SendRequest = dyn Fn(&Agent) -> Result<Response<Body>, Error> + std::marker::Send + Sync;

#[derive(Debug, Clone)]
pub struct OutgoingRequest {
    pub uri: Uri,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub method: OutgoingMethod,
}

/// A POST may have a body.
#[derive(Debug, Clone)]
pub enum OutgoingMethod {
    Get,
    Post(Option<Arc<[u8]>>),
}

impl OutgoingRequest {
    pub fn send(&self, agent: &Agent) -> Result<Response<Body>, Error> {
        match &self.method {
            OutgoingMethod::Get => {
                let mut request = agent.get(self.uri.clone());
                for (name, value) in &self.headers {
                    request = request.header(name, value);
                }
                request.call()
            }
            OutgoingMethod::Post(body) => {
                let mut request = agent.post(self.uri.clone());
                for (name, value) in &self.headers {
                    request = request.header(name, value);
                }
                match body {
                    Some(body) => request.extension(SentBody(body.clone())).send(&body[..]),
                    None => request.send_empty(),
                }
            }
        }
    }

    /// The request as people may see it, but for configured secrets.
    pub fn exchange(&self) -> HttpExchange {
        let headers: HeaderMap = self.headers.iter().cloned().collect();
        match &self.method {
            OutgoingMethod::Get => HttpExchange::new(&Method::GET, &self.uri, &headers, &[]),
            OutgoingMethod::Post(body) => HttpExchange::new(
                &Method::POST,
                &self.uri,
                &headers,
                body.as_deref().unwrap_or_default(),
            ),
        }
    }

    /// The same for equal requests alone; never 0.
    pub fn identity(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.uri.to_string().hash(&mut hasher);
        for (name, value) in &self.headers {
            (name.as_str(), value.as_bytes()).hash(&mut hasher);
        }
        if let OutgoingMethod::Post(body) = &self.method {
            body.hash(&mut hasher);
        }
        hasher.finish().max(1)
    }
}

#[cfg(test)]
#[path = "tests/outgoing_request.rs"]
mod tests;
