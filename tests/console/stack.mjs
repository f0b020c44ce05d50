// A real, private Millrace for the tests of the console, started by scripts/stack in a temporary directory, with the data that the screens show.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const run = promisify(execFile);
export const ALL = ["workflows:read", "workflows:write", "workflows:execute", "skills:read", "skills:execute", "executions:read", "executions:purge", "files:read", "files:write",
    "credits:read", "schedules:read", "schedules:write", "webhooks:read", "webhooks:write"];

/** A text as a tenant might choose it, to look like something else: HTML, script, a right-to-left override, emoji. `mark` tells texts apart. */
export const hostile = (mark) => `${mark} <script>window.owned="${mark}"</script><img src=x onerror="window.owned='${mark}'"> \u202Egnp.exe\u202C שלום 👩‍👩‍👧 "'\`{{7*7}}`;

/** A port that stays this process' own, as free_port of tests/api/stack.py: below those that the kernel gives to connections, and with the
 *  same name in the abstract namespace of Unix sockets, which keeps it from the other processes of the tests. */
async function freePort() {
    const listening = (server, place) => new Promise((resolve, reject) => server.once("error", reject).listen(place, () => resolve(server)));
    const first = Number((await readFile("/proc/sys/net/ipv4/ip_local_port_range", "utf8")).split(/\s/)[0]), lowest = Math.min(20000, Math.floor(first / 2));
    for (let tries = 0; tries < 200; tries++) {
        const port = lowest + Math.floor(Math.random() * (first - lowest)), name = net.createServer();
        try {
            await listening(name, { path: `\0millrace-test-port-${port}` });
            const probe = await listening(net.createServer(), { port, host: "127.0.0.1" });
            await new Promise((resolve) => probe.close(resolve));
            name.unref();
            return port;
        } catch (error) {
            name.close();
            if (error.code !== "EADDRINUSE") throw error;
        }
    }
    throw new Error("no free port found in 200 tries");
}

/** Calls check until its result is true, and returns it. */
export async function eventually(check, what, seconds = 60) {
    for (const end = Date.now() + seconds * 1000; ;) {
        const value = await check();
        if (value) return value;
        if (Date.now() > end) throw new Error(`${what} did not come true within ${seconds} s`);
        await pause(100);
    }
}

export class Stack {
    static async start() {
        const stack = new Stack();
        stack.dir = await mkdtemp("/tmp/mr-");
        stack.port = await freePort();
        stack.url = `http://127.0.0.1:${stack.port}`;
        stack.env = { ...process.env, MILLRACE_CONFIG: `${stack.dir}/millrace.ini` };
        const settings = ["api.workers=4", "api.queue_ms=5000", "api.unknown_keys_per_s=1000000", "executor.outgoing_allow=127.0.0.0/8",
            "nginx.address_connections=10000", "nginx.address_requests=1000000", "nginx.address_burst=10000", "nginx.address_bodies=10000", "nginx.address_body_rate=1000000"];
        try {
            await stack.script("start", "--port", String(stack.port), ...settings.flatMap((s) => ["--set", s]));
        } catch (error) {
            await stack.stop();
            throw error;
        }
        return stack;
    }
    script(command, ...args) { return run(path.join(ROOT, "scripts/stack"), [command, this.dir, ...args], { env: this.env }); }
    async stop() {
        await this.script("stop");
        await rm(this.dir, { recursive: true, force: true });
    }
    async operator(...args) {
        const { stdout } = await run(path.join(ROOT, "bin/millrace"), ["--json", ...args.map(String)], { env: this.env });
        return stdout.trim() ? JSON.parse(stdout) : null;
    }
    async sql(statement) {
        const { stdout } = await run("mariadb", ["--no-defaults", `--socket=${this.dir}/sockets/mariadb.sock`, "--batch", "--skip-column-names", "millrace", "-e", statement]);
        return stdout.trim().split("\n").filter(Boolean).map((line) => line.split("\t"));
    }
    async workspace(name, credits = 100000) {
        const { id } = await this.operator("workspace", "create", "--name", name, "--rate-limit-per-minute", 1000000);
        await this.operator("credits", "grant", "--workspace", id, "--credits", credits, "--reason", hostile("reason"));
        return id;
    }
    async key(workspace, scopes = ALL) { return this.operator("key", "create", "--workspace", workspace, "--scopes", scopes.join(",")); }
    client(key) { return new Client(this.url, key); }
}

