//! The address under which other machines of the network reach this one.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// The IPv4 address of the interface with the default route; `None` without one. No packet is
/// sent.
pub fn lan_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // An address of documentation (RFC 5737), and the discard port.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_address_is_one_that_a_socket_can_have() {
        if let Some(address) = lan_address() {
            UdpSocket::bind((address, 0)).expect("it is this machine's");
        }
    }
}
