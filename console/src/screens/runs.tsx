// The list of runs. The filters are in the address. The feed tells, at most once a second, that runs have ended; what is new is read at most
// every two seconds.
import { useEffect, useRef, useState } from "preact/hooks";
import { can, get, query, serverNow, type Execution, type Occurrence, type Schedule } from "../api";
import { useLoad, useNames, useNow, useOffer, usePages, visible, MIN_POLL_MS, pauseAfter } from "../hooks";
import { delay } from "../api";
import { useEnds } from "../live";
import { Link, useQuery } from "../router";
import { between, Choice, ErrorBox, Field, Heading, number, Search, State, T, Table, Time, type Column } from "../ui";
import { Bulk } from "./bulk";
import { writeJson } from "../exact";

export interface Filters { state: string; responder: string; tag: string; batch: string; schedule: string; from: string; to: string; error: string; error_hash: string; parent: string }
const NAMES: (keyof Filters)[] = ["state", "responder", "tag", "batch", "schedule", "from", "to", "error", "error_hash", "parent"];

/** The parameters of GET /executions that the filters stand for. */
export const parameters = (f: Filters, schedules: boolean): Record<string, string> => ({
    state: f.state, responderIds: f.responder, tag: f.tag, batch_id: f.batch, created_after: f.from, created_before: f.to, error: f.error, error_hash: f.error_hash,
    parentId: f.parent, ...(schedules ? { schedule_id: f.schedule } : {}),
});

interface Loaded { rows: Execution[]; next: string | null | undefined }
async function listed(f: Filters, schedules: boolean, after: string | undefined, signal: AbortSignal): Promise<Loaded> {
    const page = await get<{ executions: Execution[]; next_cursor?: string | null }>("/executions" + query({ limit: 100, after, ...parameters(f, schedules) }), signal);
    return { rows: page.executions, next: page.next_cursor };
}
/** The runs of a schedule, by way of its occurrences: for a server whose list has no such filter. */
async function scheduled(f: Filters, after: string | undefined, signal: AbortSignal): Promise<Loaded> {
    const page = await get<{ occurrences: Occurrence[]; next_cursor: string | null }>(`/schedules/${encodeURIComponent(f.schedule)}/occurrences` + query({ limit: 20, after }), signal);
    const found = await Promise.all(page.occurrences.flatMap((o) => o.execution_id ? [get<Execution>(`/executions/${o.execution_id}`, signal).catch(() => null)] : []));
    const fits = (run: Execution) => (!f.state || run.state === f.state) && (!f.responder || run.responderId === f.responder) && (!f.tag || run.tags.includes(f.tag)) &&
        (!f.from || Date.parse(run.created_at) > Date.parse(f.from)) && (!f.to || Date.parse(run.created_at) < Date.parse(f.to)) && !f.batch && !f.parent;
    return { rows: found.filter((run): run is Execution => !!run && fits(run)), next: page.next_cursor };
}

/** What happened in the last minute, from the newest runs. If these reach back less than a minute, they stand for the minute. */
export function rates(rows: Pick<Execution, "created_at" | "completed_at" | "state">[], now: number): { about: boolean; accepted: number; succeeded: number; failed: number; stopped: number } {
    const since = now - 60000, oldest = rows.at(-1), span = oldest ? now - Date.parse(oldest.created_at) : 0;
    const about = rows.length >= 100 && span > 0 && span < 60000, scale = about ? 60000 / Math.max(span, 1000) : 1;
    const ended = (state: string) => Math.round(scale * rows.filter((r) => r.state === state && r.completed_at && Date.parse(r.completed_at) >= since).length);
    return { about, accepted: Math.round(scale * rows.filter((r) => Date.parse(r.created_at) >= since).length), succeeded: ended("succeeded"), failed: ended("failed"), stopped: ended("stopped") };
}

