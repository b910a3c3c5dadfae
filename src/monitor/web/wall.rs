//! Wall page (kiosk page): a few values in figures that can be read across a room.
//!
//! It fits any screen: each cell is an SVG that scales with it. `wall.js` keeps it up to date;
//! a browser without scripts reloads it.

mod cell;

use std::borrow::Cow;

use maud::{DOCTYPE, Markup, html};

use self::cell::{CellContent, CellLayout};
use super::PageContext;
use super::fitted_text::{self, Weight};
use super::manifest;
use super::shown_keys::{self, ShownKey};
use crate::domain::percent;
use crate::domain::plan::{Plan, WallPlan};
use crate::domain::snapshot::DataStatus;
use crate::domain::time::ClockTrust;
use crate::limits;
use crate::monitor::format::to_zoned;
use crate::monitor::problem::{ProblemDetails, unknown_name_problem};

/// Seconds between reloads in a browser without scripts.
const RELOAD_SECONDS: u64 = 60;

/// What the script asks for as `?fragment=`.
pub const PART: &str = "wall";

/// The option of the URL: `?theme=dark`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the browser prefers.
    Auto,
    Dark,
    Light,
}

impl Theme {
    pub fn parse(text: Option<&str>) -> Result<Theme, ProblemDetails> {
        match text {
            None => Ok(Theme::Auto),
            Some("dark") => Ok(Theme::Dark),
            Some("light") => Ok(Theme::Light),
            Some(other) => {
                let detail = format!("`theme` is {other:?}; expected dark or light.");
                Err(ProblemDetails::new(400, detail))
            }
        }
    }

    fn class(self) -> &'static str {
        match self {
            Theme::Auto => "",
            Theme::Dark => "dark",
            Theme::Light => "light",
        }
    }

    fn query(self) -> &'static str {
        match self {
            Theme::Auto => "",
            Theme::Dark => "?theme=dark",
            Theme::Light => "?theme=light",
        }
    }
}

/// The wall page of a name. There always is one without: the one that is configured so, else
/// the first, else one of the first group's keys.
pub fn find<'p>(plan: &'p Plan, name: Option<&str>) -> Result<Cow<'p, WallPlan>, ProblemDetails> {
    let walls = &plan.pages.walls;
    let found = walls.iter().find(|wall| wall.name.as_deref() == name);
    match (
        found.or_else(|| walls.first().filter(|_| name.is_none())),
        name,
    ) {
        (Some(wall), _) => Ok(Cow::Borrowed(wall)),
        (None, None) => Ok(Cow::Owned(WallPlan::default())),
        (None, Some(name)) => {
            let names = walls.iter().filter_map(|wall| wall.name.as_deref());
            let mut problem = unknown_name_problem("wall page", name, names, named_path);
            if problem.suggestions.is_empty() {
                problem.detail = format!("There is no wall page {name:?}, only /wall.");
            }
            Err(problem)
        }
    }
}

/// The path of a wall page.
pub fn path(wall: &WallPlan) -> String {
    match &wall.name {
        Some(name) => named_path(name),
        None => "/wall".to_owned(),
    }
}

fn named_path(name: &str) -> String {
    format!("/wall/{}", percent::encode(name))
}

/// The whole document.
pub fn document(view: &PageContext, wall: &WallPlan, theme: Theme) -> Markup {
    let (next, seconds) = next(view, wall, theme)
        .map_or((None, RELOAD_SECONDS), |(url, seconds)| {
            (Some(url), seconds)
        });
    let reload = match next {
        Some(url) => format!("{seconds}; url={url}"),
        None => seconds.to_string(),
    };
    html! {
        (DOCTYPE)
        html lang="en" class=(theme_class(view, wall, theme)) data-base=(view.links.base) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Full screen, where iOS opens it from the home screen.
                meta name="apple-mobile-web-app-capable" content="yes";
                title { (view.title()) }
                noscript { meta http-equiv="refresh" content=(reload); }
                link rel="icon" type="image/svg+xml" href=(view.links.url("/favicon.svg"));
                link rel="apple-touch-icon"
                    href=(view.links.url(&format!("/web/icon/{}", manifest::TOUCH_ICON)));
                link rel="stylesheet"
                    href=(view.links.url(&format!("/web/style/{}", super::wall_style_name())));
                script src=(view.links.url(&format!("/web/script/{}", super::wall_script_name())))
                    defer {}
            }
            body {
                header { h1 { (view.title()) } }
                main id="main" { (part(view, wall, theme)) }
            }
        }
    }
}

