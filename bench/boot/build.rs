//! Has the program begin where the counter is read.

fn main() {
    println!("cargo::rustc-link-arg-bins=-Wl,--entry=bench_boot_first");
}
