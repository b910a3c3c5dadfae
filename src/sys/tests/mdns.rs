use std::sync::mpsc::{Receiver, channel};

use super::*;

/// Nothing here waits for it; only what never comes would.
const LONG: Timing = Timing {
    wait: Duration::from_secs(60),
    gather: Duration::from_millis(1),
    budget: Duration::from_secs(60),
};

const SHORT: Timing = Timing {
    wait: Duration::from_millis(1),
    gather: Duration::from_millis(1),
    budget: Duration::from_secs(60),
};

/// A link whose only neighbours are in the network of `address`.
fn link(address: [u8; 4]) -> Link {
    Link {
        name: "test0".to_owned(),
        index: 7,
        v4: vec![(Ipv4Addr::from(address), 8)],
        v6: Vec::new(),
    }
}

/// A socket that asks `responder` instead of the group.
fn socket(responder: &UdpSocket, link: Link) -> LinkSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    socket.set_nonblocking(true).expect("it can be set");
    LinkSocket {
        socket,
        group: responder.local_addr().expect("bound"),
        link,
    }
}

fn responder() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a port is free")
}

/// The answer to a question: one address of its type.
fn answer(question: &[u8]) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[2] = 0x84;
    answer[7] = 1;
    let kind = answer[answer.len() - 3];
    answer.extend(b"\xc0\x0c\0");
    answer.extend([kind, 0, 1, 0, 0, 0, 10, 0]);
    match kind {
        1 => answer.extend([4, 192, 168, 1, 20]),
        _ => answer.extend([16, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20]),
    }
    answer
}

/// Answers the questions from `skipped` on with what `respond` makes of them.
fn answers(
    responder: UdpSocket,
    skipped: usize,
    respond: impl Fn(&UdpSocket, &[u8], SocketAddr) + Send + 'static,
) -> Receiver<Vec<u8>> {
    let (sender, questions) = channel();
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        for number in 0.. {
            let (length, source) = responder.recv_from(&mut packet).expect("a question comes");
            if number >= skipped {
                respond(&responder, &packet[..length], source);
            }
            // The test has what it waited for.
            if sender.send(packet[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    questions
}

fn texts(result: &MdnsResult) -> Vec<String> {
    let addresses = result.addresses.iter();
    addresses.map(|it| it.address.to_string()).collect()
}

fn never() -> bool {
    false
}

#[test]
fn both_families_are_asked_and_an_address_of_the_link_has_its_zone() {
    let responder = responder();
    let sockets = [socket(&responder, link([127, 0, 0, 1]))];
    let _questions = answers(responder, 0, |socket, question, source| {
        let sent = socket.send_to(&answer(question), source);
        sent.expect("it can be sent");
    });
    let timing = Timing {
        gather: Duration::from_secs(60),
        ..LONG
    };
    let collected = ask_sockets("plug.local", &sockets, timing, &never);
    assert_eq!(texts(&collected), ["192.168.1.20:0", "[fe80::20%7]:0"]);
    assert_eq!(collected.interfaces, ["test0"]);
    assert_eq!(collected.addresses[0].ttl, Duration::from_secs(10));
}

#[test]
fn a_silent_name_is_asked_three_times() {
    let responder = responder();
    let sockets = [socket(&responder, link([127, 0, 0, 1]))];
    let questions = answers(responder, usize::MAX, |_, _, _| {});
    let result = ask_sockets("plug.local", &sockets, SHORT, &never);
    assert!(result.addresses.is_empty());
    let asked: Vec<Vec<u8>> = (0..6).filter_map(|_| questions.recv().ok()).collect();
    let kinds: Vec<u8> = asked.iter().map(|it| it[it.len() - 3]).collect();
    assert_eq!(kinds, [1, 28, 1, 28, 1, 28]);
    assert!(asked.iter().all(|it| it[..2] == asked[0][..2]), "one id");
}

#[test]
fn strangers_and_other_ports_are_not_believed() {
    let wrong_id = |socket: &UdpSocket, question: &[u8], source| {
        let mut answer = answer(question);
        answer[0] ^= 0xff;
        socket.send_to(&answer, source).expect("it can be sent");
    };
    let other_port = |_: &UdpSocket, question: &[u8], source| {
        let sent = responder().send_to(&answer(question), source);
        sent.expect("it can be sent");
    };
    let good = |socket: &UdpSocket, question: &[u8], source| {
        let sent = socket.send_to(&answer(question), source);
        sent.expect("it can be sent");
    };
    type Respond = Box<dyn Fn(&UdpSocket, &[u8], SocketAddr) + Send>;
    let cases: [(&str, Respond, [u8; 4], bool); 4] = [
        ("a neighbour", Box::new(good), [127, 0, 0, 1], true),
        (
            "from outside the link",
            Box::new(good),
            [10, 0, 0, 1],
            false,
        ),
        ("another id", Box::new(wrong_id), [127, 0, 0, 1], false),
        ("another port", Box::new(other_port), [127, 0, 0, 1], false),
    ];
    for (what, respond, network, is_believed) in cases {
        let responder = responder();
        let sockets = [socket(&responder, link(network))];
        let questions = answers(responder, 0, respond);
        let mut received = 0;
        let result = loop {
            let result = ask_sockets("plug.local", &sockets, SHORT, &never);
            received += questions.try_iter().count();
            // What was answered before this question has been looked at by now.
            if received > 20 || !result.addresses.is_empty() {
                break result;
            }
        };
        assert_eq!(!result.addresses.is_empty(), is_believed, "{what}");
    }
}

#[test]
fn a_flood_of_packets_ends_the_lookup() {
    let responder = responder();
    let sockets = [socket(&responder, link([127, 0, 0, 1]))];
    let _questions = answers(responder, 0, |socket, _, source| {
        for _ in 0..2 * limits::MDNS_PACKETS {
            // The receiver's buffer may be full.
            let _ = socket.send_to(&[0xff; 64], source);
        }
    });
    let mut collector = Collector {
        name: "plug.local",
        id: 1,
        sockets: &sockets,
        packets_left: limits::MDNS_PACKETS,
        addresses: Vec::new(),
        complete_at: None,
        gather: LONG.gather,
    };
    let question = message::question(1, "plug.local", 1).expect("a name");
    let end = Instant::now() + LONG.wait;
    let mut interfaces = Vec::new();
    while collector.packets_left > 0 && Instant::now() < end {
        send(std::slice::from_ref(&question), &sockets, &mut interfaces);
        collector.wait(limits::MDNS_STOP_CHECK);
        collector.receive();
    }
    assert!(collector.collect(end, &never));
    assert!(collector.addresses.is_empty());
}

#[test]
fn a_stop_ends_the_wait_and_a_machine_without_interfaces_none() {
    let responder = responder();
    let sockets = [socket(&responder, link([127, 0, 0, 1]))];
    let result = ask_sockets("plug.local", &sockets, LONG, &|| true);
    assert!(result.addresses.is_empty());
    assert_eq!(result.interfaces, ["test0"]);
    let result = ask_sockets("plug..local", &sockets, LONG, &never);
    assert_eq!(result, MdnsResult::default());
    let result = ask_sockets("plug.local", &[], LONG, &never);
    assert_eq!(result, MdnsResult::default());
}
