//! Configuration types of MQTT.

use super::secret::Secret;
use crate::domain::plan::KeySelector;
use crate::sys::tls::TrustSettings;

/// Where and what the node publishes.
#[derive(Debug, Clone, PartialEq)]
pub struct MqttConfig {
    pub host: String,
    pub port: u16,
    pub has_tls: bool,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub version: MqttVersion,
    pub client_id: String,
    /// What all topics of the node begin with, without a final `/`.
    pub prefix: String,
    /// The keys that are published; empty: all.
    pub keys: Vec<KeySelector>,
    pub home_assistant: bool,
    pub discovery_prefix: String,
    pub trust: TrustSettings,
}

impl MqttConfig {
    /// The broker, without secrets.
    pub fn url(&self) -> String {
        let scheme = if self.has_tls { "mqtts" } else { "mqtt" };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        format!("{scheme}://{host}:{}", self.port)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MqttVersion {
    #[default]
    V3,
    V5,
}

impl MqttVersion {
    pub fn name(self) -> &'static str {
        match self {
            MqttVersion::V3 => "3.1.1",
            MqttVersion::V5 => "5",
        }
    }
}
