//! `hub`: the command line.

use clap::{Parser, Subcommand};
use house::{Clock, Method};
use hub::{Config, Running, local, maintain, start};
use std::error::Error;
use std::io::Write as _;
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
    /// The devices that the hub knows.
    Nodes,
    /// Copy everything to one file, verified; while the hub runs or not.
    Backup {
        file: PathBuf,
        /// Seal it with the pass phrase in this file.
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
    },
    /// Put a backup in the place of the store; no hub may run.
    Restore {
        file: PathBuf,
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
    },
    /// Users of the hub.
    #[command(subcommand)]
    User(UserOrder),
    /// The configuration in force, to start a file from.
    ExportConfig,
    /// The OpenAPI document of the hub; of its own functions only when none runs.
    ExportOpenapi,
}

#[derive(Subcommand)]
enum UserOrder {
    /// Make or change a user; the password is read from standard input.
    Add {
        name: String,
        #[arg(long, default_value = "resident")]
        role: String,
    },
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
    match &arguments.command {
        None => {
            let served = serve(&config, arguments.demo, arguments.json_logs);
            if arguments.demo && arguments.state.is_none() {
                // What was only for show goes; when it cannot, the system clears its scratch folder some day.
                let _ = std::fs::remove_dir_all(&config.state);
            }
            served
        }
        Some(Order::Backup { file, passphrase_file }) => {
            println!(
                "{}",
                maintain::back_up(&config, file, first_line(passphrase_file.as_deref())?.as_deref())?
            );
            Ok(())
        }
        Some(Order::Restore { file, passphrase_file }) => {
            println!(
                "{}",
                maintain::restore(&config, file, first_line(passphrase_file.as_deref())?.as_deref())?
            );
            Ok(())
        }
        Some(Order::User(UserOrder::Add { name, role })) => {
            let password = ask_password(name)?;
            maintain::add_user(&config, name, role, &password)?;
            Ok(())
        }
        Some(Order::ExportConfig) => Ok(say(config.to_toml()?.trim_end())?),
        Some(order) => speak(order, &config),
    }
}

/// A secret from a file, so that it stands in no command line.
fn first_line(file: Option<&Path>) -> std::io::Result<Option<String>> {
    let Some(file) = file else { return Ok(None) };
    Ok(std::fs::read_to_string(file)?.lines().next().map(str::to_string))
}

/// A password from standard input; a terminal does not show it.
fn ask_password(name: &str) -> std::io::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = std::io::stdin();
    eprint!("password for {name}: ");
    // What is no terminal has no mode.
    let shown = tcgetattr(&stdin).ok();
    if let Some(mut hidden) = shown.clone() {
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    }
    let mut password = String::new();
    let read = stdin.read_line(&mut password);
    if let Some(shown) = shown {
        tcsetattr(&stdin, OptionalActions::Now, &shown)?;
    }
    eprintln!();
    read?;
    Ok(password.trim_end_matches(['\r', '\n']).to_string())
}

/// Writes to standard output; whoever has read enough of it may go.
fn say(text: impl std::fmt::Display) -> std::io::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
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
    hub::demo::furnish(config);
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
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        loop {
            let mut running = hub::start(config, Clock::default()).await?;
            let _devices = if is_demo { hub::demo::devices(config).await? } else { Vec::new() };
            greet(config, &running, is_demo);
            let goes_on = tokio::select! {
                starts_anew = running.over() => match starts_anew {
                    true => Ok(true),
                    false => Err("a part of the hub ended".into()),
                },
                _ = terminate.recv() => Ok(false),
                _ = tokio::signal::ctrl_c() => Ok(false),
            };
            running.stop().await;
            match goes_on {
                Ok(true) => tracing::info!("the hub starts anew"),
                Ok(false) => return Ok(()),
                Err(reason) => return Err(reason),
            }
        }
    })
}

/// Says where the hub is, and how its first administrator is made.
fn greet(config: &Config, running: &Running, is_demo: bool) {
    println!("http://{}  (functions: /api, state: {})", running.http, config.state.display());
    if is_demo {
        println!("from another terminal: hub --state {} nodes", config.state.display());
    }
    if let Some(https) = running.https {
        println!("https://{https}  (the authority's certificate: /ca.crt)");
    }
    if let Some(code) = running.setup_code.as_ref().filter(|_| !config.server.open_door) {
        println!("first administrator: POST /api/setup with code {code}, or: hub user add NAME --role admin");
    }
}

/// Asks the hub and prints the answer.
fn speak(order: &Order, config: &Config) -> Result<(), Box<dyn Error>> {
    let ask = |path: &str| maintain::ask(config, Method::Get, path, None);
    match order {
        // The figures of a hub that does not run would be none.
        Order::Status => {
            say(format_args!("{:#}", local::call(&start::socket_file(config), "GET", "/api/status", None)?))?;
        }
        Order::ExportOpenapi => say(format_args!("{:#}", ask("/api/openapi.json")?))?,
        Order::Nodes => {
            for device in ask("/api/devices")?.as_array().into_iter().flatten() {
                let text = |name: &str| device[name].as_str().unwrap_or("-").to_string();
                let reach = device["unavailable"].as_str().unwrap_or("reachable");
                let (id, name, status, trust) = (text("id"), text("name"), text("status"), text("trust"));
                say(format_args!("{id:30} {name:30} {status:10} {trust:16} {reach}"))?;
            }
        }
        // Those that need no answer of the hub were carried out before.
        _ => {}
    }
    Ok(())
}
