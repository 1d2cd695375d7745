// Million instructions per second in headless Chromium: node bench/soc/browser.mjs, after `cargo run -p soc-page`.
//
// By the processor time of the page's own process, so that a machine which others use too is not measured with them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { launch, open, root } from "../../apps/soc/web/tests/browser/page.mjs";

const browser = await launch();
const session = await browser.newBrowserCDPSession();

// Seconds that all pages' processes have been on a processor (SystemInfo domain of the Chrome DevTools protocol).
async function processorSeconds() {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return processInfo.filter(({ type }) => type === "renderer").reduce((sum, { cpuTime }) => sum + cpuTime, 0);
}

console.log("| program | MIPS in the browser, breakpoints set | the same by the clock on the wall | step back, ms |\n|---|---|---|---|");
for (const name of ["fill", "calls", "memory", "interrupts"]) {
  const page = await open(browser);
  const source = readFileSync(join(root, `bench/soc/programs/${name}.asm`), "utf8");
  await page.evaluate(async (source) => {
    await request("assemble", { source, compat: false });
    send("load");
    send("edit", { request: { do: "toggle_breakpoint", address: 0xF0000 } });
  }, source);
  // The best of five.
  const best = { mips: 0, wall: 0, reverse: Infinity };
  for (let run = 0; run < 5; run++) {
    const before = await processorSeconds();
    const measured = await page.evaluate(async () => (await request("measure", { ms: 2000 })).measured);
    const took = (await processorSeconds()) - before;
    best.mips = Math.max(best.mips, measured.cycles / took / 1e6);
    best.wall = Math.max(best.wall, measured.mips);
    best.reverse = Math.min(best.reverse, measured.reverse_ms);
  }
  console.log(`| ${name} | ${best.mips.toFixed(0)} | ${best.wall.toFixed(0)} | ${best.reverse.toFixed(0)} |`);
  await page.close();
}
await browser.close();
