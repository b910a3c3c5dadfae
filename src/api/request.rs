//! HTTP requests for operations: checked arguments to the bytes of one GET or POST request.
//!
//! The hand-written part beside the generated `client.rs`. Called on the fetch threads; it
//! blocks for as long as the agent lets it. It owns how parameters are serialised (RFC 6570 and
//! OpenAPI's styles) and where credentials go. It must not choose timeouts, limits, redirects or
//! proxies: the agent comes configured.

use std::sync::Arc;

use crate::api::basic_auth;
use crate::domain::percent::encode;
use openapi::operation::{
    Argument, ArgumentProblem, BodyEncoding, Location, Method, Operation, Parameter, RequestBody,
    SecurityKind, SecurityScheme, check_arguments, check_body,
};
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body, RequestBuilder};

use serialize::{expand, join, pairs};

#[path = "request/serialize.rs"]
mod serialize;

/// Sends an operation by a blocking request.
pub type SendCall = fn(&PreparedCall, &Endpoint, &Agent) -> Result<Response<Body>, ureq::Error>;

/// What sends one compiled-in operation.
pub struct Call {
    pub api: &'static str,
    pub operation: &'static str,
    pub send: SendCall,
}

/// Sends an operation that was read at run time, as the generated functions do.
pub fn send(
    call: &PreparedCall,
    to: &Endpoint,
    agent: &Agent,
) -> Result<Response<Body>, ureq::Error> {
    let request = call.request(to);
    match call.method() {
        Method::Get => request.with_headers(agent.get(request.url())).call(),
        Method::Post => {
            let post = request.with_headers(agent.post(request.url()));
            post.send(request.as_ref())
        }
    }
}

/// An operation with its arguments, which were checked: it can be sent again and again.
pub struct PreparedCall {
    operation: &'static Operation,
    /// In the order of the operation's parameters.
    values: Vec<Option<Argument>>,
    body: Option<Argument>,
}

impl PreparedCall {
    /// Takes a source's `params` and `body`; defaults fill what is required and not given.
    pub fn new(
        operation: &'static Operation,
        arguments: &[(String, Argument)],
        body: Option<&Argument>,
    ) -> Result<PreparedCall, ArgumentProblem> {
        if let Some(problem) = check_arguments(operation, arguments).into_iter().next() {
            return Err(problem);
        }
        let json = body.map(|body| json_of(operation, body));
        let mut problems = check_body(operation, json.as_ref()).into_iter();
        if let Some(problem) = problems.find(|it| !it.is_doubt()) {
            return Err(ArgumentProblem {
                argument: None,
                message: format!("`body` of {}: {problem}", operation.id),
            });
        }
        let values = operation.parameters.iter().map(|parameter| {
            let given = arguments
                .iter()
                .find(|(name, _)| *name == parameter.argument);
            let needed = parameter.required && !parameter.filled_by_security;
            let default = || parameter.default_value().filter(|_| needed);
            given.map(|(_, value)| value.clone()).or_else(default)
        });
        Ok(PreparedCall {
            operation,
            values: values.collect(),
            body: body.cloned(),
        })
    }

    pub fn method(&self) -> Method {
        self.operation.method
    }

    pub fn request(&self, to: &Endpoint) -> ApiRequest {
        ApiRequest::new(self.operation, &self.values, self.body.as_ref(), to)
    }
}

/// Where a source's requests go, and what goes with them.
#[derive(Default, Clone)]
pub struct Endpoint {
    /// `https://host/base`: see `Operation::base_url`.
    pub base: String,
    /// Further headers; they replace what the request would say itself.
    pub headers: Vec<(String, String)>,
    pub credentials: Vec<Credential>,
}

/// A secret and its place in a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Key {
        location: Location,
        name: String,
        value: String,
    },
    Basic {
        user: String,
        password: String,
    },
    Bearer {
        token: String,
    },
}

