//! HTTP status errors: refused credentials after a redirect, quotas behind a 403.

use super::super::fault_server::{FaultServer, response};
use super::super::support::{
    clock_at_noon, failure, fetcher, get_url, long_timeout, script, sends,
};
use super::super::url_source;
use crate::domain::failure::Cause;

#[test]
fn a_401_after_a_redirect_and_a_403_by_quota_are_explained() {
    let sent_on = FaultServer::start(script(vec![sends(response(
        "401 Unauthorized",
        "WWW-Authenticate: Basic realm=\"x\"\r\n",
        "",
    ))]));
    let place = format!("Location: http://{}/x\r\n", sent_on.address);
    let first = FaultServer::start(script(vec![sends(response("302 Found", &place, ""))]));
    let headers = [("Authorization".to_owned(), "Bearer topsecret".to_owned())];
    let request = url_source::prepare_request(&first.url(), &[], &headers).expect("a URL");
    let (_, detail) =
        failure(fetcher(request, long_timeout(), clock_at_noon()).fetch_once()).expect("401");
    let expected = format!(
        "{0} answers 401 Unauthorized: http://{1} redirects to http://{0}, and credentials \
         and headers are not sent to another server or port; write url = \"http://{0}/…\" (base_url of an operation) in this source",
        sent_on.address, first.address
    );
    assert_eq!(detail, expected);
    let heads = sent_on.server.heads.lock().expect("no act panics").clone();
    assert!(!heads[0].contains("topsecret"));
    assert!(
        heads[0].contains("accept: application/json"),
        "{}",
        heads[0]
    );

    for (name, head, body, expected) in [
        (
            "a quota",
            "",
            "{\"message\": \"API rate limit exceeded\"}",
            "a limit or quota",
        ),
        (
            "nothing left",
            "X-RateLimit-Remaining: 0\r\n",
            "",
            "a limit or quota",
        ),
        (
            "forbidden",
            "",
            "{\"error\": \"forbidden\"}",
            "do not allow this",
        ),
    ] {
        let server = FaultServer::start(script(vec![sends(response("403 Forbidden", head, body))]));
        let found =
            failure(fetcher(get_url(&server.url()), long_timeout(), clock_at_noon()).fetch_once());
        let (cause, detail) = found.expect("it is refused");
        assert_eq!(cause, Cause::HttpStatus, "{name}");
        assert!(detail.contains(expected), "{name}: {detail}");
    }
}
