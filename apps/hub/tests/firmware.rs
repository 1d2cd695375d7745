//! Firmware of the workbench as a device of the house: `soc run --node` beside the hub.

mod support;

use clap::Parser as _;
use serde_json::json;
use support::*;

/// Starts the command in a thread; it ends with the test.
fn run_as_node(program: &str, id: &str, address: &str, port: u16) {
    let program = format!("{}/../soc/programs/{program}", env!("CARGO_MANIFEST_DIR"));
    let port = port.to_string();
    let command = ["soc", "run", &program, "--node", id, "--node-address", address, "--node-port", &port];
    let arguments = soc::arguments::Arguments::try_parse_from(command).unwrap();
    std::thread::spawn(move || soc::dispatch(arguments));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_the_workbench_waters_the_garden() {
    let scratch = Scratch::new("firmware");
    let config = config(&scratch);
    let hub = start(&config).await;
    run_as_node("examples/garden.asm", "soc", "127.77.0.1", config.modules.dwn.port);
    known(hub.http, "dwn.soc.input_0").await;
    assert_eq!(state(hub.http, "dwn.soc.input_0").await, false, "the pump is off");
    let set = |value| json!({"command": "set", "value": value});
    assert_eq!(command(hub.http, "dwn.soc.output_1", set(true)).await.status, 200);
    until("the dry sensor starts the pump", SOON, async || state(hub.http, "dwn.soc.input_0").await == true)
        .await;
    assert_eq!(command(hub.http, "dwn.soc.output_0", set(true)).await.status, 200);
    until("the button stops it", SOON, async || state(hub.http, "dwn.soc.input_0").await == false).await;
}