export class Client {
    constructor(url, key) { this.url = url; this.key = key; }
    async request(method, at, body, headers = {}) {
        const response = await fetch(`${this.url}/api/v1${at}`, { method, headers: { Authorization: `Bearer ${this.key}`, ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
            body: body === undefined ? undefined : JSON.stringify(body) });
        const text = await response.text();
        if (!response.ok) throw new Error(`${method} ${at}: ${response.status} ${text}`);
        return text ? JSON.parse(text) : null;
    }
    get(at) { return this.request("GET", at); }
    post(at, body = {}) { return this.request("POST", at, body); }
    async workflow(name, program, description = "") { return (await this.post("/workflows", { name, description, program })).id; }
    async run(workflow, body = {}) { return (await this.post(`/workflows/${workflow}/run-async`, body)).execution_id; }
    async ended(id) { return eventually(async () => { const e = await this.get(`/executions/${id}`); return e.status !== "running" && e; }, `the end of ${id}`); }
}

/** An HTTP server for the steps and webhooks of the tests. /fail answers 500, /flaky 500 until its third request, all else 200. */
export async function startPeer() {
    const peer = { requests: [], flaky: 0 };
    const server = http.createServer((request, response) => {
        peer.requests.push({ method: request.method, url: request.url });
        request.resume();
        const bad = request.url.startsWith("/fail") || (request.url.startsWith("/flaky") && ++peer.flaky % 3 !== 0);
        response.writeHead(bad ? 500 : 200, { "Content-Type": "application/json" });
        response.end(JSON.stringify(bad ? { error: hostile("answer") } : { ok: true }));
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    peer.url = `http://127.0.0.1:${server.address().port}`;
    peer.stop = () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); });
    return peer;
}

const step = (name, type, more) => ({ name, type, ...more });

/** What the screens show: runs of each kind and in each state, with the text of a mark in each field that a tenant controls. */
export async function seed(stack, peer, text = hostile) {
    const workspace = await stack.workspace(text("workspace")), { key } = await stack.key(workspace), api = stack.client(key);
    const schema = { type: "object", required: ["reader"], properties: {
        reader: { type: "string", maxLength: 190, description: text("hint") }, count: { type: "integer", minimum: 1 }, loud: { type: "boolean" },
        colour: { enum: ["red", "green"] }, more: { type: "object" } } };
    const made = { workspace, key };
    made.hostile = await api.workflow(text("workflow"), { inputs: schema, steps: [step("first", "transform", { value: "${/inputs}" }), step("second", "transform", { value: text("value") })],
        outputs: { text: text("output") } }, text("description"));
    made.letter = await api.workflow("weather-letter", { inputs: schema, steps: [
        step("list", "http", { request: { method: "GET", url: `${peer.url}/flaky` }, retry: { max_attempts: 3, backoff_seconds: 0 } }),
        step("pause", "delay", { seconds: 0.2 }), step("lines", "transform", { value: { reader: "${/inputs/reader}" } })] });
    made.broken = await api.workflow("broken", { steps: [step("prepare", "transform", { value: 1 }), step("charge", "http", { request: { method: "POST", url: `${peer.url}/fail` } }), step("after", "transform", { value: 2 })] });
    made.child = await api.workflow("child", { steps: [step("only", "transform", { value: 1 })] });
    made.parent = await api.workflow("parent", { steps: [step("call", "workflow", { workflow_id: made.child, inputs: {} }), step("again", "workflow", { workflow_id: made.child, inputs: {} })] });
    made.approval = await api.workflow("approval", { steps: [step("wait", "wait", { signal: "approved", timeout_seconds: 3600, message: text("message"),
        schema: { type: "object", required: ["ok"], properties: { ok: { type: "string", maxLength: 20, description: text("hint") }, count: { type: "integer", minimum: 0 } } } }), step("done", "transform", { value: "${/steps/wait/result/data}" })] });
    made.failing = await api.workflow("says-no", { steps: [step("no", "fail", { message: text("error") })] });
    const options = { tags: [text("tag").slice(0, 250)], metadata: { [text("metadata")]: text("metadata-value") } };
    made.runs = { hostile: await api.run(made.hostile, { inputs: { reader: text("reader") }, ...options }), letter: await api.run(made.letter, { inputs: { reader: "Ada" } }),
        broken: await api.run(made.broken), parent: await api.run(made.parent), waiting: await api.run(made.approval), failing: await api.run(made.failing, options) };
    await stack.operator("skill", "install", path.join(ROOT, "examples/skills/word-count"), "--workspace", workspace);
    const skill = await api.post(`/spaces/${workspace}/skills/word-count/executions`, { inputs: { file: text("file") }, file_source_ids: [text("file").slice(0, 200)] });
    made.runs.skill = skill.data.id;
    made.schedule = (await api.post("/schedules", { workflow_id: made.hostile, inputs: { reader: text("schedule-input") }, cron: "0 2 * * *", timezone: "Europe/Berlin", note: text("note"), tags: ["nightly"] })).id;
    made.webhook = (await api.post("/webhooks", { url: `${peer.url}/fail?${encodeURIComponent("<script>")}`, description: text("webhook") })).id;
    for (const name of ["hostile", "letter", "broken", "parent", "failing", "skill"]) await api.ended(made.runs[name]);
    return { ...made, api };
}
