// One panel: its head and menu, and what all kinds of panels have in common.

import { save } from "./saving.js";

let known = 0;

export class Panel {
  constructor(spec, page) {
    Object.assign(this, { spec, page, seen: false });
    this.element = document.getElementById("panel-template").content.firstElementChild.cloneNode(true);
    this.element.panel = this;
    const part = (name) => this.element.querySelector(`[data-${name}]`);
    Object.assign(this, { place: part("plot"), foot: part("foot"), head: part("title"), tables: part("table") });
    this.head.id = `panel-${(known += 1)}`;
    this.element.setAttribute("aria-labelledby", this.head.id);
    this.element.addEventListener("click", (event) => {
      const act = event.target.closest("[data-act]")?.dataset.act;
      if (act) this.act(act);
    });
    this.resized();
  }

  get title() {
    return this.spec.title || this.named();
  }

  /** A setting: the panel's own, or the page's. */
  setting(name) {
    return this.spec.settings[name] ?? this.page.settings[name];
  }

  resized() {
    this.element.style.gridColumn = `span ${this.spec.width}`;
    this.element.style.gridRow = `span ${this.spec.height}`;
  }

  /** Fetch and show; called when it is first in sight, and when its settings change. */
  async refresh() {
    this.head.textContent = this.title;
    this.head.title = this.title;
    if (!this.seen) return;
    try {
      await this.load();
      if (!this.tables.hidden) this.tabulate();
    } catch (error) {
      this.say(error.message || "This could not be loaded. Reload the page to try again.");
    }
  }

  /** Put a sentence in place of the picture. */
  say(words) {
    const line = document.createElement("p");
    line.textContent = words;
    this.plot = null;
    this.place.replaceChildren(line);
  }

  act(name) {
    this.element.querySelector("details[data-menu]").open = false;
    const acts = {
      edit: () => this.page.edit(this),
      copy: () => this.page.copy(this),
      remove: () => this.page.remove(this),
      full: () => (document.fullscreenElement ? document.exitFullscreen() : this.element.requestFullscreen()),
      table: () => this.toggleTable(),
      csv: () => save(this.csv(), "text/csv", `${this.title}.csv`),
      svg: () => this.picture("svg"),
      png: () => this.picture("png"),
      reset: () => this.zoomed?.(null),
      block: () => import("./block.js").then(({ copyBlock }) => copyBlock(this)),
    };
    acts[name]();
  }

  toggleTable() {
    this.tables.hidden = !this.tables.hidden;
    this.place.hidden = !this.tables.hidden;
    this.element.querySelector('[data-act="table"]').setAttribute("aria-pressed", String(!this.tables.hidden));
    if (!this.tables.hidden) this.tabulate();
  }

  /** Rows of words and numbers as a table; the first row is its head. */
  tabulate() {
    const [head, ...rows] = this.rows();
    const table = document.createElement("table");
    table.className = "table";
    const top = table.createTHead().insertRow();
    for (const word of head) top.append(Object.assign(document.createElement("th"), { textContent: word }));
    const body = table.createTBody();
    for (const row of rows.slice(0, 2000)) {
      const line = body.insertRow();
      for (const value of row) {
        const cell = line.insertCell();
        cell.textContent = typeof value === "number" ? this.page.figure(value) : value ?? "–";
        if (typeof value === "number") cell.className = "num";
      }
    }
    const rest = rows.length > 2000 ? [Object.assign(document.createElement("p"), { className: "muted small",
      textContent: `The first 2,000 of ${rows.length.toLocaleString("en-GB")} rows; the CSV has all.` })] : [];
    this.tables.replaceChildren(table, ...rest);
  }

  csv() {
    const cell = (value) => {
      const text = value === null || value === undefined ? "" : String(value);
      // A text that a spreadsheet would take for a formula stays a text.
      const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
      return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    return `${this.rows().map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
  }
}
