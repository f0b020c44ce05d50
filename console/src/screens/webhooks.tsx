import { useState } from "preact/hooks";
import { can, get, post, request, type Delivery, type Webhook } from "../api";
import { useLoad, usePages } from "../hooks";
import { Link, navigate } from "../router";
import { SecretDialog } from "./webhookform";
import { Act, Dialog, ErrorBox, Heading, notify, number, State, T, Table, Time, Wait } from "../ui";

export function Webhooks() {
    const pages = usePages<Webhook>("webhooks", async (after, signal) => {
        const page = await get<{ webhooks: Webhook[]; next_cursor: string | null }>(`/webhooks?limit=100${after ? `&after=${after}` : ""}`, signal);
        return { rows: page.webhooks, next: page.next_cursor };
    });
    return <>
        <Heading title="Webhooks" actions={can("webhooks:write") && <button type="button" class="primary" onClick={() => navigate("/webhooks/new")}>New webhook</button>}>Webhooks</Heading>
        <ErrorBox problem={pages.error} retry={pages.reload} />
        <Table tall label="Webhooks" rows={pages.rows} id={(w) => w.id} more={pages.more} loading={pages.loading} loadMore={pages.loadMore} empty="There is no webhook yet." columns={[
            { title: "State", class: "c-state", cell: (w) => w.enabled ? <State of="active" /> : <span class="state">■ disabled</span> },
            { title: "URL", cell: (w) => <Link to={`/webhooks/${w.id}`}><T>{w.url}</T></Link> },
            { title: "Description", class: "wide", cell: (w) => <T>{w.description}</T> },
            { title: "Events", class: "wide", cell: (w) => w.events.join(", ") },
            { title: "Failing since", class: "c-time wide", cell: (w) => <Time at={w.failing_since} /> },
        ]} />
    </>;
}

function DeliveryDialog({ of, close }: { of: Delivery; close: () => void }) {
    return <Dialog title={`Delivery of ${of.event}`} close={close}><dl class="facts">
        <dt>Message</dt><dd class="mono">{of.message_id}</dd>
        <dt>State</dt><dd><State of={of.state} /></dd>
        <dt>Tries</dt><dd>{of.tries}, last <Time at={of.tried_at} none="none" />{of.next_try_at && <>, next <Time at={of.next_try_at} /></>}</dd>
        <dt>Answer</dt><dd>{of.status ?? "none"}</dd>
        {of.error && <><dt>Error</dt><dd class="bad"><T>{of.error}</T></dd></>}
        {of.response && <><dt>Body</dt><dd><code><T>{of.response}</T></code></dd></>}
    </dl><div class="buttons"><button type="button" onClick={close}>Close</button></div></Dialog>;
}

/** Everything that failed in the last week is sent again, 500 with each request. */
async function redeliver(at: string): Promise<void> {
    const since = new Date(Date.now() - 7 * 86400000).toISOString();
    let sum = 0, more = true;
    while (more) {
        const answer = await post<{ redelivered: number; has_more: boolean }>(`${at}/redeliver`, { since });
        sum += answer.redelivered;
        more = answer.has_more && answer.redelivered > 0;
    }
    notify(`${number(sum)} deliveries will be sent again`);
}

