//! Energy of the simulated house: solar power, battery, consumption, grid and price.

use serde_json::{Value as Json, json};

use super::local_instant::{LocalInstant, hill, noise, rounded, winter_of};
use super::{devices, weather};

/// Watts on a clear summer noon.
const PEAK_POWER: f64 = 5_200.0;
/// Watt-hours that the battery stores, and what it charges at most in a day.
const CAPACITY: f64 = 7_700.0;
const MOST_CHARGED: f64 = 6_000.0;
/// Percent that stays in the battery.
const RESERVE: f64 = 11.0;

/// Where power comes from and goes to, in watts.
pub struct PowerFlow {
    pub solar: f64,
    /// Charging where positive.
    pub battery: f64,
    /// Percent.
    pub charge: f64,
    /// From the grid where positive, into it where negative.
    pub grid: f64,
}

pub fn flow(at: &LocalInstant) -> PowerFlow {
    let solar = solar(at);
    let (battery, charge) = battery(at);
    // The battery never feeds the grid.
    let consumption = consumption(at).max(60.0 - battery);
    PowerFlow {
        solar,
        battery,
        charge,
        grid: consumption + battery - solar,
    }
}

/// Sunrise and sunset, as hours of the local day.
fn sun_hours(day: i64) -> (f64, f64) {
    let half = 6.1 - 2.2 * winter_of(day as f64);
    (12.6 - half, 12.6 + half)
}

/// How much of its light of the day the sun has given at `hour`, from 0 to 1, and the part of
/// it in an hour.
fn daylight(day: i64, hour: f64) -> (f64, f64) {
    let (rise, set) = sun_hours(day);
    let part = ((hour - rise) / (set - rise)).clamp(0.0, 1.0);
    let given = part * part * (3.0 - 2.0 * part);
    (given, 6.0 * part * (1.0 - part) / (set - rise))
}

/// Watt-hours that the sun gives on a day, by its season and clouds.
fn yield_of(day: i64) -> f64 {
    let (rise, set) = sun_hours(day);
    let noon = day as f64 + 0.5;
    let clear = PEAK_POWER * (1.0 - 0.52 * (winter_of(noon) + 1.0) / 2.0) * (set - rise) / 1.5;
    clear * (1.0 - 0.0082 * weather::cloudiness(noon))
}

fn solar(at: &LocalInstant) -> f64 {
    let (_, in_an_hour) = daylight(at.day, at.hour);
    let passing = 1.0 + 0.22 * at.noise("solar", 1_200.0) + 0.05 * at.noise("flicker", 15.0);
    (yield_of(at.day) * in_an_hour * passing).max(0.0)
}

/// Watt-hours that a day puts into the battery.
fn charged_on(day: i64) -> f64 {
    (0.55 * yield_of(day)).min(MOST_CHARGED)
}

/// Power and charge of the battery: it follows the sun by day, and is empty at sunrise.
fn battery(at: &LocalInstant) -> (f64, f64) {
    let percent = |energy: f64| RESERVE + 100.0 * energy / CAPACITY;
    let (rise, set) = sun_hours(at.day);
    if at.hour >= rise && at.hour < set {
        let (given, in_an_hour) = daylight(at.day, at.hour);
        let energy = charged_on(at.day);
        let flicker = 1.0 + 0.03 * at.noise("charger", 15.0);
        return (energy * in_an_hour * flicker, percent(energy * given));
    }
    // The night belongs to the day on whose evening it began.
    let (day, hours) = if at.hour < rise {
        (at.day - 1, at.hour + 24.0 - sun_hours(at.day - 1).1)
    } else {
        (at.day, at.hour - set)
    };
    let night = sun_hours(day + 1).0 + 24.0 - sun_hours(day).1;
    let left = (1.0 - hours / night).clamp(0.0, 1.0);
    let energy = charged_on(day);
    let flicker = 1.0 + 0.04 * at.noise("discharge", 15.0);
    (
        -2.0 * energy * left / night * flicker,
        percent(energy * left * left),
    )
}

/// Watts of all that the house uses.
fn consumption(at: &LocalInstant) -> f64 {
    let (wake, evening) = if at.is_weekend() {
        (9.0, 18.5)
    } else {
        (6.9, 19.0)
    };
    let people = 520.0 * hill(at.hour, wake, 1.3)
        + 760.0 * hill(at.hour, evening, 2.0)
        + 240.0 * hill(at.hour, 12.7, 1.2) * f64::from(u8::from(at.is_weekend()));
    let oven = if at.noise("oven", 2_700.0) > 0.55 && hill(at.hour, evening, 1.6) > 0.4 {
        1_700.0
    } else {
        0.0
    };
    let small = 40.0 * at.noise("lamps", 1_500.0) + 14.0 * at.noise("standby", 12.0);
    260.0
        + people
        + oven
        + small
        + devices::heat_pump_power(at)
        + devices::fridge_power(at)
        + devices::washing_power(at)
}

/// What electricity costs in the hour, ct/kWh: cheap at night and when the sun shines.
fn price(hour: &LocalInstant) -> f64 {
    let (_, in_an_hour) = daylight(hour.day, hour.hour + 0.5);
    let sun = in_an_hour * yield_of(hour.day) / PEAK_POWER;
    let work = if hour.is_weekend() { 0.6 } else { 1.0 };
    let demand = 8.5 * hill(hour.hour, 7.5, 1.8) + 12.0 * hill(hour.hour, 18.8, 2.4);
    let market = 4.0 * noise("market", hour.day as f64 / 2.5) + 1.2 * hour.noise("trade", 7_200.0);
    24.5 + 2.5 * hour.winter() + work * demand - 13.0 * sun + market
}

/// The prices of each hour from yesterday to tomorrow: tomorrow's are known from two o'clock on.
pub fn price_list(at: &LocalInstant) -> Json {
    let midnight = at.second - at.second.rem_euclid(3_600) - at.hour.floor() as i64 * 3_600;
    let known = if at.hour >= 14.0 { 48 } else { 24 };
    let prices = (-24..known).map(|hour| {
        let start = midnight + hour * 3_600;
        let price = price(&at.shifted(start - at.second));
        json!({ "start": start, "end": start + 3_600, "price": rounded(price, 2) })
    });
    json!({ "unit": "ct/kWh", "prices": prices.collect::<Vec<_>>() })
}
