// The console in Chromium against a real stack: every screen and every action. `scripts/test console` runs it.
// MILLRACE_SCREENSHOTS=DIR also writes a picture of each screen, light, dark and of a phone's width; docs/images/ has those of the documentation.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { launch, Visit } from "./browser.mjs";
import { ALL, eventually, hostile, ROOT, seed, Stack, startPeer } from "./stack.mjs";

let stack, peer, browser, made, api;
before(async () => {
    peer = await startPeer();
    stack = await Stack.start();
    browser = await launch();
    made = await seed(stack, peer);
    api = made.api;
});
after(async () => {
    await browser?.close();
    await peer?.stop();
    await stack?.stop();
});

/** A page that is signed in; at the end, nothing that must not happen has happened. */
async function visiting(work, { token = made.key, ...options } = {}) {
    const visit = await Visit.start(browser, stack, options);
    try {
        if (token) await visit.signIn(token);
        await work(visit, visit.page);
        await visit.innocent();
    } finally {
        await visit.close();
    }
}
const idOf = (page) => new URL(page.url()).pathname.split("/").at(-1);
const screens = (made) => ({
    runs: "/runs", run: `/runs/${made.runs.broken}`, "run-letter": `/runs/${made.runs.letter}`, "run-hostile": `/runs/${made.runs.hostile}`, "run-children": `/runs/${made.runs.parent}`,
    "run-waiting": `/runs/${made.runs.waiting}`, "run-skill": `/runs/${made.runs.skill}`, failures: "/failures", workflows: "/workflows", workflow: `/workflows/${made.letter}`,
    "workflow-hostile": `/workflows/${made.hostile}`, edit: `/workflows/${made.broken}/edit`, skills: "/skills", skill: "/skills/word-count", schedules: "/schedules", schedule: `/schedules/${made.schedule}`,
    "schedule-new": "/schedules/new", "schedule-edit": `/schedules/${made.schedule}/edit`, "webhook-new": "/webhooks/new", "webhook-edit": `/webhooks/${made.webhook}/edit`,
    webhooks: "/webhooks", webhook: `/webhooks/${made.webhook}`, credits: "/credits", "credits-responder": "/credits?by=responder", missing: "/nothing",
});
/** The screens of which the documentation has pictures, made with friendlier texts. */
const PICTURED = new Set(["runs", "run", "failures", "workflows", "workflow", "edit", "skills", "skill", "schedules", "schedule", "webhooks", "webhook", "credits", "schedule-edit", "webhook-edit"]);
const offered = async () => new Set(Object.keys((await (await fetch(`${stack.url}/api/v1/openapi.json`)).json()).paths));

test("the first screen is small and refers to nothing of elsewhere", async () => {
    const dist = path.join(ROOT, "console/dist"), page = await readFile(path.join(dist, "index.html"), "utf8");
    let sum = gzipSync(page).length;
    for (const name of await readdir(path.join(dist, "assets"))) {
        const text = await readFile(path.join(dist, "assets", name));
        if (!name.endsWith(".gz")) sum += gzipSync(text).length;
    }
    assert.ok(sum < 100 * 1024, `${sum} bytes`);
    assert.doesNotMatch(page, /https?:|<style|style=|<script(?![^>]*\bsrc=)|\son\w+=/);
    for (const [, at] of page.matchAll(/(?:src|href)="([^"]+)"/g)) if (!at.startsWith("data:")) assert.equal((await fetch(stack.url + at)).status, 200, at);
    for (const at of ["/console/", "/console/runs", `/console/runs/${made.runs.broken}`]) {
        const response = await fetch(stack.url + at), policy = response.headers.get("content-security-policy") ?? "";
        assert.equal(response.status, 200, at);
        assert.match(policy, /default-src 'none'/);
        assert.doesNotMatch(policy, /unsafe|\*/);
    }
});

test("signing in and out", async () => visiting(async (visit, page) => {
    await page.goto(visit.base + "/runs");
    const field = page.getByLabel("API key or operator's token");
    await visit.accessible("sign-in");
    await field.fill("sk_live_wrong");
    await visit.button("Sign in").click();
    await page.getByRole("alert").waitFor();
    await field.fill(` ${made.key} `);
    await page.keyboard.press("Enter");
    await visit.heading("Runs").waitFor();
    assert.match(page.url(), /\/console\/runs$/);
    const [cookie] = await visit.context.cookies();
    assert.ok(cookie.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie));
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    assert.ok(!kept.includes(made.key) && !kept.includes(cookie.value), kept);
    await page.reload();
    await visit.heading("Runs").waitFor();
    for (const r of visit.requests) if (r.url.includes("/api/")) assert.equal(r.headers["x-millrace-console"], "1", r.url);
    await visit.button("Sign out").click();
    await field.waitFor();
    await page.reload();
    await field.waitFor();
    const old = await visit.context.request.get(`${stack.url}/api/v1/executions`, { headers: { Cookie: `${cookie.name}=${cookie.value}`, "X-Millrace-Console": "1", "Sec-Fetch-Site": "same-origin" } });
    assert.equal(old.status(), 401);
}, { token: null }));

/** Nothing is wider than the window, and no column of a table with a link or button has no room. */
async function fits(page, name) {
    const [wide, narrow] = await page.evaluate(() => [document.documentElement.scrollWidth - innerWidth,
        [...document.querySelectorAll(".table td a, .table td button")].filter((e) => getComputedStyle(e.closest("td")).display !== "none" && (e.offsetWidth < 24 || e.closest("td").clientWidth < 60)).map((e) => e.outerHTML)]);
    assert.ok(wide <= 0, `${name} is ${wide} px wider than the window of ${page.viewportSize().width} px`);
    assert.deepEqual(narrow, [], `${name} at ${page.viewportSize().width} px`);
}
for (const [scheme, width] of [["light", 1280], ["dark", 1280], ["phone", 390]]) {
    test(`every screen is accessible: ${scheme}`, async () => visiting(async (visit, page) => {
        for (const [name, at] of Object.entries(screens(made))) {
            await (scheme === "light" ? visit.open(at) : visit.go(at)); // of the light ones each is loaded anew
            await visit.accessible(`${name}, ${scheme}`);
            await fits(page, name);
            if (scheme === "phone") {
                for (const other of [701, 1001]) {
                    await page.setViewportSize({ width: other, height: 844 });
                    await fits(page, name);
                }
                await page.setViewportSize({ width, height: 844 });
            }
            await visit.innocent();
        }
    }, { colorScheme: scheme === "dark" ? "dark" : "light", viewport: { width, height: scheme === "phone" ? 844 : 900 } }));
}

