// Uses a server by the reference client of the Model Context Protocol. Prints one JSON value.
// usage: node mcp_client.mjs SCENARIO URL KEY [ARGUMENT…]
import { Client } from "../node_modules/@modelcontextprotocol/sdk/dist/esm/client/index.js";
import { StreamableHTTPClientTransport } from "../node_modules/@modelcontextprotocol/sdk/dist/esm/client/streamableHttp.js";

const [scenario, url, key, ...rest] = process.argv.slice(2);
const sleepless = { initialReconnectionDelay: 100, maxReconnectionDelay: 1000, reconnectionDelayGrowFactor: 1.5, maxRetries: 50 };

async function connect() {
    const transport = new StreamableHTTPClientTransport(new URL(url), {
        requestInit: { headers: { Authorization: `Bearer ${key}` } }, reconnectionOptions: sleepless });
    const client = new Client({ name: "millrace-tests", version: "1.0.0" });
    await client.connect(transport);
    return { client, transport };
}

const scenarios = {
    // lists all tools and calls those that are named, as NAME JSON pairs
    async call({ client, transport }) {
        const tools = [];
        for (let cursor; ;) {
            const page = await client.listTools(cursor ? { cursor } : {});
            tools.push(...page.tools.map((t) => t.name));
            if (!(cursor = page.nextCursor))
                break;
        }
        const results = [];
        for (let i = 0; i < rest.length; i += 2)
            results.push(await client.callTool({ name: rest[i], arguments: JSON.parse(rest[i + 1]) }));
        await client.ping();
        await transport.terminateSession();
        return { tools, results, version: transport.protocolVersion, server: client.getServerVersion() };
    },

    // calls a tool with progress; prints a line at the first progress, so that the test can cut the connection then
    async follow({ client }) {
        const progress = [];
        const onprogress = (p) => {
            if (progress.push(p.progress) === 1)
                process.stderr.write("progress\n");
        };
        const result = await client.callTool({ name: rest[0], arguments: {} }, undefined, { onprogress, resetTimeoutOnProgress: true });
        return { result, progress };
    },

    // calls a tool and aborts at the first progress
    async cancel({ client }) {
        const abort = new AbortController();
        const onprogress = () => abort.abort("enough");
        try {
            return { result: await client.callTool({ name: rest[0], arguments: {} }, undefined, { onprogress, signal: abort.signal }) };
        } catch (error) {
            await client.ping(); // the notification was sent before
            return { error: String(error) };
        }
    },

    // an agent: a model (a stub at rest[0], whose API is that of chat completions) chooses tools until it answers with text
    async agent({ client }) {
        const { tools } = await client.listTools();
        const messages = [{ role: "user", content: rest[1] }];
        const functions = tools.map((t) => ({ type: "function", function: { name: t.name, description: t.description, parameters: t.inputSchema } }));
        for (let round = 0; round < 100; round++) {
            const answer = await fetch(rest[0], { method: "POST", headers: { "Content-Type": "application/json" },
                body: JSON.stringify({ model: "stub", messages, tools: functions }) });
            const { message } = (await answer.json()).choices[0];
            messages.push(message);
            if (!message.tool_calls)
                return { messages };
            for (const call of message.tool_calls) {
                const result = await client.callTool({ name: call.function.name, arguments: JSON.parse(call.function.arguments) });
                messages.push({ role: "tool", tool_call_id: call.id, content: result.content[0].text, is_error: result.isError === true });
            }
        }
        throw new Error("the model did not come to an end");
    },
};

const connected = await connect();
console.log(JSON.stringify(await scenarios[scenario](connected)));
await connected.client.close();
