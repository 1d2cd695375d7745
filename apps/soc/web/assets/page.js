// The page: joins editor, controls and views to the worker. It holds no state of the machine.
const byId = (id) => document.getElementById(id);
const hex = (value, digits) => value.toString(16).padStart(digits, "0");
const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const worker = new Worker(URL.createObjectURL(new Blob([bytesOf(WORKER)], { type: "text/javascript" })));
const send = (kind, more) => worker.postMessage({ kind, ...more });

let examples = [];
let lines = new Map();        // line of the source -> address, of the text that is shown
let assembledText = null;     // the text whose program the machine would get
let loadedText = null;        // the text whose program the machine has
let state = null;
let edition = 0;              // counts texts, so that a late answer is not taken for a newer text
let pending = null;           // what is to happen once the text is assembled
const editor = new Editor(() => changed(), (line) => toggleLine(line));

// The source.

function changed() {
  edition += 1;
  send("assemble", { source: editor.text, compat: byId("compat").checked, id: edition });
}

function assembled(answer, id) {
  if (id !== edition) return;
  editor.paint(answer.colours, answer.findings);
  byId("findings").replaceChildren(...answer.findings.map((finding) => {
    const item = document.createElement("li");
    const place = document.createElement("b");
    place.textContent = `${finding.line}:${finding.column} `;
    item.append(place, finding.message);
    if (finding.hint) {
      const hint = document.createElement("i");
      hint.textContent = ` – ${finding.hint}`;
      item.append(hint);
    }
    item.addEventListener("click", () => editor.select(finding.start, finding.end));
    return item;
  }));
  lines = new Map(answer.lines);
  assembledText = answer.ok ? editor.text : null;
  byId("download").disabled = byId("load").disabled = !answer.ok;
  markLines();
  const then = pending;
  pending = null;
  if (then && answer.ok) then();
}

function markLines() {
  const isShown = loadedText === editor.text;
  const points = new Set(state && isShown ? state.breakpoint_lines : []);
  editor.mark(new Set(lines.keys()), points, state && isShown && !state.running ? state.line : null);
}

function toggleLine(line) {
  const toggle = () => {
    const address = lines.get(line);
    if (address !== undefined) send("edit", { request: { do: "toggle_breakpoint", address } });
  };
  if (loadedText === editor.text) toggle(); else load(toggle);
}

function open(text) {
  editor.text = text;
  changed();
}

// Makes sure that the machine has the program that is shown, then goes on.
function load(then) {
  const ready = () => {
    loadedText = assembledText;
    send("load");
    if (then) then();
  };
  if (assembledText === editor.text) ready(); else { pending = ready; changed(); }
}

function withProgram(then) {
  if (loadedText !== null && (loadedText === editor.text || assembledText === null)) then(); else load(then);
}

const goal = (name, value) => withProgram(() => send("goal", { goal: name, value }));

// The views.

function show(next, pixels) {
  const before = state;
  state = next;
  const isRunning = state.running;
  byId("run").textContent = isRunning ? "Pause" : "Run";
  byId("mips").textContent = state.mips ? `${state.mips.toFixed(0)} MIPS` : "";
  const status = byId("status");
  const searching = isRunning && state.progress !== null;
  status.textContent = searching ? `searching the past: ${Math.round(state.progress * 100)} %` : isRunning ? "running" : state.stop === "cancelled" ? "paused" : state.stop_text;
  status.className = !isRunning && ["exception", "double_fault"].includes(state.stop) && state.stop_text !== "exception 0: breakpoint" ? "bad" : "";
  const time = byId("time");
  time.min = state.start;
  time.max = state.end;
  if (document.activeElement !== time || !dragging) time.value = state.cycle;
  byId("cycle").textContent = state.cycle.toLocaleString("en");
  showScreen(pixels);
  showRegisters(before);
  showCode();
  showMemory();
  showPins();
  const output = byId("output");
  if (output.textContent !== state.output) {
    output.textContent = state.output;
    output.scrollTop = output.scrollHeight;
  }
  markLines();
}

function showScreen(pixels) {
  byId("cells").hidden = !state.shows_text;
  byId("graphics").hidden = state.shows_text;
  if (state.shows_text) {
    byId("cells").textContent = state.text.join("\n");
  } else if (pixels) {
    byId("graphics").getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), 320, 200), 0, 0);
  }
}

