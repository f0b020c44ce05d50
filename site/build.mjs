// Builds site/dist, the pages below /docs/: index.html, the API reference, which Swagger UI draws from openapi.json; a page for each docs/*.md;
// the files that these link to; and assets/, whose names contain a hash of their content. A link to a page or heading that does not exist
// fails the build. Beside each text file is one that is compressed, for gzip_static of nginx. usage: node build.mjs
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import MarkdownIt from "markdown-it";
import MiniSearch from "minisearch";
import { FIELDS } from "./src/fields.js";

const here = path.dirname(fileURLToPath(import.meta.url)), docs = path.join(here, "../docs"), made = path.join(here, "dist.new");
/** The order of the pages; those that are not named here stand below "More". */
const GROUPS = {
    "For callers": ["api", "workflows", "skills", "schedules", "webhooks", "agents", "bulk-jobs", "errors", "clients"],
    "For operators": ["operations", "install", "console", "cluster", "scaling", "billing", "budgets", "performance"],
    "For contributors": ["architecture", "correctness", "how-a-claim-works", "isolation", "testing", "glossary"],
};

const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

/** The id of a heading, as GitHub makes it. */
function slug(text, taken) {
    const base = text.toLowerCase().replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "").replaceAll(" ", "-");
    let id = base;
    for (let n = 1; taken.has(id); n++) id = `${base}-${n}`;
    taken.add(id);
    return id;
}

const markdown = new MarkdownIt({ html: true, linkify: false });
/** The only HTML in our texts is the anchor and the comment. All else would be a mistake, such as <name> outside of backquotes. */
function onlyAnchors(tokens, at) {
    const { content } = tokens[at];
    if (/^<!--[^>]*-->\s*$/.test(content)) return "";
    if (!/^(<a id="[\w-]+">|<\/a>|<a id="[\w-]+"><\/a>\n?)$/.test(content)) throw new Error(`HTML in a text: ${content}`);
    return content;
}
Object.assign(markdown.renderer.rules, {
    html_inline: onlyAnchors,
    html_block: onlyAnchors,
    // A table or block that is wider than the window scrolls by itself, also by the keys.
    table_open: () => `<div class="wide" tabindex="0"><table>\n`,
    table_close: () => "</table></div>\n",
    fence: (tokens, at) => `<pre tabindex="0"><code>${escape(tokens[at].content)}</code></pre>\n`,
    code_block: (tokens, at) => `<pre tabindex="0"><code>${escape(tokens[at].content)}</code></pre>\n`,
});
for (const cell of ["th_open", "td_open"]) {
    markdown.renderer.rules[cell] = (tokens, at, options, env, renderer) => {
        const token = tokens[at], align = /text-align:(\w+)/.exec(token.attrGet("style") ?? "");
        if (align) token.attrs = [["class", align[1]]]; // the content security policy does not allow attributes of style
        return renderer.renderToken(tokens, at, options);
    };
}
for (const cell of ["th_open", "th_close"]) { // a corner without a text is no heading
    const before = markdown.renderer.rules[cell];
    markdown.renderer.rules[cell] = (tokens, at, ...more) => {
        const inline = tokens[cell === "th_open" ? at + 1 : at - 1];
        if (inline.content === "") return cell === "th_open" ? "<td>" : "</td>\n";
        return before ? before(tokens, at, ...more) : "</th>\n";
    };
}

const plain = (inline) => inline.children.map((t) => (t.type === "softbreak" ? " " : t.type === "image" ? "" : ["text", "code_inline"].includes(t.type) ? t.content : "")).join("");

