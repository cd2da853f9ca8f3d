// The dashboard: requests /status once a second, and updates what has changed.
"use strict";

import { Chart, ago, remember, say } from "./charts.js";

const EVERY = 1000;
const LATE = 2; // seconds without a turn of the event loop, from which on they are its lag
const ACKNOWLEDGED = "corn acknowledged";
const LOOKS = { serving: "good", ready: "good", reloading: "warn", upgrading: "warn", starting: "warn", booting: "warn",
  spawning: "warn", draining: "warn" };
const OUTCOMES = { done: ["good", "▲", "took over"], refused: ["bad", "✕", "was refused"],
  "rolled back": ["warn", "◀", "was withdrawn"] };
let before = null;
let upgrades = [];

const byId = (id) => document.getElementById(id);

function number(value, digits = 0) {
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

function rate(value) {
  return number(value, value < 10 ? 1 : 0);
}

function time(seconds) {
  if (seconds === null) return "–";
  if (seconds < 1) return `${number(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms`;
  return `${number(seconds, 1)} s`;
}

function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function size(bytes) {
  if (bytes === null) return "–";
  return bytes < 1024 ** 3 ? `${number(bytes / 1024 ** 2)} MiB` : `${number(bytes / 1024 ** 3, 1)} GiB`;
}

// What was counted between two looks; a worker in another process has counted from 0.
function since(now, then) {
  return now.map((count, index) => Math.max(0, count - (then ? then[index] : 0)));
}

const sum = (values) => values.reduce((total, each) => total + each, 0);

// The time below which a share of the requests stayed, drawn straight through the bucket that holds it; null for none.
function quantile(share, buckets, bounds) {
  const wanted = share * sum(buckets);
  if (wanted === 0) return null;
  let seen = 0;
  for (let index = 0; index < buckets.length; index++) {
    if (seen + buckets[index] >= wanted) {
      const low = index ? bounds[index - 1] : 0;
      const high = index < bounds.length ? bounds[index] : low;
      return low + ((high - low) * (wanted - seen)) / buckets[index];
    }
    seen += buckets[index];
  }
  return bounds[bounds.length - 1];
}

const charts = [
  new Chart("rate", "Requests/s", rate, [["rate", "all", "first"], ["errors", "5xx", "second"]]),
  new Chart("latency", "Latency", time, [["p50", "p50", "first"], ["p99", "p99", "second"]]),
  new Chart("flight", "Load", number, [["flight", "in flight", "first"], ["connections", "connections", "second"]]),
  new Chart("memory", "Memory", size, [["memory", "all processes", "first"]]),
];

function sampleOf(status, at, passed, then) {
  const latency = since(status.counted.latency, then.counted.latency);
  const statuses = since(status.counted.statuses, then.counted.statuses);
  const processes = [status, ...status.templates, ...status.workers];
  return {
    at,
    rate: sum(statuses) / passed,
    errors: statuses[5] / passed,
    p50: quantile(0.5, latency, status.latency_bounds),
    p99: quantile(0.99, latency, status.latency_bounds),
    flight: status.counted.active,
    connections: status.counted.connections,
    memory: sum(processes.map((each) => each.pss || 0)),
  };
}

// Reloads as marks of the charts and as lines of text, oldest first.
function reloadsOf(status, at) {
  const reloads = status.recent_reloads.map((each) => {
    const [kind, sign, what] = OUTCOMES[each.outcome];
    const code = each.generation === null ? "the configuration" : `generation ${each.generation}`;
    const name = `${sign} ${each.generation ?? ""}`.trim();
    return { at: at - each.ago, kind, sign, name, text: `${code} ${what}`, error: each.error };
  });
  return [...upgrades, ...reloads].sort((one, other) => one.at - other.at);
}

function head(status, refused) {
  document.title = refused ? `✕ reload refused · ${status.app}` : `${status.phase} · ${status.app}`;
  say(byId("app"), status.app);
  say(byId("phase"), status.reason ? `${status.phase}: ${status.reason}` : status.phase);
  byId("phase").className = `phase ${LOOKS[status.phase] || "bad"}`;
  const serves = `${status.ready} of ${status.target} workers`;
  say(byId("about"), `${serves}, generation ${status.generation ?? "–"}, up ${duration(status.uptime)}, at `
    + `${status.addresses.join(", ")} · corn ${status.version}, master ${status.pid}`);
}

function acknowledged(key) {
  try {
    return localStorage.getItem(ACKNOWLEDGED) === key;
  } catch {
    return byId("refused").dataset.acknowledged === key; // no storage: until the page is loaded again
  }
}

// The last reload, if it was refused or its code withdrawn, and nobody has acknowledged that.
function refusedReload(status) {
  const last = status.recent_reloads[status.recent_reloads.length - 1];
  if (!last || last.outcome === "done" || !last.error) return null;
  return acknowledged(`${status.pid} ${last.number}`) ? null : last;
}

function banner(status, last) {
  byId("refused").hidden = last === null;
  if (last === null) return;
  const code = last.generation === null ? "the configuration" : `generation ${last.generation}`;
  byId("refused").dataset.key = `${status.pid} ${last.number}`;
  say(byId("refused-what"), `✕ Reload ${last.outcome}: ${code}`);
  say(byId("refused-why"), last.error);
  say(byId("refused-serves"), `${serving(status)} The log has the whole error.`);
}

function serving(status) {
  if (status.generation === null) return "No code serves.";
  const isReady = (each) => each.stage === "ready" && each.generation === status.generation;
  const serves = status.workers.some(isReady) ? "still serves" : "has no ready worker";
  return `Generation ${status.generation} ${serves}.`;
}

function acknowledge() {
  const { key } = byId("refused").dataset;
  byId("refused").dataset.acknowledged = key;
  try {
    localStorage.setItem(ACKNOWLEDGED, key);
  } catch { /* no storage: until the page is loaded again */ }
  byId("refused").hidden = true;
}

function cells(status, worker, passed, then) {
  const old = then.workers.find((each) => each.worker === worker.worker);
  const latency = since(worker.counted.latency, old && old.counted.latency);
  const slot = status.slots.find((each) => each.slot === worker.slot);
  return [
    worker.slot, worker.stage, worker.generation, worker.pid ?? "–", duration(worker.age), rate(sum(latency) / passed),
    time(quantile(0.99, latency, status.latency_bounds)), worker.counted.active, `${Math.round(worker.busy * 100)} %`,
    worker.counted.connections, time(worker.silent > LATE ? worker.silent : worker.counted.lag), size(worker.pss),
    slot ? slot.restarts : "–",
  ].map(String);
}

function newRow(worker) {
  const made = document.createElement("tr");
  made.dataset.worker = worker.worker;
  for (let index = byId("columns").cells.length; index > 0; index--) made.insertCell();
  return made;
}

// A worker keeps its row, whatever comes and goes beside it: nothing that a reader has selected is lost.
function table(status, passed, then) {
  const body = byId("workers");
  const rows = new Map([...body.rows].map((each) => [each.dataset.worker, each]));
  const live = new Set(status.workers.map((each) => String(each.worker)));
  for (const [worker, row] of rows) if (!live.has(worker)) row.remove(); // first, so that no other is moved
  status.workers.forEach((worker, index) => {
    const row = rows.get(String(worker.worker)) || newRow(worker);
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] || null);
    cells(status, worker, passed, then).forEach((text, column) => say(row.cells[column], text));
    row.cells[1].className = LOOKS[worker.stage] || "bad";
  });
}

