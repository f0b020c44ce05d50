// One run: what it was given, what came of it, when each step ran, and what can be done about it.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { can, canExecute, delay, follow, get, post, Problem, read, request, save, type Execution, type Nesting, type RunEvent, type Step, type Workflow } from "../api";
import { InputsForm } from "../editor";
import { asProblem, MIN_POLL_MS, useLoad, useNow, visible } from "../hooks";
import { Link, navigate } from "../router";
import { Act, between, bytes, Dialog, duration, ErrorBox, Field, Heading, notify, number, State, T, Time, Value, Wait } from "../ui";
import { runName } from "./runs";
import { readJson, writeJson } from "../exact";

const ended = (run: Pick<Execution, "state">): boolean => run.state !== "queued" && run.state !== "running";

// --- the waterfall ------------------------------------------------------------------------------------------------------
export interface Try { from: number; to: number; failed: boolean; error?: string }
const dataOf = (e: RunEvent): Record<string, any> => e.data as Record<string, any>;

/** The tries of a step, from its times and the events that report a failed try. Tries of the items of a for_each are not in one line. */
export function tries(step: Pick<Step, "index" | "started_at" | "completed_at" | "status">, events: RunEvent[], now: number): Try[] {
    if (!step.started_at) return [];
    const end = step.completed_at ? Date.parse(step.completed_at) : step.status === "running" ? now : Date.parse(step.started_at);
    const list: Try[] = [];
    let from = Date.parse(step.started_at);
    for (const e of events) {
        if (e.type !== "step.retrying" || dataOf(e).index !== step.index || typeof dataOf(e).item === "number") continue;
        list.push({ from, to: Date.parse(e.at), failed: true, error: String(dataOf(e).error) });
        from = Math.min(Date.parse(dataOf(e).retry_at), end);
    }
    list.push({ from, to: Math.max(from, end), failed: step.status === "failed" });
    return list;
}

function Bars({ list, from, span, step }: { list: Try[]; from: number; span: number; step: Step }) {
    const x = (t: number) => Math.max(0, Math.min(100, 100 * (t - from) / span));
    const kind = step.adopted_from ? "b-adopted" : step.status === "running" ? "b-run" : step.status === "failed" ? "b-bad" : "b-ok";
    return <svg viewBox="0 0 100 18" preserveAspectRatio="none" aria-hidden="true">
        {list.length > 1 && <rect class="b-wait" x={x(list[0]!.from)} width={Math.max(0, x(list.at(-1)!.to) - x(list[0]!.from))} y="8" height="2" />}
        {list.map((t, i) => <rect class={t.failed ? "b-bad" : i === list.length - 1 ? kind : "b-ok"} x={Math.min(99.4, x(t.from))} width={Math.max(0.6, x(t.to) - x(t.from))} y="3" height="12" rx="0.5" />)}
    </svg>;
}

function StepRow({ step, index, run, events, from, span, now, retry }: {
    step: Step; index: number; run: Execution; events: RunEvent[]; from: number; span: number; now: number; retry: (from: string) => Promise<void>;
}) {
    const [open, setOpen] = useState(false), list = step.adopted_from ? [] : tries(step, events, now), failed = list.filter((t) => t.error);
    const name = step.name ?? `step ${step.index}`, children = events.filter((e) => e.type === "execution.child_started" && dataOf(e).step_index === step.index);
    return <li>
        <button type="button" class="name" aria-expanded={open} onClick={() => setOpen(!open)}><T>{name}</T></button>
        <State of={step.status} />
        <span class="bar-cell"><Bars list={list} from={from} span={span} step={step} /></span>
        <span class="took">{step.adopted_from ? "adopted" : step.started_at ? between(step.started_at, step.completed_at, now) : "–"}</span>
        {open && <div class="more">
            <p class="dim">{step.type}{step.attempts > 1 && `, ${step.attempts} tries`}{step.started_at && <>, started <Time at={step.started_at} /></>}
                {step.adopted_from && <>, taken over from <Link to={`/runs/${step.adopted_from}`}>{step.adopted_from}</Link></>}</p>
            {step.error && <p class="bad"><T>{step.error}</T></p>}
            {failed.length > 0 && <ol>{failed.map((t, i) => <li>Try {i + 1}: {duration(t.to - t.from)}, <span class="bad"><T>{t.error}</T></span></li>)}</ol>}
            {children.length > 0 && <p>Child runs: {children.slice(0, 50).map((e, i) => <>{i > 0 && ", "}<Link to={`/runs/${dataOf(e).execution_id}`}>{String(dataOf(e).execution_id)}</Link></>)}{children.length > 50 && " …"}</p>}
            <Value value={step.result} name={`step-${step.index}.json`} label={`Result of ${name}`} />
            {ended(run) && !run.isPurged && run.detail.type === "workflow" && step.name && canExecute(run) && index > 0 &&
                <div class="buttons"><Act run={() => retry(step.name!)}>Retry from here</Act></div>}
        </div>}
    </li>;
}

