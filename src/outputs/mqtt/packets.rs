//! Packets of MQTT 3.1.1 and 5: those that the node sends, and what a broker answers.
//!
//! Pure. The library writes and checks them; nothing here knows a socket.

use std::sync::Arc;

use mqtt_protocol_core::mqtt::packet::{
    MaximumPacketSize, Property, Qos, SubEntry, SubOpts, v3_1_1, v5_0,
};
use mqtt_protocol_core::mqtt::result_code::MqttError;

use super::reason_code::{RefusedConnection, refused_connection, refused_request};
use crate::config::MqttVersion;
use crate::domain::text::ellipsis;
use crate::limits;

/// What a client says when it connects.
#[derive(Debug, Clone)]
pub struct ConnectPacket {
    pub client_id: String,
    pub user: Option<String>,
    pub password: Option<String>,
    /// Topic and payload that the broker publishes, retained, when the connection is lost.
    pub will: Option<(String, &'static str)>,
}

/// A message to be published.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingMessage<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub retain: bool,
    /// With one, the broker acknowledges it (QoS 1).
    pub packet_id: Option<u16>,
}

/// A packet from the broker.
#[derive(Debug, PartialEq, Eq)]
pub enum BrokerPacket {
    Connected(BrokerLimits),
    Refused(RefusedConnection),
    Message(IncomingMessage),
    /// A message was taken, or refused for this reason.
    Published(u16, Option<String>),
    /// The answer to each filter: a reason where it was refused.
    Subscribed(u16, Vec<Option<String>>),
    Unsubscribed(u16),
    Pong,
    /// The broker closes the connection, and says why.
    Disconnected {
        code: u8,
        /// Which one to use instead.
        server: Option<String>,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub struct IncomingMessage {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
}

/// What a broker accepts (MQTT 5; of 3.1.1 it does not say).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerLimits {
    /// Unacknowledged messages at a time.
    pub in_flight: usize,
    pub packet_bytes: usize,
    /// Whether it acknowledges messages.
    pub has_qos_1: bool,
    pub has_retain: bool,
    /// Seconds after which a silent client is gone, if it overrules ours.
    pub keep_alive: Option<u16>,
}

impl Default for BrokerLimits {
    fn default() -> BrokerLimits {
        BrokerLimits {
            in_flight: limits::MQTT_IN_FLIGHT,
            packet_bytes: usize::MAX,
            has_qos_1: true,
            has_retain: true,
            keep_alive: None,
        }
    }
}

/// What is wrong with a packet: the library's word for it, for the log.
pub type PacketError = MqttError;

/// Writes and reads packets of one version.
#[derive(Debug, Clone, Copy)]
pub struct PacketCodec(pub MqttVersion);

/// Builds a packet of either version by the same steps.
macro_rules! build {
    ($version:expr, $packet:ident, |$builder:ident| $steps:expr) => {
        match $version {
            MqttVersion::V3 => {
                let $builder = v3_1_1::$packet::builder();
                $steps.build()?.to_continuous_buffer()
            }
            MqttVersion::V5 => {
                let $builder = v5_0::$packet::builder();
                $steps.build()?.to_continuous_buffer()
            }
        }
    };
}

impl PacketCodec {
    /// A connection without a session: nothing is kept at the broker but retained messages.
    pub fn connect(self, connect: &ConnectPacket) -> Result<Vec<u8>, PacketError> {
        let seconds = u16::try_from(limits::MQTT_KEEP_ALIVE.as_secs()).unwrap_or(u16::MAX);
        macro_rules! steps {
            ($builder:expr) => {{
                let mut builder = $builder
                    .client_id(connect.client_id.as_str())?
                    .keep_alive(seconds);
                if let Some((topic, payload)) = &connect.will {
                    builder =
                        builder.will_message(topic.as_str(), *payload, Qos::AtLeastOnce, true)?;
                }
                if let Some(user) = &connect.user {
                    builder = builder.user_name(user.as_str())?;
                }
                if let Some(password) = &connect.password {
                    builder = builder.password(password.as_str())?;
                }
                builder
            }};
        }
        Ok(match self.0 {
            MqttVersion::V3 => {
                let builder = steps!(v3_1_1::Connect::builder().clean_session(true));
                builder.build()?.to_continuous_buffer()
            }
            MqttVersion::V5 => {
                let most = u32::try_from(limits::MQTT_PACKET_BYTES).unwrap_or(u32::MAX);
                let properties = vec![Property::MaximumPacketSize(MaximumPacketSize::new(most)?)];
                let builder = steps!(v5_0::Connect::builder().clean_start(true));
                builder.props(properties).build()?.to_continuous_buffer()
            }
        })
    }

    pub fn publish(self, message: OutgoingMessage<'_>) -> Result<Vec<u8>, PacketError> {
        let quality = match message.packet_id {
            Some(_) => Qos::AtLeastOnce,
            None => Qos::AtMostOnce,
        };
        Ok(build!(self.0, Publish, |builder| {
            builder
                .topic_name(message.topic)?
                .qos(quality)
                .retain(message.retain)
                .packet_id(message.packet_id)
                .payload(message.payload)
        }))
    }

    /// Subscribes without acknowledgements: what is lost is seen at the next connection.
    pub fn subscribe(self, packet_id: u16, filters: &[String]) -> Result<Vec<u8>, PacketError> {
        let entry = |filter: &String| SubEntry::new(filter.as_str(), SubOpts::new());
        let entries: Vec<SubEntry> = filters.iter().map(entry).collect::<Result<_, _>>()?;
        Ok(build!(self.0, Subscribe, |builder| {
            builder.packet_id(packet_id).entries(entries)
        }))
    }