const registerInputs = [];
for (let number = 0; number < 16; number++) {
  const label = document.createElement("label");
  const name = document.createElement("span");
  name.textContent = `r${number}`;
  const input = document.createElement("input");
  input.setAttribute("aria-label", `r${number}`);
  input.addEventListener("change", () => {
    const value = Number.parseInt(input.value, 16);
    if (Number.isFinite(value)) send("edit", { request: { do: "set_register", number, value: value >>> 0 } });
  });
  label.append(name, input);
  byId("registers").append(label);
  registerInputs.push(input);
}

function showRegisters(before) {
  state.registers.forEach((value, number) => {
    const input = registerInputs[number];
    if (document.activeElement !== input) input.value = hex(value, 8);
    input.classList.toggle("changed", before !== null && !state.running && before.registers[number] !== value);
  });
  byId("bank").textContent = state.interrupt_bank ? "(interrupt bank)" : "";
  byId("flags").replaceChildren(...state.flags.map(([name, isSet]) => {
    const flag = document.createElement("span");
    flag.textContent = name;
    flag.className = isSet ? "on" : "";
    return flag;
  }));
}

function showCode() {
  const ip = state.registers[15];
  byId("code").replaceChildren(...state.code.map((row) => {
    const line = document.createElement("div");
    line.dataset.address = row.address;
    line.className = (row.address === ip ? "here " : "") + (state.breakpoints.includes(row.address) ? "point" : "");
    const address = document.createElement("i");
    address.textContent = `${hex(row.address, 8)}  `;
    line.append(address);
    if (row.label) {
      const name = document.createElement("span");
      name.className = "name";
      name.textContent = `${row.label}: `;
      line.append(name);
    }
    line.append(row.text);
    return line;
  }));
}

byId("code").addEventListener("click", (event) => {
  const row = event.target.closest("div[data-address]");
  if (row) send("edit", { request: { do: "toggle_breakpoint", address: Number(row.dataset.address) } });
});

function showMemory() {
  byId("memory").replaceChildren(...state.memory.map((row) => {
    const line = document.createElement("div");
    const address = document.createElement("i");
    address.textContent = `${hex(row.address, 8)}  `;
    line.append(address);
    row.bytes.forEach((byte, offset) => {
      const cell = document.createElement("span");
      cell.textContent = byte === null ? "--" : hex(byte, 2);
      cell.dataset.address = (row.address + offset) >>> 0;
      line.append(cell, " ");
    });
    line.append(row.bytes.map((byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".").join(""));
    return line;
  }));
}

byId("memory").addEventListener("click", (event) => {
  const cell = event.target.closest("span[data-address]");
  if (!cell) return;
  const address = Number(cell.dataset.address);
  const text = prompt(`Byte at 0x${hex(address, 8)}, hexadecimal`, cell.textContent);
  const byte = Number.parseInt(text, 16);
  if (byte >= 0 && byte < 256) send("edit", { request: { do: "set_memory", address, byte } });
});

byId("address").addEventListener("change", () => {
  const value = Number(byId("address").value);
  if (Number.isFinite(value)) send("watch", { watch: { memory: Math.floor(value) >>> 0 } });
});

const lamps = [];
const buttons = [];
function makePins() {
  const pins = byId("pins");
  const heading = (text) => { const cell = document.createElement("b"); cell.textContent = text; return cell; };
  pins.append(heading("outputs"));
  for (let pin = 0; pin < 32; pin++) { const lamp = document.createElement("span"); lamp.title = `output ${pin}`; lamps.push(lamp); pins.append(lamp); }
  pins.append(document.createElement("em"), heading("inputs"));
  for (let pin = 0; pin < 32; pin++) {
    const button = document.createElement("button");
    button.title = `input ${pin}`;
    button.setAttribute("aria-label", `input ${pin}`);
    button.addEventListener("click", () => send("input", { request: { do: "pins", levels: (state.input_pins ^ (1 << pin)) >>> 0 } }));
    buttons.push(button);
    pins.append(button);
  }
}
makePins();

function showPins() {
  lamps.forEach((lamp, pin) => lamp.classList.toggle("on", (state.pins >>> pin & 1) === 1));
  buttons.forEach((button, pin) => button.classList.toggle("on", (state.input_pins >>> pin & 1) === 1));
}

// The controls.

const actions = {
  load: () => load(),
  run: () => state && state.running ? send("pause") : goal("continue"),
  step: () => goal("step", 1),
  over: () => goal("over"),
  out: () => goal("out"),
  back: () => goal("reverse_step", 1),
  reverse: () => goal("reverse_continue"),
  format: () => send("format", { source: editor.text }),
  download: () => send("image"),
  upload: () => byId("file").click(),
  share,
};
for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);

