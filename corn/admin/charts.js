// Charts of the last five minutes: lines over a time axis, with a mark at each reload.
"use strict";

const SPACE = "http://www.w3.org/2000/svg";
const LONGEST = 300; // seconds that are kept
const SHORTEST = 60; // seconds that the axis has at least
const STEPS = [20, 30, 60, 120];
const WIDTH = 300;
const HEIGHT = 60;
const ROOM = 54; // of the height, for the highest value
const LABEL = 0.12; // of the width that the label of a mark takes

const samples = [];

// A sample holds the time `at` in seconds and a value for each key of the charts, null where it is not known.
export function remember(sample) {
  samples.push(sample);
  while (samples[0].at < sample.at - LONGEST) samples.shift();
}

function drawn(name, attributes) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function element(name, kind, text) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Text is only set where it differs: a selection, and the place of a screen reader, stay where they are.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function ago(seconds) {
  return seconds < 60 ? `${Math.round(seconds)} s ago` : `${Math.round(seconds / 60)} min ago`;
}

function tick(seconds) {
  if (seconds === 0) return "now";
  return seconds % 60 ? `−${seconds} s` : `−${seconds / 60} min`;
}

// Places an element at a share of the width, so that it does not stand out at the edges.
function place(node, share) {
  node.style.left = `${(share * 100).toFixed(2)}%`;
  node.style.transform = `translateX(-${share < 0.1 ? 0 : share > 0.9 ? 100 : 50}%)`;
}

export class Chart {
  // `series` has a key of the samples, a label and a class for each line.
  constructor(id, title, format, series) {
    this.title = title;
    this.format = format;
    this.most = element("span");
    const caption = element("figcaption", "", title);
    caption.append(this.most);
    const now = element("div", "now");
    this.drawing = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    this.grid = drawn("g", {});
    this.area = drawn("path", { class: "area" });
    this.drawing.append(this.grid, this.area);
    this.series = series.map(([key, label, kind]) => {
      const value = element("span", "value");
      const shown = element("span", kind);
      shown.append(element("i", "swatch"), value, " ", element("small", "", label));
      now.append(shown);
      const path = drawn("path", { class: kind });
      this.drawing.append(path);
      return { key, label, value, path };
    });
    this.marks = element("div", "marks");
    this.axis = element("div", "axis");
    for (const each of [this.marks, this.axis]) each.setAttribute("aria-hidden", "true");
    const plot = element("div", "plot");
    plot.append(this.drawing, this.marks);
    document.getElementById(id).replaceChildren(caption, now, plot, this.axis);
  }

  draw(at, marks) {
    const first = samples.length ? samples[0].at : at;
    this.span = Math.min(LONGEST, Math.max(SHORTEST, at - first));
    this.across = (time) => 1 - (at - time) / this.span;
    const values = this.series.flatMap(({ key }) => samples.map((each) => each[key] || 0));
    const top = Math.max(...values, 1e-9);
    say(this.most, `max ${this.format(top)}`);
    for (const { key, value, path } of this.series) {
      const last = samples.length ? samples[samples.length - 1][key] : null;
      say(value, last === null ? "–" : this.format(last));
      path.setAttribute("d", this.line(key, top));
    }
    this.area.setAttribute("d", this.below(this.series[0].key, top));
    const seen = marks.filter((mark) => this.across(mark.at) >= 0);
    this.drawAxis(seen);
    this.drawing.setAttribute("aria-label", this.inWords(at, seen));
  }

  line(key, top) {
    let path = "";
    let begins = true;
    for (const each of samples) {
      if (each[key] !== null) {
        const y = HEIGHT - 2 - (each[key] / top) * ROOM;
        path += `${begins ? "M" : "L"}${(this.across(each.at) * WIDTH).toFixed(1)} ${y.toFixed(1)}`;
      }
      begins = each[key] === null;
    }
    return path;
  }

  below(key, top) {
    if (!samples.length || samples.some((each) => each[key] === null)) return "";
    const [left, right] = [samples[0].at, samples[samples.length - 1].at].map((each) => this.across(each) * WIDTH);
    return `${this.line(key, top)}L${right.toFixed(1)} ${HEIGHT}L${left.toFixed(1)} ${HEIGHT}Z`;
  }

  drawAxis(marks) {
    const step = STEPS.find((each) => this.span / each <= 3.5) || STEPS[STEPS.length - 1];
    const vertical = (share, kind) => {
      const x = (share * WIDTH).toFixed(1);
      return drawn("line", { x1: x, x2: x, y1: 0, y2: HEIGHT, class: kind });
    };
    const lines = [];
    const labels = [];
    for (let seconds = 0; seconds <= this.span; seconds += step) {
      const label = element("span", "", tick(seconds));
      place(label, 1 - seconds / this.span);
      labels.push(label);
      lines.push(vertical(1 - seconds / this.span, "grid"));
    }
    this.axis.replaceChildren(...labels);
    const names = [];
    let free = 1 + LABEL;
    for (const mark of [...marks].reverse()) { // the newest are named, those that would be covered are not
      const share = this.across(mark.at);
      lines.push(vertical(share, `mark ${mark.kind}`));
      if (free - share >= LABEL) {
        const name = element("span", mark.kind, mark.name);
        place(name, share);
        names.push(name);
        free = share;
      }
    }
    this.marks.replaceChildren(...names);
    this.grid.replaceChildren(...lines);
  }

  inWords(at, marks) {
    const series = this.series.map(({ key, label }) => {
      const known = samples.map((each) => each[key]).filter((each) => each !== null);
      if (!known.length) return `${label} unknown`;
      const [least, most] = [Math.min(...known), Math.max(...known)].map(this.format);
      const last = samples[samples.length - 1][key];
      return `${label} ${last === null ? "unknown" : this.format(last)}, between ${least} and ${most}`;
    });
    const length = Math.round(Math.min(this.span, samples.length ? at - samples[0].at : 0));
    const events = marks.map((mark) => `${mark.text} ${ago(at - mark.at)}`);
    return [`${this.title} in the last ${length} s`, ...series, ...events].join("; ");
  }
}
