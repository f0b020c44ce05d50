import { useState } from "preact/hooks";
import { can, get, keys, post, Problem, request, type Workflow, type WorkflowItem } from "../api";
import { asProblem, useLoad, usePages } from "../hooks";
import { InputsForm, JsonEditor, syntaxError } from "../editor";
import { Link, navigate } from "../router";
import { Act, ErrorBox, Heading, notify, T, Table, Time, Value, Wait } from "../ui";
import { readJson, writeJson } from "../exact";

export function Workflows() {
    const pages = usePages<WorkflowItem>("workflows", async (after, signal) => {
        const page = await get<{ workflows: WorkflowItem[]; next_cursor: string | null }>(`/workflows?limit=200${after ? `&after=${after}` : ""}`, signal);
        return { rows: page.workflows, next: page.next_cursor };
    });
    return <>
        <Heading title="Workflows" actions={can("workflows:write") && <button type="button" class="primary" onClick={() => navigate("/workflows/new")}>New workflow</button>}>Workflows</Heading>
        <ErrorBox problem={pages.error} retry={pages.reload} />
        <Table tall label="Workflows" rows={pages.rows} id={(w) => w.id} more={pages.more} loading={pages.loading} loadMore={pages.loadMore} empty="There is no workflow yet." columns={[
            { title: "Name", cell: (w) => <Link to={`/workflows/${w.id}`}><T>{w.name}</T></Link> },
            { title: "Description", class: "wide", cell: (w) => <T>{w.description}</T> },
            { title: "Version", class: "c-num wide", cell: (w) => w.version },
            { title: "Updated", class: "c-time wide", cell: (w) => <Time at={w.updated_at} /> },
            { title: "Last run", class: "c-time", cell: (w) => <Time at={w.last_run_at} none="never" /> },
        ]} />
    </>;
}

export function WorkflowScreen({ id }: { id: string }) {
    const loaded = useLoad(id, (signal) => get<Workflow>(`/workflows/${encodeURIComponent(id)}`, signal)), w = loaded.data;
    const run = async (inputs: unknown, key: string) => {
        const made = await post<{ execution_id: string }>(`/workflows/${id}/run-async`, { inputs }, key);
        navigate(can("executions:read") ? `/runs/${made.execution_id}` : "/workflows");
        notify("The run is accepted");
    };
    return <>
        <Heading title={w?.name ?? id} actions={w && <>
            {can("executions:read") && <Link to={`/runs?responder=${id}`}>Runs</Link>}
            {can("workflows:write") && <button type="button" onClick={() => navigate(`/workflows/${id}/edit`)}>Edit</button>}
            {can("workflows:write") && <Act class="danger" confirm="Archive this workflow? It then accepts no runs." done="Archived" run={async () => { await request("DELETE", `/workflows/${id}`); navigate("/workflows"); }}>Archive</Act>}
        </>}><T>{w?.name ?? id}</T></Heading>
        <Wait of={loaded}>{(flow) => <>
            {flow.description && <p><T>{flow.description}</T></p>}
            <section class="card"><dl class="facts">
                <dt>Id</dt><dd class="mono">{flow.id}</dd>
                <dt>Version</dt><dd>{flow.version}, of <Time at={flow.updated_at} /></dd>
                <dt>Created</dt><dd><Time at={flow.created_at} /></dd>
                <dt>Last run</dt><dd><Time at={flow.last_run_at} none="never" /></dd>
            </dl></section>
            {can("workflows:execute") && <section class="card"><h2>Run</h2><InputsForm key={flow.version} schema={(flow.program as { inputs?: unknown }).inputs} submit={run} action="Run" /></section>}
            <section class="card"><h2>Program</h2><Value value={flow.program} name={`${id}.json`} label="Program" /></section>
        </>}</Wait>
    </>;
}

const TEMPLATE = {
    name: "new-workflow", description: "",
    program: { inputs: { type: "object", properties: { name: { type: "string", maxLength: 100 } } }, steps: [{ name: "greet", type: "transform", value: { greeting: "Hello ${/inputs/name}" } }] },
};

function Edit({ id, from, version }: { id: string | undefined; from: string; version: number }) {
    const [text, setText] = useState(from), [problem, setProblem] = useState<Problem>(), [busy, setBusy] = useState(false), [keyOf] = useState(keys);
    const save = async () => {
        setBusy(true);
        setProblem(undefined);
        try {
            const stored = await request<Workflow>(id ? "PUT" : "POST", id ? `/workflows/${id}` : "/workflows", { text, ...(id ? {} : { key: keyOf(text) }) });
            for (const warning of stored.warnings ?? []) notify(warning, true);
            notify(`Stored as version ${stored.version}`);
            navigate(`/workflows/${stored.id}`);
        } catch (error) {
            setProblem(asProblem(error));
        }
        setBusy(false);
    };
    const format = () => setText(writeJson(readJson(text), 2));
    return <>
        {id && <p class="dim">Version {version}. Storing makes a new version; runs that were accepted before keep theirs.</p>}
        <ErrorBox problem={problem && (problem.errors.length ? new Problem(problem.status, problem.code, problem.message) : problem)} />
        <JsonEditor label="Workflow as JSON" text={text} onText={(next) => { setText(next); setProblem(undefined); }} errors={problem?.errors ?? []} />
        <div class="buttons"><button type="button" class="primary" disabled={busy || !!syntaxError(text)} onClick={() => void save()}>Store</button>
            <button type="button" disabled={!!syntaxError(text)} onClick={format}>Format</button>
            <button type="button" onClick={() => navigate(id ? `/workflows/${id}` : "/workflows")}>Cancel</button></div>
    </>;
}

export function WorkflowEdit({ id }: { id: string | undefined }) {
    const loaded = useLoad(id ?? "", (signal) => get<Workflow>(`/workflows/${encodeURIComponent(id!)}`, signal));
    const title = id ? `Edit ${loaded.data?.name ?? id}` : "New workflow";
    return <>
        <Heading title={title}><T>{title}</T></Heading>
        {id ? <Wait of={loaded}>{({ name, description, program, version }) => <Edit id={id} version={version} from={writeJson({ name, description, program }, 2)} />}</Wait> :
            <Edit id={undefined} version={0} from={writeJson(TEMPLATE, 2)} />}
    </>;
}
