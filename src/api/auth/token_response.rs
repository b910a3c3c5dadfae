//! Response of a token server (RFC 6749, 5): the token, or the error.
//!
//! Pure. JSON as the standard wants it, and what servers make of it: forms, numbers as text, an error
//! with status 200, a page.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::auth_body::{OtherBody, json, lifetime, text};
use crate::api::error_message;
use crate::domain::percent;
use crate::domain::text::{ellipsis, format_binary_size};
use crate::limits;

/// A token as the server gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenResponse {
    pub access_token: String,
    /// Only where it is not `Bearer`.
    pub other_type: Option<String>,
    pub lifetime: Option<Duration>,
    pub refresh_token: Option<String>,
}

/// Why a response has no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenRefusal {
    /// `error` of RFC 6749, 5.2, and the server's words.
    Error { code: String, words: String },
    /// A status that is no success, and what the body says.
    Status { words: String },
    /// A success without a token, and what is there instead.
    NoToken { found: String },
    /// A success that is neither JSON nor a form.
    NotReadable { found: String },
}

/// Reads a response by its body: the declared type is often wrong.
pub fn parse(status: u16, body: &[u8]) -> Result<TokenResponse, TokenRefusal> {
    let is_success = (200..300).contains(&status);
    let Some(fields) = fields_of(body) else {
        return Err(if is_success {
            TokenRefusal::NotReadable {
                found: describe_other(body).to_owned(),
            }
        } else {
            TokenRefusal::Status {
                words: String::new(),
            }
        });
    };
    if is_success && let Some(token) = token_of(&fields).or_else(|| token_below(&fields)) {
        return token;
    }
    if let Some((code, words)) = error_of(&fields) {
        return Err(TokenRefusal::Error { code, words });
    }
    let tree = Json::Object(fields);
    Err(if is_success {
        TokenRefusal::NoToken {
            found: names(&tree),
        }
    } else {
        TokenRefusal::Status {
            words: error_message::describe(&tree),
        }
    })
}

/// The fields of a JSON object, or of a form.
fn fields_of(body: &[u8]) -> Option<Map<String, Json>> {
    match json(body) {
        Some(Json::Object(fields)) => return Some(fields),
        Some(_) => return None,
        None => {}
    }
    let text = text(body);
    let is_form = text.contains('=') && !text.contains(['<', '{', '\n']);
    is_form.then(|| {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (form_decoded(name), Json::String(form_decoded(value))))
            .collect()
    })
}

fn form_decoded(text: &str) -> String {
    percent::decode_lossy(&text.replace('+', " "))
}

/// `None` if there is no token at all.
fn token_of(fields: &Map<String, Json>) -> Option<Result<TokenResponse, TokenRefusal>> {
    let no_token = |found: &str| {
        Some(Err(TokenRefusal::NoToken {
            found: format!("an `access_token` {found}"),
        }))
    };
    let access_token = match fields.get("access_token")? {
        Json::String(text) if text.len() > limits::CREDENTIAL_BYTES => {
            let size = format_binary_size(limits::CREDENTIAL_BYTES as u64);
            return no_token(&format!("of more than {size}"));
        }
        Json::String(text) if is_token(text) => text,
        Json::String(text) if !text.is_empty() => return no_token("that no header can hold"),
        Json::String(_) | Json::Null if fields.contains_key("error") => return None,
        Json::String(_) => return no_token("that is empty"),
        _ => return no_token("that is no text"),
    };
    let token_type = text_of(fields, "token_type");
    let seconds = |name: &str| fields.get(name).and_then(lifetime);
    let other_type = token_type.filter(|it| !it.eq_ignore_ascii_case("bearer"));
    Some(Ok(TokenResponse {
        access_token: access_token.to_owned(),
        other_type: other_type.map(|it| ellipsis(it, limits::SAMPLE_CHARS)),
        // Netatmo says both.
        lifetime: seconds("expires_in").or_else(|| seconds("expire_in")),
        refresh_token: text_of(fields, "refresh_token")
            .filter(|it| it.len() <= limits::TOKEN_BYTES)
            .map(str::to_owned),
    }))
}

/// The token in an object of the response: Withings gives `{"status": 0, "body": {"access_token": …}}`.
fn token_below(fields: &Map<String, Json>) -> Option<Result<TokenResponse, TokenRefusal>> {
    fields
        .values()
        .filter_map(Json::as_object)
        .find_map(token_of)
}

