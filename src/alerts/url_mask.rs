//! Texts of servers without the parts of the URL that they were sent to.
//!
//! Pure.

use crate::domain::compact_sort::CompactSort;

/// Error pages often repeat the URL, which may be a secret.
pub fn mask_url_parts(body: &str, url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let parts = rest.split(['/', '?', '&', '=', '@', ':', '#']).skip(1);
    let mut parts: Vec<&str> = parts.filter(|part| part.len() >= 6).collect();
    parts.compact_sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
        .iter()
        .fold(body.to_owned(), |body, part| body.replace(part, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_parts_in_an_error_page_are_masked() {
        let url = "https://user:hushhush@hook.example/bot123456:token?key=secret";
        let body = "Cannot POST /bot123456:token?key=secret for hushhush at hook.example";
        let shown = mask_url_parts(body, url);
        assert_eq!(shown, "Cannot POST /***:token?key=*** for *** at ***");
    }
}