/// What changes: the page's script swaps it.
pub fn part(view: &PageContext, wall: &WallPlan, theme: Theme) -> Markup {
    let defaults = (limits::WALL_DEFAULT_CELLS, limits::WALL_FIRST_VALUES);
    let shown = shown_keys::shown(view, &wall.keys, limits::WALL_CELLS, defaults);
    let cells: Vec<CellContent> = shown.iter().map(|it| cell::content(view, it)).collect();
    let layout = CellLayout::of(&cells);
    let (columns, rows) = layout.grid;
    let line = text_line(view, wall);
    let local = to_zoned(view.now.wall, &view.settings.timezone);
    let next = next(view, wall, theme);
    // Another place each hour, against burn-in.
    let shift = local.hour() % 4;
    let class = format!("s{shift}{}", if line.is_some() { "" } else { " plain" });
    let milliseconds = view.now.wall.0 + i64::from(local.offset().seconds()) * 1000;
    html! {
        div id="wall" class=(class)
            data-version=(version(view))
            data-theme=(theme_class(view, wall, theme))
            data-local=(milliseconds)
            data-next=[next.as_ref().map(|(url, _)| url)]
            data-after=[next.as_ref().map(|(_, seconds)| seconds)] {
            ul class=(format!("cells c{columns} r{rows}")) {
                @for cell in &cells { (layout.cell(cell)) }
            }
            @if let Some(line) = line { p class="line" { (line) } }
            (note(view, &local))
            span id="clock" class=[(!has_clock(view)).then_some("unset")] {
                (local.strftime("%H:%M").to_string())
            }
        }
    }
}

/// What a page that is open for months must be loaded again for.
fn version(view: &PageContext) -> String {
    format!("{} {}", view.settings.version, (view.settings.build)())
}

fn theme_class(view: &PageContext, wall: &WallPlan, theme: Theme) -> String {
    let zone = &view.settings.timezone;
    let is_dim = wall
        .dim
        .as_ref()
        .is_some_and(|it| it.contains(view.now.wall, zone));
    match (is_dim && has_clock(view), theme.class()) {
        (true, _) => "dark dim".to_owned(),
        (false, class) => class.to_owned(),
    }
}

/// The page that follows, and after how many seconds.
fn next(view: &PageContext, wall: &WallPlan, theme: Theme) -> Option<(String, u64)> {
    let walls = &view.plan.pages.walls;
    let at = walls.iter().position(|it| it.name == wall.name)?;
    let next = walls
        .get((at + 1) % walls.len())
        .filter(|_| walls.len() > 1)?;
    let url = format!("{}{}", view.links.url(&path(next)), theme.query());
    Some((url, wall.rotate?.as_secs().max(1)))
}

/// Whether the time is known well enough to act on it.
fn has_clock(view: &PageContext) -> bool {
    view.now.trust != ClockTrust::Untrusted
}

/// The line of text: texts as they are, other values behind their labels.
fn text_line(view: &PageContext, wall: &WallPlan) -> Option<Markup> {
    let parts: Vec<String> = shown_keys::selected(view, &wall.text)
        .iter()
        .filter_map(|it| match it {
            ShownKey::Record(record) => Some(shown_keys::sentence(
                view,
                record,
                shown_keys::words(view, record),
            )),
            ShownKey::Missing(_) => None,
        })
        .collect();
    if wall.text.is_empty() {
        return None;
    }
    let text = fitted_text::cut(&parts.join(" · "), Weight::Regular, LINE_EMS.1);
    // Short lines are no larger than others.
    let ems = fitted_text::width(&text, Weight::Regular).max(LINE_EMS.0);
    Some(html! {
        svg role="img" aria-label=(text) viewBox=(format!("0 0 {:.1} 13", ems * 10.0))
            preserveAspectRatio="xMinYMid meet" {
            text x="0" y="10" font-size="10" { (text) }
        }
    })
}

/// How many ems the line of text has at least, so that its letters have one size, and at most.
const LINE_EMS: (f64, f64) = (20.0, 60.0);

/// What is wrong, or the date.
fn note(view: &PageContext, local: &jiff::ZonedDateTime) -> Markup {
    let locale = &view.plan.pages.locale;
    let headline = &view.state.headline;
    html! {
        @match view.state.verdict {
            DataStatus::Pass => p id="note" { (locale.weekday_and_date(local.date())) },
            DataStatus::Warn => p id="note" class="alarm" { "▲ " (headline) },
            DataStatus::Fail => p id="note" class="alarm" { "✕ " (headline) },
        }
    }
}

#[cfg(test)]
#[path = "tests/wall.rs"]
mod tests;
