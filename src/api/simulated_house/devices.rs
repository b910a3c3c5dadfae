//! Devices of the simulated house: heat pump, plugs, and the calendars of bus and waste.

use serde_json::{Value as Json, json};

use super::local_instant::{LocalInstant, hill, random, rounded};
use super::weather;

/// Watts that a pump needs while it waits.
const HEAT_PUMP_STANDBY: f64 = 9.0;
/// The compressor of the fridge: seconds of a cycle, and how many of them it runs.
const FRIDGE_CYCLE: i64 = 2_820;
const FRIDGE_RUNS: i64 = 1_020;
const FRIDGE_POWER: f64 = 68.0;
const FRIDGE_STANDBY: f64 = 1.1;
/// The longest programme of the washing machine.
const WASH: f64 = 1.9;

/// The part of the time that the compressor runs, by the weather.
fn heating_share(outside: f64) -> f64 {
    ((15.0 - outside) / 22.0).clamp(0.0, 1.0)
}

fn is_heating_water(at: &LocalInstant) -> bool {
    (4.6..5.3).contains(&at.hour) || (15.5..15.9).contains(&at.hour)
}

fn is_compressor_on(at: &LocalInstant, outside: f64) -> bool {
    let cycle = at.local_second.rem_euclid(3_300) as f64 / 3_300.0;
    is_heating_water(at) || cycle < heating_share(outside)
}

fn compressor_power(outside: f64) -> f64 {
    980.0 + 42.0 * (12.0 - outside).max(0.0)
}

pub fn heat_pump_power(at: &LocalInstant) -> f64 {
    let outside = weather::temperature(at);
    if !is_compressor_on(at, outside) {
        return HEAT_PUMP_STANDBY;
    }
    compressor_power(outside) * (1.0 + 0.02 * at.noise("compressor", 15.0))
}

/// The same as it is on average of the hour around `at`.
pub fn heat_pump_mean_power(at: &LocalInstant) -> f64 {
    let outside = weather::temperature(at);
    let share = if is_heating_water(at) {
        1.0
    } else {
        heating_share(outside)
    };
    HEAT_PUMP_STANDBY * (1.0 - share) + compressor_power(outside) * share
}

/// `energy` is what it has used, in watt-hours.
pub fn heat_pump(at: &LocalInstant, energy: f64) -> Json {
    let outside = weather::temperature(at);
    let cold = (15.0 - outside).max(0.0);
    let is_on = is_compressor_on(at, outside);
    let mode = match (is_on, is_heating_water(at)) {
        (true, true) => "Hot water",
        (true, false) => "Heating",
        (false, _) => "Standby",
    };
    let lift = if is_on { 2.6 } else { -1.4 };
    let flow = 27.0 + 0.55 * cold + lift + 0.2 * at.noise("flow", 40.0);
    let spread = if is_on { 4.6 } else { 0.9 };
    // Showers in the morning and in the evening cool the tank.
    let showers = 5.5 * hill(at.hour, 8.2, 1.6) + 4.0 * hill(at.hour, 21.5, 1.5);
    let efficiency = 4.9 - 0.075 * cold;
    json!({
        "mode": mode,
        "compressor": is_on,
        "power": heat_pump_power(at).round(),
        "energy_total": rounded(energy / 1_000.0, 2),
        "flow": rounded(flow, 1),
        "return": rounded(flow - spread, 1),
        "hot_water": rounded(51.0 - showers + 0.2 * at.noise("tank", 300.0), 1),
        "cop": rounded(efficiency, 2),
    })
}

fn is_fridge_on(at: &LocalInstant) -> bool {
    at.second.rem_euclid(FRIDGE_CYCLE) < FRIDGE_RUNS
}

pub fn fridge_power(at: &LocalInstant) -> f64 {
    if is_fridge_on(at) {
        FRIDGE_POWER + 2.5 * at.noise("fridge", 15.0)
    } else {
        FRIDGE_STANDBY
    }
}

/// The answer of a plug, as those of Shelly give it.
fn plug(power: f64, is_on: bool, energy: f64, at: &LocalInstant) -> Json {
    let voltage = 231.0 + 1.8 * at.noise("voltage", 600.0) + 0.4 * at.noise("volt", 10.0);
    json!({
        "id": 0,
        "output": is_on,
        "apower": rounded(power, 1),
        "voltage": rounded(voltage, 1),
        "aenergy": { "total": rounded(energy, 1) },
    })
}

pub fn fridge(at: &LocalInstant) -> Json {
    let cycles = at.second.div_euclid(FRIDGE_CYCLE);
    let into = at.second.rem_euclid(FRIDGE_CYCLE);
    let (on, off) = (into.min(FRIDGE_RUNS), (into - FRIDGE_RUNS).max(0));
    let running = cycles * FRIDGE_RUNS + on;
    let waiting = cycles * (FRIDGE_CYCLE - FRIDGE_RUNS) + off;
    let total = (running as f64 * FRIDGE_POWER + waiting as f64 * FRIDGE_STANDBY) / 3_600.0;
    // It was bought when the meter of its plug was at zero: in 2024.
    let bought = 19_900.0 * 24.0 * 25.3;
    plug(fridge_power(at), true, total - bought, at)
}

/// When a wash begins, as an hour of the day; most days have none.
fn wash_begin(day: i64) -> Option<f64> {
    let chance = random("wash", day);
    (chance > -0.1).then_some(10.0 + 5.0 * chance.abs())
}

pub fn washing_power(at: &LocalInstant) -> f64 {
    let Some(begin) = wash_begin(at.day) else {
        return 0.6;
    };
    let into = at.hour - begin;
    let turns = 1.0 + 0.06 * at.noise("drum", 10.0);
    match into {
        _ if !(0.0..WASH).contains(&into) => 0.6,
        // It heats the water, washes, and spins at the end.
        _ if into < 0.45 => 2_050.0 * turns,
        _ if into > WASH - 0.2 => 430.0 * turns,
        _ => 150.0 * turns,
    }
}

/// `energy` is what it has used, in watt-hours.
pub fn washing_machine(at: &LocalInstant, energy: f64) -> Json {
    plug(washing_power(at), true, energy, at)
}

/// The next departures: each line has its interval.
pub fn departures(at: &LocalInstant) -> Json {
    let tram = 10 - at.local_second.div_euclid(60).rem_euclid(10);
    let train = 15 - at.local_second.div_euclid(60).rem_euclid(15);
    json!({
        "departures": [
            format!("M10 → Warschauer Straße in {tram} min"),
            format!("S41 → Ring (Westkreuz) in {train} min"),
        ],
        "delay": (at.noise("delay", 1_800.0) * 5.0).max(0.0).round(),
    })
}

/// What is collected next: paper, recycling, organic and residual waste in turns, on Tuesdays.
pub fn waste(at: &LocalInstant) -> Json {
    const KINDS: [&str; 4] = ["Paper", "Recycling", "Organic waste", "Residual waste"];
    // Day 5 since 1970 was a Tuesday; the bins of today are out until noon.
    let today = at.day - i64::from(at.hour < 12.0);
    let weeks = (today - 5).div_euclid(7) + 1;
    let next = 5 + weeks * 7;
    let kind = KINDS[usize::try_from(weeks.rem_euclid(4)).unwrap_or(0)];
    let days = next - at.day;
    let date = at.shifted(days * 86_400).text("%a %-d %b");
    json!({ "next": format!("{kind}, {date}"), "days": days })
}