byId("speed").addEventListener("change", () => send("speed", { speed: Number(byId("speed").value) }));
byId("compat").addEventListener("change", () => { loadedText = null; changed(); });
byId("examples").addEventListener("change", () => { const example = examples[byId("examples").value]; if (example) open(example.text); });

let dragging = false;
byId("time").addEventListener("pointerdown", () => { dragging = true; });
addEventListener("pointerup", () => { dragging = false; });
byId("time").addEventListener("input", () => send("goal", { goal: "go_to", value: Number(byId("time").value) }));

addEventListener("keydown", (event) => {
  const name = (event.shiftKey ? "Shift+" : "") + (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + event.key;
  const action = { F5: "run", "Shift+F5": "reverse", F6: "over", F7: "step", "Shift+F7": "back", F8: "out", "Ctrl+Enter": "load" }[name];
  if (!action) return;
  event.preventDefault();
  actions[action]();
});

byId("screen").addEventListener("keydown", (event) => {
  const special = { Enter: 13, Backspace: 8, Tab: null, Escape: 27 };
  const code = event.key.length === 1 ? event.key.charCodeAt(0) : special[event.key];
  if (code === undefined || code === null || code > 255 || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  send("input", { request: { do: "key", code } });
});

byId("sending").addEventListener("submit", (event) => {
  event.preventDefault();
  send("input", { request: { do: "serial", text: byId("serial").value + "\n" } });
  byId("serial").value = "";
});

byId("asking").addEventListener("submit", (event) => {
  event.preventDefault();
  const line = byId("command").value;
  byId("command").value = "";
  byId("answers").textContent += `> ${line}\n`;
  send("console", { line });
});

function answer(text) {
  const answers = byId("answers");
  answers.textContent = (answers.textContent + text).slice(-20000);
  answers.scrollTop = answers.scrollHeight;
}

// Images, and links that carry a source.

function save(image) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([image]));
  link.download = "program.rom";
  link.click();
  URL.revokeObjectURL(link.href);
}

byId("file").addEventListener("change", async () => {
  const file = byId("file").files[0];
  if (file) send("disassemble", { image: await file.arrayBuffer() });
  byId("file").value = "";
});

async function through(stream, bytes) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

async function share() {
  const packed = await through(new CompressionStream("deflate-raw"), new TextEncoder().encode(editor.text));
  const text = btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(""));
  location.hash = "z=" + text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  try { await navigator.clipboard.writeText(location.href); byId("status").textContent = "the link is copied"; }
  catch { byId("status").textContent = "the link is in the address bar"; }
}

async function shared() {
  const match = /^#z=([\w-]+)$/.exec(location.hash);
  if (!match) return null;
  try {
    const packed = bytesOf(match[1].replaceAll("-", "+").replaceAll("_", "/"));
    return new TextDecoder().decode(await through(new DecompressionStream("deflate-raw"), packed));
  } catch { return null; }
}

async function begin(list) {
  examples = list;
  byId("examples").replaceChildren(...examples.map((example, index) => new Option(example.title, index)));
  open(await shared() ?? examples[0].text);
  load();
  document.body.dataset.ready = "yes";
}

const waiting = new Map();
let requests = 0;
// For tests and measurements: a request whose answer carries its number.
function request(kind, more) {
  requests += 1;
  const id = `request ${requests}`;
  send(kind, { ...more, id });
  return new Promise((resolve) => waiting.set(id, resolve));
}

worker.onmessage = (event) => {
  const message = event.data;
  if (waiting.has(message.id)) {
    waiting.get(message.id)(message);
    waiting.delete(message.id);
  }
  else if (message.state) show(message.state, message.pixels);
  else if (message.assembled) assembled(message.assembled, message.id);
  else if (message.answer !== undefined) answer(message.answer);
  else if (message.formatted !== undefined) open(message.formatted);
  else if (message.opened !== undefined) open(message.opened);
  else if (message.image) save(message.image);
  else if (message.ready) begin(message.ready);
};
worker.onerror = (event) => { byId("status").textContent = `the worker has failed: ${event.message}`; byId("status").className = "bad"; };
addEventListener("hashchange", async () => { const text = await shared(); if (text !== null && text !== editor.text) open(text); });

const module = bytesOf(MODULE);
worker.postMessage({ kind: "module", module }, [module.buffer]);