const FRIENDLY = { workspace: "acme", workflow: "monthly-report", description: "Collects the figures of a month.", tag: "nightly", error: "the account is closed", note: "nightly report", webhook: "alarms",
    reason: "invoice 2026-11", file: "figures.csv", hint: "who reads it", reader: "Ada" };
test("pictures for the documentation", { skip: !process.env.MILLRACE_SCREENSHOTS }, async () => {
    const friendly = await seed(stack, peer, (mark) => FRIENDLY[mark] ?? mark);
    for (const [scheme, width] of [["light", 1280], ["dark", 1280], ["phone", 390]]) {
        await visiting(async (visit) => {
            await visit.open("/");
            await visit.picture(`sign-in-${scheme}`);
            await visit.signIn(friendly.key);
            for (const [name, at] of Object.entries(screens(friendly))) {
                if (!PICTURED.has(name)) continue;
                await visit.open(at);
                if (name === "run") await visit.page.locator(".fall .name", { hasText: "charge" }).click();
                await visit.picture(`${name}-${scheme}`);
            }
            await visit.open(`/runs/${friendly.runs.waiting}`);
            await visit.button("Signal…").click();
            await visit.page.getByRole("dialog").getByLabel("ok (required)").waitFor();
            await visit.picture(`signal-${scheme}`);
        }, { token: null, colorScheme: scheme === "dark" ? "dark" : "light", viewport: { width, height: scheme === "phone" ? 844 : 900 } });
    }
});

test("the colours can be chosen, and the choice is kept", async () => visiting(async (visit, page) => {
    const colour = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor), light = await colour();
    await page.getByLabel("Colours").selectOption("dark");
    const dark = await colour();
    assert.notEqual(dark, light);
    await page.reload();
    await visit.heading("Runs").waitFor();
    assert.equal(await colour(), dark);
    await visit.accessible("dark by choice");
}));

test("what a tenant writes is text", async () => visiting(async (visit, page) => {
    const shown = async (at, ...marks) => {
        await visit.open(at);
        for (const mark of marks) await page.waitForFunction((text) => document.body.textContent.includes(text), hostile(mark).slice(0, 100), { timeout: 60000 });
        await visit.innocent();
    };
    await shown("/runs", "workspace", "workflow", "tag", "error");
    await shown(`/runs/${made.runs.hostile}`, "workflow", "tag");
    for (const text of [hostile("reader"), hostile("output")]) await page.waitForFunction((t) => document.body.textContent.includes(t), JSON.stringify(text).slice(1, -1));
    await page.getByText(JSON.stringify(hostile("metadata-value")).slice(1, 60)).first().waitFor();
    await shown(`/runs/${made.runs.failing}`, "error");
    await shown(`/runs/${made.runs.skill}`, "file");
    await shown(`/runs/${made.runs.waiting}`);
    await page.waitForFunction((t) => document.body.textContent.includes(t), JSON.stringify(hostile("message")).slice(1, 60));
    await shown("/workflows", "workflow", "description");
    await shown(`/workflows/${made.hostile}`, "workflow", "description", "hint");
    await shown("/schedules", "note");
    await shown(`/schedules/${made.schedule}`, "note");
    await shown(`/schedules/${made.schedule}/edit`, "note");
    await shown("/webhooks", "webhook");
    await shown(`/webhooks/${made.webhook}`, "webhook");
    await shown("/credits", "workflow", "reason");
    await shown("/credits?by=responder", "workflow");
}));

test("the filters are in the address", async () => visiting(async (visit, page) => {
    const rows = page.locator(".table tbody tr[data-index]"), set = async (label, value) => { await page.getByLabel(label, { exact: true }).selectOption(value); await visit.settled(); };
    await visit.open("/runs");
    await set("State", "failed");
    await page.waitForURL(/state=failed/);
    await eventually(async () => { const texts = await rows.allInnerTexts(); return texts.length >= 3 && texts.every((t) => t.includes("failed")); }, "failed runs only");
    await set("Workflow or skill", made.broken);
    await eventually(async () => await rows.count() === 1, "one run");
    await page.reload();
    await eventually(async () => await rows.count() === 1 && (await rows.innerText()).includes("broken"), "the same run after a reload");
    await page.goBack();
    await visit.settled();
    await visit.button("Clear the filters").click();
    await eventually(async () => await rows.count() > 5, "all runs");
    await page.getByLabel("Tag", { exact: true }).fill(hostile("tag").slice(0, 250));
    await eventually(async () => await rows.count() === 2, "the runs with the tag");
    await visit.open(`/runs?batch=${made.workspace}`);
    await page.getByText("No run matches.").waitFor();
    await visit.open("/runs?from=2099-01-01T00:00:00.000Z");
    await page.getByText("No run matches.").waitFor();
    assert.equal(await page.getByLabel("From", { exact: true }).inputValue(), "2099-01-01T00:00");
    await visit.open("/runs?state=nonsense");
    await page.getByRole("alert").waitFor();
}));

test("a workflow is run by its form, and what is wrong is said at the field", async () => visiting(async (visit, page) => {
    await visit.open(`/workflows/${made.letter}`);
    await page.getByLabel("reader (required)").fill("Grace");
    await page.getByLabel("count").fill("0");
    await visit.button("Run").click();
    await page.locator(".field-error").first().waitFor();
    assert.equal(await page.getByLabel("count").getAttribute("aria-invalid"), "true");
    await visit.accessible("form with an error");
    await page.getByLabel("count").fill("many");
    await visit.button("Run").click();
    await page.locator(".field-error", { hasText: "must be a number" }).waitFor();
    await page.getByLabel("count").fill("2");
    await page.getByLabel("loud").selectOption("true");
    await page.getByLabel("colour", { exact: true }).selectOption("\"green\"");
    await page.getByLabel("more").fill("{\"a\": [1]}");
    await visit.button("As JSON").click();
    assert.deepEqual(JSON.parse(await page.getByLabel("Inputs as JSON").inputValue()), { reader: "Grace", count: 2, loud: true, colour: "green", more: { a: [1] } });
    await visit.button("Run").click();
    await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
    const run = await api.ended(idOf(page));
    assert.deepEqual([run.state, run.detail.input.reader, run.detail.input.count], ["succeeded", "Grace", 2]);
    await page.locator(".state", { hasText: "succeeded" }).first().waitFor(); // without a reload
}));

