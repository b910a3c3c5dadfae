//! Devices of TRMNL's protocol: wrong keys, devices that were refused, when logs came.
//!
//! In memory and bounded; short mutexes, taken by the connection thread and by workers.

use std::net::IpAddr;

use super::displays::bounded_line;
use crate::domain::plan::MacAddress;
use crate::domain::time::{Moment, Mono};
use crate::limits;
use crate::monitor::context::{DeviceRefusal, RefusedDevice};
use crate::monitor::http::handler::Request;
use crate::monitor::http::login_throttle::LoginThrottle;
use crate::sys::sync::Mutex;

/// What devices did: bounded, in memory.
#[derive(Default)]
pub struct Devices {
    /// Wrong keys. They have counters of their own, so that a device with an old key does not lock
    /// out the people who share its address.
    throttle: Mutex<LoginThrottle>,
    /// The newest last.
    refused: Mutex<Vec<RefusedDevice>>,
    /// Why no key can be made, as the log says.
    problem: Mutex<String>,
    /// Addresses that sent a log within [`limits::DEVICE_LOG_INTERVAL`].
    logs: Mutex<Vec<(IpAddr, Mono)>>,
}

impl Devices {
    pub fn refused(&self) -> Vec<RefusedDevice> {
        self.refused.lock().clone()
    }

    pub fn record_refusal(
        &self,
        mac: MacAddress,
        why: DeviceRefusal,
        request: &Request,
        now: Moment,
    ) {
        let model = request.header("model").unwrap_or_default();
        let mut refused = self.refused.lock();
        refused.retain(|it| it.mac != mac);
        if refused.len() >= limits::REFUSED_DEVICES {
            // Anybody can be one that is not configured.
            let is_unknown = |it: &RefusedDevice| it.why == DeviceRefusal::NotConfigured;
            let oldest = refused.iter().position(is_unknown).unwrap_or(0);
            refused.remove(oldest);
        }
        refused.push(RefusedDevice {
            mac,
            model: bounded_line(model).into_owned(),
            why,
            last: now,
        });
    }

    /// Whether it is not the problem of the last time, which is in the log.
    pub fn is_new_problem(&self, why: &str) -> bool {
        let mut problem = self.problem.lock();
        let is_new = *problem != why;
        why.clone_into(&mut problem);
        is_new
    }

    /// Forgets that the device was refused, and what the log said of keys: it has its key.
    pub fn record_acceptance(&self, mac: &MacAddress) {
        self.refused.lock().retain(|it| it.mac != *mac);
        self.problem.lock().clear();
    }

    /// What a key opens, by `find`; a wrong one is counted. `None` for an address that has sent too
    /// many of them.
    pub fn check_key<T>(
        &self,
        address: IpAddr,
        now: Mono,
        find: impl FnOnce() -> Option<T>,
    ) -> Option<Option<T>> {
        let mut throttle = self.throttle.lock();
        if throttle.is_locked_out(address, now) {
            return None;
        }
        let found = find();
        match found {
            Some(_) => throttle.record_success(address, now),
            None => throttle.record_failure(address, now),
        }
        Some(found)
    }

    /// Whether the address may send a log now.
    pub fn takes_log(&self, address: IpAddr, now: Mono) -> bool {
        let mut logs = self.logs.lock();
        logs.retain(|(_, at)| now.since(*at) < limits::DEVICE_LOG_INTERVAL);
        let is_first = !logs.iter().any(|(known, _)| *known == address);
        let is_taken = is_first && logs.len() < limits::TRACKED_DISPLAYS;
        if is_taken {
            logs.push((address, now));
        }
        is_taken
    }
}
