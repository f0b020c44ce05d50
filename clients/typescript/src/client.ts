// The client: requests that are repeated when that is safe, waits, pages, event streams, files.
import { ApiError, ConnectionFailed, type Problem } from "./errors.js";
import { parseJson, stringifyJson, type Json } from "./json.js";
import type { components, operations } from "./types.js";

type Schemas = components["schemas"];
type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

const TERMINAL: readonly string[] = ["succeeded", "failed", "stopped"];
const LAST_EVENTS: readonly string[] = ["execution.succeeded", "execution.failed", "execution.stopped"];
const WAIT_MAX = 60; // seconds, the longest wait that the API takes
const STREAM_SILENCE = 45; // seconds; the API sends a comment every 15
const REPEATED_STATUS: readonly number[] = [408, 429, 502, 503, 504];
const DELAY_FIRST = 0.25, DELAY_MAX = 15; // seconds
const FEED_REMEMBERED = 20_000; // events of the feed, more than it sends twice after an interruption

export interface ClientOptions {
    /** Address of the server, without /api/v1. */
    url: string;
    key: string;
    /** Seconds after which a response counts as lost. Default: 75. */
    timeout?: number;
    /** For how many seconds a request is repeated; 0: never. Default: 60. */
    retrySeconds?: number;
    /** Called with the error before each delay. */
    onRetry?: (error: unknown) => void;
}

export interface RunOptions {
    tags?: string[];
    metadata?: { [member: string]: Json };
    chat?: Schemas["Chat"];
    idempotencyKey?: string;
}

interface RequestOptions {
    query?: Query;
    body?: unknown;
    form?: FormData;
    headers?: Record<string, string>;
    /** Whether repeating is safe. Default: a method other than POST, or an Idempotency-Key. */
    repeatable?: boolean;
}

/** The run had not ended in time. It continues. */
export class RunTimeout extends Error {
    override readonly name = "RunTimeout";
    constructor(readonly executionId: string) {
        super(`execution ${executionId} has not ended in time`);
    }
}

const sleep = (seconds: number) => new Promise<void>((resolve) => setTimeout(resolve, seconds * 1000));
const now = () => performance.now() / 1000;
const quote = encodeURIComponent;

function errorOf(response: Response, text: string): ApiError {
    let problem: Partial<Problem> = {};
    try {
        const parsed: unknown = JSON.parse(text);
        if (typeof parsed === "object" && parsed)
            problem = parsed;
    } catch {
        // not from the API: the status tells enough
    }
    const after = response.headers.get("Retry-After");
    return new ApiError(response.status, problem, after && /^[0-9]+$/.test(after) ? Number(after) : undefined);
}

function isPassing(error: unknown): boolean {
    return error instanceof ConnectionFailed ||
        error instanceof ApiError && (REPEATED_STATUS.includes(error.status) || error.code === "idempotency_in_flight");
}

/** A client for one key. */
export class Client {
    readonly #options: Required<Omit<ClientOptions, "onRetry">> & Pick<ClientOptions, "onRetry">;

    constructor(options: ClientOptions) {
        this.#options = { timeout: 75, retrySeconds: 60, ...options, url: options.url.replace(/\/+$/, "") + "/api/v1" };
    }

    // --- requests ---------------------------------------------------------------------------------------------------