    pub fn unsubscribe(self, packet_id: u16, filters: &[String]) -> Result<Vec<u8>, PacketError> {
        Ok(build!(self.0, Unsubscribe, |builder| {
            builder
                .packet_id(packet_id)
                .entries(filters.iter().map(String::as_str))?
        }))
    }

    pub fn ping(self) -> Result<Vec<u8>, PacketError> {
        Ok(build!(self.0, Pingreq, |builder| builder))
    }

    /// Leaves without the last will.
    pub fn disconnect(self) -> Result<Vec<u8>, PacketError> {
        Ok(build!(self.0, Disconnect, |builder| builder))
    }

    /// Reads a packet: its first byte, and what is behind its length.
    pub fn read(self, first: u8, body: &[u8]) -> Result<BrokerPacket, PacketError> {
        let is_5 = self.0 == MqttVersion::V5;
        match first >> 4 {
            2 => self.read_connack(body),
            3 => self.read_message(first & 0xf, body),
            4 if is_5 => {
                let (packet, _) = v5_0::Puback::parse(body)?;
                let refused = packet.reason_code().filter(|code| !code.is_success());
                let why = refused.map(|code| refused_request(code as u8));
                Ok(BrokerPacket::Published(packet.packet_id(), why))
            }
            4 => {
                let (packet, _) = v3_1_1::Puback::parse(body)?;
                Ok(BrokerPacket::Published(packet.packet_id(), None))
            }
            9 if is_5 => {
                let (packet, _) = v5_0::Suback::parse(body)?;
                let codes = packet.reason_codes().into_iter();
                let why =
                    codes.map(|code| (!code.is_success()).then(|| refused_request(code as u8)));
                Ok(BrokerPacket::Subscribed(packet.packet_id(), why.collect()))
            }
            9 => {
                let (packet, _) = v3_1_1::Suback::parse(body)?;
                let codes = packet.return_codes().into_iter();
                let why = codes.map(|code| code.is_failure().then(|| refused_request(0x87)));
                Ok(BrokerPacket::Subscribed(packet.packet_id(), why.collect()))
            }
            11 if is_5 => {
                let (packet, _) = v5_0::Unsuback::parse(body)?;
                Ok(BrokerPacket::Unsubscribed(packet.packet_id()))
            }
            11 => {
                let (packet, _) = v3_1_1::Unsuback::parse(body)?;
                Ok(BrokerPacket::Unsubscribed(packet.packet_id()))
            }
            13 => Ok(BrokerPacket::Pong),
            14 if is_5 => {
                let (packet, _) = v5_0::Disconnect::parse(body)?;
                let code = packet.reason_code().map_or(0, |code| code as u8);
                let server = packet.props().iter().flatten().find_map(server_reference);
                Ok(BrokerPacket::Disconnected { code, server })
            }
            _ => Err(MqttError::ProtocolError),
        }
    }

    fn read_connack(self, body: &[u8]) -> Result<BrokerPacket, PacketError> {
        let mut accepted = BrokerLimits::default();
        let mut server = None;
        let code = match self.0 {
            MqttVersion::V3 => v3_1_1::Connack::parse(body)?.0.return_code() as u8,
            MqttVersion::V5 => {
                let (packet, _) = v5_0::Connack::parse(body)?;
                for property in packet.props() {
                    match property {
                        Property::ReceiveMaximum(most) => {
                            let most = usize::from(most.val()).max(1);
                            accepted.in_flight = accepted.in_flight.min(most);
                        }
                        Property::MaximumPacketSize(most) => {
                            let most = usize::try_from(most.val()).unwrap_or(usize::MAX);
                            accepted.packet_bytes = most;
                        }
                        Property::MaximumQos(most) => accepted.has_qos_1 = most.val() > 0,
                        Property::RetainAvailable(has) => accepted.has_retain = has.val() > 0,
                        Property::ServerKeepAlive(span) => accepted.keep_alive = Some(span.val()),
                        other => server = server_reference(other).or(server),
                    }
                }
                packet.reason_code() as u8
            }
        };
        Ok(match code {
            0 => BrokerPacket::Connected(accepted),
            code => BrokerPacket::Refused(refused_connection(self.0, code, server.as_deref())),
        })
    }

    /// A message as it is sent for a subscription without acknowledgements.
    fn read_message(self, flags: u8, body: &[u8]) -> Result<BrokerPacket, PacketError> {
        let retain = flags & 1 == 1;
        let body: Arc<[u8]> = body.into();
        let (topic, payload) = match self.0 {
            MqttVersion::V3 => {
                let (packet, _) = v3_1_1::Publish::parse(flags, body)?;
                let payload = packet.payload().as_slice().to_vec();
                (packet.topic_name().to_owned(), payload)
            }
            MqttVersion::V5 => {
                let (packet, _) = v5_0::Publish::parse(flags, body)?;
                let payload = packet.payload().as_slice().to_vec();
                (packet.topic_name().to_owned(), payload)
            }
        };
        Ok(BrokerPacket::Message(IncomingMessage {
            topic,
            payload,
            retain,
        }))
    }
}

/// The server that a broker wants to be used instead, as far as it can be shown.
fn server_reference(property: &Property) -> Option<String> {
    match property {
        Property::ServerReference(server) => Some(ellipsis(server.val(), limits::REPLY_CHARS)),
        _ => None,
    }
}
