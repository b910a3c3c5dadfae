//! Web app manifest and icons, for the home screens of phones and tablets.
//!
//! `.ci/icons` draws the icons.

use serde::Serialize;

use super::Links;

/// Colour of the icons, and of the window's frame around the pages.
pub const THEME_COLOUR: &str = "#0b63a5";

/// An icon as it is served at `/web/icon/{file}`.
pub struct Icon {
    pub file: &'static str,
    sizes: &'static str,
    pub png: &'static [u8],
}

/// The drawing leaves room at its edges: launchers may cut it to any shape.
pub static ICONS: [Icon; 3] = [
    Icon {
        file: "192.png",
        sizes: "192x192",
        png: include_bytes!("icons/192.png"),
    },
    Icon {
        file: "512.png",
        sizes: "512x512",
        png: include_bytes!("icons/512.png"),
    },
    Icon {
        file: TOUCH_ICON,
        sizes: "180x180",
        png: include_bytes!("icons/180.png"),
    },
];

/// What iOS puts on its home screen.
pub const TOUCH_ICON: &str = "180.png";

#[derive(Serialize)]
struct Manifest<'a> {
    id: String,
    name: &'a str,
    short_name: &'a str,
    start_url: String,
    scope: String,
    display: &'a str,
    theme_color: &'a str,
    background_color: &'a str,
    icons: Vec<ManifestIcon>,
}

#[derive(Serialize)]
struct ManifestIcon {
    src: String,
    sizes: &'static str,
    r#type: &'static str,
    purpose: &'static str,
}

/// The manifest (W3C Web Application Manifest) of a node that is reached by these links.
pub fn render(title: &str, links: &Links) -> Vec<u8> {
    let icon = |(icon, purpose): (&Icon, &'static str)| ManifestIcon {
        src: links.url(&format!("/web/icon/{}", icon.file)),
        sizes: icon.sizes,
        r#type: "image/png",
        purpose,
    };
    let plain = ICONS.iter().map(|icon| (icon, "any"));
    let masked = ICONS.iter().map(|icon| (icon, "maskable"));
    let manifest = Manifest {
        id: links.url("/web"),
        name: title,
        short_name: title,
        start_url: links.url("/web"),
        scope: links.url("/"),
        display: "standalone",
        theme_color: THEME_COLOUR,
        background_color: "#f6f7f9",
        icons: plain.chain(masked).map(icon).collect(),
    };
    // Strings always serialise.
    serde_json::to_vec(&manifest).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::support::{self as testing, body, header, request};

    #[test]
    fn icons_are_png_files_of_their_size() {
        for icon in &ICONS {
            assert_eq!(&icon.png[..8], b"\x89PNG\r\n\x1a\n", "{}", icon.file);
            let side = u32::from_be_bytes(icon.png[16..20].try_into().expect("four bytes"));
            assert_eq!(icon.sizes, format!("{side}x{side}"));
            assert_eq!(icon.file, format!("{side}.png"));
        }
    }

    #[test]
    fn the_manifest_leads_to_the_overview_and_to_icons_that_are_served() {
        let app = testing::healthy().app();
        let response = testing::respond(&app, &request("/manifest.webmanifest", &[]));
        let kind = header(&response, "Content-Type");
        assert_eq!(kind, Some("application/manifest+json"));
        let manifest: serde_json::Value = serde_json::from_str(body(&response)).expect("JSON");
        assert_eq!(manifest["name"], "main-node");
        assert_eq!(manifest["display"], "standalone");
        assert_eq!(manifest["start_url"], "/web");
        let icons = manifest["icons"].as_array().expect("icons");
        assert_eq!(icons.len(), 6);
        for icon in icons {
            let target = icon["src"].as_str().expect("a path");
            let response = testing::respond(&app, &request(target, &[]));
            assert_eq!(response.status, 200, "{target}");
            assert_eq!(header(&response, "Content-Type"), Some("image/png"));
        }
    }

    #[test]
    fn everything_in_the_manifest_is_below_the_base() {
        let links = Links {
            base: "/node".to_owned(),
        };
        let manifest: serde_json::Value =
            serde_json::from_slice(&render("House", &links)).expect("JSON");
        assert_eq!(manifest["start_url"], "/node/web");
        assert_eq!(manifest["scope"], "/node/");
        assert_eq!(manifest["icons"][0]["src"], "/node/web/icon/192.png");
    }
}
