//! `main-node pair`: lets the TRMNL device of a display get its key again.

use super::{FAILED, USAGE_ERROR, load_config, print_out};
use crate::config::{Config, Overrides};
use crate::domain::plan::{DisplayPlan, MacAddress};
use crate::domain::time::Wall;
use crate::limits;
use crate::monitor::DeviceKeys;
use crate::sys::clock::{Clock, SystemClock};

pub fn pair(overrides: &Overrides, name: &str) -> u8 {
    let config = match load_config(overrides) {
        Ok(config) => config,
        Err(status) => return status,
    };
    match try_pair(&config, name, SystemClock::new().now().wall) {
        Ok(text) => print_out(&text),
        Err((message, status)) => {
            eprintln!("{message}");
            status
        }
    }
}

/// What is printed; or why not, and the exit status.
fn try_pair(config: &Config, name: &str, now: Wall) -> Result<String, (String, u8)> {
    let displays = &config.pages.displays;
    let device = find_device(displays, name).map_err(|message| (message, USAGE_ERROR))?;
    let keys = DeviceKeys::beside(&config.database);
    let key = keys
        .pair(device, now)
        .map_err(|message| (message, FAILED))?;
    let minutes = limits::PAIRING_TIME.as_secs() / 60;
    Ok(format!(
        "The device {device} of the display {name} gets its key again within {minutes} minutes: set \
         it up now, with the address of this node as its server. A program that asks for the key \
         itself, such as KOReader's plugin, takes this: {key}\n"
    ))
}

fn find_device<'a>(displays: &'a [DisplayPlan], name: &str) -> Result<&'a MacAddress, String> {
    let Some(display) = displays.iter().find(|it| &*it.name == name) else {
        let names: Vec<&str> = displays.iter().map(|it| &*it.name).collect();
        let there_are = match names[..] {
            [] => "there is none".to_owned(),
            _ => format!("there are {}", names.join(", ")),
        };
        return Err(format!(
            "NAME: no [[display]] has the name {name:?}; {there_are}"
        ));
    };
    display.device.as_ref().ok_or_else(|| {
        format!(
            "the display {name} has no device: add device = \"AA:BB:CC:DD:EE:FF\" to its [[display]]. \
             The page System lists devices that asked to be set up"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_with_a_device_is_paired_and_others_are_explained() {
        let directory = crate::golden::scratch("pair");
        let file = directory.join("main-node.toml");
        let text = format!(
            "database = \"{}\"\n[[source]]\nname = \"a\"\nurl = \"http://a.lan/\"\n\
             [[display]]\nname = \"hall\"\nmodel = \"trmnl-og\"\ndevice = \"aa:bb:cc:dd:ee:0f\"\n\
             [[display]]\nname = \"attic\"\nmodel = \"trmnl-og\"\n",
            directory.join("main-node.db").display()
        );
        std::fs::write(&file, text).expect("it can be written");
        let overrides = Overrides {
            file: Some(file),
            ..Overrides::default()
        };
        let config = crate::config::load(&overrides, Default::default(), &[]);
        let config = config.expect("it is valid");
        let pair = |name: &str| try_pair(&config, name, Wall(0));
        let (unknown, status) = pair("hal").expect_err("no such name");
        assert_eq!(
            (&*unknown, status),
            (
                "NAME: no [[display]] has the name \"hal\"; there are hall, attic",
                USAGE_ERROR
            )
        );
        let (without, status) = pair("attic").expect_err("it has no device");
        assert!(without.starts_with("the display attic has no device: add device = "));
        assert_eq!(status, USAGE_ERROR);
        assert!(!directory.join("displays.json").exists());
        let done = pair("hall").expect("it has a device");
        assert!(done.starts_with("The device AA:BB:CC:DD:EE:0F of the display hall gets"));
        std::fs::write(directory.join("displays.json"), "{}").expect("it can be written");
        let (damaged, status) = pair("hall").expect_err("the file is damaged");
        assert!(damaged.ends_with(
            "displays.json cannot be used: it is damaged. Remove it and set each TRMNL device up again"
        ));
        assert_eq!(status, FAILED);
    }
}
