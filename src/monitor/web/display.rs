//! Preview page of a display: its picture at its own size and at twice that, its addresses and its files.

use maud::{DOCTYPE, Markup, html};

use super::PageContext;
use super::layout::{Page, Part};
use crate::domain::percent;
use crate::domain::plan::{DisplayPlan, PanelColours};
use crate::domain::text::human_duration;
use crate::monitor::routes::pictures::Picture;

pub fn page(view: &PageContext, display: &DisplayPlan, picture: &Picture) -> Page {
    let name = &*display.name;
    let panel = display.panel;
    let file = |extension: &str| view.url(&format!("/display/{name}.{extension}"));
    let source = format!("{}?v={:016x}", file("png"), picture.hash);
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
                a href=(file(extension)) { (name) "." (extension) } " "
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

/// The picture and its files alone, for a browser that has the token: it opens no other page, no style and no
/// script. The page is loaded anew as often as the display asks.
pub fn page_of_token(
    view: &PageContext,
    display: &DisplayPlan,
    picture: &Picture,
    token: &str,
) -> Markup {
    let (name, panel) = (&*display.name, display.panel);
    let token = percent::encode(token);
    let file = |extension: &str| view.url(&format!("/display/{name}.{extension}?token={token}"));
    let source = format!("{}&v={:016x}", file("png"), picture.hash);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(display.every.as_secs());
                title { "Display " (name) }
            }
            body {
                h1 { "Display " (name) }
                p {
                    img src=(source) alt=(format!("What {name} shows")) width=(panel.width)
                        height=(panel.height);
                }
                p {
                    @for extension in ["png", "bmp", "raw", "json"] {
                        a href=(file(extension)) { (name) "." (extension) } " "
                    }
                }
            }
        }
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
