// The API page: reads the OpenAPI document and makes a form for each function.
"use strict";

const place = document.getElementById("functions");
const token = document.getElementById("token");

function element(tag, text) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  return made;
}

function form(path, method, operation) {
  const box = element("details");
  const head = element("summary");
  const verb = element("span", method.toUpperCase());
  verb.className = "method";
  const about = element("span", ` ${operation.summary} (${operation["x-right"]})`);
  about.className = "about";
  head.append(verb, path, about);
  const inputs = operation.parameters.map((parameter) => {
    const label = element("label", `${parameter.name}${parameter.required ? " *" : ""} `);
    const input = element("input");
    input.title = input.placeholder = parameter.description;
    label.append(input, element("br"));
    return { parameter, label, input };
  });
  const body = operation.requestBody ? element("textarea") : null;
  if (body) {
    body.rows = 4;
    body.placeholder = JSON.stringify(operation.requestBody.content["application/json"].schema);
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
    const headers = {};
    if (token.value) headers.authorization = `Bearer ${token.value}`;
    if (body && body.value) headers["content-type"] = "application/json";
    const response = await fetch(url, { method: method.toUpperCase(), headers, body: body && body.value ? body.value : undefined });
    answer.textContent = `${response.status}\n${await response.text()}`;
  });
  box.append(head, ...inputs.map((i) => i.label));
  if (body) box.append(body, element("br"));
  box.append(button, answer);
  return box;
}

async function show() {
  // Only what whoever asks may call is in it: another token shows other functions.
  const headers = token.value ? { authorization: `Bearer ${token.value}` } : {};
  const document = await (await fetch("/api/openapi.json", { headers })).json();
  if (!document.paths) {
    place.textContent = document.title;
    return;
  }
  place.textContent = "";
  // By who brings them: the hub itself first, then the modules.
  const groups = new Map([["hub", []]]);
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const owner = operation.tags[0];
      if (!groups.has(owner)) groups.set(owner, []);
      groups.get(owner).push(form(path, method, operation));
    }
  }
  for (const [owner, forms] of groups) place.append(element("h2", owner), ...forms);
}

function listen() {
  const lines = [];
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket.addEventListener("message", (message) => {
    lines.push(message.data);
    if (lines.length > 50) lines.shift();
    window.document.getElementById("events").textContent = lines.join("\n");
  });
  socket.addEventListener("close", () => setTimeout(listen, 5000));
}

token.addEventListener("change", show);
show();
listen();
