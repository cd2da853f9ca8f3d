// The page of the admin address: asks /status once a second, and draws what has changed since the time before.
"use strict";

const EVERY = 1000;
const KEPT = 300;
const LEAST_DRAWN = 60;
const history = { rate: [], errors: [], p50: [], p99: [], flight: [], connections: [], memory: [] };
let before = null;

const byId = (id) => document.getElementById(id);

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

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

// How far from the left the look number `index` stands: a minute fills the width, and later up to five do.
function across(values, index) {
  const drawn = Math.max(values.length, LEAST_DRAWN);
  return ((drawn - values.length + index) / (drawn - 1)) * 300;
}

function line(values, top) {
  let path = "";
  values.forEach((value, index) => {
    if (value === null) return;
    const begins = index === 0 || values[index - 1] === null;
    path += `${begins ? "M" : "L"}${across(values, index).toFixed(1)} ${(58 - (value / top) * 54).toFixed(1)}`;
  });
  return path;
}

function chart(id, title, shown, series) {
  const top = Math.max(...series.flatMap(([values]) => values.map((each) => each || 0)), 1e-9);
  const caption = element("figcaption", title);
  caption.append(element("span", `max ${shown(top)}`));
  const now = element("div", undefined, "now");
  series.forEach(([values, label, kind]) => {
    const value = values[values.length - 1];
    const told = element("span", value === null ? "–" : shown(value), kind);
    told.append(" ", element("small", label));
    now.append(told);
  });
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("viewBox", "0 0 300 60");
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", `${title}: ${now.textContent}`);
  series.forEach(([values, , kind], index) => {
    const path = document.createElementNS(space, "path");
    path.setAttribute("d", line(values, top));
    path.setAttribute("class", kind);
    if (index === 0 && !values.includes(null)) {
      const area = path.cloneNode();
      area.setAttribute("d", `${line(values, top)}L300 60L${across(values, 0)} 60Z`);
      area.setAttribute("class", "area");
      drawing.append(area);
    }
    drawing.append(path);
  });
  byId(id).replaceChildren(caption, now, drawing);
}

function remember(status, passed, then) {
  const latency = since(status.counted.latency, then.counted.latency);
  const statuses = since(status.counted.statuses, then.counted.statuses);
  const processes = [status, ...status.templates, ...status.workers];
  const look = {
    rate: sum(statuses) / passed,
    errors: statuses[5] / passed,
    p50: quantile(0.5, latency, status.latency_bounds),
    p99: quantile(0.99, latency, status.latency_bounds),
    flight: status.counted.active,
    connections: status.counted.connections,
    memory: sum(processes.map((each) => each.pss || 0)),
  };
  for (const [name, values] of Object.entries(history)) {
    values.push(look[name]);
    if (values.length > KEPT) values.shift();
  }
}

function draw() {
  chart("rate", "Requests/s", rate, [[history.rate, "all", "first"], [history.errors, "5xx", "second"]]);
  chart("latency", "Latency", time, [[history.p50, "p50", "first"], [history.p99, "p99", "second"]]);
  chart("flight", "Load", number, [[history.flight, "in flight", "first"], [history.connections, "connections", "second"]]);
  chart("memory", "Memory", size, [[history.memory, "all processes", "first"]]);
}

const LOOKS = { serving: "good", ready: "good", reloading: "warn", upgrading: "warn", starting: "warn", booting: "warn",
  spawning: "warn", draining: "warn" };

function head(status) {
  document.title = `${status.phase} · ${status.app}`;
  byId("app").textContent = status.app;
  byId("phase").textContent = status.reason ? `${status.phase}: ${status.reason}` : status.phase;
  byId("phase").className = `phase ${LOOKS[status.phase] || "bad"}`;
  const serves = `${status.ready} of ${status.target} workers`;
  byId("about").textContent = `${serves}, generation ${status.generation ?? "–"}, up ${duration(status.uptime)}, at `
    + `${status.addresses.join(", ")} · corn ${status.version}, master ${status.pid}`;
}

function row(status, worker, passed, then) {
  const old = then.workers.find((each) => each.worker === worker.worker);
  const latency = since(worker.counted.latency, old && old.counted.latency);
  const slot = status.slots.find((each) => each.slot === worker.slot);
  const made = element("tr");
  made.append(
    element("td", worker.slot),
    element("td", worker.stage, LOOKS[worker.stage] || "bad"),
    ...[
      worker.generation, worker.pid ?? "–", duration(worker.age), rate(sum(latency) / passed),
      time(quantile(0.99, latency, status.latency_bounds)), worker.counted.active, worker.counted.connections,
      time(worker.silent > 2 ? worker.silent : worker.counted.lag), size(worker.pss), slot ? slot.restarts : "–",
    ].map((each) => element("td", each)),
  );
  return made;
}

function notes(status) {
  const found = status.slots.filter((slot) => slot.restarts).map((slot) => {
    const times = slot.restarts === 1 ? "once" : `${slot.restarts} times`;
    const waits = slot.starts_in ? `; starts again in ${duration(slot.starts_in)}` : "";
    return `worker ${slot.slot} was restarted ${times}, last ${duration(slot.ago)} ago: ${slot.reason}${waits}`;
  });
  if (status.last_error && !status.slots.some((slot) => slot.reason && status.last_error.includes(slot.reason))) {
    found.push(`last error: ${status.last_error}`);
  }
  return found.map((text) => element("li", text));
}

function show(status, at) {
  const same = before && before.status.pid === status.pid;
  const then = same ? before.status : status;
  const passed = same ? Math.max(0.001, (at - before.at) / 1000) : 1;
  head(status);
  if (same) {
    remember(status, passed, then);
    draw();
  }
  byId("workers").replaceChildren(...status.workers.map((each) => row(status, each, passed, then)));
  byId("notes").replaceChildren(...notes(status));
  before = { status, at };
}

async function look() {
  try {
    const answer = await fetch("/status", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(await answer.text());
    show(await answer.json(), performance.now());
    byId("notice").hidden = true;
  } catch (error) {
    byId("notice").textContent = `No figures at the moment: ${error.message}`;
    byId("notice").hidden = false;
  }
  setTimeout(look, EVERY);
}

look();
