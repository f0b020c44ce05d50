// A JSON editor that shows errors in the lines they are about, and a form made from a JSON Schema.
import type { ComponentChildren } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import { Problem, type Violation } from "./api";
import { brokenAt, entries, initial, lineOf, places, valueOf } from "./json";
import { Choice, ErrorBox, Field, T } from "./ui";
import { readJson, writeJson } from "./exact";

const LINE = 20;
/** Where a text is not JSON, and why; undefined if it is. */
export function syntaxError(text: string): { message: string; line: number } | undefined {
    try {
        readJson(text);
        return undefined;
    } catch (error) {
        return { message: (error as Error).message, line: text.slice(0, brokenAt(text)).split("\n").length - 1 };
    }
}

export function JsonEditor({ label, text, onText, errors, rows = 24 }: { label: string; text: string; onText: (text: string) => void; errors: Violation[]; rows?: number }) {
    const [top, setTop] = useState(0), area = useRef<HTMLTextAreaElement>(null);
    const broken = useMemo(() => syntaxError(text), [text]);
    const marks = useMemo(() => {
        if (broken) return [{ line: broken.line, pointer: "", message: broken.message }];
        const known = places(text);
        return errors.map((e) => ({ ...e, line: lineOf(text, e.pointer, known) }));
    }, [text, errors, broken]);
    const lines = useMemo(() => text.split("\n").length, [text]);
    const jump = (line: number) => {
        const at = area.current!, offset = text.split("\n").slice(0, line).join("\n").length + (line ? 1 : 0);
        at.focus();
        at.setSelectionRange(offset, offset);
        at.scrollTop = Math.max(0, (line - 3) * LINE);
    };
    const first = Math.floor(top / LINE), shown = Math.min(lines - first, 80);
    return <div>
        <div class="editor">
            <div class="marks" aria-hidden="true">
                {marks.map((m) => <div class="mark" style={{ top: `${8 + m.line * LINE - top}px` }}><T>{m.message}</T></div>)}
                <div class="numbers-of-lines" style={{ transform: `translateY(${first * LINE - top}px)` }}>{Array.from({ length: Math.max(0, shown) }, (_, i) => first + i + 1).join("\n")}</div>
            </div>
            <textarea ref={area} aria-label={label} aria-invalid={marks.length ? "true" : undefined} spellcheck={false} wrap="off" rows={rows} value={text}
                onInput={(e) => onText(e.currentTarget.value)} onScroll={(e) => setTop(e.currentTarget.scrollTop)} />
        </div>
        {marks.length > 0 && <ul aria-label="Errors">{marks.map((m) => <li><button type="button" class="jump" onClick={() => jump(m.line)}>Line {m.line + 1}{m.pointer && <>, <code>{m.pointer}</code></>}: <T>{m.message}</T></button></li>)}</ul>}
    </div>;
}

/** The violation of a member, taken from the 422 response: pointers begin with that of the whole. */
const errorAt = (problem: Problem | undefined, base: string, name: string): string | undefined => {
    const at = `${base}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    return problem?.errors.find((e) => e.pointer === at || e.pointer.startsWith(at + "/"))?.message;
};

/**
 * A form for a value of a schema: a field for each property, or one JSON text, at first `empty`. `base` is the pointer of the value in the request,
 * as a 422 response names it.
 */
export function InputsForm({ schema, submit, action, label = "Inputs as JSON", base = "/inputs", empty = "{}", children }: {
    schema: unknown; submit: (inputs: unknown, key: string) => Promise<void>; action: string; label?: string; base?: string; empty?: string; children?: ComponentChildren;
}) {
    const list = useMemo(() => entries(schema), [schema]);
    const [asJson, setAsJson] = useState(!list), [texts, setTexts] = useState<Record<string, string>>(() => Object.fromEntries((list ?? []).map((e) => [e.name, initial(e)])));
    const [json, setJson] = useState(empty), [problem, setProblem] = useState<Problem>(), [wrong, setWrong] = useState<Record<string, string>>({}), [busy, setBusy] = useState(false);
    // the same form sent again, after a lost answer, starts no second run; a changed one has another key
    const sent = useRef({ inputs: "", key: "" });
    const collect = (): unknown => {
        if (asJson) return readJson(json || empty);
        const inputs: Record<string, unknown> = {}, bad: Record<string, string> = {};
        for (const e of list ?? []) {
            try {
                const value = valueOf(e, texts[e.name] ?? "");
                // not by assignment: a name may be __proto__
                if (value !== undefined) Object.defineProperty(inputs, e.name, { value, enumerable: true, configurable: true, writable: true });
            } catch (error) {
                bad[e.name] = (error as Error).message;
            }
        }
        setWrong(bad);
        if (Object.keys(bad).length) throw new Problem(0, "invalid_inputs", "Some fields are not valid.");
        return inputs;
    };
    const toggle = () => {
        try {
            if (!asJson) setJson(writeJson(collect(), 2));
            setAsJson(!asJson);
        } catch { /* the fields say what is wrong */ }
    };
    const go = async (event: Event) => {
        event.preventDefault();
        setProblem(undefined);
        setBusy(true);
        try {
            const inputs = collect(), text = writeJson(inputs);
            if (sent.current.inputs !== text) sent.current = { inputs: text, key: crypto.randomUUID() };
            await submit(inputs, sent.current.key);
        } catch (error) {
            const p = error instanceof Problem ? error : new Problem(0, "invalid_json", (error as Error).message);
            if (p.status >= 400 && p.status < 500) sent.current = { inputs: "", key: "" };
            setProblem(p);
        }
        setBusy(false);
    };
    const set = (name: string) => (e: { currentTarget: { value: string } }) => { const { value } = e.currentTarget; setTexts((old) => ({ ...old, [name]: value })); };
    return <form onSubmit={go} noValidate>
        {asJson || !list ? <JsonEditor label={label} rows={8} text={json} onText={setJson}
            errors={(problem?.errors ?? []).map((e) => ({ ...e, pointer: e.pointer.startsWith(base) ? e.pointer.slice(base.length) : e.pointer }))} /> :
            <div class="form">{list.map((e) => <Field key={e.name} label={(typeof e.schema.title === "string" ? e.schema.title : e.name) + (e.required ? " (required)" : "")} wide={e.kind === "json"}
                hint={typeof e.schema.description === "string" ? e.schema.description : e.kind === "json" ? "JSON" : undefined} error={wrong[e.name] ?? errorAt(problem, base, e.name)}>
                {(a) => {
                    const value = texts[e.name] ?? "";
                    switch (e.kind) {
                    case "choice": return <Choice {...a} value={value} onChange={set(e.name)} options={[["", "–"], ...(e.schema.enum as unknown[]).map((v): [string, string] => [writeJson(v), typeof v === "string" ? v : writeJson(v)])]} />;
                    case "boolean": return <Choice {...a} value={value} onChange={set(e.name)} options={[["", "–"], ["true", "true"], ["false", "false"]]} />;
                    case "number": return <input {...a} inputMode="decimal" value={value} onInput={set(e.name)} />;
                    case "text": return <input {...a} value={value} onInput={set(e.name)} />;
                    default: return <textarea {...a} rows={e.kind === "json" ? 4 : 2} class={e.kind === "json" ? "mono" : ""} value={value} onInput={set(e.name)} />;
                    }
                }}
            </Field>)}</div>}
        <ErrorBox problem={problem} />
        <div class="buttons actions"><button class="primary" disabled={busy}>{action}</button>
            {list && <button type="button" aria-pressed={asJson} onClick={toggle}>As JSON</button>}{children}</div>
    </form>;
}
