// A panel of media: a column for each run, each at the step of the slider or at its own pin.

import { make, render } from "./items.js";
import { Panel } from "./panel.js";
import { sentence } from "./source.js";
import { nearest } from "./stepper.js";

// Columns side by side; the legend hides runs.
const MOST_COLUMNS = 24;
const MOST_KEPT = 600;
const said = (step) => step.toLocaleString("en-GB");

/** What panels of media have in common: the steps of each run, asked once and again while runs are open. */
export class Stepped extends Panel {
  constructor(spec, page) {
    super(spec, page);
    this.element.classList.add("of-media");
    // Neither drawn nor, yet, a block of a report.
    for (const act of ["svg", "block"]) this.element.querySelector(`[data-act="${act}"]`).remove();
    this.element.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by || event.target.closest("[data-grip], input, select, textarea, clip-player, [data-menu], .js-plotly-plot")) return;
      event.preventDefault();
      page.stepper.by(by);
    });
  }

  named() { return this.spec.names.join(", ") || "No media yet"; }

  stepped() { return this.seen && this.overview ? this.show() : null; }

  query(more = []) {
    const query = new URLSearchParams({ runs: this.page.runs.map(({ number }) => number).join(",") });
    for (const name of this.spec.names) query.append("name", name);
    for (const [name, value] of more) query.append(name, value);
    return query;
  }

  async ask(url, query) {
    const answer = await fetch(`${url}?${query}`);
    if (!answer.ok) throw new Error(await sentence(answer));
    return answer.json();
  }

  /** The head of a run's part of the panel: its name, the step that is shown, its pin. */
  header(run, step) {
    const mark = make("span", { class: "run-mark", "data-colour": run.colour, "aria-hidden": "true" });
    const pinned = this.page.stepper.pins.has(run.number);
    const pin = make("button", { type: "button", class: "pin", "aria-pressed": String(pinned),
      title: pinned ? `Pinned to step ${said(this.page.stepper.pins.get(run.number))}: unpin` : `Pin this run to step ${step === null ? "" : said(step)}`,
      "aria-label": pinned ? `Unpin run ${run.number}` : `Pin run ${run.number} to this step` }, pinned ? "pinned" : "pin");
    pin.addEventListener("click", () => this.page.stepper.pin(run, this.page.stepper.pins.get(run.number) ?? step));
    const wanted = this.page.stepper.wanted(run);
    const misses = step !== null && wanted !== null && wanted !== step;
    return make("header", {}, mark, make("a", { href: run.url, title: run.label }, run.label),
      make("span", { class: misses ? "at missing" : "at", title: misses ? `Nothing at step ${said(wanted)}; this is the nearest` : null },
        step === null ? "" : `step ${said(step)}`), step === null ? null : pin);
  }
}

export class Media extends Stepped {
  constructor(spec, page) {
    super(spec, page);
    Object.assign(this, { index: 0, items: new Map() });
    this.element.querySelector('[data-act="png"]').remove();
  }

  async load() {
    if (!this.spec.names.length) { this.say("Choose what this panel shows: Edit, in its menu."); return; }
    const { runs } = await this.ask(this.page.data.urls.media, this.query());
    const known = JSON.stringify(runs);
    // What is heard or read here is not drawn anew where nothing came.
    if (known === this.known && this.place.querySelector(".media-columns")) return;
    this.known = known;
    this.overview = new Map(runs.map((run) => [run.run, run]));
    this.page.stepper.add(runs.flatMap(({ steps }) => steps));
    await this.show();
  }

  /** The runs that have something and are not hidden, with the step that each is shown at. */
  columns() {
    const there = this.page.runs.filter((run) => !run.hidden && this.overview.get(run.number)?.steps.length);
    return there.map((run) => {
      const { steps, withheld } = this.overview.get(run.number);
      const wanted = this.page.stepper.wanted(run);
      return { run, withheld, wanted, step: nearest(steps, wanted) };
    });
  }

