// The pages below /docs/ in Chromium against a real stack: each page in light, dark and at a phone's width, each link, the search, and a run that is
// started from the API reference. `scripts/test console` runs it.
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { launch, Visit } from "./browser.mjs";
import { ALL, ROOT, Stack } from "./stack.mjs";

let stack, browser, key, api, workspace, base;
before(async () => {
    stack = await Stack.start();
    base = `${stack.url}/docs/`;
    browser = await launch();
    workspace = await stack.workspace("acme");
    key = (await stack.key(workspace, [...ALL, "budgets:read", "budgets:write"])).key;
    api = stack.client(key);
});
after(async () => {
    await browser?.close();
    await stack?.stop();
});

async function visiting(work, options = {}) {
    const visit = await Visit.start(browser, stack, options);
    try {
        await work(visit, visit.page);
        await visit.innocent();
    } finally {
        await visit.close();
    }
}
const texts = async () => (await readdir(path.join(ROOT, "docs"))).filter((f) => f.endsWith(".md")).map((f) => f.replace(/md$/, "html"));
const operation = (page, id) => page.locator(`.opblock[id$="-${id}"]`);
async function openReference(page, at = "") {
    await page.goto(base + at);
    await operation(page, "runWorkflow").waitFor();
}

test("the files come with a strict policy, compressed, and other paths are 404", async () => {
    for (const at of ["", "index.html", "api.html", "openapi.json", "openapi.yaml"]) {
        const response = await fetch(base + at), policy = response.headers.get("content-security-policy") ?? "";
        assert.equal(response.status, 200, at);
        assert.match(policy, /default-src 'none'/);
        assert.doesNotMatch(policy, /unsafe|\*/);
        assert.equal(response.headers.get("cache-control"), "no-cache");
        assert.equal(response.headers.get("content-encoding"), "gzip", at);
    }
    const redirect = await fetch(`${stack.url}/docs`, { redirect: "manual" });
    assert.deepEqual([redirect.status, redirect.headers.get("location")], [301, "/docs/"]);
    for (const at of ["nothing", "nothing.html", "assets/", "../../etc/passwd", "%2e%2e/package.json"]) {
        const response = await fetch(base + at);
        assert.equal(response.status, 404, at);
        assert.match(response.headers.get("content-type"), /^application\/problem\+json/);
    }
});

