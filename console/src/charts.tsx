// Charts as SVG. Each is followed by, or made of, text with the same numbers.
import { Link } from "./router";
import { number, T } from "./ui";

interface Sums { used: number; runs: number }

/** A round number that is at least `top`, for the scale. */
export function ceiling(top: number): number {
    if (top <= 0) return 1;
    const power = 10 ** Math.floor(Math.log10(top));
    return [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= top * 0.999999)!;
}

/** Credits used on each day of a period; days without a row are zero. */
export function DayChart({ from, to, rows }: { from: string; to: string; rows: (Sums & { day?: string })[] }) {
    const byDay = new Map(rows.map((r) => [r.day, r])), days: string[] = [];
    for (let t = Date.parse(from); t < Date.parse(to) && days.length < 400; t += 86400000) days.push(new Date(t).toISOString().slice(0, 10));
    const top = ceiling(Math.max(0, ...rows.map((r) => r.used))), W = 800, H = 200, left = 60, step = (W - left) / Math.max(1, days.length), y = (v: number) => 10 + (H - 35) * (1 - v / top);
    return <>
        <svg class="chart" viewBox={`0 0 ${W} ${H}`} role="img" aria-label={`Credits used by day, from ${from} until before ${to}`}>
            {[0, top / 2, top].map((v) => <><line class="grid" x1={left} x2={W} y1={y(v)} y2={y(v)} /><text x={left - 6} y={y(v) + 4} text-anchor="end">{number(v)}</text></>)}
            {days.map((d, i) => <><rect class="bar" x={left + i * step + step * 0.12} width={step * 0.76} y={y(Math.max(0, byDay.get(d)?.used ?? 0))} height={y(0) - y(Math.max(0, byDay.get(d)?.used ?? 0))}>
                <title>{`${d}: ${number(byDay.get(d)?.used ?? 0)} credits, ${number(byDay.get(d)?.runs ?? 0)} runs`}</title></rect>
            {(i % Math.ceil(days.length / 8) === 0) && <text x={left + (i + 0.5) * step} y={H - 8} text-anchor="middle">{d.slice(5)}</text>}</>)}
        </svg>
        <details><summary>As a table</summary>
            <table><thead><tr><th scope="col">Day (UTC)</th><th scope="col">Credits</th><th scope="col">Runs</th></tr></thead>
                <tbody>{rows.map((r) => <tr><td>{r.day}</td><td>{number(r.used)}</td><td>{number(r.runs)}</td></tr>)}</tbody></table></details>
    </>;
}

/** One bar for each row, the largest first. */
export function Bars({ rows }: { rows: (Sums & { name: string; to?: string | undefined })[] }) {
    const top = Math.max(1e-9, ...rows.map((r) => r.used));
    if (!rows.length) return <p class="dim">Nothing was used.</p>;
    return <ol class="bars">{[...rows].sort((a, b) => b.used - a.used).slice(0, 100).map((r) => <li>
        {r.to ? <Link to={r.to}><T>{r.name}</T></Link> : <T>{r.name}</T>}
        <span class="bar-cell"><svg viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true"><rect class="bar" width={Math.max(0, 100 * r.used / top)} height="14" /></svg></span>
        <span class="n">{number(r.used)}</span><span class="n dim">{number(r.runs)} {r.runs === 1 ? "run" : "runs"}</span>
    </li>)}</ol>;
}
