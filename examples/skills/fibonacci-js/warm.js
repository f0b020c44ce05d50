// The protocol of warm skills (docs/skills.md) in Node. Copy this file into a skill; the skill is then
//
//     const warm = require('./warm');
//     warm.serve(async (inputs) => ({ result: inputs.n + 1 }));
//
// While the function runs, the environment variables TRACEPARENT and TRACESTATE say to which trace the job belongs (docs/traces.md), for
// OpenTelemetry and for child processes.
// An error of the function fails the job with its message and leaves its stack in the log; the process takes the next job.
'use strict';
const fs = require('fs');

// what a library prints on stdout becomes part of the log
Object.defineProperty(process, 'stdout', { value: process.stderr });

async function answer(handle, token, inputs) {
  try {
    return `ok ${token} ${JSON.stringify(await handle(JSON.parse(inputs)))}`;
  } catch (error) {
    console.error(error && error.stack ? error.stack : error);
    return `error ${token} ${String(error).replace(/\n/g, ' ')}`;
  }
}

function setTrace(token) {
  const [, ...parts] = token.split(';'); // no parts: the token has no trace
  ['TRACEPARENT', 'TRACESTATE'].forEach((name, i) => {
    if (parts[i]) process.env[name] = decodeURIComponent(parts[i]);
    else delete process.env[name];
  });
}

function write(text) {
  const bytes = Buffer.from(text + '\n');
  for (let done = 0; done < bytes.length; ) done += fs.writeSync(1, bytes, done);
}

// Lines end with \n only: within a JSON string, readline would also split at U+2028.
async function* lines() {
  let rest = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    rest = Buffer.concat([rest, chunk]);
    for (let end; (end = rest.indexOf(10)) >= 0; rest = rest.subarray(end + 1)) yield rest.toString('utf8', 0, end);
  }
}

exports.serve = async (handle) => {
  for await (const line of lines()) {
    const [, token] = line.split(' ', 2);
    setTrace(token);
    process.chdir('/work'); // the job before may have left it
    write(await answer(handle, token, line.slice(line.indexOf(' ', 4) + 1)));
  }
};
