// The operator's overview: which workspace puts load on the system, and its limits.
import { useState } from "preact/hooks";
import { can, choose, get, query, request, workspace, type Problem } from "../api";
import { asProblem, useLoad } from "../hooks";
import { navigate, useQuery } from "../router";
import { Dialog, duration, ErrorBox, Field, Heading, notify, number, Search, T, Table, Wait } from "../ui";

interface Limits { rate_limit_per_minute: number | null; max_concurrent: number | null }
interface Load {
    id: string; name: string; created_at: string; balance: number; queued: number; running: number; waiting: number; accepted_per_minute: number; ended_per_minute: number;
    failed_per_minute: number; oldest_queued_seconds: number | null; limits: Limits;
}

/** What stands in a field for a limit: empty for none. Throws if it is no whole number. */
export function limitOf(text: string): number | null {
    if (!text.trim()) return null;
    if (!/^\d{1,9}$/.test(text.trim())) throw new Error("must be a whole number, or empty for no limit");
    return Number(text);
}

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
        <Field label="Requests a minute" hint="empty for the default" wide>{(a) => <input {...a} inputMode="numeric" value={rate} onInput={(e) => setRate(e.currentTarget.value)} />}</Field>
        <Field label="Runs at the same time" hint="empty for the default" wide>{(a) => <input {...a} inputMode="numeric" value={most} onInput={(e) => setMost(e.currentTarget.value)} />}</Field>
        <div class="field wide"><ErrorBox problem={problem} /><div class="buttons"><button class="primary">Store</button><button type="button" onClick={close}>Cancel</button></div></div>
    </form></Dialog>;
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
            <Wait of={loaded}>{(page) => <Table tall label="Workspaces" rows={page.workspaces} id={(w) => w.id} empty="No workspace matches." columns={[
                { title: "Workspace", cell: (w) => <a href="#" aria-current={workspace()?.id === w.id ? "true" : undefined} onClick={(e) => { e.preventDefault(); look(w); }}><T>{w.name}</T></a> },
                { title: "Queued", class: "c-num", cell: (w) => number(w.queued) },
                { title: "Running", class: "c-num wide", cell: (w) => number(w.running) },
                { title: "Waiting", class: "c-num wide", cell: (w) => number(w.waiting) },
                { title: "Accepted/min", class: "c-num", cell: (w) => number(w.accepted_per_minute) },
                { title: "Ended/min", class: "c-num wide", cell: (w) => number(w.ended_per_minute) },
                { title: "Failed/min", class: "c-num wide", cell: (w) => number(w.failed_per_minute) },
                { title: "Oldest", class: "c-num wide", cell: (w) => w.oldest_queued_seconds === null ? "–" : duration(w.oldest_queued_seconds * 1000) },
                { title: "Credits", class: "c-num wide", cell: (w) => number(w.balance) },
                { title: "Rate limit", class: "c-num wide", cell: (w) => w.limits.rate_limit_per_minute === null ? "default" : number(w.limits.rate_limit_per_minute) },
                ...(can("operator:write") ? [{ title: "Actions", class: "c-act", cell: (w: Load) => <button type="button" onClick={() => setLimiting(w)}>Limits…</button> }] : []),
            ]} />}</Wait>
        </section>
        {limiting && <LimitDialog of={limiting} close={() => setLimiting(undefined)} changed={loaded.reload} />}
    </>;
}
