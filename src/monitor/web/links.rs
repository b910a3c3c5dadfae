//! Links of pages: every path begins with what a reverse proxy puts in front of it.
//!
//! Pure.

use crate::domain::percent;

/// The path in front of all paths, as browsers see them; empty without a proxy that adds one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    pub base: String,
}

impl Links {
    pub fn below(base: &str) -> Links {
        Links {
            base: base.to_owned(),
        }
    }

    /// The link to a path of this node, such as `/web/alerts`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn key(&self, key: &str) -> String {
        self.url(&format!("/web/key/{}", percent::encode(key)))
    }

    pub fn source(&self, name: &str) -> String {
        self.url(&format!("/web/source/{}", percent::encode(name)))
    }

    /// A wall page; `/wall` itself has no name.
    pub fn wall(&self, name: Option<&str>) -> String {
        match name {
            Some(name) => self.url(&format!("/wall/{}", percent::encode(name))),
            None => self.url("/wall"),
        }
    }

    pub fn group(&self, name: &str) -> String {
        self.url(&format!("/web/group/{}", percent::encode(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_begin_with_the_base() {
        for (base, expected) in [("", "/web/key/a%2Fb"), ("/node", "/node/web/key/a%2Fb")] {
            let links = Links { base: base.into() };
            assert_eq!(links.key("a/b"), expected);
        }
    }
}
