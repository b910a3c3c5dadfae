//! Requests of the configured sources: target, method, parameters, headers and credentials.
//!
//! Runs on the main thread at start; date placeholders are filled for each fetch.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::api::argument_template::{ArgumentTemplate, fill_arguments, fill_body};
use crate::api::auth::login_response::TokenLocation;
use crate::api::basic_auth;
use crate::api::client::CALLS;
use crate::api::http_exchange::HttpExchange;
use crate::api::outgoing_request::OutgoingMethod;
use crate::api::request::{self, Credential, Endpoint, PreparedCall, SendCall};
use crate::api::source_request::{FilledRequest, SourceRequest};
use crate::api::url_source::{self, BodyTemplate, MethodTemplate, UrlTemplate};
use crate::config::{
    Config, ConfiguredBody, ConfiguredCredential, LoginConfig, LoginMethod, PasswordScheme,
    RequestMethod, SourceConfig, SourceTarget, TokenCredential,
};
use crate::domain::placeholder::{PlaceholderTime, Template};
use crate::domain::plan::ResponseFormat;
use crate::domain::time::Wall;
use crate::domain::token_placement::TokenPlacement;
use openapi::operation::{Argument, Location, Method, Operation, SecurityScheme};

/// The request of a source. `Err` says what is wrong and what to change.
pub fn request(config: &Config, source: &SourceConfig) -> Result<SourceRequest, String> {
    let zone = source.zone.as_ref().unwrap_or(&config.timezone).clone();
    match &source.target {
        SourceTarget::Operation {
            operation,
            base,
            arguments,
        } => operation_request(source, operation, base.as_deref(), arguments, zone),
        SourceTarget::Url { url, params } => url_request(source, url, params, zone),
        SourceTarget::Follow { node } => {
            let url = format!("{node}/snapshot?full=1");
            url_request(source, &url, &[], zone)
        }
        SourceTarget::Unavailable { reason, .. } => Ok(SourceRequest::Unavailable(reason.clone())),
    }
}

/// What each source with date placeholders requests at this time; only configured secrets are
/// still to be masked.
pub fn dated_requests(config: &Config, wall: Wall) -> Vec<(&str, Result<HttpExchange, String>)> {
    let shown = |source| {
        let filled = match request(config, source) {
            Ok(request) => request.fill(wall)?,
            Err(problem) => Err(problem),
        };
        let exchange = filled.map(|filled| filled.outgoing.exchange());
        Some((&*source.plan.name, exchange))
    };
    config.sources.iter().filter_map(shown).collect()
}

fn url_request(
    source: &SourceConfig,
    url: &str,
    params: &[(String, String)],
    zone: TimeZone,
) -> Result<SourceRequest, String> {
    let params = params.iter().map(|(name, text)| named_template(name, text));
    let params = params.chain(token_param(source).map(Ok));
    let template = UrlTemplate {
        url: template(url)?,
        params: params.collect::<Result<_, String>>()?,
        headers: url_headers(source)?,
        method: match &source.method {
            RequestMethod::Get => MethodTemplate::Get,
            RequestMethod::Post(body) => {
                MethodTemplate::Post(body.as_ref().map(body_template).transpose()?)
            }
        },
    };
    if template.has_placeholders() {
        let fill = move |time: &PlaceholderTime| Ok(template.fill(time)?.into());
        let fill = Box::new(fill);
        return Ok(SourceRequest::Dated { zone, fill });
    }
    let wall = Wall::default();
    let request = template.fill(&PlaceholderTime { wall, zone })?;
    Ok(SourceRequest::Fixed(FilledRequest::from(request).send))
}

/// The request of a login.
pub fn login_request(login: &LoginConfig) -> Result<UrlTemplate, String> {
    let headers = login.headers.iter();
    let headers = headers.map(|it| named_template(&it.name, it.value.reveal()));
    let method = match &login.method {
        LoginMethod::Get => MethodTemplate::Get,
        LoginMethod::Post(body) => {
            MethodTemplate::Post(body.as_ref().map(body_template).transpose()?)
        }
        LoginMethod::PostForm(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| named_template(name, value.reveal()));
            let fields = fields.collect::<Result<_, String>>()?;
            MethodTemplate::Post(Some(BodyTemplate::Form(fields)))
        }
    };
    Ok(UrlTemplate {
        url: template(&login.url)?,
        params: Vec::new(),
        headers: headers.collect::<Result<_, String>>()?,
        method,
    })
}

