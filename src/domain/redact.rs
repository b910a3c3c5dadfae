//! The configured secrets, and texts without them: a server may repeat in an answer what it
//! was sent, and that answer is shown to people.
//!
//! Pure. Applied where messages are made: problems of the configuration, `check`, failures
//! and issues of fetches, troubles of channels, the log.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::percent;
use super::secret_detection::is_likely_key;
use super::unescape::Unescaped;
use crate::domain::compact_sort::CompactSort;
use crate::limits;

/// Replaces a secret.
pub const MASK: &str = "***";

/// Shorter ones are masked only where they are the whole text: as a part of a sentence they
/// are everywhere, and three characters protect nothing.
const SHORTEST: usize = 4;
/// Shorter ones of digits alone look like ports, ranges and times.
const SHORTEST_NUMBER: usize = 6;
/// Shorter ones are masked only as words of their own: "main" is no secret in "main-node2".
const SHORTEST_PART: usize = 8;
/// Readings are data; only what can hardly be a measured word is masked there.
const SHORTEST_IN_DATA: usize = 8;
/// `&#1114111;`
const LONGEST_ESCAPE: usize = 10;
/// Marks where a long text was cut.
const CUT: char = '…';

/// Texts that are never shown, in every spelling that a message may have them in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Longest first, so that no part of one is left.
    spellings: Vec<String>,
    /// As they are, of any length.
    whole: Vec<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.whole.len())
    }
}

impl Secrets {
    pub fn new(known: impl IntoIterator<Item = String>) -> Secrets {
        // A server shows an address, or the text of an XML element, decoded.
        let with_decoded = |secret: String| {
            let decoded = Unescaped::of(&secret).unescape();
            let decoded = decoded.and_then(|it| String::from_utf8(it.bytes).ok());
            [Some(secret), decoded].into_iter().flatten()
        };
        let mut whole: Vec<String> = known
            .into_iter()
            .flat_map(with_decoded)
            .filter(|secret| !secret.trim().is_empty() && !secret.contains(MASK))
            .collect();
        whole.sort();
        whole.dedup();
        let is_long = |secret: &&String| {
            let is_number = secret.bytes().all(|byte| byte.is_ascii_digit());
            let least = if is_number { SHORTEST_NUMBER } else { SHORTEST };
            secret.chars().count() >= least
        };
        let mut spellings: Vec<String> = whole.iter().filter(is_long).flat_map(variants).collect();
        spellings.compact_sort_by(|one, other| other.len().cmp(&one.len()).then(one.cmp(other)));
        spellings.dedup();
        Secrets { spellings, whole }
    }

    /// Those that no key of a record can be by chance: not what may be the name of a field, nor
    /// what the configuration itself writes into its keys, `own`.
    pub fn for_keys(&self, own: &[&str]) -> Secrets {
        let is_of_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        let is_kept = |secret: &&String| {
            let is_name = secret.chars().all(is_of_name) && !is_likely_key(secret);
            !is_name && !own.iter().any(|key| key.contains(secret.as_str()))
        };
        Secrets::new(self.whole.iter().filter(is_kept).cloned())
    }

    /// These and others.
    pub fn with(&self, other: &Secrets) -> Secrets {
        Secrets::new(self.whole.iter().chain(&other.whole).cloned())
    }

