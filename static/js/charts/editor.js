// The dialog in which a panel is made and changed.

import { choose } from "./choices.js";
import { OF_MEDIA } from "./kinds.js";

const FOUND = 30;
const HELP = {
  scatter: "The first is X, the second Y, a third the colour.",
  contour: "X, Y, and what the surface shows, all with numbers.",
  parallel: "One axis each; the last is also the colour.",
  bars: "One field with numbers. Runs are grouped as the page says.",
  importance: "The field that settings may matter for, as metric.val/loss.min.",
};
// What is given by its name in the runs, and not by a field of the run table.
const LEAST = { curves: ["names", 1, "Choose a metric or write a formula."], scatter: ["fields", 2, "Choose two fields, X and Y."],
  contour: ["fields", 3, "Choose three fields: X, Y and the surface."],
  parallel: ["fields", 2, "Choose two fields or more."], bars: ["fields", 1, "Choose one field."],
  importance: ["fields", 1, "Choose the field that settings may matter for."],
  media: ["names", 1, "Choose what the panel shows."], histogram: ["names", 1, "Choose the histograms."] };
const OWN = ["x", "smooth", "amount", "group", "spread", "log_y", "log_x", "clip"];
const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

export class Editor {
  constructor(dialog, page) {
    Object.assign(this, { dialog, page, form: dialog.querySelector("form") });
    this.error = dialog.querySelector("[data-panel-error]");
    const fields = this.form.elements;
    fields.x.add(new Option("as the page", ""));
    for (const [value, title] of [["step", "step"], ["relative", "relative time"], ["wall", "wall time"]]) fields.x.add(new Option(title, value));
    for (const name of page.data.names) fields.x.add(new Option(name, name));
    fields.group.add(new Option("as the page", ""));
    fields.group.add(new Option("nothing", "-"));
    for (const { key, title, groups } of page.data.fields) if (groups) fields.group.add(new Option(title, key));
    this.finder("[data-find-name]", "[data-found-names]", fields.names, () => this.offered());
    this.finder("[data-find-field]", "[data-found-fields]", fields.fields, () => page.data.fields.map(({ key, title, kind }) => [key, `${title} · ${kind}`]));
    fields.kind.addEventListener("change", () => this.fit());
    this.form.addEventListener("submit", (event) => this.submitted(event));
  }

  /** Names that the kind of panel can show, with their titles. */
  offered() {
    const kind = this.form.elements.kind.value;
    if (!OF_MEDIA.includes(kind)) return this.page.data.names.map((name) => [name, name]);
    const fit = this.page.data.media.filter((one) => kind !== "histogram" || one.kind === "histogram");
    return fit.map((one) => [one.name, `${one.name} · ${one.kind}`]);
  }

  /** Lists what a search finds; a click adds a line. */
  finder(field, place, target, all) {
    const input = this.form.querySelector(field);
    const found = this.form.querySelector(place);
    const show = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const fit = all().filter(([, title]) => words.every((word) => title.toLowerCase().includes(word)));
      found.replaceChildren(...fit.slice(0, FOUND).map(([value, title]) => {
        const chip = Object.assign(document.createElement("button"), { type: "button", className: "chip", textContent: title });
        chip.addEventListener("click", () => { target.value = [...lines(target.value), value].join("\n"); target.focus(); });
        return chip;
      }), ...(fit.length > FOUND ? [Object.assign(document.createElement("span"), { className: "muted small", textContent: `and ${fit.length - FOUND} more` })] : []));
    };
    input.addEventListener("input", show);
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      found.querySelector("button")?.click();
    });
    this.dialog.addEventListener("toggle", show);
    found.show = show;
  }

  open(panel) {
    this.panel = panel;
    const spec = panel?.spec ?? { kind: "curves", title: "", names: [], fields: [], settings: {} };
    const fields = this.form.elements;
    this.form.reset();
    this.error.textContent = "";
    fields.kind.value = spec.kind;
    fields.title.value = spec.title;
    fields.names.value = spec.names.join("\n");
    fields.fields.value = spec.fields.join("\n");
    for (const name of OWN) {
      const value = spec.settings[name] ?? null;
      if (value === null) fields[name].value = "";
      else if (name === "group") choose(fields.group, value.join(",") || "-", value.join(", "));
      else if (name === "x") choose(fields.x, value, value);
      else fields[name].value = String(value);
    }
    this.dialog.querySelector("h2").textContent = panel ? "Panel" : "New panel";
    for (const place of this.form.querySelectorAll(".found")) place.show();
    this.fit();
    this.dialog.showModal();
  }

  /** Show only the fields that the kind has. */
  fit() {
    const kind = this.form.elements.kind.value;
    for (const field of this.form.querySelectorAll("[data-for]")) field.hidden = !field.dataset.for.split(" ").includes(kind);
    this.form.querySelector("[data-fields-help]").textContent = HELP[kind] ?? "";
    this.form.querySelector("[data-names-label]").textContent = OF_MEDIA.includes(kind) ? "Media, one a line" : "Metrics, one a line; a formula begins with =";
    this.form.querySelector("[data-find-name]").placeholder = OF_MEDIA.includes(kind) ? "Find media to add" : "Find a metric to add";
    this.form.querySelector("[data-found-names]").show?.();
  }

  submitted(event) {
    if (event.submitter?.value !== "keep") return;
    const fields = this.form.elements;
    const old = this.panel?.spec;
    const kind = fields.kind.value;
    const spec = {
      ...(old ?? { section: "", width: kind === "parallel" ? 8 : OF_MEDIA.includes(kind) ? 6 : 4, height: kind === "curves" ? 6 : 8 }),
      id: old?.id ?? this.page.newId(), kind, title: fields.title.value.trim(), names: lines(fields.names.value), fields: lines(fields.fields.value),
      settings: this.settings(fields),
    };
    const [list, least, words] = LEAST[kind];
    const most = list === "names" ? 12 : 16;
    if (spec[list].length < least || spec[list].length > most) {
      event.preventDefault();
      this.error.textContent = spec[list].length > most ? `A panel takes at most ${most} of these.` : words;
      fields[list].focus();
      return;
    }
    this.page.take(spec, this.panel);
  }

  settings(fields) {
    const read = {
      x: (text) => text, smooth: (text) => text, spread: (text) => text, amount: Number,
      group: (text) => (text === "-" ? [] : text.split(",")), log_x: (text) => text === "true", log_y: (text) => text === "true", clip: (text) => text === "true",
    };
    return Object.fromEntries(OWN.filter((name) => fields[name].value !== "").map((name) => [name, read[name](fields[name].value)]));
  }
}
