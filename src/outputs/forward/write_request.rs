//! Write request of line protocol, over HTTP.

use ureq::http::{Method, Request, Uri};

use super::write_response::{WriteResult, classify};
use crate::config::ForwardConfig;
use crate::domain::redact::without_secrets;
use crate::sys::http_client;
use crate::sys::redirect::describe_redirect;
use crate::sys::shutdown::StopToken;
use crate::sys::tls::{TrustOptionNames, TrustSettings};

/// One server, and the login there.
pub struct WriteClient {
    url: String,
    /// With that of the login.
    headers: Vec<(String, String)>,
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
        let failed = |why, is_outage| WriteResult::Failed {
            why,
            wait: None,
            is_outage,
        };
        let request = match self.request(lines) {
            Ok(request) => request,
            Err(why) => return failed(why, false),
        };
        let url = request.uri().clone();
        match http_client::send(request, trust, stop) {
            Ok(response) => match describe_redirect(&response, &url, ("it", "url")) {
                Some(why) => failed(why, false),
                None => classify(&response),
            },
            Err(why) => failed(why, true),
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
        let own = self.headers.iter().map(|(name, value)| (&**name, &**value));
        let headers = [("Content-Type", "text/plain; charset=utf-8")];
        let headers = headers.into_iter().chain(own);
        http_client::build_request(Method::POST, &self.url, headers, lines.to_owned())
    }
}

fn headers(config: &ForwardConfig) -> Vec<(String, String)> {
    let login = config.authorization();
    let login = login.iter().map(|value| ("Authorization", value.reveal()));
    let own = config.headers.iter();
    let own = own.map(|header| (&*header.name, header.value.reveal()));
    let headers = login.chain(own);
    headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