export function WebhookScreen({ id }: { id: string }) {
    const at = `/webhooks/${encodeURIComponent(id)}`, [shown, setShown] = useState<Delivery>(), [secret, setSecret] = useState<string>();
    const loaded = useLoad(id, (signal) => get<Webhook>(at, signal), 10000), w = loaded.data;
    const pages = usePages<Delivery>(id, async (after, signal) => {
        const page = await get<{ deliveries: Delivery[]; next_cursor: string | null }>(`${at}/deliveries?limit=100${after ? `&after=${after}` : ""}`, signal);
        return { rows: page.deliveries, next: page.next_cursor };
    });
    useLoad(`refresh ${id}`, () => pages.refresh(), 5000);
    const write = can("webhooks:write");
    return <>
        <Heading title={w?.url ?? id} actions={w && write && <>
            <Act done="The test message will be sent" disabled={!w.enabled} run={() => post(`${at}/test`).then(() => pages.refresh())}>Send a test</Act>
            <Act disabled={!w.enabled} confirm="Send again what has failed in the last seven days?" run={() => redeliver(at).then(() => pages.refresh())}>Redeliver failures</Act>
            <button type="button" onClick={() => navigate(`/webhooks/${id}/edit`)}>Edit</button>
            <Act confirm="Replace the secret? The previous one signs, too, for 24 hours." run={() => request<Webhook>("PATCH", at, { body: { rotate_secret: true } }).then((made) => setSecret(made.secret))}>New secret</Act>
            <Act done={w.enabled ? "Disabled" : "Enabled"} run={() => request("PATCH", at, { body: { enabled: !w.enabled } }).then(loaded.reload)}>{w.enabled ? "Disable" : "Enable"}</Act>
            <Act class="danger" confirm="Delete this webhook and its deliveries?" done="Deleted" run={async () => { await request("DELETE", at); navigate("/webhooks"); }}>Delete</Act>
        </>}><T>{w?.url ?? id}</T></Heading>
        <Wait of={loaded}>{(hook) => <section class="card"><dl class="facts">
            <dt>State</dt><dd>{hook.enabled ? <State of="active" /> : <>disabled{hook.disabled_reason && `: ${hook.disabled_reason}`} <Time at={hook.disabled_at} none="" /></>}</dd>
            {hook.description && <><dt>Description</dt><dd><T>{hook.description}</T></dd></>}
            <dt>Events</dt><dd>{hook.events.join(", ")}</dd>
            {hook.filter.workflow_id && <><dt>Only of</dt><dd class="mono">{hook.filter.workflow_id}</dd></>}
            {hook.filter.tags && hook.filter.tags.length > 0 && <><dt>Only with</dt><dd>{hook.filter.tags.map((t) => <span class="tag"><T>{t}</T></span>)}</dd></>}
            {hook.failing_since && <><dt>Failing since</dt><dd><Time at={hook.failing_since} /></dd></>}
        </dl></section>}</Wait>
        <section><h2>Deliveries</h2>
            <ErrorBox problem={pages.error} retry={pages.reload} />
            <Table tall label="Deliveries" rows={pages.rows} id={(d) => d.id} more={pages.more} loading={pages.loading} loadMore={pages.loadMore} empty="Nothing was delivered yet." columns={[
                { title: "State", class: "c-state", cell: (d) => <State of={d.state} /> },
                { title: "Event", cell: (d) => <a href="#" onClick={(e) => { e.preventDefault(); setShown(d); }}>{d.event}</a> },
                { title: "Run", class: "c-id wide wider", cell: (d) => d.execution_id ? <Link to={`/runs/${d.execution_id}`}>{d.execution_id.slice(0, 13)}…</Link> : "–" },
                { title: "Tries", class: "c-num wide", cell: (d) => d.tries },
                { title: "Answer", class: "wide", cell: (d) => d.error ? <span class="bad"><T>{d.error}</T></span> : d.status ?? "–" },
                { title: "Created", class: "c-time wide", cell: (d) => <Time at={d.created_at} /> },
                ...(write ? [{ title: "Actions", class: "c-one", cell: (d: Delivery) => d.state === "failed" || d.state === "delivered" ?
                    <Act disabled={!w?.enabled} done="It will be sent again" run={() => post(`${at}/deliveries/${d.id}/redeliver`).then(() => pages.refresh())}>Redeliver</Act> : null }] : []),
            ]} /></section>
        {secret && <SecretDialog secret={secret} close={() => setSecret(undefined)} />}
        {shown && <DeliveryDialog of={shown} close={() => setShown(undefined)} />}
    </>;
}
