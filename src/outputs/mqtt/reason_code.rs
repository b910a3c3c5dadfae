//! Reason codes of MQTT: why a broker refuses a connection or a message, and what to do.
//!
//! Pure.

use crate::config::MqttVersion;

/// Why a broker refused the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedConnection {
    /// Completes "the broker …".
    pub why: String,
}

/// `server`: the one that it names instead.
pub fn refused_connection(
    version: MqttVersion,
    code: u8,
    server: Option<&str>,
) -> RefusedConnection {
    let code = match (version, code) {
        (MqttVersion::V5, code) => code,
        // Return codes of 3.1.1 (3.2.2.3).
        (MqttVersion::V3, 1) => 0x84,
        (MqttVersion::V3, 2) => 0x85,
        (MqttVersion::V3, 3) => 0x88,
        (MqttVersion::V3, 4) => 0x86,
        (MqttVersion::V3, 5) => 0x87,
        (MqttVersion::V3, _) => 0x80,
    };
    let why = match code {
        0x81 | 0x82 => "calls the CONNECT packet malformed".to_owned(),
        0x84 => match version {
            MqttVersion::V5 => "does not speak MQTT 5: write version = \"3.1.1\"".to_owned(),
            MqttVersion::V3 => "does not speak MQTT 3.1.1: write version = \"5\"".to_owned(),
        },
        0x85 => "refuses the client identifier: set another `client_id`".to_owned(),
        0x86 => "refuses the user or password".to_owned(),
        0x87 => {
            "does not let this client in: check `user` and `password`, and its access rules for this \
             user, client_id or certificate"
                .to_owned()
        }
        0x88 => "is not available now".to_owned(),
        0x89 => "is busy".to_owned(),
        0x8a => "has banned this client".to_owned(),
        0x8c => "wants another kind of login (enhanced authentication), which is not spoken here".to_owned(),
        0x90 => "refuses the topic of the last will: set another `prefix`".to_owned(),
        0x9a => "keeps no retained messages, and so no last will".to_owned(),
        0x9b => "does not acknowledge messages (QoS 1), and so takes no last will".to_owned(),
        0x9c | 0x9d => another_server(server),
        0x9f => "has had too many connections from this client lately".to_owned(),
        other => format!("refuses the connection ({})", refused_request(other)),
    };
    RefusedConnection { why }
}

/// Nothing that a broker sends decides where the password goes.
fn another_server(server: Option<&str>) -> String {
    match server {
        Some(server) => format!("asks to use another server, {server:?}: write that one in `url`"),
        None => "asks to use another server, and does not name it: ask whoever runs it".to_owned(),
    }
}

/// Why a broker refused a message or a subscription.
pub fn refused_request(code: u8) -> String {
    match code {
        0x80 => "it does not say why",
        0x81 | 0x82 => "it violates the protocol",
        0x87 => "not authorized by the broker's access rules (ACL)",
        0x8f => "it does not take the topic filter",
        0x90 => "it does not take the topic",
        0x95 => "the packet is too large",
        0x96 => "too many messages",
        0x97 => "a quota is exceeded",
        0x98 => "an administrator has forbidden it",
        0x99 => "it does not take the payload",
        0xa2 => "it has no subscriptions with wildcards",
        other => return format!("reason code 0x{other:02x}"),
    }
    .to_owned()
}

/// Why a broker ended the connection (MQTT 5). Completes "the broker …".
pub fn closed_connection(code: u8, server: Option<&str>, client_id: &str) -> String {
    match code {
        0x9c | 0x9d => another_server(server),
        0x00 => "closed the connection".to_owned(),
        0x89 => "is busy and closed the connection".to_owned(),
        0x8b => "is shutting down".to_owned(),
        0x8d => "has waited too long for a packet".to_owned(),
        0x8e => format!(
            "closed the connection, because another client has the same identifier {client_id:?}: give each \
             node a `client_id` of its own"
        ),
        other => format!("closed the connection: {}", refused_request(other)),
    }
}
