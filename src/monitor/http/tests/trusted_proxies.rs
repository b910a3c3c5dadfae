//! Trusted proxies at the running server: whose request it is, and how many of it there may be.

use super::*;

/// A server behind 127.0.0.2, for clients of 192.0.2.0/24.
fn behind_a_proxy(limits: HttpLimits) -> Running {
    let network = |text: &str| text.parse::<IpNet>().expect("a network");
    let networks = ClientNetworks {
        allow: vec![network("192.0.2.0/24")],
        trusted_proxies: TrustedProxies::new(&[network("127.0.0.2/32")]),
    };
    start_for(networks, limits, || ())
}

fn forwarded(path: &str, client: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n").into_bytes()
}

#[test]
fn loopback_is_this_machine_only_where_the_proxy_is_on_it() {
    let address = |text: &str| text.parse().expect("an address");
    let lan = ["192.168.0.0/16".parse().expect("a network")];
    for (allow, proxy, client, expected) in [
        (&[][..], "192.168.0.5", "203.0.113.7", true),
        (&lan, "192.168.0.5", "192.168.0.9", true),
        (&lan, "192.168.0.5", "203.0.113.7", false),
        (&lan, "192.168.0.5", "127.0.0.1", false),
        (&lan, "172.17.0.2", "172.17.0.2", false),
        (&lan, "127.0.0.1", "127.0.0.1", true),
        (&lan, "::1", "127.0.0.1", true),
        (&lan, "127.0.0.1", "203.0.113.7", false),
    ] {
        let found = is_client_allowed(allow, address(proxy), address(client));
        assert_eq!(found, expected, "{client} by {proxy}");
    }
}

#[test]
fn a_client_of_a_proxy_that_is_not_allowed_gets_403_and_others_their_response() {
    let running = behind_a_proxy(test_limits());
    let mut reader = BufReader::new(running.connect_from(2));
    for (path, client, expected) in [
        ("/echo", "192.0.2.7", 200),
        ("/hot", "192.0.2.7", 200),
        ("/hot", "203.0.113.7", 403),
        ("/hot", "192.0.2.7, 203.0.113.7", 403),
        ("/hot", "203.0.113.7, 192.0.2.7", 200),
        ("/hot", "junk", 200),
    ] {
        let sent = forwarded(path, client);
        reader.get_mut().write_all(&sent).expect("sent");
        let (status, head, _) = read_response(&mut reader, false);
        assert_eq!(status, expected, "{client}: {head}");
    }
    assert_eq!(running.rejection_count(Rejection::ForbiddenNetwork), 2);
    // Somebody else is whoever connects.
    let mut reader = BufReader::new(running.connect_from(3));
    let sent = forwarded("/hot", "203.0.113.7");
    reader.get_mut().write_all(&sent).expect("sent");
    assert_eq!(read_response(&mut reader, false).0, 200);
}

#[test]
fn a_proxy_has_more_connections_than_one_of_its_clients_streams() {
    let limits = HttpLimits {
        connections: 12,
        connections_per_address: 2,
        ..test_limits()
    };
    let running = behind_a_proxy(limits);
    let connected: Vec<_> = (0..6).map(|_| running.connect_from(2)).collect();
    let mut readers: Vec<_> = connected.into_iter().map(BufReader::new).collect();
    for (at, client, expected) in [
        (0, "192.0.2.7", 200),
        (1, "192.0.2.7", 200),
        (2, "192.0.2.7", 503),
        (3, "192.0.2.8", 200),
    ] {
        let reader = &mut readers[at];
        let sent = forwarded("/events", client);
        reader.get_mut().write_all(&sent).expect("sent");
        let mut line = String::new();
        reader.read_line(&mut line).expect("a status line");
        let code = line.split(' ').nth(1).map(str::to_owned);
        assert_eq!(code, Some(expected.to_string()), "{client}: {line}");
    }
    let refused = rest(running.connect_from(2));
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
}