    async #fetch<T>(method: string, path: string, init: { headers: Record<string, string>; body?: BodyInit }, abort: AbortController,
        read: (response: Response) => Promise<T>): Promise<T> {
        try {
            const response = await fetch(this.#options.url + path,
                { method, ...init, headers: { Authorization: `Bearer ${this.#options.key}`, ...init.headers }, signal: abort.signal });
            if (response.status >= 400)
                throw errorOf(response, await response.text());
            return await read(response);
        } catch (error) {
            if (error instanceof ApiError)
                throw error;
            throw new ConnectionFailed(`${method} ${path}: ${String(error)}`, { cause: error });
        }
    }

    /** Waits before the next attempt, or throws the error if none is due before the deadline. */
    async #pause(error: unknown, attempt: number, deadline: number): Promise<void> {
        const asked = error instanceof ApiError || error instanceof ConnectionFailed ? error.retryAfter : undefined;
        const delay = asked ?? Math.min(DELAY_MAX, DELAY_FIRST * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2);
        if (now() + delay > deadline)
            throw error;
        this.#options.onRetry?.(error);
        await sleep(delay);
    }

    async #request<T>(method: string, path: string, options: RequestOptions, read: (response: Response) => Promise<T>): Promise<T> {
        const query = new URLSearchParams();
        for (const [name, value] of Object.entries(options.query ?? {}))
            for (const one of Array.isArray(value) ? value as readonly string[] : value === undefined || value === null ? [] : [value])
                query.append(name, String(one));
        const headers = { ...options.headers, ...(options.body === undefined ? {} : { "Content-Type": "application/json" }) };
        const body = options.body === undefined ? options.form : stringifyJson(options.body);
        const safe = options.repeatable ?? (method !== "POST" || "Idempotency-Key" in headers);
        const target = path + (query.size > 0 ? `?${query}` : "");
        const deadline = now() + this.#options.retrySeconds;
        for (let attempt = 0; ; attempt++) {
            const abort = new AbortController();
            const timer = setTimeout(() => abort.abort(new Error("no complete response in time")), this.#options.timeout * 1000);
            try {
                return await this.#fetch(method, target, { headers, ...(body === undefined ? {} : { body }) }, abort, read);
            } catch (error) {
                if (!safe || !isPassing(error))
                    throw error;
                await this.#pause(error, attempt, deadline);
            } finally {
                clearTimeout(timer);
            }
        }
    }

    /** One request below /api/v1; the parsed JSON of the response. Repeated while its error is a passing one and repeating is safe. */
    request<T = unknown>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
        return this.#request(method, path, options, async (response) => {
            const text = await response.text();
            return (text ? parseJson(text) : undefined) as T;
        });
    }

    #bytes(path: string): Promise<Uint8Array> {
        return this.#request("GET", path, {}, async (response) => new Uint8Array(await response.arrayBuffer()));
    }

    #start<T>(path: string, body: unknown, idempotencyKey?: string, wait?: number): Promise<T> {
        const headers: Record<string, string> = { "Idempotency-Key": idempotencyKey ?? crypto.randomUUID() };
        if (wait)
            headers["Prefer"] = `wait=${wait}`;
        return this.request<T>("POST", path, { body, headers });
    }

    async *#pages<T>(path: string, member: string, query: Query): AsyncGenerator<T, void, void> {
        for (let after: string | null | undefined; ;) {
            const page: Record<string, unknown> = await this.request("GET", path, { query: { ...query, after } });
            yield* page[member] as T[];
            if (!page["has_more"])
                return;
            after = page["next_cursor"] as string | null;
        }
    }

    // --- workflows --------------------------------------------------------------------------------------------------

    createWorkflow(name: string, program: { [member: string]: Json }, { description, expose, idempotencyKey }: { description?: string; expose?: boolean; idempotencyKey?: string } = {}) {
        return this.#start<Schemas["Workflow"]>("/workflows", { name, program, description, expose }, idempotencyKey);
    }

    updateWorkflow(id: string, name: string, program: { [member: string]: Json }, description?: string, expose?: boolean) {
        return this.request<Schemas["Workflow"]>("PUT", `/workflows/${quote(id)}`, { body: { name, program, description, expose } });
    }

    workflow(id: string) {
        return this.request<Schemas["Workflow"]>("GET", `/workflows/${quote(id)}`);
    }

    /** All workflows, newest first. limit: entries per page. */
    workflows({ limit }: { limit?: number } = {}) {
        return this.#pages<Schemas["WorkflowItem"]>("/workflows", "workflows", { limit });
    }

    async archiveWorkflow(id: string): Promise<void> {
        await this.request("DELETE", `/workflows/${quote(id)}`);
    }

    // --- runs -------------------------------------------------------------------------------------------------------

    /** Starts a run. With `wait` (seconds, at most 60), the answer is the Execution if it ends in time. */
    run(workflowId: string, inputs?: { [member: string]: Json }, { wait, idempotencyKey, ...body }: RunOptions & { wait?: number } = {}) {
        return this.#start<Schemas["Accepted"] | Schemas["Execution"]>(`/workflows/${quote(workflowId)}/run-async`, { inputs, ...body }, idempotencyKey, wait);
    }

    /** Starts a run and returns the Execution when it has ended, however it ended: see `state`. timeout: seconds. */
    async runAndWait(workflowId: string, inputs?: { [member: string]: Json }, { timeout = 3600, ...options }: RunOptions & { timeout?: number } = {}) {
        const deadline = now() + timeout;
        const started = await this.run(workflowId, inputs, { ...options, wait: Math.max(1, Math.min(WAIT_MAX, Math.trunc(timeout))) });
        if ("state" in started && TERMINAL.includes(started.state))
            return started;
        return this.wait(started.execution_id, { timeout: Math.max(0, deadline - now()) });
    }

    /** The Execution when it has ended. RunTimeout after `timeout` seconds. */
    async wait(executionId: string, { timeout = 3600 } = {}): Promise<Schemas["Execution"]> {
        for (const deadline = now() + timeout; ;) {
            const execution = await this.execution(executionId, { wait: Math.max(0, Math.min(WAIT_MAX, Math.trunc(deadline - now()))) });
            if (TERMINAL.includes(execution.state))
                return execution;
            if (now() >= deadline - 1)
                throw new RunTimeout(executionId);
        }
    }

    async runSkill(spaceId: string, slug: string, inputs: { [member: string]: Json },
        { files, model, chat, idempotencyKey, wait }: { files?: string[]; model?: string; chat?: Schemas["Chat"]; idempotencyKey?: string; wait?: number } = {}) {
        const body = { inputs, file_source_ids: files, model, chat };
        return (await this.#start<{ data: Schemas["SkillExecution"] }>(`/spaces/${quote(spaceId)}/skills/${quote(slug)}/executions`, body, idempotencyKey, wait)).data;
    }

    async runSkillAndWait(spaceId: string, slug: string, inputs: { [member: string]: Json },
        { timeout = 3600, ...options }: { timeout?: number; files?: string[]; model?: string; idempotencyKey?: string } = {}) {
        const started = await this.runSkill(spaceId, slug, inputs, options);
        await this.wait(started.id, { timeout });
        return (await this.request<{ data: Schemas["SkillExecution"] }>("GET", `/spaces/${quote(spaceId)}/skills/executions/${quote(started.id)}`)).data;
    }

    async skills(spaceId: string) {
        return (await this.request<{ data: Schemas["Skill"][] }>("GET", `/spaces/${quote(spaceId)}/skills`)).data;
    }

    // --- executions -------------------------------------------------------------------------------------------------

    execution(id: string, { steps, wait }: { steps?: boolean; wait?: number } = {}) {
        return this.request<Schemas["Execution"]>("GET", `/executions/${quote(id)}`, { query: { include_step_results: steps || undefined, wait: wait || undefined } });
    }

    /** All executions that match the filters of `GET /executions`, newest first. */
    executions(filters: Omit<NonNullable<operations["listExecutions"]["parameters"]["query"]>, "after" | "pageNumber" | "pageSize"> = {}) {
        return this.#pages<Schemas["Execution"]>("/executions", "executions", { limit: 100, ...filters });
    }

    stop(id: string, { idempotencyKey }: { idempotencyKey?: string } = {}) {
        return this.#start<{ execution_id: string; status: "stopped" }>(`/executions/${quote(id)}/stop`, undefined, idempotencyKey);
    }

    /** Sends a signal to an execution: to the step that waits for one of this name, or to the next one. */
    signal(id: string, name: string, data?: unknown, { idempotencyKey }: { idempotencyKey?: string } = {}) {
        return this.#start<{ execution_id: string; signal: string; state: "delivered" | "kept" }>(`/executions/${quote(id)}/signals/${quote(name)}`, data, idempotencyKey);
    }

    retry(id: string, { idempotencyKey, wait }: { idempotencyKey?: string; wait?: number } = {}) {
        return this.#start<Schemas["Accepted"] | Schemas["Execution"]>(`/executions/${quote(id)}/retry`, undefined, idempotencyKey, wait);
    }

    async purge(id: string): Promise<void> {
        await this.request("DELETE", `/executions/${quote(id)}`);
    }

    logs(id: string, { offset }: { offset?: number } = {}): Promise<string> {
        return this.#request("GET", `/executions/${quote(id)}/logs`, { query: { offset } }, (response) => response.text());
    }

    /** The events after number `after`, each once and without gaps, to the last one. An interrupted stream is resumed. */
    async *events(id: string, { after = 0 } = {}): AsyncGenerator<Schemas["Event"], void, void> {
        let last = after, attempt = 0, deadline = now() + this.#options.retrySeconds;
        for (;;) {
            let failure: unknown = new ConnectionFailed(`the event stream of ${id} was cut`);
            const abort = new AbortController();
            try {
                const blocks = await this.#stream(`/executions/${quote(id)}/events`, last ? String(last) : undefined, abort);
                if (!blocks)
                    return; // nothing follows
                for await (const { data } of blocks) {
                    if (data === undefined)
                        continue;
                    const event = parseJson(data) as Schemas["Event"];
                    if (event.seq <= last)
                        continue;
                    last = event.seq, attempt = 0, deadline = now() + this.#options.retrySeconds;
                    yield event;
                    if (LAST_EVENTS.includes(event.type))
                        return;
                }
            } catch (error) {
                if (!isPassing(error))
                    throw error;
                failure = error;
            } finally {
                abort.abort();
            }
            await this.#pause(failure, attempt++, deadline);
        }
    }

    /** Follows the ends of all executions of the workspace, see Feed. Resolves when the server has said where the feed begins: what ends
     *  afterwards is in it. */
    async feed({ after, types, responders, tag }: FeedOptions = {}): Promise<Feed> {
        const query = new URLSearchParams([...(types ?? []).map((t) => ["type", t]), ...(responders ?? []).map((r) => ["responder", r]), ...(tag === undefined ? [] : [["tag", tag]])]);
        const feed = new Feed({
            open: (last, abort) => this.#stream(`/events${query.size > 0 ? `?${query}` : ""}`, last, abort),
            pause: (error, attempt, deadline) => this.#pause(error, attempt, deadline), retrySeconds: this.#options.retrySeconds }, after);
        await feed.begun();
        return feed;
    }

    async #stream(path: string, last: string | undefined, abort: AbortController): Promise<AsyncGenerator<Block> | undefined> {
        const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
        const timer = setTimeout(() => abort.abort(), STREAM_SILENCE * 1000);
        try {
            return await this.#fetch("GET", path, { headers }, abort,
                async (response) => response.status === 204 || !response.body ? undefined : readBlocks(response.body, abort));
        } finally {
            clearTimeout(timer);
        }
    }

    // --- files ------------------------------------------------------------------------------------------------------

    /** Stores a file and returns its name there. */
    async upload(name: string, content: Blob | Uint8Array<ArrayBuffer> | string): Promise<string> {
        const form = new FormData();
        form.append("files", content instanceof Blob ? content : new Blob([content]), name);
        const stored = await this.request<{ source_ids: string[] }>("POST", "/files", { form, repeatable: true });
        return stored.source_ids[0]!;
    }

    files({ limit }: { limit?: number } = {}) {
        return this.#pages<Schemas["File"]>("/files", "files", { limit });
    }

    download(name: string): Promise<Uint8Array> {
        return this.#bytes(`/files/${quote(name)}`);
    }

    artifact(executionId: string, artifactId: string): Promise<Uint8Array> {
        return this.#bytes(`/executions/${quote(executionId)}/artifacts/${quote(artifactId)}`);
    }

    async deleteFile(name: string): Promise<void> {
        await this.request("DELETE", `/files/${quote(name)}`);
    }

    // --- credits ----------------------------------------------------------------------------------------------------

    async balance(): Promise<number> {
        return (await this.request<{ balance: number }>("GET", "/credits")).balance;
    }

    usage(query: NonNullable<operations["getUsage"]["parameters"]["query"]> = {}) {
        return this.request<Schemas["Usage"]>("GET", "/credits/usage", { query });
    }

    statement(month: string) {
        return this.request<Schemas["Statement"]>("GET", "/credits/statement", { query: { month } });
    }

    ledger({ limit = 100 }: { limit?: number } = {}) {
        return this.#pages<Schemas["LedgerEntry"]>("/credits/ledger", "entries", { limit });
    }
}

