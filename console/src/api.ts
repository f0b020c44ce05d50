// Requests to the public API. The session is a cookie that this page cannot read; the header X-Millrace-Console shows that a request comes
// from this page. The types are those that scripts/clients makes from the OpenAPI document.
import type { components } from "../../clients/typescript/src/types";
import { readJson, writeJson } from "./exact";

type Schemas = components["schemas"];
export type Execution = Schemas["Execution"];
export type Nesting = Schemas["Nesting"];
export type Step = Schemas["Step"];
export type RunEvent = Schemas["Event"];
export type FeedEvent = Schemas["FeedEvent"];
export type LogLine = Schemas["ExecutorLogLine"];
export type Workflow = Schemas["Workflow"];
export type WorkflowItem = Schemas["WorkflowItem"];
export type Skill = Schemas["Skill"];
export type Schedule = Schemas["Schedule"];
export type Occurrence = Schemas["Occurrence"];
export type Webhook = Schemas["Webhook"];
export type Delivery = Schemas["WebhookDelivery"];
export type Usage = Schemas["Usage"];
export type LedgerEntry = Schemas["LedgerEntry"];

export interface Session {
    kind: "key" | "operator";
    name: string;
    role: string | null;
    scopes: string[];
    workspace: { id: string; name: string } | null;
    expires_at: string;
    idle_expires_at: string;
}
export interface Violation { pointer: string; message: string }

/** An error response (RFC 9457), or a request without a response (status 0). */
export class Problem extends Error {
    constructor(readonly status: number, readonly code: string, detail: string, readonly errors: Violation[] = [], readonly retryAfter = 0) {
        super(detail);
    }
}

/** A value that components can follow. */
export class Store<T> {
    private readonly listeners = new Set<() => void>();
    constructor(private current: T) {}
    get value(): T { return this.current; }
    set value(next: T) {
        if (next === this.current) return;
        this.current = next;
        for (const listener of [...this.listeners]) listener();
    }
    subscribe(listener: () => void): () => void {
        this.listeners.add(listener);
        return () => void this.listeners.delete(listener);
    }
}

/** undefined: not known yet; null: signed out. */
export const session = new Store<Session | null | undefined>(undefined);
/** Why the person has to sign in again. */
export const signedOut = new Store("");
/** The workspace that an operator looks at: of this tab only. */
export const chosen = new Store<{ id: string; name: string } | null>(readChosen());

function readChosen(): { id: string; name: string } | null {
    try {
        const value = readJson(sessionStorage.getItem("millrace.workspace") ?? "null") as { id?: unknown; name?: unknown } | null;
        return typeof value?.id === "string" ? { id: value.id, name: String(value.name) } : null;
    } catch {
        return null;
    }
}
export function choose(workspace: { id: string; name: string } | null): void {
    if (workspace) sessionStorage.setItem("millrace.workspace", writeJson(workspace));
    else sessionStorage.removeItem("millrace.workspace");
    chosen.value = workspace;
}
export const workspace = (): { id: string; name: string } | null => session.value?.workspace ?? (session.value?.kind === "operator" ? chosen.value : null);
export const can = (...scopes: string[]): boolean => scopes.some((scope) => session.value?.scopes.includes(scope));
/** What a run's actions need: the scope to execute what it is a run of. */
export const canExecute = (run: Pick<Execution, "detail">): boolean => can(run.detail.type === "skill" ? "skills:execute" : "workflows:execute");

export interface Options { body?: unknown; text?: string; signal?: AbortSignal; accept?: string; key?: string; headers?: Record<string, string> }

let skew = 0;
/** The time of the server, in milliseconds: the clock of this machine may be wrong. */
export const serverNow = (): number => Date.now() + skew;

function headersOf(path: string, options: Options): Record<string, string> {
    const headers: Record<string, string> = { "X-Millrace-Console": "1", Accept: options.accept ?? "application/json", ...options.headers };
    if (options.body !== undefined || options.text !== undefined) headers["Content-Type"] = "application/json";
    if (options.key) headers["Idempotency-Key"] = options.key;
    const at = workspace();
    if (session.value?.kind === "operator" && at && !path.startsWith("/operator/") && !path.startsWith("/session")) headers["X-Millrace-Workspace"] = at.id;
    return headers;
}

/** The end of the session: every screen gives way to the sign-in. */
export function endSession(reason: string): void {
    if (session.value) signedOut.value = reason;
    session.value = null;
}

async function problemOf(response: Response): Promise<Problem> {
    let value: { code?: string; detail?: string; errors?: Violation[] } = {};
    try {
        value = readJson(await response.text()) as typeof value;
    } catch { /* an answer of a proxy in between */ }
    const retryAfter = Number(response.headers.get("Retry-After")) || 0;
    return new Problem(response.status, value.code ?? "unknown", value.detail ?? `The server answered ${response.status}.`, value.errors ?? [], retryAfter);
}

/** Sends a request and returns its response, if that is a success. Throws a Problem otherwise. */
export async function send(method: string, path: string, options: Options = {}): Promise<Response> {
    const url = path.startsWith("/api/") ? path : "/api/v1" + path;
    let response: Response;
    try {
        response = await fetch(url, {
            method, headers: headersOf(path, options), signal: options.signal ?? null, redirect: "error", cache: "no-cache",
            body: options.text ?? (options.body === undefined ? null : writeJson(options.body)),
        });
    } catch (error) {
        if (options.signal?.aborted) throw error;
        throw new Problem(0, "unreachable", "The server cannot be reached.");
    }
    const date = Date.parse(response.headers.get("Date") ?? "");
    if (date && Math.abs(date - Date.now() - skew) > 2000) skew = date - Date.now();
    if (response.ok) return response;
    const problem = await problemOf(response);
    if ((problem.status === 401 || problem.code === "wrong_cell") && !path.startsWith("/session")) endSession("Your session has ended. Please sign in again.");
    throw problem;
}

