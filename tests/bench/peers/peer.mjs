/* The service that people make by hand: Fastify accepts, BullMQ carries, MariaDB keeps. Started by run.py as
 *
 *   node peer.mjs api|worker PROCESSES
 *
 * It keeps the promises that the comparison is about and nothing else: an acknowledged run is committed and paid for, its result and
 * events are committed. It has no idempotency keys, limits, stop, streams or recovery beyond what BullMQ has. */
import cluster from "node:cluster";
import { createHash, randomFillSync } from "node:crypto";
import { Queue, Worker } from "bullmq";
import Fastify from "fastify";
import Redis from "ioredis";
import mariadb from "mariadb";

const { PEER_DB, PEER_DB_USER, PEER_REDIS, PEER_PORT } = process.env;
const [role, processes] = [process.argv[2], Number(process.argv[3])];
const QUEUE = "runs";
/* of one process: BullMQ's jobs at a time, and connections to MariaDB */
const CONCURRENCY = 64;
const CONNECTIONS = 32;

const redis = () => new Redis({ path: PEER_REDIS, db: 5, maxRetriesPerRequest: null, enableAutoPipelining: true });
const database = () =>
  mariadb.createPool({ socketPath: PEER_DB, user: PEER_DB_USER, database: "peer", connectionLimit: CONNECTIONS, bigIntAsNumber: true });

/* UUIDs that grow with time, as the rows of the primary keys should */
const noise = Buffer.alloc(16);
function newId() {
  randomFillSync(noise);
  noise.writeUIntBE(Date.now(), 0, 6);
  noise[6] = (noise[6] & 0x0f) | 0x70;
  noise[8] = (noise[8] & 0x3f) | 0x80;
  const h = noise.toString("hex");
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
}

/* A transaction in two round trips: its statements are sent together, then the commit. `accept` judges the last result. */
async function transaction(pool, statements, accept) {
  const db = await pool.getConnection();
  try {
    const results = await Promise.all([db.query("START TRANSACTION"), ...statements.map(([text, values]) => db.execute(text, values))]);
    const good = accept(results.at(-1));
    await db.query(good ? "COMMIT" : "ROLLBACK");
    return good;
  } catch (e) {
    await db.rollback();
    throw e;
  } finally {
    db.release();
  }
}

async function serve() {
  const pool = database();
  const queue = new Queue(QUEUE, { connection: redis() });
  const app = Fastify();
  const keys = new Map();
  const workflows = new Map();

  async function workspaceOf(request) {
    const key = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    if (!keys.has(key)) {
      const [row] = await pool.execute("SELECT workspace FROM api_keys WHERE hash = ?", [createHash("sha256").update(key).digest()]);
      if (row) keys.set(key, row.workspace);
    }
    return keys.get(key);
  }

  app.post("/api/v1/workflows/:id/run-async", {
    schema: { body: { type: "object", properties: { inputs: { type: "object" } } } },
  }, async (request, reply) => {
    const workspace = await workspaceOf(request);
    if (!workspace) return reply.code(401).send({ code: "unauthorized" });
    const workflow = request.params.id;
    if (workflows.get(workflow) !== workspace) {
      const [row] = await pool.execute("SELECT workspace FROM workflows WHERE id = ?", [workflow]);
      if (row?.workspace !== workspace) return reply.code(404).send({ code: "not_found" });
      workflows.set(workflow, workspace);
    }
    const id = newId();
    const inputs = JSON.stringify(request.body.inputs ?? {});
    // the account last, so that its lock is held for as short as can be
    const paid = await transaction(pool, [
      ["INSERT INTO executions (id, workspace, workflow, state, inputs, created) VALUES (?, ?, ?, 1, ?, NOW(3))", [id, workspace, workflow, inputs]],
      ["INSERT INTO ledger VALUES (?, ?, ?, -1)", [newId(), workspace, id]],
      ["INSERT INTO events VALUES (?, 1, 'execution.queued', NOW(3), NULL)", [id]],
      ["UPDATE accounts SET balance = balance - 1 WHERE workspace = ? AND balance >= 1", [workspace]],
    ], (debit) => debit.affectedRows === 1);
    if (!paid) return reply.code(402).send({ code: "insufficient_credits" });
    await queue.add("run", { id, workflow, inputs }, { jobId: id, removeOnComplete: true, attempts: 3 });
    return reply.code(202).send({ execution_id: id, status: "queued" });
  });
  await app.listen({ host: "127.0.0.1", port: Number(PEER_PORT) });
}

function work() {
  const pool = database();
  const programs = new Map();
  const worker = new Worker(QUEUE, async (job) => {
    const { id, workflow, inputs } = job.data;
    if (!programs.has(workflow)) {
      const [row] = await pool.execute("SELECT program FROM workflows WHERE id = ?", [workflow]);
      programs.set(workflow, JSON.parse(row.program));
    }
    const values = JSON.parse(inputs);
    const outputs = JSON.stringify(Object.fromEntries(programs.get(workflow).steps.map((s) => [s.name, { n: values.n }])));
    await transaction(pool, [
      ["INSERT IGNORE INTO events VALUES (?, 2, 'execution.started', NOW(3), NULL), (?, 3, 'step.succeeded', NOW(3), ?), "
        + "(?, 4, 'execution.succeeded', NOW(3), NULL)", [id, id, outputs, id]],
      ["UPDATE executions SET state = 3, outputs = ?, finished = NOW(3) WHERE id = ? AND state = 1", [outputs, id]],
    ], (end) => end.affectedRows === 1);
  }, { connection: redis(), concurrency: CONCURRENCY });
  worker.on("error", (e) => console.error(e.message));
}

if (cluster.isPrimary) {
  for (let i = 0; i < processes; i++) cluster.fork();
  cluster.on("exit", () => process.exit(1));
  process.on("SIGTERM", () => process.exit(0));
} else if (role === "api") {
  await serve();
} else {
  work();
}
