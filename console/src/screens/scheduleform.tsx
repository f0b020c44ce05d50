// The form of a schedule, new or changed: what the API says of a member stands at its field, and the next times while one types.
import { useMemo, useState } from "preact/hooks";
import { can, get, keys, Problem, query, request, type Schedule, type Skill, type WorkflowItem } from "../api";
import { JsonEditor, syntaxError } from "../editor";
import { asProblem, skills, useLoad } from "../hooks";
import { navigate } from "../router";
import { Choice, ErrorBox, Field, Heading, notify, T, Time, Wait } from "../ui";
import { readJson, writeJson } from "../exact";

type Kind = "cron" | "every" | "at";
/** What stands in the fields. Times are those of this browser's zone. */
export interface Fields {
    target: string; kind: Kind; cron: string; every: string; at: string; timezone: string; overlap: string; jitter: string; catchUp: string; start: string; end: string; note: string; tags: string; inputs: string;
}
export const NEW: Fields = { target: "", kind: "cron", cron: "0 6 * * MON-FRI", every: "3600", at: "", timezone: "UTC", overlap: "skip", jitter: "0", catchUp: "60", start: "", end: "", note: "", tags: "", inputs: "{}" };

const two = (n: number) => String(n).padStart(2, "0");
/** A time as a field for one shows it, of the browser's zone. */
export function localOf(iso: string | null): string {
    if (!iso) return "";
    const d = new Date(iso);
    return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}
const isoOf = (local: string): string | null => { const d = new Date(local); return local && !Number.isNaN(d.getTime()) ? d.toISOString() : null; };
export const formOf = (s: Schedule): Fields => ({
    target: s.workflow_id ? `w/${s.workflow_id}` : `s/${s.skill}`, kind: s.cron ? "cron" : s.every_seconds ? "every" : "at", cron: s.cron ?? "", every: s.every_seconds ? String(s.every_seconds) : "", at: localOf(s.at),
    timezone: s.timezone, overlap: s.overlap, jitter: String(s.jitter_seconds), catchUp: String(s.catch_up_seconds), start: localOf(s.start_at), end: localOf(s.end_at), note: s.note, tags: (s.tags ?? []).join("\n"),
    inputs: writeJson(s.inputs ?? {}, 2),
});
/** A whole number, or the text as it is: the API says what is wrong with it. */
const whole = (text: string): number | string => /^-?\d{1,15}$/.test(text.trim()) ? Number(text) : text;
/** The members that decide the times. */
export const timesOf = (f: Fields): Record<string, unknown> => ({
    ...(f.kind === "cron" ? { cron: f.cron } : f.kind === "every" ? { every_seconds: whole(f.every) } : { at: isoOf(f.at) ?? f.at }), timezone: f.timezone, start_at: isoOf(f.start), end_at: isoOf(f.end),
});
const lines = (text: string): string[] => text.split("\n").map((line) => line.trim()).filter(Boolean);
const membersOf = (f: Fields): Record<string, unknown> => ({
    ...timesOf(f), overlap: f.overlap, jitter_seconds: whole(f.jitter), catch_up_seconds: whole(f.catchUp), note: f.note, tags: lines(f.tags).length ? lines(f.tags) : null,
});
/**
 * The body of the request: of a new schedule, or of the change of one whose fields were `before`. A change names only what was changed: a time that is
 * named begins the period anew, named inputs make the caller the owner of the schedule, and what others have changed meanwhile stays. The inputs
 * stand in it as they were entered, because to parse them would round long numbers. Throws a SyntaxError if they are not JSON.
 */
export function bodyOf(f: Fields, before?: Fields): string {
    const target = f.target.startsWith("s/") ? { skill: f.target.slice(2) } : { workflow_id: f.target.slice(2) }, inputs = f.inputs.trim() || "{}", old = before && membersOf(before);
    const members = Object.entries({ ...(before ? {} : target), ...membersOf(f) }).filter(([name, value]) => !old || writeJson(old[name]) !== writeJson(value))
        .map(([name, value]) => `${writeJson(name)}:${writeJson(value)}`);
    if (f.inputs !== before?.inputs) {
        readJson(inputs);
        members.push(`"inputs":${inputs}`);
    }
    return `{${members.join(",")}}`;
}

