import { useState } from "preact/hooks";
import { can, get, request, type Skill } from "../api";
import { InputsForm } from "../editor";
import { skills, space, useLoad } from "../hooks";
import { Link, navigate } from "../router";
import { Field, Heading, notify, T, Table, Time, Value, Wait } from "../ui";

export function Skills() {
    const loaded = useLoad("skills", skills);
    return <>
        <Heading title="Skills">Skills</Heading>
        <Wait of={loaded}>{(list) => <Table tall label="Skills" rows={list} id={(s) => s.id} empty="No skill is installed." columns={[
            { title: "Name", cell: (s) => <Link to={`/skills/${encodeURIComponent(s.slug)}`}><T>{s.name}</T></Link> },
            { title: "Slug", class: "c-id wide", cell: (s) => <T>{s.slug}</T> },
            { title: "Description", class: "wide", cell: (s) => <T>{s.description}</T> },
            { title: "Version", class: "c-id", cell: (s) => <T>{s.version}</T> },
            { title: "Updated", class: "c-time wide", cell: (s) => <Time at={s.updated_at} /> },
        ]} />}</Wait>
    </>;
}

export function SkillScreen({ slug }: { slug: string }) {
    const loaded = useLoad(slug, async (signal) => (await get<{ data: Skill }>(`${space()}/${encodeURIComponent(slug)}`, signal)).data), s = loaded.data;
    const [files, setFiles] = useState("");
    const run = async (inputs: unknown, key: string) => {
        const names = files.split("\n").map((n) => n.trim()).filter(Boolean);
        const made = await request<{ data: { id: string } }>("POST", `${space()}/${encodeURIComponent(slug)}/executions`, { body: { inputs, ...(names.length ? { file_source_ids: names } : {}) }, key });
        navigate(can("executions:read") ? `/runs/${made.data.id}` : "/skills");
        notify("The run is accepted");
    };
    const schema = (s?.manifest as { inputs?: unknown } | undefined)?.inputs;
    return <>
        <Heading title={s?.name ?? slug} actions={s && can("executions:read") && <Link to={`/runs?responder=${s.id}`}>Runs</Link>}><T>{s?.name ?? slug}</T></Heading>
        <Wait of={loaded}>{(skill) => <>
            {skill.description && <p><T>{skill.description}</T></p>}
            <section class="card"><h2>Versions</h2>
                <ul>{skill.versions.map((v) => <li><T>{v.version}</T>{v.is_current && <b> (current)</b>}, <Time at={v.created_at} /></li>)}</ul></section>
            {can("skills:execute") && <section class="card"><h2>Run</h2>
                <Field label="Files" hint="Names of uploaded files, one a line">{(a) => <textarea {...a} rows={2} value={files} onInput={(e) => setFiles(e.currentTarget.value)} />}</Field>
                <InputsForm key={skill.version} schema={schema} submit={run} action="Run" /></section>}
            <section class="card"><h2>Manifest</h2><Value value={skill.manifest} name={`${slug}.json`} label="Manifest" /></section>
        </>}</Wait>
    </>;
}
