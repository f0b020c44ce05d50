// One action on all runs that the filters match: first how many these are, then a job whose progress is shown.
import { useState } from "preact/hooks";
import { can, get, post, Problem } from "../api";
import { asProblem, useLoad, useOffer } from "../hooks";
import { useQuery } from "../router";
import { Act, Dialog, ErrorBox, number, State, Wait } from "../ui";
import type { Filters } from "./runs";

type Action = "stop" | "retry";
interface Preview { matched: number; matched_text: string }
interface Job { id: string; action: Action | "purge"; state: string; reason: string | null; progress: { matched: number; pending: number; done: number; skipped: number; failed: number }; truncated: boolean }
const over = (job: Job): boolean => job.state === "completed" || job.state === "cancelled";

/** The filter of a bulk job that matches what the list shows; undefined if a job has no such filter. */
export function bulkFilter(f: Filters): Record<string, unknown> | undefined {
    if (f.schedule) return undefined;
    const all = { state: f.state, responderIds: f.responder && [f.responder], tag: f.tag, parentId: f.parent, batch_id: f.batch, created_after: f.from, created_before: f.to, error: f.error, error_hash: f.error_hash };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value));
}
/** What can be done to runs in the state that the filter names; what has an error has failed. */
export const actionsFor = (state: string, byError = false): Action[] => byError ? ["retry"] : state === "" ? ["stop", "retry"] : state === "queued" || state === "running" ? ["stop"] : ["retry"];
const WORDS: Record<Action, string> = { stop: "Stop all…", retry: "Retry all…" };

export function Start({ action, filter, close, started }: { action: Action; filter: Record<string, unknown>; close: () => void; started: (id: string) => void }) {
    const preview = useLoad(action, () => post<Preview>("/executions/bulk", { action, filter, dry_run: true }));
    const [problem, setProblem] = useState<Problem>(), [busy, setBusy] = useState(false), [key] = useState(() => crypto.randomUUID());
    const go = async () => {
        setBusy(true);
        try {
            started((await post<Job>("/executions/bulk", { action, filter }, key)).id);
        } catch (error) {
            setProblem(asProblem(error));
        }
        setBusy(false);
    };
    return <Dialog title={action === "stop" ? "Stop all runs that match" : "Retry all runs that match"} close={close}>
        <Wait of={preview}>{(p) => <>
            <p><b>{p.matched_text}</b> {p.matched === 1 ? "run matches" : "runs match"} the filters{action === "stop" ? " and will be stopped with their children." : !filter.state ? " and have failed. Each retry is a new run and is charged." : ". Each retry is a new run and is charged."}</p>
            <ErrorBox problem={problem} />
            <div class="buttons"><button type="button" class="primary" disabled={busy || p.matched === 0} onClick={() => void go()}>{action === "stop" ? "Stop them" : "Retry them"}</button>
                <button type="button" onClick={close}>Cancel</button></div>
        </>}</Wait>
    </Dialog>;
}

function Progress({ id, close, changed }: { id: string; close: () => void; changed: () => void }) {
    const [ended, setEnded] = useState(false), at = `/bulk-jobs/${encodeURIComponent(id)}`;
    const loaded = useLoad(id, async (signal) => {
        const job = await get<Job>(at, signal);
        if (over(job) && !ended) { setEnded(true); changed(); }
        return job;
    }, ended ? 0 : 2000);
    return <section class="card"><h2>Bulk job</h2><Wait of={loaded}>{({ action, state, reason, progress: p, truncated }) => <>
        <p role="status">{action}: <State of={state} />{reason && ` (${reason})`} {number(p.done)} of {number(p.matched)} done{p.skipped > 0 && `, ${number(p.skipped)} skipped`}{p.failed > 0 && `, ${number(p.failed)} failed`}</p>
        {truncated && <p class="dim">More runs match than one job takes. Start another one when this one has ended.</p>}
        <div class="buttons small">
            {(state === "collecting" || state === "running" || state === "paused") && <Act run={() => post(`${at}/cancel`).then(loaded.reload)}>Cancel the job</Act>}
            {state === "paused" && <Act run={() => post(`${at}/resume`).then(loaded.reload)}>Resume</Act>}
            {(state === "completed" || state === "cancelled") && <button type="button" onClick={close}>Close</button>}
        </div>
    </>}</Wait></section>;
}

export function Bulk({ filters, changed }: { filters: Filters; changed: () => void }) {
    const offered = useOffer()?.operations.has("POST /executions/bulk"), [q, change] = useQuery(), job = q.get("job") ?? "", filter = bulkFilter(filters);
    const [action, setAction] = useState<Action>();
    if (!offered) return null;
    return <>
        {job && <Progress key={job} id={job} close={() => change({ job: "" })} changed={changed} />}
        {!job && filter && can("workflows:execute", "skills:execute") && <div class="buttons small">{actionsFor(filters.state, !!(filters.error || filters.error_hash)).map((a) => <button type="button" onClick={() => setAction(a)}>{WORDS[a]}</button>)}</div>}
        {action && filter && <Start action={action} filter={filter} close={() => setAction(undefined)} started={(id) => { setAction(undefined); change({ job: id }); }} />}
    </>;
}
