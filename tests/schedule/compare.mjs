// Compares lib/schedule with npm's croner: 500 expressions in five zones, across the next changes of their clocks.
// tests/schedule/run starts it with the path of the program upcoming.
//
// croner's rules are those of docs/schedules.md with one exception: with fixedTimeRule "no-wildcard" it looks at the minute
// field too ("*/10 2 * * *" would skip a gap and run in both passes). Here the hour field alone decides, so the minutes of
// expressions that name hours are written out as a list for croner. That changes no other day.
//
// The two time zone databases may be of different versions. Where they give a zone different offsets at the first
// occurrence that differs, the rest of the expression says nothing about the rules and is not compared; such cases are
// printed and limited.
import { spawnSync } from "node:child_process";
import { Cron } from "croner";

const ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"];
const EXPRESSIONS = 500;
const COUNT = 40;
const HOUR = 3600_000, DAY = 24 * HOUR;

// a seeded generator (mulberry32): a failure can be repeated
let seed = Number(process.argv[3] ?? 1);
function random(n) {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % n;
}
const pick = (list) => list[random(list.length)];
const between = (a, b) => a + random(b - a + 1);
const list = (a, b) => Array.from({ length: between(2, 4) }, () => between(a, b)).join(",");
function range(a, b) {
  const first = between(a, b - 1);
  return `${first}-${between(first + 1, b)}`;
}

const minute = () => pick([() => "*", () => "0", () => "30", () => String(between(0, 59)), () => `*/${pick([5, 7, 10, 15, 20, 30])}`,
  () => list(0, 59), () => `${range(0, 59)}/${between(1, 20)}`])();
const hour = () => pick([() => "*", () => String(between(0, 4)), () => String(between(0, 23)), () => `*/${between(2, 6)}`, () => list(0, 4),
  () => range(0, 8), () => `${range(0, 23)}/${between(2, 5)}`])();
const day = () => pick([() => "*", () => "*", () => String(between(1, 28)), () => "L", () => `*/${between(2, 9)}`, () => `${between(1, 28)},L`,
  () => range(1, 31)])();
const month = () => pick([() => "*", () => "*", () => "*", () => pick(["MAR", "Apr", "oct", "NOV"]), () => range(1, 12), () => "mar-nov"])();
const weekday = () => pick([() => "*", () => "*", () => "*", () => String(between(0, 7)), () => "MON-FRI", () => "sun", () => `${between(0, 6)}L`,
  () => list(0, 6), () => `*/${between(2, 3)}`])();

const offsetFormat = new Map(ZONES.map((zone) => [zone, new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" })]));
const offset = (zone, ms) => offsetFormat.get(zone).formatToParts(ms).find((part) => part.type === "timeZoneName").value;

// the changes of the clock in the next two years, to the hour
function changes(zone, from) {
  const found = [];
  for (let at = from; at < from + 2 * 366 * DAY; at += HOUR)
    if (offset(zone, at) !== offset(zone, at + HOUR)) found.push(at);
  return found;
}

function expandMinutes(text) {
  return Array.from({ length: 60 }, (_, n) => n).filter((n) => text.split(",").some((item) => {
    const [, body, step] = /^([^/]*)(?:\/(\d+))?$/.exec(item);
    const [first, last] = body === "*" ? [0, 59] : body.includes("-") ? body.split("-").map(Number) : [Number(body), Number(body)];
    return n >= first && n <= last && (n - first) % Number(step ?? 1) === 0;
  })).join(",");
}

function expected({ fields, zone, after }) {
  const [minutes, hours, ...rest] = fields;
  const named = !/[*/]/.test(hours);
  const text = [named ? expandMinutes(minutes) : minutes, hours, ...rest].join(" ");
  return new Cron(text, { timezone: zone, paused: true, mode: "5-part", fixedTimeRule: "no-wildcard" })
    .nextRuns(COUNT, new Date(after)).map((date) => date.getTime());
}

const from = Date.UTC(2026, 11, 1);
const changesOf = new Map(ZONES.map((zone) => [zone, changes(zone, from)]));
const cases = Array.from({ length: EXPRESSIONS }, (_, n) => {
  const zone = ZONES[n % ZONES.length];
  const fields = [minute(), hour(), day(), month(), weekday()];
  // begin shortly before a change, at different distances, so that the occurrences of every density cross it
  const base = changesOf.get(zone).length ? pick(changesOf.get(zone)) : from;
  return { fields, zone, after: base - pick([1, 2, 5, 26, 24 * 7]) * HOUR };
});

const input = cases.map(({ fields, zone, after }) => `${fields.join(" ")}\t${zone}\t${after}\t${COUNT}\n`).join("");
const child = spawnSync(process.argv[2], { input, encoding: "utf8" });
const [version, ...answers] = child.stdout.trimEnd().split("\n");
console.log(`time zone databases: lib/schedule ${version}, node ${process.versions.tz}`);
for (const zone of ZONES) {
  const dates = changesOf.get(zone).map((at) => new Date(at).toISOString().slice(0, 13));
  console.log(`${zone}: changes of the clock at ${dates.join(", ") || "no time"}`);
}

// the offset by node's database, in ms
function offsetMs(zone, ms) {
  const [, sign, hours, minutes] = /^GMT(?:([+-])(\d+):(\d+))?$/.exec(offset(zone, ms));
  return sign ? Number(sign + "1") * (Number(hours) * HOUR + Number(minutes) * 60_000) : 0;
}

let wrong = 0, times = 0, crossing = 0, otherData = 0;
cases.forEach((test, n) => {
  const want = expected(test);
  times += want.length;
  crossing += want.length && changesOf.get(test.zone).some((at) => at >= test.after && at < want.at(-1)) ? 1 : 0;
  const got = answers[n].split(" ").filter(Boolean).map((text) => text.split(":").map(Number));
  const at = Array.from({ length: Math.max(got.length, want.length) }, (_, i) => i).find((i) => want[i] !== got[i]?.[0]);
  if (at === undefined) return;
  const text = (ms) => (ms ? new Date(ms).toISOString() : "none");
  const byData = got[at] && offsetMs(test.zone, got[at][0]) !== got[at][1];
  if (byData) otherData++;
  else wrong++;
  console.log(`${byData ? "other time zone data" : "differs"}: "${test.fields.join(" ")}" ${test.zone} after ${text(test.after)}: ` +
    `[${at}] is ${text(got[at]?.[0])}, croner ${text(want[at])}` + (got.flat().some(Number.isNaN) ? ` (${answers[n]})` : ""));
});
console.log(`${cases.length} expressions, ${times} occurrences, ${crossing} expressions across a change of the clock: ${wrong} differ, ` +
  `${otherData} by the time zone data`);
process.exitCode = child.status || wrong || otherData > cases.length / 50 || crossing < cases.length / 2 ? 1 : 0;
