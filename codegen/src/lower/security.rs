//! Which credentials an operation takes: apiKey, user and password, bearer token, certificate.
//!
//! What main-node cannot send by itself costs no operation: it is named in a note, and the
//! owner may send it with `headers`.

use crate::lower::report::Report;
use crate::lower::sizes::Weights;
use crate::lower::spec::Spec;
use crate::lower::tree::{Node, Position};
use crate::operation::{Location, SecurityKind, SecurityScheme, TokenGrant};

/// Alternatives of one operation, and schemes of one alternative: real files have a few.
const MAX_SCHEMES: usize = 100;

/// What of the tree `security` reads.
pub fn weight(spec: &Spec, operation: &Node, weights: &mut Weights) -> usize {
    let requirements = declared(spec, operation).iter().take(MAX_SCHEMES);
    let entries = requirements.flat_map(|it| it.entries().iter().take(MAX_SCHEMES));
    let names = entries.map(|it| it.key.as_str());
    names
        .map(|name| 200 + name.len() + declaration(spec, name).map_or(0, |it| weights.of(it)))
        .sum()
}

fn declared<'a>(spec: &'a Spec, operation: &'a Node) -> &'a [Node] {
    let own = operation.get("security");
    own.or_else(|| spec.root().get("security"))
        .map_or(&[], Node::items)
}

/// The alternatives of an operation; those that need `headers` are the last.
pub fn security(spec: &Spec, operation: &Node, report: &mut Report) -> Vec<Vec<SecurityScheme>> {
    let mut complete: Vec<Vec<SecurityScheme>> = Vec::new();
    let mut with_headers: Vec<Vec<SecurityScheme>> = Vec::new();
    let mut notes: Vec<(Position, String)> = Vec::new();
    for requirement in declared(spec, operation).iter().take(MAX_SCHEMES) {
        let mut schemes = Vec::new();
        let mut is_complete = true;
        for entry in requirement.entries().iter().take(MAX_SCHEMES) {
            let (scheme, unsupported) = scheme(spec, &entry.key);
            schemes.push(scheme);
            if let Some(unsupported) = unsupported {
                is_complete = false;
                notes.push((
                    unsupported.place.unwrap_or(entry.place),
                    format!("the security scheme {:?} {}", entry.key, unsupported.reason),
                ));
            }
        }
        let alternatives = if is_complete {
            &mut complete
        } else {
            &mut with_headers
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
    }
    complete.extend(with_headers);
    complete
}

/// A scheme that main-node cannot meet by itself.
struct Unsupported {
    /// Where it is declared; `None` where it is not.
    place: Option<Position>,
    reason: String,
}

/// Where a scheme is declared.
fn declaration<'a>(spec: &'a Spec, name: &str) -> Option<&'a Node> {
    let root = spec.root();
    let components = root
        .get("components")
        .and_then(|it| it.get("securitySchemes"));
    [components, root.get("securityDefinitions")]
        .into_iter()
        .flatten()
        .find_map(|it| it.get(name))
        .and_then(|it| spec.resolve(it).ok())
}

fn scheme(spec: &Spec, name: &str) -> (SecurityScheme, Option<Unsupported>) {
    let node = declaration(spec, name);
    let Some(node) = node else {
        let scheme = SecurityScheme {
            name: name.to_owned(),
            kind: SecurityKind::Other(String::new()),
            ..SecurityScheme::default()
        };
        let unsupported = Unsupported {
            place: None,
            reason: "is not declared anywhere: send what the server wants with `headers`"
                .to_owned(),
        };
        return (scheme, Some(unsupported));
    };
    let kind = kind(node, name);
    let unsupported = match &kind {
        SecurityKind::Other(http) if http.is_empty() => Some(format!(
            "is of the unknown type {:?}: send what the server wants with `headers`",
            node.text_of("type").unwrap_or("").trim()
        )),
        SecurityKind::Other(http) => Some(format!(
            "is {http:?} authentication, which main-node does not do by itself: send it with \
             headers = {{ Authorization = \"{http} …\" }}"
        )),
        _ => None,
    };
    let unsupported = unsupported.map(|reason| Unsupported {
        place: Some(node.place),
        reason,
    });
    let description =
        crate::lower::values::first_sentence(node.text_of("description").unwrap_or(""), 100);
    let scheme = SecurityScheme {
        name: name.to_owned(),
        kind,
        description,
        grants: grants(node),
        discovery_url: web_address(node.text_of("openIdConnectUrl")).unwrap_or_default(),
    };
    (scheme, unsupported)
}

fn kind(node: &Node, name: &str) -> SecurityKind {
    let written = |key: &str| node.text_of(key).unwrap_or("").trim().to_owned();
    let text = |key: &str| written(key).to_ascii_lowercase();
    match (text("type").as_str(), text("scheme").as_str()) {
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
        ("http", "digest") => SecurityKind::Digest,
        ("http", "bearer") | ("oauth2" | "openidconnect" | "bearer", _) => SecurityKind::Bearer,
        ("http", "") => SecurityKind::Bearer,
        ("http", _) => SecurityKind::Other(written("scheme")),
        ("mutualtls", _) => SecurityKind::ClientCertificate,
        _ => SecurityKind::Other(String::new()),
    }
}

/// The grants of OAuth 2.0, of OpenAPI 3 and of Swagger 2. The flow with a browser gives a refresh
/// token, which is renewed without one.
fn grants(node: &Node) -> Vec<TokenGrant> {
    const FLOWS: [(&str, &str); 5] = [
        ("clientCredentials", "client_credentials"),
        ("application", "client_credentials"),
        ("password", "password"),
        ("authorizationCode", "refresh_token"),
        ("accessCode", "refresh_token"),
    ];
    let flows = node.get("flows");
    let found = FLOWS.iter().filter_map(|(flow, grant)| {
        let declared = match flows {
            Some(flows) => flows.get(flow)?,
            None => Some(node).filter(|it| it.text_of("flow") == Some(flow))?,
        };
        Some(TokenGrant {
            grant: (*grant).to_owned(),
            token_url: web_address(declared.text_of("tokenUrl"))?,
        })
    });
    found.collect()
}

fn web_address(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    let is_plain = !text.contains(|c: char| c.is_control() || c.is_whitespace());
    (is_web && is_plain).then(|| text.to_owned())
}
