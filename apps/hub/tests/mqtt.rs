//! MQTT both ways, with Debian's mosquitto between the hub and a client that plays the others.

mod support;

use hob_node::devices::Led;
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, QoS};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use support::*;

const PORT: u16 = 18_830;
const TLS_PORT: u16 = 18_883;

/// A broker on an address that no other test has.
struct Broker {
    child: Child,
    address: Ipv4Addr,
    config: std::path::PathBuf,
}

impl Broker {
    fn start(scratch: &Scratch) -> Broker {
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 88, high, low);
        let (config, passwords) = (scratch.0.join("mosquitto.conf"), scratch.0.join("passwords"));
        let made = Command::new("mosquitto_passwd")
            .args(["-b", "-c"])
            .arg(&passwords)
            .args(["hob", "secret"])
            .status();
        assert!(made.expect("mosquitto_passwd: see apps/hub/setup.sh").success());
        // The broker drops root's rights and reads the file as another user.
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&passwords, std::fs::Permissions::from_mode(0o644)).unwrap();
        let text = format!(
            "listener {PORT} {address}\nallow_anonymous false\npassword_file {}\n",
            passwords.display()
        );
        std::fs::write(&config, text).unwrap();
        std::fs::write(scratch.0.join("secret"), "secret\n").unwrap();
        Broker { child: Broker::spawn(&config), address, config }
    }

    /// Lets the broker speak TLS as well, under an authority that is made here, and one that has nothing to do with it.
    fn with_tls(&mut self, scratch: &Scratch) {
        let at = |name: &str| scratch.0.join(name).display().to_string();
        let openssl = |arguments: &str| {
            let done = Command::new("openssl").args(arguments.split(' ')).stderr(Stdio::null()).output();
            assert!(done.expect("openssl: see apps/hub/setup.sh").status.success(), "{arguments}");
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30";
        for name in ["ca", "stranger"] {
            let (key_file, out) = (at(&format!("{name}.key")), at(&format!("{name}.pem")));
            openssl(&format!("req -x509 {key} -keyout {key_file} -out {out} -subj /CN={name}"));
        }
        let (request, server) = (at("server.csr"), at("server.key"));
        openssl(
            &format!("req {key} -keyout {server} -out {request} -subj /CN=broker").replace("-days 30 ", ""),
        );
        let names = scratch.0.join("names");
        std::fs::write(&names, format!("subjectAltName=IP:{}\n", self.address)).unwrap();
        openssl(&format!(
            "x509 -req -in {request} -CA {} -CAkey {} -CAcreateserial -days 30 -extfile {} -out {}",
            at("ca.pem"),
            at("ca.key"),
            names.display(),
            at("server.pem")
        ));
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut text = std::fs::read_to_string(&self.config).unwrap();
        text.push_str(&format!(
            "listener {TLS_PORT} {}\ncertfile {}\nkeyfile {server}\n",
            self.address,
            at("server.pem")
        ));
        std::fs::write(&self.config, text).unwrap();
        self.stop();
        self.again();
    }

    fn spawn(config: &std::path::Path) -> Child {
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(config).env("PATH", path).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("mosquitto: see apps/hub/setup.sh")
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn again(&mut self) {
        self.child = Broker::spawn(&self.config);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody else at the broker, who hears everything.
#[derive(Clone)]
struct Other {
    client: AsyncClient,
    /// The last message of each topic.
    heard: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Other {
    fn join(broker: &Broker) -> Other {
        let mut options = MqttOptions::new("other", broker.address.to_string(), PORT);
        options.set_credentials("hob", "secret");
        let (client, mut events) = AsyncClient::new(options, 100);
        let heard = Arc::new(Mutex::new(BTreeMap::new()));
        let (own, all) = (client.clone(), heard.clone());
        tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                        own.try_subscribe("#", QoS::AtLeastOnce).unwrap()
                    }
                    Ok(Event::Incoming(Incoming::Publish(message))) => {
                        let text = String::from_utf8_lossy(&message.payload).into_owned();
                        all.lock().unwrap().insert(message.topic, text);
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(BEAT).await,
                }
            }
        });
        Other { client, heard }
    }

    async fn say(&self, topic: &str, payload: &str, retain: bool) {
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload).await.unwrap();
    }

    fn last(&self, topic: &str) -> Option<String> {
        self.heard.lock().unwrap().get(topic).cloned()
    }

    async fn hears(&self, topic: &str, wanted: &str) {
        until(&format!("{topic} says {wanted}"), SOON, async || self.last(topic).as_deref() == Some(wanted))
            .await;
    }
}

