// Chromium for the tests of the console. Each page notes what must not happen: a report of the content security policy, an error of a script, a
// request to another origin, a text that became code.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { chromium } from "../node_modules/playwright-core/index.mjs";
import { ROOT } from "./stack.mjs";

const AXE = await readFile(path.join(ROOT, "tests/node_modules/axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/** Where screenshots go, if the test run is to make them. */
const PICTURES = process.env.MILLRACE_SCREENSHOTS;

export const launch = () => chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, chromiumSandbox: false,
    args: ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

export class Visit {
    static async start(browser, stack, options = {}) {
        const visit = new Visit();
        visit.base = `${stack.url}/console`;
        visit.context = await browser.newContext({ viewport: { width: 1280, height: 900 }, timezoneId: "UTC", locale: "en-GB", acceptDownloads: true, reducedMotion: "reduce", ...options });
        visit.context.setDefaultTimeout(60000);
        visit.faults = [];
        await visit.context.addInitScript(() => {
            globalThis.reports = [];
            document.addEventListener("securitypolicyviolation", (e) => globalThis.reports.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
        });
        const page = visit.page = await visit.context.newPage();
        page.on("pageerror", (error) => visit.faults.push(`script: ${error.stack}`));
        page.on("console", (message) => { if (/Content.Security.Policy/i.test(message.text())) visit.faults.push(message.text()); });
        page.on("dialog", (dialog) => { visit.faults.push(`dialog: ${dialog.message()}`); void dialog.dismiss(); });
        visit.requests = [];
        page.on("request", (request) => {
            visit.requests.push({ at: Date.now(), method: request.method(), url: request.url(), headers: request.headers() });
            if (!request.url().startsWith(stack.url + "/") && !/^(data|blob):/.test(request.url())) visit.faults.push(`request to ${request.url()}`);
        });
        return visit;
    }
    async signIn(token) {
        await this.page.goto(this.base + "/");
        await this.page.getByLabel("API key or operator's token").fill(token);
        await this.page.getByRole("button", { name: "Sign in" }).click();
        await this.page.getByRole("button", { name: "Sign out" }).waitFor();
    }
    async open(at) {
        await this.page.goto(this.base + at);
        await this.settled();
    }
    /** As open, but as by a link: the page is not loaded again. */
    async go(at) {
        await this.page.evaluate((to) => { history.pushState(null, "", to); dispatchEvent(new PopStateEvent("popstate")); }, `/console${at}`);
        await this.settled();
    }
    /** Waits until nothing is loading any more. */
    async settled() {
        await this.page.locator("h1").first().waitFor();
        await this.page.waitForFunction(() => !/Loading…/.test(document.body.innerText));
    }
    button(name, within = this.page) { return within.getByRole("button", { name, exact: true }); }
    heading(name) { return this.page.getByRole("heading", { level: 1, name }); }
    card(name) { return this.page.locator("section").filter({ has: this.page.getByRole("heading", { name, exact: true }) }); }
    /** Nothing of what must not happen has happened on this page. */
    async innocent() {
        const [reports, owned] = await this.page.evaluate(() => [globalThis.reports, globalThis.owned ?? null]);
        assert.deepEqual([...this.faults, ...reports], []);
        assert.equal(owned, null);
    }
    /** within: a selector of the part to check, else all of the page. */
    async accessible(what, within = "html") {
        if (!await this.page.evaluate(() => "axe" in globalThis)) await this.page.evaluate(AXE);
        const found = await this.page.evaluate(([at, tags]) => globalThis.axe.run(at, { runOnly: tags }), [within, TAGS]);
        assert.deepEqual(found.violations.map((v) => `${what}: ${v.id}: ${v.nodes.map((n) => `${n.html.slice(0, 120)} ${n.failureSummary}`).slice(0, 3).join("; ")}`), []);
    }
    async picture(name) {
        if (!PICTURES) return;
        await mkdir(PICTURES, { recursive: true });
        await this.page.screenshot({ path: path.join(PICTURES, `console-${name}.png`) });
    }
    close() { return this.context.close(); }
}