    pub fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// The text with `***` for every secret in it.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.mask_from(text, 0)
    }

    /// The same for what is data and not a message: only long secrets are masked.
    pub fn mask_data<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.mask_from(text, SHORTEST_IN_DATA)
    }

    fn mask_from<'a>(&self, text: &'a str, least: usize) -> Cow<'a, str> {
        if least == 0 && self.whole.iter().any(|secret| secret == text) {
            return MASK.into();
        }
        let mut masked = Cow::Borrowed(text);
        if least == 0 && text.contains(CUT) {
            masked = Cow::Owned(self.mask_truncated(text));
        }
        // First, with what is not escaped: a short secret may be a part of an escaped one.
        if let Some(escaped) = self.mask_escaped(&masked, least) {
            masked = Cow::Owned(escaped);
        }
        for secret in &self.spellings {
            if secret.len() >= least && masked.contains(secret.as_str()) {
                masked = Cow::Owned(replace(&masked, secret));
            }
        }
        masked
    }

    /// Masks secrets of which any character is escaped, once or several times: `p%40ss`,
    /// `p\\u0040ss`, `p&amp;amp;ss`.
    fn mask_escaped(&self, text: &str, least: usize) -> Option<String> {
        let mut unescaped = Unescaped::of(text);
        unescaped.unescape()?;
        let mut spans = Vec::new();
        for _ in 0..=limits::ESCAPE_LEVELS {
            self.find_spans(&unescaped, least, &mut spans);
            match unescaped.unescape() {
                Some(next) => unescaped = next,
                None => break,
            }
        }
        spans.sort_unstable();
        let mut masked = String::with_capacity(text.len());
        let mut from = 0;
        for (begin, end) in &spans {
            if *begin >= from {
                masked.push_str(text.get(from..*begin)?);
                masked.push_str(MASK);
            }
            from = from.max(*end);
        }
        masked.push_str(text.get(from..)?);
        (!spans.is_empty()).then_some(masked)
    }

    /// Where secrets are written in the text.
    fn find_spans(&self, text: &Unescaped, least: usize, spans: &mut Vec<(usize, usize)>) {
        let (bytes, places) = (&text.bytes, &text.places);
        let is_letter = |at: usize| bytes.get(at).is_some_and(|it| it.is_ascii_alphanumeric());
        for secret in self.spellings.iter().filter(|it| it.len() >= least) {
            let mut from = 0;
            while let Some(at) = find(&bytes[from..], secret.as_bytes()) {
                let (begin, end) = (from + at, from + at + secret.len());
                let is_part = begin > 0 && is_letter(begin - 1) || is_letter(end);
                if secret.len() >= SHORTEST_PART || !is_part {
                    spans.push((places[begin], places[end]));
                }
                from = end;
            }
        }
    }

    /// How many bytes at the end of a text that was cut off are what is left of a secret, whatever
    /// is escaped there.
    fn truncated_length(&self, whole: &str) -> Option<usize> {
        let at_end = |bytes: &[u8]| {
            let spellings = self.spellings.iter();
            spellings
                .filter_map(|secret| truncated_at_end(bytes, secret))
                .max()
        };
        let mut longest = None;
        for text in [whole, without_cut_escape(whole)] {
            let begin = text.len().saturating_sub(limits::CUT_SECRET_BYTES);
            let begin = next_char_boundary(text, begin);
            let mut level = Unescaped::of(&text[begin..]);
            for _ in 0..=limits::ESCAPE_LEVELS {
                if let Some(length) = at_end(&level.bytes) {
                    let from = level.places[level.bytes.len() - length];
                    longest = longest.max(Some(whole.len() - begin - from));
                }
                match level.unescape() {
                    Some(next) => level = next,
                    None => break,
                }
            }
        }
        longest
    }

    /// Masks what is left of a secret that was cut off with the rest of a long text.
    fn mask_truncated(&self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut parts = text.split(CUT).peekable();
        while let Some(part) = parts.next() {
            let is_cut = parts.peek().is_some();
            match self.truncated_length(part).filter(|_| is_cut) {
                Some(length) => {
                    masked.push_str(&part[..part.len() - length]);
                    masked.push_str(MASK);
                }
                None => masked.push_str(part),
            }
            if is_cut {
                masked.push(CUT);
            }
        }
        masked
    }
}

/// How many bytes at the end of a text are the begin of a secret, if that is many enough.
fn truncated_at_end(text: &[u8], secret: &str) -> Option<usize> {
    let lengths = SHORTEST..secret.len();
    lengths
        .rev()
        .find(|length| text.ends_with(&secret.as_bytes()[..*length]))
}

