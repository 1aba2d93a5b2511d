// A page of charts: settings for all panels, runs as their legend, what is kept and by whom.

import { note } from "../shell.js";
import { choose } from "./choices.js";
import { Grid } from "./grid.js";
import { KINDS, known, needKinds, USUAL } from "./kinds.js";
import { figure } from "./scales.js";
import { METHODS } from "./smoothing.js";
import { sentence, Source } from "./source.js";
import { Stepper } from "./stepper.js";

const KEEP_MS = 800;

class Page {
  constructor(data) {
    Object.assign(this, { data, figure });
    this.runs = data.runs.map((run) => ({ ...run, hidden: false }));
    this.byNumber = new Map(this.runs.map((run) => [run.number, run]));
    this.settings = { ...USUAL, ...known(data.layout.page), ...asked() };
    this.hiddenGroups = new Set();
    this.source = new Source({ url: data.urls.data, runs: this.runs });
    this.grid = new Grid(document.querySelector("[data-chart-grid]"), this);
    this.stepper = new Stepper(this, data.layout.pins);
    this.bar();
    this.legend();
    this.colour();
    this.grid.show(data.layout.panels.map((spec) => this.panel(spec)), data.layout.folded);
    if (!data.layout.panels.length) this.empty();
    document.querySelector("[data-add-panel]")?.addEventListener("click", () => this.edit(null));
    document.querySelector("[data-save-layout]")?.addEventListener("submit", (event) => {
      event.target.elements.content.value = JSON.stringify(this.layout());
    });
    new MutationObserver(() => this.recolour()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
  }

  panel(spec) {
    return new KINDS[spec.kind](structuredClone(spec), this);
  }

  empty() {
    const line = document.createElement("p");
    line.className = "empty";
    line.textContent = this.data.names.length ? "No panel is left here. Add one, or begin again with a panel for each metric (Layout)."
      : "None of these runs has logged a metric yet.";
    this.grid.place.append(line);
  }

  /** The settings of all panels. */
  bar() {
    const bar = document.querySelector("[data-chart-bar]");
    const field = (name) => bar.querySelector(`[data-set="${name}"]`);
    for (const name of this.data.names) field("x").add(new Option(name, name));
    for (const { key, title, kind, groups } of this.data.fields) {
      if (groups) field("group").add(new Option(kind === "setting" ? title : title.toLowerCase(), key));
    }
    for (const [name, value] of Object.entries(this.settings)) {
      const input = field(name);
      if (input.type === "checkbox") input.checked = value;
      else if (name === "group") choose(input, value.join(","), value.join(", "));
      else if (name !== "amount") choose(input, String(value), String(value));
    }
    this.barFits(bar);
    bar.addEventListener("input", ({ target }) => {
      const name = target.dataset.set;
      if (!name) return;
      if (target.type === "checkbox") this.settings[name] = target.checked;
      else if (name === "amount") this.settings.amount = Number(target.value);
      else this.settings[name] = name === "group" ? target.value.split(",").filter(Boolean) : target.value;
      if (name === "smooth" && METHODS[target.value].amount) this.settings.amount = METHODS[target.value].amount.first;
      if (name === "group") this.hiddenGroups.clear();
      this.barFits(bar);
      if (["x", "group", "spread"].includes(name)) {
        if (name === "x") this.grid.panels.forEach((panel) => panel.zoomed?.(null, true));
        this.refresh();
      } else {
        this.redraw();
      }
      this.changed();
    });
  }

  /** Show only what has an effect: how much of the smoothing, the band of groups. */
  barFits(bar) {
    const amount = METHODS[this.settings.smooth]?.amount;
    const label = bar.querySelector("[data-amount]");
    label.hidden = !amount;
    if (amount) {
      const range = label.querySelector("input");
      Object.assign(range, { min: amount.min, max: amount.max, step: amount.step });
      range.value = this.settings.amount;
      label.querySelector("output").textContent = this.settings.amount;
    }
    bar.querySelector("[data-spread]").hidden = !this.settings.group.length;
    if (!this.settings.group.length) this.grouped(null);
  }

  /** The runs as chips: pressed is shown. */
  legend() {
    this.chips = document.querySelector("[data-chips]");
    this.runChips = [...this.chips.children];
    this.words = document.querySelector("[data-legend-words]");
    this.noted = this.words.textContent;
    this.chips.addEventListener("click", (event) => {
      const chip = event.target.closest("button");
      if (!chip) return;
      if (event.altKey) this.only(chip);
      else this.toggle(chip, chip.getAttribute("aria-pressed") !== "true");
      this.redraw();
    });
    const all = (shown) => () => {
      for (const chip of this.chips.querySelectorAll("button")) this.toggle(chip, shown);
      this.redraw();
    };
    document.querySelector("[data-all-runs]").addEventListener("click", all(true));
    document.querySelector("[data-no-runs]").addEventListener("click", all(false));
    const hidden = new URLSearchParams(location.hash.slice(1)).get("hidden")?.split(",") ?? [];
    for (const chip of this.chips.querySelectorAll("button")) if (hidden.includes(chip.dataset.run)) this.toggle(chip, false);
  }

  only(chip) {
    for (const other of this.chips.querySelectorAll("button")) this.toggle(other, other === chip);
  }

  toggle(chip, shown) {
    chip.setAttribute("aria-pressed", String(shown));
    if (chip.dataset.run) {
      this.byNumber.get(Number(chip.dataset.run)).hidden = !shown;
      this.remember();
    } else if (shown) this.hiddenGroups.delete(chip.dataset.group);
    else this.hiddenGroups.add(chip.dataset.group);
  }

  /** What a link to this page shows again: hidden runs, and the step of the media. */
  remember() {
    const hidden = this.runs.filter((run) => run.hidden).map(({ number }) => number);
    const parts = [hidden.length ? `hidden=${hidden.join(",")}` : "", this.stepper.step === null ? "" : `step=${this.stepper.step}`];
    const hash = parts.filter(Boolean).join("&");
    history.replaceState(history.state, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  /** Groups take the place of runs in the legend while curves are grouped. */
  grouped(groups) {
    const labels = groups?.map(({ label }) => label).join("\n") ?? "";
    if (!this.chips || this.shownGroups === labels) return;
    this.shownGroups = labels;
    if (!groups) { this.chips.replaceChildren(...this.runChips); this.words.textContent = this.noted ?? ""; return; }
    this.chips.replaceChildren(...groups.map(({ label, runs }, place) => {
      const chip = document.createElement("button");
      Object.assign(chip, { type: "button", className: "chip", title: `Runs ${runs.join(", ")}` });
      chip.dataset.group = label;
      chip.setAttribute("aria-pressed", String(!this.hiddenGroups.has(label)));
      const mark = Object.assign(document.createElement("span"), { className: "run-mark" });
      mark.dataset.colour = (place % 8) + 1;
      chip.append(mark, `${label} · ${runs.length} ${runs.length === 1 ? "run" : "runs"}`);
      const item = document.createElement("li");
      item.append(chip);
      return item;
    }));
    this.words.textContent = `${this.runs.length} runs in ${groups.length} ${groups.length === 1 ? "group" : "groups"}`;
  }

  /** Whose a line is: label, colour, dash, and whether it is hidden. */
  who(of, groups) {
    if (!groups) {
      const run = this.byNumber.get(of);
      return run && { label: run.label, colour: this.colours[run.colour - 1], dash: run.dash, hidden: run.hidden };
    }
    const place = Number(of.slice(1));
    const { label, runs } = groups[place];
    return { label: `${label} (${runs.length})`, colour: this.colours[place % 8], dash: ["solid", "dash", "dot", "dashdot"][Math.floor(place / 8) % 4], hidden: this.hiddenGroups.has(label) };
  }

  colour() {
    const style = getComputedStyle(document.documentElement);
    this.colours = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => style.getPropertyValue(`--run-${n}`).trim());
  }

  recolour() { this.colour(); this.redraw(); }

  refresh() { this.grid.panels.forEach((panel) => panel.refresh()); }

  redraw() {
    for (const panel of this.grid.panels) {
      if (panel.seen && panel.overview) panel.show();
      else if (panel.seen) panel.refresh();
    }
  }

  /** The crosshair stands at one x in all panels that have the same. */
  pointed(from, at) {
    for (const panel of this.grid.panels) {
      if (panel !== from && panel.plot?.point && panel.setting("x") === from.setting("x")) panel.plot.point(at);
    }
  }

  /** Where panels zoom together, all that have the same x show the same part of it. */
  zoomed(from, range) {
    if (!document.querySelector("[data-together]").checked) return;
    for (const panel of this.grid.panels) {
      if (panel !== from && panel.zoomed && panel.setting("x") === from.setting("x")) panel.zoomed(range, true);
    }
  }

  speak(words) { document.querySelector("[data-spoken]").textContent = words; }

  async edit(panel) {
    const { Editor } = await import("./editor.js");
    this.editor ??= new Editor(document.getElementById("panel-dialog"), this);
    this.editor.open(panel);
  }

  /** Take a panel as the editor made it: a new one, or in place of another. */
  async take(spec, old) {
    await needKinds([spec]);
    if (old) {
      const fresh = this.panel(spec);
      fresh.seen = true;
      this.grid.watcher.observe(fresh.element);
      old.gone?.();
      old.element.replaceWith(fresh.element);
      fresh.refresh();
    } else {
      this.grid.place.querySelector(":scope > .empty")?.remove();
      const fresh = this.panel(spec);
      this.grid.add(fresh, [], true);
      fresh.element.scrollIntoView({ block: "nearest" });
      fresh.element.focus();
    }
    this.changed();
  }

  copy(panel) {
    const spec = { ...structuredClone(panel.spec), id: this.newId() };
    const fresh = this.panel(spec);
    panel.element.after(fresh.element);
    fresh.seen = true;
    fresh.refresh();
    fresh.element.focus();
    this.changed();
  }

  /** Take a panel away; the way back stands beside the legend until something else is done. */
  remove(panel) {
    const place = this.grid.panels.indexOf(panel);
    panel.gone?.();
    this.grid.remove(panel);
    if (!this.grid.panels.length) this.empty();
    this.speak(`${panel.title} is removed`);
    this.changed();
    const undo = Object.assign(document.createElement("button"), { type: "button", className: "button quiet small", textContent: "Undo" });
    undo.addEventListener("click", () => this.putBack(panel.spec, place));
    this.words.replaceChildren(`${panel.title} is removed. `, undo);
  }

  putBack(spec, place) {
    this.grid.place.querySelector(":scope > .empty")?.remove();
    const before = this.grid.panels[place];
    const fresh = this.panel(spec);
    this.grid.add(fresh);
    if (before?.spec.section === spec.section) before.element.before(fresh.element);
    fresh.element.focus();
    this.words.textContent = this.noted;
    this.changed();
  }

  newId() {
    const ids = new Set(this.grid.panels.map(({ spec }) => spec.id));
    let n = ids.size + 1;
    while (ids.has(`p${n}`)) n += 1;
    return `p${n}`;
  }

  layout() {
    return { version: 1, page: this.settings, pins: this.stepper.kept, panels: this.grid.panels.map(({ spec }) => spec), folded: this.grid.folded };
  }

  /** Keep one's own layout, a moment after the last change. */
  changed() {
    clearTimeout(this.due);
    // Somebody's saved layout stays as it is until it is saved again.
    if (this.data.saved) this.words.textContent = this.noted = "Changed here, not saved: Layout, Save layout.";
    else this.due = setTimeout(() => { this.due = null; this.keep(); }, KEEP_MS);
  }

  async keep() {
    const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";
    const body = new URLSearchParams({ content: JSON.stringify(this.layout()) });
    const answer = await fetch(this.data.urls.keep, { method: "POST", body, headers: { "X-CSRFToken": token } }).catch(() => null);
    if (!answer) note("The portal did not answer: this layout is not kept yet.", "warn");
    else if (!answer.ok) note(await sentence(answer));
    else this.kept = (this.kept ?? 0) + 1;
  }
}

/** What the address says over the layout: a link from a grouped table brings its groups. */
function asked() {
  const query = new URLSearchParams(location.search);
  const settings = {};
  if (query.has("group")) settings.group = query.get("group").split(",").filter(Boolean).slice(0, 4);
  if (query.get("x")) settings.x = query.get("x");
  return settings;
}

const place = document.getElementById("charts-data");
if (place) {
  const data = JSON.parse(place.textContent);
  needKinds(data.layout.panels).then(() => { document.chartPage = new Page(data); });
}
