import { can, get, query, save, type LedgerEntry, type Usage } from "../api";
import { Bars, DayChart } from "../charts";
import { useLoad, useNames, usePages } from "../hooks";
import { Link, useQuery } from "../router";
import { Act, Choice, ErrorBox, Field, Heading, number, T, Table, Time, Wait } from "../ui";

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
const DAY = 86400000;
/** The periods that can be chosen: days of UTC, as the ledger is summed. */
export function period(name: string, now = Date.now()): { from: string; to: string } {
    const d = new Date(now), month = (offset: number) => day(Date.UTC(d.getUTCFullYear(), d.getUTCMonth() + offset, 1));
    switch (name) {
    case "this-month": return { from: month(0), to: day(now + DAY) };
    case "last-month": return { from: month(-1), to: month(0) };
    case "90": return { from: day(now - 89 * DAY), to: day(now + DAY) };
    case "7": return { from: day(now - 6 * DAY), to: day(now + DAY) };
    default: return { from: day(now - 29 * DAY), to: day(now + DAY) };
    }
}
const PERIODS: [string, string][] = [["", "Last 30 days"], ["7", "Last 7 days"], ["90", "Last 90 days"], ["this-month", "This month"], ["last-month", "Last month"]];

export function Credits() {
    const [q, change] = useQuery(), chosen = q.get("period") ?? "", by = q.get("by") ?? "day", { from, to } = period(chosen), names = useNames();
    const balance = useLoad("balance", (signal) => get<{ balance: number }>("/credits", signal), 10000);
    const at = "/credits/usage" + query({ from, to, group_by: by });
    const usage = useLoad(at, (signal) => get<Usage>(at, signal));
    const pages = usePages<LedgerEntry>("ledger", async (after, signal) => {
        const page = await get<{ entries: LedgerEntry[]; next_cursor: string | null }>(`/credits/ledger?limit=100${after ? `&after=${after}` : ""}`, signal);
        return { rows: page.entries.map((e) => ({ ...e, id: `${e.kind}/${e.id}` })), next: page.next_cursor };
    });
    const named = (id: string | null | undefined): string => id ? names.get(id)?.name ?? id : "none";
    return <>
        <Heading title="Credits">Credits</Heading>
        <Wait of={balance}>{(b) => <dl class="numbers"><div><dd class={b.balance < 0 ? "bad" : ""}>{number(b.balance)}</dd><dt>credits left</dt></div>
            {usage.data && <><div><dd>{number(usage.data.total.used)}</dd><dt>used in the period</dt></div><div><dd>{number(usage.data.total.runs)}</dd><dt>runs</dt></div></>}</dl>}</Wait>
        <section class="card"><h2>Usage</h2>
            <div class="filters">
                <Field label="Period">{(a) => <Choice {...a} value={chosen} options={PERIODS} onChange={(e) => change({ period: e.currentTarget.value })} />}</Field>
                <Field label="By">{(a) => <Choice {...a} value={by} options={[["day", "Day"], ["responder", "Workflow or skill"], ["key", "Key"]]} onChange={(e) => change({ by: e.currentTarget.value === "day" ? "" : e.currentTarget.value })} />}</Field>
            </div>
            <Wait of={usage}>{(u) => u.group_by === "day" ? <DayChart from={from} to={to} rows={u.usage} /> :
                <Bars rows={u.usage.map((r) => u.group_by === "responder" ? { name: named(r.responder_id), to: r.responder_id && names.get(r.responder_id) && can("executions:read") ? `/runs?responder=${r.responder_id}` : undefined, ...r } : { name: r.key_id ?? "none", ...r })} />}</Wait>
            <div class="buttons small"><Act run={() => save(at, `usage-${by}-${from}.csv`, "text/csv")}>Save as CSV</Act></div>
        </section>
        <section><h2>Ledger</h2>
            <ErrorBox problem={pages.error} retry={pages.reload} />
            <Table tall label="Ledger" rows={pages.rows} id={(e) => e.id} more={pages.more} loading={pages.loading} loadMore={pages.loadMore} empty="The ledger is empty." columns={[
                { title: "Kind", class: "c-state", cell: (e) => e.kind },
                { title: "Credits", class: "c-num", cell: (e) => <span class={e.amount < 0 ? "" : "good"}>{number(e.amount)}</span> },
                { title: "At", class: "c-time", cell: (e) => <Time at={e.created_at} /> },
                { title: "Run or reason", class: "wide", cell: (e) => e.execution_id && can("executions:read") ? <Link to={`/runs/${e.execution_id}`}><T>{e.responder_id ? named(e.responder_id) : e.execution_id}</T></Link> : <T>{e.reason}</T> },
            ]} /></section>
    </>;
}
