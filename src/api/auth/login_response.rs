//! Response to a login: the token and the lifetime of the session, or why there is none.
//!
//! Pure.

use std::time::Duration;

use serde_json::Value as Json;
use ureq::http::HeaderName;

use super::AuthResponse;
use super::auth_body::{OtherBody, json, lifetime};
use super::cookies::RefusedCookie;
use super::token_placement::accepts_token;
use crate::api::error_message::{describe, has_message};
use crate::api::redirect::is_redirect;
use crate::api::status_errors::reason_phrase;
use crate::domain::failure::{Cause, Failure};
use crate::domain::text::human_duration;
use crate::domain::time::Moment;
use crate::domain::token_placement::TokenPlacement;
use crate::domain::value_path::ValuePath;
use crate::limits;
use crate::sys::retry_after::retry_after_of;

/// Where the response has the token.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenLocation {
    Body(ValuePath),
    Header(HeaderName),
}

/// How long a session lasts.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionLifetime {
    Fixed(Duration),
    /// Where the body has it, in seconds.
    Body(ValuePath),
}

/// What a response to a login must have.
#[derive(Debug, Clone)]
pub struct ExpectedLogin {
    /// Without it the session is in cookies.
    pub token: Option<TokenLocation>,
    pub lifetime: Option<SessionLifetime>,
    pub placement: TokenPlacement,
}

/// What a login gave.
#[derive(Debug, PartialEq, Eq)]
pub struct LoginGrant {
    pub token: Option<String>,
    pub lifetime: Option<Duration>,
}

impl ExpectedLogin {
    /// Reads the response of `host`; `cookies` says how many it set and why it set no others.
    ///
    /// # Errors
    /// Why it gives no session.
    pub fn read(
        &self,
        host: &str,
        response: &AuthResponse,
        (cookies, refused): (usize, Option<RefusedCookie>),
        now: Moment,
    ) -> Result<LoginGrant, Failure> {
        let code = response.status;
        let is_in_body = matches!(self.token, Some(TokenLocation::Body(_)));
        let may_redirect = is_redirect(code) && !is_in_body;
        if !(200..=299).contains(&code) && !may_redirect {
            return Err(refusal(host, response, now));
        }
        let body = json(&response.body);
        let token = match &self.token {
            None => {
                if cookies == 0 {
                    return Err(no_cookie(host, response, refused));
                }
                None
            }
            Some(location) => Some(self.token(location, host, response, body.as_ref())?),
        };
        let lifetime = match &self.lifetime {
            None => None,
            Some(SessionLifetime::Fixed(lifetime)) => Some(*lifetime),
            Some(SessionLifetime::Body(path)) => {
                body.as_ref().and_then(|body| lifetime(find(path, body)?))
            }
        };
        Ok(LoginGrant { token, lifetime })
    }

    fn token(
        &self,
        location: &TokenLocation,
        host: &str,
        response: &AuthResponse,
        body: Option<&Json>,
    ) -> Result<String, Failure> {
        let found = match location {
            TokenLocation::Header(name) => {
                let value = response.headers.get(name).and_then(|it| it.to_str().ok());
                let value = value.map(str::trim).filter(|it| !it.is_empty());
                value.map(str::to_owned).ok_or_else(|| {
                    let code = response.status;
                    let reason = reason_phrase(code);
                    let detail = format!(
                        "the login at {host} answers {code}{reason} without the header {name}, \
                         which `token_header` names{}",
                        server_words(response)
                    );
                    Failure::new(Cause::HttpStatus, detail)
                })
            }
            TokenLocation::Body(path) => token_in_body(path, host, response, body),
        }?;
        if found.len() > limits::CREDENTIAL_BYTES {
            let detail = format!(
                "the login at {host} gives a token of more than {} bytes",
                limits::CREDENTIAL_BYTES
            );
            return Err(Failure::new(Cause::TooLarge, detail));
        }
        if !accepts_token(&self.placement, &found) {
            let detail = format!(
                "the login at {host} gives a token that no header can hold: write `param` in place \
                 of `header`, if the server takes it there"
            );
            return Err(Failure::new(Cause::Schema, detail));
        }
        Ok(found)
    }
}

