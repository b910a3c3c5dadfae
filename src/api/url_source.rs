//! Requests of `url` sources: any JSON endpoint, with no OpenAPI file behind it.
//!
//! Pure but for the sending itself, which happens on the fetch thread.

use ureq::http::uri::Scheme;
use ureq::http::{HeaderName, HeaderValue, Uri};

use super::transport::SendRequest;
use crate::domain::percent;

/// Prepares a GET of `url` with `params` added to its query. `Err` names what is invalid
/// without its value, which may be a secret.
pub fn prepare_request(
    url: &str,
    params: &[(String, String)],
    headers: &[(String, String)],
) -> Result<Box<SendRequest>, String> {
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
    let mut checked = vec![(
        HeaderName::from_static("accept"),
        HeaderValue::from_static("application/json"),
    )];
    for (name, value) in headers {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name:?} cannot be the name of a header"))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of the header {name} holds what no header can"))?;
        checked.retain(|(earlier, _)| *earlier != header);
        checked.push((header, value));
    }
    Ok(Box::new(move |agent| {
        let mut request = agent.get(uri.clone());
        for (name, value) in &checked {
            request = request.header(name, value);
        }
        request.call()
    }))
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
                Some("the value of the header X-Key holds what no header can"),
            ),
        ] {
            let made = prepare_request(url, &[pair("q", "a b&c")], &[header]);
            assert_eq!(made.err().as_deref(), expected, "{url}");
        }
    }
}
