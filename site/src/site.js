// The search, and the list of pages, which is open where there is room for it.
import { FIELDS } from "./fields.js";

const menu = document.querySelector("details.menu"), wide = matchMedia("(min-width: 900px)");
const fold = () => { menu.open = wide.matches; };
wide.addEventListener("change", fold);
fold();

const field = document.getElementById("site-query"), results = document.getElementById("site-results"), status = results.querySelector("[role=status]"), list = results.querySelector("ol");
let loading = null;
/** Loads the program and the index at the first use, so that a page without a search does not load them. */
const load = () => loading ??= Promise.all([import("minisearch"), fetch(document.documentElement.dataset.index).then((r) => {
    if (!r.ok) throw new Error(`${r.status}`);
    return r.text();
})]).then(([{ default: MiniSearch }, text]) => MiniSearch.loadJSON(text, { idField: "url", ...FIELDS })).catch((error) => { loading = null; throw error; });

async function search() {
    const text = field.value.trim();
    if (!text) { results.hidden = true; return; }
    let index;
    try {
        index = await load();
    } catch {
        results.hidden = false;
        status.textContent = "The search could not be loaded. Try again.";
        return;
    }
    if (text !== field.value.trim()) return; // a later call answers
    const found = index.search(text);
    status.textContent = found.length === 0 ? "Nothing found" : found.length === 1 ? "1 section" : `${found.length} sections${found.length > 20 ? ", the first 20:" : ""}`;
    list.replaceChildren(...found.slice(0, 20).map((f) => {
        const item = document.createElement("li"), a = document.createElement("a"), page = document.createElement("small");
        a.href = f.url;
        a.textContent = f.title;
        page.textContent = f.page;
        item.append(a, " ", page);
        return item;
    }));
    results.hidden = false;
}
field.addEventListener("focus", () => { load().catch(() => {}); });
field.addEventListener("input", search);
document.getElementById("site-search").addEventListener("submit", (e) => { e.preventDefault(); list.querySelector("a")?.focus(); });
list.addEventListener("click", () => { results.hidden = true; });
document.addEventListener("keydown", (e) => {
    if (e.key === "Escape" && !results.hidden) { results.hidden = true; field.focus(); }
    if (e.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName) && !e.ctrlKey && !e.metaKey && !e.altKey) { e.preventDefault(); field.focus(); }
});
