//! `hub`: the command line.

use clap::{Parser, Subcommand};
use house::Clock;
use hub::{Config, local, start};
use serde_json::Value;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The hub of the house: devices found, controlled, remembered.
#[derive(Parser)]
#[command(name = "hub", version)]
struct Arguments {
    /// Configuration file (TOML); without one the defaults hold.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// State folder, in place of the configured one.
    #[arg(long, global = true)]
    state: Option<PathBuf>,
    /// A living house with simulated devices, on this machine only, in a scratch folder.
    #[arg(long)]
    demo: bool,
    /// Logs as JSON, a line an event.
    #[arg(long)]
    json_logs: bool,
    #[command(subcommand)]
    command: Option<Order>,
}

#[derive(Subcommand)]
enum Order {
    /// Check a configuration file.
    Check { file: PathBuf },
    /// The running hub in figures.
    Status,
    /// The devices that the running hub knows.
    Nodes,
    /// The OpenAPI document of the running hub.
    ExportOpenapi,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hub: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    if let Some(Order::Check { file }) = &arguments.command {
        Config::read(file)?;
        println!("{} is in order", file.display());
        return Ok(());
    }
    let mut config = match &arguments.config {
        Some(file) => Config::read(file)?,
        None => Config::default(),
    };
    if let Some(state) = &arguments.state {
        config.state = state.clone();
    }
    if arguments.demo {
        demonstrate(&mut config, arguments.state.is_some());
    }
    let socket = start::socket_file(&config);
    match &arguments.command {
        None => serve(&config, arguments.demo, arguments.json_logs),
        Some(order) => speak(order, &socket),
    }
}

/// What differs in a demonstration.
fn demonstrate(config: &mut Config, has_state: bool) {
    if !has_state {
        config.state = std::env::temp_dir().join(format!("hub-demo-{}", std::process::id()));
    }
    config.server.open_door = true;
    config.place.latitude.get_or_insert(48.86);
    config.place.longitude.get_or_insert(2.35);
    config.devices.accept_all = true;
    config.modules.dwn.port = hub::demo::PORT;
    config.modules.dwn.interface = std::net::Ipv4Addr::LOCALHOST;
}

fn serve(config: &Config, is_demo: bool, json_logs: bool) -> Result<(), Box<dyn Error>> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match json_logs {
        true => logs.json().init(),
        false => logs.init(),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut running = hub::start(config, Clock::default()).await?;
        let _devices = if is_demo { hub::demo::devices(config.modules.dwn.port)? } else { Vec::new() };
        println!("http://{}  (functions: /api, state: {})", running.http, config.state.display());
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let ended = tokio::select! {
            () = running.ended() => Err("a part of the hub ended".into()),
            _ = terminate.recv() => Ok(()),
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        running.stop().await;
        ended
    })
}

/// Asks the running hub and prints the answer.
fn speak(order: &Order, socket: &Path) -> Result<(), Box<dyn Error>> {
    let ask = |path: &str| local::call(socket, "GET", path, None);
    match order {
        Order::Status => print(&ask("/api/status")?),
        Order::ExportOpenapi => print(&ask("/api/openapi.json")?),
        Order::Nodes => {
            for device in ask("/api/devices")?.as_array().into_iter().flatten() {
                let text = |name: &str| device[name].as_str().unwrap_or("-").to_string();
                let reach = device["unavailable"].as_str().unwrap_or("reachable");
                println!(
                    "{:30} {:30} {:10} {:16} {}",
                    text("id"),
                    text("name"),
                    text("status"),
                    text("trust"),
                    reach
                );
            }
        }
        Order::Check { .. } => {}
    }
    Ok(())
}

fn print(value: &Value) {
    println!("{value:#}");
}
