// Uses a server by the reference client of the Model Context Protocol for revision 2026-07-28. Lists all tools, calls those that are named, as
// NAME JSON pairs, with progress, and prints one JSON value.
// usage: node mcp_stateless_client.mjs URL KEY MODE [NAME JSON]…; MODE: auto or a revision
import { Client, StreamableHTTPClientTransport } from "../node_modules/@modelcontextprotocol/client/dist/index.mjs";

const [url, key, mode, ...rest] = process.argv.slice(2);
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } });
const client = new Client({ name: "millrace-tests", version: "1.0.0" }, { versionNegotiation: { mode: mode === "auto" ? mode : { pin: mode } } });
await client.connect(transport);
const tools = [], results = [], progress = [];
for (let cursor; ;) {
    const page = await client.listTools(cursor ? { cursor } : {});
    tools.push(...page.tools.map((t) => t.name));
    if (!(cursor = page.nextCursor)) break;
}
for (let i = 0; i < rest.length; i += 2)
    results.push(await client.callTool({ name: rest[i], arguments: JSON.parse(rest[i + 1]) }, { onprogress: (p) => progress.push(p.message) }));
console.log(JSON.stringify({ tools, results, progress, version: client.getNegotiatedProtocolVersion(), server: client.getServerVersion(), session: transport.sessionId ?? null }));
await client.close();
