//! Error message in the response of an API: `{"error": "invalid token"}`.
//!
//! Pure.

use serde_json::{Map, Value as Json};

use crate::domain::text::ellipsis;
use crate::limits;

/// Fields that hold a message, or an object or a list with one. GraphQL has `errors`, SOAP
/// `faultstring`.
const NAMES: [&str; 13] = [
    "error",
    "errors",
    "error_message",
    "error_description",
    "errorMessage",
    "message",
    "msg",
    "detail",
    "details",
    "reason",
    "fault",
    "faultstring",
    "warning",
];

/// What a response says instead of data: ``; its `error` says "invalid token"``, or nothing.
pub fn describe(tree: &Json) -> String {
    find(tree).map_or_else(String::new, |(name, text)| {
        let text = ellipsis(text, limits::SAMPLE_CHARS);
        format!("; its `{name}` says {text:?}")
    })
}

/// What a body says that begins so; nothing where it is no JSON or is longer.
pub fn describe_body(start: &[u8]) -> String {
    serde_json::from_slice(start).map_or_else(|_| String::new(), |tree| describe(&tree))
}

/// Whether a response says something instead of data.
pub fn has_message(tree: &Json) -> bool {
    find(tree).is_some()
}

/// The name and the text of the message: in the response, or in the only field of it, which is
/// the root element of an XML document.
fn find(tree: &Json) -> Option<(&str, &str)> {
    let fields = tree.as_object()?;
    let root = (fields.len() == 1)
        .then(|| fields.values().next()?.as_object())
        .flatten();
    find_in(fields).or_else(|| find_in(root?))
}

fn find_in(fields: &Map<String, Json>) -> Option<(&str, &str)> {
    NAMES.into_iter().find_map(|name| {
        let (name, field) = get(fields, name)?;
        let text = text_of(field, limits::ERROR_MESSAGE_DEPTH)?;
        (!text.trim().is_empty()).then_some((name, text))
    })
}

fn text_of(field: &Json, levels: usize) -> Option<&str> {
    let levels = levels.checked_sub(1)?;
    match field {
        Json::String(text) => Some(text),
        Json::Array(items) => text_of(items.first()?, levels),
        Json::Object(fields) => NAMES
            .into_iter()
            .chain(["text"])
            .find_map(|name| text_of(get(fields, name)?.1, levels)),
        _ => None,
    }
}

/// The field of a name in any case.
fn get<'a>(fields: &'a Map<String, Json>, name: &str) -> Option<(&'a str, &'a Json)> {
    let found = fields
        .iter()
        .find(|(it, _)| it.eq_ignore_ascii_case(name))?;
    Some((found.0, found.1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_whole_json_body_says_something() {
        for (body, expected) in [
            (
                &br#"{"message": "daily quota exceeded"}"#[..],
                "; its `message` says \"daily quota exceeded\"",
            ),
            (br#"{"message": "cut "#, ""),
            (b"<html>Forbidden</html>", ""),
            (b"", ""),
        ] {
            assert_eq!(describe_body(body), expected);
        }
    }

    #[test]
    fn messages_of_usual_apis_are_found() {
        for (body, expected) in [
            (json!({"error": "invalid token"}), "error: invalid token"),
            (
                json!({"code": 7, "error": {"code": 7, "message": "expired"}}),
                "error: expired",
            ),
            (
                json!({"data": null, "errors": [{"message": "Cannot query field", "path": []}]}),
                "errors: Cannot query field",
            ),
            (
                json!({"success": false, "errors": "Token is invalid"}),
                "errors: Token is invalid",
            ),
            (
                json!({"error": {"root_cause": [], "reason": "unknown key [bad]"}, "status": 400}),
                "error: unknown key [bad]",
            ),
            (
                json!({"WARNING": "Need user=<username>"}),
                "WARNING: Need user=<username>",
            ),
            (
                json!({"Acknowledgement_MarketDocument": {"Reason": {"code": 999, "text": "No data"}}}),
                "Reason: No data",
            ),
            (
                json!({"title": "Not Found", "detail": "no such box"}),
                "detail: no such box",
            ),
            (
                json!({"error": false, "errors": [], "message": " ", "data": {}}),
                "",
            ),
            (
                json!({"message": {"error": {"detail": {"msg": {"text": "too deep"}}}}}),
                "",
            ),
            (json!([{"error": "in a list"}]), ""),
            (json!(5), ""),
        ] {
            let found =
                find(&body).map_or_else(String::new, |(name, text)| format!("{name}: {text}"));
            assert_eq!(found, expected, "{body}");
        }
    }
}