fn with_broker(scratch: &Scratch, broker: &Broker) -> hub::Config {
    let mut config = config(scratch);
    config.modules.mqtt.broker = Some(format!("{}:{PORT}", broker.address));
    config.modules.mqtt.user = Some("hob".into());
    config.modules.mqtt.password_file = Some(scratch.0.join("secret"));
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn the_houses_entities_are_offered_followed_and_commanded() {
    let scratch = Scratch::new("mqtt-out");
    let broker = Broker::start(&scratch);
    let config = with_broker(&scratch, &broker);
    let other = Other::join(&broker);
    // What an earlier run offered and what is no more is taken back.
    other.say("homeassistant/switch/hob/dwn-2egone-2ex/config", "{}", true).await;
    // A command that the broker kept is not obeyed when the hub comes.
    other.say("hob/dwn-2en1-2evalve_b/set", "OPEN", true).await;
    let hub = start(&config).await;
    let (node, relays) = irrigation(&config, 1, "n1", None);
    let _led = spawn_device(crate::node(&config, 2, wire::led::DRIVER_NAME, "strip"), Led::default());
    let topic = "homeassistant/valve/hob/dwn-2en1-2evalve_a/config";
    until("the valve is offered", SOON, async || other.last(topic).is_some()).await;
    let offered: Value = serde_json::from_str(&other.last(topic).unwrap()).unwrap();
    assert_eq!(offered["device"]["model"], wire::irrigation::DRIVER_NAMES[0]);
    assert_eq!(offered["availability"][0]["topic"], "hob/status");
    let (state, set) = (offered["state_topic"].as_str().unwrap(), offered["command_topic"].as_str().unwrap());
    other.hears("hob/status", "online").await;
    other.hears(state, "closed").await;
    other.hears("homeassistant/switch/hob/dwn-2egone-2ex/config", "").await;
    other.say(set, "nonsense", false).await;
    other.say(set, "OPEN", false).await;
    other.hears(state, "open").await;
    assert_eq!(relays.now(), 1, "only what was commanded now is open");
    let deadline = hub.house.memory().get("deadlines", "dwn.n1.valve_a");
    assert!(deadline.is_some(), "a valve that is opened over MQTT has an end as well");
    other.say(set, "CLOSE", false).await;
    other.hears(state, "closed").await;
    let light = "hob/dwn-2estrip-2elight";
    other.say(&format!("{light}/set"), r#"{"state":"ON","color":{"r":255,"g":128,"b":0}}"#, false).await;
    until("the light obeys", SOON, async || {
        let said = other.last(&format!("{light}/state")).unwrap_or_default();
        serde_json::from_str::<Value>(&said).is_ok_and(|s| s["state"] == "ON" && s["color"]["g"] == 128)
    })
    .await;
    // A new name is told; a lost device is away; one that is forgotten is taken back.
    send(hub.http, "PATCH", "/api/devices/dwn.n1", json!({"name": "Roses"})).await;
    until("the name is told", SOON, async || {
        serde_json::from_str::<Value>(&other.last(topic).unwrap())
            .is_ok_and(|c| c["device"]["name"] == "Roses")
    })
    .await;
    drop(node);
    other.hears("hob/dwn-2en1-2evalve_a/availability", "offline").await;
    assert_eq!(request(hub.http, "DELETE", "/api/devices/dwn.n1", "", None).await.unwrap().status, 200);
    other.hears(topic, "").await;
    other.hears(state, "").await;
    // A hub that is gone without a word is said to be gone by the broker.
    hub.stop().await;
    other.hears("hob/status", "offline").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_others_wait_in_the_inbox_then_report_and_obey() {
    let scratch = Scratch::new("mqtt-in");
    let mut broker = Broker::start(&scratch);
    let mut config = with_broker(&scratch, &broker);
    config.devices.accept_all = false;
    let other = Other::join(&broker);
    let announce = async || {
        let device = json!({"ids": ["zigbee_0x1"], "name": "Plug"});
        let plug = json!({"~": "z/plug", "uniq_id": "switch", "name": "Plug", "stat_t": "~", "cmd_t": "~/set", "dev": device,
            "val_tpl": "{{ value_json.state }}", "avty_t": "z/plug/availability"});
        let valve =
            json!({"uniq_id": "tap", "name": "Tap", "stat_t": "z/tap", "cmd_t": "z/tap/set", "dev": device});
        other.say("homeassistant/switch/0x1/switch/config", &plug.to_string(), true).await;
        other.say("homeassistant/valve/0x1/tap/config", &valve.to_string(), true).await;
        other.say("z/plug", r#"{"state":"ON"}"#, true).await;
        other.say("z/tap", "closed", true).await;
    };
    announce().await;
    other.say("homeassistant/switch/bad/config", "no json", true).await;
    let hub = start(&config).await;
    until("it waits in the inbox", SOON, async || {
        get(hub.http, "/api/inbox").await.json()[0]["id"] == "mqtt.zigbee_0x1"
    })
    .await;
    assert_eq!(
        get(hub.http, "/api/entities").await.json(),
        json!([]),
        "it is not listened to before it is accepted"
    );
    send(hub.http, "PATCH", "/api/devices/mqtt.zigbee_0x1", json!({"status": "accepted"})).await;
    until("it reports", SOON, async || state(hub.http, "mqtt.zigbee_0x1.switch").await == true).await;
    let off = json!({"command": "set", "value": false});
    assert_eq!(command(hub.http, "mqtt.zigbee_0x1.switch", off.clone()).await.status, 200);
    other.hears("z/plug/set", "OFF").await;
    other.say("z/plug", r#"{"state":"OFF"}"#, true).await;
    until("it has obeyed", SOON, async || state(hub.http, "mqtt.zigbee_0x1.switch").await == false).await;
    // Water always has an end, whoever's the valve is.
    known(hub.http, "mqtt.zigbee_0x1.tap").await;
    assert_eq!(open_valve(hub.http, "mqtt.zigbee_0x1.tap", 1).await.status, 200);
    other.hears("z/tap/set", "OPEN").await;
    other.say("z/tap", "open", true).await;
    other.hears("z/tap/set", "CLOSE").await;
    other.say("z/tap", "closed", true).await;
    until("the tap is shut", SOON, async || state(hub.http, "mqtt.zigbee_0x1.tap").await == false).await;
    other.say("z/plug/availability", "offline", true).await;
    until("it is away", SOON, async || state(hub.http, "mqtt.zigbee_0x1.switch").await == "unavailable")
        .await;
    other.say("z/plug/availability", "online", true).await;
    other.say("z/plug", r#"{"state":"ON"}"#, true).await;
    until("it is back", SOON, async || state(hub.http, "mqtt.zigbee_0x1.switch").await == true).await;
    // The house does not offer to others what it has from them.
    assert_eq!(other.heard.lock().unwrap().keys().filter(|topic| topic.contains("/hob/")).count(), 0);
    broker.stop();
    until("the broker is missed", SOON, async || {
        let entity = get(hub.http, "/api/entities/mqtt.zigbee_0x1.switch").await.json();
        entity["reason"].as_str().is_some_and(|reason| reason.contains("broker"))
    })
    .await;
    assert_eq!(command(hub.http, "mqtt.zigbee_0x1.switch", off).await.status, 503);
    assert_eq!(send(hub.http, "POST", "/api/mqtt/publish", json!({"topic": "a"})).await.status, 503);
    // This broker keeps nothing on disk: the others say it anew.
    broker.again();
    until("the broker is found again", SOON, async || {
        get(hub.http, "/api/mqtt").await.json()["connected"] == true
    })
    .await;
    announce().await;
    until("it reports again", SOON, async || state(hub.http, "mqtt.zigbee_0x1.switch").await == true).await;
    assert_eq!(
        send(hub.http, "POST", "/api/mqtt/publish", json!({"topic": "a/b", "payload": "c"})).await.status,
        202
    );
    other.hears("a/b", "c").await;
    other.say("homeassistant/switch/0x1/switch/config", "", true).await;
    other.say("homeassistant/valve/0x1/tap/config", "", true).await;
    until("it is taken back", SOON, async || {
        get(hub.http, "/api/devices/mqtt.zigbee_0x1").await.json()["unavailable"]
            .as_str()
            .is_some_and(|reason| reason.contains("took"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_is_spoken_to_over_tls_and_only_if_it_is_vouched_for() {
    let scratch = Scratch::new("mqtt-tls");
    let mut broker = Broker::start(&scratch);
    broker.with_tls(&scratch);
    let mut config = with_broker(&scratch, &broker);
    config.modules.mqtt.broker = Some(format!("mqtts://{}:{TLS_PORT}", broker.address));
    let other = Other::join(&broker);
    let reason = async |hub: &hub::Running| {
        get(hub.http, "/api/mqtt").await.json()["reason"].as_str().unwrap_or_default().to_string()
    };
    // By nobody's word, and by a stranger's.
    for authority in [None, Some("stranger.pem")] {
        config.modules.mqtt.authority = authority.map(|name| scratch.0.join(name));
        let hub = start(&config).await;
        if hub_tls::missing_feature().is_some() {
            return;
        }
        until("it is refused", SOON, async || reason(&hub).await.contains("UnknownIssuer")).await;
        hub.stop().await;
    }
    assert_eq!(other.last("hob/status"), None, "nothing was said to a broker that nobody vouches for");
    config.modules.mqtt.authority = Some(scratch.0.join("ca.pem"));
    let hub = start(&config).await;
    let (_node, relays) = irrigation(&config, 1, "n1", None);
    other.hears("hob/status", "online").await;
    other.hears("hob/dwn-2en1-2evalve_a/state", "closed").await;
    other.say("hob/dwn-2en1-2evalve_a/set", "OPEN", false).await;
    until("the valve obeys", SOON, async || relays.now() == 1).await;
    // The broker goes and comes: the way is found again.
    broker.stop();
    until("the broker is missed", SOON, async || !reason(&hub).await.is_empty()).await;
    broker.again();
    until("the broker is found again", AT_LAST, async || {
        get(hub.http, "/api/mqtt").await.json()["connected"] == true
    })
    .await;
    // A wrong password is of no use under TLS either.
    hub.stop().await;
    std::fs::write(scratch.0.join("secret"), "guess\n").unwrap();
    let hub = start(&config).await;
    until("the password is refused", SOON, async || !reason(&hub).await.is_empty()).await;
    assert_eq!(get(hub.http, "/api/mqtt").await.json()["connected"], false);
}
