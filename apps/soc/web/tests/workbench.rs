//! The workbench behind the page, without a browser.

use serde_json::{Value, json};
use soc_debugger::Stopped;
use soc_web::Workbench;

fn ask(workbench: &mut Workbench, request: Value) -> Value {
    serde_json::from_str(&workbench.request(&request.to_string())).unwrap()
}

fn view(workbench: &mut Workbench) -> Value {
    ask(workbench, json!({ "do": "view", "memory": 0, "memory_rows": 2, "code": null, "code_rows": 6 }))
}

fn finish(workbench: &mut Workbench) {
    while workbench.advance(1_000_000) >= 0.0 {}
}

#[test]
fn a_source_is_assembled_loaded_run_and_reversed() {
    let mut bench = Workbench::default();
    let source = "ä: mov r1, 1 ; 😀\n mvo r2\n";
    let answer = ask(&mut bench, json!({ "do": "assemble", "source": source, "compat": false }));
    assert_eq!(answer["ok"], false);
    let source = "; 😀 more\n mvo r2\nl: add r1, 1\njmp l";
    let answer = ask(&mut bench, json!({ "do": "assemble", "source": source, "compat": false }));
    // The comment has nine units in UTF-16, though eleven bytes.
    assert_eq!((&answer["findings"][0]["start"], &answer["findings"][0]["end"]), (&11.into(), &14.into()));
    let source = "mov r1, 1\nl: add r1, 1\njmp l";
    let answer = ask(&mut bench, json!({ "do": "assemble", "source": source, "compat": false }));
    assert_eq!((&answer["ok"], &answer["lines"][1]), (&true.into(), &json!([2, 8])));
    ask(&mut bench, json!({ "do": "load", "seed": 0 }));
    ask(&mut bench, json!({ "do": "toggle_breakpoint", "address": 8 }));
    ask(&mut bench, json!({ "do": "goal", "goal": "continue", "value": 0 }));
    finish(&mut bench);
    ask(&mut bench, json!({ "do": "goal", "goal": "continue", "value": 0 }));
    finish(&mut bench);
    let seen = view(&mut bench);
    assert_eq!(
        (&seen["registers"][1], &seen["line"], &seen["stop"]),
        (&2.into(), &2.into(), &"breakpoint".into())
    );
    ask(&mut bench, json!({ "do": "goal", "goal": "reverse_continue", "value": 0 }));
    finish(&mut bench);
    assert_eq!(view(&mut bench)["registers"][1], 1);
    ask(&mut bench, json!({ "do": "goal", "goal": "reverse_continue", "value": 0 }));
    finish(&mut bench);
    assert_eq!(bench.last_stop(), Stopped::Beginning);
}

#[test]
fn every_example_assembles() {
    let mut bench = Workbench::default();
    let examples = ask(&mut bench, json!({ "do": "examples" }));
    for example in examples["examples"].as_array().unwrap() {
        let answer = ask(&mut bench, json!({ "do": "assemble", "source": example["text"], "compat": false }));
        assert_eq!(answer["ok"], true, "{example}: {answer}");
    }
}

#[test]
fn wrong_requests_are_answered_with_an_error() {
    let mut bench = Workbench::default();
    for wrong in [
        "",
        "{",
        "[]",
        "{\"do\":\"fly\"}",
        "{\"do\":\"goal\",\"goal\":\"x\",\"value\":1}",
        "{\"do\":\"set_register\",\"number\":99,\"value\":1}",
        "{\"do\":\"set_memory\",\"address\":4294967295,\"byte\":1}",
        "{\"do\":\"console\",\"line\":\"bogus\"}",
        "{\"do\":\"load\",\"seed\":0,\"more\":1}",
    ] {
        assert!(bench.request(wrong).contains("\"error\""), "{wrong}");
    }
    let huge = json!({ "do": "view", "memory": 0xFFFF_FFF0u32, "memory_rows": u32::MAX, "code": 0xFFFF_FFF8u32, "code_rows": u32::MAX });
    assert!(ask(&mut bench, huge)["memory"].as_array().unwrap().len() <= 256);
    ask(&mut bench, json!({ "do": "goal", "goal": "go_to", "value": -1e300 }));
    finish(&mut bench);
}
