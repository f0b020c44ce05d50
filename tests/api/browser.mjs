// Opens a page in Chromium and evaluates JavaScript in it. Each line of standard input is JSON: {"function": source, "argument": value}. The function
// is called in the page; the answer is one line of JSON: {"value": result} or {"error": text}.
// usage: node browser.mjs CHROMIUM PROFILE URL
import { createInterface } from "node:readline";
import { chromium } from "../node_modules/playwright-core/index.mjs";

const [executablePath, profile, url] = process.argv.slice(2);
const context = await chromium.launchPersistentContext(profile, {
    executablePath, headless: true, chromiumSandbox: false,
    args: ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = context.pages()[0] ?? await context.newPage();
await page.goto(url);
const print = (value) => process.stdout.write(JSON.stringify(value) + "\n");
print({ value: "ready" });
for await (const line of createInterface({ input: process.stdin })) {
    const { function: source, argument } = JSON.parse(line);
    try {
        print({ value: await page.evaluate(`(${source})(${JSON.stringify(argument ?? null)})`) ?? null });
    } catch (error) {
        print({ error: String(error) });
    }
}
await context.close();