/// Where a character begins, at `at` or after it.
fn next_char_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// A text without the begin of an escape at its end: `p%4`, `p&am`, `p\u00`.
fn without_cut_escape(text: &str) -> &str {
    let end = text.len().saturating_sub(LONGEST_ESCAPE);
    let end = next_char_boundary(text, end);
    let begin = text[end..].find(['%', '&', '\\', '~']);
    begin.map_or(text, |at| &text[..end + at])
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|it| it == part)
}

/// A short secret is replaced only where no letter or digit stands beside it.
fn replace(text: &str, secret: &str) -> String {
    if secret.len() >= SHORTEST_PART {
        return text.replace(secret, MASK);
    }
    let mut masked = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in text.match_indices(secret) {
        let before = text[..at].chars().next_back();
        let after = text[at + secret.len()..].chars().next();
        if before.is_some_and(char::is_alphanumeric) || after.is_some_and(char::is_alphanumeric) {
            continue;
        }
        masked.push_str(&text[from..at]);
        masked.push_str(MASK);
        from = at + secret.len();
    }
    masked.push_str(&text[from..]);
    masked
}

/// As it is, in quotes as Rust and JSON write it, as a part of a URL or a form, in Base64, and with
/// another character set.
fn variants(secret: &String) -> Vec<String> {
    let inner = |quoted: String| quoted[1..quoted.len() - 1].to_owned();
    let encoded = percent::encode(secret);
    // What ends so may be Base64, of which the padding is optional.
    let unpadded = secret.trim_end_matches('=');
    let mut variants = vec![
        secret.clone(),
        inner(format!("{secret:?}")),
        inner(serde_json::Value::from(secret.as_str()).to_string()),
        encoded.replace("%20", "+"),
        encoded.to_lowercase(),
    ];
    if secret.len() >= SHORTEST_PART {
        variants.extend(base64_variants(secret));
        if encoded != *secret {
            variants.extend(base64_variants(&encoded));
        }
    }
    variants.push(encoded);
    if unpadded.len() >= SHORTEST_PART {
        variants.push(unpadded.to_owned());
    }
    if !secret.is_ascii() {
        variants.extend(misread_variants(secret));
    }
    variants
}

/// In Base64, alone and at any place of something longer, such as `user:password`: the characters
/// that depend on the secret alone.
fn base64_variants(secret: &str) -> Vec<String> {
    let mut variants = Vec::new();
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        // Without padding: with it, only the padding is left.
        variants.push(engine.encode(secret));
        for before in 0..3 {
            let bytes = [&[0; 3][..before], secret.as_bytes()].concat();
            let from = (before * 8).div_ceil(6);
            let to = bytes.len() * 8 / 6;
            variants.push(engine.encode(&bytes)[from..to].to_owned());
        }
    }
    variants
}

/// UTF-8 that was taken for Latin-1, Latin-1 that was taken for UTF-8 or is escaped, and letters
/// that were replaced.
fn misread_variants(secret: &str) -> Vec<String> {
    let is_other = |c: char| !c.is_ascii();
    if secret.chars().filter(char::is_ascii_alphanumeric).count() < SHORTEST {
        return Vec::new();
    }
    let latin1 = |c: char| match u8::try_from(c) {
        Ok(byte) if !byte.is_ascii_alphanumeric() => format!("%{byte:02X}"),
        _ => percent::encode(&c.to_string()),
    };
    // Control characters are not shown.
    let shown = |c: char| if c.is_control() { '?' } else { c };
    let latin1: String = secret.chars().map(latin1).collect();
    vec![
        secret.bytes().map(char::from).collect(),
        secret.bytes().map(char::from).map(shown).collect(),
        secret.replace(is_other, "\u{fffd}"),
        secret.replace(is_other, "?"),
        latin1.to_lowercase(),
        latin1,
    ]
}

