//! Requests of `url` sources: any HTTP endpoint, with no OpenAPI file behind it.
//!
//! Pure but for the sending itself, which happens on the fetch thread.

use ureq::http::uri::Scheme;
use ureq::http::{HeaderName, HeaderValue, Uri, header};

use super::argument_template::ArgumentTemplate;
use super::outgoing_request::{OutgoingMethod, OutgoingRequest};
use crate::domain::percent;
use crate::domain::placeholder::{PlaceholderTime, Template};

/// A request whose URL, parameters, headers and body may have date placeholders.
pub struct UrlTemplate {
    pub url: Template,
    /// Added to the query of the URL.
    pub params: Vec<(String, Template)>,
    pub headers: Vec<(String, Template)>,
    pub method: MethodTemplate,
}

/// Media type of a form.
pub const FORM_TYPE: &str = "application/x-www-form-urlencoded";

pub enum MethodTemplate {
    Get,
    Post(Option<BodyTemplate>),
}

pub enum BodyTemplate {
    /// Sent as JSON.
    Json(ArgumentTemplate),
    Text {
        text: Template,
        content_type: String,
    },
    /// Fields, sent as a form.
    Form(Vec<(String, Template)>),
}

impl BodyTemplate {
    fn has_placeholders(&self) -> bool {
        match self {
            BodyTemplate::Json(body) => body.has_placeholders(),
            BodyTemplate::Text { text, .. } => text.has_placeholders(),
            BodyTemplate::Form(fields) => fields.iter().any(|(_, it)| it.has_placeholders()),
        }
    }

    /// Its media type, and the body at a time.
    fn fill(&self, time: &PlaceholderTime) -> (&str, String) {
        match self {
            BodyTemplate::Json(body) => ("application/json", body.fill(time).json_text()),
            BodyTemplate::Text { text, content_type } => (content_type, text.fill(time)),
            BodyTemplate::Form(fields) => {
                let filled = fields.iter().map(|(name, it)| (name, it.fill(time)));
                let filled: Vec<(&String, String)> = filled.collect();
                let fields = filled.iter().map(|(name, it)| (name.as_str(), it.as_str()));
                (FORM_TYPE, percent::encode_form(fields))
            }
        }
    }
}

impl UrlTemplate {
    pub fn has_placeholders(&self) -> bool {
        let in_method = match &self.method {
            MethodTemplate::Get | MethodTemplate::Post(None) => false,
            MethodTemplate::Post(Some(body)) => body.has_placeholders(),
        };
        let mut pairs = self.params.iter().chain(&self.headers);
        in_method || self.url.has_placeholders() || pairs.any(|(_, it)| it.has_placeholders())
    }

    /// The request at a time. `Err` names what is invalid without its value, which may be a
    /// secret.
    pub fn fill(&self, time: &PlaceholderTime) -> Result<OutgoingRequest, String> {
        let fill = |pairs: &[(String, Template)]| -> Vec<(String, String)> {
            let filled = pairs.iter().map(|(name, it)| (name.clone(), it.fill(time)));
            filled.collect()
        };
        let (params, headers) = (fill(&self.params), fill(&self.headers));
        let mut request = get_request(&fill_url(&self.url, time), &params, &headers)?;
        request.method = match &self.method {
            MethodTemplate::Get => OutgoingMethod::Get,
            MethodTemplate::Post(None) => OutgoingMethod::Post(None),
            MethodTemplate::Post(Some(body)) => {
                let (content_type, body) = body.fill(time);
                if !request
                    .headers
                    .iter()
                    .any(|it| it.0 == header::CONTENT_TYPE)
                {
                    let value = HeaderValue::from_str(content_type).map_err(|_| {
                        "`content_type` has a character that no header can have".to_owned()
                    })?;
                    request.headers.push((header::CONTENT_TYPE, value));
                }
                OutgoingMethod::Post(Some(body.into_bytes().into()))
            }
        };
        Ok(request)
    }
}

/// A URL at a time; what is filled in is percent-encoded where it would not be a part of the path
/// or of a value.
pub fn fill_url(url: &Template, time: &PlaceholderTime) -> String {
    url.fill_with(time, |value| percent::encode_set(value, percent::DATE))
}

/// Prepares [`get_request`].
#[cfg(test)]
pub fn prepare_request(
    url: &str,
    params: &[(String, String)],
    headers: &[(String, String)],
) -> Result<Box<super::outgoing_request::SendRequest>, String> {
    let request = get_request(url, params, headers)?;
    Ok(Box::new(move |agent| request.send(agent)))
}

/// A GET of `url` with `params` added to its query. `Err` names what is invalid without its
/// value, which may be a secret.
pub fn get_request(
    url: &str,
    params: &[(String, String)],
    headers: &[(String, String)],
) -> Result<OutgoingRequest, String> {
    let url = url.split('#').next().unwrap_or_default();
    let encode = |text: &str| percent::encode_set(text, percent::LIST);
    let query: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    let joint = match (query.is_empty(), url.contains('?')) {
        (true, _) => "",
        (false, true) => "&",
        (false, false) => "?",
    };
    let wrong = || "expected a URL such as http://meter.local/api/v1/data".to_owned();
    let uri: Uri = format!("{url}{joint}{}", query.join("&"))
        .parse()
        .map_err(|_| wrong())?;
    let is_http = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
    if !is_http || uri.host().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    let mut checked = vec![(header::ACCEPT, HeaderValue::from_static("application/json"))];
    for (name, value) in headers {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name:?} cannot be the name of a header"))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of the header {name} has a line break or another character that no header can have"))?;
        checked.retain(|(earlier, _)| *earlier != header);
        checked.push((header, value));
    }
    Ok(OutgoingRequest {
        uri,
        headers: checked,
        method: OutgoingMethod::Get,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_request_is_reported_without_its_values() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (url, header, expected) in [
            ("http://meter.local/x?a=1", pair("X-Key", "secret"), None),
            (
                "meter.local/x",
                pair("X-Key", "secret"),
                Some("expected a URL such as http://meter.local/api/v1/data"),
            ),
            (
                "http://me ter/",
                pair("X-Key", "secret"),
                Some("expected a URL such as http://meter.local/api/v1/data"),
            ),
            (
                "http://meter.local/",
                pair("X Key", "secret"),
                Some("\"X Key\" cannot be the name of a header"),
            ),
            (
                "http://meter.local/",
                pair("X-Key", "secret\n"),
                Some(
                    "the value of the header X-Key has a line break or another character that no header can have",
                ),
            ),
        ] {
            let made = prepare_request(url, &[pair("q", "a b&c")], &[header]);
            assert_eq!(made.err().as_deref(), expected, "{url}");
        }
    }
}
