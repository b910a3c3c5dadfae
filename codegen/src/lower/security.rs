//! Which credentials an operation takes: apiKey, basic, and whatever is a bearer token.
//!
//! What main-node cannot send by itself costs no operation: it is named in a note, and the
//! owner may send it with `headers`.

use crate::lower::report::Report;
use crate::lower::spec::Spec;
use crate::lower::tree::{Node, Position};
use crate::operation::{Location, SecurityKind, SecurityScheme};

/// The alternatives of an operation, without the credentials that main-node cannot send.
pub fn security(spec: &Spec, operation: &Node, report: &mut Report) -> Vec<Vec<SecurityScheme>> {
    let declared = operation
        .get("security")
        .or_else(|| spec.root().get("security"));
    let mut complete: Vec<Vec<SecurityScheme>> = Vec::new();
    let mut reduced: Vec<Vec<SecurityScheme>> = Vec::new();
    let mut notes: Vec<(Position, String)> = Vec::new();
    for requirement in declared.map(Node::items).unwrap_or(&[]) {
        let mut schemes = Vec::new();
        let mut is_complete = true;
        for entry in requirement.entries() {
            match scheme(spec, &entry.key) {
                Ok(scheme) => schemes.push(scheme),
                Err(unsupported) => {
                    is_complete = false;
                    notes.push((
                        unsupported.place.unwrap_or(entry.place),
                        format!("the security scheme {:?} {}", entry.key, unsupported.reason),
                    ));
                }
            }
        }
        let alternatives = if is_complete {
            &mut complete
        } else {
            &mut reduced
        };
        if !alternatives.contains(&schemes) {
            alternatives.push(schemes);
        }
    }
    // Where one alternative can be met as the file has it, the others are not needed.
    if complete.is_empty() {
        for (place, message) in notes {
            report.note(spec.place(place), message);
        }
        return reduced;
    }
    complete
}

const WITH_HEADERS: &str = "give its header with `headers` if the server wants one";

/// A scheme that main-node cannot meet by itself.
struct Unsupported {
    /// Where it is declared; `None` where it is not.
    place: Option<Position>,
    reason: String,
}

fn scheme(spec: &Spec, name: &str) -> Result<SecurityScheme, Unsupported> {
    let root = spec.root();
    let components = root
        .get("components")
        .and_then(|it| it.get("securitySchemes"));
    let node = [components, root.get("securityDefinitions")]
        .into_iter()
        .flatten()
        .find_map(|it| it.get(name))
        .and_then(|it| spec.resolve(it).ok())
        .ok_or_else(|| Unsupported {
            place: None,
            reason: format!("is not declared anywhere; {WITH_HEADERS}"),
        })?;
    let unsupported = |reason: String| Unsupported {
        place: Some(node.place),
        reason,
    };
    let text = |key: &str| node.text_of(key).unwrap_or("").trim().to_ascii_lowercase();
    let kind = match (text("type").as_str(), text("scheme").as_str()) {
        ("apikey", _) => {
            let location = match text("in").as_str() {
                "query" => Location::Query,
                "cookie" => Location::Cookie,
                _ => Location::Header,
            };
            let wire = node.text_of("name").unwrap_or(name);
            SecurityKind::ApiKey(location, wire.trim().to_owned())
        }
        ("basic", _) | ("http", "basic") => SecurityKind::Basic,
        ("http", "bearer") | ("oauth2" | "openidconnect" | "bearer", _) => SecurityKind::Bearer,
        ("http", "") => SecurityKind::Bearer,
        ("http", other) => {
            return Err(unsupported(format!(
                "is {other:?} authentication, which main-node does not do by itself; {WITH_HEADERS}"
            )));
        }
        ("mutualtls", _) => {
            return Err(unsupported(
                "is a client certificate, which main-node does not send".to_owned(),
            ));
        }
        (other, _) => {
            return Err(unsupported(format!(
                "is of the unknown type {other:?}; {WITH_HEADERS}"
            )));
        }
    };
    let description =
        crate::lower::values::first_sentence(node.text_of("description").unwrap_or(""), 100);
    Ok(SecurityScheme {
        name: name.to_owned(),
        kind,
        description,
    })
}