const STATES: [string, string][] = [["", "Any state"], ["queued", "queued"], ["running", "running"], ["succeeded", "succeeded"], ["failed", "failed"], ["stopped", "stopped"]];
const localInput = (iso: string): string => {
    const d = new Date(iso);
    return iso && !Number.isNaN(d.getTime()) ? new Date(d.getTime() - d.getTimezoneOffset() * 60000).toISOString().slice(0, 16) : "";
};
const isoOf = (local: string): string => { const d = new Date(local); return local && !Number.isNaN(d.getTime()) ? d.toISOString() : ""; };

function FilterForm({ f, set }: { f: Filters; set: (change: Partial<Filters>) => void }) {
    const names = useNames(), filters = useOffer()?.filters;
    const schedules = useLoad(can("schedules:read") ? "schedules" : "", (signal) => get<{ schedules: Schedule[] }>("/schedules?limit=1000", signal)).data?.schedules ?? [];
    const responders: [string, string][] = [["", "Any workflow or skill"], ...[...names].map(([id, n]): [string, string] => [id, `${n.name} (${n.kind})`]).sort((a, b) => a[1].localeCompare(b[1]))];
    if (f.responder && !names.has(f.responder)) responders.push([f.responder, f.responder]);
    const times: [string, string][] = [["", "Any schedule"], ...schedules.map((s): [string, string] => [s.id, s.note || s.cron || (s.every_seconds ? `every ${s.every_seconds} s` : s.at ?? "")])];
    if (f.schedule && !schedules.some((s) => s.id === f.schedule)) times.push([f.schedule, f.schedule]);
    const used = NAMES.filter((n) => f[n]).length, [open] = useState(innerWidth > 700);
    return <form class="card" onSubmit={(e) => e.preventDefault()} aria-label="Filters"><details open={open}><summary>{used ? `Filters (${used})` : "Filters"}</summary>
        <div class="filters">
            <Field label="State">{(a) => <Choice {...a} value={f.state} options={STATES} onChange={(e) => set({ state: e.currentTarget.value })} />}</Field>
            <Field label="Workflow or skill">{(a) => <Choice {...a} value={f.responder} options={responders} onChange={(e) => set({ responder: e.currentTarget.value })} />}</Field>
            <Field label="Tag">{(a) => <Search {...a} value={f.tag} onValue={(tag) => set({ tag })} />}</Field>
            {filters?.has("error") && <Field label="Error text">{(a) => <Search {...a} value={f.error} onValue={(error) => set({ error })} />}</Field>}
            <Field label="From">{(a) => <input {...a} type="datetime-local" value={localInput(f.from)} onChange={(e) => set({ from: isoOf(e.currentTarget.value) })} />}</Field>
            <Field label="Before">{(a) => <input {...a} type="datetime-local" value={localInput(f.to)} onChange={(e) => set({ to: isoOf(e.currentTarget.value) })} />}</Field>
            {can("schedules:read") && <Field label="Schedule">{(a) => <Choice {...a} value={f.schedule} options={times} onChange={(e) => set({ schedule: e.currentTarget.value })} />}</Field>}
            <Field label="Batch">{(a) => <Search {...a} value={f.batch} placeholder="id" onValue={(batch) => set({ batch })} />}</Field>
        </div>
        {(f.parent || f.error_hash) && <p>{f.parent && <>Children of <Link to={`/runs/${f.parent}`}>{f.parent}</Link>. </>}{f.error_hash && <>Runs with one kind of error. </>}</p>}
        {used > 0 && <p><button type="button" onClick={() => set(Object.fromEntries(NAMES.map((n) => [n, ""])))}>Clear the filters</button></p>}
    </details></form>;
}

export const runName = (run: Pick<Execution, "workflow_name" | "detail" | "responderId">): string =>
    run.workflow_name ?? (run.detail.type === "skill" ? run.detail.slug : null) ?? run.responderId;

