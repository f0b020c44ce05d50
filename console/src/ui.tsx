// Parts that the screens share. Everything that a tenant can write is a text node, inside of <bdi> where its direction may differ.
import { Fragment, type ComponentChild, type ComponentChildren, type TargetedEvent } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Problem, saveBlob, serverNow, Store } from "./api";
import { asProblem, useStore, type Loaded } from "./hooks";
import { writeJson } from "./exact";

export const T = ({ children }: { children: string | number | null | undefined }) => <bdi>{children}</bdi>;

// --- times and numbers --------------------------------------------------------------------------------------------------
const two = (n: number) => String(n).padStart(2, "0");
export function localTime(iso: string): string {
    const d = new Date(iso);
    return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}
/** A time; narrow tables leave out its year and seconds. */
export const Time = ({ at, none = "–" }: { at: string | null | undefined; none?: string }) =>
    at ? <time dateTime={at} title={at}><span class="year">{localTime(at).slice(0, 5)}</span>{localTime(at).slice(5, 16)}<span class="second">{localTime(at).slice(16)}</span></time> : <Fragment>{none}</Fragment>;
export function duration(ms: number): string {
    if (!Number.isFinite(ms)) return "–";
    if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
    if (ms < 60000) return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
    const s = Math.round(ms / 1000);
    if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
    return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}
export const between = (from: string | null | undefined, to: string | null | undefined, now = serverNow()): string =>
    from ? duration((to ? Date.parse(to) : now) - Date.parse(from)) : "–";