impl Credential {
    /// Fills a scheme of the file: `user` is for basic alone. `None` if no request begins with it.
    pub fn fill(scheme: &SecurityScheme, user: &str, secret: &str) -> Option<Credential> {
        Some(match &scheme.kind {
            SecurityKind::ApiKey(location, name) => Credential::Key {
                location: *location,
                name: name.clone(),
                value: secret.to_owned(),
            },
            SecurityKind::Basic => Credential::Basic {
                user: user.to_owned(),
                password: secret.to_owned(),
            },
            SecurityKind::Bearer => Credential::Bearer {
                token: secret.to_owned(),
            },
            SecurityKind::Digest | SecurityKind::ClientCertificate | SecurityKind::Other(_) => {
                return None;
            }
        })
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Credential::Key { location, name, .. } => write!(out, "{location:?} {name}: ***"),
            Credential::Basic { .. } => out.write_str("basic: ***"),
            Credential::Bearer { .. } => out.write_str("bearer: ***"),
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        out.debug_struct("Endpoint")
            .field("headers", &names)
            .field("credentials", &self.credentials)
            // Not `base`, which may hold a password.
            .finish_non_exhaustive()
    }
}

/// Body of a request, beside it for the recording.
#[derive(Debug, Clone)]
pub struct SentBody(pub Arc<[u8]>);

/// What goes on the wire.
pub struct ApiRequest {
    url: String,
    headers: Vec<(String, String)>,
    body: Arc<[u8]>,
}

impl ApiRequest {
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What a POST carries, if anything.
    pub fn body(&self) -> Option<Arc<[u8]>> {
        Some(self.body.clone()).filter(|it| !it.is_empty())
    }

    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    pub fn with_headers<Kind>(&self, call: RequestBuilder<Kind>) -> RequestBuilder<Kind> {
        let headers = self.headers.iter();
        let call = headers.fold(call, |call, (name, value)| call.header(name, value));
        if self.body.is_empty() {
            call
        } else {
            call.extension(SentBody(self.body.clone()))
        }
    }

    fn new(
        operation: &'static Operation,
        values: &[Option<Argument>],
        body: Option<&Argument>,
        to: &Endpoint,
    ) -> ApiRequest {
        let given = || {
            operation
                .parameters
                .iter()
                .zip(values)
                .filter_map(|(parameter, value)| value.as_ref().map(|value| (parameter, value)))
        };
        let mut parts = RequestParts::default();
        let mut names: Vec<(Location, &str)> = Vec::new();
        let path = expand(
            &operation.path,
            &mut given().filter(|it| it.0.location == Location::Path),
        );
        for (parameter, value) in given() {
            names.push((parameter.location, &parameter.name));
            match parameter.location {
                Location::Path => {}
                Location::Query => parts.query.extend(pairs(parameter, value)),
                Location::Cookie => parts.cookies.extend(pairs(parameter, value)),
                Location::Header => {
                    let text = join(parameter, value, ",", &str::to_owned);
                    set(&mut parts.headers, &parameter.name, text);
                }
            }
        }
        for credential in &to.credentials {
            // An argument that names the same place was said on purpose.
            if !matches!(credential, Credential::Key { location, name, .. }
                if names.contains(&(*location, name)))
            {
                parts.add_credential(credential);
            }
        }
        let RequestParts {
            query,
            mut headers,
            cookies,
        } = parts;
        if !cookies.is_empty() {
            headers.push(("Cookie".to_owned(), cookies.join("; ")));
        }
        set(&mut headers, "Accept", operation.accept.clone());
        let declared = operation.request_body.as_ref().zip(body);
        let body = declared.map_or_else(Arc::default, |(declared, body)| {
            set(&mut headers, "Content-Type", declared.media_type.clone());
            encode_body(declared, body)
        });
        for (name, value) in &to.headers {
            set(&mut headers, name, value.clone());
        }
        let url = with_query(address(&to.base, &path), &query);
        ApiRequest { url, headers, body }
    }
}

/// What is gathered of a request beside its path and body.
#[derive(Default)]
struct RequestParts {
    query: Vec<String>,
    headers: Vec<(String, String)>,
    cookies: Vec<String>,
}

