//! Files of client certificates, as people have them.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::*;
use crate::golden;

fn self_signed(key: &KeyPair) -> String {
    let parameters = CertificateParams::new(vec!["node.example".to_owned()]);
    let made = parameters.expect("a good name").self_signed(key);
    made.expect("a certificate").pem()
}

#[test]
fn a_certificate_and_its_key_are_read_from_one_file_or_two() {
    let scratch = golden::scratch("client-certificate");
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let (certificate, key) = (self_signed(&key), key.serialize_pem());
        let other = self_signed(&KeyPair::generate().expect("a key"));
        for (name, certificate, key) in [
            ("two files", certificate.clone(), Some(key.clone())),
            ("one file", format!("{certificate}{key}"), None),
            ("the key first", format!("{key}{certificate}"), None),
            (
                "an issuer behind it",
                format!("{certificate}{other}"),
                Some(key.clone()),
            ),
            (
                "text between",
                format!("subject=CN = a\n{certificate}"),
                Some(format!("\n# a\n{key}")),
            ),
        ] {
            let files = write(&scratch, &certificate, key.as_deref());
            assert!(files.load().is_ok(), "{name}: {:?}", files.load());
            let dates = files.dates().expect(name);
            assert_eq!(dates.not_before, "1975-01-01", "{name}");
        }
    }
    let _ = std::fs::remove_dir_all(scratch);
}

fn write(scratch: &Path, certificate: &str, key: Option<&str>) -> ClientCertificateFiles {
    let file = |name: &str, text: &str| {
        let path = scratch.join(name);
        std::fs::write(&path, text).expect("a writable directory");
        path
    };
    ClientCertificateFiles {
        certificate: file("client.pem", certificate),
        key: key.map(|key| file("client.key", key)),
    }
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let scratch = golden::scratch("client-certificate-wrong");
    let [key, other] = [(); 2].map(|()| KeyPair::generate().expect("a key"));
    let certificate = self_signed(&key);
    let pem = key.serialize_pem();
    let encrypted = pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (name, certificate, key, is_key, expected) in [
        (
            "no certificate",
            "",
            Some(&*pem),
            false,
            "holds no certificate",
        ),
        ("only a key", &*pem, None, false, "holds no certificate"),
        (
            "damaged",
            "-----BEGIN CERTIFICATE-----\nA\n",
            Some(&*pem),
            false,
            "not valid PEM",
        ),
        (
            "no key",
            &*certificate,
            None,
            false,
            "name the file of the key in `key`",
        ),
        (
            "another key",
            &*certificate,
            Some(&*other.serialize_pem()),
            true,
            "does not belong to",
        ),
        (
            "encrypted",
            &*certificate,
            Some(&*encrypted),
            true,
            "openssl pkey -in",
        ),
        (
            "encrypted, old form",
            &*certificate,
            Some(old_encrypted),
            true,
            "openssl pkey -in",
        ),
        (
            "no key in its file",
            &*certificate,
            Some(&*certificate),
            true,
            "PKCS#8",
        ),
        (
            "nonsense",
            &*certificate,
            Some(nonsense),
            true,
            "cannot be used",
        ),
        ("binary", "0\u{1}", Some(&*pem), false, "openssl pkcs12"),
    ] {
        let files = write(&scratch, certificate, key);
        let error = files.load().expect_err(name);
        assert!(error.message.contains(expected), "{name}: {error}");
        assert_eq!(error.is_key, is_key, "{name}: {error}");
        assert!(!error.message.contains("AAAA"), "{name}: {error}");
    }
    let absent = ClientCertificateFiles {
        certificate: scratch.join("absent.pem"),
        key: None,
    };
    let error = absent.load().expect_err("it is not there");
    assert!(
        error.message.contains("cannot be read: no such file"),
        "{error}"
    );
    let _ = std::fs::remove_dir_all(scratch);
}