test("a skill is run by its form", async () => visiting(async (visit, page) => {
    await visit.open("/skills/word-count");
    await page.getByText("1.0.0").first().waitFor();
    await page.getByLabel("file (required)").fill("none.txt");
    await page.getByLabel("Files").fill("none.txt\n");
    await visit.button("Run").click();
    await page.waitForURL(/\/runs\//);
    await page.locator(".state", { hasText: "failed" }).first().waitFor();
    await page.locator("pre.log", { hasText: "there is no file none.txt" }).waitFor();
    await page.locator(".facts", { hasText: "Missing files" }).waitFor();
}));

test("a failed run shows its tries, and is retried, from the failed step or from another one", async () => visiting(async (visit, page) => {
    await visit.open(`/runs/${made.runs.letter}`);
    await eventually(async () => await page.locator(".fall li").first().locator("rect.b-bad").count() === 2, "two failed tries of the first step");
    await visit.open(`/runs/${made.runs.broken}`);
    await page.locator(".fall .name", { hasText: "charge" }).click();
    await page.locator(".fall .more .bad").first().waitFor();
    await page.locator(".fall .more", { hasText: "\"status\": 500" }).waitFor();
    await visit.button("Retry from here").click();
    const again = async (from) => {
        await page.waitForURL((url) => /\/runs\/[0-9a-f-]{36}$/.test(url.pathname) && !url.pathname.endsWith(from));
        const id = idOf(page), run = await api.ended(id);
        assert.equal(run.retry_of, from);
        await page.locator(".state", { hasText: "failed" }).first().waitFor();
        return id;
    };
    const second = await again(made.runs.broken);
    await page.getByText("adopted", { exact: true }).waitFor();
    await visit.button("Retry from the failed step").click();
    const third = await again(second);
    await visit.button("Retry").click();
    const fourth = await again(third);
    const { steps } = await api.get(`/executions/${fourth}?include_step_results=true`);
    assert.equal(steps[0].adopted_from, null);
    await page.getByRole("link", { name: third }).click();
    await page.waitForURL(new RegExp(third));
}));

test("failures are grouped by error, and a group lists its runs", async () => visiting(async (visit, page) => {
    const { groups } = await api.get("/executions/errors"), group = groups.find((g) => g.execution_id === made.runs.broken || g.step === "charge");
    const hashOf = () => new URL(page.url()).searchParams.get("error_hash"), rows = page.locator(".table [role=row] a[href*='/runs/'], .table tbody tr a[href*='/runs/']");
    await visit.open("/failures");
    await page.locator(`a[href$="error_hash=${group.hash}"]`).click();
    await page.waitForURL(/error_hash=/);
    assert.equal(hashOf(), group.hash);
    const wanted = (await api.get(`/executions?limit=100&error_hash=${group.hash}`)).executions.map((e) => e.id);
    assert.ok(wanted.length >= 1 && wanted.length >= group.count);
    await rows.first().waitFor();
    const shown = await rows.evaluateAll((links) => links.map((a) => a.getAttribute("href").split("/").pop().split("?")[0]));
    assert.ok(shown.length > 0 && shown.every((id) => wanted.includes(id)), `${shown} of ${wanted}`);
    await page.getByLabel("Error text").fill("no run says this");
    await page.waitForURL(/error=no/);
    await eventually(async () => await rows.count() === 0, "an empty list");
    await visit.innocent();
}));

test("a running run is followed, gets a signal, and another one is stopped", async () => visiting(async (visit, page) => {
    const [first, second] = [await api.run(made.approval), await api.run(made.approval)];
    await visit.open(`/runs/${first}`);
    await page.locator(".events", { hasText: "step.waiting" }).waitFor();
    await visit.button("Signal…").click();
    const dialog = page.getByRole("dialog");
    assert.equal(await dialog.getByLabel("Name").inputValue(), "approved");
    await visit.accessible("dialog");
    // a form made from the schema of the wait; what the API says of the data stands at the field
    await dialog.getByLabel("ok (required)").fill("no");
    await dialog.getByLabel("count").fill("-1");
    await visit.button("Send", dialog).click();
    await dialog.locator(".field-error").first().waitFor();
    assert.equal(await dialog.getByLabel("count").getAttribute("aria-invalid"), "true");
    await visit.accessible("signal with an error");
    await visit.button("As JSON", dialog).click();
    await dialog.getByLabel("Data as JSON").fill("{\"ok\": ");
    await visit.button("Send", dialog).click();
    await dialog.getByRole("alert").waitFor();
    await dialog.getByLabel("Data as JSON").fill("{\"ok\": \"yes\"}");
    await visit.button("Send", dialog).click();
    await page.locator(".state", { hasText: "succeeded" }).first().waitFor();
    await page.locator("pre", { hasText: "\"ok\": \"yes\"" }).first().waitFor();
    await visit.open(`/runs/${second}`);
    await visit.button("Stop").click();
    await visit.button("Cancel", dialog).click();
    assert.equal((await api.get(`/executions/${second}`)).state, "running");
    await visit.button("Stop").click();
    await visit.button("Stop", dialog).click();
    await page.locator(".state", { hasText: "stopped" }).first().waitFor();
    assert.equal((await api.ended(second)).state, "stopped");
}));

test("a run that waits for its start is started, and an ended one is purged", async () => visiting(async (visit, page) => {
    const id = await api.run(made.letter, { inputs: { reader: "later" }, delay_seconds: 3600 });
    await visit.open(`/runs/${id}`);
    await visit.button("Start now").click();
    await page.locator(".state", { hasText: "succeeded" }).first().waitFor();
    await visit.button("Purge").click();
    await visit.button("Purge", page.getByRole("dialog")).click();
    await page.getByText(", purged").waitFor();
    assert.equal((await api.get(`/executions/${id}`)).isPurged, true);
    assert.equal(await visit.button("Retry").count(), 0);
}));

test("children are a tree", async () => visiting(async (visit, page) => {
    await visit.open(`/runs/${made.runs.parent}`);
    const links = page.locator(".tree a");
    await eventually(async () => await links.count() === 2, "two children");
    await links.first().click();
    await page.getByText("Parent", { exact: true }).waitFor();
    await page.getByRole("link", { name: made.runs.parent }).waitFor();
}));

test("an input of one MiB is collapsed, and shown when asked for", async () => {
    const id = await api.run(made.child, { inputs: { text: "x".repeat(1024 * 1024 - 100), end: "the end of it" } });
    await visiting(async (visit, page) => {
        await visit.open(`/runs/${id}`);
        const value = page.getByRole("region", { name: "Input of the run" });
        assert.ok((await value.innerText()).length < 10000);
        await page.getByRole("button", { name: /^Show all \(1023\.9 KiB\)$/ }).click();
        await eventually(async () => (await value.textContent()).endsWith("\"the end of it\"\n}"), "the whole input");
        const [download] = await Promise.all([page.waitForEvent("download"), visit.button("Save", visit.card("Input")).click()]);
        assert.equal(JSON.parse(await readFile(await download.path(), "utf8")).end, "the end of it");
        await visit.button("Collapse").click();
        assert.ok((await value.innerText()).length < 10000);
    });
});

test("the editor shows what is wrong in its line, and stores versions", async () => visiting(async (visit, page) => {
    await visit.open("/workflows/new");
    const editor = page.getByLabel("Workflow as JSON"), errors = page.getByRole("list", { name: "Errors" }).getByRole("button");
    await editor.fill("{\n\"name\": 1,\n oops }");
    assert.match(await errors.first().innerText(), /^Line 3: /);
    assert.ok(await visit.button("Store").isDisabled());
    await editor.fill(JSON.stringify({ name: "made-here", program: { steps: [{ name: "a", type: "nonsense" }, { name: "b", type: "transform", value: 1, more: 2 }] } }, null, 2));
    await visit.button("Store").click();
    await errors.first().waitFor();
    const said = await errors.allInnerTexts(), lines = (await editor.inputValue()).split("\n");
    assert.ok(said.some((t) => t.includes("/program/steps/0/type")), said.join());
    for (const text of said) {
        const line = Number(/^Line (\d+)/.exec(text)[1]), last = /,\s*(\/\S*?):/.exec(text)[1].split("/").at(-1);
        if (!/^\d+$/.test(last)) assert.ok(lines[line - 1].includes(`"${last}"`) || lines[line - 1].includes("{"), `${text}: ${lines[line - 1]}`);
    }
    assert.equal(await page.locator(".editor .mark").count(), said.length);
    await visit.accessible("editor with errors");
    await errors.first().click();
    assert.ok(await editor.evaluate((e) => e === document.activeElement));
    const program = (value) => JSON.stringify({ name: "made-here", program: { steps: [{ name: "b", type: "transform", value }] } });
    await editor.fill(program(1));
    await visit.button("Format").click();
    assert.ok((await editor.inputValue()).includes("\n  \"name\": \"made-here\""));
    await visit.button("Store").click();
    await page.waitForURL(/\/workflows\/[0-9a-f-]{36}$/);
    const id = idOf(page);
    await visit.button("Edit").click();
    await editor.waitFor();
    await editor.fill(program(2));
    await visit.button("Store").click();
    await page.waitForURL(new RegExp(`/workflows/${id}$`));
    const stored = await api.get(`/workflows/${id}`);
    assert.deepEqual([stored.version, stored.program.steps[0].value], [2, 2]);
    await visit.button("Archive").click();
    await visit.button("Archive", page.getByRole("dialog")).click();
    await visit.heading("Workflows").waitFor();
    await assert.rejects(api.post(`/workflows/${id}/run-async`), /404/);
}));

test("a schedule is paused, resumed and triggered", async () => visiting(async (visit, page) => {
    await visit.open("/schedules");
    const row = page.locator("tr[data-index]"), state = async () => (await api.get(`/schedules/${made.schedule}`)).state;
    await visit.button("Pause", row).click();
    await row.getByText("paused").waitFor();
    assert.equal(await state(), "paused");
    await visit.button("Resume", row).click();
    await row.getByText("active").waitFor();
    assert.equal(await state(), "active");
    await visit.button("Run now", row).click();
    await row.getByText("started").waitFor();
    await row.locator("a").first().click();
    await visit.card("Next times").locator("li").nth(9).waitFor();
    await page.getByRole("region", { name: "Occurrences" }).getByText("trigger").waitFor();
    await page.getByRole("link", { name: "Runs", exact: true }).last().click();
    await eventually(async () => await page.locator("tr[data-index]").count() === 1, "the run of the schedule");
}));

test("deliveries of a webhook are seen and sent again", async () => visiting(async (visit, page) => {
    await visit.open(`/webhooks/${made.webhook}`);
    await visit.button("Send a test").click();
    await page.locator("tr[data-index]", { hasText: "webhook.test" }).waitFor();
    await page.locator("tr[data-index] a", { hasText: "webhook.test" }).click();
    await page.getByRole("dialog").getByText(/msg_/).waitFor();
    await visit.button("Close", page.getByRole("dialog")).click();
    await visit.button("Disable").click();
    await visit.button("Enable").waitFor();
    assert.equal((await api.get(`/webhooks/${made.webhook}`)).enabled, false);
    // what waits for a disabled webhook fails
    const failed = page.locator("tr[data-index]", { has: page.locator(".s-failed") });
    await failed.first().waitFor();
    await visit.button("Enable").click();
    await visit.button("Disable").waitFor();
    await visit.button("Redeliver", failed.first()).click();
    await page.getByText("It will be sent again").waitFor();
    await visit.button("Redeliver failures").click();
    await visit.button("Redeliver failures", page.getByRole("dialog")).click();
    await page.getByText(/deliveries will be sent again/).waitFor();
}));

test("credits: the balance, the usage by day and responder, the ledger, CSV", async () => visiting(async (visit, page) => {
    await visit.open("/credits");
    const { balance } = await api.get("/credits"), today = new Date().toISOString().slice(0, 10);
    await page.locator(".numbers dd").first().waitFor();
    assert.ok(Math.abs(Number((await page.locator(".numbers dd").first().innerText()).replaceAll(",", "")) - balance) < 100);
    await page.getByText("As a table").click();
    await page.getByRole("cell", { name: today, exact: true }).waitFor();
    await page.getByLabel("By", { exact: true }).selectOption("responder");
    await page.locator(".bars").getByText("broken").waitFor();
    await page.getByLabel("Period", { exact: true }).selectOption("last-month");
    await page.getByText("Nothing was used.").waitFor();
    await page.getByLabel("Period", { exact: true }).selectOption("7");
    await page.locator(".bars").getByText("broken").waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), visit.button("Save as CSV").click()]);
    const csv = await readFile(await download.path(), "utf8");
    assert.match(csv.split("\n")[0], /responder_id/);
    assert.ok(csv.includes(made.broken));
    await page.getByLabel("By", { exact: true }).selectOption("key");
    await page.locator(".bars li").first().waitFor();
}));

