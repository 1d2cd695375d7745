//! Builds the workbench's page: compiles `soc-web` to WebAssembly and puts everything into one HTML file.
//!
//! `cargo run -p soc-page [-- OUTPUT]`; the output is `apps/soc/web/dist/workbench.html` unless told otherwise.
#![forbid(unsafe_code)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> ExitCode {
    match build() {
        Ok(path) => {
            println!("{}", path.display());
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("soc-page: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<PathBuf, Box<dyn Error>> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web");
    let output = env::args_os().nth(1).map_or_else(|| web.join("dist/workbench.html"), PathBuf::from);
    let (script, module) = bind(&compile(&web)?)?;
    let asset = |name: &str| fs::read_to_string(web.join("assets").join(name));
    // The worker is a script of its own, made from a text: a page from disk may not load one from a file.
    let worker = format!("{script}\n{}", asset("worker.js")?);
    let page = asset("workbench.html")?
        .replace("/*STYLE*/", &asset("workbench.css")?)
        .replace("/*PAGE*/", &asset("page.js")?)
        .replace("/*EDITOR*/", &asset("editor.js")?)
        .replace("/*WORKER*/", &STANDARD.encode(worker))
        .replace("/*MODULE*/", &STANDARD.encode(module));
    if let Some(folder) = output.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&output, page)?;
    Ok(fs::canonicalize(output)?)
}

/// The WebAssembly module as the compiler makes it.
fn compile(web: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => web.join("../../../target"),
    };
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--package", "soc-web", "--target", TARGET])
        .current_dir(web)
        .env("CARGO_TARGET_DIR", &target)
        .status()?;
    if !status.success() {
        return Err(
            format!("soc-web does not compile; is the target there? rustup target add {TARGET}").into()
        );
    }
    Ok(target.join(TARGET).join("release/soc_web.wasm"))
}

/// The script that JavaScript needs to call the module, and the module made ready for it.
fn bind(module: &Path) -> Result<(String, Vec<u8>), Box<dyn Error>> {
    let mut output = wasm_bindgen_cli_support::Bindgen::new()
        .input_path(module)
        .no_modules(true)?
        .typescript(false)
        .generate_output()?;
    let script = output.js().to_owned();
    Ok((script, output.wasm_mut().emit_wasm()))
}
