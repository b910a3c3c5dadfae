//! Bodies under content codings, right, wrong and hostile.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};
use ureq::http::HeaderValue;

use super::super::support::gzip;
use super::ContentCoding::{Deflate, Gzip};
use super::*;

const TEXT: &[u8] = br#"{"power":412.5}"#;

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

fn raw(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

fn named(values: &[&str]) -> Result<Vec<ContentCoding>, CodingError> {
    let mut headers = HeaderMap::new();
    for value in values {
        let value = HeaderValue::from_str(value).expect("a value");
        headers.append(header::CONTENT_ENCODING, value);
    }
    named_codings(&headers)
}

#[test]
fn codings_are_read_from_every_header() {
    let unknown = |name: &str| Err(CodingError::Unsupported(name.to_owned()));
    for (values, expected) in [
        (&[][..], Ok(vec![])),
        (&["", "identity", "none", "UTF-8"], Ok(vec![])),
        (&["GZip"], Ok(vec![Gzip])),
        (&["x-gzip"], Ok(vec![Gzip])),
        (&["deflate, gzip"], Ok(vec![Deflate, Gzip])),
        (&["deflate", "identity,gzip"], Ok(vec![Deflate, Gzip])),
        (&["br"], unknown("br")),
        (&["gzip, zstd"], unknown("zstd")),
        (&["gzip,gzip,gzip,gzip"], Err(CodingError::TooMany)),
    ] {
        assert_eq!(named(values), expected, "{values:?}");
    }
}

#[test]
fn bodies_are_decoded_as_curl_and_python_decode_them() {
    let packed = gzip(TEXT);
    let plain = |it: &[u8]| it.to_vec();
    for (name, body, codings, expected) in [
        ("gzip", packed.clone(), &[Gzip][..], Ok(true)),
        ("unsaid gzip", packed.clone(), &[], Ok(true)),
        ("gzip twice, said once", gzip(&packed), &[Gzip], Ok(true)),
        ("zlib", zlib(TEXT), &[Deflate], Ok(true)),
        ("raw deflate", raw(TEXT), &[Deflate], Ok(true)),
        (
            "two in a row",
            gzip(&zlib(TEXT)),
            &[Deflate, Gzip],
            Ok(true),
        ),
        (
            "two members",
            [gzip(&TEXT[..5]), gzip(&TEXT[5..])].concat(),
            &[Gzip],
            Ok(true),
        ),
        (
            "padding after it",
            [&packed, &b"\0\0\0"[..]].concat(),
            &[Gzip],
            Ok(true),
        ),
        ("plain", plain(TEXT), &[], Ok(false)),
        ("text said to be gzip", plain(TEXT), &[Gzip], Ok(false)),
        (
            "text said to be deflate",
            plain(TEXT),
            &[Deflate],
            Ok(false),
        ),
        (
            "bytes said to be gzip",
            plain(b"\0\x01\x02"),
            &[Gzip],
            Err(CodingError::Invalid(Gzip)),
        ),
        (
            "gzip without its trailer",
            packed[..packed.len() - 6].to_vec(),
            &[Gzip],
            Err(CodingError::Truncated(Gzip)),
        ),
        (
            "gzip with a wrong checksum",
            {
                let mut wrong = packed.clone();
                let last = wrong.len() - 8;
                wrong[last] ^= 1;
                wrong
            },
            &[Gzip],
            Err(CodingError::Invalid(Gzip)),
        ),
        (
            "zlib without its trailer",
            zlib(TEXT)[..zlib(TEXT).len() - 2].to_vec(),
            &[Deflate],
            Err(CodingError::Truncated(Deflate)),
        ),
    ] {
        let found = decode(body, codings, 1_000);
        let expected = expected.map(|has_trailer| DecodedBody {
            body: TEXT.to_vec(),
            has_trailer,
        });
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(
        decode(Vec::new(), &[Gzip], 10).map(|it| it.body),
        Ok(vec![])
    );
}

#[test]
fn the_limit_holds_after_decompression() {
    let bytes = vec![b' '; 1_000_000];
    let members: Vec<u8> = gzip(b"").repeat(limits::GZIP_MEMBERS + 1);
    for (body, codings) in [
        (gzip(&bytes), &[Gzip][..]),
        (gzip(&bytes), &[]),
        (zlib(&bytes), &[Deflate]),
        (raw(&bytes), &[Deflate]),
        (gzip(&gzip(&bytes)), &[Gzip, Gzip]),
        (gzip(&bytes[..600_000]).repeat(2), &[Gzip]),
        (members, &[Gzip]),
        (bytes.clone(), &[]),
    ] {
        let found = decode(body, codings, 999_999);
        assert_eq!(found, Err(CodingError::TooLarge), "{codings:?}");
    }
    let whole = decode(gzip(&bytes), &[Gzip], 1_000_000).expect("exactly the limit");
    assert_eq!(whole.body.len(), bytes.len());
}

#[test]
fn the_start_of_a_body_is_decoded_as_far_as_it_goes() {
    assert_eq!(decode_start(TEXT.to_vec(), 100), TEXT);
    assert_eq!(decode_start(gzip(TEXT), 8), TEXT[..8]);
    let long: Vec<u8> = (0..20_000u32)
        .flat_map(|n| n.to_string().into_bytes())
        .collect();
    let packed = gzip(&long);
    let start = decode_start(packed[..packed.len() / 2].to_vec(), 4_000);
    assert_eq!(start, long[..4_000]);
}
