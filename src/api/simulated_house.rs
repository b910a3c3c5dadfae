//! Simulated house for the demo: JSON answers of its devices at any instant.
//!
//! The same instant always gives the same values, so that a history made in a second and what is
//! polled later fit together. Reads no clock; keeps nothing but sums of what it can compute anew.

mod devices;
mod energy;
mod local_instant;
mod meters;
mod rooms;
mod weather;

use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use self::local_instant::LocalInstant;
use self::meters::Meters;
use crate::domain::time::Wall;

/// Seconds of every ten minutes in which the washing machine's plug answers with an error.
const OUTAGE: std::ops::Range<i64> = 420..480;
const OUTAGE_INTERVAL: i64 = 600;

pub struct House {
    zone: TimeZone,
    meters: Meters,
}

impl House {
    /// A house whose people live by the clock of `zone`.
    pub fn new(zone: TimeZone) -> House {
        House {
            zone,
            meters: Meters::default(),
        }
    }

    /// Status and body of the answer of `device`; `None` if the house has no such device.
    pub fn answer(&self, device: &str, wall: Wall) -> Option<(u16, Json)> {
        let at = LocalInstant::new(wall, &self.zone);
        let body = match device {
            "inverter" => self.inverter(&at),
            "electricity-price" => energy::price_list(&at),
            "rooms" => rooms::answer(&at),
            "heat-pump" => devices::heat_pump(&at, self.meters.read(&at).heat_pump),
            "plug-fridge" => devices::fridge(&at),
            "plug-washing-machine" if OUTAGE.contains(&at.second.rem_euclid(OUTAGE_INTERVAL)) => {
                let error = json!({"error": "the relay does not answer"});
                return Some((503, error));
            }
            "plug-washing-machine" => {
                devices::washing_machine(&at, self.meters.read(&at).washing_machine)
            }
            "departures" => devices::departures(&at),
            "waste" => devices::waste(&at),
            _ => return None,
        };
        Some((200, body))
    }

    /// What the weather is, under the names of Open-Meteo; `None` for other quantities.
    pub fn weather(&self, quantity: &str, wall: Wall) -> Option<f64> {
        weather::quantity(quantity, &LocalInstant::new(wall, &self.zone))
    }

    /// A hybrid inverter: solar, battery and the meter of the grid.
    fn inverter(&self, at: &LocalInstant) -> Json {
        let flow = energy::flow(at);
        let meters = self.meters.read(at);
        let status = match flow.solar {
            solar if solar >= 1.0 => "Feeding in",
            _ if flow.battery <= -1.0 => "Discharging",
            _ => "Standby",
        };
        json!({
            "status": status,
            "pv": { "power": flow.solar.round(), "energy_total": meters.solar.round() },
            "battery": {
                "soc": local_instant::rounded(flow.charge, 1),
                "power": flow.battery.round(),
                "charging": flow.battery >= 1.0,
            },
            "grid": {
                "power": flow.grid.round(),
                "import_total": meters.import.round(),
                "export_total": meters.export.round(),
            },
        })
    }
}

#[cfg(test)]
#[path = "tests/simulated_house.rs"]
mod tests;
