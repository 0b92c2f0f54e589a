//! What several test programs share. Each uses a part of it.
#![allow(dead_code, reason = "every test program compiles this module and uses a part of it")]

pub mod array;
pub mod cases;
pub mod generator;
pub mod golden;
pub mod real;
pub mod reference;
pub mod small;
pub mod suite;
