// The failures of the workspace, grouped by their errors.
import { useState } from "preact/hooks";
import { can, get } from "../api";
import { useLoad, useOffer } from "../hooks";
import { Link, navigate } from "../router";
import { Start } from "./bulk";
import { Heading, number, T, Table, Time, Wait } from "../ui";

interface Group { hash: string; reason: string | null; step: string | null; error: string | null; count: number; first_at: string; last_at: string; execution_id: string; responder_id: string;
    responder_count: number; responders: { type: string; id: string; name: string | null }[] }

function names(group: Group): string {
    const shown = group.responders.map((r) => r.name ?? r.id).join(", "), more = group.responder_count - group.responders.length;
    return more > 0 ? `${shown} and ${number(more)} more` : shown;
}

export function Errors() {
    const loaded = useLoad("errors", (signal) => get<{ considered: number; has_more: boolean; groups: Group[] }>("/executions/errors?limit=50", signal), 10000);
    const [retried, setRetried] = useState<Group>(), offered = useOffer()?.operations.has("POST /executions/bulk"), retries = offered && can("workflows:execute", "skills:execute");
    return <>
        <Heading title="Failures">Failures by error</Heading>
        <Wait of={loaded}>{(page) => <>
            <p class="dim">Of the last {number(page.considered)} failed runs{page.has_more && ", the largest groups"}.</p>
            <Table tall label="Failures by error" rows={page.groups} id={(g) => g.hash} empty="No run has failed." columns={[
                { title: "Runs", class: "c-num", cell: (g) => number(g.count) },
                { title: "Error", cell: (g) => <Link to={`/runs?error_hash=${encodeURIComponent(g.hash)}`}><T>{g.error || g.reason || "without a text"}</T></Link> },
                { title: "Reason", class: "c-id wider", cell: (g) => <code>{g.reason}</code> },
                { title: "Step", class: "c-id wider", cell: (g) => <T>{g.step}</T> },
                { title: "Workflow or skill", class: "wide", cell: (g) => <T>{names(g)}</T> },
                { title: "Last", class: "c-time", cell: (g) => <Link to={`/runs/${g.execution_id}`}><Time at={g.last_at} /></Link> },
                ...(retries ? [{ title: "Actions", class: "c-one wide", cell: (g: Group) => <button type="button" onClick={() => setRetried(g)}>Retry all…</button> }] : []),
            ]} />
        </>}</Wait>
        {retried && <Start action="retry" filter={{ error_hash: retried.hash }} close={() => setRetried(undefined)}
            started={(id) => navigate(`/runs?error_hash=${encodeURIComponent(retried.hash)}&job=${encodeURIComponent(id)}`)} />}
    </>;
}
