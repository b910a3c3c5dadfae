//! MQTT: publishes every value to a broker, retained.
//!
//! One thread, which owns the connection. It connects again for ever, in intervals of 1 to 60 s, and
//! then sends the current state, never an old one.

mod broker_connection;
mod broker_stream;
mod connection_error;
mod earlier_topics;
mod home_assistant;
mod packets;
mod publication;
mod reason_code;
mod retained_topics;
mod session;
mod topics;

#[cfg(test)]
#[path = "mqtt/tests/support.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use self::broker_connection::{BrokerConnection, BrokerSettings, tls_config};
use self::connection_error::{CLOSED, perhaps_taken_over};
pub use self::home_assistant::{DiscoveryNames, HomeAssistant, HomeAssistantSettings, node_id};
use self::packets::ConnectPacket;
use self::publication::MqttPublication;
use self::session::MqttSession;
use self::topics::{OFFLINE, status_topic};
use super::{Follows, Output, OutputContext};
use crate::config::MqttConfig;
use crate::domain::back_off::BackOff;
use crate::limits;
use crate::sys::shutdown::StopSource;

/// The output `mqtt`.
pub struct MqttOutput {
    mqtt: MqttConfig,
    tls: Option<Arc<ClientConfig>>,
    publication: MqttPublication,
    /// Connections in a row that ended soon.
    short_connections: u64,
}

impl MqttOutput {
    pub fn new(mqtt: &MqttConfig, home_assistant: HomeAssistant) -> MqttOutput {
        MqttOutput {
            mqtt: mqtt.clone(),
            tls: None,
            publication: MqttPublication::new(mqtt, home_assistant),
            short_connections: 0,
        }
    }

    /// One connection, until it is lost; `Ok` at the stop.
    fn connect_and_publish(&mut self, context: &OutputContext) -> Result<(), String> {
        if self.mqtt.has_tls && self.tls.is_none() {
            self.tls = tls_config(&self.mqtt)?;
        }
        let will = (status_topic(&self.mqtt.prefix), OFFLINE);
        let settings = BrokerSettings {
            mqtt: &self.mqtt,
            tls: self.tls.clone(),
            connect: connect_packet(&self.mqtt, Some(will)),
            stop: &context.stop,
        };
        let connection = BrokerConnection::open(&settings)?;
        let begun = Instant::now();
        context.status.connected();
        let session = MqttSession::new(&mut self.publication, connection, context);
        let ended = session.run();
        if begun.elapsed() < limits::MQTT_SHORT_CONNECTION {
            self.short_connections += 1;
        } else {
            self.short_connections = 0;
        }
        ended.map_err(|why| {
            if self.short_connections > 2 && why == CLOSED {
                perhaps_taken_over(&why, &self.mqtt.client_id)
            } else {
                why
            }
        })
    }
}

impl Output for MqttOutput {
    fn name(&self) -> &str {
        "mqtt"
    }

    fn destination(&self) -> String {
        self.mqtt.url()
    }

    fn follows(&self) -> Follows {
        Follows::Snapshots
    }

    fn run(&mut self, context: &OutputContext) {
        let back_off = BackOff::new(limits::OUTPUT_BACK_OFF);
        let mut failures = 0;
        while !context.stop.is_stopping() {
            let begun = Instant::now();
            let Err(why) = self.connect_and_publish(context) else {
                return;
            };
            if context.stop.is_stopping() {
                return;
            }
            context.status.failed(&why, context.clock.now());
            if begun.elapsed() >= limits::MQTT_SHORT_CONNECTION {
                failures = 0;
            }
            context.stop.wait(with_jitter(back_off.pause(failures)));
            failures += 1;
        }
    }

    fn check(&self) -> Result<String, String> {
        let mqtt = &self.mqtt;
        let stop = StopSource::new();
        let mut connect = connect_packet(mqtt, None);
        // The running node keeps its connection.
        connect.client_id += "-check";
        let settings = BrokerSettings {
            mqtt,
            tls: tls_config(mqtt)?,
            connect,
            stop: &stop.token(),
        };
        let connection = BrokerConnection::open(&settings)?;
        connection.close(limits::OUTPUT_STOP_TIMEOUT);
        let login = match &mqtt.user {
            Some(user) => format!(" as {user}"),
            None => String::new(),
        };
        let version = mqtt.version.name();
        Ok(format!("connected with MQTT {version}{login}"))
    }
}

fn connect_packet(mqtt: &MqttConfig, will: Option<(String, &'static str)>) -> ConnectPacket {
    ConnectPacket {
        client_id: mqtt.client_id.clone(),
        user: mqtt.user.clone(),
        password: mqtt.password.as_ref().map(|it| it.reveal().to_owned()),
        will,
    }
}

/// Between three quarters and five quarters of a pause, so that the nodes of a house do not all come
/// back at the same moment.
fn with_jitter(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + fastrand::f64() / 2.0)
}

#[cfg(test)]
#[path = "mqtt/tests/mqtt.rs"]
mod tests;
