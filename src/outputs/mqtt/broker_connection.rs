//! Connection to a broker: packets in flight, keep-alive and deadlines.
//!
//! On the thread of the output. Each wait is bounded: a broker that hangs, answers rubbish or never
//! acknowledges costs a connection, never the thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::broker_stream::{BrokerStream, StreamError, connect};
use super::connection_error::{ConnectionAdvice, describe_stream_error};
use super::packets::{
    BrokerLimits, BrokerPacket, ConnectPacket, OutgoingMessage, PacketCodec, PacketError,
};
use super::reason_code::closed_connection;
use crate::config::MqttConfig;
use crate::limits;
use crate::sys::host_address;
use crate::sys::os_error::reason;
use crate::sys::shutdown::StopToken;
use crate::sys::socket_waiter::SocketWaiter;
use crate::sys::tls::Trust;

/// How a connection is made.
pub struct BrokerSettings<'a> {
    pub mqtt: &'a MqttConfig,
    /// Made once, so that TLS sessions are resumed; none without TLS.
    pub tls: Option<Arc<ClientConfig>>,
    pub connect: ConnectPacket,
    pub stop: &'a StopToken,
}

/// The TLS configuration of a broker; none without TLS. `Err` says what is wrong with a file.
pub fn tls_config(mqtt: &MqttConfig) -> Result<Option<Arc<ClientConfig>>, String> {
    if !mqtt.has_tls {
        return Ok(None);
    }
    let config = Trust::of(&mqtt.trust)?.client_config(true);
    Ok(Some(config.map_err(|error| error.to_string())?))
}

/// An open connection.
pub struct BrokerConnection {
    stream: BrokerStream,
    waiter: SocketWaiter,
    codec: PacketCodec,
    advice: ConnectionAdvice,
    /// What has come and is no whole packet yet.
    input: Vec<u8>,
    /// Bytes of a packet that is too large to be kept.
    skipped: usize,
    /// What the broker accepts; none until it has accepted the connection.
    accepted: Option<BrokerLimits>,
    next_id: u16,
    /// When what is not acknowledged was sent.
    in_flight: BTreeMap<u16, Instant>,
    /// Whether the window was full and is not half free yet.
    is_full: bool,
    /// Bytes since all was sent.
    queued: usize,
    keep_alive: Duration,
    sent_at: Instant,
    ping_sent_at: Option<Instant>,
}

impl BrokerConnection {
    /// Connects and logs in.
    pub fn open(settings: &BrokerSettings<'_>) -> Result<BrokerConnection, String> {
        let mqtt = settings.mqtt;
        let advice = ConnectionAdvice::of(mqtt);
        let socket = connect(&mqtt.host, mqtt.port, settings.stop)?;
        let tls = match &settings.tls {
            None => None,
            Some(config) => {
                let zoneless = host_address::without_zone(&mqtt.host);
                let name = zoneless.as_deref().unwrap_or(&mqtt.host);
                let name = name.trim_matches(['[', ']']).to_owned();
                let name = ServerName::try_from(name)
                    .map_err(|_| "the name of the broker can be in no certificate".to_owned())?;
                Some((config.clone(), name))
            }
        };
        let stream = BrokerStream::new(socket, tls)
            .map_err(|error| describe_stream_error(&error, &advice, &[], false))?;
        let waiter = SocketWaiter::new(settings.stop).map_err(|error| reason(&error))?;
        let codec = PacketCodec(mqtt.version);
        let now = Instant::now();
        let mut connection = BrokerConnection {
            stream,
            waiter,
            codec,
            advice,
            input: Vec::new(),
            skipped: 0,
            accepted: None,
            next_id: 0,
            in_flight: BTreeMap::new(),
            is_full: false,
            queued: 0,
            keep_alive: limits::MQTT_KEEP_ALIVE,
            sent_at: now,
            ping_sent_at: None,
        };
        let packet = codec.connect(&settings.connect);
        connection.queue(packet)?;
        connection.await_acceptance(settings.stop, now + limits::MQTT_CONNECT_TIMEOUT)?;
        Ok(connection)
    }

