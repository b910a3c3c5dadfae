//! The hand-written runtime beside the generated `client.rs`: typed arguments to the bytes
//! of one GET request.
//!
//! Called on the fetch threads; it blocks for as long as the agent lets it. It owns how
//! parameters are written (RFC 6570 and OpenAPI's styles) and where credentials go. It must
//! not choose timeouts, limits, redirects or proxies: the agent comes configured.

use ureq::Body;
use ureq::http::Response;

use crate::domain::operation::{
    Argument, ArgumentProblem, Location, Operation, Parameter, SecurityKind, SecurityScheme, Style,
    check_arguments,
};

/// One operation of the compiled-in table.
pub struct Call {
    pub operation: &'static Operation,
    /// Checks the arguments and gives what can be called again and again.
    pub prepare: fn(&[(String, Argument)]) -> Prepared,
}

pub type Prepared = Result<Box<dyn Fetch>, ArgumentProblem>;

/// A GET operation with its arguments; each generated struct is one.
pub trait Fetch: Send + Sync {
    fn operation(&self) -> &'static Operation;

    /// The arguments in the order of `operation().parameters`.
    fn values(&self) -> Vec<Option<Argument>>;

    /// Sends the request and waits for the head of its response.
    fn call(&self, to: &Endpoint, agent: &ureq::Agent) -> Result<Response<Body>, ureq::Error> {
        let request = Request::new(self.operation(), &self.values(), to);
        let mut call = agent.get(&request.url);
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        call.call()
    }

    /// The URL for logs: no query, no user-info.
    fn shown_url(&self, to: &Endpoint) -> String {
        Request::new(self.operation(), &self.values(), to).shown()
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
    /// Fills a scheme of the file: `user` is for basic alone.
    pub fn fill(scheme: &SecurityScheme, user: &str, secret: &str) -> Credential {
        match scheme.kind {
            SecurityKind::ApiKey(location, name) => Credential::Key {
                location,
                name: name.to_owned(),
                value: secret.to_owned(),
            },
            SecurityKind::Basic => Credential::Basic {
                user: user.to_owned(),
                password: secret.to_owned(),
            },
            SecurityKind::Bearer => Credential::Bearer {
                token: secret.to_owned(),
            },
        }
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
            .field("base", &without_secrets(&self.base))
            .field("headers", &names)
            .field("credentials", &self.credentials)
            .finish()
    }
}

/// What goes on the wire.
struct Request {
    url: String,
    headers: Vec<(String, String)>,
}

impl Request {
    fn new(operation: &'static Operation, values: &[Option<Argument>], to: &Endpoint) -> Request {
        let given = || {
            operation
                .parameters
                .iter()
                .zip(values)
                .filter_map(|(parameter, value)| value.as_ref().map(|value| (parameter, value)))
        };
        let mut query: Vec<String> = Vec::new();
        let mut headers: Vec<(String, String)> = Vec::new();
        let mut cookies: Vec<String> = Vec::new();
        let mut names: Vec<(Location, &str)> = Vec::new();
        let path = expand(
            operation.path,
            &mut given().filter(|it| it.0.location == Location::Path),
        );
        for (parameter, value) in given() {
            names.push((parameter.location, parameter.name));
            match parameter.location {
                Location::Path => {}
                Location::Query => query.extend(pairs(parameter, value)),
                Location::Cookie => cookies.extend(pairs(parameter, value)),
                Location::Header => {
                    let text = join(parameter, value, ",", &str::to_owned);
                    set(&mut headers, parameter.name, text);
                }
            }
        }
        for credential in &to.credentials {
            match credential {
                Credential::Basic { user, password } => {
                    let text = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
                    set(&mut headers, "Authorization", text);
                }
                Credential::Bearer { token } => {
                    set(&mut headers, "Authorization", format!("Bearer {token}"));
                }
                Credential::Key {
                    location,
                    name,
                    value,
                } => {
                    // An argument that names the same place was said on purpose.
                    if names.contains(&(*location, name)) {
                        continue;
                    }
                    let pair = || format!("{}={}", encode(name), encode(value));
                    match location {
                        Location::Header => set(&mut headers, name, value.clone()),
                        Location::Cookie => cookies.push(pair()),
                        Location::Query | Location::Path => query.push(pair()),
                    }
                }
            }
        }
        if !cookies.is_empty() {
            headers.push(("Cookie".to_owned(), cookies.join("; ")));
        }
        set(&mut headers, "Accept", operation.accept.to_owned());
        for (name, value) in &to.headers {
            set(&mut headers, name, value.clone());
        }
        let mut url = address(&to.base, &path);
        for pair in query {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&pair);
        }
        Request { url, headers }
    }

