//! Admission of clients: the networks of `allow`, and the clients of trusted proxies.
//!
//! Runs on the server's thread.

use std::net::IpAddr;

use ipnet::IpNet;

use super::connection_table::AddressGuard;
use super::guarded_handler;
use super::handler::{Request, Response};
use super::server_state::ServerState;
use super::stats::Rejection;

/// Whether the option `allow` admits this address. Loopback is always admitted: a user of
/// this machine needs no network.
pub fn is_allowed(allow: &[IpNet], peer: IpAddr) -> bool {
    peer.is_loopback() || is_in(allow, peer)
}

/// Whether the option `allow` names this address.
fn is_in(allow: &[IpNet], peer: IpAddr) -> bool {
    allow.is_empty() || allow.iter().any(|network| network.contains(&peer))
}

/// The same for the client of a proxy: the loopback of another machine is not this machine.
pub fn is_client_allowed(allow: &[IpNet], proxy: IpAddr, client: IpAddr) -> bool {
    is_in(allow, client) || (client.is_loopback() && proxy.is_loopback())
}

/// Counts the client of a trusted proxy as one that connects itself, for as long as the guard
/// lives; the response where it may not.
pub fn admit_client(
    server: &ServerState,
    proxy: IpAddr,
    request: &Request,
) -> Result<Option<AddressGuard>, Response> {
    if !server.networks.trusted_proxies.contains(proxy) {
        return Ok(None);
    }
    let client = request.peer;
    if !is_client_allowed(&server.networks.allow, proxy, client) {
        let stats = &server.stats;
        stats.record_rejection(Rejection::ForbiddenNetwork, client);
        return Err(guarded_handler::forbidden(server, request));
    }
    if client == proxy {
        return Ok(None);
    }
    let counted = server.connections.admit_client(client);
    counted.map(Some).map_err(|limit| {
        let stats = &server.stats;
        stats.record_rejection(Rejection::ConnectionsPerAddress, client);
        let overload = server.connections.overload(limit);
        guarded_handler::overload_response(server, overload, request)
    })
}
