//! Words of keys that are written in a way of their own: abbreviations, chemical formulas, units.
//!
//! Pure. Only what has one meaning in keys of devices; sorted, for the eye.

/// A word in small letters, and how it is written.
static WORDS: &[(&str, &str)] = &[
    ("ac", "AC"),
    ("aenergy", "energy"),
    ("api", "API"),
    ("apower", "power"),
    ("aqi", "AQI"),
    ("bms", "BMS"),
    ("ch4", "CH₄"),
    ("co", "CO"),
    ("co2", "CO₂"),
    ("cop", "COP"),
    ("cpu", "CPU"),
    ("dbm", "dBm"),
    ("dc", "DC"),
    ("dhcp", "DHCP"),
    ("dhw", "DHW"),
    ("dns", "DNS"),
    ("ev", "EV"),
    ("freq", "frequency"),
    ("gps", "GPS"),
    ("gpu", "GPU"),
    ("h2o", "H₂O"),
    ("hcho", "HCHO"),
    ("hdd", "HDD"),
    ("http", "HTTP"),
    ("https", "HTTPS"),
    ("hvac", "HVAC"),
    ("hz", "Hz"),
    ("iaq", "IAQ"),
    ("id", "ID"),
    ("ip", "IP"),
    ("ipv4", "IPv4"),
    ("ipv6", "IPv6"),
    ("kw", "kW"),
    ("kwh", "kWh"),
    ("lan", "LAN"),
    ("led", "LED"),
    ("lqi", "LQI"),
    ("lte", "LTE"),
    ("mac", "MAC"),
    ("mppt", "MPPT"),
    ("mqtt", "MQTT"),
    ("nas", "NAS"),
    ("nh3", "NH₃"),
    ("no2", "NO₂"),
    ("nox", "NOₓ"),
    ("ntp", "NTP"),
    ("nvme", "NVMe"),
    ("o2", "O₂"),
    ("o3", "O₃"),
    ("pf", "power factor"),
    ("ph", "pH"),
    ("pm1", "PM1"),
    ("pm10", "PM10"),
    ("pm25", "PM2.5"),
    ("pm4", "PM4"),
    ("poe", "PoE"),
    ("pv", "PV"),
    ("ram", "RAM"),
    ("rms", "RMS"),
    ("rssi", "RSSI"),
    ("snr", "SNR"),
    ("so2", "SO₂"),
    ("soc", "SOC"),
    ("soh", "SOH"),
    ("ssd", "SSD"),
    ("ssid", "SSID"),
    ("tv", "TV"),
    ("tvoc", "TVOC"),
    ("ups", "UPS"),
    ("url", "URL"),
    ("usb", "USB"),
    ("utc", "UTC"),
    ("uuid", "UUID"),
    ("uv", "UV"),
    ("voc", "VOC"),
    ("vpn", "VPN"),
    ("wan", "WAN"),
    ("wh", "Wh"),
    ("wifi", "Wi-Fi"),
    ("wlan", "WLAN"),
];

/// Two words that are one.
static PAIRS: &[(&str, &str, &str)] = &[
    ("pm0", "3", "PM0.3"),
    ("pm1", "0", "PM1"),
    ("pm2", "5", "PM2.5"),
    ("pm4", "0", "PM4"),
    ("pm10", "0", "PM10"),
    ("wi", "fi", "Wi-Fi"),
];

/// How the word is written, if not as it is; a number may follow it: `pv1`.
pub fn spelling(word: &str) -> Option<String> {
    let find = |wanted: &str| {
        let found = WORDS
            .iter()
            .find(|(small, _)| small.eq_ignore_ascii_case(wanted));
        found.map(|(_, written)| *written)
    };
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
    find(word)
        .map(str::to_owned)
        .or_else(|| Some(format!("{}{}", find(letters)?, &word[letters.len()..])))
}

/// What two words that follow each other are together.
pub fn pair(word: &str, next: &str) -> Option<&'static str> {
    let found = PAIRS.iter().find(|(first, second, _)| {
        first.eq_ignore_ascii_case(word) && second.eq_ignore_ascii_case(next)
    });
    found.map(|(_, _, written)| *written)
}