export interface FeedOptions {
    /** The `lastId` at which an earlier Feed was left. Default: begin now. */
    after?: string;
    types?: ("execution.succeeded" | "execution.failed" | "execution.stopped")[];
    /** Ids of workflows and skills. */
    responders?: string[];
    tag?: string;
}

interface FeedSource {
    open: (last: string | undefined, abort: AbortController) => Promise<AsyncGenerator<Block> | undefined>;
    pause: (error: unknown, attempt: number, deadline: number) => Promise<void>;
    retrySeconds: number;
}

/** The ends of a workspace's executions, an iterable without an end. A stream that is cut is resumed; each end comes once. An event of the type
 *  `feed.gap` says that events after the id at which the feed was resumed are not kept any more: list the executions of that time.
 *  The iteration throws when there was no connection for the client's retrySeconds, or when the key has ended; `lastId` stays. */
export class Feed implements AsyncIterableIterator<Schemas["FeedEvent"], void, void> {
    /** What to pass as `after` to continue behind the event that was returned last; store it when that event has been dealt with. */
    lastId: string | undefined;
    readonly #source: FeedSource;
    readonly #seen = new Set<string>();
    readonly #events: AsyncGenerator<Schemas["FeedEvent"] | null, void, void>;
    #abort = new AbortController();
    #closed = false;

