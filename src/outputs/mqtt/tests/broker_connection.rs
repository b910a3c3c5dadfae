use std::io::Write;
use std::net::TcpListener;

use super::super::support::{config, message, read_packet};
use super::*;
use crate::config::MqttVersion;
use crate::sys::shutdown::StopSource;

fn settings<'a>(mqtt: &'a MqttConfig, stop: &'a StopToken) -> BrokerSettings<'a> {
    BrokerSettings {
        mqtt,
        tls: None,
        connect: ConnectPacket {
            client_id: mqtt.client_id.clone(),
            user: None,
            password: None,
            will: Some(("n/status".to_owned(), "offline")),
        },
        stop,
    }
}

/// Connects to what answers a CONNECT with these bytes and then closes.
fn connect_to(version: MqttVersion, answer: &'static [u8]) -> Result<BrokerConnection, String> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        assert!(read_packet(&mut stream).is_some_and(|(first, _)| first == 0x10));
        stream.write_all(answer).expect("an answer");
    });
    let mqtt = config(port, version);
    let stop = StopSource::new();
    let token = stop.token();
    let opened = BrokerConnection::open(&settings(&mqtt, &token));
    server.join().expect("the server is well");
    opened
}

#[test]
fn a_refused_connection_is_explained() {
    let (v3, v5) = (MqttVersion::V3, MqttVersion::V5);
    let cases: [(MqttVersion, &'static [u8], &str); 18] = [
        (
            v3,
            &[0x20, 2, 0, 4],
            "the broker refuses the user or password",
        ),
        (
            v3,
            &[0x20, 2, 0, 5],
            "does not let this client in: check `user` and `password`",
        ),
        (v3, &[0x20, 2, 0, 2], "set another `client_id`"),
        (v3, &[0x20, 2, 0, 3], "is not available now"),
        (v3, &[0x20, 2, 0, 1], "write version = \"5\""),
        (
            v5,
            &[0x20, 3, 0, 0x86, 0],
            "the broker refuses the user or password",
        ),
        (v5, &[0x20, 3, 0, 0x89, 0], "the broker is busy"),
        (v5, &[0x20, 3, 0, 0x97, 0], "a quota is exceeded"),
        (v5, &[0x20, 2, 0, 1], "does not speak MQTT"),
        (
            v5,
            &[0x20, 3, 0, 0x9c, 0],
            "another server, and does not name it",
        ),
        (
            v5,
            b"\x20\x0a\0\x9d\x07\x1c\0\x04b:18",
            "another server, \"b:18\": write that one in `url`",
        ),
        (
            v5,
            b"\x20\x09\0\x9d\x06\x1c\0\x03\x1b[m",
            "another server, \"\\u{1b}[m\"",
        ),
        (
            v3,
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "a web server answers",
        ),
        (v3, b"\xff\xff\xff\xff\xff\xff", "does not speak MQTT"),
        (v3, b"\x15\x03\x03\x00\x02\x02\x46", "TLS is spoken on port"),
        (
            v3,
            b"",
            "closed before the broker accepted it; a broker that wants TLS",
        ),
        (v3, &[0x20, 2], "does not speak MQTT"),
        (v3, &[0x40, 2, 0, 1], "does not speak MQTT"),
    ];
    for (version, answer, expected) in cases {
        let why = connect_to(version, answer).err().expect(expected);
        assert!(why.contains(expected), "{answer:?}: {why}");
    }
}

#[test]
fn what_a_broker_accepts_is_known_with_mqtt_5() {
    // Receive maximum 2, maximum QoS 0, no retained messages, maximum packet size 100, keep-alive 10.
    let answer = &[
        0x20, 18, 0, 0, 15, 0x21, 0, 2, 0x24, 0, 0x25, 0, 0x27, 0, 0, 0, 100, 0x13, 0, 10,
    ];
    let mut connection = connect_to(MqttVersion::V5, answer).expect("accepted");
    let expected = BrokerLimits {
        in_flight: 2,
        packet_bytes: 100,
        has_qos_1: false,
        has_retain: false,
        keep_alive: Some(10),
    };
    assert_eq!(connection.accepted(), expected);
    let large = connection.publish("n/a", &[b'x'; 200]);
    assert!(matches!(large, Err(PublishError::Refused(why)) if why.contains("at most 100 bytes")));
    assert!(matches!(connection.publish("n/a", b"1"), Ok(None)));
}

#[test]
fn what_comes_before_the_end_is_read_and_large_messages_are_passed_over() {
    let mut answer = vec![0x20, 2, 0, 0];
    answer.extend(message("n/a", "1"));
    // 2,000,000 bytes.
    answer.extend([0x31, 0x80, 0x89, 0x7a]);
    answer.extend(vec![7; 2_000_000]);
    answer.extend(message("n/b", "2"));
    let mut connection = connect_to(MqttVersion::V3, answer.leak()).expect("accepted");
    let mut topics = Vec::new();
    let ended = loop {
        match connection.receive(Duration::from_secs(5)) {
            Ok(packets) => topics.extend(packets.into_iter().filter_map(|it| match it {
                BrokerPacket::Message(message) => Some(message.topic),
                _ => None,
            })),
            Err(why) => break why,
        }
        assert!(connection.input.len() <= limits::MQTT_PACKET_BYTES + limits::MQTT_BUFFER_BYTES);
    };
    assert_eq!(topics, ["n/a", "n/b"]);
    assert_eq!(ended, "the broker closed the connection");
}

#[test]
fn the_stop_ends_the_wait_for_a_silent_broker() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mqtt = config(
        listener.local_addr().expect("an address").port(),
        MqttVersion::V3,
    );
    let stop = StopSource::new();
    let token = stop.token();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| BrokerConnection::open(&settings(&mqtt, &token)).err());
        let (mut stream, _) = listener.accept().expect("a connection");
        assert!(read_packet(&mut stream).is_some());
        stop.stop();
        let why = opened.join().expect("no panic");
        assert_eq!(why.as_deref(), Some("main-node is stopping"));
    });
    assert!(begun.elapsed() < limits::MQTT_CONNECT_TIMEOUT);
}

