//! Request preparation: the path prefix and the token leave the target before anything else sees
//! it, so that no route, counter, log or list has to know of them.
//!
//! Pure; on the connection thread, once per parsed request.

use super::table;
use crate::domain::path_prefix;
use crate::monitor::http::handler::Request;

const TOKEN: &str = "token";

/// `base_path` is the option, which goes before what a proxy says; empty without.
pub fn prepare(request: &mut Request, base_path: &str) {
    if !base_path.is_empty() {
        base_path.clone_into(&mut request.base);
    }
    if let Some(target) = without_base(request) {
        request.target = target;
    }
    correct_device_path(&mut request.target);
    take_token(request);
}

/// Paths of devices whose server was entered with a slash at its end, and of TRMNL's firmware before 1.6.10,
/// which asks for `/api/setup/`.
fn correct_device_path(target: &mut String) {
    if target.starts_with("//api/") {
        target.remove(0);
    }
    let path = target.split('?').next().unwrap_or_default();
    if path.starts_with("/api/") && path.ends_with('/') {
        target.remove(path.len() - 1);
    }
}

/// The target of a proxy that passes the prefix on. A path that is known as it stands goes first:
/// a prefix may begin like one, and a proxy that strips it must not lead in a circle.
fn without_base(request: &Request) -> Option<String> {
    let below = (!request.base.is_empty())
        .then(|| path_prefix::strip(&request.target, &request.base))
        .flatten()?;
    (table::route_name(&request.target) == table::UNKNOWN).then_some(below)
}

/// Moves the parameter `token` out of the query, where the path takes one; elsewhere, or where it
/// is given twice, only its value goes, and reading the target reports it.
fn take_token(request: &mut Request) {
    let Some((path, query)) = request.target.split_once('?') else {
        return;
    };
    let mut tokens = query.split('&').filter_map(token_value);
    let Some(token) = tokens.next() else {
        return;
    };
    let is_accepted = tokens.next().is_none() && table::takes_token(path);
    let mut target = path.to_owned();
    let mut separator = '?';
    for pair in query.split('&') {
        let pair = match token_value(pair) {
            Some(_) if is_accepted => continue,
            Some(_) => "token=",
            None => pair,
        };
        target.push(separator);
        target.push_str(pair);
        separator = '&';
    }
    let token = table::percent_decode(token, true).map_or(token.to_owned(), String::from);
    request.token = is_accepted.then_some(token);
    request.target = target;
}

/// The value as sent, if this is the parameter `token`.
fn token_value(pair: &str) -> Option<&str> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let is_token =
        name == TOKEN || (name.contains('%') && table::percent_decode(name, true)? == TOKEN);
    is_token.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::support::request;

    fn prepared(target: &str, forwarded: &str, base_path: &str) -> Request {
        let mut request = request(target, &[]);
        forwarded.clone_into(&mut request.base);
        prepare(&mut request, base_path);
        request
    }

    #[test]
    fn every_path_is_the_same_with_and_without_the_prefix() {
        for (target, base, expected) in [
            ("/snapshot?keys=a", "/node", "/snapshot?keys=a"),
            ("/node/snapshot?keys=a", "/node", "/snapshot?keys=a"),
            ("/node/web/key/a%2Fb", "/node", "/web/key/a%2Fb"),
            ("/node", "/node", "/"),
            ("/node/", "/node", "/"),
            ("/node/node/web", "/node", "/node/web"),
            ("/nodes/web", "/node", "/nodes/web"),
            ("/NODE/web", "/node", "/NODE/web"),
            ("/a/b/healthz", "/a/b", "/healthz"),
            ("/a/healthz", "/a/b", "/a/healthz"),
            ("*", "/node", "*"),
            ("/node/snapshot", "", "/node/snapshot"),
            // A prefix that is a path of this node as well.
            ("/web", "/web", "/web"),
            ("/web/web", "/web", "/web"),
            ("/web/snapshot", "/web", "/snapshot"),
            ("/status/status", "/status", "/status"),
            ("/status/", "/status", "/"),
        ] {
            for (forwarded, base_path) in [(base, ""), ("", base), ("/other", base)] {
                if base.is_empty() && !forwarded.is_empty() {
                    continue;
                }
                let request = prepared(target, forwarded, base_path);
                assert_eq!(request.target, expected, "{target} below {base}");
                assert_eq!(request.base, base, "{target} below {base}");
            }
        }
    }

    #[test]
    fn the_token_leaves_the_query_where_the_path_takes_one() {
        for (target, expected, token) in [
            ("/snapshot", "/snapshot", None),
            ("/snapshot?token=abc", "/snapshot", Some("abc")),
            ("/node/snapshot?token=abc", "/snapshot", Some("abc")),
            (
                "/snapshot?keys=a&token=a%2Eb+c&full=1",
                "/snapshot?keys=a&full=1",
                Some("a.b c"),
            ),
            (
                "/snapshot?%74ok%65n=abc&&keys=a",
                "/snapshot?&keys=a",
                Some("abc"),
            ),
            ("/snapshot/power?token=", "/snapshot/power", Some("")),
            ("/events?token", "/events", Some("")),
            ("/snapshot?token=%zz", "/snapshot", Some("%zz")),
            ("/snapshot?keys=token", "/snapshot?keys=token", None),
            ("/snapshot?token2=a", "/snapshot?token2=a", None),
            // Reported where the target is read, without the value.
            (
                "/snapshot?token=abc&token=d",
                "/snapshot?token=&token=",
                None,
            ),
            ("/web?token=abc", "/web?token=", None),
            (
                "/wall?fragment=a&token=abc",
                "/wall?fragment=a&token=",
                None,
            ),
            ("/status?token=abc", "/status?token=", None),
            ("/metrics?token=abc", "/metrics?token=", None),
            ("/history?key=a&token=abc", "/history?key=a&token=", None),
            ("/nowhere?token=abc", "/nowhere?token=", None),
        ] {
            let request = prepared(target, "", "/node");
            assert_eq!(request.target, expected, "{target}");
            assert_eq!(request.token.as_deref(), token, "{target}");
        }
    }

    #[test]
    fn paths_of_devices_may_have_a_slash_more() {
        for (target, expected) in [
            ("/api/setup", "/api/setup"),
            ("/api/setup/", "/api/setup"),
            ("//api/display/", "/api/display"),
            ("/api/log/?a=/", "/api/log?a=/"),
            ("/api/", "/api"),
            ("/web/", "/web/"),
            ("//web/", "//web/"),
        ] {
            assert_eq!(prepared(target, "", "").target, expected);
        }
    }
}