    fn shown(&self) -> String {
        without_secrets(&self.url)
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

/// A URL as logs may show it: no user-info, query or fragment.
fn without_secrets(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = &url[..end];
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host_end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..host_end].rsplit('@').next().unwrap_or("");
    format!("{scheme}://{host}{}", &rest[host_end..])
}

/// Replaces a header of that name, whatever its case.
fn set(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    headers.retain(|(old, _)| !old.eq_ignore_ascii_case(name));
    headers.push((name.to_owned(), value));
}

/// The path template with its `{names}` filled. What follows a `?` in it is a query already.
fn expand<'a>(
    template: &str,
    given: &mut dyn Iterator<Item = (&'a Parameter, &'a Argument)>,
) -> String {
    let given: Vec<(&Parameter, &Argument)> = given.collect();
    let mut path = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            path.push('{');
            rest = after;
            continue;
        };
        if let Some((parameter, value)) = given.iter().find(|it| it.0.name == name) {
            path.push_str(&path_text(parameter, value));
        }
        rest = after;
    }
    path.push_str(rest);
    // What a template may hold and a URL may not.
    path.chars()
        .map(|it| {
            if is_url(it) {
                it.to_string()
            } else {
                encode(&it.to_string())
            }
        })
        .collect()
}

fn is_url(it: char) -> bool {
    it.is_ascii_alphanumeric() || "-._~:/?[]@!$&'()*+,;=%".contains(it)
}

fn path_text(parameter: &Parameter, value: &Argument) -> String {
    let escape = escape_of(parameter);
    let name = encode(parameter.name);
    match (parameter.style, value) {
        (Style::Label, Argument::List(_) | Argument::Object(_)) => {
            let between = if parameter.explode { "." } else { "," };
            format!(".{}", join(parameter, value, between, &escape))
        }
        (Style::Label, _) => format!(".{}", join(parameter, value, ",", &escape)),
        (Style::Matrix, Argument::List(items)) if parameter.explode => items
            .iter()
            .map(|item| format!(";{name}={}", scalar(item, &escape)))
            .collect(),
        (Style::Matrix, Argument::Object(_)) if parameter.explode => {
            format!(";{}", join(parameter, value, ";", &escape))
        }
        (Style::Matrix, _) => format!(";{name}={}", join(parameter, value, ",", &escape)),
        _ => join(parameter, value, ",", &escape),
    }
}

/// `name=value` pairs for a query or a cookie.
fn pairs(parameter: &Parameter, value: &Argument) -> Vec<String> {
    let escape = escape_of(parameter);
    let name = encode(parameter.name);
    let pair = |name: &str, value: String| format!("{name}={value}");
    match (parameter.style, value) {
        (Style::DeepObject, Argument::Object(fields)) => {
            let mut deep = Vec::new();
            for (field, value) in fields {
                deepen(
                    &format!("{}[{field}]", parameter.name),
                    value,
                    &escape,
                    &mut deep,
                );
            }
            deep
        }
        (Style::Json, _) => vec![pair(&name, escape(&value.to_json().to_string()))],
        (_, Argument::List(items)) if parameter.explode => items
            .iter()
            .map(|item| pair(&name, scalar(item, &escape)))
            .collect(),
        (_, Argument::Object(fields)) if parameter.explode => fields
            .iter()
            .map(|(field, value)| pair(&encode(field), scalar(value, &escape)))
            .collect(),
        (Style::SpaceDelimited, _) => vec![pair(&name, join(parameter, value, "%20", &escape))],
        (Style::PipeDelimited, _) => vec![pair(&name, join(parameter, value, "%7C", &escape))],
        (Style::TabDelimited, _) => vec![pair(&name, join(parameter, value, "%09", &escape))],
        _ => vec![pair(&name, join(parameter, value, ",", &escape))],
    }
}

