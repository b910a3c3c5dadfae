//! Tests of the simulated house: plausible values, the same at every call, and meters that grow.

use super::*;

/// 00:00 UTC on 29 November 2026.
const MIDNIGHT: i64 = 1_795_910_400;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

fn berlin() -> House {
    House::new(TimeZone::get("Europe/Berlin").expect("a known zone"))
}

fn number(house: &House, device: &str, pointer: &str, second: i64) -> f64 {
    let answer = house.answer(device, Wall::from_second(second));
    let (_, body) = answer.expect("a device of the house");
    let value = body.pointer(pointer).and_then(Json::as_f64);
    value.unwrap_or_else(|| panic!("{device}{pointer}: {body}"))
}

#[test]
fn values_of_a_year_are_plausible() {
    let house = berlin();
    let rows: &[(&str, &str, f64, f64)] = &[
        ("inverter", "/pv/power", 0.0, 6_600.0),
        ("inverter", "/battery/soc", 5.0, 100.0),
        ("inverter", "/battery/power", -2_500.0, 4_500.0),
        ("inverter", "/grid/power", -6_600.0, 9_000.0),
        ("rooms", "/rooms/0/temperature", 17.0, 32.0),
        ("rooms", "/rooms/1/humidity", 25.0, 75.0),
        ("rooms", "/rooms/2/co2", 400.0, 1_400.0),
        ("heat-pump", "/power", 9.0, 2_600.0),
        ("heat-pump", "/flow", 24.0, 50.0),
        ("heat-pump", "/hot_water", 40.0, 53.0),
        ("plug-fridge", "/apower", 1.0, 75.0),
        ("waste", "/days", 0.0, 7.0),
    ];
    for (device, pointer, least, most) in rows {
        let values = (0..365 * 3).map(|step| {
            let second = MIDNIGHT - step * 8 * HOUR - step * 60;
            number(&house, device, pointer, second)
        });
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        assert!(
            low >= *least && high <= *most,
            "{device}{pointer}: {low} to {high}"
        );
        assert!(low < high, "{device}{pointer} is always {low}");
    }
}

#[test]
fn seasons_and_days_are_those_of_middle_europe() {
    let house = berlin();
    let temperature = |second| {
        let value = house.weather("temperature_2m", Wall::from_second(second));
        value.expect("a quantity of the weather")
    };
    let mean = |begin: i64, days: i64, hour: i64| {
        let values = (0..days).map(|day| temperature(begin + day * DAY + hour * HOUR));
        values.sum::<f64>() / days as f64
    };
    // December and January, June and July of 2026.
    let (winter, summer) = (MIDNIGHT + 5 * DAY, MIDNIGHT - 180 * DAY);
    let (cold, warm) = (mean(winter, 60, 12), mean(summer, 60, 12));
    assert!((-4.0..7.0).contains(&cold), "{cold}");
    assert!((18.0..27.0).contains(&warm), "{warm}");
    let night = mean(summer, 60, 2);
    assert!((4.0..14.0).contains(&(warm - night)), "{warm} {night}");
    let solar = |second| number(&house, "inverter", "/pv/power", second);
    assert_eq!(solar(MIDNIGHT + HOUR), 0.0);
    assert!(solar(MIDNIGHT + 11 * HOUR) > 0.0);
    // The sun of June is still up at eight in the evening, local time.
    assert!(solar(summer + 18 * HOUR) > 0.0);
}

#[test]
fn the_same_instant_gives_the_same_answer_and_five_seconds_later_another() {
    let (house, other) = (berlin(), berlin());
    for device in ["inverter", "rooms", "heat-pump"] {
        let at = |house: &House, second: i64| house.answer(device, Wall::from_second(second));
        // In another order, so that what is kept makes no difference.
        let later = at(&house, MIDNIGHT + 5);
        let first = at(&house, MIDNIGHT);
        assert_eq!(first, at(&other, MIDNIGHT), "{device}");
        assert_eq!(later, at(&other, MIDNIGHT + 5), "{device}");
        assert_ne!(first, later, "{device}");
    }
    assert_eq!(house.answer("toaster", Wall::from_second(MIDNIGHT)), None);
}

