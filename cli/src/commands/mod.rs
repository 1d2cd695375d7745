//! One module a command of `./hob`. Each returns the exit status of the whole program.

pub mod abi;
pub mod bench;
pub mod check;
pub mod hub;
pub mod image;
pub mod run;
pub mod soc;
