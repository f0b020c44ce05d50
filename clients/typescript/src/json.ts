// JSON with exact integers: one beyond 2^53 becomes a bigint, and a bigint is written as a number. JSON.parse would round it.

/** A JSON value as this client returns it and takes it. */
export type Json = null | boolean | number | bigint | string | Json[] | { [member: string]: Json };

// A string, or a number. Between them there are only brackets, commas, colons, spaces and words.
const TOKEN = /"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/g;

export function parseJson(text: string): unknown {
    const mark = crypto.randomUUID() + ":"; // no string of the text begins with it
    let marked = false;
    const changed = text.replace(TOKEN, (token) => {
        if (!/^-?[0-9]+$/.test(token) || Number.isSafeInteger(Number(token)))
            return token;
        marked = true;
        return `"${mark}${token}"`;
    });
    if (!marked)
        return JSON.parse(text);
    return JSON.parse(changed, (_, value: unknown) => typeof value === "string" && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value);
}

export function stringifyJson(value: unknown): string {
    const mark = crypto.randomUUID() + ":";
    const text = JSON.stringify(value, (_, member: unknown) => typeof member === "bigint" ? mark + String(member) : member);
    return text.replaceAll(new RegExp(`"${mark}(-?[0-9]+)"`, "g"), "$1");
}
