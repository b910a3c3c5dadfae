//! Rooms of the simulated house: temperature, humidity and CO₂.

use serde_json::{Value as Json, json};

use super::local_instant::{LocalInstant, hill, rounded};
use super::weather;

/// A room: what it is like, and when people are in it.
struct Room {
    id: &'static str,
    temperature: f64,
    humidity: f64,
    /// From 0 to 1.
    occupied: fn(&LocalInstant) -> f64,
}

const ROOMS: [Room; 4] = [
    Room {
        id: "living_room",
        temperature: 21.4,
        humidity: 44.0,
        occupied: |at| hill(at.hour, 20.3, 2.6) + 0.4 * weekend(at) * hill(at.hour, 14.5, 3.0),
    },
    Room {
        id: "kitchen",
        temperature: 20.8,
        humidity: 50.0,
        occupied: |at| 0.7 * hill(at.hour, 7.2, 1.0) + 0.9 * hill(at.hour, 18.8, 1.3),
    },
    Room {
        id: "bedroom",
        temperature: 18.3,
        humidity: 49.0,
        occupied: |at| hill(at.hour, 3.0, 4.4),
    },
    Room {
        id: "office",
        temperature: 20.9,
        humidity: 42.0,
        occupied: |at| (1.0 - weekend(at)) * hill(at.hour, 12.5, 4.2),
    },
];

pub fn answer(at: &LocalInstant) -> Json {
    let rooms = ROOMS.iter().map(|room| {
        json!({
            "id": room.id,
            "temperature": rounded(temperature(room, at), 1),
            "humidity": rounded(humidity(room, at), 1),
            "co2": co2(room, at).round(),
        })
    });
    json!({ "rooms": rooms.collect::<Vec<_>>() })
}

fn weekend(at: &LocalInstant) -> f64 {
    f64::from(u8::from(at.is_weekend()))
}

fn temperature(room: &Room, at: &LocalInstant) -> f64 {
    let warm_outside = (weather::temperature(at) - 17.0).max(0.0);
    room.temperature
        + 0.45 * warm_outside
        + 0.8 * hill(at.hour, 18.0, 5.0)
        + 0.5 * (room.occupied)(at)
        + 0.3 * at.noise(room.id, 5_400.0)
        + 0.08 * at.noise(room.id, 18.0)
}

fn humidity(room: &Room, at: &LocalInstant) -> f64 {
    let cooking = match room.id {
        "kitchen" => 13.0 * hill(at.hour, 18.8, 0.7),
        _ => 0.0,
    };
    room.humidity - 7.0 * at.winter()
        + cooking
        + 3.0 * (room.occupied)(at)
        + 2.5 * at.noise(room.id, 7_200.0)
        + 0.5 * at.noise(room.id, 24.0)
}

/// Parts per million: people breathe it, and open the window every now and then.
fn co2(room: &Room, at: &LocalInstant) -> f64 {
    let occupied = (room.occupied)(at);
    let since_window = at.local_second.rem_euclid(2_700) as f64 / 2_700.0;
    let aired = match room.id {
        // Nobody airs a bedroom at night.
        "bedroom" => 1.0,
        _ if since_window < 0.12 => 1.0 - since_window / 0.12 * 0.55,
        _ => 0.45 + 0.55 * (since_window - 0.12) / 0.88,
    };
    430.0
        + 760.0 * occupied * aired * (1.0 + 0.12 * at.noise(room.id, 10_800.0))
        + 9.0 * at.noise(room.id, 120.0)
        + 4.0 * at.noise(room.id, 12.0)
}
