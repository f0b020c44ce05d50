// Receives spans by OTLP over HTTP at a Unix socket, checks each request against the protocol's own definitions, and prints
// one line of JSON for each span, and one {"error"} for what is not valid.
// usage: node otlp_receiver.mjs SOCKET
import { createRequire } from "node:module";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";

const require = createRequire(import.meta.url);
const folder = path.dirname(require.resolve("@opentelemetry/otlp-transformer/package.json"));
const root = require(path.join(folder, "build/src/generated/root.js"));
const Request = root.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
const say = (value) => fs.writeSync(1, JSON.stringify(value) + "\n");

function bytes(hex, size, may_be_empty) {
    if (hex === undefined && may_be_empty)
        return new Uint8Array();
    if (typeof hex !== "string" || !/^[0-9a-f]*$/.test(hex) || hex.length !== 2 * size || /^0*$/.test(hex))
        throw new Error(`not an id of ${size} bytes: ${hex}`);
    return new Uint8Array(Buffer.from(hex, "hex"));
}

/* Every member that was sent is one that the definitions have. */
function compare(sent, known, at) {
    for (const [name, value] of Object.entries(sent)) {
        if (!(name in known))
            throw new Error(`unknown: ${at}/${name}`);
        if (value && typeof value === "object" && !(value instanceof Uint8Array))
            compare(value, known[name], `${at}/${name}`);
    }
}

function receive(text) {
    const lines = [];
    const sent = JSON.parse(text);
    for (const resource of sent.resourceSpans) {
        for (const scope of resource.scopeSpans) {
            for (const span of scope.spans) {
                span.traceId = bytes(span.traceId, 16);
                span.spanId = bytes(span.spanId, 8);
                span.parentSpanId = bytes(span.parentSpanId, 8, true);
            }
        }
    }
    const message = Request.fromObject(sent);
    const problem = Request.verify(message);
    if (problem)
        throw new Error(problem);
    const decoded = Request.decode(Request.encode(message).finish());
    const spans = Request.toObject(decoded, { longs: String, enums: String, defaults: true });
    compare(sent, spans, "");
    for (const resource of spans.resourceSpans) {
        const of = (list) => Object.fromEntries(list.map((a) => [a.key, a.value.stringValue || Number(a.value.intValue)]));
        for (const scope of resource.scopeSpans) {
            for (const s of scope.spans)
                lines.push({ service: of(resource.resource.attributes)["service.name"], trace: Buffer.from(s.traceId).toString("hex"),
                      id: Buffer.from(s.spanId).toString("hex"), parent: Buffer.from(s.parentSpanId).toString("hex"),
                      name: s.name, kind: s.kind, start: s.startTimeUnixNano, end: s.endTimeUnixNano,
                      status: s.status?.code ?? null, message: s.status?.message ?? null, ...of(s.attributes) });
        }
    }
    return lines;
}

const server = http.createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (piece) => { text += piece; });
    request.on("end", () => {
        let status = 200, lines;
        try {
            if (request.url !== "/v1/traces" || request.method !== "POST" || request.headers["content-type"] !== "application/json")
                throw new Error(`not an export: ${request.method} ${request.url}`);
            lines = receive(text);
        } catch (error) {
            status = 400;
            lines = [{ error: String(error), text }];
        }
        response.writeHead(status, { "content-type": "application/json" });
        // printed once the answer is on its way: whoever reads it may stop this program
        response.end("{}", () => lines.forEach(say));
    });
});
const socket = process.argv[2];
fs.rmSync(socket, { force: true });
server.listen(socket, () => say({ ready: true }));
