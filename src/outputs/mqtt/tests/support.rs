//! A broker for tests: it does as it is told with what a client sends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use crate::config::{MqttConfig, MqttVersion};
use crate::sys::sync::Mutex;
use crate::sys::tls::TrustSettings;

pub fn config(port: u16, version: MqttVersion) -> MqttConfig {
    MqttConfig {
        host: "127.0.0.1".to_owned(),
        port,
        has_tls: false,
        user: None,
        password: None,
        version,
        client_id: "node".to_owned(),
        prefix: "n".to_owned(),
        keys: Vec::new(),
        home_assistant: false,
        discovery_prefix: "homeassistant".to_owned(),
        trust: TrustSettings::default(),
    }
}

/// First byte and body of a packet; `None` at the end of the connection.
pub fn read_packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    let first = byte[0];
    let mut length = 0;
    for place in 0..4 {
        stream.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 0x7f) << (7 * place);
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((first, body))
}

/// What the clients have published: topic, payload, in the order of arrival; at the end of a
/// connection `DISCONNECT`, or `LOST` without one.
#[derive(Clone, Default)]
pub struct Received(Arc<Mutex<Vec<String>>>);

impl Received {
    pub fn get(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    fn push(&self, text: String) {
        self.0.lock().push(text);
    }
}

/// Serves MQTT 3.1.1 as a broker that takes everything; `retained` is what it keeps. Each connection
/// ends before packet number `cut` of it is answered.
pub fn serve(
    listener: TcpListener,
    retained: Vec<(&'static str, &'static str)>,
    cuts: Vec<usize>,
) -> Received {
    let received = Received::default();
    let of_thread = received.clone();
    std::thread::spawn(move || {
        let mut cuts = cuts.into_iter();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else {
                return;
            };
            let cut = cuts.next().unwrap_or(usize::MAX);
            // A client that is gone.
            let _ = serve_one(&mut stream, &retained, cut, &of_thread);
        }
    });
    received
}

fn serve_one(
    stream: &mut TcpStream,
    retained: &[(&str, &str)],
    cut: usize,
    received: &Received,
) -> std::io::Result<()> {
    for _ in 0..cut {
        let Some((first, body)) = read_packet(stream) else {
            received.push("LOST".to_owned());
            return Ok(());
        };
        match first >> 4 {
            1 => stream.write_all(&[0x20, 2, 0, 0])?,
            3 => {
                let length = usize::from(body[0]) << 8 | usize::from(body[1]);
                let topic = String::from_utf8_lossy(&body[2..2 + length]).into_owned();
                let payload = String::from_utf8_lossy(&body[4 + length..]).into_owned();
                assert_eq!(first, 0x33, "QoS 1 and retained");
                received.push(format!("{topic}={payload}"));
                stream.write_all(&[0x40, 2, body[2 + length], body[3 + length]])?;
            }
            8 => {
                stream.write_all(&[0x90, 5, body[0], body[1], 0, 0, 0])?;
                for (topic, payload) in retained {
                    stream.write_all(&message(topic, payload))?;
                }
            }
            10 => stream.write_all(&[0xb0, 2, body[0], body[1]])?,
            12 => stream.write_all(&[0xd0, 0])?,
            14 => {
                received.push("DISCONNECT".to_owned());
                return Ok(());
            }
            other => panic!("packet {other}"),
        }
    }
    Ok(())
}

/// A retained message as a broker sends it to a new subscriber.
pub fn message(topic: &str, payload: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("a short text");
    let body = [&[0, length(topic)], topic.as_bytes(), payload.as_bytes()].concat();
    let head = [0x31, u8::try_from(body.len()).expect("short")];
    [&head[..], &body].concat()
}
