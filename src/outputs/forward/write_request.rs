//! Write request of line protocol, over HTTP.

use ureq::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use super::write_response::{WriteResult, classify};
use crate::config::ForwardConfig;
use crate::domain::redact::without_secrets;
use crate::sys::http_client;
use crate::sys::shutdown::StopToken;
use crate::sys::tls::{TrustOptionNames, TrustSettings};

/// One server, and the login there.
pub struct WriteClient {
    url: String,
    /// With that of the login.
    headers: Result<HeaderMap, String>,
    trust: TrustSettings,
}

impl WriteClient {
    pub fn new(config: &ForwardConfig) -> WriteClient {
        WriteClient {
            url: config.write_url(),
            headers: headers(config),
            trust: config.trust.clone(),
        }
    }

    /// The address without its query.
    pub fn destination(&self) -> String {
        let shown = without_secrets(&self.url);
        shown.split('?').next().unwrap_or_default().to_owned()
    }

    pub fn host(&self) -> String {
        let uri: Option<Uri> = self.url.parse().ok();
        let host = uri.as_ref().and_then(Uri::host);
        host.unwrap_or_default().to_owned()
    }

    pub fn write(&self, lines: &str, stop: &StopToken) -> WriteResult {
        let trust = (&self.trust, Some(&TrustOptionNames::FORWARD));
        let response = self
            .request(lines)
            .and_then(|request| http_client::send(request, trust, stop));
        match response {
            Ok(response) => classify(&response),
            Err(why) => WriteResult::Failed {
                why,
                wait: None,
                is_outage: true,
            },
        }
    }

    /// A write of no line at all: the server looks at the login and the database all the same.
    pub fn check(&self) -> Result<String, String> {
        let destination = self.destination();
        match self.write("", &StopToken::default()) {
            WriteResult::Accepted => Ok(format!("{destination} accepts rows")),
            // InfluxDB 2, when all but that is right.
            WriteResult::Refused(why) if why.contains("requires points") => {
                Ok(format!("{destination} accepts rows"))
            }
            WriteResult::Refused(why) | WriteResult::TooOld { why, .. } => Err(why),
            WriteResult::TooLarge => Err("HTTP 413 for an empty request".to_owned()),
            WriteResult::Failed { why, .. } => Err(why),
        }
    }

    fn request(&self, lines: &str) -> Result<Request<String>, String> {
        let mut request = Request::post(&self.url)
            .header(
                "User-Agent",
                concat!("main-node/", env!("CARGO_PKG_VERSION")),
            )
            .header("Content-Type", "text/plain; charset=utf-8")
            .body(lines.to_owned())
            .map_err(|_| "the URL is invalid".to_owned())?;
        request.headers_mut().extend(self.headers.clone()?);
        Ok(request)
    }
}

fn headers(config: &ForwardConfig) -> Result<HeaderMap, String> {
    let login = config.authorization();
    let login = login.iter().map(|value| ("Authorization", value.reveal()));
    let own = config.headers.iter();
    let own = own.map(|header| (&*header.name, header.value.reveal()));
    let mut headers = HeaderMap::new();
    for (name, value) in login.chain(own) {
        let invalid = || format!("the header {name} is invalid");
        let mut value = HeaderValue::from_str(value).map_err(|_| invalid())?;
        value.set_sensitive(true);
        let name: HeaderName = name.parse().map_err(|_| invalid())?;
        headers.insert(name, value);
    }
    Ok(headers)
}
