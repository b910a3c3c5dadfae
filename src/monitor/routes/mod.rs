//! Route handlers: the route table and what each route responds with.
//!
//! [`App`](app::App) is called by `monitor::http`: on the connection thread for responses
//! from memory, on a pool worker for rendered ones. Nothing here touches a socket.

pub mod app;
mod cut_offs;
mod devices;
mod dispatch;
mod display;
pub mod displays;
mod from_memory;
mod history;
mod metrics;
mod openapi;
pub mod pictures;
mod prepare;
pub mod published;
mod rendered;
pub mod representation;
mod response;
mod status;
pub mod table;
mod trmnl;

#[cfg(test)]
#[path = "tests/behind_proxies.rs"]
mod behind_proxies;
#[cfg(test)]
#[path = "tests/contract.rs"]
mod contract;
#[cfg(test)]
#[path = "tests/fuzz.rs"]
mod fuzz;
