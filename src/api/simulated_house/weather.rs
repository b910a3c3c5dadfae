//! Weather of the simulated house: seasons, days, fronts that pass within days.

use super::local_instant::{LocalInstant, noise, winter_of};

/// Of Open-Meteo's quantities those that the house has.
pub fn quantity(name: &str, at: &LocalInstant) -> Option<f64> {
    Some(match name {
        "temperature_2m" => temperature(at),
        "apparent_temperature" => temperature(at) - 0.12 * wind(at),
        "relative_humidity_2m" => humidity(at),
        "precipitation" | "rain" => precipitation(at),
        "cloud_cover" => clouds(at),
        "pressure_msl" | "surface_pressure" => pressure(at),
        "wind_speed_10m" => wind(at),
        "wind_gusts_10m" => wind(at) * 1.7 + 4.0,
        _ => return None,
    })
}

/// Degrees Celsius.
pub fn temperature(at: &LocalInstant) -> f64 {
    let winter = at.winter();
    let front = at.noise("front", 3.5 * 86_400.0) * 0.7 + at.noise("air", 86_400.0) * 0.3;
    // The warmest hour is at about three in the afternoon.
    let day = ((at.hour - 15.0) / 24.0 * std::f64::consts::TAU).cos();
    let swing = (4.2 - 1.9 * winter) * (1.0 - 0.006 * clouds(at));
    10.2 - 8.8 * winter
        + 5.5 * front
        + swing * day
        + 0.35 * at.noise("gust of air", 900.0)
        + 0.12 * at.noise("sensor", 20.0)
}

/// Percent.
pub fn clouds(at: &LocalInstant) -> f64 {
    let of_day = cloudiness(at.local_second as f64 / 86_400.0);
    (of_day + 14.0 * at.noise("cloud", 2_700.0) + 3.0 * at.noise("wisp", 60.0)).clamp(0.0, 100.0)
}

/// Percent, as it changes from day to day; `day` is a local day with its fraction.
pub fn cloudiness(day: f64) -> f64 {
    let front = noise("clouds", day / 1.7) * 0.75 + noise("cloud bank", day * 2.0) * 0.25;
    (56.0 + 12.0 * winter_of(day) + 58.0 * front).clamp(2.0, 100.0)
}

/// Percent.
fn humidity(at: &LocalInstant) -> f64 {
    let day = ((at.hour - 5.0) / 24.0 * std::f64::consts::TAU).cos();
    let value = 68.0 + 9.0 * at.winter() + 11.0 * day + 0.14 * (clouds(at) - 50.0);
    (value + 3.0 * at.noise("humidity", 3_600.0) + at.noise("moist", 30.0)).clamp(24.0, 100.0)
}

/// Millimetres in an hour.
fn precipitation(at: &LocalInstant) -> f64 {
    let shower = at.noise("shower", 4_200.0).max(0.0);
    let drops = 1.0 + 0.15 * at.noise("drops", 20.0);
    ((clouds(at) - 78.0).max(0.0) / 9.0 * shower * drops).max(0.0)
}

/// Hectopascals at sea level.
fn pressure(at: &LocalInstant) -> f64 {
    let front = at.noise("front", 3.5 * 86_400.0) * 0.4 - at.noise("low", 4.0 * 86_400.0) * 0.6;
    1_014.0 + 17.0 * front + 0.3 * at.noise("pressure", 1_800.0) + 0.1 * at.noise("tremor", 25.0)
}

/// Kilometres in an hour.
fn wind(at: &LocalInstant) -> f64 {
    let front = at.noise("wind", 1.3 * 86_400.0);
    let day = ((at.hour - 14.0) / 24.0 * std::f64::consts::TAU).cos();
    let gusts = 2.2 * at.noise("breeze", 600.0) + 1.2 * at.noise("puff", 15.0);
    (11.0 + 8.0 * front + 2.5 * day + gusts).max(0.0)
}