function Waterfall({ run, events, retry }: { run: Execution; events: RunEvent[]; retry: (from: string) => Promise<void> }) {
    const now = useNow(!ended(run)), steps = run.steps ?? [];
    const own = steps.filter((s) => !s.adopted_from && s.started_at), from = Math.min(Date.parse(run.started_at ?? run.created_at), ...own.map((s) => Date.parse(s.started_at!)));
    const to = run.completed_at ? Date.parse(run.completed_at) : now, span = Math.max(1, to - from);
    return <section class="card"><h2>Steps</h2>
        {steps.length ? <ol class="fall">{steps.map((s, i) => <StepRow key={s.index} {...{ step: s, index: i, run, events, from, span, now, retry }} />)}</ol> : <p class="dim">No step has begun.</p>}
    </section>;
}

// --- children, events, log ----------------------------------------------------------------------------------------------
const Branch = ({ of }: { of: Nesting }) => <li>
    <State of={of.state} /> <Link to={`/runs/${of.id}`}><T>{runName(of)}</T></Link> <span class="dim">{between(of.started_at, of.completed_at)}</span>{of.error && <> <span class="bad"><T>{of.error}</T></span></>}
    {of.children.length > 0 && <ul>{of.children.map((c) => <Branch key={c.id} of={c} />)}</ul>}
    {of.children_truncated && <p><Link to={`/runs?parent=${of.id}`}>More children…</Link></p>}
</li>;
function Children({ run, turn }: { run: Execution; turn: number }) {
    const tree = useLoad(`${run.id}/${ended(run) ? "end" : turn}`, (signal) => get<Nesting>(`/executions/nestings?executionId=${run.id}`, signal));
    const kept = useRef<Nesting | undefined>(undefined);
    if (tree.data) kept.current = tree.data;
    if (!kept.current?.children.length) return null;
    return <section class="card"><h2>Children</h2>
        <ul class="tree">{kept.current.children.map((c) => <Branch key={c.id} of={c} />)}</ul>
        {kept.current.children_truncated && <p><Link to={`/runs?parent=${run.id}`}>More children…</Link></p>}
    </section>;
}

const Events = ({ events }: { events: RunEvent[] }) => <section class="card"><h2>Events</h2>
    <ol class="events" tabIndex={0}>{events.slice(-1000).map((e) => <li key={e.seq}>
        <span class="dim">{e.seq}</span><span>{e.type}</span><Time at={e.at} />
        <code><T>{Object.keys(e.data).length ? writeJson(e.data).slice(0, 400) : ""}</T></code>
    </li>)}</ol>
    {events.length > 1000 && <p class="dim">The last 1,000 of {number(events.length)}.</p>}
</section>;