#[test]
fn meters_grow_by_the_power_that_flows() {
    let house = berlin();
    for (device, meter, power, unit) in [
        ("inverter", "/pv/energy_total", "/pv/power", 1.0),
        ("heat-pump", "/energy_total", "/power", 1_000.0),
        ("plug-fridge", "/aenergy/total", "/apower", 1.0),
    ] {
        let read = |second| number(&house, device, meter, second) * unit;
        let begin = MIDNIGHT - 120 * DAY;
        let mut last = read(begin);
        for step in 1..=24 * 6 {
            let now = read(begin + step * 600);
            assert!(now >= last, "{device}{meter}: {now} after {last}");
            last = now;
        }
        let grown = last - read(begin);
        let flowed =
            (0..24 * 60).map(|minute| number(&house, device, power, begin + minute * 60) / 60.0);
        let flowed: f64 = flowed.sum();
        let difference = (grown - flowed).abs() / flowed;
        assert!(
            difference < 0.15,
            "{device}{meter}: {grown} Wh, {flowed} Wh"
        );
    }
    // Before they were installed.
    assert_eq!(number(&house, "inverter", "/pv/energy_total", 0), 0.0);
}

#[test]
fn what_comes_in_goes_out() {
    let house = berlin();
    for hour in 0..24 * 7 {
        let second = MIDNIGHT + hour * HOUR;
        let of = |pointer| number(&house, "inverter", pointer, second);
        let used = of("/pv/power") + of("/grid/power") - of("/battery/power");
        assert!((50.0..9_000.0).contains(&used), "{used} W at {second}");
    }
}

#[test]
fn one_plug_fails_a_minute_of_ten() {
    let house = berlin();
    let failures: Vec<i64> = (0..1_200)
        .filter(|second| {
            let answer = house.answer("plug-washing-machine", Wall::from_second(MIDNIGHT + second));
            answer.is_some_and(|(status, _)| status == 503)
        })
        .collect();
    let expected: Vec<i64> = (420..480).chain(1_020..1_080).collect();
    assert_eq!(failures, expected);
}

#[test]
fn prices_are_known_by_the_hour_to_the_end_of_tomorrow() {
    let house = berlin();
    let prices = |second: i64| -> Vec<(i64, i64)> {
        let (_, body) = house
            .answer("electricity-price", Wall::from_second(second))
            .expect("a device of the house");
        let list = body["prices"].as_array().cloned().unwrap_or_default();
        let times = list.iter().map(|it| {
            let time = |name: &str| it[name].as_i64().unwrap_or(0);
            (time("start"), time("end"))
        });
        times.collect()
    };
    // 11:00 and 15:00 local time.
    let (morning, afternoon) = (prices(MIDNIGHT + 10 * HOUR), prices(MIDNIGHT + 14 * HOUR));
    assert_eq!((morning.len(), afternoon.len()), (48, 72));
    let local_midnight = MIDNIGHT - HOUR;
    assert_eq!(morning[24], (local_midnight, local_midnight + HOUR));
    assert!(afternoon.windows(2).all(|pair| pair[0].1 == pair[1].0));
    let value = |at: i64| {
        let (_, body) = house
            .answer("electricity-price", Wall::from_second(at))
            .expect("a device of the house");
        body["prices"][24]["price"].as_f64()
    };
    // A price that was said stays.
    assert_eq!(value(MIDNIGHT + HOUR), value(MIDNIGHT + 15 * HOUR));
}

#[test]
fn waste_is_collected_on_tuesdays_in_turns() {
    let house = berlin();
    let next = |second: i64| {
        let (_, body) = house
            .answer("waste", Wall::from_second(second))
            .expect("a device of the house");
        body["next"].as_str().unwrap_or_default().to_owned()
    };
    // 29 November 2026 is a Sunday.
    let first = next(MIDNIGHT + 12 * HOUR);
    assert!(first.ends_with(", Tue 1 Dec"), "{first}");
    let kinds: std::collections::BTreeSet<String> = (0..4)
        .map(|week| {
            let text = next(MIDNIGHT + 12 * HOUR + week * 7 * DAY);
            text.split(',').next().unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
}
