// The workbench's page, as a person uses it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, open, root } from "./page.mjs";

const soc = process.env.SOC ?? join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug/soc");
const sample = (name) => readFileSync(join(root, "apps/soc/programs", name), "utf8");
let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const status = (page, text) => page.waitForFunction((text) => document.getElementById("status").textContent.includes(text), text);
const register = (page, number) => page.locator("#registers input").nth(number).inputValue();

test("a source with an error is shown where, is fixed, and runs", async () => {
  const page = await open(browser);
  await page.fill("#source", "mov r1, 0x1234\nmvo r2, 1\nbreak\n");
  await page.waitForSelector("#findings li");
  assert.match(await page.textContent("#findings li"), /2:1 unknown instruction `mvo`.*did you mean `mov`/);
  assert.equal(await page.textContent("#colours .wavy"), "mvo");
  assert.ok(await page.isDisabled("#load"));
  await page.fill("#source", "mov r1, 0x1234\nmov r2, 1\nbreak\n");
  await page.waitForFunction(() => !document.getElementById("load").disabled);
  assert.equal(await page.locator("#findings li").count(), 0);
  await page.click("#run");
  await status(page, "exception 0: breakpoint");
  assert.deepEqual([await register(page, 1), await register(page, 2)], ["00001234", "00000001"]);
  assert.deepEqual(page.errors, []);
  await page.close();
});

test("a click sets a breakpoint; the machine stops there, steps, and goes back", async () => {
  const page = await open(browser);
  await page.fill("#source", "start: mov r1, 0\nloop:\n    add r1, 1\n    cmp r1, 1000\n    jmp.nz loop\n    break\n");
  await page.click("#load");
  await page.click("#gutter div[data-line='4']");
  await page.waitForSelector("#gutter div.point[data-line='4']");
  for (const expected of ["00000001", "00000002", "00000003"]) {
    await page.click("#run");
    await status(page, "breakpoint 1");
    await page.waitForFunction((value) => document.querySelectorAll("#registers input")[1].value === value, expected);
    assert.equal(await page.locator("#gutter div.here").getAttribute("data-line"), "4");
  }
  await page.click("#reverse");
  await page.waitForFunction(() => document.querySelectorAll("#registers input")[1].value === "00000002");
  await page.click("#back");
  await page.waitForFunction(() => document.querySelectorAll("#registers input")[1].value === "00000001");
  assert.equal(await page.locator("#gutter div.here").getAttribute("data-line"), "3");
  await page.click("#step");
  await page.waitForFunction(() => document.querySelectorAll("#registers input")[1].value === "00000002");
  await page.click("#gutter div[data-line='4']");
  await page.click("#run");
  await status(page, "exception 0");
  assert.equal(await register(page, 1), "000003e8");
  assert.deepEqual(page.errors, []);
  await page.close();
});

test("the screen is the program's, pixel by pixel", async () => {
  const page = await open(browser);
  const source = sample("samples/fill.asm").replace("0xFF0000FF ", "0xFF30C0E0 ");
  await page.fill("#source", source);
  await page.click("#load");
  await page.click("#run");
  await status(page, "exception 0");
  const wrong = await page.evaluate(() => {
    const pixels = document.getElementById("graphics").getContext("2d").getImageData(0, 0, 320, 200).data;
    let wrong = 0;
    for (let at = 0; at < pixels.length; at += 4) {
      if (pixels[at] !== 0xE0 || pixels[at + 1] !== 0xC0 || pixels[at + 2] !== 0x30 || pixels[at + 3] !== 0xFF) wrong += 1;
    }
    return wrong;
  });
  assert.equal(wrong, 0);
  assert.equal(await page.evaluate(() => getComputedStyle(document.getElementById("graphics")).imageRendering), "pixelated");
  await page.fill("#source", ".include \"soc.inc\"\n mov r1, 0xFF0000FF\n st32 GRAPHICS + 4 * (320 * 10 + 7), r1\n");
  await page.click("#load");
  await page.click("#run");
  await status(page, "exception 0");
  const lit = await page.evaluate(() => {
    const pixels = document.getElementById("graphics").getContext("2d").getImageData(0, 0, 320, 200).data;
    const lit = [];
    for (let at = 0; at < pixels.length; at += 4) if (pixels[at + 3]) lit.push([at / 4 % 320, Math.floor(at / 4 / 320), pixels[at]]);
    return lit;
  });
  assert.deepEqual(lit, [[7, 10, 255]]);
  await page.close();
});

test("keys reach the program, and its text screen is shown", async () => {
  const page = await open(browser);
  await page.selectOption("#examples", { label: "A small editor" });
  await page.click("#run");
  await status(page, "asleep");
  await page.click("#screen");
  await page.keyboard.type("Hello <b>&x");
  await page.keyboard.press("Backspace");
  await page.keyboard.press("Enter");
  await page.keyboard.type("two");
  await page.waitForFunction(() => document.getElementById("cells").textContent.startsWith("Hello <b>&\ntwo_"));
  await page.close();
});