const linked = new Set(); // files of docs/ that are not pages
function relink(href, page, names) {
    if (/^(https?:|mailto:)/.test(href)) return href;
    const [, file, anchor] = /^([^#]*)(?:#(.*))?$/.exec(href);
    const hash = anchor === undefined ? "" : `#${anchor}`;
    if (file === "") { page.targets.push([page.name, anchor]); return hash; }
    if (file.startsWith("../")) return null; // a file of the sources, which is not served
    if (file.endsWith(".md")) {
        const name = file.slice(0, -3);
        if (!names.has(name)) throw new Error(`${page.name}.md: a link to ${href}, which does not exist`);
        page.targets.push([name, anchor]);
        return `${name}.html${hash}`;
    }
    linked.add(file);
    return file + hash;
}

/** Reads a page: its HTML, its headings, and its sections, for the search. */
async function read(name, names) {
    const page = { name, targets: [], headings: [], sections: [], ids: new Set() };
    const tokens = markdown.parse(await readFile(path.join(docs, `${name}.md`), "utf8"), {}), taken = new Set();
    tokens.forEach((token, at) => {
        if (token.type === "heading_open") {
            const text = plain(tokens[at + 1]), id = slug(text, taken);
            token.attrSet("id", id);
            page.headings.push({ level: Number(token.tag[1]), id, text });
            page.sections.push({ id, title: text, text: [] });
        } else if (token.type === "inline") {
            if (tokens[at - 1].type !== "heading_open") page.sections.at(-1)?.text.push(plain(token));
            const open = [];
            for (const child of token.children) {
                if (child.type === "image") { child.attrSet("src", relink(child.attrGet("src"), page, names)); child.attrSet("loading", "lazy"); }
                const anchor = /<a id="([\w-]+)">/.exec(child.type === "html_inline" ? child.content : "");
                if (anchor) taken.add(anchor[1]);
                if (child.type === "link_open") {
                    const href = relink(child.attrGet("href"), page, names);
                    if (href === null) child.tag = "span", child.attrs = null; else child.attrSet("href", href);
                    open.push(child.tag);
                } else if (child.type === "link_close") child.tag = open.pop();
            }
        } else if (token.type === "html_block") {
            const anchor = /<a id="([\w-]+)">/.exec(token.content);
            if (anchor) taken.add(anchor[1]);
        } else if (token.type === "fence") page.sections.at(-1)?.text.push(token.content);
    });
    page.html = markdown.renderer.render(tokens, markdown.options, {});
    if (page.headings[0]?.level !== 1) throw new Error(`${name}.md does not begin with a heading of level 1`);
    page.title = page.headings[0].text;
    page.ids = taken;
    return page;
}

async function put(name, content) {
    const file = path.join(made, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
    if (!name.endsWith(".png")) await writeFile(`${file}.gz`, gzipSync(content, { level: 9 }));
}
async function asset(name, content) {
    const { name: base, ext } = path.parse(name);
    const at = `assets/${base}-${createHash("sha256").update(content).digest("hex").slice(0, 8)}${ext}`;
    await put(at, content);
    return at;
}

/** The document, in whose descriptions docs/NAME.md is a link to the page. */
function referring(value, names) {
    if (Array.isArray(value)) return value.map((v) => referring(v, names));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, key === "description" && typeof v === "string"
        ? v.replace(/docs\/([\w-]+)\.md(#[\w-]+)?/g, (all, name, anchor = "") => (names.has(name) ? `[${name}](${name}.html${anchor})` : all)) : referring(v, names)]));
}

await rm(made, { recursive: true, force: true });
const names = new Set((await readdir(docs)).filter((f) => f.endsWith(".md")).map((f) => f.slice(0, -3)));
const pages = new Map(await Promise.all([...names].sort().map(async (name) => [name, await read(name, names)])));
for (const page of pages.values()) for (const [name, anchor] of page.targets) {
    if (anchor !== undefined && !pages.get(name).ids.has(anchor)) throw new Error(`${page.name}.md: a link to ${name}.md#${anchor}, which does not exist`);
}
const grouped = new Set(Object.values(GROUPS).flat());
const groups = Object.entries({ ...GROUPS, More: [...names].filter((n) => !grouped.has(n)) }).map(([title, of]) => [title, of.filter((n) => names.has(n))]).filter(([, of]) => of.length);

const api = referring(JSON.parse(await readFile(path.join(docs, "openapi.json"), "utf8")), names);
await put("openapi.json", JSON.stringify(api));

// Search: the sections of all pages, and the operations of the reference.
const found = [];
for (const page of pages.values()) for (const s of page.sections) found.push({ url: `${page.name}.html${s.title === page.title ? "" : `#${s.id}`}`, title: s.title, page: page.title, text: s.text.join(" ") });
for (const [at, operations] of Object.entries(api.paths)) for (const [method, o] of Object.entries(operations)) {
    if (o.operationId) found.push({ url: `index.html#/${o.tags[0]}/${o.operationId}`, title: `${o.summary}: ${method.toUpperCase()} ${at}`, page: "API reference", text: o.description ?? "" });
}
const index = new MiniSearch({ idField: "url", ...FIELDS });
index.addAll(found);

const modules = path.join(here, "node_modules"), from = (file) => readFile(path.join(modules, file));
const assets = {
    style: await asset("site.css", await readFile(path.join(here, "src/site.css"))),
    swaggerStyle: await asset("swagger-ui.css", await from("swagger-ui-dist/swagger-ui.css")),
    referenceStyle: await asset("reference.css", await readFile(path.join(here, "src/reference.css"))),
    swagger: await asset("swagger-ui.js", (await from("swagger-ui-dist/swagger-ui-bundle.js")).toString().replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n")),
    reference: await asset("reference.js", await readFile(path.join(here, "src/reference.js"))),
    index: await asset("search.json", JSON.stringify(index)),
};
const engine = path.basename(await asset("minisearch.js", (await from("minisearch/dist/es/index.js")).toString().replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n")));
const fields = path.basename(await asset("fields.js", await readFile(path.join(here, "src/fields.js"))));
assets.script = await asset("site.js", (await readFile(path.join(here, "src/site.js"), "utf8")).replace('"./fields.js"', `"./${fields}"`).replace('"minisearch"', `"./${engine}"`));
await put("licenses.txt", Buffer.concat([await from("swagger-ui-dist/NOTICE"), Buffer.from("\n"), await from("swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt"), Buffer.from("\n"),
    await from("swagger-ui-dist/LICENSE"), Buffer.from("\nMiniSearch\n\n"), await from("minisearch/LICENSE.txt")]));

const link = (href, text, current) => `<li><a href="${href}"${current ? ' aria-current="page"' : ""}>${escape(text)}</a></li>`;
const menu = (current) => `<ul>${link("./", "API reference", current === "index")}</ul>\n` + groups.map(([title, of]) =>
    `<h2>${title}</h2><ul>${of.map((n) => link(`${n}.html`, pages.get(n).title, n === current)).join("")}</ul>`).join("\n");
const contents = (page) => {
    const heads = page.headings.slice(1).filter((h) => h.level <= 3), second = heads.filter((h) => h.level <= 2);
    const shown = heads.length > 40 ? second : heads;
    return shown.length < 2 ? "" : `<nav class="contents" aria-label="On this page"><h2>On this page</h2><ul>${shown.map((h) =>
        `<li class="level-${h.level}"><a href="#${h.id}">${escape(h.text)}</a></li>`).join("")}</ul></nav>`;
};
const document = ({ name, title, main, aside = "", head = "" }) => `<!doctype html>
<html lang="en" data-index="${assets.index}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(title)} · Millrace</title>
<link rel="icon" href="data:,">
${head}<link rel="stylesheet" href="${assets.style}">
<script type="module" src="${assets.script}"></script>
</head>
<body class="${name === "index" ? "reference" : "text"}">
<a class="skip" href="#site-text">Skip to the text</a>
<header><a class="brand" href="./">Millrace</a>
<search><form id="site-search" role="search"><label for="site-query">Search</label><input id="site-query" type="search" autocomplete="off" placeholder="Search" maxlength="200"></form></search></header>
<section id="site-results" aria-label="Search results" hidden><p role="status"></p><ol></ol></section>
<details class="menu"><summary>Pages</summary><nav aria-label="Pages">${menu(name)}</nav></details>
<main id="site-text" tabindex="-1">
${main}</main>
${aside}
</body>
</html>
`;
for (const page of pages.values()) {
    await put(`${page.name}.html`, document({ name: page.name, title: page.title, main: page.html, aside: contents(page) }));
}
await put("index.html", document({
    name: "index", title: "API reference",
    head: `<link rel="stylesheet" href="${assets.swaggerStyle}">\n<link rel="stylesheet" href="${assets.referenceStyle}">\n<script src="${assets.swagger}" defer></script>\n<script src="${assets.reference}" defer></script>\n`,
    main: `<h1>API reference</h1>
<p>Each operation of this server, made from <a href="openapi.json">openapi.json</a>. <a href="api.html">Using the API</a> explains them, with commands to copy.
To try one here: press <strong>Authorize</strong>, paste an API key below “bearer”, open an operation and press <strong>Execute</strong>. The request
goes to this server, <strong>and what it starts is charged</strong>. The key is forgotten when the page is closed.</p>
<noscript><p>The reference needs JavaScript. The other pages do not.</p></noscript>
<h2>Operations</h2>
<div id="site-reference"></div>
`,
}));
for (const file of linked) {
    const content = await readFile(path.join(docs, file));
    await put(file, content);
}
await rm(path.join(here, "dist"), { recursive: true, force: true });
await rename(made, path.join(here, "dist"));
console.log(`site/dist: ${pages.size + 1} pages, ${found.length} sections to search`);
