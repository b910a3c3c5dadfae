//! Build identity: the digest of the running program, and its command line.
//!
//! Any thread but the HTTP server's, since the first call reads the file.

use std::fs::File;
use std::io::{self, Read};
use std::sync::OnceLock;

use ring::digest::{Context, SHA256};

/// The first twelve digits of the running file's SHA-256, as `sha256sum` prints it; `unknown`
/// where it cannot be read. The first call reads the file.
pub fn build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| digest().unwrap_or_else(|_| "unknown".to_owned()))
}

/// The command line of this process as root would type it.
pub fn with_sudo() -> String {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    let words = std::iter::once(program).chain(arguments);
    let words: Vec<String> = words.map(|word| shell_quoted(&word)).collect();
    format!("sudo {}", words.join(" "))
}

/// A word quoted for the shell.
pub fn shell_quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn digest() -> io::Result<String> {
    // The running file, even if its path was replaced since.
    let mut file = File::open("/proc/self/exe")?;
    let mut context = Context::new(&SHA256);
    let mut part = vec![0; 32 * 1024];
    loop {
        match file.read(&mut part)? {
            0 => break,
            count => context.update(&part[..count]),
        }
    }
    let digest = context.finish();
    let digits = digest.as_ref().iter().take(6);
    Ok(digits.map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_quoted_for_the_shell() {
        for (word, expected) in [
            ("backup", "backup"),
            ("--from=-24h", "--from=-24h"),
            ("my copy.db", "'my copy.db'"),
            ("it's", "'it'\\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
        ] {
            assert_eq!(shell_quoted(word), expected);
        }
    }
}