const columns = (now: number): Column<Execution>[] => [
    { title: "State", class: "c-state", cell: (r) => <State of={r.state} /> },
    { title: "Run", cell: (r) => <Link to={`/runs/${r.id}`}><T>{runName(r)}</T></Link> },
    { title: "Created", class: "c-time", cell: (r) => <Time at={r.created_at} /> },
    { title: "Took", class: "c-num wide", cell: (r) => r.state === "queued" ? "–" : between(r.started_at, r.completed_at, now) },
    { title: "Error or tags", class: "wide", cell: (r) => r.error ? <span class="bad"><T>{r.error}</T></span> : r.tags.map((t) => <span class="tag"><T>{t}</T></span>) },
    { title: "Credits", class: "c-num wide", cell: (r) => number(r.creditsUsed) },
];

export function Runs() {
    const [q, change] = useQuery();
    const f = Object.fromEntries(NAMES.map((n) => [n, q.get(n) ?? ""])) as unknown as Filters;
    const live = q.get("live") !== "off", offered = useOffer(), bySchedule = !!f.schedule && !offered?.filters.has("schedule_id");
    const key = f.schedule && !offered ? "" : writeJson([f, bySchedule]);
    const pages = usePages<Execution>(key, (after, signal) => bySchedule ? scheduled(f, after, signal) : listed(f, !!f.schedule, after, signal));
    const now = useNow(), fresh = useRef(false), turn = useRef<() => void>(() => undefined), [failed, setFailed] = useState(0);

    const feed = useEnds({ responder: f.responder, tag: f.tag }, live, (ends) => {
        fresh.current = true;
        turn.current();
        if (ends.failed) setFailed((n) => n + ends.failed);
    });
    useEffect(() => {
        if (!live || !key) return undefined;
        const end = new AbortController();
        void (async () => {
            let pause = MIN_POLL_MS;
            while (!end.signal.aborted) {
                await delay(pause, end.signal);
                // without an end in the feed, new runs show up about five seconds after the last answer
                if (!fresh.current) await Promise.race([delay(5000 - MIN_POLL_MS, end.signal), new Promise<void>((resolve) => { turn.current = resolve; })]);
                await visible(end.signal);
                if (end.signal.aborted) return;
                fresh.current = false;
                const began = performance.now();
                // nobody can read rows that are all replaced each time
                const isNew = await pages.refresh();
                pause = bySchedule ? 30000 : pauseAfter(isNew ? 5000 : MIN_POLL_MS, performance.now() - began);
            }
        })();
        return () => end.abort();
    }, [live, key]);

    const r = rates(pages.rows, serverNow()), about = r.about ? "≈ " : "";
    return <>
        <Heading title="Runs" actions={<>
            <span class={feed.connected ? "live on" : "live"}>{!live ? "not live" : feed.connected ? "live" : "connecting"}</span>
            <button type="button" aria-pressed={live} onClick={() => change({ live: live ? "off" : "" })}>Live</button>
        </>}>Runs</Heading>
        <FilterForm f={f} set={(values) => change(values as Record<string, string>, true)} />
        {!f.schedule && !f.to && <dl class="numbers" aria-label="Last minute">
            <div><dd>{about}{number(r.accepted)}</dd><dt>accepted in the last minute</dt></div>
            <div><dd class="good">{about}{number(r.succeeded)}</dd><dt>succeeded</dt></div>
            <div><dd class={r.failed ? "bad" : ""}>{about}{number(r.failed)}</dd><dt>failed</dt></div>
            <div><dd>{about}{number(r.stopped)}</dd><dt>stopped</dt></div>
        </dl>}
        <p class="hidden" role="status">{failed ? `${failed} runs failed since this screen was opened` : ""}</p>
        <ErrorBox problem={pages.error} retry={pages.reload} />
        <Bulk filters={f} changed={() => void pages.refresh()} />
        <Table tall label="Runs" columns={columns(now)} rows={pages.rows} id={(x) => x.id} more={pages.more} loading={pages.loading} loadMore={pages.loadMore} empty="No run matches." />
    </>;
}