    fn await_acceptance(&mut self, stop: &StopToken, deadline: Instant) -> Result<(), String> {
        while self.accepted.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.advice.silent(&self.input));
            }
            if stop.is_stopping() {
                return Err("main-node is stopping".to_owned());
            }
            match self.receive(left)?.into_iter().next() {
                None => {}
                Some(BrokerPacket::Connected(accepted)) => {
                    if let Some(seconds @ 1..) = accepted.keep_alive {
                        self.keep_alive = Duration::from_secs(seconds.into());
                    }
                    self.accepted = Some(accepted);
                }
                Some(BrokerPacket::Refused(refused)) => {
                    return Err(format!("the broker {}", refused.why));
                }
                Some(_) => return Err(self.advice.no_broker(&[])),
            }
        }
        Ok(())
    }

    pub fn accepted(&self) -> BrokerLimits {
        self.accepted.unwrap_or_default()
    }

    /// Whether another message can be sent now. Once there is none, half has to be free again, so
    /// that messages go out together.
    pub fn has_room(&mut self) -> bool {
        let most = self.accepted().in_flight;
        if self.in_flight.len() >= most {
            self.is_full = true;
        } else if self.in_flight.len() <= most / 2 {
            self.is_full = false;
        }
        !self.is_full && self.queued < limits::MQTT_QUEUED_BYTES
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Queues a retained message. Its number, which its acknowledgement has; none if the broker
    /// acknowledges nothing.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<Option<u16>, PublishError> {
        let accepted = self.accepted();
        let packet_id = accepted.has_qos_1.then(|| self.new_id());
        let message = OutgoingMessage {
            topic,
            payload,
            retain: accepted.has_retain,
            packet_id,
        };
        let packet = self.codec.publish(message);
        let packet = packet.map_err(|error| PublishError::Refused(describe_packet_error(error)))?;
        if packet.len() > accepted.packet_bytes {
            return Err(PublishError::Refused(format!(
                "the broker takes packets of at most {} bytes, and it has {}",
                accepted.packet_bytes,
                packet.len()
            )));
        }
        self.queue(Ok(packet)).map_err(PublishError::Lost)?;
        if let Some(id) = packet_id {
            self.in_flight.insert(id, Instant::now());
        }
        Ok(packet_id)
    }

    pub fn subscribe(&mut self, filters: &[String]) -> Result<u16, String> {
        let id = self.new_id();
        self.queue(self.codec.subscribe(id, filters))?;
        self.in_flight.insert(id, Instant::now());
        Ok(id)
    }

    pub fn unsubscribe(&mut self, filters: &[String]) -> Result<(), String> {
        let id = self.new_id();
        self.queue(self.codec.unsubscribe(id, filters))?;
        self.in_flight.insert(id, Instant::now());
        Ok(())
    }

    /// Sends what is queued and waits for packets: at most for `span`, until the next wake-up, or
    /// until something has to be done for the connection.
    pub fn receive(&mut self, span: Duration) -> Result<Vec<BrokerPacket>, String> {
        if let Err(why) = self.flush() {
            return self.last_packets(why);
        }
        let mut packets = self.take_packets()?;
        if packets.is_empty() {
            let span = span.min(self.next_timer());
            // Acknowledgements come one by one: all of them are read at once a little later.
            let gathers = !self.in_flight.is_empty() && !self.stream.has_output();
            let pause = span.min(limits::MQTT_ACK_PAUSE);
            let span = if !gathers {
                span
            } else if self.waiter.pause(pause).map_err(|error| reason(&error))? {
                // Woken: what has come is read, however often that is.
                Duration::ZERO
            } else {
                span - pause
            };
            self.waiter
                .wait(self.stream.socket(), self.stream.has_output(), span)
                .map_err(|error| reason(&error))?;
            if let Err(why) = self.flush() {
                return self.last_packets(why);
            }
            let read = self.stream.read(&mut self.input);
            // What came before the end says why it ended.
            packets = self.take_packets()?;
            if let Err(error) = read
                && !packets.iter().any(is_last)
            {
                return Err(self.describe(&error));
            }
        }
        self.handle(&packets)?;
        self.check_timers()?;
        Ok(packets)
    }

    /// Nothing can be sent any more: what the broker has said before, if that is why.
    fn last_packets(&mut self, why: String) -> Result<Vec<BrokerPacket>, String> {
        let mut read = 0;
        while self.stream.read(&mut self.input).is_ok() && self.input.len() > read {
            read = self.input.len();
            if read > limits::MQTT_PACKET_BYTES {
                break;
            }
        }
        let packets = self.take_packets()?;
        self.handle(&packets)?;
        if packets.iter().any(is_last) {
            Ok(packets)
        } else {
            Err(why)
        }
    }

    /// Takes note of acknowledgements; `Err` if the broker has closed the connection.
    fn handle(&mut self, packets: &[BrokerPacket]) -> Result<(), String> {
        for packet in packets {
            match packet {
                BrokerPacket::Published(id, _)
                | BrokerPacket::Subscribed(id, _)
                | BrokerPacket::Unsubscribed(id) => {
                    self.in_flight.remove(id);
                }
                BrokerPacket::Pong => self.ping_sent_at = None,
                BrokerPacket::Disconnected { code, server } => {
                    let why = closed_connection(*code, server.as_deref(), &self.advice.client_id);
                    return Err(format!("the broker {why}"));
                }
                BrokerPacket::Connected(_) | BrokerPacket::Refused(_)
                    if self.accepted.is_some() =>
                {
                    return Err(self.advice.no_broker(&[]));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Leaves without the last will, within `span`.
    pub fn close(mut self, span: Duration) {
        let deadline = Instant::now() + span;
        if self.queue(self.codec.disconnect()).is_err() {
            return;
        }
        while self.flush().is_ok() && self.stream.has_output() {
            let left = deadline.saturating_duration_since(Instant::now());
            let socket = self.stream.socket();
            if left.is_zero() || self.waiter.wait(socket, true, left).is_err() {
                return;
            }
        }
    }

    fn queue(&mut self, packet: Result<Vec<u8>, PacketError>) -> Result<(), String> {
        let packet = packet.map_err(describe_packet_error)?;
        let queued = self.stream.queue(&packet);
        self.queued += packet.len();
        self.sent_at = Instant::now();
        queued.map_err(|error| self.describe(&error))
    }

    fn flush(&mut self) -> Result<(), String> {
        let flushed = self.stream.flush();
        if !self.stream.has_output() {
            self.queued = 0;
        }
        flushed.map_err(|error| self.describe(&error))
    }

    /// Every whole packet that has come.
    fn take_packets(&mut self) -> Result<Vec<BrokerPacket>, String> {
        let mut packets = Vec::new();
        let mut at = self.skipped.min(self.input.len());
        self.skipped -= at;
        while let Some(found) = frame(&self.input[at..]) {
            let frame = found.map_err(|()| self.advice.no_broker(&self.input))?;
            let end = at + frame.head + frame.body;
            if frame.body > limits::MQTT_PACKET_BYTES {
                // Nobody needs the contents of a message as large as that.
                if self.accepted.is_none() || self.input[at] >> 4 != 3 {
                    return Err(self.advice.no_broker(&self.input));
                }
                self.skipped = end.saturating_sub(self.input.len());
                at = end.min(self.input.len());
                continue;
            }
            if end > self.input.len() {
                break;
            }
            let body = &self.input[at + frame.head..end];
            let read = self.codec.read(self.input[at], body);
            packets.push(read.map_err(|_| self.advice.no_broker(&self.input))?);
            at = end;
            if self.accepted.is_none() {
                // What is behind it belongs to whoever has the connection then.
                break;
            }
        }
        self.input.drain(..at);
        Ok(packets)
    }

    /// Until a packet is overdue, or a ping.
    fn next_timer(&self) -> Duration {
        let now = Instant::now();
        let ping = match self.ping_sent_at {
            Some(sent) => sent + limits::MQTT_ACK_TIMEOUT,
            None => self.sent_at + self.ping_after(),
        };
        let oldest = self.in_flight.values().min();
        let acknowledged = oldest.map(|sent| *sent + limits::MQTT_ACK_TIMEOUT);
        let next = acknowledged.map_or(ping, |it| it.min(ping));
        next.saturating_duration_since(now)
    }

    /// Early enough that the ping is there within the keep-alive.
    fn ping_after(&self) -> Duration {
        self.keep_alive * 3 / 4
    }

    fn check_timers(&mut self) -> Result<(), String> {
        let most = limits::MQTT_ACK_TIMEOUT;
        let is_overdue = |sent: &Instant| sent.elapsed() >= most;
        if self.in_flight.values().any(is_overdue)
            || self.ping_sent_at.as_ref().is_some_and(is_overdue)
        {
            let seconds = most.as_secs();
            return Err(format!(
                "the broker has acknowledged nothing for {seconds} s"
            ));
        }
        if self.accepted.is_some()
            && self.ping_sent_at.is_none()
            && self.sent_at.elapsed() >= self.ping_after()
        {
            self.queue(self.codec.ping())?;
            self.ping_sent_at = Some(Instant::now());
            self.flush()?;
        }
        Ok(())
    }

    fn new_id(&mut self) -> u16 {
        loop {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if !self.in_flight.contains_key(&self.next_id) {
                return self.next_id;
            }
        }
    }

    fn describe(&self, error: &StreamError) -> String {
        describe_stream_error(error, &self.advice, &self.input, self.accepted.is_some())
    }
}

/// Why a message was not sent.
#[derive(Debug)]
pub enum PublishError {
    /// This message is not possible; the connection is well.
    Refused(String),
    /// The connection is lost.
    Lost(String),
}

/// Whether a broker sends nothing behind this.
fn is_last(packet: &BrokerPacket) -> bool {
    matches!(
        packet,
        BrokerPacket::Refused(_) | BrokerPacket::Disconnected { .. }
    )
}

fn describe_packet_error(error: PacketError) -> String {
    format!("MQTT cannot say that ({error})")
}

/// Lengths of a packet's head and body.
struct PacketFrame {
    head: usize,
    body: usize,
}

/// The next packet; `None` if its head is not there yet, `Err` if it is no packet.
fn frame(input: &[u8]) -> Option<Result<PacketFrame, ()>> {
    let mut body = 0;
    for place in 0..4 {
        let byte = *input.get(1 + place)?;
        body |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let head = 2 + place;
            return Some(Ok(PacketFrame { head, body }));
        }
    }
    Some(Err(()))
}

#[cfg(test)]
#[path = "tests/broker_connection.rs"]
mod tests;