/// All that decides whose session a login gives, as texts.
pub fn login_texts(login: &LoginConfig) -> Vec<String> {
    let mut texts = vec![login.url.clone()];
    match &login.method {
        LoginMethod::Get | LoginMethod::Post(None) => {}
        LoginMethod::Post(Some(ConfiguredBody::Text { text, .. })) => texts.push(text.clone()),
        LoginMethod::Post(Some(ConfiguredBody::Json(body))) => texts.push(body.json_text()),
        LoginMethod::PostForm(fields) => {
            let fields = fields.iter();
            texts.extend(fields.flat_map(|(name, it)| [name.clone(), it.reveal().to_owned()]));
        }
    }
    let headers = login.headers.iter();
    texts.extend(headers.flat_map(|it| [it.name.clone(), it.value.reveal().to_owned()]));
    texts.push(match &login.token {
        None => String::new(),
        Some(TokenLocation::Body(path)) => path.as_str().to_owned(),
        Some(TokenLocation::Header(name)) => name.to_string(),
    });
    texts
}

fn body_template(body: &ConfiguredBody) -> Result<BodyTemplate, String> {
    Ok(match body {
        ConfiguredBody::Json(argument) => BodyTemplate::Json(ArgumentTemplate::new(argument)),
        ConfiguredBody::Text { text, content_type } => BodyTemplate::Text {
            text: template(text)?,
            content_type: content_type.clone(),
        },
    })
}

fn template(text: &str) -> Result<Template, String> {
    Template::parse(text).map_err(|problem| problem.to_string())
}

fn named_template(name: &str, text: &str) -> Result<(String, Template), String> {
    Ok((name.to_owned(), template(text)?))
}

fn operation_request(
    source: &SourceConfig,
    operation: &'static Operation,
    base: Option<&str>,
    arguments: &[(String, Argument)],
    zone: TimeZone,
) -> Result<SourceRequest, String> {
    let compiled_in = CALLS
        .iter()
        .find(|call| call.api == operation.api && call.operation == operation.id);
    let send_call = compiled_in.map_or(request::send as SendCall, |call| call.send);
    let configured = source
        .auth
        .iter()
        .flat_map(|auth| auth.credentials_for(operation));
    let credentials = configured.filter_map(|(scheme, value)| credential(scheme, value));
    let endpoint = Endpoint {
        base: operation.base_url(base)?,
        headers: Vec::new(),
        credentials: credentials.collect(),
    };
    let arguments = arguments.iter();
    let arguments: Vec<(String, ArgumentTemplate)> = arguments
        .map(|(name, argument)| (name.clone(), ArgumentTemplate::new(argument)))
        .collect();
    let body = operation_body(operation, &source.method);
    let headers = headers(source)?;
    let is_dated = arguments.iter().any(|(_, it)| it.has_placeholders())
        || body
            .as_ref()
            .is_some_and(ArgumentTemplate::has_placeholders)
        || headers.iter().any(|(_, it)| it.has_placeholders());
    let fill = move |time: &PlaceholderTime| {
        let arguments = fill_arguments(operation, &arguments, time);
        let schema = operation.request_body.as_ref().map(|it| it.schema.get());
        let body = body.as_ref().zip(schema);
        let body = body.map(|(body, schema)| match body {
            ArgumentTemplate::Text(text) => Argument::Text(text.fill(time)),
            _ => fill_body(schema, body, time),
        });
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.fill(time)));
        let endpoint = Endpoint {
            headers: headers.collect(),
            ..endpoint.clone()
        };
        let prepared = PreparedCall::new(operation, &arguments, body.as_ref());
        filled_operation(send_call, prepared.map_err(|it| it.message)?, endpoint)
    };
    if is_dated {
        let fill = Box::new(fill);
        return Ok(SourceRequest::Dated { zone, fill });
    }
    let wall = Wall::default();
    Ok(SourceRequest::Fixed(
        fill(&PlaceholderTime { wall, zone })?.send,
    ))
}

/// The configured body, as a value to fill.
fn operation_body(operation: &Operation, method: &RequestMethod) -> Option<ArgumentTemplate> {
    let argument = match method {
        RequestMethod::Get | RequestMethod::Post(None) => return None,
        RequestMethod::Post(Some(ConfiguredBody::Json(argument))) => argument.clone(),
        RequestMethod::Post(Some(ConfiguredBody::Text { text, .. })) => {
            Argument::Text(text.clone())
        }
    };
    operation.request_body.as_ref()?;
    Some(ArgumentTemplate::new(&argument))
}

