//! Page layout: head, navigation, the status sentence, and how parts become a
//! whole page or a fragment of one.

use maud::{DOCTYPE, Markup, html};

use super::{Links, PageContext, manifest};
use crate::domain::snapshot::DataStatus;
use crate::domain::time::{ClockTrust, Moment, Wall};
use crate::limits;
use crate::monitor::format::{format_age, format_local};
use crate::monitor::problem::{ProblemDetails, reason_phrase};
use crate::monitor::status_text::{StatusPage, StatusSentence};

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

/// One part of a page; `all` is all that the script swaps.
pub fn fragment(view: &PageContext, page: &Page, name: &str) -> Result<Markup, ProblemDetails> {
    let is_wanted = |part: &&Part| part.name == name || (name == "all" && part.is_live);
    let parts: Vec<&Part> = page.parts.iter().filter(is_wanted).collect();
    if parts.is_empty() {
        let names: Vec<&str> = page.parts.iter().map(|part| part.name).collect();
        let names = names.join(", ");
        let detail = format!("This page has no fragment {name:?}; it has: all, {names}.");
        return Err(ProblemDetails::new(404, detail));
    }
    Ok(html! {
        @if name == "all" { (navigation(view, &page.title)) }
        @for part in parts { (part.markup) }
    })
}

/// The part that every page begins with: on the overview all that is wrong, a sentence each; on
/// other pages the worst of it in a line.
pub fn status_section(view: &PageContext, page_title: &str) -> Part {
    let state = view.state;
    let is_overview = page_title == OVERVIEW;
    let icon = favicon_url(view);
    let size = if is_overview { "state" } else { "state brief" };
    Part {
        name: "state",
        is_live: true,
        markup: html! {
            section id="state" data-live data-title=(title_of(view, page_title)) data-icon=(icon)
                class=(format!("{size} {}", state.verdict.name())) {
                p id="sentence" role="status" {
                    @match state.problems.first() {
                        Some(worst) => (sentence(view, worst)),
                        None => { (mark(verdict_mark(state.verdict))) " " (state.headline) },
                    }
                    @if !is_overview && state.problems.len() > 1 {
                        " " a href=(view.url("/web")) {
                            "and " (state.problems.len() - 1) " more"
                        }
                    }
                }
                @if is_overview {
                    (other_problems(view))
                    (notice(view))
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

/// The sentences behind the first, and how many sources and values are well.
fn other_problems(view: &PageContext) -> Markup {
    let problems = &view.state.problems;
    let open = problems.len().min(limits::STATE_SENTENCES);
    let (open, folded) = problems.split_at(open);
    let list = |problems: &[StatusSentence]| {
        html! { ul { @for problem in problems { li { (sentence(view, problem)) } } } }
    };
    html! {
        @if open.len() > 1 { (list(&open[1..])) }
        @if !folded.is_empty() {
            details { summary { "and " (folded.len()) " more" } (list(folded)) }
        }
        @if !problems.is_empty() { p class="totals" { (view.state.totals) } }
    }
}

fn sentence(view: &PageContext, problem: &StatusSentence) -> Markup {
    let url = match &problem.page {
        StatusPage::Key(key) => view.links.key(key),
        StatusPage::Source(name) => view.links.source(name),
        StatusPage::Alerts => view.url("/web/alerts"),
        StatusPage::System => view.url("/web/system"),
    };
    html! {
        (mark(if problem.is_failure { "✕" } else { "▲" })) " "
        a href=(url) { (problem.subject) } (problem.rest)
    }
}

fn mark(sign: &str) -> Markup {
    html! { span class="sign" { (sign) } }
}

fn notice(view: &PageContext) -> Markup {
    html! {
        @if view.settings.is_demo {
            p class="notice" {
                "Demo mode: all values are simulated, and nothing is fetched."
                @if let Some(percent) = unfinished_demo_history(view) {
                    " The history is being generated: " (percent) " %."
                }
            }
        } @else if view.settings.is_example {
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
}

/// The title contains the state too; on the overview as a sentence.
pub fn title_of(view: &PageContext, page_title: &str) -> String {
    if view.is_unconfigured() && page_title == OVERVIEW {
        return format!("Welcome – {}", view.title());
    }
    let subject = match page_title {
        OVERVIEW => &view.state.headline,
        other => other,
    };
    let mark = verdict_mark(view.state.verdict);
    format!("{mark} {subject} – {}", view.title())
}

/// The icon that shows the state.
pub fn favicon_url(view: &PageContext) -> String {
    let verdict = if view.is_unconfigured() {
        DataStatus::Pass
    } else {
        view.state.verdict
    };
    view.url(&format!("/favicon.svg?state={}", verdict.name()))
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
                    (navigation(view, &page.title))
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
                        (times(view)) " "
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

/// The links to the main pages; the script keeps the number of alerts up to date.
fn navigation(view: &PageContext, title: &str) -> Markup {
    let alerts = view.snapshot.alerts.len();
    let wall = view.plan.pages.walls.first();
    let link = |url: String, name: &str, count: usize| {
        let is_current = (title == name).then_some("page");
        html! {
            a href=(url) aria-current=[is_current] {
                (name)
                @if count > 0 { " " span class="count" { (count) } }
            }
            " "
        }
    };
    html! {
        nav id="pages" data-live aria-label="Pages" {
            (link(view.url("/web"), OVERVIEW, 0))
            (link(view.url("/web/chart"), "Charts", 0))
            (link(view.url("/web/alerts"), "Alerts", alerts))
            (link(view.url("/web/system"), "System", 0))
            @if let Some(wall) = wall { (link(view.links.wall(wall.name.as_deref()), "Wall", 0)) }
        }
    }
}

/// What the times of the page are worth.
fn times(view: &PageContext) -> String {
    match view.now.trust {
        ClockTrust::Untrusted => {
            "Ages count from when a value came; times of day are unknown until the clock is set."
                .to_owned()
        }
        _ => format!("Times are in {}.", zone_name(view)),
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
                    @if !problem.suggestions.is_empty() {
                        ul {
                            @for page in &problem.suggestions {
                                li { a href=(links.url(&page.path)) { (page.text) } }
                            }
                        }
                    }
                    p { a href=(links.url("/web")) { "Back to the overview" } }
                }
            }
        }
    }
}

/// An age; the exact local time is in its title, where there is a clock that knows it.
pub fn time_element(view: &PageContext, wall: Wall, age: Option<std::time::Duration>) -> Markup {
    let text = age.map_or_else(|| "age unknown".to_owned(), format_age);
    timed_text(view, wall, &text)
}

/// A text with the exact local time in its title.
pub fn timed_text(view: &PageContext, wall: Wall, text: &str) -> Markup {
    if view.now.trust == ClockTrust::Untrusted {
        return html! { span title="the clock is not set" { (text) } };
    }
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
