//! `hob-node`: simulated devices from the command line.

use clap::{Parser, ValueEnum};
use hob_node::devices::{Io, Irrigation, Led};
use hob_node::jsonrpc::{JsonRpcNode, Settings};
use hob_node::serial::SerialBoard;
use hob_node::{Config, Handle, Trust, servers, spawn};
use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;
use wire::alarm::Record;
use wire::dial::SHORTEST_TOKEN;
use wire::pairing::Code;

/// Simulated devices of a house, on real sockets.
#[derive(Parser)]
#[command(name = "hob-node", version)]
struct Arguments {
    kind: Kind,
    /// The device's id; a number is added when there are several. A station, a panel and a GPIO board have none.
    #[arg(long, default_value = "node")]
    id: String,
    /// How many devices; each has an address of its own, 127.77.x.y: the first that is free.
    #[arg(long, default_value_t = 1)]
    count: u16,
    /// Port of the adverts and of v1 nodes.
    #[arg(long, default_value_t = wire::PORT)]
    port: u16,
    /// A port that needs no right.
    #[arg(long)]
    demo: bool,
    /// Speak DWN v2 and show a pairing code.
    #[arg(long)]
    v2: bool,
    /// jsonrpc: connect out to the hub at this host:port, as from behind a NAT.
    #[arg(long)]
    dial: Option<String>,
    /// jsonrpc: the file whose first line callers must show, and by which node and hub prove themselves to each other.
    #[arg(long)]
    token_file: Option<std::path::PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Irrigation,
    Led,
    Io,
    Gpio,
    Jsonrpc,
    Weather,
    Alarm,
}

/// The port of `hub --demo`.
const DEMO_PORT: u16 = 24_242;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hob-node: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        match arguments.kind {
            Kind::Gpio => {
                let boards =
                    (0..arguments.count).map(|_| SerialBoard::plug_in()).collect::<Result<Vec<_>, _>>()?;
                boards.iter().for_each(|board| println!("a GPIO board on {}", board.path.display()));
                wait().await
            }
            Kind::Jsonrpc => {
                let token = match &arguments.token_file {
                    Some(file) => std::fs::read_to_string(file)?.lines().next().map(str::to_string),
                    None => None,
                };
                if arguments.dial.is_some() && token.as_ref().is_none_or(|t| t.len() < SHORTEST_TOKEN) {
                    let what = format!("--dial needs --token-file, with {SHORTEST_TOKEN} characters or more");
                    return Err(format!("{what}: openssl rand -hex 16 makes such a token").into());
                }
                let mut nodes = Vec::new();
                for number in 0..arguments.count {
                    let settings = Settings {
                        id: id(arguments, number),
                        token: token.clone(),
                        hub: arguments.dial.clone(),
                        pins: r#"[{"pin":1,"mode":1},{"pin":5,"mode":2},{"pin":6,"mode":2,"maxon":10}]"#
                            .into(),
                    };
                    let start =
                        async |at| JsonRpcNode::start(SocketAddr::new(at, 8080), settings.clone()).await;
                    let node = free_address(number, 300, start).await?;
                    println!("JSON-RPC node {} on {}", id(arguments, number), node.address);
                    nodes.push(node);
                }
                wait().await
            }
            Kind::Weather => {
                let mut stations = Vec::new();
                for number in 0..arguments.count {
                    let start = async |at| servers::weather(SocketAddr::new(at, 8077)).await;
                    let station = free_address(number, 500, start).await?;
                    println!("a weather station on {}", station.address);
                    stations.push(station);
                }
                wait().await
            }
            Kind::Alarm => {
                let mut panels = Vec::new();
                for number in 0..arguments.count {
                    let start = async |at| servers::alarm(SocketAddr::new(at, 8023)).await;
                    let panel = free_address(number, 700, start).await?;
                    println!(
                        "an alarm panel on {}: a zone opens and closes every ten seconds",
                        panel.address
                    );
                    panels.push(panel);
                }
                for n in 0.. {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    panels.iter().for_each(|panel| {
                        panel.happen(Record {
                            group: n % 2,
                            subgroup: 1,
                            partition: 1,
                            label_type: 0,
                            label: "Front door".into(),
                        });
                    });
                }
                Ok(())
            }
            _ => {
                let mut nodes = Vec::new();
                for number in 0..arguments.count {
                    nodes.push(node(arguments, number).await?);
                }
                println!("{} on port {}", names(arguments), port(arguments));
                wait().await
            }
        }
    })
}

async fn wait() -> Result<(), Box<dyn Error>> {
    Ok(tokio::signal::ctrl_c().await?)
}

fn port(arguments: &Arguments) -> u16 {
    if arguments.demo { DEMO_PORT } else { arguments.port }
}

fn id(arguments: &Arguments, number: u16) -> String {
    if arguments.count == 1 { arguments.id.clone() } else { format!("{}-{number}", arguments.id) }
}

fn names(arguments: &Arguments) -> String {
    match arguments.count {
        1 => format!("{} advertises itself", arguments.id),
        count => {
            format!("{} to {} advertise themselves", id(arguments, 0), id(arguments, count.saturating_sub(1)))
        }
    }
}

/// Starts something on the first loopback address from `number` on that no other program uses: each kind begins elsewhere.
async fn free_address<T>(
    number: u16,
    first: u16,
    mut start: impl AsyncFnMut(IpAddr) -> io::Result<T>,
) -> io::Result<T> {
    let begin = number.saturating_add(first);
    for place in begin..u16::MAX {
        let [high, low] = place.to_be_bytes();
        match start(Ipv4Addr::new(127, 77, high, low).into()).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            done => return done,
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

async fn node(arguments: &Arguments, number: u16) -> Result<Handle, Box<dyn Error>> {
    let id = id(arguments, number);
    let trust = match arguments.v2 {
        true => {
            let mut random = [0; 16];
            getrandom::fill(&mut random)?;
            let code = Code::from_random(random);
            println!("{id} can be paired with {code}");
            Some(Trust::new(&id, code)?)
        }
        false => None,
    };
    let name = match arguments.kind {
        Kind::Led => wire::led::DRIVER_NAME,
        Kind::Io => wire::io::DRIVER_NAME,
        _ => wire::irrigation::DRIVER_NAMES[0],
    };
    let start = async |at| {
        let IpAddr::V4(address) = at else { return Err(io::ErrorKind::Unsupported.into()) };
        let config = Config {
            name: name.into(),
            id: id.clone(),
            address,
            port: port(arguments),
            interface: Ipv4Addr::LOCALHOST,
            heartbeat: Duration::from_millis(wire::HEARTBEAT_EVERY_MS),
            trust: trust.clone(),
        };
        match arguments.kind {
            Kind::Led => spawn(config, Led::default()),
            Kind::Io => spawn(config, Io::default()),
            _ => spawn(config, Irrigation::new(wire::irrigation::NODE_LIMIT_MS).0),
        }
    };
    free_address(number, 100, start).await.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "port {} needs a right: setcap cap_net_bind_service=+ep on the program, or --demo",
            port(arguments)
        )
        .into(),
        _ => error.into(),
    })
}
