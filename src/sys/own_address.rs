//! The addresses under which other machines of the network reach this one.

use std::net::{IpAddr, UdpSocket};

use super::mdns::links;

/// The IPv4 address of the interface with the default route, else its IPv6 address, else one of
/// another interface; `None` without a network.
pub fn lan_address() -> Option<IpAddr> {
    lan_addresses().into_iter().next()
}

/// The addresses of the interface with the default route, IPv4 first; without a default route
/// those of the first interface.
pub fn lan_addresses() -> Vec<IpAddr> {
    // For documentation (RFC 5737, RFC 3849): reached by the default route, and by nothing else.
    // Connecting a datagram socket asks the routing table and sends nothing.
    let routes = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    let by_route = routes.into_iter().filter_map(|(any, far)| {
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(far).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_unspecified()).then_some(address)
    });
    let by_route: Vec<IpAddr> = by_route.collect();
    if !by_route.is_empty() {
        return by_route;
    }
    let links = links().unwrap_or_default().into_iter();
    let v4 = links.filter_map(|link| Some(link.v4.first()?.0.into()));
    v4.take(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_address_is_one_that_a_socket_can_have() {
        for address in lan_addresses() {
            UdpSocket::bind((address, 0)).expect("it is this machine's");
        }
    }
}
