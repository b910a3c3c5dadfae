//! Tests of labels that are made of keys.

use super::*;

#[test]
fn a_hundred_keys_as_people_write_them() {
    for (key, expected) in [
        // Weather and air.
        ("outside_temperature", "Outside temperature"),
        ("outside_feels_like", "Outside feels like"),
        ("temperature_2m", "Temperature 2m"),
        ("relative_humidity_2m", "Relative humidity 2m"),
        ("daily.temperature_2m_max.0", "Daily temperature 2m max 0"),
        ("co2", "CO₂"),
        ("room.bedroom.co2", "Room bedroom CO₂"),
        ("air.pm2_5", "Air PM2.5"),
        ("air.pm2.5", "Air PM2.5"),
        ("air.pm25", "Air PM2.5"),
        ("pm10", "PM10"),
        ("pm1_0", "PM1"),
        ("pm1", "PM1"),
        ("no2", "NO₂"),
        ("o3", "O₃"),
        ("so2_mean", "SO₂ mean"),
        ("tvoc", "TVOC"),
        ("uv_index", "UV index"),
        ("iaq", "IAQ"),
        ("pool.ph", "Pool pH"),
        ("wind_speed", "Wind speed"),
        ("eco2", "Eco2"),
        // Energy.
        ("solar.power", "Solar power"),
        ("solar.energy_today", "Solar energy today"),
        ("solar.dc_voltage", "Solar DC voltage"),
        ("battery.soc", "Battery SOC"),
        ("soc_percent", "SOC percent"),
        ("heatpump.cop", "Heatpump COP"),
        ("dhw_c", "DHW c"),
        ("pv1.power", "PV1 power"),
        ("meter.l1.voltage", "Meter L1 voltage"),
        ("meter.t2", "Meter T2"),
        ("grid_kwh", "Grid kWh"),
        ("kwh_today", "kWh today"),
        ("price.next_hour", "Price next hour"),
        ("ev.charging", "EV charging"),
        ("battery.bms.cell_min", "Battery BMS cell min"),
        // Devices.
        ("fridge.switch:0.apower", "Fridge switch 0 power"),
        (
            "fridge.switch:0.aenergy.total",
            "Fridge switch 0 energy total",
        ),
        ("switch:0.temperature.tC", "Switch 0 temperature tC"),
        ("tC", "tC"),
        ("tF", "tF"),
        ("fridge.id", "Fridge ID"),
        ("device_id", "Device ID"),
        ("wifi.rssi", "Wi-Fi RSSI"),
        ("wi-fi", "Wi-Fi"),
        ("ip_address", "IP address"),
        ("ipv6", "IPv6"),
        ("mac", "MAC"),
        ("cpu_temperature", "CPU temperature"),
        ("pi.cpu_temperature", "Pi CPU temperature"),
        ("pi.memory_available", "Pi memory available"),
        ("pi.load", "Pi load"),
        ("disk/nvme0n1/used", "Disk nvme0n1 used"),
        ("nas.ssd.temp", "NAS SSD temp"),
        ("led", "LED"),
        ("usb_voltage", "USB voltage"),
        ("signal_dbm", "Signal dBm"),
        // camelCase and capitals.
        ("batteryLevel", "Battery level"),
        ("gridPower", "Grid power"),
        ("BatteryLevel", "Battery level"),
        ("dcVoltage", "DC voltage"),
        ("IPAddress", "IP address"),
        ("powerAC", "Power AC"),
        ("totalKWh", "Total kWh"),
        ("kWh", "kWh"),
        ("pH", "pH"),
        ("iPhone", "iPhone"),
        ("tempC", "TempC"),
        ("Body.Data.PAC.Value", "PAC"),
        ("Body.Data.Inverters.1.E_Day", "Inverters 1 E Day"),
        ("data.usage", "Usage"),
        ("data_usage", "Data usage"),
        ("data.0.value", "Data 0"),
        ("data", "Data"),
        ("data.value", "Value"),
        ("value", "Value"),
        ("apower", "Power"),
        ("switch:0.pf", "Switch 0 power factor"),
        ("DAY_ENERGY", "Day energy"),
        ("TOTAL_ENERGY", "Total energy"),
        ("TOTAL_KWH", "Total kWh"),
        ("cpu0.load", "CPU0 load"),
        ("UDC", "UDC"),
        ("PAC", "PAC"),
        ("SHT31", "SHT31"),
        ("BME280_TEMP", "BME280 TEMP"),
        ("SENSOR_L1", "Sensor L1"),
        // Separators, numbers, escapes, other scripts.
        ("x.0", "X 0"),
        ("x.0.0", "X 0 0"),
        ("a:b/c_d.e", "A b c d e"),
        ("living-room.temperature", "Living room temperature"),
        ("outdoor-temp-2", "Outdoor temp-2"),
        ("offset.-1", "Offset -1"),
        ("2025-10-30", "2025-10-30"),
        ("temperature.temperature", "Temperature"),
        ("rooms.kitchen.kitchen_temp", "Rooms kitchen temp"),
        ("__x__", "X"),
        ("a%20b", "A b"),
        ("a%2Fb", "A b"),
        ("K%C3%BCche.temperatur", "Küche temperatur"),
        ("100%", "100%"),
        ("Zähler 1", "Zähler 1"),
        ("zähler.höhe", "Zähler höhe"),
        ("élan_vital", "Élan vital"),
        ("температура", "Температура"),
        ("温度", "温度"),
        ("<b>bold</b>", "<b>bold< b>"),
        ("a%0Ab", "A b"),
        ("a\u{202e}b", "A b"),
        ("bad%ff", "Bad"),
        // Nothing to read in it.
        ("_", "_"),
        ("...", "..."),
        ("0", "0"),
        ("%", "%"),
    ] {
        assert_eq!(label_text(key), expected, "{key}");
    }
}

