//! Comparing this crate with the crates that carry the Linux headers.

/// Where the headers' constants are found, by the name that a test gives.
pub mod headers {
    pub use libc;
    pub use linux_raw_sys::{auxvec, general, ioctl, net, prctl};
}

/// Every constant equals the one of the same name in the headers' module, in the bits of ours.
macro_rules! constants {
    ($($ours:ident)::+, $theirs:ident: $($name:ident),*) => {{
        use abi::$($ours)::+ as ours;
        $(assert_eq!(
            ours::$name as i128,
            crate::support::headers::$theirs::$name as i128,
            stringify!($name)
        );)*
    }};
}

/// Every flag equals the constant beside it.
macro_rules! flags {
    ($($ours:ident)::+, $theirs:ident: $($name:ident = $header:ident),*) => {{
        type Ours = abi::$($ours)::+;
        $(assert_eq!(
            Ours::$name.bits() as i128,
            crate::support::headers::$theirs::$header as i128,
            stringify!($header)
        );)*
    }};
}
