// A panel of curves: one line for each run, or group of runs, and each of its metrics.

import { MOST_BANDS, MOST_DASHED } from "./paint.js";
import { Panel } from "./panel.js";
import { Plot } from "./plot.js";
import { save } from "./saving.js";
import { named } from "./smoothing.js";

const DASHES = ["solid", "dash", "dot", "dashdot"];
const DETAIL_MS = 80;
const WORDS = { step: "step", relative: "time since the run's first point", wall: "time" };
const SPREADS = { minmax: "band: min and max over runs", std: "band: ± standard deviation between runs", interval: "band: 95 % interval of the mean (t)" };
const isTime = (x) => x === "relative" || x === "wall";

export class Curves extends Panel {
  named() {
    return this.spec.names.map((name) => name.replace(/^=\s*/, "")).join(", ") || "No metric yet";
  }

  how(range = null) {
    const count = this.page.runs.length * this.spec.names.length;
    const points = (count <= 12 ? 600 : count <= 40 ? 400 : 160) * (range ? 2 : 1);
    return { x: this.setting("x"), group: this.setting("group"), spread: this.setting("spread"), points, range };
  }

  async load() {
    const { names } = this.spec;
    if (!names.length) { this.say("Choose metrics for this panel: Edit, in its menu."); return; }
    const how = this.how();
    this.asked = JSON.stringify([names, how]);
    const asked = this.asked;
    const found = await this.page.source.read(names, how);
    if (this.asked !== asked) return;
    const own = found.lines.filter(({ name }) => names.includes(name));
    this.overview = own;
    this.groups = found.groups;
    this.errors = names.filter((name) => found.errors[name]).map((name) => found.errors[name].sentence);
    this.page.source.watch(this, names, how, own, (lines) => { this.overview = lines; this.show(); });
    this.page.grouped(found.groups);
    if (this.range) this.detail(this.range);
    this.show();
  }

  /** Draw what is chosen of what was fetched. */
  show() {
    const lines = this.drawn();
    if (!lines.length) {
      this.say(this.errors.join(" ") || (this.overview.length ? "All runs that have this are hidden." : "None of these runs has logged this."));
      this.foot.textContent = "";
      return;
    }
    if (!this.plot) {
      this.plot = new Plot(this.place, {
        zoomed: (range) => this.zoomed(range),
        pointed: (at) => this.page.pointed(this, at),
        spoken: (words) => this.page.speak(words),
      });
      this.place.setAttribute("role", "application");
      this.plot.range = this.range ?? null;
    }
    const x = this.setting("x");
    this.place.setAttribute("aria-label", `Chart of ${this.title} over ${WORDS[x] ?? x}. Arrow keys read it, plus and minus zoom, 0 shows all. Its figures as a table are in its menu.`);
    this.plot.set(lines, {
      x: { kind: isTime(x) ? x : "number", log: this.setting("log_x") && x !== "wall", title: x === "step" ? "" : WORDS[x] ?? x },
      y: { log: this.setting("log_y") }, clip: this.setting("clip"), smooth: this.setting("smooth"),
      amount: this.setting("amount"), bands: this.groups ? true : undefined,
      loose: this.groups && this.setting("spread") !== "minmax",
    });
    this.explain(lines);
  }

  drawn() {
    const several = this.spec.names.length > 1;
    const fetched = this.closer ?? this.overview;
    const drawn = [];
    for (const line of fetched) {
      const who = this.page.who(line.of, this.groups);
      if (!who || who.hidden) continue;
      const place = this.spec.names.indexOf(line.name);
      const name = line.name.replace(/^=\s*/, "");
      drawn.push({ ...line, colour: who.colour, dash: several ? DASHES[place % 4] : who.dash,
        label: several ? `${who.label} · ${name}` : who.label });
    }
    return drawn.sort((a, b) => (a.of > b.of ? 1 : -1));
  }

  /** What a reader has to know about the picture, in a line below it. */
  explain(lines) {
    const words = [...this.errors];
    const smoothing = named(this.setting("smooth"), this.setting("amount"));
    if (smoothing) words.push(`${smoothing} of the points drawn`);
    if (this.groups) words.push(SPREADS[this.setting("spread")]);
    else if (lines.length <= MOST_BANDS && lines.some(({ low, mean }) => low !== mean)) words.push("band: min and max of each point");
    if (this.setting("clip")) words.push("axis of nine tenths of the values");
    const bad = lines.reduce((sum, { marks }) => sum + (marks ? marks.count.reduce((a, b) => a + b, 0) : 0), 0);
    if (bad) words.push(`× ${bad} not finite`);
    if (lines.length > MOST_DASHED) words.push(`${lines.length} lines in 8 colours: point at one to tell it from others`);
    this.foot.textContent = words.join(" · ");
    this.foot.title = this.foot.textContent;
    this.foot.classList.toggle("error", this.errors.length > 0);
  }

  /** Show a part of x, or all of it; the panels that go along are told so once. */
  zoomed(range, alone = false) {
    if (!alone) this.page.zoomed(this, range);
    this.range = range;
    this.plot?.zoom(range);
    this.element.querySelector('[data-act="reset"]').hidden = !range;
    clearTimeout(this.due);
    if (range) {
      this.due = setTimeout(() => this.detail(range), DETAIL_MS);
    } else if (this.closer) {
      this.closer = null;
      this.show();
    }
  }

  /** Fetch the part in view, and as much beside it, at a finer level. */
  async detail(range) {
    const room = (range[1] - range[0]) / 2;
    const low = this.setting("log_x") ? Math.max(range[0] / 2, 0) : range[0] - room;
    try {
      const found = await this.page.source.read(this.spec.names, this.how([low, range[1] + room]));
      if (this.range !== range) return;
      this.closer = found.lines.filter(({ name }) => this.spec.names.includes(name));
      if (!this.closer.length) this.closer = null;
      this.show();
    } catch (error) {
      this.foot.textContent = error.message;
    }
  }

  rows() {
    const rows = [["Run", "Metric", this.setting("x"), "Step", "Mean", "Low", "High", this.groups ? "Runs" : "Points"]];
    for (const line of this.drawn()) {
      const who = this.page.who(line.of, this.groups);
      for (let i = 0; i < line.x.length; i += 1) {
        const step = line.steps ? line.steps[i] : this.setting("x") === "step" ? line.x[i] : null;
        rows.push([who.label, line.name, line.x[i], step, line.mean[i], line.low[i], line.high[i], line.count[i]]);
      }
    }
    return rows;
  }

  async picture(kind) {
    if (!this.plot) return;
    const content = kind === "svg" ? this.plot.svg(this.title) : await this.plot.png(this.title);
    save(content, kind === "svg" ? "image/svg+xml" : "image/png", `${this.title}.${kind}`);
  }

  gone() { this.page.source.unwatch(this); }
}