const LOG_SHOWN = 512 * 1024;
function Log({ run }: { run: Execution }) {
    const [text, setText] = useState(""), [cut, setCut] = useState(false), [problem, setProblem] = useState<Problem>(), box = useRef<HTMLPreElement>(null);
    useEffect(() => {
        const end = new AbortController();
        let all = "", timer = 0;
        const show = () => { timer = 0; setText(all); };
        read(`/executions/${run.id}/logs?follow=true`, end.signal, (piece) => {
            all += piece;
            if (all.length > LOG_SHOWN) { all = all.slice(-LOG_SHOWN); setCut(true); }
            timer ||= window.setTimeout(show, 100);
        }).then(() => { clearTimeout(timer); show(); }, (error) => { if (!end.signal.aborted) setProblem(asProblem(error)); });
        return () => { end.abort(); clearTimeout(timer); };
    }, [run.id]);
    useEffect(() => { const at = box.current; if (at && !ended(run)) at.scrollTop = at.scrollHeight; }, [text]);
    return <section class="card"><h2>Log</h2>
        <ErrorBox problem={problem} />
        {cut && <p class="dim">The end of the log. Save it to see everything.</p>}
        {text ? <pre class="log" ref={box} tabIndex={0} role="region" aria-label="Text of the log"><T>{text}</T></pre> : <p class="dim">{ended(run) ? "The run has no log." : "Nothing yet."}</p>}
        {text && <div class="buttons small"><Act run={() => save(`/executions/${run.id}/logs`, `${run.id}.log`, "text/plain")}>Save</Act></div>}
    </section>;
}

// --- actions ------------------------------------------------------------------------------------------------------------
/** The schema of the data for which a wait of this name waits: of the step anywhere in the program. */
export function signalSchema(program: unknown, step: string): unknown {
    if (!program || typeof program !== "object") return undefined;
    const { type, name, schema } = program as Record<string, unknown>;
    if (type === "wait" && name === step) return schema;
    for (const inner of Object.values(program)) {
        const found = signalSchema(inner, step);
        if (found !== undefined) return found;
    }
    return undefined;
}

/** What the last event of a wait says; undefined: the run has not waited. */
interface Waiting { signal: string; name: string; message: string | undefined }

/** The program of the run, if it is that of the workflow's present version. */
const programOf = async (run: Execution, signal: AbortSignal): Promise<unknown> => {
    if (!can("workflows:read")) return null;
    const flow = await get<Workflow>(`/workflows/${run.responderId}`, signal);
    return flow.version === run.detail.version ? flow.program : null;
};

function SignalDialog({ run, waiting: latest, close }: { run: Execution; waiting: Waiting | undefined; close: () => void }) {
    // that of the opening: when the run goes on to another wait, what was entered is not thrown away, nor meant for it
    const [waiting] = useState(latest), [name, setName] = useState(waiting?.signal ?? ""), [other, setOther] = useState(false), program = useLoad(run.id, (signal) => programOf(run, signal).catch(() => null));
    const send = async (data: unknown, key: string) => {
        if (!/^[A-Za-z0-9_.-]{1,64}$/.test(name)) throw new Problem(0, "invalid_name", "The name must have 1 to 64 letters, digits, dots, dashes or underscores.");
        const answer = await request<{ state: string }>("POST", `/executions/${run.id}/signals/${encodeURIComponent(name)}`, { text: writeJson(data), key });
        notify(answer.state === "delivered" ? "The waiting step has got the signal" : "The signal is kept for the next wait");
        close();
    };
    // a form for each of the two, so that what was entered in one is there again when the name is corrected
    const form = (schema: unknown) => <InputsForm schema={schema} submit={send} action="Send" label="Data as JSON" base="" empty="null"><button type="button" onClick={close}>Cancel</button></InputsForm>;
    return <Dialog title="Send a signal" close={close}>
        {waiting?.message && <p><T>{waiting.message}</T></p>}
        <Field label="Name" wide>{(a) => <input {...a} required value={name} onInput={(e) => { setName(e.currentTarget.value); if (e.currentTarget.value !== waiting?.signal) setOther(true); }} />}</Field>
        <Wait of={program}>{(of) => <>
            {waiting && <div hidden={name !== waiting.signal}>{form(signalSchema(of, waiting.name))}</div>}
            {(other || !waiting) && <div hidden={name === waiting?.signal}>{form(undefined)}</div>}
        </>}</Wait>
    </Dialog>;
}