test("what the scopes do not allow is not shown", async () => {
    const { key } = await stack.key(made.workspace, ["executions:read"]);
    await visiting(async (visit, page) => {
        await visit.heading("Runs").waitFor();
        const shown = await page.getByRole("navigation").getByRole("link").allInnerTexts();
        assert.deepEqual(shown.filter((t) => t !== "Failures"), ["Runs"]);
        await visit.open(`/runs/${made.runs.broken}`);
        await page.locator(".fall .name", { hasText: "charge" }).click();
        for (const name of ["Retry", "Retry from the failed step", "Retry from here", "Purge", "Stop"]) assert.equal(await visit.button(name).count(), 0, name);
        for (const at of ["/credits", "/workflows", "/workflows/new", `/workflows/${made.broken}/edit`, "/webhooks", "/webhooks/new", "/schedules", "/schedules/new", "/operator"]) {
            await visit.open(at);
            await visit.heading("Not found").waitFor();
        }
        await visit.innocent();
    }, { token: key });
    const reader = await stack.key(made.workspace, ALL.filter((s) => s.endsWith(":read")));
    await visiting(async (visit) => {
        for (const [at, names] of [["/workflows", ["New workflow"]], [`/workflows/${made.letter}`, ["Run", "Edit", "Archive"]], ["/skills/word-count", ["Run"]], ["/schedules", ["Pause", "Run now"]],
            [`/schedules/${made.schedule}`, ["Pause", "Run now", "Edit", "Delete"]], ["/schedules", ["New schedule"]], ["/webhooks", ["New webhook"]], [`/webhooks/${made.webhook}`, ["Send a test", "Redeliver", "Edit", "New secret", "Disable", "Delete"]]]) {
            await visit.open(at);
            for (const name of names) assert.equal(await visit.button(name).count(), 0, `${name} at ${at}`);
        }
    }, { token: reader.key });
});

