//! Preview page of a display: its picture at its own size and at twice that, its addresses and its files.

use maud::{Markup, html};

use super::PageContext;
use super::layout::{Page, Part};
use crate::domain::percent;
use crate::domain::plan::{DisplayPlan, PanelColours};
use crate::domain::text::human_duration;
use crate::monitor::routes::pictures::Picture;

/// `token`: that with which the page was asked for, which opens its files too.
pub fn page(
    view: &PageContext,
    display: &DisplayPlan,
    picture: &Picture,
    token: Option<&str>,
) -> Page {
    let name = &*display.name;
    let panel = display.panel;
    let token = token.map(|it| format!("token={}", percent::encode(it)));
    let file = |extension: &str, version: Option<&str>| {
        let parameters = version.into_iter().chain(token.as_deref());
        let parameters = parameters.collect::<Vec<_>>().join("&");
        let mark = if parameters.is_empty() { "" } else { "?" };
        view.url(&format!("/display/{name}.{extension}{mark}{parameters}"))
    };
    let source = file("png", Some(&format!("v={:016x}", picture.hash)));
    let image = |factor: u32| -> Markup {
        html! {
            img class="picture" src=(source) alt=(format!("What {name} shows"))
                width=(u32::from(panel.width) * factor) height=(u32::from(panel.height) * factor);
        }
    };
    let shown = html! {
        h1 { "Display " (name) }
        p { (image(1)) }
        p {
            (panel.width) " × " (panel.height) " pixels, " (colours(panel.colours)) ", asked for every "
            (human_duration(display.every)) ". Files: "
            @for extension in ["png", "bmp", "raw", "json"] {
                a href=(file(extension, None)) { (name) "." (extension) } " "
            }
        }
        details {
            summary { "Twice as large" }
            (image(2))
        }
    };
    Page {
        title: format!("Display {name}"),
        parts: vec![Part::live("picture", shown)],
        has_own_heading: true,
    }
}

fn colours(colours: PanelColours) -> &'static str {
    match colours {
        PanelColours::Grey { bits: 1 } => "black and white",
        PanelColours::Grey { bits: 2 } => "4 shades of grey",
        PanelColours::Grey { bits: 4 } => "16 shades of grey",
        PanelColours::Grey { .. } => "256 shades of grey",
        PanelColours::BlackWhiteRed => "black, white and red",
        PanelColours::BlackWhiteYellow => "black, white and yellow",
        PanelColours::BlackWhiteRedYellow => "black, white, red and yellow",
        PanelColours::Spectra6 => "six colours",
    }
}
