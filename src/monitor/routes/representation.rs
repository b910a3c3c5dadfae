//! ETag, content codings and 304 of a response body.
//!
//! Values; any thread. Nothing here knows what the bytes mean.

use std::borrow::Cow;
use std::io::Write;
use std::sync::{Arc, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::domain::stable_hash::hash;
use crate::limits;
use crate::monitor::http::handler::{Request, Response, opaque_tag};
use crate::sys::assets;

/// One variant of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Representation {
    pub content_type: &'static str,
    pub identity: Encoded,
    coding: Coding,
    /// Compressed at the first request; `None` inside where that saves too little.
    gzip: OnceLock<Option<Encoded>>,
}

/// Whether there is a gzip coding beside the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    IdentityOnly,
    /// With a tag of its own.
    Strong,
    /// With the tag of the identity.
    Weak,
}

/// Bytes and their ETag: a strong one is made of them, a weak one of what they mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    pub etag: String,
    pub body: Arc<[u8]>,
}

impl Encoded {
    pub fn new(body: Vec<u8>) -> Encoded {
        Encoded {
            etag: format!("\"{:016x}\"", hash(&body)),
            body: body.into(),
        }
    }
}

impl Representation {
    /// With a gzip coding beside it if that can save something.
    pub fn new(content_type: &'static str, body: Vec<u8>) -> Representation {
        Representation {
            content_type,
            coding: if body.len() < 2 * limits::MIN_GZIP_SAVING_BYTES {
                Coding::IdentityOnly
            } else {
                Coding::Strong
            },
            gzip: OnceLock::new(),
            identity: Encoded::new(body),
        }
    }

    /// From an asset that the binary contains gzipped.
    pub fn from_gzip(content_type: &'static str, gzip: &'static [u8]) -> Representation {
        Representation {
            content_type,
            identity: Encoded::new(assets::decompress(gzip)),
            coding: Coding::Strong,
            gzip: OnceLock::from(Some(Encoded::new(gzip.to_vec()))),
        }
    }

    /// As it is, for what is made for one request.
    pub fn uncompressed(content_type: &'static str, body: Vec<u8>) -> Representation {
        Representation {
            content_type,
            identity: Encoded::new(body),
            coding: Coding::IdentityOnly,
            gzip: OnceLock::new(),
        }
    }

    /// With one weak tag, of [`weak_etag`], for all its codings.
    pub fn with_weak_etag(mut self, etag: String) -> Representation {
        self.identity.etag = etag;
        if self.coding == Coding::Strong {
            self.coding = Coding::Weak;
            self.gzip = OnceLock::new();
        }
        self
    }

    /// The gzip coding, compressed by the first request.
    pub fn gzip(&self) -> Option<&Encoded> {
        let coded = self.gzip.get_or_init(|| {
            let body = match self.coding {
                Coding::IdentityOnly => return None,
                Coding::Strong | Coding::Weak => gzip(&self.identity.body)?,
            };
            Some(match self.coding {
                Coding::Weak => Encoded {
                    etag: self.identity.etag.clone(),
                    body: body.into(),
                },
                _ => Encoded::new(body),
            })
        });
        coded.as_ref()
    }

    /// Whether responding compresses nothing.
    pub fn is_ready_for(&self, request: &Request) -> bool {
        self.coding == Coding::IdentityOnly
            || self.gzip.get().is_some()
            || !accepts_gzip(request)
            || self.is_known_in_all_codings(request)
    }

    /// Whether the client has these bytes, by the one ETag that all codings share.
    fn is_known_in_all_codings(&self, request: &Request) -> bool {
        self.coding != Coding::Strong && if_none_match(request, &self.identity.etag)
    }

