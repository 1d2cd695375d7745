//! Hands the linker the kernel's layout.

#[expect(clippy::disallowed_macros, reason = "this runs on the host")]
fn main() {
    // Cargo says at run time which checkout this is; a folder of build results can serve several.
    let Ok(folder) = std::env::var("CARGO_MANIFEST_DIR") else { panic!("cargo sets CARGO_MANIFEST_DIR") };
    let script = format!("{folder}/../machine/kernel.ld");
    println!("cargo::rerun-if-changed={script}");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
}
