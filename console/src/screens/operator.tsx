// The operator's overview: which workspace puts load on the system, and its limits.
import { useRef, useState } from "preact/hooks";
import { can, choose, get, query, request, workspace, type Problem } from "../api";
import { asProblem, useLoad } from "../hooks";
import { navigate, useQuery } from "../router";
import { Dialog, duration, ErrorBox, Field, Heading, notify, number, Search, State, T, Table, Time, Wait } from "../ui";

interface Limits { rate_limit_per_minute: number | null; max_concurrent: number | null }
interface Load {
    id: string; name: string; created_at: string; balance: number; queued: number; running: number; waiting: number; accepted_per_minute: number; ended_per_minute: number;
    failed_per_minute: number; oldest_queued_seconds: number | null; limits: Limits;
}

/** What stands in a field for a limit: empty for none. Throws if it is no whole number. */
export function limitOf(text: string): number | null {
    if (!text.trim()) return null;
    if (!/^[1-9]\d{0,8}$/.test(text.trim())) throw new Error("must be a whole number of at least 1, or empty for none");
    return Number(text);
}

const limitsOf = (l: Limits): string => (l.rate_limit_per_minute === null ? "default" : number(l.rate_limit_per_minute)) + (l.max_concurrent === null ? "" : `, ${number(l.max_concurrent)} runs`);

function LimitDialog({ of, close, changed }: { of: Load; close: () => void; changed: () => void }) {
    const [rate, setRate] = useState(String(of.limits.rate_limit_per_minute ?? "")), [most, setMost] = useState(String(of.limits.max_concurrent ?? ""));
    const [problem, setProblem] = useState<Problem>();
    const submit = async (event: Event) => {
        event.preventDefault();
        try {
            await request("PATCH", `/operator/workspaces/${of.id}`, { body: { rate_limit_per_minute: limitOf(rate), max_concurrent: limitOf(most) } });
            notify("The limits are stored");
            changed();
            close();
        } catch (error) {
            setProblem(asProblem(error));
        }
    };
    return <Dialog title="Limits" close={close}><form onSubmit={submit} class="form">
        <p class="field wide"><T>{of.name}</T></p>
        <Field label="Requests a minute" hint="empty: the limit of the settings" wide>{(a) => <input {...a} inputMode="numeric" value={rate} onInput={(e) => setRate(e.currentTarget.value)} />}</Field>
        <Field label="Runs that have not ended" hint="empty: no limit" wide>{(a) => <input {...a} inputMode="numeric" value={most} onInput={(e) => setMost(e.currentTarget.value)} />}</Field>
        <div class="field wide"><ErrorBox problem={problem} /><div class="buttons"><button class="primary">Store</button><button type="button" onClick={close}>Cancel</button></div></div>
    </form></Dialog>;
}

interface Overview {
    at: string;
    last_minute: Record<"queued" | "running" | "succeeded" | "failed" | "stopped" | "accepted" | "lost_attempts", number>;
    queue: Record<"queued" | "oldest_queued_seconds" | "running" | "parked" | "delayed" | "signal_waits" | "wake_lag_seconds" | "schedules_due" | "schedule_lag_seconds" | "webhooks_pending" | "webhook_lag_seconds", number>;
    ended_total: Record<"succeeded" | "failed" | "stopped", number>;
    executors: { id: number; host: string; pid: number; alive: boolean; runs: number; started_at: string; beat_at: string | null; lease_seconds: number }[];
    host: { workers: number; requests_in_progress: number; refusals: Record<string, number> };
}

/** Ends a second between two readings; undefined before the second one. */
export function throughput(before: Pick<Overview, "at" | "ended_total"> | undefined, now: Pick<Overview, "at" | "ended_total">): number | undefined {
    const seconds = before ? (Date.parse(now.at) - Date.parse(before.at)) / 1000 : 0;
    const sum = (o: Pick<Overview, "ended_total">) => o.ended_total.succeeded + o.ended_total.failed + o.ended_total.stopped;
    return before && seconds > 0 ? Math.max(0, (sum(now) - sum(before)) / seconds) : undefined;
}

const Count = ({ of, name, bad }: { of: string; name: string; bad?: boolean }) => <div><dd class={bad ? "bad" : ""}>{of}</dd><dt>{name}</dt></div>;
const seconds = (s: number): string => duration(s * 1000);

