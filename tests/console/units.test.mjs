// Parts of the console without a page: they are bundled as they are and called here.
import assert from "node:assert/strict";
import { getEventListeners, once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { ROOT } from "./stack.mjs";

let dir, c;
before(async () => {
    const { build } = await import(path.join(ROOT, "console/node_modules/esbuild/lib/main.js"));
    dir = await mkdtemp("/tmp/mr-units-");
    const names = { "./api": "parser query keys delay get", "./json": "places lineOf brokenAt kindOf entries initial valueOf", "./editor": "syntaxError", "./charts": "ceiling", "./exact": "readJson writeJson ExactNumber", "./screens/run": "tries signalSchema",
        "./screens/runs": "rates", "./screens/credits": "period", "./screens/operator": "limitOf throughput", "./screens/bulk": "bulkFilter actionsFor", "./screens/log": "fieldsOf joined LINES_MAX",
        "./screens/scheduleform": "NEW bodyOf timesOf said formOf", "./screens/webhookform": "webhookBody", "./hooks": "pauseAfter" };
    const contents = Object.entries(names).map(([file, list]) => `export { ${list.split(" ").join(", ")} } from "${file}";`).join("\n");
    await build({ stdin: { contents, resolveDir: path.join(ROOT, "console/src"), loader: "ts" }, bundle: true, format: "esm", platform: "node", outfile: path.join(dir, "all.mjs"),
        jsx: "automatic", jsxImportSource: "preact", logLevel: "error",
        // the modules read these when they are loaded
        banner: { js: "globalThis.sessionStorage = globalThis.localStorage = { getItem: () => null }; globalThis.location = { pathname: '/console/', search: '' }; globalThis.addEventListener = () => {};" } });
    c = await import(path.join(dir, "all.mjs"));
});
after(() => rm(dir, { recursive: true, force: true }));

test("a stream of events gives the same messages wherever it is cut", () => {
    const text = "retry: 1000\r\n\r\n: ping\n\nid: 1\nevent: a\ndata: {\"x\":1}\n\nid: 2\rdata: first\rdata:second\r\rid: 3\r\ndata: é 👩\r\n\r\ndata: unfinished\n";
    const whole = [];
    c.parser((m) => whole.push(m))(text);
    assert.deepEqual(whole, [{ id: "1", data: "{\"x\":1}" }, { id: "2", data: "first\nsecond" }, { id: "3", data: "é 👩" }]);
    for (let cut = 0; cut <= text.length; cut++) {
        const got = [], feed = c.parser((m) => got.push(m));
        feed(text.slice(0, cut));
        feed(text.slice(cut));
        assert.deepEqual(got, whole, `cut at ${cut}`);
    }
});

test("a read that is refused for the moment is sent again, another error is not", async (t) => {
    const answers = [], server = createServer((request, response) => {
        const [status, pause] = answers.shift();
        response.writeHead(status, { "Content-Type": "application/json", ...(pause ? { "Retry-After": String(pause) } : {}) });
        response.end(JSON.stringify({ code: String(status), path: request.url }));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const own = globalThis.fetch;
    globalThis.fetch = (url, options) => own(`http://127.0.0.1:${server.address().port}${url}`, options);
    t.after(() => { globalThis.fetch = own; server.close(); server.closeAllConnections(); });
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const got = async (...list) => {
        let result;
        answers.splice(0, answers.length, ...list);
        c.get("/x").then((value) => { result = value.path; }, (error) => { result = error.status; });
        while (result === undefined) {
            await new Promise(setImmediate);
            t.mock.timers.tick(500);
        }
        return [result, answers.length];
    };
    assert.deepEqual(await got([503, 1], [429, 2], [200]), ["/api/v1/x", 0]);
    assert.deepEqual(await got([503, 1], [503, 1], [503, 1], [200]), [503, 1]);
    assert.deepEqual(await got([429, 60], [200]), [429, 1]);
    assert.deepEqual(await got([503], [200]), [503, 1]);
    assert.deepEqual(await got([404, 1], [200]), [404, 1]);
});

test("a pointer leads to the line of its value", () => {
    const text = JSON.stringify({ name: "a", "x/y": { "~": [1, { deep: "]},\"" }] }, program: { steps: [{ url: "u" }, { url: "v" }] } }, null, 2);
    const line = (pointer) => text.split("\n")[c.lineOf(text, pointer)].trim();
    assert.equal(line("/name"), '"name": "a",');
    assert.equal(line("/program/steps/1/url"), '"url": "v"');
    assert.match(line("/x~1y/~0/1/deep"), /^"deep"/);
    assert.match(line("/program/steps/1/missing/member"), /^{/); // the nearest parent that is there
    assert.equal(c.lineOf(text, ""), 0);
    assert.equal(c.lineOf("[\n1,\n2]", "/1"), 2);
    assert.equal(c.lineOf("7", "/a"), 0);
});

test("a text that is not JSON has the line of its error", () => {
    assert.equal(c.syntaxError("{}"), undefined);
    assert.equal(c.syntaxError('{\n"a": 1,\n"b": x\n}').line, 2);
    assert.equal(c.syntaxError("{\n").line, 1);
    for (const [text, at] of [["{\"a\" 1}", 5], ["[1,]", 3], ["{\"a\":1,}", 7], ["\"a\\x\"", 0], ["[1] 2", 4], ["", 0], ["{\"a\":[1,{\"b\":tru}]}", 13], ["01", 1]]) {
        assert.throws(() => JSON.parse(text));
        assert.equal(c.brokenAt(text), at, text);
    }
    const large = JSON.stringify(Array.from({ length: 3000 }, (_, i) => ({ i, text: "é\"\\ ".repeat(100) })), null, 1);
    assert.equal(c.brokenAt(large), large.length);
});

test("the fields of a form follow the schema", () => {
    const kinds = { a: { type: "string", maxLength: 10 }, b: { type: "string" }, c: { type: ["integer", "null"] }, d: { type: "boolean" }, e: { enum: [1, "x", null] }, f: { type: "array" }, g: { $ref: "#/x" },
        h: true, i: { anyOf: [{ type: "string" }], type: "string" } };
    const list = c.entries({ type: "object", required: ["a"], properties: kinds });
    assert.deepEqual(list.map((e) => e.kind), ["text", "long", "number", "boolean", "choice", "json", "json", "json", "json"]);
    assert.deepEqual(list.map((e) => e.required), [true, ...Array(8).fill(false)]);
    for (const none of [undefined, null, true, {}, { type: "object" }, { properties: {} }]) assert.equal(c.entries(none), undefined);
    const by = Object.fromEntries(list.map((e) => [e.name, e]));
    assert.equal(c.valueOf(by.a, ""), "");
    assert.equal(c.valueOf(by.b, ""), undefined);
    assert.equal(c.valueOf(by.c, "12"), 12);
    assert.throws(() => c.valueOf(by.c, "twelve"));
    assert.equal(c.valueOf(by.d, "false"), false);
    assert.equal(c.valueOf(by.e, "\"x\""), "x");
    assert.equal(c.valueOf(by.e, "null"), null);
    assert.deepEqual(c.valueOf(by.f, "[1]"), [1]);
    assert.throws(() => c.valueOf(by.f, "[1"));
    assert.equal(c.initial({ ...by.c, schema: { default: 3 } }), "3");
    assert.equal(c.initial({ ...by.a, schema: { default: "3" } }), "3");
    assert.equal(c.initial({ ...by.e, schema: { default: "x" } }), "\"x\"");
});

test("a step's bar has one part for each try", () => {
    const at = (s) => new Date(1e12 + s * 1000).toISOString(), step = { index: 1, started_at: at(0), completed_at: at(10), status: "completed" };
    const retrying = (index, from, to, item) => ({ type: "step.retrying", at: at(from), data: { index, error: "e", retry_at: at(to), ...(item === undefined ? {} : { item }) } });
    const ms = (list) => list.map((t) => [t.from - 1e12, t.to - 1e12, t.failed]);
    assert.deepEqual(ms(c.tries(step, [retrying(1, 2, 4), retrying(0, 3, 4), retrying(1, 6, 7), retrying(1, 6, 7, 3)], 0)), [[0, 2000, true], [4000, 6000, true], [7000, 10000, false]]);
    assert.deepEqual(ms(c.tries({ ...step, completed_at: null, status: "running" }, [], 1e12 + 5000)), [[0, 5000, false]]);
    assert.deepEqual(c.tries({ ...step, started_at: null }, [], 0), []);
    for (const t of c.tries({ ...step, completed_at: at(5) }, [retrying(1, 4, 60)], 0)) assert.ok(t.to >= t.from);
});

test("the last minute is not zero for runs that end at once, and is extrapolated if it is longer than the list", () => {
    const now = 1e12, run = (age, state = "succeeded") => ({ created_at: new Date(now - age).toISOString(), completed_at: state === "queued" ? null : new Date(now - age + 1).toISOString(), state });
    assert.deepEqual(c.rates([run(1000), run(2000, "failed"), run(3000, "queued"), run(61000)], now), { about: false, accepted: 3, succeeded: 1, failed: 1, stopped: 0 });
    const many = c.rates(Array.from({ length: 200 }, (_, i) => run(i * 50)), now); // 200 in ten seconds
    assert.ok(many.about && many.accepted > 1100 && many.accepted < 1300, JSON.stringify(many));
    assert.deepEqual(c.rates([], now), { about: false, accepted: 0, succeeded: 0, failed: 0, stopped: 0 });
});

test("periods are days and months of UTC", () => {
    const now = Date.parse("2026-03-31T23:30:00Z");
    assert.deepEqual(c.period("last-month", now), { from: "2026-02-01", to: "2026-03-01" });
    assert.deepEqual(c.period("this-month", now), { from: "2026-03-01", to: "2026-04-01" });
    assert.deepEqual(c.period("7", now), { from: "2026-03-25", to: "2026-04-01" });
    assert.deepEqual(c.period("last-month", Date.parse("2026-01-05T00:00:00Z")), { from: "2025-12-01", to: "2026-01-01" });
});

test("scales, limits, queries and pauses", () => {
    for (const [top, round] of [[0, 1], [1, 1], [1.2, 2], [2.2, 2.5], [9, 10], [1234, 2000], [0.03, 0.05]]) assert.ok(Math.abs(c.ceiling(top) - round) < 1e-9, `${top}`);
    assert.equal(c.limitOf(" "), null);
    assert.equal(c.limitOf("60"), 60);
    for (const bad of ["-1", "0", "1.5", "many", "1e3"]) assert.throws(() => c.limitOf(bad));
    assert.equal(c.query({ a: "x y&z", b: "", c: undefined, d: 0 }), "?a=x+y%26z&d=0");
    assert.equal(c.query({}), "");
    for (const [every, took, least] of [[0, 1, 2000], [5000, 1, 5000], [2000, 500, 10000], [2000, 1e9, 60000]]) {
        const pauses = Array.from({ length: 100 }, () => c.pauseAfter(every, took));
        assert.ok(pauses.every((pause) => pause >= least && pause < least * 1.25 + 1) && new Set(pauses).size > 1);
    }
});

test("a rate needs two readings", () => {
    const at = (s, succeeded) => ({ at: new Date(1e12 + s * 1000).toISOString(), ended_total: { succeeded, failed: 1, stopped: 0 } });
    assert.equal(c.throughput(undefined, at(0, 5)), undefined);
    assert.equal(c.throughput(at(0, 5), at(5, 55)), 10);
    assert.equal(c.throughput(at(5, 55), at(5, 55)), undefined);
    assert.equal(c.throughput(at(0, 55), at(5, 5)), 0); // retention has removed some
});

test("a bulk job has the filters of the list, or is not offered", () => {
    const none = { state: "", responder: "", tag: "", batch: "", schedule: "", from: "", to: "", error: "", error_hash: "", parent: "" };
    assert.deepEqual(c.bulkFilter(none), {});
    assert.deepEqual(c.bulkFilter({ ...none, state: "failed", responder: "r", tag: "t", batch: "b", from: "f", to: "u", parent: "p" }),
        { state: "failed", responderIds: ["r"], tag: "t", parentId: "p", batch_id: "b", created_after: "f", created_before: "u" });
    assert.deepEqual(c.bulkFilter({ ...none, error: "e", error_hash: "h" }), { error: "e", error_hash: "h" });
    assert.equal(c.bulkFilter({ ...none, schedule: "x" }), undefined);
    assert.deepEqual(c.actionsFor("", true), ["retry"]);
    assert.deepEqual(["", "queued", "running", "failed"].map((state) => c.actionsFor(state)), [["stop", "retry"], ["stop"], ["stop"], ["retry"]]);
});

test("the schema of a signal is that of the wait with the name, wherever it stands in the program", () => {
    const schema = { type: "object" }, program = { steps: [{ name: "a", type: "transform", value: { type: "wait", name: "other" } }, { name: "b", type: "parallel", branches: [[{ name: "w", type: "wait", signal: "go", schema }]] }] };
    assert.equal(c.signalSchema(program, "w"), schema);
    assert.equal(c.signalSchema(program, "a"), undefined);
    assert.equal(c.signalSchema(null, "w"), undefined);
});

test("the form of a schedule sends the members of its kind, and what is no number as it is", () => {
    const form = { ...c.NEW, target: "w/1", note: "n", tags: " one \n\ntwo", inputs: "{\"a\": 1}" };
    const body = (f, before) => JSON.parse(c.bodyOf(f, before));
    assert.deepEqual(body(form), { workflow_id: "1", cron: "0 6 * * MON-FRI", timezone: "UTC", start_at: null, end_at: null, overlap: "skip", jitter_seconds: 0, catch_up_seconds: 60, note: "n", tags: ["one", "two"], inputs: { a: 1 } });
    assert.deepEqual(body({ ...form, target: "s/count", kind: "every", every: "12x" }).every_seconds, "12x");
    assert.equal(body({ ...form, target: "s/count" }).skill, "count");
    assert.deepEqual(c.timesOf({ ...form, kind: "at", at: "" }), { at: "", timezone: "UTC", start_at: null, end_at: null });
    assert.throws(() => c.bodyOf({ ...form, inputs: "{" }), SyntaxError);
    assert.match(c.bodyOf({ ...form, inputs: "{\"n\": 9007199254740993}" }), /"inputs":\{"n": 9007199254740993\}\}$/); // as it was entered
});

test("the change of a schedule names only what was changed", () => {
    const stored = { workflow_id: "1", cron: null, every_seconds: 86400, at: null, timezone: "UTC", overlap: "skip", jitter_seconds: 0, catch_up_seconds: 60, start_at: "2026-11-27T10:00:00.500Z", end_at: null, note: "n",
        tags: [" padded"], inputs: { a: 1 } };
    const before = c.formOf(stored), change = (more) => JSON.parse(c.bodyOf({ ...before, ...more }, before));
    assert.deepEqual(change({}), {});
    assert.deepEqual(change({ note: "m" }), { note: "m" });
    assert.deepEqual(change({ kind: "cron", cron: "0 6 * * *" }), { cron: "0 6 * * *" });
    assert.deepEqual(change({ start: "", tags: "", jitter: "5" }), { start_at: null, tags: null, jitter_seconds: 5 });
    assert.deepEqual(change({ inputs: "{\"a\": 2}" }), { inputs: { a: 2 } });
    const once = c.formOf({ ...stored, every_seconds: null, at: "2001-01-01T00:00:00Z" });
    assert.deepEqual(JSON.parse(c.bodyOf({ ...once, note: "past" }, once)), { note: "past" });
});

test("a body that is sent again has its key, another one of the same length has another", () => {
    const key = c.keys(), first = key("{\"a\":1}");
    assert.equal(key("{\"a\":1}"), first);
    assert.notEqual(key("{\"a\":2}"), first);
    assert.notEqual(c.keys()("{\"a\":1}"), first);
});

test("a delay that is over leaves nothing at its signal, and an aborted one ends at once", async () => {
    const end = new AbortController();
    for (let i = 0; i < 5; i++) await c.delay(0, end.signal);
    assert.equal(getEventListeners(end.signal, "abort").length, 0);
    const long = c.delay(3600000, end.signal);
    assert.equal(getEventListeners(end.signal, "abort").length, 1);
    end.abort();
    await long;
    await c.delay(3600000, end.signal);
});

test("what a problem says of a member is found by its pointer, or by its name at the beginning", () => {
    const problem = (status, message, errors = []) => ({ status, message, errors });
    assert.equal(c.said(problem(422, "wrong", [{ pointer: "/cron", message: "no" }]), "cron"), "no");
    assert.equal(c.said(problem(422, "wrong", [{ pointer: "/tags/0", message: "no" }]), "filter", "tags"), "no");
    assert.equal(c.said(problem(422, "wrong", [{ pointer: "/cronies", message: "no" }]), "cron"), undefined);
    assert.equal(c.said(problem(400, "every_seconds must be an integer"), "every_seconds"), "every_seconds must be an integer");
    assert.equal(c.said(problem(503, "every_seconds must be an integer"), "every_seconds"), undefined);
    assert.equal(c.said(undefined, "cron"), undefined);
});

test("the form of a webhook removes what is empty", () => {
    const form = { url: " https://x/ ", description: "", events: ["execution.failed"], responder: "", tags: "\n a \n" };
    assert.deepEqual(c.webhookBody(form), { url: "https://x/", description: null, events: ["execution.failed"], filter: { workflow_id: null, tags: ["a"] } });
    const before = { url: "https://x/", description: "d", events: ["execution.failed", "of.tomorrow"], responder: "", tags: "" };
    assert.deepEqual(c.webhookBody({ ...before }, before), {});
    assert.deepEqual(c.webhookBody({ ...before, description: "" }, before), { description: null });
    assert.deepEqual(c.webhookBody({ ...before, responder: "w" }, before), { filter: { workflow_id: "w", tags: null } });
});

test("lines of the log: fields as in the file, the newest first, and only so many", () => {
    assert.equal(c.fieldsOf({ host: "h", at: "t", level: "info", process: "p", event: "e", execution: "x", n: 1, message: "two words", cut: true }), "execution=x n=1 message=\"two words\" cut=true");
    const rows = (from, to) => Array.from({ length: to - from }, (_, i) => ({ id: String(from + i), line: null }));
    assert.deepEqual(c.joined(rows(0, 2), rows(2, 4)).map((r) => r.id), ["3", "2", "0", "1"]);
    assert.equal(c.joined(rows(0, c.LINES_MAX), rows(0, 5)).length, c.LINES_MAX);
});

test("numbers that do not fit a double keep their text", () => {
    const long = ["9007199254740993", "-9007199254740993", "12345678901234567890", "0.1234567890123456789", "-1.00000000000000000001", "1e400", "-1E+400", "1e-400", "123456789012345678901234567890.5e10"];
    for (const text of long) {
        assert.ok(c.readJson(text) instanceof c.ExactNumber, text);
        assert.equal(c.writeJson(c.readJson(text)), text);
        assert.equal(c.writeJson(c.readJson(`{"a":[${text},{"b":${text}}],"c":"${text}"}`)), `{"a":[${text},{"b":${text}}],"c":"${text}"}`);
    }
    assert.equal(c.readJson("9007199254740993") + 1, 9007199254740993); // it computes as what JSON.parse makes of it
    assert.equal(c.writeJson({ a: c.readJson("9007199254740993") }, 2), '{\n  "a": 9007199254740993\n}');
    assert.deepEqual(c.valueOf({ name: "n", kind: "number", required: true, schema: {} }, "9007199254740993").text, "9007199254740993");
    assert.equal(c.initial({ name: "n", kind: "number", required: true, schema: { default: c.readJson("9007199254740993") } }), "9007199254740993");
});

test("neither a long number nor a long string is too much", () => {
    const zeros = `1${"0".repeat(3000000)}1`; // in a time that grows with the square of this, it would take hours
    assert.equal(c.writeJson(c.readJson(`[${zeros}]`)), `[${zeros}]`);
    for (const text of ["x".repeat(1 << 25), '\\"'.repeat(1 << 24)]) assert.equal(c.readJson(`{"a":"${text}","b":9007199254740993}`).b.text, "9007199254740993");
});

test("other JSON is read and written as by JSON", () => {
    const texts = ["0", "-0", "1", "9007199254740991", "0.1", "1e22", "1.0", "100000000000000000000", "1.50e1", "0.00000000000000000100", "123456789.123456", "true", "null", "[]", '"9007199254740993"',
        '"\\"9007199254740993"', '{"9007199254740993":"a:1e400","b":[1,2.5,"\\\\"]}', '{"__proto__":{"x":1e400}}', ' [ 1 , "x" ] '];
    for (const text of texts) {
        if (!text.includes("__proto__")) assert.deepEqual(c.readJson(text), JSON.parse(text), text);
        if (!text.includes("1e400,")) assert.equal(c.writeJson(JSON.parse(text)), JSON.stringify(JSON.parse(text)), text);
    }
    assert.equal(c.writeJson(c.readJson('{"__proto__":{"x":1e400}}')), '{"__proto__":{"x":1e400}}');
    assert.equal(c.writeJson(undefined), undefined);
    for (const text of ["", "[9007199254740993", "01234567890123456789", "9007199254740993x", "-", "1.e400", "+9007199254740993", '{"a":9007199254740993,}']) {
        const message = (read) => { try { read(text); } catch (error) { return String(error); } };
        assert.ok(message(JSON.parse), text);
        assert.equal(message(c.readJson), message(JSON.parse), text);
    }
});

test("only one file of the console reads and writes JSON", async () => {
    const from = path.join(ROOT, "console/src"), found = [];
    for (const entry of await readdir(from, { recursive: true })) {
        if (!/\.tsx?$/.test(entry) || entry === "exact.ts") continue;
        if (/JSON\.(parse|stringify)|\.json\(\)/.test(await readFile(path.join(from, entry), "utf8"))) found.push(entry);
    }
    assert.deepEqual(found, []);
});