test("a session that expires, or whose key is revoked, leads to the sign-in", async () => {
    const { id, key } = await stack.key(made.workspace);
    await visiting(async (visit, page) => {
        await visit.open("/credits");
        await stack.operator("key", "revoke", "--workspace", made.workspace, id);
        await page.getByText("Your session has ended").waitFor(); // by the refresh of the balance, without a click
    }, { token: key });
    const other = await stack.key(made.workspace);
    await visiting(async (visit, page) => {
        await visit.open("/workflows");
        const [{ name }] = (await stack.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'millrace' AND table_name LIKE '%session%'")).map(([n]) => ({ name: n }));
        await stack.sql(`DELETE FROM ${name}`);
        await page.getByRole("link", { name: "Credits" }).click();
        await page.getByText("Your session has ended").waitFor();
        await page.getByLabel("API key or operator's token").fill(other.key);
        await visit.button("Sign in").click();
        await visit.heading("Credits").waitFor(); // where one was
    }, { token: other.key });
});

test("the list is live, and is read no more often than every two seconds", async () => {
    const workspace = await stack.workspace("live"), { key } = await stack.key(workspace), client = stack.client(key);
    const id = await client.workflow("quick", { steps: [{ name: "a", type: "transform", value: 1 }] }), slow = await client.workflow("slow", { steps: [{ name: "w", type: "wait", signal: "go", timeout_seconds: 600 }] });
    await visiting(async (visit, page) => {
        await visit.open("/runs");
        const rows = page.locator("tr[data-index]");
        await page.locator(".live.on").waitFor();
        const waiting = await client.run(slow);
        await rows.filter({ hasText: "slow" }).getByText("running").waitFor();
        await client.post(`/executions/${waiting}/signals/go`);
        await rows.filter({ hasText: "slow" }).getByText("succeeded").waitFor();
        const began = Date.now();
        for (let i = 0; i < 25; i++) {
            await client.run(id);
            await pause(250);
        }
        await eventually(async () => await rows.count() === 26, "all runs");
        // jobs that end at once are a rate, not a zero
        await eventually(async () => Number(await page.locator(".numbers .good").innerText()) >= 10, "a rate");
        // by the page's own times: this process may hear of a request late
        const reads = await page.evaluate((since) => performance.getEntriesByType("resource").filter((e) => performance.timeOrigin + e.startTime >= since
            && new URL(e.name).pathname === "/api/v1/executions").map((e) => e.startTime), began);
        assert.ok(reads.length >= 2);
        for (let i = 1; i < reads.length; i++) assert.ok(reads[i] - reads[i - 1] >= 1900, `${reads[i] - reads[i - 1]} ms between two reads`);
        const before = reads.length;
        await visit.button("Live").click();
        await page.getByText("not live").waitFor();
        assert.ok(before > 0);
    }, { token: key });
});

test("ten thousand rows: few are drawn, and the last one is reached", async () => {
    const workspace = await stack.workspace("many", 1000000), { key } = await stack.key(workspace), client = stack.client(key);
    const id = await client.workflow("one", { steps: [{ name: "a", type: "transform", value: 1 }] });
    const { accepted } = await client.post(`/workflows/${id}/run-batch`, { items: Array.from({ length: 10000 }, (_, i) => ({ tags: [`n${i}`] })) });
    assert.equal(accepted, 10000);
    await visiting(async (visit, page) => {
        await visit.open("/runs?live=off");
        const box = page.getByRole("region", { name: "Runs" });
        let most = 0;
        await eventually(async () => {
            most = Math.max(most, await page.locator("tr[data-index]").count());
            return await box.evaluate((e) => { e.scrollTop = e.scrollHeight; return Number(e.querySelector("table").getAttribute("aria-rowcount")) > 10000; });
        }, "the whole list", 120);
        await page.locator('tr[data-index="9999"]').waitFor();
        // scrolling through all of it draws each part
        const frames = await box.evaluate(async (e) => {
            let empty = 0, count = 0;
            for (let top = e.scrollHeight; top > 0; top -= 4000) {
                e.scrollTop = top;
                await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve))));
                const edge = e.getBoundingClientRect(), at = document.elementFromPoint(edge.left + 40, edge.top + edge.height / 2);
                count++;
                if (!at?.closest("tr[data-index]")) empty++;
            }
            return { empty, count };
        });
        assert.ok(frames.count >= 100 && frames.empty === 0, JSON.stringify(frames));
        assert.ok(most < 80, `${most} rows were drawn at once`);
    }, { token: key });
});

