import { useState } from "preact/hooks";
import { can, get, post, request, type Occurrence, type Schedule } from "../api";
import { useLoad, useNames, usePages } from "../hooks";
import { Link, navigate } from "../router";
import { Act, ErrorBox, Heading, State, T, Table, Time, Value, Wait } from "../ui";

const when = (s: Schedule): string => s.cron ? `${s.cron} (${s.timezone})` : s.every_seconds ? `every ${s.every_seconds} s` : s.at ? `once` : "–";
/** What a schedule starts needs the scope to execute it, besides that to change schedules. */
const mayChange = (s: Schedule): boolean => can("schedules:write") && can(s.workflow_id ? "workflows:execute" : "skills:execute");

function Target({ of, names }: { of: Schedule; names: ReturnType<typeof useNames> }) {
    return of.workflow_id ? <Link to={`/workflows/${of.workflow_id}`}><T>{names.get(of.workflow_id)?.name ?? of.workflow_id}</T></Link> : <Link to={`/skills/${encodeURIComponent(of.skill ?? "")}`}><T>{of.skill}</T></Link>;
}

// the last occurrence of each schedule that was shown, so that scrolling asks once for each
function Last({ id }: { id: string }) {
    const loaded = useLoad(id, (signal) => get<{ occurrences: Occurrence[] }>(`/schedules/${id}/occurrences?limit=1`, signal)), o = loaded.data?.occurrences[0];
    if (!loaded.data) return <>{loaded.error ? "?" : "…"}</>;
    return o ? <><State of={o.state} /> {o.execution_id ? <Link to={`/runs/${o.execution_id}`}><Time at={o.scheduled_for} /></Link> : <Time at={o.scheduled_for} />}</> : <>never</>;
}

function Buttons({ of, changed }: { of: Schedule; changed: () => void }) {
    if (!mayChange(of)) return null;
    return <>
        {of.state === "active" && <Act done="Paused" run={() => post(`/schedules/${of.id}/pause`).then(changed)}>Pause</Act>}
        {of.state === "paused" && <Act done="Resumed" run={() => post(`/schedules/${of.id}/resume`).then(changed)}>Resume</Act>}
        <Act done="A run is accepted" run={() => post(`/schedules/${of.id}/trigger`, {}, crypto.randomUUID()).then(changed)}>Run now</Act>
    </>;
}

export function Schedules() {
    const names = useNames(), [turn, setTurn] = useState(0);
    const pages = usePages<Schedule>("schedules", async (after, signal) => {
        const page = await get<{ schedules: Schedule[]; next_cursor: string | null }>(`/schedules?limit=200${after ? `&after=${encodeURIComponent(after)}` : ""}`, signal);
        return { rows: page.schedules, next: page.next_cursor };
    });
    const changed = () => { void pages.refresh(); setTurn((n) => n + 1); };
    return <>
        <Heading title="Schedules" actions={can("schedules:write") && can("workflows:execute", "skills:execute") && <button type="button" class="primary" onClick={() => navigate("/schedules/new")}>New schedule</button>}>Schedules</Heading>
        <ErrorBox problem={pages.error} retry={pages.reload} />
        <Table tall label="Schedules" rows={pages.rows} id={(s) => s.id} more={pages.more} loading={pages.loading} loadMore={pages.loadMore} empty="There is no schedule yet." columns={[
            { title: "State", class: "c-state", cell: (s) => <State of={s.state} /> },
            { title: "Schedule", cell: (s) => <Link to={`/schedules/${s.id}`}><T>{s.note || when(s)}</T></Link> },
            { title: "Starts", class: "wide", cell: (s) => <Target of={s} names={names} /> },
            { title: "When", class: "wide", cell: (s) => <T>{when(s)}</T> },
            { title: "Next", class: "c-time", cell: (s) => <Time at={s.next_at} /> },
            { title: "Last", class: "wide", cell: (s) => <Last key={turn} id={s.id} /> },
            ...(can("schedules:write") ? [{ title: "Actions", class: "c-act wide", cell: (s: Schedule) => <Buttons of={s} changed={changed} /> }] : []),
        ]} />
    </>;
}