/// A URL without user-info, query, fragment and path segments that look like a key.
pub fn without_secrets(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let (path, query) = match path.split_once('?') {
        Some((path, _)) => (path, "?***"),
        None => (path, ""),
    };
    let shown = |part| if is_likely_key(part) { MASK } else { part };
    let path: Vec<&str> = path.split('/').map(shown).collect();
    format!("{scheme}://{host}{}{query}", path.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(known: &[&str]) -> Secrets {
        Secrets::new(known.iter().map(|it| (*it).to_owned()))
    }

    #[test]
    fn a_secret_is_masked_however_it_is_written() {
        let known = secrets(&[
            "s3cr+t \"é\"",
            "hunter2",
            "hunter2-and-more",
            "abc",
            "8000",
            "",
        ]);
        for (text, expected) in [
            ("no secret", "no secret"),
            ("the key hunter2 is wrong", "the key *** is wrong"),
            ("hunter2hunter2", "hunter2hunter2"),
            ("(hunter2)hunter2,", "(***)***,"),
            ("xhunter2-and-morex", "x***x"),
            ("s3cr+t \"é\"", "***"),
            ("got \"s3cr+t \\\"é\\\"\"", "got \"***\""),
            ("?key=s3cr%2Bt%20%22%C3%A9%22&x", "?key=***&x"),
            ("?key=s3cr%2bt%20%22%c3%a9%22&x", "?key=***&x"),
            ("?key=s3cr%2Bt+%22%C3%A9%22&x", "?key=***&x"),
            ("found \"key hunter2-an…\"", "found \"key ***…\""),
            ("hunt… hun… x", "***… hun… x"),
            // Only some characters escaped, or escaped as JSON, HTML or Base64.
            ("?key=s3cr%2Bt%20\"é\"&x", "?key=***&x"),
            (r#""s3cr\u002bt \"\u00e9\"""#, r#""***""#),
            ("<b>s3cr+t &quot;é&quot;</b>", "<b>***</b>"),
            (r"h\u0075nter2-and-more=hunter\u0032", "***=***"),
            (r"xhunter\u0032", r"xhunter\u0032"),
            ("s3cr%252Bt%2520%2522%25C3%25A9%2522", "***"),
            (r#"{\"a\":\"s3cr+t \\\"é\\\"\"}"#, r#"{\"a\":\"***\"}"#),
            ("Basic czNjcit0ICLDqSI=", "Basic ***="),
            ("aHVudGVyMi1hbmQtbW9yZQ", "***"),
            // Too short for a part of a sentence, and whole.
            ("abc of 8000", "abc of 8000"),
            ("abc", "***"),
            ("8000", "***"),
        ] {
            assert_eq!(known.mask(text), expected, "{text}");
        }
        assert!(!format!("{known:?}").contains("hunter"));
        assert_eq!(secrets(&[]).mask("x"), "x");
    }

    #[test]
    fn keys_lose_only_what_is_no_name() {
        let known = secrets(&[
            "temperature_2m",
            "Wohn zimmer",
            "pass word/1",
            "0123456789abcdef0123456789abcdef",
        ]);
        let known = known.for_keys(&["Wohn zimmer."]);
        for (key, expected) in [
            ("temperature_2m", "temperature_2m"),
            ("Wohn zimmer.t", "Wohn zimmer.t"),
            ("a.pass word/1", "a.***"),
            ("a.pass%20word%2F1", "a.***"),
            ("0123456789abcdef0123456789abcdef", "***"),
        ] {
            assert_eq!(known.mask_data(key), expected, "{key}");
        }
    }

    #[test]
    fn readings_lose_only_long_secrets() {
        let known = secrets(&["rain", "0123456789abcdef"]);
        assert_eq!(known.mask_data("rain"), "rain");
        assert_eq!(known.mask_data("key 0123456789abcdef"), "key ***");
    }
}
