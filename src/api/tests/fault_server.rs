//! Fault server: a raw-socket server whose responses a test scripts.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is done with one request: its head, the stream, and what may be asked.
pub type Act = dyn Fn(&str, &mut dyn Wire, &FaultState) -> AfterResponse + Send + Sync;

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AfterResponse {
    Keep,
    Close,
    /// Ends with RST instead of FIN.
    Reset,
}

/// A TCP stream, or TLS on one.
pub trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// What acts share with the test.
#[derive(Default)]
pub struct FaultState {
    /// Set when the test is over: endless acts end.
    pub over: AtomicBool,
    /// Bytes of endless acts that the client let itself be sent.
    pub sent: AtomicU64,
    pub connections: AtomicUsize,
    /// Heads of the requests received.
    pub heads: Mutex<Vec<String>>,
}

impl FaultState {
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Waits in small steps until the test is over or the client has gone.
    pub fn hold(&self, wire: &mut dyn Wire) {
        let mut byte = [0];
        while !self.is_over() {
            match wire.read(&mut byte) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if is_wait(&error) => {}
                Err(_) => return,
            }
        }
    }
}

fn is_wait(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::*;
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

pub struct FaultServer {
    pub address: SocketAddr,
    pub server: Arc<FaultState>,
    acceptor: Option<std::thread::JoinHandle<()>>,
}

impl FaultServer {
    /// Each request is answered by `act`; the connection lives until `act` returns.
    pub fn start(act: Arc<Act>) -> FaultServer {
        FaultServer::start_with(act, None)
    }

    /// The same at another address of this machine.
    pub fn start_at(address: Ipv4Addr, act: Arc<Act>) -> FaultServer {
        FaultServer::serve_at(address, move |stream, server| {
            serve_connection(stream, None, &*act, server);
        })
    }

    pub fn start_tls(act: Arc<Act>, tls: Arc<rustls::ServerConfig>) -> FaultServer {
        FaultServer::start_with(act, Some(tls))
    }

    /// Says `greeting` without waiting for a request, then holds the connection.
    pub fn start_speaking(greeting: &'static str) -> FaultServer {
        FaultServer::serve(move |mut stream, server| {
            send(&mut stream, greeting);
            server.hold(&mut stream);
        })
    }

    fn start_with(act: Arc<Act>, tls: Option<Arc<rustls::ServerConfig>>) -> FaultServer {
        FaultServer::serve(move |stream, server| {
            serve_connection(stream, tls.clone(), &*act, server);
        })
    }

    fn serve(conversation: impl Fn(TcpStream, &FaultState) + Send + Sync + 'static) -> FaultServer {
        FaultServer::serve_at(Ipv4Addr::LOCALHOST, conversation)
    }

    fn serve_at(
        address: Ipv4Addr,
        conversation: impl Fn(TcpStream, &FaultState) + Send + Sync + 'static,
    ) -> FaultServer {
        let listener = TcpListener::bind((address, 0)).expect("loopback");
        let address = listener.local_addr().expect("bound");
        let server = Arc::new(FaultState::default());
        let shared = server.clone();
        let conversation = Arc::new(conversation);
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.is_over() {
                    return;
                }
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let _ = stream.set_nodelay(true);
                let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
                let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
                let (conversation, shared) = (conversation.clone(), shared.clone());
                std::thread::spawn(move || conversation(stream, &shared));
            }
        });
        FaultServer {
            address,
            server,
            acceptor: Some(acceptor),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/data?key=topsecret", self.address)
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.server.over.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn serve_connection(
    stream: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
    act: &Act,
    server: &FaultState,
) {
    match tls {
        None => {
            let mut stream = stream;
            match talk(&mut stream, act, server) {
                AfterResponse::Reset => reset_on_close(&stream),
                _ => drop(stream.shutdown(Shutdown::Write)),
            }
        }
        Some(config) => {
            let Ok(connection) = rustls::ServerConnection::new(config) else {
                return;
            };
            let mut stream = rustls::StreamOwned::new(connection, stream);
            talk(&mut stream, act, server);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
}

fn reset_on_close(stream: &TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the descriptor is open, and the option takes exactly one `linger`.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        );
    }
}

/// Requests on one connection, until an act or the client ends it.
fn talk(wire: &mut dyn Wire, act: &Act, server: &FaultState) -> AfterResponse {
    while let Some(head) = read_head(wire, server) {
        server
            .heads
            .lock()
            .expect("no act panics")
            .push(head.clone());
        let then = act(&head, wire, server);
        if then != AfterResponse::Keep {
            return then;
        }
    }
    AfterResponse::Close
}

fn read_head(wire: &mut dyn Wire, server: &FaultState) -> Option<String> {
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if server.is_over() {
            return None;
        }
        match wire.read(&mut buffer) {
            Ok(0) => return None,
            Ok(count) => head.extend_from_slice(&buffer[..count]),
            Err(error) if is_wait(&error) => {}
            Err(_) => return None,
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Writes it all; false if the client has gone.
pub fn send(wire: &mut dyn Wire, bytes: impl AsRef<[u8]>) -> bool {
    wire.write_all(bytes.as_ref())
        .and_then(|()| wire.flush())
        .is_ok()
}

/// A whole answer with a body.
pub fn response(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
