// JSON without loss. JSON.parse rounds what does not fit a double, so that a form that was opened and stored would change the tenant's data:
// such a number keeps its text. Everything in the console reads and writes JSON by these functions.

/** A number whose text says more than its value: it computes as a number, and is shown and written as it was read. */
export class ExactNumber extends Number {
    constructor(readonly text: string) { super(text); }
    override toString(): string { return this.text; }
}

// An escape, a quote, or a number: a number behind an odd number of quotes stands in a string. An expression for whole strings would
// remember a place in them for each character, and fail beyond some millions.
const TOKEN = /\\.|"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/g;
// Fifteen digits and a small exponent always fit.
const SUSPECT = /[0-9][0-9.]{15}|[0-9][eE][-+]?[0-9]{2}/;

/** Sign, significant digits and exponent of a number's text: two texts with the same are the same number. */
function decimal(text: string): string {
    const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([-+]?[0-9]+))?$/.exec(text) ?? [];
    if (whole === undefined) return text; // Infinity
    const digits = (whole + fraction).replace(/^0+/, "");
    let n = digits.length; // not by /0+$/, which begins again at each zero
    while (digits[n - 1] === "0") n--;
    const significant = digits.slice(0, n);
    return significant ? `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}` : `${sign}0`;
}

/** The value of a JSON text. Throws a SyntaxError as JSON.parse does. */
export function readJson(text: string): unknown {
    const value: unknown = JSON.parse(text);
    if (!SUSPECT.test(text)) return value;
    const mark = crypto.randomUUID() + ":"; // no string of the text begins with it
    let marked = false, inString = false;
    const changed = text.replace(TOKEN, (token) => {
        if (token === '"') inString = !inString;
        if (inString || token === '"' || token.startsWith("\\") || !SUSPECT.test(token) || decimal(String(Number(token))) === decimal(token)) return token;
        marked = true;
        return `"${mark}${token}"`;
    });
    return marked ? JSON.parse(changed, (_, member: unknown) => typeof member === "string" && member.startsWith(mark) ? new ExactNumber(member.slice(mark.length)) : member) : value;
}

/** The JSON text of a value. */
export function writeJson(value: unknown, indent?: number): string {
    const mark = crypto.randomUUID() + ":";
    let marked = false;
    const text = JSON.stringify(value, function (this: Record<string, unknown>, name: string, member: unknown) {
        const raw = this[name];
        if (!(raw instanceof ExactNumber)) return member;
        marked = true;
        return mark + raw.text;
    }, indent);
    return marked ? text.replaceAll(new RegExp(`"${mark}([-+.eE0-9]+)"`, "g"), "$1") : text;
}