test("a runaway program leaves the page responsive, and can be paused and travelled", async () => {
  const page = await open(browser);
  await page.fill("#source", "loop: add r1, 1\njmp loop\n");
  await page.click("#run");
  await status(page, "running");
  await page.waitForFunction(() => parseFloat(document.getElementById("mips").textContent) > 0);
  // A frozen page would draw no frames; how soon they come is the machine's affair.
  await page.evaluate(() => new Promise((resolve) => {
    let count = 0;
    const frame = () => { count += 1; if (count < 60) requestAnimationFrame(frame); else resolve(); };
    requestAnimationFrame(frame);
  }));
  assert.equal(await page.textContent("#status"), "running");
  await page.click("#run");
  await page.waitForFunction(() => document.getElementById("run").textContent === "Run");
  await page.fill("#command", "goto 1000001");
  await page.press("#command", "Enter");
  await page.waitForFunction(() => document.getElementById("cycle").textContent === "1,000,001");
  await page.fill("#command", "print r1");
  await page.press("#command", "Enter");
  await page.waitForFunction(() => document.getElementById("answers").textContent.includes("500001"));
  await page.close();
});

test("a chosen speed is not exceeded", async () => {
  const page = await open(browser);
  await page.fill("#source", "loop: add r1, 1\njmp loop\n");
  await page.selectOption("#speed", "1000");
  await page.click("#run");
  await status(page, "running");
  await page.waitForFunction(() => Number(document.getElementById("cycle").textContent.replaceAll(",", "")) > 200);
  const began = Date.now();
  const at = async () => Number((await page.textContent("#cycle")).replaceAll(",", ""));
  const first = await at();
  await page.waitForFunction((first) => Number(document.getElementById("cycle").textContent.replaceAll(",", "")) > first + 1000, first);
  const rate = (await at() - first) / (Date.now() - began);
  assert.ok(rate < 1.5, `${rate} cycles a millisecond instead of 1`);
  await page.close();
});

test("a link carries the source, and a ROM is saved and opened again", async () => {
  const page = await open(browser);
  await page.fill("#source", "; ä shared 😀\nhere: mov r1, 77\njmp here\n");
  await page.click("#share");
  await page.waitForFunction(() => location.hash.startsWith("#z="));
  const hash = new URL(page.url()).hash;
  const second = await open(browser, hash);
  assert.equal(await second.inputValue("#source"), "; ä shared 😀\nhere: mov r1, 77\njmp here\n");
  const [download] = await Promise.all([second.waitForEvent("download"), second.click("#download")]);
  const rom = readFileSync(await download.path());
  assert.equal(rom.length, 32);
  const file = join(mkdtempSync(join(tmpdir(), "soc-")), "p.rom");
  writeFileSync(file, rom);
  await second.setInputFiles("#file", file);
  await second.waitForFunction(() => document.getElementById("source").value.includes("mov r1, 0x4d"));
  // A jump to the last word of the address space, where 32-bit pointers have to be careful.
  writeFileSync(file, Buffer.from("14df0300f8ffffff", "hex"));
  await second.setInputFiles("#file", file);
  await second.waitForFunction(() => document.getElementById("source").value.includes("jmp 0xfffffff8"));
  await second.click("#load");
  await second.click("#run");
  await status(second, "exception 4");
  assert.deepEqual(second.errors, []);
  await page.close();
  await second.close();
});

test("recordings of all shipped programs end in the same state here and natively", async () => {
  const folder = mkdtempSync(join(tmpdir(), "soc-"));
  execFileSync(soc, ["test", join(root, "apps/soc/programs"), "--recordings", folder]);
  const names = readdirSync(folder).filter((name) => name.endsWith(".rec"));
  assert.ok(names.length >= 25);
  const page = await open(browser);
  for (const name of names) {
    const recording = [...readFileSync(join(folder, name))];
    const expected = readFileSync(join(folder, name.replace(".rec", ".sum")), "utf8").trim();
    const found = await page.evaluate(async (bytes) => (await request("replay", { recording: new Uint8Array(bytes).buffer })).replayed, recording);
    assert.equal(found, expected, name);
  }
  await page.close();
});

test("the page fits its window, and the screen keeps its shape", async () => {
  const page = await open(browser);
  await page.fill("#source", sample("samples/text.asm"));
  await page.check("#compat");
  await page.click("#load");
  await page.click("#run");
  await status(page, "exception 0");
  for (const [width, height] of [[360, 640], [820, 1100], [1024, 768], [1280, 720], [1500, 950], [2560, 1440]]) {
    await page.setViewportSize({ width, height });
    const seen = await page.evaluate(() => {
      const screen = document.getElementById("screen").getBoundingClientRect();
      // A cell of its own tells how wide 80 of them are.
      const cells = document.getElementById("cells");
      const font = parseFloat(getComputedStyle(cells).fontSize);
      const letter = document.createElement("canvas").getContext("2d");
      letter.font = `${font}px ${getComputedStyle(cells).fontFamily}`;
      return {
        tooWide: document.documentElement.scrollWidth - innerWidth,
        width: screen.width, ratio: screen.width / screen.height, text: 80 * letter.measureText("0").width,
      };
    });
    const at = `${width}x${height}: ${JSON.stringify(seen)}`;
    assert.ok(seen.tooWide <= 0, at);
    assert.ok(Math.abs(seen.ratio - 1.6) < 0.01, at);
    assert.ok(seen.text <= seen.width + 1 && seen.text > 0.9 * seen.width, at);
    if (width > 1080) assert.equal(seen.width % 320, 0, at);
  }
  await page.close();
});