test("everything can be done with the keyboard", async () => visiting(async (visit, page) => {
    await visit.open("/runs?live=off");
    await page.keyboard.press("Tab");
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
    await page.locator(".skip").focus();
    assert.equal(await focused(), "Skip to the content");
    await page.locator("tr[data-index='0'] a").focus();
    await page.keyboard.press("ArrowDown");
    await eventually(() => page.evaluate(() => document.activeElement?.closest("tr")?.dataset.index === "1"), "the focus in the next row");
    await page.keyboard.press("ArrowUp");
    await eventually(() => page.evaluate(() => document.activeElement?.closest("tr")?.dataset.index === "0"), "the focus in the first row");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/runs\/[0-9a-f-]{36}$/);
    await eventually(() => page.evaluate(() => document.activeElement?.tagName === "H1"), "the focus on the heading");
    // each control has a visible outline when it has the focus
    await page.keyboard.press("Tab");
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none");
    await visit.open(`/runs/${made.runs.waiting}`);
    await visit.button("Signal…").focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await eventually(async () => await focused() === "Signal…", "the focus back at the button");
}));

test("an operator sees the load of the workspaces, limits one, and looks into it", async (t) => {
    if (!(await offered()).has("/operator/workspaces")) return t.skip("the API has no operators");
    const { token } = await stack.operator("operator", "create", "--name", "alice", "--role", "admin");
    await visiting(async (visit, page) => {
        await visit.heading("Overview").waitFor();
        const row = page.locator("tr[data-index]", { hasText: hostile("workspace").slice(0, 60) }).first();
        await row.waitFor();
        await page.getByText("accepted in the last minute").waitFor();
        await page.locator(".s-active").first().waitFor(); // an executor
        await page.waitForFunction(() => /\d\/s/.test(document.querySelector(".numbers dd").textContent)); // two readings
        for (const scheme of ["light", "dark"]) {
            await page.emulateMedia({ colorScheme: scheme });
            await visit.accessible(`overview, ${scheme}`);
            await fits(page, "overview");
            await visit.picture(`overview-${scheme}`);
        }
        await page.setViewportSize({ width: 390, height: 844 });
        await visit.accessible("overview, phone");
        for (const width of [390, 701, 1001]) {
            await page.setViewportSize({ width, height: 844 });
            await fits(page, "overview");
        }
        await page.setViewportSize({ width: 390, height: 844 });
        await visit.picture("overview-phone");
        await page.setViewportSize({ width: 1280, height: 900 });
        await visit.button("Limits…", row).click();
        const dialog = page.getByRole("dialog");
        await dialog.getByLabel("Requests a minute").fill("none");
        await visit.button("Store", dialog).click();
        await dialog.getByRole("alert").waitFor();
        await dialog.getByLabel("Requests a minute").fill("777777");
        await dialog.getByLabel("Runs that have not ended").fill("55");
        await visit.button("Store", dialog).click();
        await row.getByText("777,777").waitFor();
        assert.match(JSON.stringify(await stack.operator("workspace", "show", "--workspace", made.workspace)), /777777/);
        await row.locator("a").click();
        await visit.heading("Runs").waitFor();
        await page.locator("tr[data-index]", { hasText: "broken" }).first().waitFor();
        await visit.open(`/runs/${made.runs.broken}`); // the workspace stays chosen
        await page.locator(".fall .name", { hasText: "charge" }).waitFor();
        for (const r of visit.requests) assert.ok(!/\/api\/v1\/(operator|session)/.test(r.url) || !r.headers["x-millrace-workspace"], r.url);
        await visit.go("/operator");
        await page.getByLabel("Name or id").fill("no such workspace");
        await page.getByText("No workspace matches.").waitFor();
    }, { token });
    const viewer = await stack.operator("operator", "create", "--name", "bob", "--role", "viewer");
    await visiting(async (visit, page) => {
        const row = page.locator("tr[data-index]", { hasText: hostile("workspace").slice(0, 60) }).first();
        await row.waitFor();
        assert.equal(await visit.button("Limits…").count(), 0);
        assert.deepEqual(await page.getByRole("navigation").getByRole("link").allInnerTexts(), ["Overview", "Executor log"]); // until a workspace is chosen
        await row.locator("a").click();
        await page.locator("tr[data-index]", { hasText: "broken" }).first().waitFor();
        await visit.go(`/runs/${made.runs.broken}`);
        await page.locator(".fall .name", { hasText: "charge" }).waitFor();
        for (const name of ["Retry", "Retry from the failed step", "Purge"]) assert.equal(await visit.button(name).count(), 0, name);
        await stack.operator("operator", "revoke", "bob");
        await page.getByRole("link", { name: "Credits" }).click();
        await page.getByText("Your session has ended").waitFor();
    }, { token: viewer.token });
});

test("all runs that match are stopped, or retried, after a preview", async (t) => {
    if (!(await offered()).has("/executions/bulk")) return t.skip("the API has no bulk jobs");
    const workspace = await stack.workspace("bulk"), { key } = await stack.key(workspace), client = stack.client(key);
    const wait = await client.workflow("waits", { steps: [{ name: "w", type: "wait", signal: "go", timeout_seconds: 600 }] }), fail = await client.workflow("fails", { steps: [{ name: "no", type: "fail", message: "no" }] });
    const waiting = await Promise.all([1, 2, 3].map(() => client.run(wait))), failed = await Promise.all([1, 2].map(() => client.run(fail)));
    for (const id of failed) await client.ended(id);
    await visiting(async (visit, page) => {
        await visit.open("/runs?state=running");
        const dialog = page.getByRole("dialog");
        assert.equal(await visit.button("Retry all…").count(), 0);
        await visit.button("Stop all…").click();
        await dialog.getByText("3 runs match").waitFor();
        await visit.accessible("preview of a bulk job");
        await visit.button("Cancel", dialog).click();
        assert.equal((await client.get(`/executions/${waiting[0]}`)).state, "running");
        await visit.button("Stop all…").click();
        await visit.button("Stop them", dialog).click();
        await page.getByText("3 of 3 done").waitFor();
        for (const id of waiting) assert.equal((await client.ended(id)).state, "stopped");
        await page.reload(); // the job is in the address
        await page.getByText("3 of 3 done").waitFor();
        await visit.button("Close").click();
        await visit.open(`/runs?responder=${fail}`);
        await visit.button("Retry all…").click();
        await dialog.getByText("2 runs match").waitFor();
        await visit.button("Retry them", dialog).click();
        await page.getByText("2 of 2 done").waitFor();
        await eventually(async () => await page.locator("tr[data-index]").count() === 4, "the retries in the list");
    }, { token: key });
});

