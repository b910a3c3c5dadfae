//! The machine: clocks, signals, the supervisor. The only doors to them.

pub mod clock;
pub mod shutdown;