fn deepen(name: &str, value: &Argument, escape: &dyn Fn(&str) -> String, out: &mut Vec<String>) {
    match value {
        Argument::Object(fields) => {
            for (field, value) in fields {
                deepen(&format!("{name}[{field}]"), value, escape, out);
            }
        }
        Argument::List(items) => {
            for item in items {
                deepen(name, item, escape, out);
            }
        }
        _ => out.push(format!("{}={}", encode(name), scalar(value, escape))),
    }
}

/// A value in one piece: lists and objects with `between` between their parts.
fn join(
    parameter: &Parameter,
    value: &Argument,
    between: &str,
    escape: &dyn Fn(&str) -> String,
) -> String {
    if parameter.style == Style::Json {
        return escape(&value.to_json().to_string());
    }
    let parts: Vec<String> = match value {
        Argument::List(items) => items.iter().map(|item| scalar(item, escape)).collect(),
        Argument::Object(fields) if parameter.explode => fields
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), scalar(value, escape)))
            .collect(),
        Argument::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| [escape(name), scalar(value, escape)])
            .collect(),
        _ => return scalar(value, escape),
    };
    parts.join(between)
}

/// What has parts where no style says how to write them is written as JSON.
fn scalar(value: &Argument, escape: &dyn Fn(&str) -> String) -> String {
    escape(
        &value
            .scalar_text()
            .unwrap_or_else(|| value.to_json().to_string()),
    )
}

fn escape_of(parameter: &Parameter) -> impl Fn(&str) -> String + use<> {
    let keep = match (parameter.reserved, parameter.location) {
        // A name in a query may not end it.
        (true, Location::Query) => ":/?@!$'()*,;[]",
        (true, _) => ":/@!$&'()*+,;=",
        (false, _) => "",
    };
    move |text| encode_but(text, keep)
}

fn encode(text: &str) -> String {
    encode_but(text, "")
}

/// Percent-encodes all but the unreserved characters of RFC 3986 and those to keep.
fn encode_but(text: &str, keep: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric()
            || b"-._~".contains(&byte)
            || keep.as_bytes().contains(&byte)
        {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4_u32 {
            let digit = (bits >> (18 - 6 * at)) & 63;
            let real = at as usize <= chunk.len();
            out.push(if real {
                char::from(DIGITS[digit as usize])
            } else {
                '='
            });
        }
    }
    out
}

/// Arguments that fit their operation; the generated structs are read from it.
pub struct Given<'a> {
    operation: &'static Operation,
    arguments: &'a [(String, Argument)],
}

