// Live charts of a report: each a panel of the charts page with runs and a source of its own.

import { KINDS, known, needKinds, USUAL } from "../charts/kinds.js";
import { figure } from "../charts/scales.js";
import { Source } from "../charts/source.js";

const ROW = 48; // pixels, as in the grid of the charts page
const MOST_NAMED = 16;
const COLOURS = [1, 2, 3, 4, 5, 6, 7, 8];
const DASHES = ["solid", "dash", "dot", "dashdot"];

/** What a panel asks of its page, for one panel. */
class Figure {
  constructor(place, data) {
    Object.assign(this, { place, data, figure });
    this.runs = data.runs.map((run) => ({ ...run, hidden: false }));
    this.byNumber = new Map(this.runs.map((run) => [run.number, run]));
    this.settings = { ...USUAL, ...known(data.panel.settings) };
    this.source = new Source({ url: data.urls.data, runs: this.runs });
    this.colour();
    this.panel = new KINDS[data.panel.kind](data.panel, this);
    this.panel.element.style.height = `${data.panel.height * ROW}px`;
    place.querySelector("[data-chart-loading]")?.replaceWith(this.panel.element);
    this.legend();
  }

  colour() {
    const style = getComputedStyle(document.documentElement);
    this.colours = COLOURS.map((n) => style.getPropertyValue(`--run-${n}`).trim());
  }

  recolour() {
    this.colour();
    if (this.panel.overview) this.panel.show();
  }

  show() {
    if (this.panel.seen) return;
    this.panel.seen = true;
    this.panel.refresh();
  }

  who(of, groups) {
    if (!groups) {
      const run = this.byNumber.get(of);
      return run && { label: run.label, colour: this.colours[run.colour - 1], dash: run.dash, hidden: false };
    }
    const place = Number(of.slice(1));
    const { label, runs } = groups[place];
    return { label: `${label} (${runs.length})`, colour: this.colours[place % 8], dash: DASHES[Math.floor(place / 8) % 4], hidden: false };
  }

  /** The names of what is drawn, under the chart. */
  legend(groups = null) {
    const list = this.place.querySelector("[data-legend]");
    if (this.data.panel.kind !== "curves" || !list) return;
    const all = groups
      ? groups.map(({ label, runs }, place) => ({ words: `${label} (${runs.length})`, colour: (place % 8) + 1 }))
      : this.runs.map(({ label, url, colour }) => ({ words: label, url, colour }));
    list.replaceChildren(...all.slice(0, MOST_NAMED).map(({ words, url, colour }) => {
      const item = document.createElement("li");
      const mark = Object.assign(document.createElement("span"), { className: "run-mark" });
      mark.dataset.colour = colour;
      const name = Object.assign(document.createElement(url ? "a" : "span"), { textContent: words });
      if (url) name.href = url;
      item.append(mark, name);
      return item;
    }));
    if (all.length > MOST_NAMED) {
      list.append(Object.assign(document.createElement("li"), { className: "muted", textContent: `and ${all.length - MOST_NAMED} more` }));
    }
  }

  grouped(groups) {
    const labels = groups?.map(({ label }) => label).join("\n") ?? "";
    if (labels === (this.shownGroups ?? "")) return;
    this.shownGroups = labels;
    this.legend(groups);
  }

  speak(words) { this.place.querySelector("[data-spoken]").textContent = words; }
  pointed() {}
  zoomed() {}
}

// By what they show: a preview that is written anew takes over the charts that stay.
const figures = new Map();
const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) target.figure?.show();
}, { rootMargin: "300px" });

async function mount(place) {
  if (place.figure) return;
  const text = place.querySelector("script[type='application/json']").textContent;
  const old = figures.get(text);
  if (old && !old.place.isConnected) {
    place.replaceWith(old.place);
    return;
  }
  const data = JSON.parse(text);
  await needKinds([data.panel]);
  if (!place.isConnected || place.figure) return;
  place.figure = new Figure(place, data);
  figures.set(text, place.figure);
  watcher.observe(place);
}

function mountAll() {
  for (const place of document.querySelectorAll("[data-report-chart]")) mount(place);
}

mountAll();
document.addEventListener("htmx:afterSwap", mountAll);
const recolour = () => figures.forEach((one) => one.recolour());
new MutationObserver(recolour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
