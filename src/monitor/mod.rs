//! Serving: what displays, people and Prometheus ask, from the published snapshot.
//!
//! The gate's thread owns every network socket; tiny_http's workers sit behind it. Nothing
//! here changes what is known: it renders values and reads history.

pub mod answer;
pub mod events;
pub mod gate;
pub mod server;
pub mod traffic;
