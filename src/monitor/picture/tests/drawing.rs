use super::super::draw;
use super::super::support::*;
use super::*;
use crate::domain::plan::{PanelColours, PictureLayout};

/// Files to look at: `PICTURES=/folder cargo test --bin main-node pictures_to_look_at -- --ignored`.
#[test]
#[ignore = "writes files for a person"]
fn pictures_to_look_at() {
    let folder = std::env::var("PICTURES").expect("PICTURES names a folder");
    let panels = [
        ("800x480-1bit", grey(800, 480, 1)),
        ("800x480-2bit", grey(800, 480, 2)),
        ("1404x1872-8bit", grey(1404, 1872, 8)),
        ("400x300-bwr", panel(400, 300, PanelColours::BlackWhiteRed)),
        ("296x128-1bit", grey(296, 128, 1)),
        ("128x64-1bit", grey(128, 64, 1)),
        ("800x480-spectra6", panel(800, 480, PanelColours::Spectra6)),
    ];
    for (name, panel) in panels {
        for (layout, kind) in PictureLayout::NAMED {
            let started = std::time::Instant::now();
            let picture = draw(&house(kind), &time(), &panel).encode(&panel, PictureFormat::Png);
            eprintln!(
                "{name} {layout}: {} bytes, {:?}",
                picture.len(),
                started.elapsed()
            );
            std::fs::write(format!("{folder}/{name}-{layout}.png"), picture).expect("written");
        }
    }
}
