//! Welcome: how to set the node up, on the overview while nothing is configured.

use std::net::IpAddr;
use std::path::Path;

use maud::{Markup, html};

use super::PageContext;
use super::layout::{OVERVIEW, Part, favicon_url, title_of};
use crate::domain::snapshot::DataStatus;
use crate::monitor::context::Installation;
use crate::sys::own_address::lan_address;

/// What the overview begins with, instead of its state, while the built-in example runs: nobody
/// asked for its values, so that they are no alarm.
pub fn part(view: &PageContext) -> Option<Part> {
    let installation = &view.settings.installation;
    view.is_unconfigured().then(|| Part {
        name: "state",
        is_live: true,
        markup: html! {
            section id="state" data-live data-title=(title_of(view, OVERVIEW)) data-icon=(favicon_url(view))
                class="state welcome" {
                p id="sentence" role="status" { "Welcome. Nothing is configured yet." }
                (steps(installation))
                @if view.state.verdict != DataStatus::Pass {
                    p class="quiet" {
                        "The example: " (view.state.headline)
                        @for sentence in view.state.details() { " " (sentence) }
                    }
                }
            }
        },
    })
}

fn steps(installation: &Installation) -> Markup {
    let database = &installation.database;
    let database = std::path::absolute(database).unwrap_or_else(|_| database.clone());
    html! {
        p {
            "This node runs and keeps its data in "
            code { (database.display()) } ". It shows the weather of Berlin until you tell it what to ask."
        }
        ol {
            li {
                "Make a configuration file. It is looked for in this order:"
                ul { @for path in &installation.config_paths { (searched_path(path)) } }
            }
            li {
                "Name what it shall ask. This source is the node itself, so it works as it is; put \
                 the address of your device in its place:"
                pre { code { (snippet(&own_address(installation))) } }
                "Known APIs need no address: " code { "main-node operations" }
                " lists them, ready to paste."
            }
            li {
                "See whether it is right with " code { "main-node check" }
                ", then start main-node again."
            }
        }
    }
}

fn searched_path(path: &Path) -> Markup {
    html! {
        li {
            code { (path.display()) } " "
            span class="quiet" {
                // It was not there at the start.
                @if path.exists() { "is there now: start main-node again" } @else { "is not there" }
            }
        }
    }
}

fn snippet(address: &str) -> String {
    format!(
        "[[source]]\n\
         name = \"first\"\n\
         url = \"http://{address}/status\"\n\
         every = \"1m\"\n\
         records = {{ uptime = {{ at = \"/uptime_s\", unit = \"s\" }} }}\n"
    )
}

/// Address and port of this node, as its network sees it.
fn own_address(installation: &Installation) -> String {
    let listen = installation.listen.first();
    let port = listen.map_or(8000, |it| it.port());
    let bound = listen.map(|it| it.ip()).filter(|ip| !ip.is_unspecified());
    match bound.or_else(lan_address) {
        Some(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        Some(IpAddr::V4(ip)) => format!("{ip}:{port}"),
        None => format!("127.0.0.1:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::failure::Cause;
    use crate::monitor::http::handler::Handler as _;
    use crate::monitor::support::{self as testing, body, request};

    #[test]
    fn a_newcomer_reads_how_to_begin_and_no_alarm() {
        let mut fixture = testing::just_started().failing("weather", Cause::Dns, 60);
        fixture.is_example = true;
        let response = fixture.app().render(&request("/web", &[]));
        let page = body(&response);
        for expected in [
            "Welcome.",
            "/var/lib/main-node/main-node.db",
            "<code>/nowhere/main-node.toml</code> <span class=\"quiet\">is not there</span>",
            "url = &quot;http://127.0.0.1:8000/status&quot;",
            "main-node check",
            "The example: weather has never answered",
        ] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
        assert!(!page.contains("class=\"state fail\""), "{page}");
    }

    #[test]
    fn the_snippet_is_a_valid_configuration() {
        let text = super::snippet("192.168.1.20:8000");
        let document: toml::Table = text.parse().expect("TOML");
        assert_eq!(
            document["source"][0]["url"].as_str(),
            Some("http://192.168.1.20:8000/status")
        );
    }
}
