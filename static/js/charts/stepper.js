// One slider for all panels of media: the step that they show, and the runs that are pinned to one of
// their own.

const LIVE_MS = 10_000;
const TELL_MS = 80;

export class Stepper {
  constructor(page, pins = {}) {
    this.page = page;
    this.bar = document.querySelector("[data-media-bar]");
    this.steps = [];
    // Null is the newest of each run.
    this.step = null;
    this.pins = new Map(Object.entries(pins).map(([run, step]) => [Number(run), step]));
    const part = (name) => this.bar.querySelector(`[data-${name}]`);
    Object.assign(this, { slider: part("step-slider"), words: part("step-words"), metric: part("best-metric"), clear: part("unpin") });
    const asked = new URLSearchParams(location.hash.slice(1)).get("step");
    if (asked !== null && /^-?\d+$/.test(asked)) this.step = Number(asked);
    for (const name of page.data.names) this.metric.add(new Option(name, name));
    this.slider.addEventListener("input", () => {
      const place = Number(this.slider.value);
      this.go(place >= this.steps.length ? null : this.steps[place]);
    });
    part("pin-best").addEventListener("click", () => this.pinBest(part("best-goal").value));
    this.clear.addEventListener("click", () => { this.pins.clear(); this.pinned(); });
    this.show();
    if (page.runs.some(({ open }) => open)) setInterval(() => this.look(), LIVE_MS);
  }

  /** Take the steps of a panel into the slider. */
  add(steps) {
    const all = new Set(this.steps);
    for (const step of steps) all.add(step);
    if (all.size > this.steps.length) this.steps = [...all].sort((a, b) => a - b);
    this.show();
  }

  /** The step at which a run is wanted: its pin, else the slider's; null for its newest. */
  wanted(run) { return this.pins.get(run.number) ?? this.step; }

  go(step) {
    this.step = step;
    this.show();
    this.page.remember();
    // A slider that is dragged asks for a picture now and then, and for the last one.
    this.due ??= setTimeout(() => { this.due = null; this.tell(); }, TELL_MS);
  }

  /** By one step, from wherever the slider stands. */
  by(count) {
    if (!this.steps.length) return;
    const place = this.place() + count;
    this.go(place >= this.steps.length ? null : this.steps[Math.max(0, place)]);
  }

  /** Where the slider stands: past the last step is the newest. */
  place() {
    if (this.step === null) return this.steps.length;
    const at = this.steps.findIndex((step) => step >= this.step);
    return at < 0 ? this.steps.length : at;
  }

  show() {
    this.bar.hidden = !this.steps.length;
    this.slider.max = this.steps.length;
    this.slider.value = this.place();
    const words = this.step === null ? "newest" : `step ${this.step.toLocaleString("en-GB")}`;
    this.words.textContent = words;
    this.slider.setAttribute("aria-valuetext", words);
    this.clear.hidden = !this.pins.size;
    this.clear.textContent = `Unpin ${this.pins.size} run${this.pins.size === 1 ? "" : "s"}`;
  }

  tell() {
    for (const panel of this.page.grid.panels) {
      Promise.resolve(panel.stepped?.()).catch((error) => panel.say(error.message || "This could not be loaded. Move the slider to try again."));
    }
  }

  pin(run, step) {
    if (this.pins.get(run.number) === step) this.pins.delete(run.number);
    else this.pins.set(run.number, step);
    this.pinned();
  }

  pinned() {
    this.show();
    this.tell();
    this.page.changed();
  }

  /** Pin each run to the step at which a metric was best. */
  async pinBest(goal) {
    const metric = this.metric.value;
    if (!metric) { this.metric.focus(); return; }
    const query = new URLSearchParams({ runs: this.page.runs.map(({ number }) => number).join(","), field: `metric.${metric}.${goal}_step` });
    const answer = await fetch(`${this.page.data.urls.values}?${query}`).catch(() => null);
    if (!answer?.ok) { this.page.speak("The best steps could not be read. Try again."); return; }
    const { rows } = await answer.json();
    for (const { run, values: [step] } of rows) if (typeof step === "number") this.pins.set(run, step);
    this.page.speak(`${this.pins.size} runs are pinned to their best ${metric}`);
    this.pinned();
  }

  /** Ask again which steps there are, while runs are open. */
  look() {
    if (document.hidden) return;
    for (const panel of this.page.grid.panels) if (panel.seen && panel.stepped) panel.refresh();
  }

  get kept() { return Object.fromEntries(this.pins); }
}

/** The step of these that is nearest; of two, the earlier one. */
export function nearest(steps, step) {
  if (!steps.length) return null;
  if (step === null) return steps.at(-1);
  return steps.reduce((best, other) => (Math.abs(other - step) < Math.abs(best - step) ? other : best), steps[0]);
}
