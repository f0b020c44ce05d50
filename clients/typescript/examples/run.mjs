// Runs a workflow, prints its events and its output. MILLRACE_URL, MILLRACE_API_KEY and MILLRACE_WORKFLOW_ID name what to use.
import { Client, stringifyJson } from "../dist/index.js";

const client = new Client({ url: process.env.MILLRACE_URL, key: process.env.MILLRACE_API_KEY });
const started = await client.run(process.env.MILLRACE_WORKFLOW_ID, { reader: "Ada" });
for await (const event of client.events(started.execution_id))
    console.log(event.seq, event.type);
const execution = await client.wait(started.execution_id);
console.log(execution.state, stringifyJson(execution.detail.output));
