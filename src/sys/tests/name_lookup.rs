use std::cell::RefCell;
use std::net::Ipv4Addr;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn address(last: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 168, 1, last), 0).into()
}

/// What multicast DNS answers: one address with a time to live, or none.
fn multicast(found: Option<(u8, u64)>) -> MdnsResult {
    let addresses = found.iter().map(|(last, ttl_s)| LinkAddress {
        address: address(*last),
        interface: "eth0".to_owned(),
        ttl: Duration::from_secs(*ttl_s),
    });
    MdnsResult {
        addresses: addresses.collect(),
        interfaces: vec!["eth0".to_owned(), "wlan0".to_owned()],
    }
}

/// Who was asked, in their order, and the result.
fn look(
    names: &LocalNames,
    mdns: Option<(u8, u64)>,
    system: Result<Option<u8>, &'static str>,
) -> (Vec<&'static str>, Result<Vec<String>, String>) {
    let asked = RefCell::new(Vec::new());
    let request = LookupRequest {
        host: "plug.local",
        port: 8080,
        timeout: 8 * SECOND,
        is_stopping: &|| false,
    };
    let ask = |budget| {
        assert_eq!(budget, 3 * SECOND);
        asked.borrow_mut().push("mdns");
        multicast(mdns)
    };
    let ask_system = |left| {
        assert!(left <= 8 * SECOND);
        asked.borrow_mut().push("system");
        system.map(|found| found.map(address).into_iter().collect())
    };
    let found = names.look_up("plug.local", &request, ask, ask_system);
    let texts = |found: Vec<SocketAddr>| found.iter().map(SocketAddr::to_string).collect();
    let result = found.map(texts).map_err(|error| match error {
        LookupError::System(error) => error.to_owned(),
        LookupError::NoAddress(why, _) => why.to_string(),
    });
    (asked.into_inner(), result)
}

fn ok(text: &str) -> Result<Vec<String>, String> {
    Ok(vec![text.to_owned()])
}

#[test]
fn mdns_names_are_those_that_end_in_local() {
    for (host, expected) in [
        ("meter.local", true),
        ("Meter.LOCAL.", true),
        ("meter.local:8080", true),
        ("a.b.local", true),
        ("meter.local.example.org", false),
        ("local", false),
        ("192.168.1.20:80", false),
    ] {
        assert_eq!(is_mdns_name(host), expected, "{host}");
    }
}

#[test]
fn multicast_dns_is_asked_first_and_remembered_for_its_time_to_live() {
    let names = LocalNames(Mutex::default());
    let first = look(&names, Some((20, 10)), Err("not asked"));
    assert_eq!(first, (vec!["mdns"], ok("192.168.1.20:8080")));
    let again = look(&names, Some((21, 10)), Err("not asked"));
    assert_eq!(again, (vec![], ok("192.168.1.20:8080")));
    assert_eq!(
        names.describe("plug.local", Instant::now()).as_deref(),
        Some("192.168.1.20 (on eth0) by multicast DNS")
    );
    let until = names.0.lock()["plug.local"].until;
    assert!(until <= Instant::now() + 10 * SECOND);
    assert!(names.known("plug.local", until).is_none());
    // A day is not believed.
    names.remember("a.local", multicast(Some((20, 86_400))).addresses);
    assert!(names.0.lock()["a.local"].until <= Instant::now() + limits::MDNS_CACHE);
}

#[test]
fn a_name_that_the_system_knows_is_looked_up_there_first_from_then_on() {
    let names = LocalNames(Mutex::default());
    let first = look(&names, None, Ok(Some(30)));
    assert_eq!(first.0, ["mdns", "system"]);
    let again = look(&names, None, Ok(Some(31)));
    assert_eq!(again.0, ["system"]);
    // It no longer does.
    let lost = look(&names, None, Err("no such name"));
    assert_eq!(lost, (vec!["system"], Err("no such name".to_owned())));
    let back = look(&names, Some((20, 10)), Err("not asked"));
    assert_eq!(back, (vec!["mdns"], ok("192.168.1.20:8080")));
}

#[test]
fn an_unknown_name_says_where_it_was_asked_and_what_helps() {
    let names = LocalNames(Mutex::default());
    for system in [Ok(None), Err("no such name")] {
        let (asked, result) = look(&names, None, system);
        assert_eq!(asked, ["mdns", "system"]);
        let why = result.expect_err("nobody knows it");
        for part in [
            "nothing answers to that name by multicast DNS on eth0, wlan0, and",
            "avahi-daemon",
            "http://192.168.1.20/",
        ] {
            assert!(why.contains(part), "{why}");
        }
    }
    let nowhere = unknown(&MdnsResult::default()).to_string();
    assert!(
        nowhere.starts_with("no network interface takes"),
        "{nowhere}"
    );
}

#[test]
fn remembered_names_are_bounded() {
    let names = LocalNames(Mutex::default());
    for number in 0..2 * limits::LOCAL_NAMES {
        names.remember(&format!("{number}.local"), Vec::new());
    }
    assert_eq!(names.0.lock().len(), limits::LOCAL_NAMES);
}

#[test]
fn the_hosts_file_has_the_first_word() {
    let text = "# 10.0.0.1 plug.local\n127.0.0.1 localhost\n192.168.1.20\tmeter Plug.local. # it\n";
    for (name, expected) in [
        ("plug.local", true),
        ("meter", true),
        ("lug.local", false),
        ("192.168.1.20", false),
        ("it", false),
    ] {
        assert_eq!(is_in_hosts(text, name), expected, "{name}");
    }
}

#[test]
fn addresses_and_other_names_are_never_asked_by_multicast() {
    let request = |host| LookupRequest {
        host,
        port: 80,
        timeout: SECOND,
        is_stopping: &|| false,
    };
    let refuse = |_| -> Result<Vec<SocketAddr>, &str> { Err("asked") };
    let found = look_up(&request("[fe80::1%25lo]"), refuse).expect("an address");
    assert_eq!(found, ["[fe80::1%1]:80".parse().expect("an address")]);
    let asked = look_up(&request("nas"), refuse);
    assert!(matches!(asked, Err(LookupError::System("asked"))));
    let unknown = look_up(&request("[fe80::1%25none0]"), refuse);
    assert!(matches!(unknown, Err(LookupError::NoAddress(_, None))));
}