    constructor(source: FeedSource, after: string | undefined) {
        this.#source = source;
        this.lastId = after;
        this.#events = this.#follow();
    }

    /** Waits until the beginning of the feed is known. */
    async begun(): Promise<void> {
        if (this.lastId === undefined)
            await this.#events.next();
    }

    async next(): Promise<IteratorResult<Schemas["FeedEvent"], void>> {
        const { value, done } = await this.#events.next();
        return done || !value ? { done: true, value: undefined } : { done: false, value };
    }

    /** Ends the feed; also an iteration that is waiting. */
    close(): void {
        this.#closed = true;
        this.#abort.abort();
        void this.#events.return();
    }

    async return(): Promise<IteratorResult<Schemas["FeedEvent"], void>> {
        this.close();
        return { done: true, value: undefined };
    }

    [Symbol.asyncIterator](): this {
        return this;
    }

    #isNew(event: Schemas["FeedEvent"]): boolean {
        if (event.type === "feed.gap")
            return true;
        const name = `${event.execution_id} ${event.seq}`;
        if (this.#seen.has(name))
            return false;
        this.#seen.add(name);
        if (this.#seen.size > FEED_REMEMBERED)
            this.#seen.delete(this.#seen.values().next().value!); // the oldest
        return true;
    }

    /** The events; before them null, when the beginning of the feed is known, unless the caller has named it. */
    async *#follow(): AsyncGenerator<Schemas["FeedEvent"] | null, void, void> {
        let attempt = 0, begun = this.lastId !== undefined;
        const later = () => now() + this.#source.retrySeconds;
        for (let deadline = later(); ; attempt++) {
            let failure: unknown = new ConnectionFailed("the feed was cut"), delay: number | undefined;
            const abort = this.#abort = new AbortController();
            try {
                for await (const block of await this.#source.open(this.lastId, abort) ?? []) {
                    delay = block.retry ?? delay;
                    if (block.retry === undefined)
                        attempt = 0, deadline = later();
                    const event = block.data === undefined ? undefined : parseJson(block.data) as Schemas["FeedEvent"];
                    this.lastId = block.id ?? this.lastId;
                    if (!begun && this.lastId !== undefined) {
                        begun = true;
                        yield null;
                    }
                    if (event && this.#isNew(event)) {
                        yield event;
                        deadline = later(); // the caller may have taken long
                    }
                }
            } catch (error) {
                if (this.#closed)
                    return;
                if (!isPassing(error))
                    throw error;
                failure = error;
            } finally {
                abort.abort();
            }
            if (failure instanceof ConnectionFailed && attempt === 0)
                failure.retryAfter = delay; // what the server has asked for, so that not all of its clients come back at once
            await this.#source.pause(failure, attempt, deadline);
            if (this.#closed)
                return;
        }
    }
}

/** What a stream of server-sent events says between two empty lines; no members: a comment, which shows that the stream is alive. */
interface Block {
    id?: string;
    data?: string;
    /** seconds */
    retry?: number;
}

/** The blocks of a stream of server-sent events. Throws ConnectionFailed if it breaks or is silent for too long. */
async function* readBlocks(body: ReadableStream<Uint8Array>, abort: AbortController): AsyncGenerator<Block> {
    const reader = body.getReader(), decoder = new TextDecoder();
    let rest = "", block: Block = {};
    for (;;) {
        const timer = setTimeout(() => abort.abort(), STREAM_SILENCE * 1000);
        let part: { done: boolean; value?: Uint8Array | undefined };
        try {
            part = await reader.read();
        } catch (error) {
            throw new ConnectionFailed(`the event stream broke: ${String(error)}`, { cause: error });
        } finally {
            clearTimeout(timer);
        }
        if (part.done)
            return;
        const lines = (rest + decoder.decode(part.value, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
            const [, name, value = ""] = /^([^:]*)(?:: ?)?([^]*)$/.exec(line.replace(/\r$/, "")) ?? [];
            if (name === "data")
                block.data = block.data === undefined ? value : `${block.data}\n${value}`;
            else if (name === "id")
                block.id = value;
            else if (name === "retry" && /^[0-9]+$/.test(value))
                block.retry = Number(value) / 1000;
            else if (!name && (value !== "") !== Object.keys(block).length > 0) { // a comment outside of a block, or the end of a block
                yield block;
                block = {};
            }
        }
    }
}
