use super::*;
use crate::monitor::support::{header, request};

#[test]
fn gzip_is_used_when_accepted_and_when_it_saves_enough() {
    let large = Representation::new("text/plain", b"value ".repeat(100));
    let small = Representation::new("text/plain", b"value".to_vec());
    for (accepted, expected) in [
        (None, false),
        (Some(""), false),
        (Some("gzip"), true),
        (Some("GZIP;q=0.5"), true),
        (Some("deflate, gzip;q=1.0, *;q=0.5"), true),
        (Some("*"), true),
        (Some("br"), false),
        (Some("gzip;q=0"), false),
        (Some("gzip;q=nan"), false),
        (Some("gzip;q=0.2, identity"), false),
        (Some("identity;q=0, gzip;q=0.1"), true),
        (Some("*;q=0"), false),
    ] {
        let headers: Vec<_> = accepted
            .map(|field| ("accept-encoding", field))
            .into_iter()
            .collect();
        let response = large.respond(&request("/", &headers), "no-cache");
        let coding = header(&response, "Content-Encoding");
        assert_eq!(coding == Some("gzip"), expected, "{accepted:?}");
        assert_eq!(header(&response, "Vary"), Some("Accept-Encoding"));
        let response = small.respond(&request("/", &headers), "no-cache");
        assert_eq!(header(&response, "Content-Encoding"), None);
        assert_eq!(header(&response, "Vary"), None, "nothing was negotiable");
    }
}

#[test]
fn the_highest_weight_of_each_member_counts() {
    let accept = "text/HTML;q=0.4, text/html; Q=0.7 ,*/*;q=x,b;p=1;q=2,é;q=1,;;,c;q=-1";
    let request = request("/", &[("accept", accept), ("accept", "b;q=0.1")]);
    let found = quality_values(&request, "accept", ["text/html", "*/*", "b", "c", "d"]);
    assert_eq!(found, [Some(0.7), Some(0.0), Some(1.0), Some(0.0), None]);
}

#[test]
fn each_content_coding_has_its_etag_and_304_repeats_it() {
    let entity = Representation::new("text/plain", b"value ".repeat(100));
    let gzip = entity.gzip().cloned().expect("that is worth coding");
    assert_ne!(entity.identity.etag, gzip.etag);
    let plain = entity.identity.etag.as_str();
    for (field, status) in [
        (plain.to_owned(), 304),
        (format!("W/{plain}"), 304),
        (format!("\"x\", W/\"y\" ,{plain}"), 304),
        ("*".to_owned(), 304),
        (gzip.etag.clone(), 200),
        (plain.trim_matches('"').to_owned(), 200),
        (String::new(), 200),
    ] {
        let response = entity.respond(&request("/", &[("if-none-match", &field)]), "no-cache");
        assert_eq!(response.status, status, "{field}");
        assert_eq!(header(&response, "ETag"), Some(plain));
        assert_eq!(header(&response, "Cache-Control"), Some("no-cache"));
        assert_eq!(response.body.is_empty(), status == 304);
    }
    let coded = [
        ("accept-encoding", "gzip"),
        ("if-none-match", gzip.etag.as_str()),
    ];
    assert_eq!(
        entity.respond(&request("/", &coded), "no-cache").status,
        304
    );
}

#[test]
fn a_weak_etag_is_the_same_for_all_codings_and_matches_in_either_spelling() {
    let body = b"value ".repeat(100);
    let entity = Representation::new("text/plain", body).with_weak_etag(weak_etag(b"value"));
    let tag = entity.identity.etag.clone();
    assert!(tag.starts_with("W/\"") && tag.ends_with('"'), "{tag}");
    let strong = tag.trim_start_matches("W/").to_owned();
    for (field, status) in [
        (tag.clone(), 304),
        (strong.clone(), 304),
        (format!("\"x\", {tag}"), 304),
        (format!("W/\"y\",{strong} , \"z\""), 304),
        (" * ".to_owned(), 304),
        (format!("w/{strong}"), 200),
        (format!("W/W/{strong}"), 200),
        ("W/\"0123456789abcdef\"".to_owned(), 200),
        (strong.trim_matches('"').to_owned(), 200),
        ("\"*\"".to_owned(), 200),
        (String::new(), 200),
    ] {
        for coding in ["gzip", "identity"] {
            let fields = [("if-none-match", &*field), ("accept-encoding", coding)];
            let response = entity.respond(&request("/", &fields), "no-cache");
            assert_eq!(response.status, status, "{field:?} {coding}");
            assert_eq!(header(&response, "ETag"), Some(&*tag));
        }
    }
    let two = [("if-none-match", "\"a\""), ("if-none-match", &*tag)];
    assert_eq!(entity.respond(&request("/", &two), "no-cache").status, 304);
}

#[test]
fn the_hash_is_the_same_in_every_build() {
    assert_eq!(
        Encoded::new(b"main-node".to_vec()).etag,
        "\"1988e97acccd8187\""
    );
}
