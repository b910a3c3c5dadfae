//! Root certificates: the one list in memory.
//!
//! The machine's own bundle comes first: its packages keep it up to date. The compiled-in roots are
//! used where there is none. The bundle is read at the first handshake, never at the start, and again
//! when the file has changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::sys::sync::Mutex;

/// Where systems keep their bundle, the Pi's own first.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The variable that names another bundle, as for OpenSSL and curl.
const BUNDLE_VARIABLE: &str = "SSL_CERT_FILE";

/// The root certificates in use, and their origin.
#[derive(Debug, Clone)]
pub struct Roots {
    pub store: Arc<RootCertStore>,
    /// None: compiled in.
    bundle: Option<(PathBuf, BundleStamp)>,
}

/// Identifies the version of a file that was read.
type BundleStamp = (Option<SystemTime>, u64);

impl Roots {
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// The machine's bundle; none if they are the compiled-in ones.
    pub fn file(&self) -> Option<&Path> {
        self.bundle.as_ref().map(|(path, _)| &**path)
    }

    /// The first bundle that holds anything. One certificate among many that cannot be used is
    /// left out, as every other program of the system does.
    fn read(bundles: &[PathBuf]) -> Roots {
        for path in bundles {
            let Some(stamp) = stamp(path) else { continue };
            let Ok(pem) = std::fs::read(path) else {
                continue;
            };
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
            if !store.is_empty() {
                store.roots.shrink_to_fit();
                return Roots {
                    store: Arc::new(store),
                    bundle: Some((path.clone(), stamp)),
                };
            }
        }
        Roots {
            store: Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
            bundle: None,
        }
    }

    /// Whether the bundle is unchanged.
    fn is_current(&self, bundles: &[PathBuf]) -> bool {
        match &self.bundle {
            Some((path, read)) => stamp(path).as_ref() == Some(read),
            None => bundles.iter().all(|path| stamp(path).is_none()),
        }
    }
}

fn stamp(path: &Path) -> Option<BundleStamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok(), metadata.len()))
}

/// The roots of the machine, read again if its bundle has changed.
pub fn system_roots() -> Roots {
    static READ: Mutex<Option<Roots>> = Mutex::new(None);
    let named = std::env::var_os(BUNDLE_VARIABLE).map(PathBuf::from);
    let bundles: Vec<PathBuf> = match named {
        Some(named) => vec![named],
        None => BUNDLES.iter().map(PathBuf::from).collect(),
    };
    let mut read = READ.lock();
    match &*read {
        Some(roots) if roots.is_current(&bundles) => roots.clone(),
        _ => read.insert(Roots::read(&bundles)).clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::test_support::Directory;

    fn certificate(name: &str) -> String {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]);
        made.expect("a certificate").cert.pem()
    }

    #[test]
    fn system_roots_are_used_and_compiled_in_roots_where_there_are_none() {
        let scratch = Directory::new();
        let bundles = ["absent.pem", "bundle.pem"].map(|name| scratch.path(name));
        let write = |text: &str| std::fs::write(&bundles[1], text).expect("a writable directory");

        let compiled_in = Roots::read(&bundles);
        assert_eq!(compiled_in.len(), webpki_roots::TLS_SERVER_ROOTS.len());
        assert_eq!(compiled_in.file(), None);
        assert!(compiled_in.is_current(&bundles));

        write(&(certificate("one.example") + &certificate("two.example")));
        assert!(!compiled_in.is_current(&bundles), "a bundle was installed");
        let roots = Roots::read(&bundles);
        assert_eq!((roots.len(), roots.file()), (2, Some(bundles[1].as_path())));
        assert!(roots.is_current(&bundles));

        let unusable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        write(&(certificate("one.example") + unusable));
        assert!(!roots.is_current(&bundles), "the bundle was updated");
        assert_eq!(
            Roots::read(&bundles).len(),
            1,
            "only the usable one is read"
        );

        write("nothing of the kind");
        assert_eq!(Roots::read(&bundles).file(), None);
        std::fs::remove_file(&bundles[1]).expect("it is there");
        assert!(!roots.is_current(&bundles), "the bundle was removed");
    }
}
