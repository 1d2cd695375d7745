// Opens the workbench's page in Debian's Chromium, from disk.
import { chromium } from "playwright-core";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { resolve } from "node:path";

export const root = resolve(fileURLToPath(import.meta.url), "../../../../../..");
export const page_file = process.env.SOC_PAGE ?? resolve(root, "apps/soc/web/dist/workbench.html");

export async function launch() {
  if (!existsSync(page_file)) throw new Error(`${page_file} is not there: cargo run -p soc-page`);
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
}

export async function open(browser, hash = "") {
  const page = await browser.newPage({ viewport: { width: 1500, height: 950 } });
  page.errors = [];
  page.on("pageerror", (error) => page.errors.push(String(error)));
  page.on("console", (message) => { if (message.type() === "error") page.errors.push(message.text()); });
  await page.goto(`file://${page_file}${hash}`);
  await page.waitForSelector("body[data-ready=yes]");
  return page;
}
