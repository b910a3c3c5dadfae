//! Texts of failed connections to a broker: what happened, and what to change.
//!
//! Pure.

use super::broker_stream::StreamError;
use crate::config::MqttConfig;
use crate::sys::os_error::reason;
use crate::sys::tls::{TlsContext, TrustOptionNames, describe_tls_error, pin_hint};

/// The broker has ended an accepted connection without a reason.
pub const CLOSED: &str = "the broker closed the connection";

/// What a message about a connection may mention.
#[derive(Debug, Clone)]
pub struct ConnectionAdvice {
    pub client_id: String,
    host: String,
    port: u16,
    has_tls: bool,
    has_ca_file: bool,
    has_client_certificate: bool,
}

impl ConnectionAdvice {
    pub fn of(mqtt: &MqttConfig) -> ConnectionAdvice {
        ConnectionAdvice {
            client_id: mqtt.client_id.clone(),
            host: mqtt.host.clone(),
            port: mqtt.port,
            has_tls: mqtt.has_tls,
            has_ca_file: mqtt.trust.ca_file.is_some(),
            has_client_certificate: mqtt.trust.client_certificate.is_some(),
        }
    }

    /// What answers speaks something else: `input` is what it sent.
    pub fn no_broker(&self, input: &[u8]) -> String {
        let port = self.port;
        // A TLS alert, as the answer to a CONNECT.
        if input.starts_with(&[0x15, 3]) {
            format!("TLS is spoken on port {port}: write mqtts:// in `url`")
        } else if input.starts_with(b"HTTP/") {
            format!(
                "a web server answers on port {port}: the usual ports of brokers are 1883 and 8883"
            )
        } else {
            format!("what answers on port {port} does not speak MQTT as it should")
        }
    }

    /// Nothing answers a CONNECT.
    pub fn silent(&self, input: &[u8]) -> String {
        if !input.is_empty() {
            return self.no_broker(input);
        }
        let (port, tls) = (self.port, self.perhaps_tls());
        format!("port {port} takes connections, and does not answer as a broker{tls}")
    }

    fn perhaps_tls(&self) -> &'static str {
        if self.has_tls {
            "; a port without TLS, as usually 1883, needs mqtt:// in `url`"
        } else {
            "; a broker that wants TLS there needs mqtts:// in `url`"
        }
    }

    fn no_tls(&self) -> String {
        let port = self.port;
        format!("no TLS is spoken on port {port}: write mqtt:// in `url`, or the port that has TLS")
    }
}

/// Why a connection has ended; `input` is what came and was no packet.
pub fn describe_stream_error(
    error: &StreamError,
    advice: &ConnectionAdvice,
    input: &[u8],
    is_connected: bool,
) -> String {
    match error {
        StreamError::Tls(error) => describe_tls(error, advice),
        StreamError::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) => describe_tls(error, advice),
            // A broker that closes while something is on its way to it.
            None if is_connected && is_closed(error) => CLOSED.to_owned(),
            None if is_connected => reason(error),
            None => format!("{}{}", reason(error), advice.perhaps_tls()),
        },
        StreamError::Closed if is_connected => CLOSED.to_owned(),
        StreamError::Closed if !input.is_empty() => advice.no_broker(input),
        StreamError::Closed => {
            let tls = advice.perhaps_tls();
            format!("the connection was closed before the broker accepted it{tls}")
        }
    }
}

fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

fn describe_tls(error: &rustls::Error, advice: &ConnectionAdvice) -> String {
    if matches!(error, rustls::Error::InvalidMessage(_)) {
        return advice.no_tls();
    }
    let options = &TrustOptionNames::MQTT;
    let context = TlsContext {
        host: &advice.host,
        has_ca_file: advice.has_ca_file,
        has_client_certificate: advice.has_client_certificate,
        options: Some(options),
    };
    let what = describe_tls_error(error, context);
    match pin_hint(error, options) {
        Some(hint) => format!("{what}; {hint}"),
        None => what,
    }
}

/// Why one more connection ended soon, of which 3.1.1 does not say the reason.
pub fn perhaps_taken_over(why: &str, client_id: &str) -> String {
    format!(
        "{why} again and again: if another client has the identifier {client_id:?}, give each node a \
         `client_id` of its own"
    )
}
