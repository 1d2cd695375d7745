// The API page: reads the OpenAPI document and makes a form for each function; shows events as they come.
"use strict";

const find = (id) => document.getElementById(id);
const place = find("functions");
const token = find("token");
const enter = find("enter");

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function credentials() {
  return token.value ? { authorization: `Bearer ${token.value}` } : {};
}

async function send(method, url, body) {
  const headers = credentials();
  if (body) headers["content-type"] = "application/json";
  return fetch(url, { method, headers, body });
}

// A body to start from: what the schema wants, in the simplest values.
function example(schema) {
  if (schema.enum) return schema.enum[0];
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return [example(schema.items || {})];
  if (type === "integer" || type === "number") return 0;
  if (type === "boolean") return false;
  if (type === "string") return "";
  const fields = Object.entries(schema.properties || {}).map(([name, field]) => [name, example(field)]);
  return Object.fromEntries(fields);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// The fields of one function, made when it is opened.
function form(path, method, operation) {
  const box = element("div", undefined, "form");
  const inputs = operation.parameters.map((parameter) => {
    const label = element("label", `${parameter.name}${parameter.required ? " *" : ""}`);
    const input = element("input");
    label.append(element("span", parameter.description), input);
    return { parameter, label, input };
  });
  box.append(...inputs.map((input) => input.label));
  let body = null;
  if (operation.requestBody) {
    const schema = operation.requestBody.content["application/json"].schema;
    const label = element("label", "Body", "body");
    body = element("textarea");
    body.value = JSON.stringify(example(schema), null, 2);
    body.rows = Math.min(12, body.value.split("\n").length + 1);
    body.title = JSON.stringify(schema);
    label.append(body);
    box.append(label);
  }
  const button = element("button", "Call");
  const answer = element("pre");
  button.addEventListener("click", async () => {
    let url = path;
    const query = new URLSearchParams();
    for (const { parameter, input } of inputs) {
      if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.set(parameter.name, input.value);
    }
    if (query.size) url += `?${query}`;
    try {
      const response = await send(method.toUpperCase(), url, body && body.value ? body.value : undefined);
      answer.className = response.ok ? "" : "problem";
      answer.textContent = `${response.status}\n${pretty(await response.text())}`;
    } catch (error) {
      answer.className = "problem";
      answer.textContent = `no answer: ${error.message}`;
    }
  });
  box.append(button, answer);
  return box;
}

function entry(path, method, operation) {
  const box = element("details");
  const head = element("summary");
  const about = element("span", `${operation.summary} `, "about");
  about.append(element("span", operation["x-right"], "right"));
  head.append(element("span", method.toUpperCase(), `method ${method}`), element("span", path, "path"), about);
  box.append(head);
  box.dataset.text = `${method} ${path} ${operation.summary}`.toLowerCase();
  box.addEventListener("toggle", () => {
    if (!box.open || box.children.length > 1) return;
    // A stream has no end to wait for; it is shown at the side.
    const isStream = path === "/ws" || path === "/events";
    box.append(isStream ? element("div", "What comes over it is shown under Events.", "form") : form(path, method, operation));
  });
  return box;
}

// By what they are about: /api/rules and /api/rules/{id}/trace are of one kind, whoever brings them.
function heading(path) {
  const [, first, second] = path.split("/");
  const name = first === "api" && second ? second : first;
  return ["", "api", "ca.crt", "favicon.svg", "help", "metrics", "openapi.json", "page.css", "page.js", "ws"].includes(name) ? "hub" : name.split(".")[0];
}

async function show() {
  // Only what whoever asks may call is in it: another token shows other functions.
  const functions = await (await send("GET", "/api/openapi.json")).json();
  if (!functions.paths) {
    place.textContent = functions.title;
    return;
  }
  const groups = new Map();
  for (const [path, methods] of Object.entries(functions.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const name = heading(path);
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(entry(path, method, operation));
    }
  }
  place.textContent = "";
  for (const [name, entries] of [...groups].sort(([a], [b]) => a.localeCompare(b))) {
    const group = element("section");
    group.append(element("h2", name), ...entries);
    place.append(group);
  }
  filter();
}

function filter() {
  const words = find("filter").value.toLowerCase().split(/\s+/);
  for (const group of place.querySelectorAll("section")) {
    let any = false;
    for (const box of group.querySelectorAll("details")) {
      box.hidden = !words.every((word) => box.dataset.text.includes(word));
      any ||= !box.hidden;
    }
    group.hidden = !any;
  }
}

// Who is there; who is nobody yet may log in, or, with the console's code, become the first administrator.
async function greet() {
  const answer = await send("GET", "/api/me");
  enter.hidden = answer.ok;
  find("who").textContent = answer.ok ? await answer.json().then((me) => `${me.user} (${me.role})`) : "";
  if (!answer.ok) {
    const { needed } = await (await fetch("/api/setup")).json();
    enter.dataset.url = needed ? "/api/setup" : "/api/login";
    enter.querySelector("button").textContent = needed ? "Make the first administrator" : "Log in";
    find("code-label").firstChild.textContent = needed ? "Code on the hub's console " : "One-time code, if you use them ";
  }
}

enter.addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = enter.querySelector("output");
  const fields = Object.fromEntries([...new FormData(enter)].filter(([, value]) => value));
  const answer = await send("POST", enter.dataset.url, JSON.stringify(fields));
  const problem = answer.ok ? {} : await answer.json();
  said.textContent = answer.ok ? "" : [problem.title, problem.detail].filter(Boolean).join(": ");
  if (answer.ok && enter.dataset.url === "/api/setup") {
    delete fields.code;
    await send("POST", "/api/login", JSON.stringify(fields));
  }
  if (answer.ok) {
    enter.reset();
    await Promise.all([greet(), show(), recall()]);
    listen();
  }
});

function tell({ event, time, timestamp, seq, ...rest }) {
  const line = element("li");
  const at = new Date(time || Date.now());
  line.append(element("time", at.toLocaleTimeString()), " ", element("b", event), ` ${JSON.stringify(rest)}`);
  find("events").prepend(line);
  while (find("events").children.length > 60) find("events").lastChild.remove();
}

// What happened before the page was opened.
async function recall() {
  const answer = await send("GET", "/api/events?limit=20");
  if (answer.ok) (await answer.json()).reverse().forEach(tell);
}

let socket = null;
function listen() {
  if (socket && socket.readyState <= WebSocket.OPEN) return;
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket.addEventListener("message", (message) => tell(JSON.parse(message.data)));
  socket.addEventListener("close", () => setTimeout(listen, 5000));
}

token.addEventListener("change", () => Promise.all([greet(), show()]));
find("filter").addEventListener("input", filter);
greet();
show();
recall().then(listen);
