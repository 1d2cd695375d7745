// The worker: owns the machine, gives it its time in slices, and answers the page in between.
"use strict";

let bench = null;
let watched = { memory: 0, memory_rows: 12, code: null, code_rows: 24 };
let busy = false;
let speed = 0;              // cycles a second; 0 is as fast as it goes
let resumes = false;        // whether an input wakes a run that had fallen asleep
let slice = 200000;         // cycles of a slice at full speed, adapted to take about 8 ms
let credit = 0;
let lastTick = 0;
let lastShown = 0;
let meter = { cycles: 0, since: 0, mips: 0 };
const channel = new MessageChannel();
channel.port1.onmessage = tick;

function ask(request) {
  return JSON.parse(bench.request(JSON.stringify(request)));
}

function show() {
  lastShown = performance.now();
  const state = ask({ do: "view", ...watched });
  state.mips = busy && speed === 0 ? meter.mips : 0;
  state.running = busy;
  if (state.shows_text) return postMessage({ state });
  const pixels = bench.pixels();
  postMessage({ state, pixels }, [pixels.buffer]);
}

function begin(goal, value) {
  ask({ do: "goal", goal, value: value || 0 });
  resumes = goal === "continue";
  start();
}

function start() {
  credit = 0;
  lastTick = performance.now();
  meter = { cycles: 0, since: lastTick, mips: meter.mips };
  if (!busy) { busy = true; channel.port2.postMessage(null); }
}

// How many cycles the machine may run now.
function allowance(now) {
  if (speed === 0) return slice;
  credit = Math.min(credit + (now - lastTick) * speed / 1000, speed / 10 + 1);
  lastTick = now;
  const whole = Math.floor(credit);
  credit -= whole;
  return whole;
}

function tick() {
  if (!busy) return;
  const now = performance.now();
  const cycles = allowance(now);
  if (cycles > 0) {
    const passed = bench.advance(cycles);
    const took = performance.now() - now;
    if (passed < 0) { busy = false; return show(); }
    meter.cycles += passed;
    if (now - meter.since > 500) {
      meter.mips = meter.cycles / (now - meter.since) / 1000;
      meter.cycles = 0;
      meter.since = now;
    }
    if (speed === 0) slice = Math.max(1000, Math.min(20000000, Math.round(slice * Math.min(2, 8 / Math.max(took, 0.5)))));
  }
  if (now - lastShown > 16) show();
  // A message lets the page's messages in between; a pause is only wanted where there is nothing to do.
  if (speed === 0) channel.port2.postMessage(null); else setTimeout(tick, 4);
}

function input(request) {
  ask(request);
  const state = ask({ do: "view", memory: 0, memory_rows: 0, code: 0, code_rows: 0 });
  if (!busy && resumes && state.stop === "asleep") begin("continue"); else if (!busy) show();
}

const handlers = {
  assemble(message) {
    const answer = ask({ do: "assemble", source: message.source, compat: message.compat });
    postMessage({ assembled: answer, id: message.id });
  },
  load(message) { busy = false; resumes = false; ask({ do: "load", seed: message.seed || 0 }); show(); },
  goal(message) { begin(message.goal, message.value); },
  pause() { resumes = false; ask({ do: "cancel" }); busy = false; show(); },
  speed(message) { speed = message.speed; if (busy) start(); },
  watch(message) { watched = { ...watched, ...message.watch }; if (!busy) show(); },
  input(message) { input(message.request); },
  edit(message) { ask(message.request); show(); },
  console(message) {
    const answer = ask({ do: "console", line: message.line });
    postMessage({ answer: answer.error !== undefined ? answer.error + "\n" : answer.text || "" });
    if (answer.started) start(); else show();
  },
  format(message) { postMessage({ formatted: ask({ do: "format", source: message.source }).source }); },
  disassemble(message) { postMessage({ opened: bench.disassemble(new Uint8Array(message.image)) }); },
  image() { postMessage({ image: bench.image() }); },
  replay(message) { postMessage({ replayed: bench.replay(new Uint8Array(message.recording)), id: message.id }); },
  // Runs the loaded program for about so long, without showing anything, and tells its speed.
  measure(message) {
    ask({ do: "goal", goal: "continue", value: 0 });
    const began = performance.now();
    let cycles = 0;
    while (performance.now() - began < message.ms) {
      const passed = bench.advance(5000000);
      if (passed < 0) break;
      cycles += passed;
    }
    const took = performance.now() - began;
    ask({ do: "cancel" });
    const reversed = performance.now();
    ask({ do: "goal", goal: "reverse_step", value: 1 });
    while (bench.advance(5000000) >= 0) { /* until it is there */ }
    postMessage({ measured: { cycles, mips: cycles / took / 1000, reverse_ms: performance.now() - reversed }, id: message.id });
  },
};

onmessage = (event) => {
  const message = event.data;
  if (message.kind === "module") {
    wasm_bindgen.initSync({ module: message.module });
    bench = new wasm_bindgen.Bench();
    postMessage({ ready: ask({ do: "examples" }).examples });
    return;
  }
  handlers[message.kind](message);
};