test("the executor log is followed, filtered, paused, and leads to the run", async () => {
    const { token } = await stack.operator("operator", "create", "--name", "carol", "--role", "viewer");
    const workspace = await stack.workspace("logged"), { key } = await stack.key(workspace), client = stack.client(key), other = await stack.workspace("unlogged"), strange = stack.client((await stack.key(other)).key);
    const programs = (c) => Promise.all([c.workflow("ok", { steps: [{ name: "a", type: "transform", value: 1 }] }), c.workflow("bad", { steps: [{ name: "no", type: "fail", message: hostile("log") }] })]);
    const [ok, bad] = await programs(client), [foreign] = await programs(strange);
    await visiting(async (visit, page) => {
        await page.getByRole("link", { name: "Executor log" }).click();
        await page.locator(".live.on").waitFor();
        const rows = page.locator("tr[data-index]"), of = (text) => rows.filter({ hasText: text });
        const [first, alien] = [await client.run(ok), await strange.run(foreign)];
        await of(first).getByText("run.succeeded").waitFor(); // by itself
        await of(alien).first().waitFor();
        const failed = await client.run(bad);
        await of(failed).last().waitFor();
        await of("log <script>window.owned=").first().waitFor(); // what a tenant writes is text
        for (const [scheme, width] of [["light", 1280], ["dark", 1280], ["phone", 390]]) {
            await page.emulateMedia({ colorScheme: scheme === "dark" ? "dark" : "light" });
            await page.setViewportSize({ width, height: scheme === "phone" ? 844 : 900 });
            await visit.accessible(`executor log, ${scheme}`);
            await fits(page, "executor log");
            await visit.picture(`executor-log-${scheme}`);
        }
        await page.emulateMedia({ colorScheme: "light" });
        await page.setViewportSize({ width: 1280, height: 900 });
        await page.getByLabel("Workspace", { exact: true }).fill(workspace);
        await eventually(async () => await of(first).count() === 2 && await of(alien).count() === 0, "the lines of the workspace only, also older ones");
        await page.getByLabel("Execution", { exact: true }).fill(first);
        await eventually(async () => await rows.count() === 2 && await of(first).count() === 2, "the lines of the run only");
        await page.reload();
        await eventually(async () => await rows.count() === 2 && await of(first).count() === 2, "the same filters after a reload");
        await page.getByLabel("Execution", { exact: true }).fill("nonsense");
        await page.locator(".field-error").waitFor();
        await page.getByLabel("Execution", { exact: true }).fill("");
        await page.getByLabel("Text", { exact: true }).fill("RUN.claimed");
        await eventually(async () => { const texts = await rows.allInnerTexts(); return texts.length >= 2 && texts.every((t) => t.includes("run.claimed")); }, "lines with the text only");
        await page.getByLabel("Level", { exact: true }).selectOption("error");
        await page.getByText("No line matches so far.").waitFor();
        await page.getByLabel("Level", { exact: true }).selectOption("");
        await of("run.claimed").first().waitFor();
        await page.getByLabel("Text", { exact: true }).fill("x".repeat(201));
        await page.getByRole("alert").getByText("200 octets").waitFor(); // what the server refuses it says
        await page.getByLabel("Text", { exact: true }).fill("RUN.claimed");
        await of("run.claimed").first().waitFor();
        assert.equal(await page.getByRole("alert").count(), 0);
        await visit.button("Pause").click();
        const during = await client.run(ok);
        await page.getByText("1 new lines").waitFor();
        assert.equal(await of(during).count(), 0);
        await visit.button("Pause").click();
        await of(during).first().waitFor();
        await of(during).first().locator("a").focus();
        await page.keyboard.press("Enter");
        const dialog = page.getByRole("dialog");
        await dialog.getByText(during).waitFor();
        await visit.accessible("a line of the log");
        await visit.button("Open the run", dialog).click();
        await page.locator(".fall .name", { hasText: "a" }).first().waitFor();
        assert.match(page.url(), new RegExp(during));
    }, { token });
    const billing = await stack.operator("operator", "create", "--name", "dave", "--role", "billing");
    await visiting(async (visit, page) => {
        await visit.heading("Overview").waitFor();
        assert.equal(await page.getByRole("link", { name: "Executor log" }).count(), 0);
        await visit.go("/executor-log");
        await visit.heading("Not found").waitFor();
    }, { token: billing.token });
});

test("a group of failures is retried, after a preview", async () => {
    const workspace = await stack.workspace("group"), { key } = await stack.key(workspace), client = stack.client(key);
    const fails = async (message) => client.workflow(message, { inputs: { type: "object" }, steps: [{ name: "no", type: "fail", message: `${message} \${/inputs/n}` }] });
    const [tide, wind] = [await fails("the tide is out"), await fails("no wind")];
    for (const id of await Promise.all([client.run(tide, { inputs: { n: 1 } }), client.run(tide, { inputs: { n: 2 } }), client.run(wind, { inputs: { n: 1 } })])) await client.ended(id);
    await visiting(async (visit, page) => {
        await visit.open("/failures");
        const dialog = page.getByRole("dialog");
        await visit.button("Retry all…", page.locator("tr[data-index]", { hasText: "the tide is out" })).click();
        await dialog.getByText("2 runs match").waitFor();
        await visit.accessible("preview of the retry of a group");
        await visit.button("Retry them", dialog).click();
        await page.getByText("2 of 2 done").waitFor();
        await eventually(async () => await page.locator("tr[data-index]").count() === 4, "the group with its retries");
        assert.equal((await client.get(`/executions?responderIds=${wind}`)).executions.length, 1);
    }, { token: key });
    const reader = await stack.key(workspace, ["executions:read"]);
    await visiting(async (visit, page) => {
        await visit.open("/failures");
        await page.getByText("the tide is out").first().waitFor();
        assert.equal(await visit.button("Retry all…").count(), 0);
    }, { token: reader.key });
});