function Actions({ run, events, reload, retry }: { run: Execution; events: RunEvent[]; reload: () => void; retry: (from?: string) => Promise<void> }) {
    const [signal, setSignal] = useState(false), over = ended(run), failedStep = run.steps?.some((s, i) => i > 0 && s.status === "failed");
    const waiting = events.findLast((e) => e.type === "step.waiting");
    if (!canExecute(run)) return null;
    return <>
        {!over && run.start_at && run.state === "queued" && <Act run={() => request("PATCH", `/executions/${run.id}`, { body: { delay_seconds: 0 } }).then(reload)}>Start now</Act>}
        {!over && run.detail.type === "workflow" && <button type="button" onClick={() => setSignal(true)}>Signal…</button>}
        {!over && <Act class="danger" confirm="Stop this run and its children?" done="Stopped" run={() => post(`/executions/${run.id}/stop`).then(reload)}>Stop</Act>}
        {over && !run.isPurged && run.detail.type === "workflow" && failedStep && <Act class="primary" run={() => retry("failed")}>Retry from the failed step</Act>}
        {over && !run.isPurged && <Act run={() => retry()}>Retry</Act>}
        {over && !run.isPurged && can("executions:purge") && <Act class="danger" confirm="Erase the inputs, outputs and texts of this run for ever?" done="Purged" run={() => request("DELETE", `/executions/${run.id}`).then(reload)}>Purge</Act>}
        {signal && <SignalDialog run={run} waiting={waiting && { signal: String(dataOf(waiting).signal), name: String(dataOf(waiting).name), message: typeof dataOf(waiting).message === "string" ? dataOf(waiting).message : undefined }} close={() => setSignal(false)} />}
    </>;
}

const Facts = ({ run, now }: { run: Execution; now: number }) => <section class="card"><dl class="facts">
    <dt>State</dt><dd><State of={run.state} />{run.failure_reason && <> <code>{run.failure_reason}</code></>}{run.isPurged && ", purged"}</dd>
    <dt>{run.detail.type === "skill" ? "Skill" : "Workflow"}</dt>
    <dd>{run.detail.type === "skill" ? <Link to={`/skills/${encodeURIComponent(run.detail.slug ?? "")}`}><T>{run.detail.slug}</T></Link> : <Link to={`/workflows/${run.responderId}`}><T>{runName(run)}</T></Link>}, version {run.detail.type === "skill" ? <T>{run.detail.skill_version}</T> : run.detail.version}</dd>
    <dt>Created</dt><dd><Time at={run.created_at} />{run.start_at && <>, to start at <Time at={run.start_at} /></>}{run.expires_at && <>, expires at <Time at={run.expires_at} /></>}</dd>
    <dt>Started</dt><dd>{run.state === "queued" ? "not yet" : <><Time at={run.started_at} />, after {between(run.created_at, run.started_at)}</>}</dd>
    <dt>Ended</dt><dd>{run.completed_at ? <><Time at={run.completed_at} />, after {between(run.started_at, run.completed_at)}</> : run.state === "running" ? `runs for ${between(run.started_at, null, now)}` : "not yet"}</dd>
    <dt>Credits</dt><dd>{number(run.creditsUsed)}{run.detail.total_credits_used !== undefined && run.detail.total_credits_used !== run.creditsUsed && `, with children ${number(run.detail.total_credits_used)}`}</dd>
    {run.parentId && <><dt>Parent</dt><dd><Link to={`/runs/${run.parentId}`}>{run.parentId}</Link></dd></>}
    {run.retry_of && <><dt>Retry of</dt><dd><Link to={`/runs/${run.retry_of}`}>{run.retry_of}</Link></dd></>}
    {!!retriesOf(run).length && <><dt>Retried by</dt><dd>{retriesOf(run).map((id, i) => <>{i > 0 && ", "}<Link to={`/runs/${id}`}>{id}</Link></>)}</dd></>}
    {run.tags.length > 0 && <><dt>Tags</dt><dd>{run.tags.map((t) => <Link class="tag" to={`/runs?tag=${encodeURIComponent(t)}`}><T>{t}</T></Link>)}</dd></>}
    {Object.keys(run.metadata).length > 0 && <><dt>Metadata</dt><dd><code><T>{writeJson(run.metadata)}</T></code></dd></>}
    {run.files_missing && <><dt>Missing files</dt><dd>{run.files_missing.names.map((n) => <span class="tag"><T>{n}</T></span>)}{run.files_missing.count > run.files_missing.names.length && ` and ${run.files_missing.count - run.files_missing.names.length} more`}</dd></>}