export async function request<T>(method: string, path: string, options: Options = {}): Promise<T> {
    const response = await send(method, path, options);
    if (response.status === 204) return undefined as T;
    try {
        return readJson(await response.text()) as T;
    } catch (error) {
        if (options.signal?.aborted) throw error;
        throw new Problem(0, "unreachable", "The response was cut off.");
    }
}
/** A read that the server refuses for the moment is sent again, so many times in all, after the seconds that it asks for, if they are not too many. */
const READ_TRIES = 3, READ_PAUSE_MAX_S = 5;
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
    for (let tries = 1; ; tries++) {
        try {
            return await request<T>("GET", path, signal ? { signal } : {});
        } catch (error) {
            const pause = error instanceof Problem && (error.status === 429 || error.status === 503) ? error.retryAfter : 0;
            if (tries === READ_TRIES || pause === 0 || pause > READ_PAUSE_MAX_S) throw error;
            await delay(pause * 1000 * (1 + Math.random() / 2), signal);
        }
    }
}
export const post = <T>(path: string, body?: unknown, key?: string): Promise<T> => request<T>("POST", path, { body: body ?? {}, ...(key ? { key } : {}) });

/** Gives the idempotency key of a body: sent again, after a lost answer, it makes no second thing; another body has another key. */
export function keys(): (text: string) => string {
    let last: string | undefined, key = "";
    return (text) => {
        if (text !== last) { last = text; key = crypto.randomUUID(); }
        return key;
    };
}

/** The query string of the members that have a value, with its question mark. */
export function query(values: Record<string, string | number | undefined | null>): string {
    const set = new URLSearchParams();
    for (const [name, value] of Object.entries(values)) if (value !== undefined && value !== null && value !== "") set.set(name, String(value));
    const text = set.toString();
    return text && "?" + text;
}

/** Calls `line` with each piece of text of the response, as it arrives. */
async function pieces(response: Response, piece: (text: string) => void): Promise<void> {
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        piece(value);
    }
}

export interface Message { id: string; data: string }

/** Splits a stream of server-sent events into its messages. The input may be cut anywhere. */
export function parser(message: (m: Message) => void): (text: string) => void {
    let rest = "", id = "", data: string[] = [];
    return (text) => {
        rest += text;
        // a CR at the end may be the first half of a line break
        const lines = rest.split(/\r\n|\n|\r(?!$)/);
        rest = lines.pop()!;
        for (const line of lines) {
            if (line === "") {
                if (data.length) message({ id, data: data.join("\n") });
                data = [];
            } else if (line.startsWith("id:")) id = line.slice(3).trim();
            else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
        }
    };
}

/**
 * Follows a stream of events until `signal` aborts or the stream has no further events, and connects again after a failure: after the last id,
 * at first `from`; null: each connection begins anew. `state` is told of each beginning and end of a connection, and why there is none.
 */
export async function follow(path: string, signal: AbortSignal, message: (m: Message) => void, state: (connected: boolean, problem?: Problem) => void = () => {}, from: string | null = ""): Promise<void> {
    let last = from ?? "", pause = 2000;
    while (!signal.aborted) {
        let problem: Problem | undefined;
        try {
            const headers: Record<string, string> = last ? { "Last-Event-ID": last } : {};
            const response = await send("GET", path, { signal, accept: "text/event-stream", headers });
            if (response.status === 204) return;
            state(true);
            pause = 2000;
            await pieces(response, parser((m) => { if (from !== null) last = m.id || last; message(m); }));
        } catch (error) {
            if (signal.aborted) return;
            if (error instanceof Problem) {
                problem = error;
                if ([400, 401, 403, 404].includes(error.status)) { state(false, error); return; }
                pause = Math.max(pause, error.retryAfter * 1000);
            }
        }
        state(false, problem);
        await delay(pause, signal);
        pause = Math.min(pause * 2, 30000);
    }
}

/** Reads a growing text until its end. */
export async function read(path: string, signal: AbortSignal, piece: (text: string) => void): Promise<void> {
    await pieces(await send("GET", path, { signal, accept: "text/plain" }), piece);
}

export function delay(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
        // the signal is that of a screen, which may be open for days: it keeps no listener of a delay that is over
        const end = () => { clearTimeout(timer); signal?.removeEventListener("abort", end); resolve(); };
        const timer = setTimeout(end, milliseconds);
        signal?.addEventListener("abort", end);
        if (signal?.aborted) end();
    });
}

/** Saves a response as a file. A link cannot do so, because it sends no headers. */
export async function save(path: string, name: string, accept = "*/*"): Promise<void> {
    saveBlob(await (await send("GET", path, { accept })).blob(), name);
}
export function saveBlob(blob: Blob, name: string): void {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// --- what the server offers ---------------------------------------------------------------------------------------------
interface Document { paths: Record<string, Record<string, { parameters?: { name?: string }[] }>> }
let known: Promise<Document> | undefined;
/** The OpenAPI document: screens leave out what this server does not offer yet. */
export function openapi(): Promise<Document> {
    known ??= get<Document>("/openapi.json").catch((error) => { known = undefined; throw error; });
    return known;
}
/** The operations of the document and the query parameters of the list of executions. */
export interface Offer { operations: Set<string>; filters: Set<string> }
export async function offer(): Promise<Offer> {
    const { paths } = await openapi();
    const operations = new Set(Object.entries(paths).flatMap(([path, item]) => Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`)));
    return { operations, filters: new Set((paths["/executions"]?.get?.parameters ?? []).map((p) => p.name ?? "")) };
}
