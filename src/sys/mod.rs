//! Operating system: clocks, threads, locks, signals, systemd, files, name lookup, TLS roots.
//!
//! No other folder calls the system for these.

pub mod assets;
pub mod budget;
pub mod build_id;
pub mod clock;
pub mod container;
pub mod disk;
pub mod heartbeat;
pub mod host_address;
pub mod host_name;
pub mod http_client;
pub mod log;
pub mod mdns;
pub mod mdns_responder;
pub mod memory;
pub mod mounts;
pub mod name_lookup;
pub mod os_error;
pub mod own_address;
pub mod percent;
pub mod private_file;
pub mod privileges;
pub mod process;
pub mod redirect;
pub mod reexec;
pub mod retry_after;
pub mod semaphore;
pub mod service_access;
pub mod shutdown;
pub mod signals;
pub mod socket_waiter;
pub mod sync;
pub mod systemd;
pub mod systemd_unit;
pub mod text_file;
pub mod thread;
pub mod time_zone;
pub mod tls;