fn text_of<'a>(fields: &'a Map<String, Json>, name: &str) -> Option<&'a str> {
    fields.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// Whether a text can be sent in a header: what a server gives must not add another.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_graphic())
}

/// The error and the server's words; some servers give an object.
fn error_of(fields: &Map<String, Json>) -> Option<(String, String)> {
    let words = |fields: &Map<String, Json>, names: &[&str]| {
        let found = names.iter().find_map(|name| text_of(fields, name));
        found
            .map(|it| ellipsis(it.trim(), limits::SAMPLE_CHARS))
            .unwrap_or_default()
    };
    let Some(error) = fields.get("error") else {
        return error_of_list(fields);
    };
    match error {
        Json::String(code) if !code.is_empty() => Some((
            ellipsis(code, limits::SAMPLE_CHARS),
            words(fields, &["error_description", "message", "error_message"]),
        )),
        Json::Object(error) => {
            let code = words(error, &["code", "type", "status", "error"]);
            let message = words(error, &["message", "error_description", "description"]);
            (!code.is_empty() || !message.is_empty()).then_some((code, message))
        }
        _ => None,
    }
}

/// Fitbit: `{"errors": [{"errorType": "invalid_grant", "message": …}]}`.
fn error_of_list(fields: &Map<String, Json>) -> Option<(String, String)> {
    let first = fields.get("errors")?.as_array()?.first()?.as_object()?;
    let shown = |name| text_of(first, name).map(|it| ellipsis(it.trim(), limits::SAMPLE_CHARS));
    let code = shown("errorType").or_else(|| shown("code"))?;
    Some((code, shown("message").unwrap_or_default()))
}

/// The names of the fields, never their values.
fn names(tree: &Json) -> String {
    let fields = tree.as_object().into_iter().flatten();
    let names = fields.map(|(name, _)| format!("`{}`", ellipsis(name, limits::UNIT_CHARS)));
    let names: Vec<String> = names.take(limits::DROPPED_KEYS_SHOWN).collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        _ => names.join(", "),
    }
}

