//! Building responses: 200 with its header fields, HTML, gzip.
//!
//! Pure; any thread.

use super::representation::{accepts_gzip, gzip};
use crate::limits;
use crate::monitor::http::handler::{Request, Response};

pub const NO_CACHE: &str = "no-cache";
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";

pub fn ok_response(
    content_type: &'static str,
    cache_control: &'static str,
    body: Vec<u8>,
) -> Response {
    Response {
        status: 200,
        headers: vec![
            ("Content-Type", content_type.into()),
            ("Cache-Control", cache_control.into()),
            ("X-Content-Type-Options", "nosniff".into()),
        ],
        body: body.into(),
    }
}

/// `policy`: [`crate::monitor::web::content_security_policy`].
pub fn html_response(status: u16, markup: maud::Markup, policy: &str) -> Response {
    let mut response = ok_response(
        "text/html; charset=utf-8",
        NO_CACHE,
        markup.into_string().into_bytes(),
    );
    response.status = status;
    response
        .headers
        .push(("Content-Security-Policy", policy.to_owned().into()));
    response
        .headers
        .push(("Referrer-Policy", "no-referrer".into()));
    response
}

/// Compresses what was rendered for this request and is not coded yet.
pub fn with_gzip(request: &Request, mut response: Response) -> Response {
    let has = |name: &str| response.headers.iter().any(|(given, _)| *given == name);
    // An ETag is a hash of the bytes as they are; the code that set it chose the coding.
    if has("ETag")
        || has("Content-Encoding")
        || response.body.len() < 2 * limits::MIN_GZIP_SAVING_BYTES
    {
        return response;
    }
    match response
        .headers
        .iter_mut()
        .find(|(name, _)| *name == "Vary")
    {
        Some((_, fields)) => fields.to_mut().push_str(", Accept-Encoding"),
        None => response.headers.push(("Vary", "Accept-Encoding".into())),
    }
    if let Some(body) = accepts_gzip(request)
        .then(|| gzip(&response.body))
        .flatten()
    {
        response.headers.push(("Content-Encoding", "gzip".into()));
        response.body = body.into();
    }
    response
}