/// One that returns sooner makes its caller spin until then.
#[test]
fn waiting_for_a_quiet_broker_takes_the_whole_span() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        assert!(read_packet(&mut stream).is_some());
        stream.write_all(&[0x20, 2, 0, 0]).expect("an answer");
        assert!(read_packet(&mut stream).is_some_and(|(first, _)| first == 0x33));
        // Until the client has gone.
        while read_packet(&mut stream).is_some() {}
    });
    let mqtt = config(port, MqttVersion::V3);
    let stop = StopSource::new();
    let token = stop.token();
    let mut connection = BrokerConnection::open(&settings(&mqtt, &token)).expect("accepted");
    for is_unacknowledged in [false, true] {
        if is_unacknowledged {
            assert!(connection.publish("n/a", b"1").is_ok());
        }
        for milliseconds in [10, 70] {
            let (begun, span) = (Instant::now(), Duration::from_millis(milliseconds));
            let packets = connection.receive(span).expect("it is connected");
            assert_eq!(packets, []);
            assert!(begun.elapsed() >= span, "{is_unacknowledged} {span:?}");
        }
    }
    drop(connection);
    server.join().expect("the server is well");
}

#[test]
fn any_bytes_from_a_broker_are_read_or_refused() {
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        for version in [MqttVersion::V3, MqttVersion::V5] {
            let mut body: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
            if random.bool() {
                // Something that begins as properties do.
                body.splice(..0, [0, random.u8(..8), random.u8(..40)]);
            }
            let kind = random.u8(..16) << 4 | random.u8(..16);
            // No panic is all that is asked for.
            let _ = PacketCodec(version).read(kind, &body);
        }
    }
}
