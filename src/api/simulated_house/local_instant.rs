//! Instant of the simulation: local time of day, season, and noise that changes smoothly.

use std::f64::consts::TAU;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::time::Wall;

const DAY: i64 = 86_400;

/// One instant, with what the simulated values depend on.
#[derive(Debug, Clone)]
pub struct LocalInstant {
    /// Seconds since 1970 in UTC.
    pub second: i64,
    /// The same on the local clock, and the local day.
    pub local_second: i64,
    pub day: i64,
    /// The hour of the local day with its fraction, from 0 to 24.
    pub hour: f64,
    zone: TimeZone,
}

impl LocalInstant {
    pub fn new(wall: Wall, zone: &TimeZone) -> LocalInstant {
        let second = wall.second();
        let timestamp = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        let offset = zone.to_offset(timestamp).seconds();
        let local_second = second + i64::from(offset);
        LocalInstant {
            second,
            local_second,
            day: local_second.div_euclid(DAY),
            hour: local_second.rem_euclid(DAY) as f64 / 3_600.0,
            zone: zone.clone(),
        }
    }

    /// The instant `seconds` later, or earlier where it is negative.
    pub fn shifted(&self, seconds: i64) -> LocalInstant {
        LocalInstant::new(Wall::from_second(self.second + seconds), &self.zone)
    }

    /// Whether it is a Saturday or a Sunday.
    pub fn is_weekend(&self) -> bool {
        // 1 January 1970 was a Thursday.
        (self.day + 3).rem_euclid(7) >= 5
    }

    /// 1 in the middle of January, -1 in the middle of July.
    pub fn winter(&self) -> f64 {
        winter_of(self.local_second as f64 / DAY as f64)
    }

    /// Between -1 and 1; changes smoothly, by about 1 in `period_s`.
    pub fn noise(&self, name: &str, period_s: f64) -> f64 {
        noise(name, self.second as f64 / period_s)
    }

    /// The local time in a format of strftime.
    pub fn text(&self, format: &str) -> String {
        let timestamp = Timestamp::from_second(self.second).unwrap_or(Timestamp::UNIX_EPOCH);
        let local = self.zone.to_datetime(timestamp);
        local.strftime(format).to_string()
    }
}

pub fn winter_of(day: f64) -> f64 {
    ((day - 15.0) / 365.25 * TAU).cos()
}

/// Noise between -1 and 1 that is random at whole numbers and smooth between them.
pub fn noise(name: &str, at: f64) -> f64 {
    let cell = at.floor();
    let part = at - cell;
    let smooth = part * part * (3.0 - 2.0 * part);
    let (before, after) = (random(name, cell as i64), random(name, cell as i64 + 1));
    before + (after - before) * smooth
}

/// A random number from -1 to 1, the same for the same arguments: FNV-1a with a final mix.
pub fn random(name: &str, index: i64) -> f64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes().chain(index.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    (hash >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// A hill of height 1 around `middle`, about `width` to each side; both are hours of the day.
pub fn hill(hour: f64, middle: f64, width: f64) -> f64 {
    let distance = (hour - middle + 36.0).rem_euclid(24.0) - 12.0;
    (-(distance / width).powi(2)).exp()
}

pub fn rounded(value: f64, decimals: i32) -> f64 {
    let factor = 10_f64.powi(decimals);
    (value * factor).round() / factor
}
