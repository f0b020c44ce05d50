// Passes HTTP requests on to a server with an API key, for programs that cannot send one. Prints its port
// when it listens.
// usage: node mcp_relay.mjs URL KEY PORT
import http from "node:http";

const [target, key, port] = process.argv.slice(2);
const server = http.createServer((request, response) => {
    const headers = { ...request.headers, authorization: `Bearer ${key}` };
    const onward = http.request(new URL(request.url, target), { method: request.method, headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        response.flushHeaders();
        answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
});
server.listen(Number(port), "127.0.0.1", () => console.log(server.address().port));
