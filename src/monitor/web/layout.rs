//! Page layout: head, navigation, the status sentence, and how parts become a
//! whole page or a fragment of one.

use maud::{DOCTYPE, Markup, html};

use super::{Links, PageContext, manifest};
use crate::domain::snapshot::DataStatus;
use crate::domain::time::{Moment, Wall};
use crate::monitor::format::{format_age, format_local};
use crate::monitor::problem::{ProblemDetails, reason_phrase};

pub const OVERVIEW: &str = "Overview";

/// A page in parts, each an element with its own `id`, so that the script can swap one.
pub struct Page {
    /// What the page is about, before the node's name.
    pub title: String,
    pub parts: Vec<Part>,
    /// Whether a part shows a heading of the first level; else it is there for readers of
    /// the structure only.
    pub has_own_heading: bool,
}

pub struct Part {
    pub name: &'static str,
    pub markup: Markup,
    /// Swapped when something changed; what is large and slow to change is not.
    pub is_live: bool,
}

impl Part {
    /// A part that the script keeps up to date.
    pub fn live(name: &'static str, inner: Markup) -> Part {
        Part {
            name,
            markup: html! { section id=(name) data-live { (inner) } },
            is_live: true,
        }
    }

    pub fn still(name: &'static str, inner: Markup) -> Part {
        Part {
            name,
            markup: html! { section id=(name) { (inner) } },
            is_live: false,
        }
    }
}

impl Page {
    /// One part; `all` is all that the script swaps.
    pub fn fragment(&self, name: &str) -> Result<Markup, ProblemDetails> {
        let parts: Vec<&Part> = self
            .parts
            .iter()
            .filter(|part| part.name == name || (name == "all" && part.is_live))
            .collect();
        if parts.is_empty() {
            let names: Vec<&str> = self.parts.iter().map(|part| part.name).collect();
            let names = names.join(", ");
            let detail = format!("This page has no fragment {name:?}; it has: all, {names}.");
            return Err(ProblemDetails::new(404, detail));
        }
        Ok(html! { @for part in parts { (part.markup) } })
    }
}

/// The part that every page begins with: the state in one sentence, on the overview with all
/// that is wrong besides.
pub fn status_section(view: &PageContext, page_title: &str) -> Part {
    let state = view.state;
    let is_overview = page_title == OVERVIEW;
    let icon = favicon_url(view);
    Part {
        name: "state",
        is_live: true,
        markup: html! {
            section id="state" data-live data-title=(title_of(view, page_title)) data-icon=(icon)
                class=(format!("state {}", state.verdict.name())) {
                p id="sentence" role="status" {
                    span class="sign" { (verdict_mark(state.verdict)) } " " (state.headline)
                }
                @if is_overview && !state.details.is_empty() {
                    ul {
                        @for sentence in &state.details { li { (sentence) } }
                    }
                }
                @if is_overview && view.settings.is_demo {
                    p class="notice" {
                        "Demo mode: all values are simulated, and nothing is fetched."
                        @if let Some(percent) = unfinished_demo_history(view) {
                            " The history is being generated: " (percent) " %."
                        }
                    }
                } @else if is_overview && view.settings.is_example {
                    p class="notice" {
                        "Nothing is configured yet: these are example values of a weather API. \
                         Add your sources to "
                        code { "main-node.toml" }
                        "; "
                        code { "main-node operations" }
                        " lists the available operations, ready to paste."
                    }
                }
            }
        },
    }
}

/// How much of the demo's history is generated, in percent, while it is not all.
fn unfinished_demo_history(view: &PageContext) -> Option<u8> {
    let history = view.settings.demo_history.as_ref()?;
    (!history.is_complete()).then(|| history.get())
}

/// The title contains the state too; on the overview as a sentence.
fn title_of(view: &PageContext, page_title: &str) -> String {
    let subject = match page_title {
        OVERVIEW => &view.state.headline,
        other => other,
    };
    let mark = verdict_mark(view.state.verdict);
    format!("{mark} {subject} – {}", view.title())
}

/// The icon that shows the state.
fn favicon_url(view: &PageContext) -> String {
    view.url(&format!("/favicon.svg?state={}", view.state.verdict.name()))
}

