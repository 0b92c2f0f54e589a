//! The `dynaconv` program.

fn main() {}
