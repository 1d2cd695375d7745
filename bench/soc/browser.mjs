// Million instructions per second in headless Chromium: node bench/soc/browser.mjs, after `cargo run -p soc-page`.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { launch, open, root } from "../../apps/soc/web/tests/browser/page.mjs";

const browser = await launch();
console.log("| program | MIPS in the browser, breakpoints set | step back, ms |\n|---|---|---|");
for (const name of ["fill", "calls", "memory", "interrupts"]) {
  const page = await open(browser);
  const source = readFileSync(join(root, `bench/soc/programs/${name}.asm`), "utf8");
  const measured = await page.evaluate(async (source) => {
    await request("assemble", { source, compat: false });
    send("load");
    send("edit", { request: { do: "toggle_breakpoint", address: 0xF0000 } });
    // The best of three: others may use the machine too.
    let best = { mips: 0, reverse_ms: Infinity };
    for (let run = 0; run < 3; run++) {
      const { measured } = await request("measure", { ms: 2000 });
      best = { mips: Math.max(best.mips, measured.mips), reverse_ms: Math.min(best.reverse_ms, measured.reverse_ms) };
    }
    return best;
  }, source);
  console.log(`| ${name} | ${measured.mips.toFixed(0)} | ${measured.reverse_ms.toFixed(0)} |`);
  await page.close();
}
await browser.close();
