// The executors' log, of all hosts, as it grows: for operators, instead of tail -f on each host.
import { useEffect, useRef, useState } from "preact/hooks";
import { can, choose, query, type LogLine } from "../api";
import { useStream } from "../live";
import { navigate, useQuery } from "../router";
import { Choice, Dialog, ErrorBox, Field, Heading, number, Search, T, Table, Time } from "../ui";
import { readJson } from "../exact";

/** What is kept and can be scrolled through. */
export const LINES_MAX = 2000;
export interface Row { id: string; line: LogLine | null }
const HEAD = new Set(["host", "at", "level", "process", "event"]);
const LEVELS: [string, string][] = [["", "All levels"], ["info", "info and above"], ["warn", "warn and above"], ["error", "error"]];
const MARKS: Record<string, string> = { debug: "·", info: "•", warn: "▲", error: "✕" };

/** The fields of a line as the log file has them. */
export const fieldsOf = (line: LogLine): string => Object.entries(line).filter(([name]) => !HEAD.has(name))
    .map(([name, value]) => `${name}=${typeof value === "string" && /[\s"]/.test(value) ? `"${value}"` : String(value)}`).join(" ");

/** The newest lines first, at most LINES_MAX. */
export const joined = (rows: Row[], fresh: Row[]): Row[] => [...fresh.slice().reverse(), ...rows].slice(0, LINES_MAX);

const Level = ({ of }: { of: string }) => <span class={`state lv-${of}`}><span aria-hidden="true">{MARKS[of] ?? "•"}</span> {of}</span>;

function LineDialog({ line, filter, close }: { line: LogLine; filter: (change: Record<string, string>) => void; close: () => void }) {
    const { execution, workspace } = line as { execution?: unknown; workspace?: unknown };
    const only = (change: Record<string, string>) => { filter(change); close(); };
    const open = () => { choose({ id: String(workspace), name: String(workspace) }); navigate(`/runs/${String(execution)}`); };
    return <Dialog title={line.event} close={close}>
        <dl class="facts">{Object.entries(line).map(([name, value]) => <><dt>{name}</dt><dd class="mono"><T>{String(value)}</T></dd></>)}</dl>
        <div class="buttons">
            {typeof execution === "string" && typeof workspace === "string" && <button type="button" class="primary" onClick={open}>Open the run</button>}
            {typeof execution === "string" && <button type="button" onClick={() => only({ execution })}>Only this execution</button>}
            {typeof workspace === "string" && <button type="button" onClick={() => only({ workspace })}>Only this workspace</button>}
            <button type="button" onClick={close}>Close</button>
        </div>
    </Dialog>;
}

function Lines({ path, filter }: { path: string; filter: (change: Record<string, string>) => void }) {
    const [rows, setRows] = useState<Row[]>([]), [paused, setPaused] = useState(false), [waiting, setWaiting] = useState(0), [shown, setShown] = useState<LogLine>();
    const fresh = useRef<Row[]>([]), timer = useRef(0), count = useRef(0), isPaused = useRef(false);
    const show = () => {
        timer.current = 0;
        if (isPaused.current) return setWaiting(fresh.current.length);
        const added = fresh.current;
        fresh.current = [];
        setWaiting(0);
        setRows((old) => joined(old, added));
    };
    const { connected, problem } = useStream(path, true, (m) => {
        const data = readJson(m.data) as LogLine | { type: "log.gap" };
        fresh.current.push({ id: String(++count.current), line: "event" in data ? data : null });
        if (fresh.current.length > LINES_MAX) fresh.current.shift();
        timer.current ||= window.setTimeout(show, 250);
    }, true);
    useEffect(() => () => clearTimeout(timer.current), []);
    const pause = () => { isPaused.current = !paused; setPaused(!paused); if (paused) show(); };
    return <>
        <div class="buttons">
            <span class={connected ? "live on" : "live"}>{connected ? "live" : problem ? "not connected" : "connecting"}</span>
            <button type="button" aria-pressed={paused} onClick={pause}>Pause</button>
            <button type="button" onClick={() => { fresh.current = []; setWaiting(0); setRows([]); }}>Clear</button>
            {paused && <span class="dim" role="status">{number(waiting)} new lines{waiting >= LINES_MAX && " or more"}</span>}
        </div>
        <ErrorBox problem={problem} />
        <Table tall label="Executor log" rows={rows} id={(r) => r.id} loading={!connected && !problem} empty="No line matches so far." columns={[
            { title: "Time", class: "c-time", cell: (r) => r.line ? <Time at={r.line.at} /> : "" },
            { title: "Level", class: "c-level", cell: (r) => r.line ? <Level of={r.line.level} /> : "" },
            { title: "Event", class: "c-event", cell: ({ line }) => line ? <a href="#" onClick={(e) => { e.preventDefault(); setShown(line); }}>{line.event}</a> : <span class="bad">lines are missing here</span> },
            { title: "Fields", class: "wide mono", cell: (r) => r.line ? <T>{fieldsOf(r.line)}</T> : "" },
            { title: "Host", class: "c-id wider", cell: (r) => r.line ? <T>{r.line.host}</T> : "" },
            { title: "Process", class: "c-id wider", cell: (r) => r.line?.process ?? "" },
        ]} />
        {shown && <LineDialog line={shown} filter={filter} close={() => setShown(undefined)} />}
    </>;
}

export function ExecutorLog() {
    const [q, change] = useQuery(), at = (name: string) => q.get(name) ?? "";
    const path = "/operator/executor-log" + query({ level: at("level"), workspace_id: at("workspace"), execution_id: at("execution"), q: at("q") });
    const id = (name: string): string | undefined => at(name) && !/^[0-9a-f-]{36}$/.test(at(name)) ? "must be an id" : undefined;
    const wrong = id("workspace") ?? id("execution");
    return <>
        <Heading title="Executor log">Executor log</Heading>
        <form class="card" onSubmit={(e) => e.preventDefault()} aria-label="Filters"><div class="filters">
            <Field label="Level">{(a) => <Choice {...a} value={at("level")} options={LEVELS} onChange={(e) => change({ level: e.currentTarget.value })} />}</Field>
            <Field label="Workspace" error={id("workspace")}>{(a) => <Search {...a} value={at("workspace")} onValue={(workspace) => change({ workspace })} placeholder="id" />}</Field>
            <Field label="Execution" error={id("execution")}>{(a) => <Search {...a} value={at("execution")} onValue={(execution) => change({ execution })} placeholder="id" />}</Field>
            <Field label="Text">{(a) => <Search {...a} value={at("q")} onValue={(text) => change({ q: text })} />}</Field>
        </div></form>
        {!wrong && can("executions:read") && <Lines key={path} path={path} filter={(values) => change(values, true)} />}
        <p class="dim">Of all executors, newest first; the last {number(LINES_MAX)} lines are kept here. With a filter also older lines that the server still has.</p>
    </>;
}
