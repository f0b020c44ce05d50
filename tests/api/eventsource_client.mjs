// Follows an event stream with the npm package eventsource until it closes permanently. Prints one JSON line for each event.
// usage: node eventsource_client.mjs URL
import { EventSource } from "../node_modules/eventsource/dist/index.js";

const types = ["execution.queued", "execution.started", "step.started", "step.succeeded", "step.failed", "step.skipped",
    "log", "progress", "artifact.created", "execution.child_started", "execution.requeued", "execution.succeeded",
    "execution.failed", "execution.stopped", "step.retrying", "artifacts.refused", "files.missing", "step.adopted"];
const print = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const source = new EventSource(process.argv[2]);

for (const type of types)
    source.addEventListener(type, (e) => print({ id: e.lastEventId, event: type, data: JSON.parse(e.data) }));
source.addEventListener("open", () => print({ open: true }));
source.addEventListener("error", (e) => {
    print({ error: e.code ?? null, closed: source.readyState === EventSource.CLOSED });
    if (source.readyState === EventSource.CLOSED)
        process.exit(0);
});