test("a schedule is made and changed by its form, which shows the next times and what is wrong at the field", async () => visiting(async (visit, page) => {
    await visit.open("/schedules");
    await visit.button("New schedule").click();
    await page.getByLabel("Starts").selectOption(`w/${made.letter}`);
    const next = visit.card("Next times");
    await next.locator("li").first().waitFor();
    assert.equal(await next.locator("li").count(), 5);
    await page.getByLabel("Cron").fill("61 * * * *");
    await next.getByRole("alert").waitFor();
    await visit.button("Store").click();
    await page.locator(".field-error").first().waitFor();
    assert.equal(await page.getByLabel("Cron").getAttribute("aria-invalid"), "true");
    await visit.accessible("schedule with an error");
    await page.getByLabel("Cron").fill("30 2 * * *");
    await page.getByLabel("Time zone").fill("Europe/Nowhere");
    await visit.button("Store").click();
    await eventually(async () => await page.getByLabel("Time zone").getAttribute("aria-invalid") === "true", "the error at the zone");
    await page.getByLabel("Time zone").fill("Europe/Berlin");
    await page.getByLabel("Note").fill(hostile("form"));
    await page.getByLabel("If the previous run goes on").selectOption("queue_one");
    await page.getByLabel("Inputs as JSON").fill("{\n  \"reader\": \"Ada\",\n  \"count\": 0\n}");
    await visit.button("Store").click();
    await page.getByRole("list", { name: "Errors" }).getByText("Line 3").waitFor(); // the pointer of the 422
    await page.getByLabel("Inputs as JSON").fill("{\"reader\": \"Ada\"}");
    await visit.button("Store").focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/schedules\/[0-9a-f-]{36}$/);
    const id = idOf(page), stored = await api.get(`/schedules/${id}`);
    assert.deepEqual([stored.cron, stored.timezone, stored.overlap, stored.note, stored.inputs, stored.workflow_id], ["30 2 * * *", "Europe/Berlin", "queue_one", hostile("form"), { reader: "Ada" }, made.letter]);
    await visit.button("Edit").click();
    await page.getByLabel("Kind").selectOption("every");
    await page.getByLabel("Every (seconds)").fill("5");
    await visit.button("Store").click();
    await eventually(async () => await page.getByLabel("Every (seconds)").getAttribute("aria-invalid") === "true", "the error at the period");
    await page.getByLabel("Every (seconds)").fill("7200");
    await page.getByLabel("Tags").fill("one\ntwo\n");
    await visit.button("Store").click();
    await page.waitForURL(/\/schedules\/[0-9a-f-]{36}$/);
    const changed = await api.get(`/schedules/${id}`);
    assert.deepEqual([changed.cron, changed.every_seconds, changed.tags, changed.timezone], [null, 7200, ["one", "two"], "Europe/Berlin"]);
    await visit.button("Edit").click();
    await page.getByLabel("Note").fill("only the note");
    await visit.button("Store").click();
    await page.waitForURL(/\/schedules\/[0-9a-f-]{36}$/);
    const noted = await api.get(`/schedules/${id}`);
    assert.deepEqual([noted.note, noted.next_at], ["only the note", changed.next_at]); // its period goes on
    await visit.button("Edit").click();
    await page.getByLabel("Kind").selectOption("at");
    await page.getByLabel("At", { exact: true }).fill("2001-01-01T00:00:00");
    await visit.button("Store").click();
    await page.locator("form").getByText("No time is left").last().waitFor();
    await page.getByLabel("At", { exact: true }).fill("2099-12-31T23:59:58");
    await visit.button("Store").click();
    await page.waitForURL(/\/schedules\/[0-9a-f-]{36}$/);
    assert.match((await api.get(`/schedules/${id}`)).at, /^2099-12-31T23:59:58/);
    await visit.button("Delete").click();
    await visit.button("Delete", page.getByRole("dialog")).click();
    await page.waitForURL(/\/schedules$/);
}));

test("a webhook is made and changed by its form, and its secret is shown once", async () => visiting(async (visit, page) => {
    await visit.open("/webhooks");
    await visit.button("New webhook").click();
    await page.getByLabel("URL").fill("gopher://example.com/");
    await visit.button("Store").click();
    await page.locator(".field-error").waitFor();
    assert.equal(await page.getByLabel("URL").getAttribute("aria-invalid"), "true");
    await visit.accessible("webhook with an error");
    await page.getByLabel("URL").fill(`${peer.url}/hook`);
    await page.getByLabel("Description").fill(hostile("described"));
    await page.getByLabel("execution.stopped").uncheck();
    await page.getByLabel("execution.waiting").focus();
    await page.keyboard.press("Space");
    await page.getByLabel("Only of").selectOption(made.letter);
    await page.getByLabel("Only with all of these tags").fill("a tag");
    await visit.button("Store").click();
    const dialog = page.getByRole("dialog");
    const first = await dialog.getByRole("region", { name: "Secret" }).innerText();
    assert.match(first, /^whsec_/);
    await visit.accessible("secret");
    const before = await page.evaluate(() => history.length);
    await visit.button("I have stored it", dialog).click();
    await page.waitForURL(/\/webhooks\/[0-9a-f-]{36}$/);
    await visit.settled();
    assert.equal(await page.evaluate(() => history.length), before + 1);
    const id = idOf(page), stored = await api.get(`/webhooks/${id}`);
    assert.deepEqual([stored.url, stored.description, stored.filter], [`${peer.url}/hook`, hostile("described"), { workflow_id: made.letter, tags: ["a tag"] }]);
    assert.deepEqual(new Set(stored.events), new Set(["execution.waiting", "execution.succeeded", "execution.failed"]));
    await page.waitForFunction((text) => document.body.textContent.includes(text), hostile("described").slice(0, 60));
    assert.ok(!(await page.content()).includes(first));
    await visit.button("Edit").click();
    await page.getByLabel("Only of").selectOption("");
    await page.getByLabel("Only with all of these tags").fill("");
    await page.getByLabel("Description").fill("");
    await visit.button("Store").click();
    await page.waitForURL(/\/webhooks\/[0-9a-f-]{36}$/);
    const changed = await api.get(`/webhooks/${id}`);
    assert.deepEqual([changed.description, changed.filter], [null, { workflow_id: null, tags: null }]);
    await visit.button("New secret").click();
    await visit.button("New secret", dialog).click();
    const second = await page.getByRole("region", { name: "Secret" }).innerText();
    assert.ok(second.startsWith("whsec_") && second !== first);
    await visit.button("I have stored it", dialog).click();
    await visit.button("Delete").click();
    await visit.button("Delete", dialog).click();
    await page.waitForURL(/\/webhooks$/);
}));