function notes(status) {
  const found = status.slots.filter((slot) => slot.restarts).map((slot) => {
    const times = slot.restarts === 1 ? "once" : `${slot.restarts} times`;
    const waits = slot.starts_in ? `; restarts in ${duration(slot.starts_in)}` : "";
    return `worker ${slot.slot} was restarted ${times}, last ${duration(slot.ago)} ago: ${slot.reason}${waits}`;
  });
  const told = [...status.slots.map((slot) => slot.reason), ...status.recent_reloads.map((each) => each.error)];
  if (status.last_error && !told.some((each) => each && status.last_error.includes(each))) {
    found.push(`last error: ${status.last_error}`);
  }
  return found;
}

function list(id, lines) {
  const shown = byId(id);
  while (shown.children.length > lines.length) shown.lastChild.remove();
  lines.forEach((line, index) => say(shown.children[index] || shown.appendChild(document.createElement("li")), line));
}

function show(status, at) {
  const same = before && before.status.pid === status.pid;
  const then = same ? before.status : status;
  const passed = same ? Math.max(0.001, at - before.at) : 1;
  const refused = refusedReload(status);
  head(status, refused);
  banner(status, refused);
  if (same) remember(sampleOf(status, at, passed, then));
  else if (before) upgrades = [...upgrades, { at, kind: "good", sign: "▲", name: "▲ new", text: "a new master took over" }];
  const reloads = reloadsOf(status, at);
  for (const each of charts) each.draw(at, reloads);
  table(status, passed, then);
  list("notes", notes(status));
  list("reloads", reloads.reverse().map((each) =>
    `${each.sign} ${each.text} ${ago(at - each.at)}${each.error ? `: ${each.error}` : ""}`));
  byId("history").hidden = reloads.length === 0;
  before = { status, at };
}

async function look() {
  try {
    const answer = await fetch("/status", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(await answer.text());
    show(await answer.json(), performance.now() / 1000);
    byId("notice").hidden = true;
  } catch (error) {
    say(byId("notice"), `No figures at the moment: ${error.message}`);
    byId("notice").hidden = false;
  }
  setTimeout(look, EVERY);
}

byId("acknowledge").addEventListener("click", acknowledge);
look();
