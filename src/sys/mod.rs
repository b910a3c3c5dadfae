//! The machine: clocks, threads, signals, the supervisor. The only doors to them.

pub mod beat;
pub mod budget;
pub mod clock;
pub mod disk;
pub mod gzipped;
pub mod host;
pub mod identity;
pub mod log;
pub mod notify;
pub mod os_error;
pub mod program;
pub mod shutdown;
pub mod signals;
pub mod text_file;
pub mod thread;
pub mod tls;
pub mod turns;
pub mod unit;
