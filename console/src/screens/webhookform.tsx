// The form of a webhook, new or changed, and its secret, which is shown once.
import { useState } from "preact/hooks";
import { can, get, Problem, request, type Webhook, type WorkflowItem } from "../api";
import { asProblem, skills, useLoad } from "../hooks";
import { navigate } from "../router";
import { Choice, Dialog, ErrorBox, Field, Heading, notify, T, Wait } from "../ui";
import { said } from "./scheduleform";
import { writeJson } from "../exact";

const EVENTS = ["execution.started", "execution.waiting", "execution.succeeded", "execution.failed", "execution.stopped", "webhook.disabled", "budget.soft", "budget.exceeded", "credits.low", "credits.spend_high"] as const;
const ENDS = ["execution.succeeded", "execution.failed", "execution.stopped"];

interface Fields { url: string; description: string; events: string[]; responder: string; tags: string }
const NEW: Fields = { url: "https://", description: "", events: ENDS, responder: "", tags: "" };
const fieldsOf = (w: Webhook): Fields => ({ url: w.url, description: w.description ?? "", events: [...w.events], responder: w.filter.workflow_id ?? "", tags: (w.filter.tags ?? []).join("\n") });
const membersOf = (f: Fields): Record<string, unknown> => {
    const tags = f.tags.split("\n").map((line) => line.trim()).filter(Boolean);
    return { url: f.url.trim(), description: f.description || null, events: f.events, filter: { workflow_id: f.responder || null, tags: tags.length ? tags : null } };
};
/** The body of the request: of a change only what was changed, so that what others have changed meanwhile stays. A member that is null is removed. */
export const webhookBody = (f: Fields, before?: Fields): Record<string, unknown> => {
    const old = before && membersOf(before);
    return Object.fromEntries(Object.entries(membersOf(f)).filter(([name, value]) => !old || writeJson(old[name]) !== writeJson(value)));
};

/** Shows a secret once: the server does not tell it again. */
export function SecretDialog({ secret, close }: { secret: string; close: () => void }) {
    const copy = () => void navigator.clipboard.writeText(secret).then(() => notify("Copied"), () => notify("The browser does not allow it: select the text and copy it", true));
    return <Dialog title="The secret of the webhook" close={close}>
        <p>The receiver checks with it that messages come from here. It is shown only now.</p>
        <pre class="log" tabIndex={0} role="region" aria-label="Secret">{secret}</pre>
        <div class="buttons"><button type="button" class="primary" onClick={close}>I have stored it</button><button type="button" onClick={copy}>Copy</button></div>
    </Dialog>;
}

function Form({ id, from, responders }: { id: string | undefined; from: Fields; responders: [string, string][] }) {
    const [f, setF] = useState(from), [problem, setProblem] = useState<Problem>(), [busy, setBusy] = useState(false), [made, setMade] = useState<Webhook>();
    const set = (change: Partial<Fields>) => { setF((old) => ({ ...old, ...change })); setProblem(undefined); };
    const text = (name: keyof Fields) => (e: { currentTarget: { value: string } }) => set({ [name]: e.currentTarget.value });
    const toggle = (event: string) => set({ events: f.events.includes(event) ? f.events.filter((e) => e !== event) : EVENTS.filter((e) => e === event || f.events.includes(e)) });
    const options: [string, string][] = [["", "any workflow or skill"], ...responders];
    if (f.responder && !responders.some(([v]) => v === f.responder)) options.push([f.responder, f.responder]);
    const submit = async (event: Event) => {
        event.preventDefault();
        setBusy(true);
        setProblem(undefined);
        try {
            const stored = await request<Webhook>(id ? "PATCH" : "POST", id ? `/webhooks/${id}` : "/webhooks", { body: webhookBody(f, id ? from : undefined) });
            if (stored.secret) setMade(stored);
            else {
                notify("The webhook is stored");
                navigate(`/webhooks/${stored.id}`);
            }
        } catch (error) {
            setProblem(asProblem(error));
        }
        setBusy(false);
    };
    const events = said(problem, "events");
    return <form onSubmit={submit} noValidate aria-label="Webhook" class="card">
        <div class="form">
            <Field label="URL" error={said(problem, "url")} wide>{(a) => <input {...a} type="url" value={f.url} onInput={text("url")} />}</Field>
            <Field label="Description" error={said(problem, "description")} wide>{(a) => <input {...a} value={f.description} onInput={text("description")} />}</Field>
            <fieldset class="field wide"><legend>Events</legend>
                <div class="checks">{EVENTS.map((e) => <label><input type="checkbox" checked={f.events.includes(e)} onChange={() => toggle(e)} /> {e}</label>)}</div>
                {events && <p class="field-error">{events}</p>}
            </fieldset>
            <Field label="Only of" error={said(problem, "filter.workflow_id")}>{(a) => <Choice {...a} value={f.responder} options={options} onChange={text("responder")} />}</Field>
            <Field label="Only with all of these tags" hint="one in a line" error={said(problem, "filter.tags", "filter")}>{(a) => <textarea {...a} rows={2} value={f.tags} onInput={text("tags")} />}</Field>
        </div>
        <ErrorBox problem={problem} />
        <div class="buttons actions"><button class="primary" disabled={busy || !f.events.length}>Store</button>
            <button type="button" onClick={() => navigate(id ? `/webhooks/${id}` : "/webhooks")}>Cancel</button></div>
        {made && <SecretDialog secret={made.secret!} close={() => navigate(`/webhooks/${made.id}`)} />}
    </form>;
}

async function respondersOf(signal: AbortSignal): Promise<[string, string][]> {
    const flows = can("workflows:read") ? (await get<{ workflows: WorkflowItem[] }>("/workflows?limit=1000", signal)).workflows : [];
    const packages = can("skills:read") ? await skills(signal) : [];
    return [...flows.map((w): [string, string] => [w.id, w.name]), ...packages.map((s): [string, string] => [s.id, `${s.name} (skill)`])];
}

export function WebhookEdit({ id }: { id: string | undefined }) {
    const loaded = useLoad(id ?? "new", async (signal) => ({
        from: id ? fieldsOf(await get<Webhook>(`/webhooks/${encodeURIComponent(id)}`, signal)) : NEW, responders: await respondersOf(signal) }));
    const title = id ? "Edit webhook" : "New webhook";
    return <>
        <Heading title={title}><T>{title}</T></Heading>
        <Wait of={loaded}>{({ from, responders }) => <Form id={id} from={from} responders={responders} />}</Wait>
    </>;
}