    /// 200, or 304 where the client has these bytes.
    pub fn respond(
        &self,
        request: &Request,
        cache_control: impl Into<Cow<'static, str>>,
    ) -> Response {
        let is_coded = accepts_gzip(request) && !self.is_known_in_all_codings(request);
        let coded = is_coded.then(|| self.gzip()).flatten();
        let chosen = coded.unwrap_or(&self.identity);
        let mut headers: Vec<(&str, Cow<str>)> = Vec::with_capacity(7);
        headers.push(("ETag", chosen.etag.clone().into()));
        headers.push(("Cache-Control", cache_control.into()));
        if self.coding != Coding::IdentityOnly {
            headers.push(("Vary", "Accept-Encoding".into()));
        }
        if if_none_match(request, &chosen.etag) {
            return Response {
                status: 304,
                headers,
                body: Arc::new([]),
            };
        }
        headers.push(("Content-Type", self.content_type.into()));
        if coded.is_some() {
            headers.push(("Content-Encoding", "gzip".into()));
        }
        headers.push(("X-Content-Type-Options", "nosniff".into()));
        Response {
            status: 200,
            headers,
            body: chosen.body.clone(),
        }
    }
}

/// The bytes compressed, if that saves enough to be worth its header fields.
pub fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(body).ok()?;
    let coded = encoder.finish().ok()?;
    (coded.len() + limits::MIN_GZIP_SAVING_BYTES <= body.len()).then_some(coded)
}

/// The weak tag of whatever means the same as these bytes (RFC 9110, 8.8.1).
pub fn weak_etag(meaning: &[u8]) -> String {
    format!("W/\"{:016x}\"", hash(meaning))
}

/// Whether `If-None-Match` names this tag, by weak comparison (RFC 9110, 13.1.2).
pub fn if_none_match(request: &Request, etag: &str) -> bool {
    let fields = request
        .headers
        .iter()
        .filter(|(name, _)| name == "if-none-match");
    fields
        .map(|(_, value)| value.as_str())
        .any(|field| lists_etag(field, etag))
}

fn lists_etag(field: &str, etag: &str) -> bool {
    if field.trim() == "*" {
        return true;
    }
    let etag = opaque_tag(etag);
    // Most lists do not contain the ETag: one search is enough, however long the list.
    if !field.contains(etag) {
        return false;
    }
    // Our tags hold no comma, so that a list can be split at them; a foreign tag that holds
    // one falls into parts that equal none of ours.
    field
        .split(',')
        .map(|tag| tag.trim())
        .any(|tag| opaque_tag(tag) == etag)
}

/// Whether gzip is acceptable, and not less so than the bytes as they are.
pub fn accepts_gzip(request: &Request) -> bool {
    let [gzip, x_gzip, any, identity] = quality_values(
        request,
        "accept-encoding",
        ["gzip", "x-gzip", "*", "identity"],
    );
    let gzip = gzip.or(x_gzip).or(any);
    let identity = identity.unwrap_or(0.0);
    gzip.is_some_and(|gzip| gzip > 0.0 && gzip >= identity)
}

/// The highest weight that a list field such as `Accept` gives to each of these members;
/// `None` if it names one not at all. They are compared in any case, without parameters. One
/// pass that allocates nothing, since the connection thread does this for lists of any length.
pub fn quality_values<const N: usize>(
    request: &Request,
    name: &str,
    members: [&str; N],
) -> [Option<f32>; N] {
    let mut highest = [None; N];
    let fields = request.headers.iter().filter(|(header, _)| header == name);
    for member in fields.flat_map(|(_, value)| value.split(',')) {
        let mut parts = member.split(';').map(str::trim);
        let given = parts.next().unwrap_or_default();
        let is_given = |member: &&str| member.eq_ignore_ascii_case(given);
        let Some(at) = members.iter().position(is_given) else {
            continue;
        };
        let quality = parts.find_map(|part| {
            let (name, value) = part.split_at_checked(2)?;
            name.eq_ignore_ascii_case("q=").then_some(value)
        });
        let weight = quality.map_or(1.0, |text| {
            // An invalid weight counts as zero.
            let weight = text.parse::<f32>().unwrap_or(0.0);
            if weight.is_finite() {
                weight.clamp(0.0, 1.0)
            } else {
                0.0
            }
        });
        let before = highest[at].unwrap_or(weight);
        highest[at] = Some(weight.max(before));
    }
    highest
}

#[cfg(test)]
#[path = "tests/representation.rs"]
mod tests;