</dl></section>;
const retriesOf = (run: Execution): string[] => (run as { retried_by?: string[] }).retried_by ?? [];

const Artifacts = ({ run }: { run: Execution }) => run.artifacts?.length ? <section class="card"><h2>Artifacts</h2>
    <ul>{run.artifacts.map((a) => <li key={a.artifact_id}><T>{a.relpath_in_workspace ?? a.artifact_id}</T> <span class="dim">{a.document_type} {a.size_bytes !== null && bytes(a.size_bytes)}</span>{" "}
        <span class="small"><Act run={() => save(a.download_url, a.relpath_in_workspace?.split("/").pop() ?? a.artifact_id)}>Save</Act></span></li>)}</ul>
</section> : null;

export function Run({ id }: { id: string }) {
    const at = `/executions/${encodeURIComponent(id)}`;
    const loaded = useLoad(id, (signal) => get<Execution>(`${at}?include_step_results=true`, signal));
    const run = loaded.data, over = run ? ended(run) : false, now = useNow(!over);
    const [events, setEvents] = useState<RunEvent[]>([]), [turn, setTurn] = useState(0), [connected, setConnected] = useState(false);
    const known = !!run, set = useRef(loaded.set);
    set.current = loaded.set;
    useEffect(() => {
        if (!known) return undefined;
        const end = new AbortController(), seen = new Map<number, RunEvent>();
        let dirty = false, timer = 0;
        const show = () => { timer = 0; setEvents([...seen.values()].sort((a, b) => a.seq - b.seq)); };
        void follow(`${at}/events`, end.signal, (m) => {
            const event = readJson(m.data) as RunEvent;
            seen.set(event.seq, event);
            dirty = true;
            timer ||= window.setTimeout(show, 100);
        }, setConnected).then(() => { dirty = true; });
        // the events say that something happened, the execution says what: it is read again after them
        void (async () => {
            while (!end.signal.aborted) {
                await visible(end.signal);
                if (dirty && !end.signal.aborted) {
                    dirty = false;
                    try {
                        const fresh = await get<Execution>(`${at}?include_step_results=true`, end.signal);
                        set.current(fresh);
                        setTurn((n) => n + 1);
                    } catch { /* the next event or the person tries again */ }
                }
                await delay(MIN_POLL_MS, end.signal);
            }
        })();
        return () => { end.abort(); clearTimeout(timer); };
    }, [id, known]);
    const key = useMemo(() => crypto.randomUUID(), [id]);
    const retry = async (from?: string) => {
        const made = await post<{ execution_id: string }>(`${at}/retry`, from ? { from } : {}, `${key}-${from ?? ""}-${run?.state}`);
        navigate(`/runs/${made.execution_id}`);
    };
    const title = run ? runName(run) : id;
    return <>
        <Heading title={title} actions={run && <>
            {!over && <span class={connected ? "live on" : "live"}>{connected ? "live" : "connecting"}</span>}
            <Actions run={run} events={events} reload={loaded.reload} retry={retry} />
        </>}><T>{title}</T></Heading>
        <p class="dim mono">{id}</p>
        <Wait of={loaded}>{(data) => <>
            <Facts run={data} now={now} />
            <div class="cols">
                <section class="card"><h2>Input</h2><Value value={data.detail.input} name={`${id}-input.json`} label="Input of the run" /></section>
                <section class="card"><h2>Output</h2><Value value={data.detail.output} name={`${id}-output.json`} label="Output of the run" /></section>
                {data.error && <section class="card"><h2>Error</h2><Value value={data.error} name={`${id}-error.txt`} label="Error of the run" /></section>}
            </div>
            {data.detail.type === "workflow" && <Waterfall run={data} events={events} retry={retry} />}
            <Artifacts run={data} />
            <Children run={data} turn={turn} />
            {data.detail.type === "skill" && <Log run={data} />}
            <Events events={events} />
        </>}</Wait>
    </>;
}