fn token_in_body(
    path: &ValuePath,
    host: &str,
    response: &AuthResponse,
    body: Option<&Json>,
) -> Result<String, Failure> {
    let words = server_words(response);
    let Some(body) = body else {
        let what = describe_other(&response.body);
        let detail = format!("the login at {host} answers with {what}");
        return Err(Failure::new(Cause::NotJson, detail));
    };
    let place = path.as_str();
    match find(path, body) {
        Some(Json::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
        Some(Json::Number(number)) => Ok(number.to_string()),
        None => Err(format!("the login's answer has no {place}")),
        Some(found) => {
            let kind = match found {
                Json::Null => "null",
                Json::Bool(_) => "true or false",
                Json::String(_) => "an empty text",
                Json::Array(_) => "a list",
                _ => "an object",
            };
            Err(format!("the login's answer has {kind} at {place}"))
        }
    }
    .map_err(|problem| {
        let detail = format!("{host}: {problem}, where the token was expected{words}");
        Failure::new(Cause::Schema, detail)
    })
}

/// A body that is no JSON.
fn describe_other(body: &[u8]) -> &'static str {
    // FRITZ!Box.
    if String::from_utf8_lossy(body)
        .to_ascii_lowercase()
        .contains("<challenge>")
    {
        return "a challenge: main-node makes no login by challenge and response";
    }
    match OtherBody::of(body) {
        OtherBody::Empty => "nothing where JSON was expected",
        OtherBody::Html => {
            "a page (HTML) where JSON was expected: is `url` of the login that of the form instead of the API?"
        }
        OtherBody::Xml => "XML where JSON was expected",
        OtherBody::Text => "something else where JSON was expected",
    }
}

fn find<'a>(path: &ValuePath, body: &'a Json) -> Option<&'a Json> {
    path.find(body).ok().flatten().map(|it| it.value)
}

fn refusal(host: &str, response: &AuthResponse, now: Moment) -> Failure {
    let code = response.status;
    let reason = reason_phrase(code);
    let answers = format!("the login at {host} answers {code}{reason}");
    let words = server_words(response);
    let retry_after = retry_after_of(&response.headers, now.wall);
    let wait = retry_after.map_or(String::new(), |wait| {
        format!(" and asks to wait {}", human_duration(wait))
    });
    let (cause, detail) = match code {
        429 => (
            Cause::RateLimited,
            format!("{answers}{wait}: too many logins or sessions"),
        ),
        300..=399 => (
            Cause::Redirect,
            format!(
                "{answers}, and a login follows no redirect: write the address that it leads to"
            ),
        ),
        400 | 401 | 403 => (
            Cause::HttpStatus,
            format!("{answers}: a user, a password or the form of the login is wrong"),
        ),
        404 | 405 => (
            Cause::HttpStatus,
            format!("{answers}: `url` or `method` of the login is wrong"),
        ),
        _ => (Cause::HttpStatus, format!("{answers}{wait}")),
    };
    Failure {
        retry_after,
        ..Failure::new(cause, format!("{detail}{words}"))
    }
}

fn no_cookie(host: &str, response: &AuthResponse, refused: Option<RefusedCookie>) -> Failure {
    let code = response.status;
    let reason = reason_phrase(code);
    let why = match refused {
        Some(RefusedCookie::Secure) => {
            "its cookie is for https only (Secure): write https:// in `url` of the login and of the \
             source"
        }
        Some(RefusedCookie::Domain) => "its cookie is for another host (Domain)",
        Some(RefusedCookie::TooLarge) => "its cookie is larger than 4 kB",
        None => {
            "it sets no cookie: a user or a password is wrong, or the session is elsewhere (`token`, \
             `token_header`)"
        }
    };
    let words = server_words(response);
    let detail = format!("the login at {host} answers {code}{reason}, but {why}{words}");
    Failure::new(Cause::HttpStatus, detail)
}

/// What the body says of it, at the top or in an object there: `{"session": {"message": …}, …}`;
/// of a list its first item says it.
fn server_words(response: &AuthResponse) -> String {
    let Some(body) = json(&response.body) else {
        return String::new();
    };
    let body = body.get(0).unwrap_or(&body);
    let inner = || {
        let fields = body.as_object()?;
        let below = fields.values().find(|it| it.is_object() && has_message(it));
        below.map(describe)
    };
    match describe(body) {
        words if words.is_empty() => inner().or_else(|| error_code(body)).unwrap_or_default(),
        words => words,
    }
}

/// A number alone, which the documentation of the API explains: Synology has `{"error": {"code": 400}}`.
fn error_code(body: &Json) -> Option<String> {
    let names = ["error", "err", "errorCode", "error_code", "errcode"];
    let (name, field) = names.iter().find_map(|it| Some((it, body.get(it)?)))?;
    let code = field.get("code").unwrap_or(field).as_i64()?;
    Some(format!("; its `{name}` is {code}"))
}

#[cfg(test)]
#[path = "tests/login_response.rs"]
mod tests;