/** What a problem says of a member: by the pointer of a 422, or because the sentence of a 400 begins with the member's name. */
export function said(problem: Problem | undefined, ...names: string[]): string | undefined {
    for (const name of names) {
        const found = problem?.errors.find((e) => e.pointer === `/${name}` || e.pointer.startsWith(`/${name}/`));
        if (found) return found.message;
        if (problem?.status === 400 && (problem.message.startsWith(`${name} `) || problem.message.startsWith(`"${name}" `))) return problem.message;
    }
    return undefined;
}

const OVERLAPS: [string, string][] = [["skip", "skip the new one"], ["queue_one", "let one wait"], ["allow", "run both"], ["stop_previous", "stop the previous one"]];
const zones = (): string[] => { try { return ["UTC", ...Intl.supportedValuesOf("timeZone").filter((z) => z !== "UTC")]; } catch { return ["UTC"]; } };

/** The next times of what stands in the form, read again when the writer pauses. */
function Preview({ fields }: { fields: Fields }) {
    const at = "/schedules/upcoming" + query({ ...timesOf(fields), count: 5 } as Record<string, string | number>);
    const loaded = useLoad(at, async (signal) => {
        await new Promise((resolve) => { setTimeout(resolve, 400); });
        signal.throwIfAborted();
        return get<{ upcoming: string[] }>(at, signal);
    });
    return <section class="card" aria-live="polite"><h2>Next times</h2>
        <Wait of={loaded}>{({ upcoming }) => upcoming.length ? <ol>{upcoming.map((t) => <li key={t}><Time at={t} /></li>)}</ol> : <p class="dim">none</p>}</Wait>
        <p class="dim">In the time of this browser.</p>
    </section>;
}

