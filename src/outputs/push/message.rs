//! Message of a push display: one HTTP request about an app, a key or the whole snapshot.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ureq::http::{Method, Request};

use crate::sys::http_client::build_request;

/// A request that tells the display one thing. It may hold secrets.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PushMessage {
    /// What it is about: a later message about the same replaces it.
    pub about: Arc<str>,
    pub digest: MessageDigest,
    pub method: Method,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl std::fmt::Debug for PushMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PushMessage({:?}, {:?})", self.about, self.digest)
    }
}

/// What two messages about the same are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageDigest {
    /// Of everything but times.
    pub content: u64,
    pub times: u64,
}

impl MessageDigest {
    pub fn new(content: impl Hash, times: impl Hash) -> MessageDigest {
        let digest = |value: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            value(&mut hasher);
            hasher.finish()
        };
        MessageDigest {
            content: digest(&|hasher| content.hash(hasher)),
            times: digest(&|hasher| times.hash(hasher)),
        }
    }
}

impl PushMessage {
    pub fn to_request(&self) -> Result<Request<String>, String> {
        let headers = self.headers.iter().map(|(name, value)| (&**name, &**value));
        build_request(self.method.clone(), &self.url, headers, self.body.clone())
    }
}
