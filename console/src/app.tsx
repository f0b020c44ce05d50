// The frame of the console: session, navigation, and which screen an address shows.
import type { ComponentChild } from "preact";
import { useEffect, useState } from "preact/hooks";
import { can, choose, chosen, endSession, offer, Problem, request, session, signedOut, Store, workspace, type Session } from "./api";
import { asProblem, useLoad, useStore } from "./hooks";
import { address, Link, navigate, path } from "./router";
import { Choice, ErrorBox, Field, Heading, Notices, notify, T } from "./ui";
import { Runs } from "./screens/runs";
import { Run } from "./screens/run";
import { Errors } from "./screens/errors";
import { WorkflowEdit, Workflows, WorkflowScreen } from "./screens/workflows";
import { SkillScreen, Skills } from "./screens/skills";
import { ScheduleEdit, ScheduleNew } from "./screens/scheduleform";
import { ScheduleScreen, Schedules } from "./screens/schedules";
import { WebhookEdit } from "./screens/webhookform";
import { WebhookScreen, Webhooks } from "./screens/webhooks";
import { Credits } from "./screens/credits";
import { ExecutorLog } from "./screens/log";
import { Operator } from "./screens/operator";

// --- light and dark -----------------------------------------------------------------------------------------------------
const theme = new Store(localStorage.getItem("millrace.theme") ?? "auto");
const paint = () => {
    if (theme.value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
};
paint();
theme.subscribe(() => { localStorage.setItem("millrace.theme", theme.value); paint(); });
function Theme() {
    const now = useStore(theme);
    return <Choice aria-label="Colours" value={now} options={[["auto", "System colours"], ["light", "Light"], ["dark", "Dark"]]} onChange={(e) => { theme.value = e.currentTarget.value; }} />;
}

/** A key names its cell, and nginx sends the request there by this header, because it cannot read the body (docs/scaling.md). */
function cellOf(token: string): Record<string, string> {
    const cell = /^(?:sk|op)_live_([a-z0-9]{2})_[A-Za-z0-9_-]{43}$/.exec(token)?.[1];
    return cell ? { "X-Millrace-Cell": cell } : {};
}

// --- sign-in ------------------------------------------------------------------------------------------------------------
function SignIn() {
    const reason = useStore(signedOut);
    const [token, setToken] = useState(""), [problem, setProblem] = useState<Problem>(), [busy, setBusy] = useState(false);
    const submit = async (event: Event) => {
        event.preventDefault();
        setBusy(true);
        setProblem(undefined);
        try {
            const made = await request<Session>("POST", "/session", { body: { token: token.trim() }, headers: cellOf(token.trim()) });
            if (made.kind !== "operator") choose(null);
            signedOut.value = "";
            session.value = made;
        } catch (error) {
            const p = asProblem(error);
            setProblem(p.status === 429 && p.retryAfter ? new Problem(429, p.code, `${p.message} Try again in ${p.retryAfter} s.`) : p);
        }
        setBusy(false);
    };
    return <div class="sign-in"><main>
        <Heading title="Sign in">Millrace</Heading>
        {reason && <p role="status">{reason}</p>}
        <form onSubmit={submit} class="card">
            <Field label="API key or operator's token" hint="It is exchanged for a session cookie and is not stored in the browser.">
                {(a) => <input {...a} type="password" autocomplete="off" spellcheck={false} required value={token} onInput={(e) => setToken(e.currentTarget.value)} />}
            </Field>
            <ErrorBox problem={problem} />
            <div class="buttons"><button class="primary" disabled={busy || !token.trim()}>Sign in</button></div>
        </form>
        <Theme />
    </main></div>;
}

async function signOut(): Promise<void> {
    try {
        await request("DELETE", "/session");
    } catch (error) {
        if (asProblem(error).status !== 401) return notify(asProblem(error).message, true);
    }
    choose(null);
    endSession("You are signed out.");
    navigate("/", true);
}

// --- screens ------------------------------------------------------------------------------------------------------------
interface Place { title: string; at: string; allowed: () => boolean; needsOffer?: string; everywhere?: boolean }
const places: Place[] = [
    { title: "Overview", at: "operator", allowed: () => can("operator:read"), needsOffer: "GET /operator/workspaces", everywhere: true },
    { title: "Executor log", at: "executor-log", allowed: () => can("operator:read") && can("executions:read"), needsOffer: "GET /operator/executor-log", everywhere: true },
    { title: "Runs", at: "runs", allowed: () => can("executions:read") },
    { title: "Failures", at: "failures", allowed: () => can("executions:read"), needsOffer: "GET /executions/errors" },
    { title: "Workflows", at: "workflows", allowed: () => can("workflows:read") },
    { title: "Skills", at: "skills", allowed: () => can("skills:read") },
    { title: "Schedules", at: "schedules", allowed: () => can("schedules:read") },
    { title: "Webhooks", at: "webhooks", allowed: () => can("webhooks:read") },
    { title: "Credits", at: "credits", allowed: () => can("credits:read") },
];

/** What a schedule starts needs the scope to execute it, besides that to change schedules. */
const mayMakeSchedules = () => can("schedules:write") && can("workflows:execute", "skills:execute");

const Missing = () => <div><Heading title="Not found">Not found</Heading><p>There is no such page, or your key or role does not allow it. <Link to="/">To the start</Link></p></div>;

function screen(parts: string[], shown: Place[]): ComponentChild {
    const [at, id, more] = parts;
    if (!shown.some((p) => p.at === at)) return <Missing />;
    switch (at) {
    case "operator": return <Operator />;
    case "executor-log": return <ExecutorLog />;
    case "runs": return id ? <Run key={id} id={id} /> : <Runs />;
    case "failures": return <Errors />;
    case "workflows":
        if (id === "new" || more === "edit") return can("workflows:write") ? <WorkflowEdit key={id} id={id === "new" ? undefined : id} /> : <Missing />;
        return id ? <WorkflowScreen key={id} id={id} /> : <Workflows />;
    case "skills": return id ? <SkillScreen key={id} slug={id} /> : <Skills />;
    case "schedules":
        if (id === "new") return mayMakeSchedules() ? <ScheduleNew /> : <Missing />;
        if (more === "edit") return can("schedules:write") ? <ScheduleEdit key={id} id={id!} /> : <Missing />;
        return id ? <ScheduleScreen key={id} id={id} /> : <Schedules />;
    case "webhooks":
        if (id === "new" || more === "edit") return can("webhooks:write") ? <WebhookEdit key={id} id={id === "new" ? undefined : id} /> : <Missing />;
        return id ? <WebhookScreen key={id} id={id} /> : <Webhooks />;
    case "credits": return <Credits />;
    default: return <Missing />;
    }
}

function Frame({ of }: { of: Session }) {
    useStore(address);
    const offered = useLoad("offer", offer), operations = offered.data?.operations, selected = useStore(chosen), at = workspace();
    const shown = places.filter((p) => p.allowed() && (!p.needsOffer || operations?.has(p.needsOffer)) && (at || p.everywhere));
    const parts = path();
    const unknown = !operations && !offered.error && places.some((p) => p.at === parts[0] && p.needsOffer && p.allowed());
    useEffect(() => { if (!parts.length && shown[0]) navigate("/" + shown[0].at, true); });
    return <div class="frame">
        <a class="skip" href="#main">Skip to the content</a>
        <header class="side">
            <Link to="/" class="brand">Millrace</Link>
            <nav aria-label="Screens">{shown.map((p) => <Link to={"/" + p.at} aria-current={parts[0] === p.at ? "page" : undefined}>{p.title}</Link>)}</nav>
            <div class="who">
                {at && <span class="name" title={`${at.name} ${at.id}`}>Workspace <b><T>{at.name}</T></b></span>}
                <span><T>{of.name}</T>{of.role && ` (${of.role})`}</span>
                <Theme />
                <button type="button" onClick={() => void signOut()}>Sign out</button>
            </div>
        </header>
        <main id="main" tabIndex={-1} key={selected?.id}>{unknown ? <><h1 class="hidden">Millrace</h1><p class="dim" role="status">Loading…</p></> : parts.length || !shown.length ? screen(parts, shown) : null}</main>
    </div>;
}

export function App() {
    const who = useStore(session);
    const [problem, setProblem] = useState<Problem>();
    const start = () => {
        setProblem(undefined);
        request<Session>("GET", "/session").then((found) => { session.value = found; }, (error) => {
            const p = asProblem(error);
            if (p.status === 401 || p.code === "wrong_cell") session.value = null;
            else setProblem(p);
        });
    };
    useEffect(start, []);
    return <>
        {who ? <Frame of={who} /> : who === null ? <SignIn /> : <main><h1 class="hidden">Millrace</h1><ErrorBox problem={problem} retry={start} />{!problem && <p role="status">Loading…</p>}</main>}
        <Notices />
    </>;
}