export const number = (n: number): string => n.toLocaleString("en", { maximumFractionDigits: 6 });
export const bytes = (n: number): string => n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1048576).toFixed(1)} MiB`;

const MARKS: Record<string, string> = {
    queued: "◌", running: "▶", waiting: "◷", succeeded: "✓", success: "✓", completed: "✓", delivered: "✓", active: "▶", failed: "✕", stopped: "■", skipped: "↷",
    pending: "◌", paused: "‖", finished: "■", dropped: "■", started: "✓", missed: "✕", refused: "✕",
};
/** A state: a mark and a word, because colour alone says nothing to some. */
export const State = ({ of }: { of: string }) => <span class={`state s-${of}`}><span aria-hidden="true">{MARKS[of] ?? "•"}</span> {of}</span>;

// --- messages -----------------------------------------------------------------------------------------------------------
export const ErrorBox = ({ problem, retry }: { problem: Problem | undefined; retry?: () => void }) => problem ? (
    <div class="error-box" role="alert">
        <p><T>{problem.message}</T>{problem.code === "insufficient_scope" && " Your key or role does not allow this."}</p>
        {problem.errors.length > 0 && <ul>{problem.errors.slice(0, 20).map((e) => <li><code>{e.pointer || "/"}</code> <T>{e.message}</T></li>)}</ul>}
        {retry && <button type="button" onClick={retry}>Try again</button>}
    </div>) : null;

/** The data once they are there; before that, a note or the error. Data that were loaded stay when a refresh fails. */
export function Wait<T>({ of, children }: { of: Loaded<T>; children: (data: T) => ComponentChild }) {
    return <Fragment>
        <ErrorBox problem={of.error} retry={of.reload} />
        {of.data !== undefined ? children(of.data) : !of.error && <p class="dim" role="status">Loading…</p>}
    </Fragment>;
}

const notices = new Store<{ id: number; text: string; bad: boolean }[]>([]);
let count = 0;
export function notify(text: string, bad = false): void {
    const id = ++count;
    notices.value = [...notices.value.slice(-3), { id, text, bad }];
    setTimeout(() => { notices.value = notices.value.filter((n) => n.id !== id); }, bad ? 12000 : 5000);
}
export function Notices() {
    const list = useStore(notices);
    return <div class="notices" role="status" aria-live="polite">
        {list.map((n) => <div key={n.id} class={n.bad ? "notice bad" : "notice"}><T>{n.text}</T>
            <button type="button" class="plain" aria-label="Dismiss" onClick={() => { notices.value = notices.value.filter((x) => x.id !== n.id); }}>✕</button></div>)}
    </div>;
}

/** A button that does something on the server: it is disabled meanwhile, and says what came of it. */
export function Act({ run, done, children, confirm, ...rest }: {
    run: () => Promise<unknown>; done?: string; confirm?: string; children: ComponentChildren; class?: string; disabled?: boolean; title?: string;
}) {
    const [busy, setBusy] = useState(false), [asking, setAsking] = useState(false);
    const go = async () => {
        setAsking(false);
        setBusy(true);
        try {
            await run();
            if (done) notify(done);
        } catch (error) {
            notify(asProblem(error).message, true);
        }
        setBusy(false);
    };
    return <Fragment>
        <button type="button" {...rest} disabled={busy || rest.disabled} onClick={() => confirm ? setAsking(true) : void go()}>{children}</button>
        {asking && <Dialog title={confirm!} close={() => setAsking(false)}>
            <div class="buttons"><button type="button" class="primary" onClick={() => void go()}>{children}</button>
                <button type="button" onClick={() => setAsking(false)}>Cancel</button></div>
        </Dialog>}
    </Fragment>;
}

export function Dialog({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
    const at = useRef<HTMLDialogElement>(null), id = useId(), gone = useRef(false);
    useLayoutEffect(() => {
        gone.current = false;
        const before = document.activeElement, dialog = at.current!;
        dialog.showModal();
        // what is outside of an open dialog cannot take the focus
        return () => { gone.current = true; dialog.close(); if (before instanceof HTMLElement && before.isConnected) before.focus(); };
    }, []);
    return <dialog ref={at} aria-labelledby={id} onClose={() => { if (!gone.current) close(); }}>
        <h2 id={id}>{title}</h2>
        {children}
    </dialog>;
}

/** A labelled control. `children` gets the attributes that join it to its label, hint and error. */
export function Field({ label, hint, error, wide, children }: {
    label: string; hint?: string | undefined; error?: string | undefined; wide?: boolean;
    children: (attributes: { id: string; "aria-describedby"?: string; "aria-invalid"?: "true" }) => ComponentChild;
}) {
    const id = useId(), about = [hint && id + "h", error && id + "e"].filter(Boolean).join(" ");
    return <div class={wide ? "field wide" : "field"}>
        <label for={id}><T>{label}</T></label>
        {children({ id, ...(about ? { "aria-describedby": about } : {}), ...(error ? { "aria-invalid": "true" as const } : {}) })}
        {hint && <p class="hint" id={id + "h"}><T>{hint}</T></p>}
        {error && <p class="field-error" id={id + "e"}><T>{error}</T></p>}
    </div>;
}

/** The heading of a screen: the focus goes to it when the screen is opened, so that a screen reader says where one is. */
export function Heading({ children, title, actions }: { children: ComponentChildren; title: string; actions?: ComponentChildren }) {
    const at = useRef<HTMLHeadingElement>(null);
    useEffect(() => {
        if (document.activeElement === document.body || document.activeElement?.closest("nav, main")) at.current?.focus({ preventScroll: true });
    }, []);
    useEffect(() => { document.title = `${title} – Millrace`; }, [title]);
    return <header class="heading"><h1 ref={at} tabIndex={-1}>{children}</h1>{actions && <div class="buttons">{actions}</div>}</header>;
}

// --- values -------------------------------------------------------------------------------------------------------------
const SHOWN = 4096;
/** A JSON value as text. A large one is collapsed: its beginning is shown, and the rest when asked for. */
export function Value({ value, name, label }: { value: unknown; name: string; label: string }) {
    const [open, setOpen] = useState(false);
    const text = value === undefined ? "" : typeof value === "string" ? value : writeJson(value, 2);
    if (value === undefined || value === null) return <p class="dim">{value === null ? "null" : "none"}</p>;
    const large = text.length > SHOWN;
    return <div class="value">
        <pre tabIndex={0} role="region" aria-label={label}><T>{large && !open ? text.slice(0, SHOWN) + "…" : text}</T></pre>
        <div class="buttons small">
            {large && <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>{open ? "Collapse" : `Show all (${bytes(text.length)})`}</button>}
            <button type="button" onClick={() => { navigator.clipboard.writeText(text).then(() => notify("Copied"), () => notify("The browser does not allow copying", true)); }}>Copy</button>
            {large && <button type="button" onClick={() => saveBlob(new Blob([text], { type: "application/json" }), name)}>Save</button>}
        </div>
    </div>;
}

// --- tables -------------------------------------------------------------------------------------------------------------
export interface Column<R> { title: string; class?: string; cell: (row: R) => ComponentChild }
export interface Selection { ids: Set<string>; toggle: (id: string) => void; all: () => void; name: string }
const ROW = 40, OVER = 12;

/**
 * A table that draws only the rows that can be seen, of any number. More rows are asked for when the end comes near. Arrow keys move the focus
 * from row to row.
 */
export function Table<R>({ label, columns, rows, id, more, loading, loadMore, empty = "Nothing here.", selection, tall }: {
    label: string; columns: Column<R>[]; rows: R[]; id: (row: R) => string; more?: boolean; loading?: boolean; loadMore?: () => void; empty?: string;
    selection?: Selection | undefined; tall?: boolean;
}) {
    const box = useRef<HTMLDivElement>(null);
    const [view, setView] = useState({ top: 0, height: 800 });
    const measure = () => {
        const at = box.current;
        if (at) setView((old) => old.top === at.scrollTop && old.height === at.clientHeight ? old : { top: at.scrollTop, height: at.clientHeight });
    };
    useLayoutEffect(measure, [rows.length]);
    useEffect(() => {
        const observer = new ResizeObserver(measure);
        observer.observe(box.current!);
        return () => observer.disconnect();
    }, []);
    const first = Math.max(0, Math.min(Math.floor(view.top / ROW) - OVER, rows.length - 1)), last = Math.min(rows.length, Math.ceil((view.top + view.height) / ROW) + OVER);
    useEffect(() => { if (more && !loading && last >= rows.length - 20) loadMore?.(); }, [more, loading, last, rows.length]);
    const move = (event: KeyboardEvent) => {
        const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0, from = event.target as HTMLElement;
        const row = from.closest<HTMLElement>("tr[data-index]");
        if (!step || !row || event.altKey || event.ctrlKey || event.metaKey || from instanceof HTMLSelectElement) return;
        event.preventDefault();
        const index = Number(row.dataset.index) + step, kind = from instanceof HTMLInputElement ? "input" : "a, button";
        const at = box.current!, head = at.querySelector("thead")!.offsetHeight;
        if (index < 0 || index >= rows.length) return;
        if (index * ROW < at.scrollTop) at.scrollTop = index * ROW;
        else if ((index + 1) * ROW + head > at.scrollTop + at.clientHeight) at.scrollTop = (index + 1) * ROW + head - at.clientHeight;
        requestAnimationFrame(() => at.querySelector<HTMLElement>(`tr[data-index="${index}"]`)?.querySelector<HTMLElement>(kind)?.focus({ preventScroll: true }));
    };
    const span = columns.length + (selection ? 1 : 0);
    // without colSpan: columns that a narrow screen does not show would be made again by it, and take room
    const gap = (count: number) => count > 0 && <tr class="gap" aria-hidden="true"><td style={{ height: `${count * ROW}px` }} /></tr>;
    return <div class={tall ? "table tall" : "table"} ref={box} onScroll={measure} onKeyDown={move} tabIndex={0} role="region" aria-label={label}>
        <table aria-rowcount={rows.length + 1}>
            <thead><tr>
                {selection && <th class="c-select" scope="col"><input type="checkbox" aria-label={`Select all ${selection.name}`} onChange={selection.all}
                    checked={rows.length > 0 && selection.ids.size >= rows.length} /></th>}
                {columns.map((c) => <th class={c.class} scope="col">{c.title}</th>)}
            </tr></thead>
            <tbody>
                {gap(first)}
                {rows.slice(first, last).map((row, i) => <tr key={id(row)} data-index={first + i} aria-rowindex={first + i + 2}>
                    {selection && <td class="c-select"><input type="checkbox" aria-label={`Select ${id(row)}`} checked={selection.ids.has(id(row))}
                        onChange={() => selection.toggle(id(row))} /></td>}
                    {columns.map((c) => <td class={c.class}>{c.cell(row)}</td>)}
                </tr>)}
                {gap(rows.length - last)}
                {rows.length === 0 && <tr><td colSpan={span} class="dim">{loading ? "Loading…" : empty}</td></tr>}
            </tbody>
        </table>
    </div>;
}

/** What joins a control to its label. */
interface Control { id?: string; "aria-label"?: string; "aria-describedby"?: string; "aria-invalid"?: "true" }
export const Choice = ({ value, options, ...rest }: { value: string; options: [string, string][] } & Control & { onChange: (e: TargetedEvent<HTMLSelectElement>) => void }) =>
    <select {...rest} value={value}>{options.map(([v, text]) => <option value={v} selected={v === value}>{text}</option>)}</select>;

/** A control that reports a text when its writer pauses, or leaves it. */
export function Search({ value, onValue, ...rest }: { value: string; onValue: (value: string) => void } & Control & { placeholder?: string }) {
    const [text, setText] = useState(value), timer = useRef(0), sent = useRef(value);
    useEffect(() => { if (value !== sent.current) { sent.current = value; setText(value); } }, [value]);
    const say = (next: string) => { clearTimeout(timer.current); if (next !== sent.current) { sent.current = next; onValue(next); } };
    useEffect(() => () => clearTimeout(timer.current), []);
    return <input {...rest} value={text} onBlur={(e) => say(e.currentTarget.value.trim())} onKeyDown={(e) => { if (e.key === "Enter") { e.preventDefault(); say(e.currentTarget.value.trim()); } }}
        onInput={(e) => { const next = e.currentTarget.value; setText(next); clearTimeout(timer.current); timer.current = window.setTimeout(() => say(next.trim()), 500); }} />;
}