export function ScheduleScreen({ id }: { id: string }) {
    const at = `/schedules/${encodeURIComponent(id)}`, names = useNames();
    const loaded = useLoad(id, (signal) => get<Schedule>(at, signal), 10000), s = loaded.data;
    const upcoming = useLoad(id, (signal) => get<{ upcoming: string[] }>(`${at}/upcoming?count=10`, signal), 60000);
    const pages = usePages<Occurrence & { id: string }>(id, async (after, signal) => {
        const page = await get<{ occurrences: Occurrence[]; next_cursor: string | null }>(`${at}/occurrences?limit=100${after ? `&after=${encodeURIComponent(after)}` : ""}`, signal);
        return { rows: page.occurrences.map((o) => ({ ...o, id: `${o.scheduled_for}/${o.origin}/${o.execution_id}` })), next: page.next_cursor };
    });
    const title = s ? s.note || when(s) : id;
    const changed = () => { loaded.reload(); void pages.refresh(); };
    return <>
        <Heading title={title} actions={s && <>
            {can("executions:read") && <Link to={`/runs?schedule=${id}`}>Runs</Link>}
            <Buttons of={s} changed={changed} />
            {mayChange(s) && <button type="button" onClick={() => navigate(`/schedules/${id}/edit`)}>Edit</button>}
            {mayChange(s) && <Act class="danger" confirm="Delete this schedule?" done="Deleted" run={async () => { await request("DELETE", at); navigate("/schedules"); }}>Delete</Act>}
        </>}><T>{title}</T></Heading>
        <Wait of={loaded}>{(schedule) => <>
            <div class="cols">
                <section class="card"><dl class="facts">
                    <dt>State</dt><dd><State of={schedule.state} />{schedule.pause_reason === "key_revoked" && " because its key was revoked"}</dd>
                    <dt>Starts</dt><dd><Target of={schedule} names={names} /></dd>
                    <dt>When</dt><dd><T>{when(schedule)}</T>{schedule.at && <> <Time at={schedule.at} /></>}{schedule.jitter_seconds > 0 && `, up to ${schedule.jitter_seconds} s later`}</dd>
                    <dt>Next</dt><dd><Time at={schedule.next_at} none="none" /></dd>
                    <dt>Overlap</dt><dd>{schedule.overlap}</dd>
                    <dt>Catches up</dt><dd>{schedule.catch_up_seconds} s</dd>
                    {(schedule.start_at || schedule.end_at) && <><dt>Valid</dt><dd><Time at={schedule.start_at} none="…" /> to <Time at={schedule.end_at} none="…" /></dd></>}
                    {schedule.tags && schedule.tags.length > 0 && <><dt>Tags</dt><dd>{schedule.tags.map((t) => <span class="tag"><T>{t}</T></span>)}</dd></>}
                </dl></section>
                <section class="card"><h2>Next times</h2><Wait of={upcoming}>{(u) => u.upcoming.length ? <ol>{u.upcoming.map((t) => <li><Time at={t} /></li>)}</ol> : <p class="dim">none</p>}</Wait></section>
                <section class="card"><h2>Inputs</h2><Value value={schedule.inputs} name={`${id}-inputs.json`} label="Inputs of the schedule" /></section>
            </div>
            <section><h2>Occurrences</h2>
                <ErrorBox problem={pages.error} retry={pages.reload} />
                <Table label="Occurrences" rows={pages.rows} id={(o) => o.id} more={pages.more} loading={pages.loading} loadMore={pages.loadMore} empty="Nothing was due yet." columns={[
                    { title: "State", class: "c-state", cell: (o) => <State of={o.state} /> },
                    { title: "For", class: "c-time", cell: (o) => <Time at={o.scheduled_for} /> },
                    { title: "By", class: "c-id wide", cell: (o) => o.origin },
                    { title: "Run or reason", cell: (o) => o.execution_id ? <Link to={`/runs/${o.execution_id}`}>{o.execution_id}</Link> : o.reason ?? "–" },
                ]} /></section>
        </>}</Wait>
    </>;
}