fn filled_operation(
    send_call: SendCall,
    prepared: PreparedCall,
    endpoint: Endpoint,
) -> Result<FilledRequest, String> {
    let request = prepared.request(&endpoint);
    let mut outgoing = url_source::get_request(request.url(), &[], request.headers())?;
    if prepared.method() == Method::Post {
        outgoing.method = OutgoingMethod::Post(request.body());
    }
    Ok(FilledRequest {
        send: Arc::new(move |agent| send_call(&prepared, &endpoint, agent)),
        outgoing,
    })
}

/// A credential where the configuration or the OpenAPI file says, or in the `Authorization`
/// header; `None` if nothing is sent before the server asks for it.
fn credential(scheme: Option<&SecurityScheme>, value: &ConfiguredCredential) -> Option<Credential> {
    let (user, secret) = match value {
        ConfiguredCredential::Basic {
            scheme: PasswordScheme::Digest,
            ..
        }
        | ConfiguredCredential::Login(_) => return None,
        ConfiguredCredential::Basic { user, password, .. } => (user.as_str(), password),
        ConfiguredCredential::Token(token) if token.placement != TokenPlacement::Standard => {
            return placed_token(token);
        }
        // The authenticator adds it.
        ConfiguredCredential::OAuth2(_) | ConfiguredCredential::TokenFile(_) => return None,
        ConfiguredCredential::Token(token) => ("", &token.token),
    };
    let secret = secret.reveal();
    Some(match (scheme, value) {
        (Some(scheme), _) => return Credential::fill(scheme, user, secret),
        (None, ConfiguredCredential::Basic { .. }) => Credential::Basic {
            user: user.to_owned(),
            password: secret.to_owned(),
        },
        (None, _) => Credential::Bearer {
            token: secret.to_owned(),
        },
    })
}

/// A token in the header or parameter that the configuration names.
fn placed_token(token: &TokenCredential) -> Option<Credential> {
    let secret = token.token.reveal();
    let key = |location, name: &str, value| Credential::Key {
        location,
        name: name.to_owned(),
        value,
    };
    let header = token.placement.header(secret);
    let header = header.map(|(name, value)| key(Location::Header, name, value));
    let param = token.placement.param();
    let param = param.map(|name| key(Location::Query, name, secret.to_owned()));
    header.or(param)
}

fn headers(source: &SourceConfig) -> Result<Vec<(String, Template)>, String> {
    let headers = source.headers.iter();
    let configured = headers.map(|it| named_template(&it.name, it.value.reveal()));
    // A configured header replaces it.
    accept(source)
        .map(Ok)
        .into_iter()
        .chain(configured)
        .collect()
}

/// The media types of a format that is not JSON, which requests ask for anyway.
fn accept(source: &SourceConfig) -> Option<(String, Template)> {
    let format = source.plan.format;
    let value = || Template::literal(format.accept());
    (format != ResponseFormat::Json).then(|| ("Accept".to_owned(), value()))
}

/// The headers of a plain URL: the credential goes into the `Authorization` header.
fn url_headers(source: &SourceConfig) -> Result<Vec<(String, Template)>, String> {
    let mut headers = headers(source)?;
    headers.extend(authorization(source).map(|(name, it)| (name, Template::literal(it))));
    Ok(headers)
}

fn authorization(source: &SourceConfig) -> Option<(String, String)> {
    match source.auth.as_ref()?.credential()? {
        ConfiguredCredential::Token(token) => {
            let (name, value) = token.placement.header(token.token.reveal())?;
            Some((name.to_owned(), value))
        }
        ConfiguredCredential::OAuth2(_) | ConfiguredCredential::TokenFile(_) => None,
        // Sent when the server asks for it, or after a login.
        ConfiguredCredential::Basic {
            scheme: PasswordScheme::Digest,
            ..
        }
        | ConfiguredCredential::Login(_) => None,
        ConfiguredCredential::Basic { user, password, .. } => {
            let password = password.reveal().as_bytes();
            let value = basic_auth::header_text(user.as_bytes(), password);
            Some(("Authorization".to_owned(), value))
        }
    }
}

/// The query parameter of a plain URL that has the token.
fn token_param(source: &SourceConfig) -> Option<(String, Template)> {
    let ConfiguredCredential::Token(token) = source.auth.as_ref()?.credential()? else {
        return None;
    };
    let value = Template::literal(token.token.reveal());
    Some((token.placement.param()?.to_owned(), value))
}

#[cfg(test)]
#[path = "tests/requests.rs"]
mod tests;
