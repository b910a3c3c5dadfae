//! Waiting for a socket, a wake-up or the stop, whichever comes first.
//!
//! For a thread that serves one connection and follows something else too. It takes no thread of its
//! own: wake-ups and the stop write to an eventfd that is polled beside the socket.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::shutdown::{StopCallback, StopToken, WakeCallback};

/// Registered at a stop token until it is dropped.
pub struct SocketWaiter {
    event: Arc<OwnedFd>,
    _on_wake: WakeCallback,
    _on_stop: StopCallback,
}

impl SocketWaiter {
    pub fn new(stop: &StopToken) -> io::Result<SocketWaiter> {
        let event = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (on_wake, on_stop) = (event.clone(), event.clone());
        Ok(SocketWaiter {
            event,
            _on_wake: stop.on_wake(move || signal(&on_wake)),
            _on_stop: stop.on_stop(move || signal(&on_stop)),
        })
    }

    /// Waits until `socket` can be read, or written if `wants_write`, until the next wake-up or stop
    /// since the last call, or for `span`.
    pub fn wait(&self, socket: &TcpStream, wants_write: bool, span: Duration) -> io::Result<()> {
        let mut wanted = PollFlags::IN;
        if wants_write {
            wanted |= PollFlags::OUT;
        }
        self.poll(Some(PollFd::new(socket, wanted)), span)?;
        Ok(())
    }

    /// Waits until the next wake-up or stop alone; whether there was one.
    pub fn pause(&self, span: Duration) -> io::Result<bool> {
        self.poll(None, span)
    }

    fn poll(&self, socket: Option<PollFd<'_>>, span: Duration) -> io::Result<bool> {
        let event = PollFd::new(&*self.event, PollFlags::IN);
        let mut pair = [event.clone(), socket.clone().unwrap_or(event)];
        let waiting = match socket {
            Some(_) => &mut pair[..],
            None => &mut pair[..1],
        };
        let span = Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: span.subsec_nanos().into(),
        };
        match poll(waiting, Some(&span)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_woken = waiting[0].revents().contains(PollFlags::IN);
        if is_woken {
            let mut count = [0; 8];
            // It is there, as was just found.
            let _ = rustix::io::read(&*self.event, &mut count);
        }
        Ok(is_woken)
    }
}

fn signal(event: &OwnedFd) {
    // It fails only where the count is full, and then the thread wakes anyway.
    let _ = rustix::io::write(event, &1u64.to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;
    use crate::sys::shutdown::StopSource;

    #[test]
    fn a_wait_ends_at_data_a_wake_up_or_the_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let socket = TcpStream::connect(address).expect("a connection");
        let (mut peer, _) = listener.accept().expect("a connection");
        let stop = StopSource::new();
        let waiter = SocketWaiter::new(&stop.token()).expect("an eventfd");
        let long = Duration::from_secs(60);
        let begun = Instant::now();
        stop.token().wake();
        waiter.wait(&socket, false, long).expect("a wake-up");
        waiter.wait(&socket, true, long).expect("a writable socket");
        peer.write_all(b"x").expect("written");
        waiter.wait(&socket, false, long).expect("data");
        let socket = TcpStream::connect(address).expect("a connection");
        waiter
            .wait(&socket, false, Duration::from_millis(1))
            .expect("the span");
        let short = Duration::from_millis(1);
        assert!(!waiter.pause(short).expect("the span"));
        stop.stop();
        assert!(waiter.pause(long).expect("the stop"));
        assert!(begun.elapsed() < long);
        // After the stop a new one does not wait either.
        let waiter = SocketWaiter::new(&stop.token()).expect("an eventfd");
        waiter.wait(&socket, false, long).expect("the stop");
        assert!(begun.elapsed() < long);
    }
}
