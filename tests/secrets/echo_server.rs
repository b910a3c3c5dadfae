//! Server that echoes every secret in every place of a response.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::auth_server::AuthServer;
use crate::places::{CONFIGURED, echo, html, percent, secret, spellings};

/// A server that answers each request by the first segment of its path.
pub struct EchoServer {
    pub port: u16,
    /// Bodies that the webhook was sent.
    pub bodies: Arc<Mutex<Vec<String>>>,
}

impl EchoServer {
    pub fn start() -> EchoServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let received = bodies.clone();
        let auth = Arc::new(AuthServer::default());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (received, auth) = (received.clone(), auth.clone());
                std::thread::spawn(move || respond(stream, port, &received, &auth));
            }
        });
        EchoServer { port, bodies }
    }
}

fn respond(
    stream: TcpStream,
    port: u16,
    received: &Mutex<Vec<String>>,
    auth: &AuthServer,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let (mut length, mut head) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line.to_lowercase());
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    if !body.is_empty() && first.starts_with("POST /hook") {
        received.lock().expect("no thread panics").push(body);
    }
    let target = first.split(' ').nth(1)?;
    let path = target
        .strip_prefix("http://api.example.org")
        .unwrap_or(target);
    let name = path.split(['/', '?']).nth(1).unwrap_or("connect");
    let mut stream = stream;
    if name == "auth" {
        let response = auth.response(path.split('?').next()?, &head);
        return stream.write_all(response.as_bytes()).ok();
    }
    stream.write_all(response(name, port).as_bytes()).ok()
}

fn response(name: &str, port: u16) -> String {
    let all = echo();
    // Not all in each response: its head is limited to 16 KiB.
    let headers = match name.len() % 3 {
        0 => format!("ETag: \"{all}\"\r\n"),
        1 => format!("Set-Cookie: sid={all}\r\n"),
        _ => format!("X-Squid-Error: {all}\r\n"),
    };
    let query = percent(&all);
    let (status, extra, body) = match name {
        "texts" => ("200 OK".to_owned(), String::new(), texts()),
        "snapshot" => ("200 OK".to_owned(), String::new(), snapshot(&all)),
        "drift" => ("200 OK".to_owned(), String::new(), drift(&all)),
        "denied" => (
            "403 Forbidden".to_owned(),
            format!("WWW-Authenticate: Bearer realm=\"{all}\"\r\n"),
            html(&all),
        ),
        "redirect" => (
            "302 Found".to_owned(),
            format!("Location: http://127.0.0.1:{port}/denied/{query}?key={query}&q={query}\r\n"),
            all,
        ),
        "away" => (
            "302 Found".to_owned(),
            format!("Location: http://me:{query}@127.0.0.2:{port}/{query}?q={query}\r\n"),
            all,
        ),
        "loop" => (
            "301 Moved".to_owned(),
            format!("Location: /loop?q={query}\r\n"),
            all,
        ),
        "page" => (
            "200 OK".to_owned(),
            "Content-Type: text/html\r\n".to_owned(),
            format!("<html>{}", html(&all)),
        ),
        "empty" => {
            let value = serde_json::json!({ all.clone(): 1, "t": all });
            ("200 OK".to_owned(), String::new(), value.to_string())
        }
        // The status line, for a proxy too.
        _ => (format!("500 {all}"), String::new(), all),
    };
    format!(
        "HTTP/1.1 {status}\r\n{extra}{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Values and keys.
fn texts() -> String {
    let mut tree = serde_json::Map::new();
    tree.insert("t".to_owned(), 20.5.into());
    for at in CONFIGURED {
        for (nth, spelling) in spellings(&secret(at)).into_iter().enumerate() {
            tree.insert(format!("text{at}_{nth}"), spelling.clone().into());
            tree.insert(spelling, (at as u64).into());
        }
    }
    serde_json::Value::Object(tree).to_string()
}

/// Of another main-node.
fn snapshot(all: &str) -> String {
    let record = |key: &str, value: serde_json::Value| {
        serde_json::json!({
            "key": key, "value": value, "unit": all, "timestamp": "2025-10-30T20:00:00Z",
            "age_s": 1, "stale": false, "source": all,
        })
    };
    serde_json::json!({
        "timestamp": "2025-10-30T20:00:00Z", "node": all, "via": [all],
        "records": [record("followed", 1.into()), record(&secret(0), 2.into()), record("word", all.into())],
        "summary": { "count": 3, "avg": 1.5 }, "alert": all, "alerts": [all],
    })
    .to_string()
}

/// Of an operation whose OpenAPI file says otherwise.
fn drift(all: &str) -> String {
    serde_json::json!({
        "latitude": all, "elevation": { all: all }, "current_units": all,
        "current": { "time": all, "temperature_2m": all, all: 1 },
    })
    .to_string()
}
