// What tests/api/test_client_typescript.py asks of the package, as a caller writes it; compiled under strict.
// usage: node client_scenarios.js SCENARIO, with the environment that the test sets. Prints lines of JSON.
import { ApiError, Client, ConnectionFailed, isCode, parseJson, RunTimeout, stringifyJson, verifyWebhook, WebhookInvalid, type Json } from "millrace-client";

const env = (name: string): string => process.env[name] ?? "";
const print = (value: unknown) => console.log(stringifyJson(value));
const client = new Client({
    url: env("URL"), key: env("KEY"), retrySeconds: Number(env("RETRY_SECONDS") || 60),
    onRetry: (error) => print({ retry: error instanceof ApiError ? error.code : "connection", after: error instanceof ApiError ? error.retryAfter : undefined }),
});
const flow = env("WORKFLOW");

async function caught(call: () => Promise<unknown>): Promise<unknown> {
    try {
        await call();
        return "nothing was thrown";
    } catch (error) {
        if (error instanceof ApiError)
            return { status: error.status, code: error.code, pointer: error.errors[0]?.pointer, request: typeof error.requestId };
        return { name: error instanceof Error ? error.name : "?" };
    }
}

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
    const found: T[] = [];
    for await (const one of list)
        found.push(one);
    return found;
}

const scenarios: Record<string, () => Promise<void>> = {
    async run() {
        const inputs: { [member: string]: Json } = { n: 1, large: 2n ** 53n + 1n, negative: -(2n ** 63n), half: 0.5, text: "9007199254740993", deep: [{ n: 9007199254740993n }] };
        const execution = await client.runAndWait(flow, inputs, { tags: ["x"], metadata: { m: 2 } });
        const output = execution.detail.output as { large: bigint; n: number };
        print({ state: execution.state, output, types: [typeof output.large, typeof output.n], tags: execution.tags });
        const steps = (await client.execution(execution.id, { steps: true })).steps ?? [];
        const again = await client.wait((await client.retry(execution.id)).execution_id);
        print({ step: steps[0]?.status, again: again.retry_of === execution.id, runs: (await client.usage({ group_by: "day" })).total.runs, balance: await client.balance() });
        await client.purge(execution.id);
        print({ purged: (await client.execution(execution.id)).isPurged });
    },
    async pages() {
        const started: string[] = [];
        for (let n = 0; n < 7; n++)
            started.unshift((await client.run(flow, { n })).execution_id);
        const listed = (await all(client.executions({ limit: 3, workflow_id: flow }))).map((e) => e.id);
        print({ same: stringifyJson(listed) === stringifyJson(started), debits: (await all(client.ledger({ limit: 2 }))).filter((e) => e.kind === "debit").length,
            workflows: (await all(client.workflows({ limit: 1 }))).length });
    },
    async errors() {
        print(await caught(() => client.execution("01890000-0000-7000-8000-000000000000")));
        print(await caught(() => client.createWorkflow("w", { steps: 1 })));
        await client.run(flow, { n: 1 }, { idempotencyKey: "same" });
        print(await caught(() => client.run(flow, { n: 2 }, { idempotencyKey: "same" })));
        try {
            await client.workflow("01890000-0000-7000-8000-000000000000");
        } catch (error) {
            if (isCode(error, "not_found")) {
                const code: "not_found" = error.code;
                print({ narrowed: code, other: isCode(error, "internal"), connection: error instanceof ConnectionFailed });
            }
        }
    },
    async refused() {
        const run = env("RUN");
        print(await caught(() => client.runAndWait(flow)));
        print(await caught(() => all(client.events(run))));
        print(await caught(() => all(client.executions())));
        print(await caught(() => client.upload("a", "b")));
    },
    async wait() {
        const execution = await client.runAndWait(flow, { n: 1 });
        print({ state: execution.state, output: execution.detail.output });
    },
    async key() {
        print({ id: (await client.run(flow, { n: 1 }, { idempotencyKey: "k" })).execution_id });
    },
    async events() {
        const run = (await client.run(flow)).execution_id;
        const events = await all(client.events(run));
        print({ seqs: events.map((e) => e.seq), last: events.at(-1)?.type });
        print({ seqs: (await all(client.events(run, { after: 3 }))).map((e) => e.seq), none: (await all(client.events(run, { after: events.length }))).length });
    },
    async feed() {
        const feed = await client.feed({ tag: "fed", types: ["execution.succeeded"], ...(env("AFTER") ? { after: env("AFTER") } : {}) });
        print({ begun: feed.lastId });
        let left = Number(env("COUNT"));
        for await (const event of feed) {
            print({ id: event.execution_id ?? event.type, last: feed.lastId });
            if (--left === 0)
                break;
        }
        print({ done: (await feed.next()).done });
    },
    async closed() {
        const feed = await client.feed();
        const waiting = feed.next();
        feed.close();
        print(await waiting);
    },
    async timeout() {
        try {
            await client.runAndWait(flow, {}, { timeout: 1 });
        } catch (error) {
            if (error instanceof RunTimeout)
                print({ stopped: (await client.stop(error.executionId)).status, state: (await client.wait(error.executionId)).state });
        }
    },
    async files() {
        const content = new Uint8Array(300000).map((_, i) => i * 7);
        const name = await client.upload('a "b" ü.txt', content);
        await client.upload("one.txt", "one two two");
        const back = await client.download(name);
        print({ same: back.length === content.length && back.every((byte, i) => byte === content[i]), files: (await all(client.files({ limit: 1 }))).length });
        await client.deleteFile(name);
        print(await caught(() => client.download(name)));
    },
    async webhooks() {
        const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body = '{"test": 2432232314}', now = 1614265330;
        const headers = { "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330", "webhook-signature": "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" };
        const other = "whsec_" + btoa("another");
        await verifyWebhook(secret, headers, body, { now });
        await verifyWebhook([other, secret], new Headers(headers), new TextEncoder().encode(body), { now: now + 300 });
        const bad: (() => Promise<void>)[] = [
            () => verifyWebhook(other, headers, body, { now }), () => verifyWebhook(secret, headers, body + " ", { now }),
            () => verifyWebhook(secret, headers, body, { now: now + 301 }), () => verifyWebhook(secret, headers, body, { now: now - 301 }),
            () => verifyWebhook(secret, { ...headers, "webhook-id": "msg_2" }, body, { now }), () => verifyWebhook(secret, {}, body, { now }),
            () => verifyWebhook(secret, { ...headers, "webhook-timestamp": "now" }, body, { now }), () => verifyWebhook([], headers, body, { now }),
            () => verifyWebhook(secret, { ...headers, "webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" }, body, { now }),
        ];
        for (const check of bad)
            print(await check().then(() => "accepted", (error: unknown) => error instanceof WebhookInvalid ? "invalid" : String(error)));
    },
    async json() {
        for (const text of ['{"a":9007199254740993,"b":"9007199254740993","c\\"1":[-9007199254740993,1,1.5,1e3,"x\\\\"],"d":12345678901234567890}', "9007199254740992", "[]", '"\\u0041"', "0", "-0.5e-3"])
            print({ same: stringifyJson(parseJson(text)) });
        print({ kinds: [typeof parseJson("9007199254740993"), typeof parseJson("9007199254740991")] });
    },
};

await scenarios[process.argv[2] ?? ""]!();