function System() {
    const last = useRef<Overview | undefined>(undefined), rate = useRef<number | undefined>(undefined);
    const loaded = useLoad("overview", async (signal) => {
        const now = await get<Overview>("/operator/overview", signal);
        // the server may answer twice with one reading
        if (now.at !== last.current?.at) {
            rate.current = throughput(last.current, now);
            last.current = now;
        }
        return now;
    }, 5000);
    return <Wait of={loaded}>{({ last_minute: m, queue: q, executors, host }) => <>
        <section class="card"><h2>Throughput</h2><dl class="numbers">
            <Count of={rate.current === undefined ? "…" : `${number(Math.round(rate.current * 10) / 10)}/s`} name="ended" />
            <Count of={number(m.accepted)} name="accepted in the last minute" /><Count of={number(m.succeeded)} name="of them succeeded" />
            <Count of={number(m.failed)} name="failed" bad={m.failed > 0} /><Count of={number(m.stopped)} name="stopped" /><Count of={number(m.lost_attempts)} name="attempts lost" bad={m.lost_attempts > 0} />
        </dl></section>
        <section class="card"><h2>Queue and waits</h2><dl class="numbers">
            <Count of={number(q.queued)} name="queued" /><Count of={q.queued ? seconds(q.oldest_queued_seconds) : "–"} name="oldest in the queue" bad={q.oldest_queued_seconds > 60} />
            <Count of={number(q.running)} name="running" /><Count of={number(q.parked)} name="parked" /><Count of={number(q.delayed)} name="delayed" /><Count of={number(q.signal_waits)} name="wait for a signal" />
            <Count of={seconds(q.wake_lag_seconds)} name="late to wake" bad={q.wake_lag_seconds > 10} /><Count of={number(q.schedules_due)} name="schedules due" /><Count of={seconds(q.schedule_lag_seconds)} name="late schedules" bad={q.schedule_lag_seconds > 10} />
            <Count of={number(q.webhooks_pending)} name="webhooks pending" /><Count of={seconds(q.webhook_lag_seconds)} name="late webhooks" bad={q.webhook_lag_seconds > 60} />
        </dl></section>
        <section><h2>Executors</h2><Table label="Executors" rows={executors} id={(e) => String(e.id)} empty="No executor is known." columns={[
            { title: "State", class: "c-state", cell: (e) => e.alive ? <State of="active" /> : <span class="state bad">✕ lost</span> },
            { title: "Host", cell: (e) => <T>{e.host}</T> }, { title: "Process", class: "c-num wide", cell: (e) => e.pid }, { title: "Runs", class: "c-num", cell: (e) => number(e.runs) },
            { title: "Started", class: "c-time wide", cell: (e) => <Time at={e.started_at} /> }, { title: "Heartbeat", class: "c-time wide", cell: (e) => <Time at={e.beat_at} none="none" /> },
            { title: "Lease", class: "c-num wide", cell: (e) => seconds(e.lease_seconds) },
        ]} /></section>
        <section class="card"><h2>This API host</h2><dl class="facts">
            <dt>Workers</dt><dd>{number(host.workers)}</dd><dt>In progress</dt><dd>{number(host.requests_in_progress)} requests</dd>
            <dt>Rejected</dt><dd>{Object.entries(host.refusals).filter(([, n]) => n > 0).map(([name, n]) => <span class="tag">{name}: {number(n)}</span>)}{Object.values(host.refusals).every((n) => !n) && "none"} since its start</dd>
        </dl></section>
    </>}</Wait>;
}

export function Operator() {
    const [q, change] = useQuery(), text = q.get("q") ?? "", [limiting, setLimiting] = useState<Load>();
    const at = "/operator/workspaces" + query({ limit: 50, sort: text ? undefined : "load", q: text });
    const loaded = useLoad(at, (signal) => get<{ workspaces: Load[]; next: string | null }>(at, signal), 5000);
    const look = (w: Load) => { choose({ id: w.id, name: w.name }); navigate(can("executions:read") ? "/runs" : "/credits"); };
    return <>
        <Heading title="Overview">Overview</Heading>
        <section><h2>Workspaces</h2>
            <div class="filters"><Field label="Name or id">{(a) => <Search {...a} value={text} onValue={(next) => change({ q: next })} />}</Field></div>
            <p class="dim">Accepted and failed: in the last minute. Limits: requests a minute, and runs that have not ended.</p>
            <Wait of={loaded}>{(page) => <Table tall label="Workspaces" rows={page.workspaces} id={(w) => w.id} empty="No workspace matches." columns={[
                { title: "Workspace", cell: (w) => <a href="#" aria-current={workspace()?.id === w.id ? "true" : undefined} onClick={(e) => { e.preventDefault(); look(w); }}><T>{w.name}</T></a> },
                { title: "Queued", class: "c-num", cell: (w) => number(w.queued) },
                { title: "Running", class: "c-num wide", cell: (w) => number(w.running) },
                { title: "Waiting", class: "c-num wider", cell: (w) => number(w.waiting) },
                { title: "Accepted", class: "c-num wide", cell: (w) => number(w.accepted_per_minute) },
                { title: "Failed", class: "c-num wide", cell: (w) => number(w.failed_per_minute) },
                { title: "Oldest", class: "c-num wider", cell: (w) => w.oldest_queued_seconds === null ? "–" : duration(w.oldest_queued_seconds * 1000) },
                { title: "Credits", class: "c-num wider", cell: (w) => number(w.balance) },
                { title: "Limits", class: "c-id wider", cell: (w) => limitsOf(w.limits) },
                ...(can("operator:write") ? [{ title: "Actions", class: "c-one", cell: (w: Load) => <button type="button" onClick={() => setLimiting(w)}>Limits…</button> }] : []),
            ]} />}</Wait>
        </section>
        <System />
        {limiting && <LimitDialog of={limiting} close={() => setLimiting(undefined)} changed={loaded.reload} />}
    </>;
}