function Form({ id, from, targets }: { id: string | undefined; from: Fields; targets: [string, string][] }) {
    const [f, setF] = useState({ ...from, target: from.target || targets[0]?.[0] || "" }), [problem, setProblem] = useState<Problem>(), [busy, setBusy] = useState(false), [keyOf] = useState(keys);
    const set = (change: Partial<Fields>) => { setF((old) => ({ ...old, ...change })); setProblem(undefined); };
    const text = (name: keyof Fields) => (e: { currentTarget: { value: string } }) => set({ [name]: e.currentTarget.value });
    const times = useMemo(zones, []), zoneList = "zones-of-the-form";
    const submit = async (event: Event) => {
        event.preventDefault();
        setBusy(true);
        setProblem(undefined);
        try {
            const text = bodyOf(f, id ? from : undefined);
            const stored = await request<Schedule>(id ? "PATCH" : "POST", id ? `/schedules/${id}` : "/schedules", { text, ...(id ? {} : { key: keyOf(text) }) });
            notify("The schedule is stored");
            navigate(`/schedules/${stored.id}`);
        } catch (error) {
            setProblem(error instanceof SyntaxError ? new Problem(0, "invalid_json", `The inputs are not JSON: ${error.message}`) : asProblem(error));
        }
        setBusy(false);
    };
    const inputErrors = (problem?.errors ?? []).filter((e) => /^\/inputs(\/|$)/.test(e.pointer)).map((e) => ({ ...e, pointer: e.pointer.slice("/inputs".length) }));
    return <form onSubmit={submit} noValidate aria-label="Schedule" class="stack">
        <div class="cols">
            <section class="card"><h2>What and when</h2><div class="form">
                {!id && <Field label="Starts" error={said(problem, "workflow_id", "skill")} wide>{(a) => <Choice {...a} value={f.target} options={targets} onChange={text("target")} />}</Field>}
                <Field label="Kind">{(a) => <Choice {...a} value={f.kind} options={[["cron", "at times of a calendar (cron)"], ["every", "again and again"], ["at", "once"]]} onChange={(e) => set({ kind: e.currentTarget.value as Kind })} />}</Field>
                {f.kind === "cron" && <Field label="Cron" hint="minute, hour, day, month, weekday" error={said(problem, "cron")}>{(a) => <input {...a} class="mono" value={f.cron} onInput={text("cron")} />}</Field>}
                {f.kind === "every" && <Field label="Every (seconds)" error={said(problem, "every_seconds")}>{(a) => <input {...a} inputMode="numeric" value={f.every} onInput={text("every")} />}</Field>}
                {f.kind === "at" && <Field label="At" error={said(problem, "at")}>{(a) => <input {...a} type="datetime-local" step="1" value={f.at} onInput={text("at")} />}</Field>}
                <Field label="Time zone" hint="of the calendar" error={said(problem, "timezone")}>{(a) => <><input {...a} list={zoneList} value={f.timezone} onInput={text("timezone")} /><datalist id={zoneList}>{times.map((z) => <option value={z} />)}</datalist></>}</Field>
                <Field label="Not before" error={said(problem, "start_at")}>{(a) => <input {...a} type="datetime-local" step="1" value={f.start} onInput={text("start")} />}</Field>
                <Field label="Not after" error={said(problem, "end_at")}>{(a) => <input {...a} type="datetime-local" step="1" value={f.end} onInput={text("end")} />}</Field>
            </div></section>
            <Preview fields={f} />
            <section class="card"><h2>How</h2><div class="form">
                <Field label="Note" error={said(problem, "note")} wide>{(a) => <input {...a} value={f.note} onInput={text("note")} />}</Field>
                <Field label="If the previous run goes on" error={said(problem, "overlap")}>{(a) => <Choice {...a} value={f.overlap} options={OVERLAPS} onChange={text("overlap")} />}</Field>
                <Field label="Jitter (seconds)" hint="each run starts up to this much later" error={said(problem, "jitter_seconds")}>{(a) => <input {...a} inputMode="numeric" value={f.jitter} onInput={text("jitter")} />}</Field>
                <Field label="Catch up (seconds)" hint="a run that is later is left out" error={said(problem, "catch_up_seconds")}>{(a) => <input {...a} inputMode="numeric" value={f.catchUp} onInput={text("catchUp")} />}</Field>
                <Field label="Tags" hint="one in a line" error={said(problem, "tags")} wide>{(a) => <textarea {...a} rows={2} value={f.tags} onInput={text("tags")} />}</Field>
            </div></section>
        </div>
        <section class="card"><h2>Inputs</h2><JsonEditor label="Inputs as JSON" rows={8} text={f.inputs} onText={(inputs) => set({ inputs })} errors={inputErrors} /></section>
        <ErrorBox problem={problem} />
        <div class="buttons actions"><button class="primary" disabled={busy || !f.target || !!syntaxError(f.inputs || "{}")}>Store</button>
            <button type="button" onClick={() => navigate(id ? `/schedules/${id}` : "/schedules")}>Cancel</button></div>
    </form>;
}

/** What a new schedule can start: what this key may execute. */
async function targetsOf(signal: AbortSignal): Promise<[string, string][]> {
    const flows = can("workflows:read") && can("workflows:execute") ? (await get<{ workflows: WorkflowItem[] }>("/workflows?limit=1000", signal)).workflows : [];
    const packages: Skill[] = can("skills:read") && can("skills:execute") ? await skills(signal) : [];
    return [...flows.map((w): [string, string] => [`w/${w.id}`, w.name]), ...packages.map((s): [string, string] => [`s/${s.slug}`, `${s.name} (skill)`])];
}

export function ScheduleNew() {
    const targets = useLoad("targets", targetsOf);
    return <>
        <Heading title="New schedule">New schedule</Heading>
        <Wait of={targets}>{(list) => list.length ? <Form id={undefined} from={NEW} targets={list} /> : <p class="dim">There is no workflow or skill that this key may execute.</p>}</Wait>
    </>;
}

export function ScheduleEdit({ id }: { id: string }) {
    const loaded = useLoad(id, (signal) => get<Schedule>(`/schedules/${encodeURIComponent(id)}`, signal)), title = `Edit ${loaded.data?.note || "schedule"}`;
    return <>
        <Heading title={title}><T>{title}</T></Heading>
        <Wait of={loaded}>{(s) => <Form id={id} from={formOf(s)} targets={[]} />}</Wait>
    </>;
}