impl<'a> Given<'a> {
    pub fn check(
        operation: &'static Operation,
        arguments: &'a [(String, Argument)],
    ) -> Result<Given<'a>, ArgumentProblem> {
        match check_arguments(operation, arguments).into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(Given {
                operation,
                arguments,
            }),
        }
    }

    /// The argument of the parameter with this index, or the default where it needs one.
    pub fn required<T: Parametric>(&self, index: usize) -> Result<T, ArgumentProblem> {
        let parameter = self.parameter(index)?;
        let default = || parameter.default();
        match self.find(parameter).cloned().or_else(default) {
            Some(argument) => taken(parameter, &argument),
            None => Err(problem(parameter, "is needed and not given")),
        }
    }

    pub fn optional<T: Parametric>(&self, index: usize) -> Result<Option<T>, ArgumentProblem> {
        let parameter = self.parameter(index)?;
        self.find(parameter)
            .map(|argument| taken(parameter, argument))
            .transpose()
    }

    fn parameter(&self, index: usize) -> Result<&'static Parameter, ArgumentProblem> {
        self.operation
            .parameters
            .get(index)
            .ok_or_else(|| ArgumentProblem {
                argument: None,
                message: format!("{} has no parameter number {index}", self.operation.id),
            })
    }

    fn find(&self, parameter: &Parameter) -> Option<&'a Argument> {
        self.arguments
            .iter()
            .find(|(name, _)| name == parameter.argument)
            .map(|(_, it)| it)
    }
}

fn taken<T: Parametric>(parameter: &Parameter, argument: &Argument) -> Result<T, ArgumentProblem> {
    T::take(argument).ok_or_else(|| {
        problem(
            parameter,
            &format!("is not what it takes: {}", parameter.words()),
        )
    })
}

fn problem(parameter: &Parameter, what: &str) -> ArgumentProblem {
    ArgumentProblem {
        argument: Some(parameter.argument.to_owned()),
        message: format!("`{}` {what}; change it in `params`", parameter.argument),
    }
}

/// The types that fields of generated structs have.
pub trait Parametric: Sized {
    fn take(argument: &Argument) -> Option<Self>;
    fn give(&self) -> Argument;
}

impl Parametric for String {
    fn take(argument: &Argument) -> Option<String> {
        argument.scalar_text()
    }
    fn give(&self) -> Argument {
        Argument::Text(self.clone())
    }
}

impl Parametric for i64 {
    fn take(argument: &Argument) -> Option<i64> {
        match argument {
            Argument::Integer(it) => Some(*it),
            // 3.0 is an integer too; past 2^53 a float no longer says which.
            Argument::Number(it) if it.fract() == 0.0 && it.abs() < 9e15 => Some(*it as i64),
            Argument::Text(it) => it.trim().parse().ok(),
            _ => None,
        }
    }
    fn give(&self) -> Argument {
        Argument::Integer(*self)
    }
}

impl Parametric for f64 {
    fn take(argument: &Argument) -> Option<f64> {
        match argument {
            Argument::Integer(it) => Some(*it as f64),
            Argument::Number(it) => Some(*it),
            Argument::Text(it) => it.trim().parse().ok(),
            _ => None,
        }
        .filter(|it| it.is_finite())
    }
    fn give(&self) -> Argument {
        Argument::Number(*self)
    }
}

impl Parametric for bool {
    fn take(argument: &Argument) -> Option<bool> {
        match argument {
            Argument::Boolean(it) => Some(*it),
            Argument::Text(it) => it.trim().parse().ok(),
            _ => None,
        }
    }
    fn give(&self) -> Argument {
        Argument::Boolean(*self)
    }
}

impl Parametric for Argument {
    fn take(argument: &Argument) -> Option<Argument> {
        Some(argument.clone())
    }
    fn give(&self) -> Argument {
        self.clone()
    }
}

impl<T: Parametric> Parametric for Vec<T> {
    fn take(argument: &Argument) -> Option<Vec<T>> {
        match argument {
            Argument::List(items) => items.iter().map(T::take).collect(),
            one => T::take(one).map(|one| vec![one]),
        }
    }
    fn give(&self) -> Argument {
        Argument::List(self.iter().map(T::give).collect())
    }
}

/// For generated `values`.
pub fn given<T: Parametric>(value: &T) -> Option<Argument> {
    Some(value.give())
}

/// For generated `values`.
pub fn maybe<T: Parametric>(value: &Option<T>) -> Option<Argument> {
    value.as_ref().map(T::give)
}

#[cfg(test)]
#[path = "request/tests.rs"]
mod tests;
