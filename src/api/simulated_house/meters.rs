//! Energy meters of the simulated house: the sum of a power since the meters were installed.
//!
//! Sums of whole hours are kept, because they are asked for again and again; they are what anybody
//! would compute anew.

use super::local_instant::LocalInstant;
use super::{devices, energy};
use crate::sys::sync::Mutex;

/// 1 January 2025, when the meters were installed: an hour since 1970.
const FIRST_HOUR: i64 = 482_136;
/// Within it a power counts as constant.
const HOUR: i64 = 3_600;
/// Hours that are kept: 20 years of them are 7 MB.
const MOST_HOURS: i64 = 20 * 366 * 24;

/// What the meters show, in watt-hours.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MeterReadings {
    pub solar: f64,
    pub import: f64,
    pub export: f64,
    pub heat_pump: f64,
    pub washing_machine: f64,
}

#[derive(Default)]
pub struct Meters {
    /// What they showed at the begin of each hour since the first.
    hours: Mutex<Vec<MeterReadings>>,
}

impl Meters {
    /// They are at zero before they are installed, and stand still when they are too old.
    pub fn read(&self, at: &LocalInstant) -> MeterReadings {
        let hour = at.second.div_euclid(HOUR);
        let index = (hour - FIRST_HOUR).clamp(0, MOST_HOURS);
        let mut readings = self.at_begin_of(usize::try_from(index).unwrap_or(0), at);
        if index == hour - FIRST_HOUR {
            let part = at.second.rem_euclid(HOUR) as f64 / HOUR as f64;
            add_hour(&mut readings, at, hour, part);
        }
        readings
    }

    fn at_begin_of(&self, index: usize, at: &LocalInstant) -> MeterReadings {
        let mut hours = self.hours.lock();
        let mut readings = hours.last().copied().unwrap_or_default();
        if hours.is_empty() {
            hours.push(readings);
        }
        while hours.len() <= index {
            let hour = FIRST_HOUR + hours.len() as i64 - 1;
            add_hour(&mut readings, at, hour, 1.0);
            hours.push(readings);
        }
        hours[index]
    }
}

/// Adds what flows in `part` of an hour since 1970; `at` is any instant in the zone.
fn add_hour(to: &mut MeterReadings, at: &LocalInstant, hour: i64, part: f64) {
    let middle = at.shifted(hour * HOUR + HOUR / 2 - at.second);
    let flow = energy::flow(&middle);
    to.solar += flow.solar * part;
    to.import += flow.grid.max(0.0) * part;
    to.export += (-flow.grid).max(0.0) * part;
    to.heat_pump += devices::heat_pump_mean_power(&middle) * part;
    to.washing_machine += devices::washing_power(&middle) * part;
}