impl RequestParts {
    fn add_credential(&mut self, credential: &Credential) {
        match credential {
            Credential::Basic { user, password } => {
                let text = basic_auth::header_text(user.as_bytes(), password.as_bytes());
                set(&mut self.headers, "Authorization", text);
            }
            Credential::Bearer { token } => {
                set(
                    &mut self.headers,
                    "Authorization",
                    format!("Bearer {token}"),
                );
            }
            Credential::Key {
                location,
                name,
                value,
            } => {
                let pair = || format!("{}={}", encode(name), encode(value));
                match location {
                    Location::Header => set(&mut self.headers, name, value.clone()),
                    Location::Cookie => self.cookies.push(pair()),
                    Location::Query | Location::Path => self.query.push(pair()),
                }
            }
        }
    }
}

/// The body of a POST; empty where none is sent.
impl AsRef<[u8]> for ApiRequest {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// A body as its operation declares it. A text for JSON is JSON already.
fn encode_body(declared: &RequestBody, body: &Argument) -> Arc<[u8]> {
    let text = match (declared.encoding, body) {
        (_, Argument::Text(text)) => text.clone(),
        (BodyEncoding::Form, Argument::Object(fields)) => {
            let pairs = fields.iter().flat_map(|(name, value)| {
                let style = declared.fields.iter().find(|it| it.name == *name);
                let field = Parameter {
                    name: name.clone(),
                    style: style.map(|it| it.style).unwrap_or_default(),
                    explode: style.is_none_or(|it| it.explode),
                    ..Parameter::default()
                };
                pairs(&field, value)
            });
            pairs.collect::<Vec<String>>().join("&")
        }
        _ => body.json_text(),
    };
    text.into_bytes().into()
}

/// A body as it is checked.
fn json_of(operation: &Operation, body: &Argument) -> Value {
    let declared = operation.request_body.as_ref();
    let is_json = declared.is_some_and(|it| it.encoding == BodyEncoding::Json);
    match body {
        Argument::Text(text) if is_json => serde_json::from_str(text).unwrap_or(Value::Null),
        _ => body.to_json(),
    }
}

/// Base and path; a query that the base has goes behind the path.
fn address(base: &str, path: &str) -> String {
    let base = base.split('#').next().unwrap_or("");
    let (base, fixed) = base.split_once('?').unwrap_or((base, ""));
    let slash = if path.starts_with('/') || path.is_empty() {
        ""
    } else {
        "/"
    };
    let mut url = format!("{}{slash}{path}", base.trim_end_matches('/'));
    if !fixed.is_empty() {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(fixed);
    }
    url
}

fn with_query(mut url: String, query: &[String]) -> String {
    for pair in query {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(pair);
    }
    url
}

/// Replaces a header of that name, whatever its case.
fn set(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    headers.retain(|(old, _)| !old.eq_ignore_ascii_case(name));
    headers.push((name.to_owned(), value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_shows_no_secret() {
        let endpoint = Endpoint {
            base: "https://user:pw@h/a?key=1".to_owned(),
            headers: vec![("X-Key".to_owned(), "hunter2".to_owned())],
            credentials: vec![
                Credential::Bearer {
                    token: "hunter2".to_owned(),
                },
                Credential::Basic {
                    user: "u".to_owned(),
                    password: "hunter2".to_owned(),
                },
            ],
        };
        let shown = format!("{endpoint:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("pw"),
            "{shown}"
        );
    }

    #[test]
    fn addresses_join_without_doubled_parts() {
        for (base, path, url) in [
            ("http://h", "/a", "http://h/a"),
            ("http://h/", "/a?x=1", "http://h/a?x=1"),
            ("http://h/b?fixed=1", "/a", "http://h/b/a?fixed=1"),
            ("http://h/b?fixed=1#f", "a?x=2", "http://h/b/a?x=2&fixed=1"),
        ] {
            assert_eq!(address(base, path), url);
        }
    }
}
