// Where in a JSON text the value of a JSON pointer stands, and a form's view of a JSON Schema.
import { readJson, writeJson } from "./exact";

/** The offsets [start, end) of each value of the text by its JSON pointer. The text must be JSON. */
export function places(text: string): Map<string, [number, number]> {
    const found = new Map<string, [number, number]>();
    let at = 0;
    const space = () => { while (at < text.length && " \t\r\n".includes(text[at]!)) at++; };
    const string = (): string => {
        const from = at++;
        while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
        return readJson(text.slice(from, ++at)) as string;
    };
    const value = (pointer: string): void => {
        space();
        const from = at;
        if (text[at] === '"') string();
        else if (text[at] === "{" || text[at] === "[") {
            const close = text[at] === "{" ? "}" : "]";
            at++;
            for (let i = 0; ; i++) {
                space();
                if (text[at] === close) break;
                if (text[at] === ",") { at++; space(); }
                let name = String(i);
                if (close === "}") {
                    name = string();
                    space();
                    at++; // the colon
                }
                value(`${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`);
            }
            at++;
        } else while (at < text.length && !",]} \t\r\n".includes(text[at]!)) at++;
        found.set(pointer, [from, at]);
    };
    value("");
    return found;
}

/** The line, from 0, of the value of a pointer; of its nearest parent that is there, if it is missing. */
export function lineOf(text: string, pointer: string, known = places(text)): number {
    let p = pointer;
    while (!known.has(p) && p) p = p.slice(0, p.lastIndexOf("/"));
    const at = known.get(p);
    return at ? text.slice(0, at[0]).split("\n").length - 1 : 0;
}

export type Schema = Record<string, any>;
export type Kind = "text" | "long" | "number" | "boolean" | "choice" | "json";
/** With which control a value of the schema is entered. What is not simple is entered as JSON. */
export function kindOf(schema: unknown): Kind {
    const s = (schema && typeof schema === "object" ? schema : {}) as Schema;
    if (Array.isArray(s.enum)) return "choice";
    const types = (Array.isArray(s.type) ? s.type : [s.type]).filter((t: unknown) => t !== "null");
    if (types.length !== 1 || s.anyOf || s.oneOf || s.allOf || s.$ref) return "json";
    switch (types[0]) {
    case "string": return s.maxLength === undefined || s.maxLength > 200 ? (s.format ? "text" : "long") : "text";
    case "integer": case "number": return "number";
    case "boolean": return "boolean";
    default: return "json";
    }
}
export interface Entry { name: string; schema: Schema; kind: Kind; required: boolean }
/** The fields of a form for an object of the schema; undefined if the schema does not say what its members are. */
export function entries(schema: unknown): Entry[] | undefined {
    const s = schema as Schema | undefined | null;
    if (!s || typeof s !== "object" || !s.properties || typeof s.properties !== "object" || !Object.keys(s.properties).length) return undefined;
    const required = new Set(Array.isArray(s.required) ? s.required : []);
    return Object.entries(s.properties).map(([name, inner]) => ({ name, schema: (inner && typeof inner === "object" ? inner : {}) as Schema, kind: kindOf(inner), required: required.has(name) }));
}
/** What stands in the field at first. */
export function initial(entry: Entry): string {
    const d = entry.schema.default;
    if (d === undefined) return entry.kind === "boolean" ? (entry.required ? "false" : "") : "";
    return entry.kind === "json" || entry.kind === "choice" || typeof d !== "string" ? writeJson(d) : d;
}
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;
/** The value that the field's text stands for; undefined: the member is left out. Throws if the text is none. */
export function valueOf(entry: Entry, text: string): unknown {
    if (text === "") return entry.required && (entry.kind === "text" || entry.kind === "long") ? "" : undefined;
    switch (entry.kind) {
    case "text": case "long": return text;
    case "number": {
        if (JSON_NUMBER.test(text)) return readJson(text); // a long one keeps its text
        const n = Number(text);
        if (!Number.isFinite(n)) throw new Error("must be a number");
        return n;
    }
    case "boolean": return text === "true";
    default: return readJson(text) as unknown;
    }
}

/** The offset at which a text stops being JSON; its length if it only ends too early. */
export function brokenAt(text: string): number {
    let at = 0;
    const eat = (token: RegExp): boolean => { token.lastIndex = at; const found = token.test(text); if (found) at = token.lastIndex; return found; };
    const space = () => eat(/[ \t\r\n]*/y), is = (sign: string): boolean => { space(); if (text[at] !== sign) return false; at++; return true; };
    const string = () => eat(/"(?:[^"\\\x00-\x1f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y);
    const list = (close: string, member: () => boolean): boolean => {
        if (is(close)) return true;
        do if (!member()) return false; while (is(","));
        return is(close);
    };
    const value = (): boolean => {
        space();
        if (is("{")) return list("}", () => { space(); return string() && is(":") && value(); });
        if (is("[")) return list("]", value);
        return string() || eat(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y) || eat(/true|false|null/y);
    };
    if (value()) space();
    return at;
}