  async show() {
    this.turn = (this.turn ?? 0) + 1;
    const mine = this.turn;
    const all = this.columns();
    const columns = all.slice(0, MOST_COLUMNS);
    if (!columns.length) {
      const some = [...this.overview.values()].some(({ steps }) => steps.length);
      this.say(some ? "All runs that have this are hidden." : "None of these runs has logged this.");
      return;
    }
    await this.fetchItems(columns.filter(({ withheld }) => !withheld));
    // The slider has moved on while this was fetched.
    if (mine !== this.turn) return;
    const grid = make("div", { class: "media-columns" }, ...columns.map((column) => this.column(column)));
    const { scrollLeft, scrollTop } = this.place;
    this.place.replaceChildren(grid);
    Object.assign(this.place, { scrollLeft, scrollTop });
    this.feet(all.length - columns.length, columns);
  }

  /** Fetch what columns show and was not fetched yet. */
  async fetchItems(columns) {
    const missing = columns.filter(({ run, step }) => !this.items.has(`${run.number}:${step}`));
    if (!missing.length) return;
    const query = new URLSearchParams();
    for (const name of this.spec.names) query.append("name", name);
    for (const { run, step } of missing) query.append("at", `${run.number}:${step}`);
    const { items } = await this.ask(this.page.data.urls.items, query);
    if (this.items.size > MOST_KEPT) this.items.clear();
    for (const { run, step } of missing) {
      this.items.set(`${run.number}:${step}`, items.filter((item) => item.run === run.number && item.step === step));
    }
  }

  itemsOf({ run, step }) { return this.items.get(`${run.number}:${step}`) ?? []; }

  column(column) {
    const { run, step, wanted, withheld } = column;
    const place = make("section", { class: "media-column", "aria-label": run.label }, this.header(run, step));
    if (wanted !== null && wanted !== step) place.append(this.missing(run, wanted, step));
    if (withheld) { place.append(make("p", { class: "media-card silent" }, withheld)); return place; }
    for (const name of this.spec.names) {
      const own = this.itemsOf(column).filter((item) => item.name === name);
      const item = own.find(({ index }) => index === this.index);
      if (item) place.append(render(item, this.page));
      else if (own.length) place.append(make("p", { class: "muted small" }, `No item ${this.index + 1} of ${name} here: there are ${own.length}.`));
    }
    return place;
  }

  missing(run, wanted, step) {
    const go = make("button", { type: "button" }, said(step));
    go.addEventListener("click", () => (this.page.stepper.pins.has(run.number) ? this.page.stepper.pin(run, step) : this.page.stepper.go(step)));
    return make("p", { class: "missing", role: "note" }, `Nothing at step ${said(wanted)}; nearest is `, go, ", shown here.");
  }

  /** Below: which item of several, the same in all columns. */
  feet(hidden, columns) {
    const most = Math.max(1, ...columns.flatMap((column) => this.itemsOf(column).map(({ index }) => index + 1)));
    const parts = [];
    if (most > 1) {
      const step = (by, words, sign) => {
        const button = make("button", { type: "button", "aria-label": words }, sign);
        button.addEventListener("click", () => { this.index = (this.index + by + most) % most; this.show(); });
        return button;
      };
      parts.push(make("span", { class: "media-index" }, step(-1, "The item before", "‹"), `${this.index + 1} of ${most}`, step(1, "The next item", "›")));
    }
    if (hidden) parts.push(` ${hidden} more runs: hide some above to see them.`);
    this.foot.replaceChildren(...parts);
  }

  rows() {
    const shown = this.overview ? this.columns().flatMap((column) => this.itemsOf(column)) : [];
    return [["Run", "Name", "Step", "Item", "Kind", "Caption", "File"],
      ...shown.map((item) => [this.page.byNumber.get(item.run).label, item.name, item.step, item.index + 1, item.kind, item.withheld || item.caption, item.url ?? ""])];
  }
}