/** The pages of which the other schemes are checked by axe-core, which takes seconds for a long page: texts, tables, blocks. */
const SHORT = ["clients.html", "budgets.html", "agents.html"];
/** Nothing is wider than the window. */
async function fits(page, name) {
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${name} is ${wide} px wider than the window of ${page.viewportSize().width} px`);
}
for (const [scheme, width] of [["light", 1280], ["dark", 1280], ["phone", 390]]) {
    test(`every page is accessible: ${scheme}`, async () => visiting(async (visit, page) => {
        for (const name of await texts()) {
            await page.goto(base + name);
            await page.locator("main h1").first().waitFor();
            if (scheme === "light" || SHORT.includes(name)) await visit.accessible(`${name}, ${scheme}`);
            await fits(page, name);
            await visit.innocent();
        }
        await openReference(page);
        const { paths } = await (await fetch(`${base}openapi.json`)).json();
        const ids = Object.values(paths).flatMap((p) => Object.values(p)).map((o) => o.operationId).filter(Boolean);
        assert.equal(await page.locator(".opblock").count(), ids.length);
        assert.ok(ids.length > 60);
        for (const id of { light: ["runWorkflow", "listExecutions", "deleteBudget", "changeBudget", "updateWorkflow"], dark: ["runWorkflow", "listExecutions", "updateWorkflow"], phone: ["runWorkflow"] }[scheme]) {
            await operation(page, id).locator(".opblock-summary-control").click();
            await operation(page, id).locator(".responses-wrapper").first().waitFor();
        }
        if (scheme !== "phone") await visit.accessible(`the reference, ${scheme}`);
        await fits(page, "the reference");
        await page.getByRole("button", { name: "Authorize" }).first().click();
        await page.locator(".modal-ux").waitFor();
        await visit.accessible(`the keys of the reference, ${scheme}`, ".modal-ux");
    }, { colorScheme: scheme === "dark" ? "dark" : "light", viewport: { width, height: scheme === "phone" ? 844 : 900 } }));
}

test("every link leads to a page, and every anchor to a heading", async () => visiting(async (visit, page) => {
    const pages = new Map();
    for (const name of ["index.html", ...await texts()]) {
        await (name === "index.html" ? openReference(page) : page.goto(base + name));
        pages.set(name, await page.evaluate(() => ({ ids: [...document.querySelectorAll("[id]")].map((e) => e.id), links: [...document.querySelectorAll("a[href], img[src]")].map((e) => e.href ?? e.src) })));
        assert.equal(new Set(pages.get(name).ids).size, pages.get(name).ids.length, `${name} has an id twice`);
    }
    const files = new Set();
    let seen = 0;
    for (const [name, { links }] of pages) for (const link of links) {
        if (!link.startsWith(`${stack.url}/`)) continue;
        seen++;
        assert.ok(link.startsWith(base), `${name}: ${link}`);
        const [file, anchor] = link.slice(base.length).split("#"), to = pages.get(file || "index.html");
        if (!to) files.add(link);
        else if (anchor && !anchor.startsWith("/")) assert.ok(to.ids.includes(anchor), `${name}: ${link} leads to no heading`);
    }
    for (const file of files) assert.equal((await fetch(file)).status, 200, file);
    assert.ok(seen > 500, `${seen} links`);
}));

test("the search finds sections and operations", async () => visiting(async (visit, page) => {
    await page.goto(`${base}glossary.html`);
    assert.ok(!visit.requests.some((r) => /assets\/(search|minisearch)/.test(r.url)), "the index is loaded before it is needed");
    await page.getByRole("searchbox", { name: "Search" }).fill("idempotency");
    const results = page.getByRole("region", { name: "Search results" });
    await results.getByRole("link", { name: "Idempotency", exact: true }).first().waitFor();
    await visit.accessible("search results");
    await results.getByRole("link", { name: "Idempotency", exact: true }).first().click();
    await page.waitForURL(/#idempotency$/);
    await page.getByRole("searchbox", { name: "Search" }).fill("<img src=x onerror=alert(1)> zzzzqqq");
    await page.getByText("Nothing found").waitFor();
    await page.getByRole("searchbox", { name: "Search" }).fill("run-batch");
    await results.getByRole("link", { name: /POST \/workflows\/\{id\}\/run-batch/ }).click();
    await page.waitForURL(/index\.html#\/workflows\/runWorkflowBatch$/);
    await operation(page, "runWorkflowBatch").locator(".opblock-body").waitFor();
}));

async function authorize(page, secret) {
    await page.getByRole("button", { name: "Authorize" }).first().click();
    const scheme = page.locator(".auth-container").filter({ has: page.getByRole("heading", { name: /^bearer\b/ }) });
    await scheme.locator("input").fill(secret);
    await scheme.getByRole("button", { name: /authorize|apply credentials/i }).click();
    await page.locator(".modal-ux").getByRole("button", { name: "Close", exact: true }).last().click();
}
/** Opens an operation, fills in the parameters and executes it: the status and the body of the response that the page shows. */
async function execute(page, id, parameters = {}) {
    const block = operation(page, id);
    if (!await block.locator(".opblock-body").count()) await block.locator(".opblock-summary-control").click();
    for (const [name, value] of Object.entries(parameters)) await block.locator(`tr[data-param-name="${name}"] input`).fill(value);
    await block.getByRole("button", { name: "Execute" }).click();
    const live = block.locator(".live-responses-table");
    await live.locator(".response-col_status").last().waitFor();
    const text = await live.locator(".response-col_description pre").first().innerText();
    return { status: Number((await live.locator("tbody .response-col_status").first().innerText()).slice(0, 3)), text };
}

test("a run is started and followed from the reference, also by a reader who is signed in to the console, and the key is not kept", async () => visiting(async (visit, page) => {
    await visit.signIn(key);
    await openReference(page);
    assert.equal((await execute(page, "listWorkflows")).status, 401);
    await authorize(page, key);
    const made = await execute(page, "createWorkflow");
    assert.equal(made.status, 201, made.text);
    const { id } = JSON.parse(made.text), started = await execute(page, "runWorkflow", { id });
    assert.equal(started.status, 202, started.text);
    const { execution_id } = JSON.parse(started.text), ended = await api.ended(execution_id);
    assert.equal(ended.state, "succeeded", JSON.stringify(ended));
    const events = await execute(page, "streamEvents", { id: execution_id });
    assert.equal(events.status, 200, events.text);
    const feed = await execute(page, "streamFeed"); // has no end: its first seconds are shown
    assert.equal(feed.status, 200);
    assert.match(feed.text, /stopped reading/);
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
    assert.ok(!kept.includes(key), kept);
    const sent = visit.requests.filter((r) => r.url.includes("run-async"));
    assert.ok(sent.length === 1 && sent[0].headers.authorization === `Bearer ${key}`);
    await openReference(page, "?again"); // a load, not a change of the anchor
    assert.equal((await execute(page, "listWorkflows")).status, 401);
}));

test("the examples of the reference are accepted", async () => {
    const { paths, components } = await (await fetch(`${base}openapi.json`)).json(), tried = [];
    const { id } = await api.post("/workflows", components.requestBodies.Workflow.content["application/json"].example);
    // Their schemas are checked by scripts/openapi --lint. Here are those that need no object but a workflow.
    for (const [at, operations] of Object.entries(paths)) for (const [method, o] of Object.entries(operations)) {
        const body = o.requestBody?.$ref ? components.requestBodies[o.requestBody.$ref.split("/").at(-1)] : o.requestBody, example = body?.content?.["application/json"]?.example;
        if (example === undefined || at === "/mcp" || (at.includes("{") && !at.startsWith("/workflows/{id}"))) continue;
        const response = await fetch(`${stack.url}/api/v1${at.replace("{id}", id)}`, { method: method.toUpperCase(), headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
            body: JSON.stringify(example).replace("00000000-0000-4000-8000-000000000001", id) });
        assert.ok(response.ok, `${o.operationId}: ${response.status} ${await response.text()}`);
        tried.push(o.operationId);
    }
    for (const name of ["createWorkflow", "runWorkflow", "runWorkflowBatch", "startBulkJob", "createSchedule", "createWebhook", "createBudget"]) assert.ok(tried.includes(name), `${name} has no example`);
});
