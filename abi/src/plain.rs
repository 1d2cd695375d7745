//! How a struct of the interface is declared: C's layout, any bits valid, no hidden padding.

/// Declares structs that can be copied from and to a program's memory byte by byte. That there is no
/// hidden padding is checked by the derive of `IntoBytes`.
macro_rules! plain {
    ($($(#[$attribute:meta])* pub struct $name:ident { $($fields:tt)* })*) => {
        $(
            $(#[$attribute])*
            #[repr(C)]
            #[derive(
                Clone, Copy, Debug, PartialEq, Eq,
                zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
            )]
            pub struct $name { $($fields)* }

            impl Default for $name {
                fn default() -> Self {
                    zerocopy::FromZeros::new_zeroed()
                }
            }
        )*
    };
}

pub(crate) use plain;