fn describe_other(body: &[u8]) -> &'static str {
    match OtherBody::of(body) {
        OtherBody::Empty => "an empty response",
        OtherBody::Html => "a web page",
        OtherBody::Xml => "XML",
        OtherBody::Text => "another text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> (String, Option<u64>, Option<String>, Option<String>) {
        let Ok(token) = parse(200, text.as_bytes()) else {
            panic!("no token: {text}");
        };
        let lifetime = token.lifetime.map(|it| it.as_secs());
        (
            token.access_token,
            lifetime,
            token.refresh_token,
            token.other_type,
        )
    }

    #[test]
    fn tokens_of_many_servers_are_read() {
        let huge = limits::MAX_TOKEN_LIFETIME.as_secs();
        for (body, lifetime, refresh, other) in [
            (
                r#"{"access_token":"abc","token_type":"Bearer","expires_in":3600}"#,
                Some(3600),
                None,
                None,
            ),
            // Netatmo.
            (
                r#"{"scope":["read_station"],"access_token":"abc","expires_in":10800,"expire_in":10800,"refresh_token":"r|2"}"#,
                Some(10_800),
                Some("r|2"),
                None,
            ),
            (
                r#"{"access_token":"abc","expire_in":60}"#,
                Some(60),
                None,
                None,
            ),
            // Azure.
            (
                r#"{"token_type":"bearer","expires_in":"3599","access_token":"abc"}"#,
                Some(3599),
                None,
                None,
            ),
            (
                r#"{"access_token":"abc","expires_in":3599.9,"refresh_token":""}"#,
                Some(3599),
                None,
                None,
            ),
            (r#"{"access_token":"abc","expires_in":0}"#, None, None, None),
            (
                r#"{"access_token":"abc","expires_in":-1}"#,
                None,
                None,
                None,
            ),
            (
                r#"{"access_token":"abc","expires_in":"never"}"#,
                None,
                None,
                None,
            ),
            (
                r#"{"access_token":"abc","expires_in":1e300,"token_type":""}"#,
                Some(huge),
                None,
                None,
            ),
            (
                r#"{"access_token":"abc","expires_in":"NaN","refresh_token":7}"#,
                None,
                None,
                None,
            ),
            (
                r#"{"access_token":"abc","token_type":"mac","error":null}"#,
                None,
                None,
                Some("mac"),
            ),
            // Withings.
            (
                r#"{"status":0,"body":{"userid":"1","access_token":"abc","refresh_token":"r2","expires_in":10800,"token_type":"Bearer"}}"#,
                Some(10_800),
                Some("r2"),
                None,
            ),
            // Facebook and GitHub gave forms.
            (
                "access_token=abc&expires_in=60&token_type=bearer",
                Some(60),
                None,
                None,
            ),
            (
                "access_token=a%62c&refresh_token=r+2%2B",
                None,
                Some("r 2+"),
                None,
            ),
            ("\u{feff} {\"access_token\":\"abc\"}\r\n", None, None, None),
        ] {
            let expected = (
                "abc".to_owned(),
                lifetime,
                refresh.map(str::to_owned),
                other.map(str::to_owned),
            );
            assert_eq!(token(body), expected, "{body}");
        }
    }

    #[test]
    fn errors_are_read_in_the_forms_that_servers_give_them() {
        let error = |code: &str, words: &str| TokenRefusal::Error {
            code: code.to_owned(),
            words: words.to_owned(),
        };
        let status = |words: &str| TokenRefusal::Status {
            words: words.to_owned(),
        };
        let none = |found: &str| TokenRefusal::NoToken {
            found: found.to_owned(),
        };
        let other = |found: &str| TokenRefusal::NotReadable {
            found: found.to_owned(),
        };
        for (code, body, expected) in [
            (
                400,
                r#"{"error":"invalid_grant","error_description":"Token revoked"}"#,
                error("invalid_grant", "Token revoked"),
            ),
            (
                200,
                r#"{"error":"bad_refresh_token"}"#,
                error("bad_refresh_token", ""),
            ),
            (
                401,
                "error=invalid_client&error_description=No+such+client",
                error("invalid_client", "No such client"),
            ),
            (
                403,
                r#"{"error":{"code":"13","message":"Invalid client"}}"#,
                error("13", "Invalid client"),
            ),
            // Fitbit.
            (
                400,
                r#"{"errors":[{"errorType":"invalid_grant","message":"Refresh token invalid: x"}],"success":false}"#,
                error("invalid_grant", "Refresh token invalid: x"),
            ),
            (
                400,
                r#"{"errors":[{"message":"wrong"}]}"#,
                status("; its `errors` says \"wrong\""),
            ),
            // Withings.
            (
                200,
                r#"{"status":601,"body":{},"error":"invalid refresh_token"}"#,
                error("invalid refresh_token", ""),
            ),
            (
                200,
                r#"{"status":0,"body":{"access_token":"a\r\nb"}}"#,
                none("an `access_token` that no header can hold"),
            ),
            // A token beside a failure is none.
            (500, r#"{"access_token":"abc"}"#, status("")),
            (500, r#"{"body":{"access_token":"abc"}}"#, status("")),
            (
                400,
                r#"{"message":"wrong"}"#,
                status("; its `message` says \"wrong\""),
            ),
            (503, "<html>busy</html>", status("")),
            (200, "<html>log in</html>", other("a web page")),
            (200, "", other("an empty response")),
            (200, "[1]", other("another text")),
            (200, "hello", other("another text")),
            (200, "{}", none("nothing")),
            (
                200,
                r#"{"token":"secret","user":"me"}"#,
                none("`token`, `user`"),
            ),
            (
                200,
                r#"{"access_token":"a\r\nX-Evil: 1"}"#,
                none("an `access_token` that no header can hold"),
            ),
            (
                200,
                r#"{"access_token":""}"#,
                none("an `access_token` that is empty"),
            ),
            (
                200,
                r#"{"access_token":7}"#,
                none("an `access_token` that is no text"),
            ),
            (
                200,
                &format!(r#"{{"access_token":"{}"}}"#, "a".repeat(8_000)),
                none("an `access_token` of more than 7 KiB"),
            ),
            (
                400,
                r#"{"error":{"a":1}}"#,
                TokenRefusal::Status {
                    words: String::new(),
                },
            ),
        ] {
            assert_eq!(
                parse(code, body.as_bytes()).err(),
                Some(expected),
                "{code} {body}"
            );
        }
    }
}
