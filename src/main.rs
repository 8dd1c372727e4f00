//! The `kastellan` binary.
fn main() {}