#[test]
fn a_heading_is_not_repeated() {
    for (key, context, expected) in [
        ("room.bedroom.co2", "room.", "bedroom.co2"),
        ("room.bedroom.co2", "room", "bedroom.co2"),
        ("room.bedroom.co2", "room.bedroom.", "co2"),
        ("roommate.age", "room", "roommate.age"),
        ("room.", "room.", "room."),
        ("room", "room.", "room"),
        ("outside_temperature", "outside_", "temperature"),
        ("outside_temperature", "", "outside_temperature"),
        ("fridge.switch:0.apower", "fridge.switch:0.", "apower"),
        ("power", "solar.", "power"),
    ] {
        assert_eq!(strip_context(key, context), expected, "{key} in {context}");
    }
}

#[test]
fn the_context_of_a_heading_is_what_its_keys_share() {
    let source = None;
    for (keys, heading, expected) in [
        (
            &["fridge.id", "fridge.switch:0.apower"][..],
            source,
            "fridge.",
        ),
        (&["pi.load"], source, "pi."),
        (&["pi.load", "power"], source, ""),
        (&["room.a.t", "room.b.t"], source, "room."),
        (&["room.a.t", "room.a.rh"], source, "room.a."),
        (&["power"], source, ""),
        (
            &["outside_temperature", "outside_humidity"],
            source,
            "outside_",
        ),
        (&[], source, ""),
        (&["room.a.t", "room.b.t"], Some("Rooms"), "room."),
        (&["room.a.t", "room.a.rh"], Some("Rooms"), "room."),
        (&["solar.power", "solar.energy"], Some("Energy"), ""),
        (&["solar.power", "solar.energy"], Some("Solar"), "solar."),
        (
            &["washing_machine.on"],
            Some("Washing machine"),
            "washing_machine.",
        ),
        (&["solar.power", "battery.power"], Some("Solar"), ""),
        (&["outside_temperature"], Some("Outside"), "outside_"),
    ] {
        assert_eq!(common_context(keys, heading), expected, "{keys:?}");
    }
}
