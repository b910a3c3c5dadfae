use super::*;

#[test]
fn log_urls_hold_no_secret() {
    for (url, shown) in [
        ("https://user:pw@h:1/a/b?key=1#x", "https://h:1/a/b"),
        ("http://h", "http://h"),
        ("http://h?key=1", "http://h"),
        ("http://h/a@b", "http://h/a@b"),
        ("h?key", "h"),
    ] {
        assert_eq!(without_secrets(url), shown);
    }
    let endpoint = Endpoint {
        base: "https://user:pw@h/a?key=1".to_owned(),
        headers: vec![("X-Key".to_owned(), "hunter2".to_owned())],
        credentials: vec![
            Credential::Bearer {
                token: "hunter2".to_owned(),
            },
            Credential::Basic {
                user: "u".to_owned(),
                password: "hunter2".to_owned(),
            },
        ],
    };
    let shown = format!("{endpoint:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("pw"),
        "{shown}"
    );
}

#[test]
fn addresses_join_without_doubled_parts() {
    for (base, path, url) in [
        ("http://h", "/a", "http://h/a"),
        ("http://h/", "/a?x=1", "http://h/a?x=1"),
        ("http://h/b?fixed=1", "/a", "http://h/b/a?fixed=1"),
        ("http://h/b?fixed=1#f", "a?x=2", "http://h/b/a?x=2&fixed=1"),
    ] {
        assert_eq!(address(base, path), url);
    }
}
