//! Which credentials an operation takes: apiKey, basic, and whatever is a bearer token.

use crate::model::{Location, SecurityKind, SecurityScheme};
use crate::node::Node;
use crate::report::Report;
use crate::spec::Spec;

/// The alternatives of an operation that main-node can do. An error where it can do none.
pub fn security(
    spec: &Spec,
    operation: &Node,
    report: &mut Report,
) -> Result<Vec<Vec<SecurityScheme>>, String> {
    let declared = operation
        .get("security")
        .or_else(|| spec.root().get("security"));
    let mut alternatives: Vec<Vec<SecurityScheme>> = Vec::new();
    let mut refused: Vec<String> = Vec::new();
    for requirement in declared.map(Node::items).unwrap_or(&[]) {
        let mut schemes = Vec::new();
        let mut possible = true;
        for entry in requirement.entries() {
            match scheme(spec, &entry.key) {
                Ok(scheme) => schemes.push(scheme),
                Err(Refusal::Unknown) => {
                    report.note(
                        spec.place(entry.place),
                        format!(
                            "the security scheme {:?} is not declared anywhere; \
                             give its header with `headers` if the server wants one",
                            entry.key
                        ),
                    );
                }
                Err(Refusal::Impossible(what)) => {
                    possible = false;
                    refused.push(format!("{what} ({})", entry.key));
                }
            }
        }
        if possible && !alternatives.contains(&schemes) {
            alternatives.push(schemes);
        }
    }
    if alternatives.is_empty() && !refused.is_empty() {
        refused.dedup();
        return Err(format!(
            "it needs {}, which main-node cannot do",
            refused.join(" or ")
        ));
    }
    Ok(alternatives)
}

enum Refusal {
    Unknown,
    Impossible(String),
}

fn scheme(spec: &Spec, name: &str) -> Result<SecurityScheme, Refusal> {
    let root = spec.root();
    let components = root
        .get("components")
        .and_then(|it| it.get("securitySchemes"));
    let node = [components, root.get("securityDefinitions")]
        .into_iter()
        .flatten()
        .find_map(|it| it.get(name))
        .and_then(|it| spec.resolve(it).ok())
        .ok_or(Refusal::Unknown)?;
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
            return Err(Refusal::Impossible(format!("{other} authentication")));
        }
        ("mutualtls", _) => return Err(Refusal::Impossible("a client certificate".to_owned())),
        (other, _) => {
            return Err(Refusal::Impossible(format!(
                "authentication of the kind {other:?}"
            )));
        }
    };
    let description = crate::values::sentence(node.text_of("description").unwrap_or(""), 100);
    Ok(SecurityScheme {
        name: name.to_owned(),
        kind,
        description,
    })
}