/// The mark of a verdict, so that colour is not the only sign.
fn verdict_mark(verdict: DataStatus) -> &'static str {
    match verdict {
        DataStatus::Pass => "✓",
        DataStatus::Warn => "▲",
        DataStatus::Fail => "✕",
    }
}

/// A whole document.
pub fn document(view: &PageContext, page: &Page) -> Markup {
    let title = title_of(view, &page.title);
    let icon = favicon_url(view);
    let credits: Vec<&str> = view
        .snapshot
        .sources
        .iter()
        .filter_map(|source| source.attribution.as_deref())
        .collect();
    html! {
        (DOCTYPE)
        html lang="en" data-base=(view.links.base) {
            head {
                (head(view.links, &title, &icon))
                script src=(view.url(&format!("/web/script/{}", super::script_name()))) defer {}
            }
            body {
                a class="skip" href="#main" { "Skip to content" }
                " "
                header {
                    a class="name" href=(view.url("/web")) { (view.title()) }
                    " "
                    nav aria-label="Pages" {
                        (nav_link(&view.url("/web"), "Overview", page.title == OVERVIEW))
                        " "
                        (nav_link(&view.url("/web/alerts"), "Alerts", page.title == "Alerts"))
                        " "
                        (nav_link(&view.url("/web/about"), "About", page.title == "About"))
                    }
                }
                main id="main" {
                    @if !page.has_own_heading { h1 class="unseen" { (page.title) } }
                    // Filled by the script: a browser that knows no `hidden` shows nothing.
                    p id="offline" class="notice" hidden {}
                    @for part in &page.parts { (part.markup) }
                }
                footer {
                    @for credit in credits { p { (credit) } }
                    p {
                        "Times are in " (zone_name(view)) ". "
                        a href=(view.url("/snapshot")) { "Snapshot" } ", "
                        a href=(view.url("/status")) { "status" } ", "
                        a href=(view.url("/metrics")) { "metrics" } ", "
                        a href=(view.url("/openapi.json")) { "API" } "."
                    }
                }
            }
        }
    }
}

fn zone_name(view: &PageContext) -> String {
    match view.settings.timezone.iana_name() {
        Some(name) => name.to_owned(),
        None => format_local(view.now.wall, &view.settings.timezone)
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

fn head(links: &Links, title: &str, icon: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        title { (title) }
        link rel="icon" type="image/svg+xml" href=(icon);
        link rel="apple-touch-icon"
            href=(links.url(&format!("/web/icon/{}", manifest::TOUCH_ICON)));
        // With the password, where there is one.
        link rel="manifest" href=(links.url("/manifest.webmanifest")) crossorigin="use-credentials";
        meta name="theme-color" content=(manifest::THEME_COLOUR);
        link rel="stylesheet" href=(links.url(&format!("/web/style/{}", super::style_name())));
    }
}

fn nav_link(href: &str, text: &str, is_current: bool) -> Markup {
    html! { a href=(href) aria-current=[is_current.then_some("page")] { (text) } }
}

/// An error page.
pub fn error_page(links: &Links, problem: &ProblemDetails) -> Markup {
    let title = reason_phrase(problem.status);
    html! {
        (DOCTYPE)
        html lang="en" {
            head { (head(links, title, &links.url("/favicon.svg"))) }
            body {
                header { a class="name" href=(links.url("/web")) { "main-node" } }
                main id="main" {
                    h1 { (title) }
                    p { (problem.detail) }
                    p { a href=(links.url("/web")) { "Back to the overview" } }
                }
            }
        }
    }
}

/// An age; the exact local time is in its title.
pub fn time_element(view: &PageContext, wall: Wall, age: Option<std::time::Duration>) -> Markup {
    let text = age.map_or_else(|| "age unknown".to_owned(), format_age);
    html! {
        time datetime=(wall.to_string()) title=(format_local(wall, &view.settings.timezone)) { (text) }
    }
}

/// The same for an earlier moment of this process.
pub fn past_time(view: &PageContext, past: Moment) -> Markup {
    let wall = crate::monitor::format::corrected_wall(past, view.now);
    time_element(view, wall, Some(view.now.mono.since(past.mono)))
}

/// Long dotted keys may break behind their dots.
pub fn key_name(key: &str) -> Markup {
    let mut parts = key.split_inclusive(['.', '_', '/', ':']);
    html! {
        (parts.next().unwrap_or_default())
        @for part in parts { wbr; (part) }
    }
}
