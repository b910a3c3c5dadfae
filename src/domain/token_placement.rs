//! Token placement: the header or the query parameter of a request in which a token is sent.
//!
//! Pure.

use std::fmt;

/// Stands for the token in the template of a header.
pub const TOKEN_PLACEHOLDER: &str = "{token}";

/// Where a token goes.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum TokenPlacement {
    /// `Authorization: Bearer TOKEN`, or where an OpenAPI file says.
    #[default]
    Standard,
    /// A header whose value has the placeholder.
    Header { name: String, template: String },
    /// A parameter of the query.
    Param(String),
}

impl TokenPlacement {
    /// Reads `NAME: VALUE` with the placeholder in VALUE; all other braces are literal.
    pub fn of_header(text: &str) -> Option<TokenPlacement> {
        let (name, template) = text.split_once(':')?;
        let (name, template) = (name.trim(), template.trim());
        template
            .contains(TOKEN_PLACEHOLDER)
            .then(|| TokenPlacement::Header {
                name: name.to_owned(),
                template: template.to_owned(),
            })
    }

    /// Name and value of the header that has the token.
    pub fn header(&self, token: &str) -> Option<(&str, String)> {
        match self {
            TokenPlacement::Standard => Some(("Authorization", format!("Bearer {token}"))),
            TokenPlacement::Header { name, template } => {
                Some((name, template.replace(TOKEN_PLACEHOLDER, token)))
            }
            TokenPlacement::Param(_) => None,
        }
    }

    /// The query parameter that has the token.
    pub fn param(&self) -> Option<&str> {
        match self {
            TokenPlacement::Param(name) => Some(name),
            TokenPlacement::Standard | TokenPlacement::Header { .. } => None,
        }
    }
}

impl fmt::Debug for TokenPlacement {
    /// Without the template, in which a secret may stand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenPlacement::Standard => f.write_str("Standard"),
            TokenPlacement::Header { name, .. } => write!(f, "Header({name})"),
            TokenPlacement::Param(name) => write!(f, "Param({name})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value_with_the_token() {
        for (text, expected) in [
            ("X-Api-Key: {token}", Some(("X-Api-Key", "abc"))),
            ("X-Api-Key:{token}", Some(("X-Api-Key", "abc"))),
            (
                "Authorization: Token {token}",
                Some(("Authorization", "Token abc")),
            ),
            (
                "Cookie: a={x}; sid={token}; b={token}",
                Some(("Cookie", "a={x}; sid=abc; b=abc")),
            ),
            ("X-Api-Key: {tokens}", None),
            ("X-{token}: y", None),
            ("X-Api-Key", None),
        ] {
            let placement = TokenPlacement::of_header(text);
            let header = placement.as_ref().and_then(|it| it.header("abc"));
            let expected = expected.map(|(name, value)| (name, value.to_owned()));
            assert_eq!(header, expected, "{text}");
        }
        let standard = TokenPlacement::Standard.header("abc");
        assert_eq!(standard, Some(("Authorization", "Bearer abc".to_owned())));
        assert_eq!(TokenPlacement::Param("sid".to_owned()).header("abc"), None);
    }
}
