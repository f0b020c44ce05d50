import type { components } from "./types.js";

export type Problem = components["schemas"]["Problem"];
export type Code = Problem["code"];

/** A response with an error. `code` is stable; a code that this client does not know yet is possible. */
export class ApiError extends Error {
    override readonly name = "ApiError";
    /** "unknown" if the response is not the API's, but that of a proxy in between. */
    readonly code: Code | "unknown";
    readonly detail: string;
    readonly errors: NonNullable<Problem["errors"]>;
    readonly executionId: string | undefined;
    readonly requestId: string | undefined;

    constructor(readonly status: number, readonly problem: Partial<Problem>, /** seconds */ readonly retryAfter: number | undefined) {
        super(`${status} ${problem.code}: ${problem.detail} (request ${problem.request_id})`);
        this.code = problem.code ?? "unknown";
        this.detail = problem.detail ?? "";
        this.errors = problem.errors ?? [];
        this.executionId = problem.execution_id;
        this.requestId = problem.request_id;
    }
}

/** No complete response came. A request that starts something was sent with an Idempotency-Key, so that it can be repeated. */
export class ConnectionFailed extends Error {
    override readonly name = "ConnectionFailed";
    /** seconds */
    retryAfter: number | undefined;
}

/** Whether a caught value is the API's error with this code. */
export function isCode<C extends Code>(error: unknown, code: C): error is ApiError & { code: C } {
    return error instanceof ApiError && error.code === code;
}
