// <clip-player>: hears the clips of one row side by side. Its list of links works without scripts.
//
//   <clip-player data-name="grid-1" data-mode="restart" data-label="Prompt: slow techno">
//     <ol class="clips"><li data-id data-src data-label data-gain data-duration data-peaks
//       [data-withheld="why"]>…</li></ol>
//   </clip-player>
//
// data-mode: "aligned" keeps the place when switching, "restart" begins again.
// data-blind hides waveforms and names, data-compact waveforms alone. data-preload="none" fetches the
// clips when they are to be played. Where all clips are withheld, why is all that is shown.
// Keys: see KEYS.

import { Engine, audioContext, unlock } from "./player-engine.js";
import { drawWave, loudest, watchPointer } from "./player-draw.js";
import { watchFragments } from "./player-merge.js";
import { readAddress, watchForms, writeAddress } from "./player-address.js";
import { loadClip, makeRoom, readClips } from "./player-clips.js";
import { styles } from "./player-style.js";

const AMONG_CLIPS = ["switch to that clip", "the clip before, the next"];
const KEYS = [
  ["Space", "play, pause"],
  ["1 – 9", AMONG_CLIPS[0]],
  ["↑ ↓", AMONG_CLIPS[1]],
  ["← →", "back, forward by half a second"],
  ["Home", "to the start"],
  ["[ ]", "the loop begins, ends here"],
  ["Esc", "no loop"],
  ["?", "these keys"],
];
const SHORTEST_LOOP = 0.1;

let current = null; // the player that keys go to, and the only one that may sound
let docked = null; // the one whose controls stand at the lower edge of a narrow screen
const channel = "BroadcastChannel" in window ? new BroadcastChannel("backline-player") : null;
channel?.addEventListener("message", () => current?.pause());
// Any other sound of the page pauses the player, and the other way round.
document.addEventListener("play", () => current?.pause(), true);

document.adoptedStyleSheets = [...document.adoptedStyleSheets, styles];

export function clock(seconds) {
  const whole = Math.floor(seconds / 60);
  return `${whole}:${(seconds - whole * 60).toFixed(1).padStart(4, "0")}`;
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

class ClipPlayer extends HTMLElement {
  connectedCallback() {
    if (this.engine) return; // moved within the page
    this.engine = new Engine({ onended: () => this.show() });
    this.clips = [];
    this.state = "idle"; // idle, loading, ready, failed
    this.mode = this.dataset.mode === "aligned" ? "aligned" : "restart";
    this.tabIndex = -1;
    this.build();
    this.setClips(this.querySelector("ol.clips"));
    this.addEventListener("keydown", (event) => this.key(event));
    this.addEventListener("pointerdown", () => this.take());
    this.addEventListener("focusin", () => this.take());
    this.addEventListener("click", () => this.dock());
    new ResizeObserver(() => this.draw()).observe(this);
    this.restore();
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      const waits = this.dataset.preload === "none" || navigator.connection?.saveData;
      if (this.state === "idle" && !this.silent && !waits) this.load();
    }, { rootMargin: "100px" });
    seen.observe(this);
  }

  disconnectedCallback() {
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.pause();
      if (current === this) current = null;
      if (docked === this) docked = null;
    });
  }

  build() {
    this.setAttribute("role", "group");
    this.setAttribute("aria-label", this.dataset.label || "Player");
    this.lanes = make("div", { class: "lanes" });
    const look = this.dataset.compact === undefined ? "button primary play" : "button play";
    this.play = make("button", { type: "button", class: look, disabled: "" }, "Loading");
    this.place = make("input", { type: "range", min: "0", max: "1", step: "0.01", value: "0", "aria-label": "Position" });
    this.time = make("span", { class: "time num" }, "0:00.0");
    this.modes = make("select", { "aria-label": "When switching clips" },
      make("option", { value: "restart" }, "Switching starts again"),
      make("option", { value: "aligned" }, "Switching keeps the place"));
    this.modes.value = this.mode;
    this.noLoop = make("button", { type: "button", class: "button quiet small", hidden: "" }, "Clear loop");
    this.help = make("button", { type: "button", class: "button quiet small", "aria-expanded": "false" }, "Keys");
    this.keys = make("dl", { class: "keys", hidden: "" });
    // Blind, a clip stands alone, and its page may have a use for the digits.
    const keys = this.dataset.blind === undefined ? KEYS : KEYS.filter(([, what]) => !AMONG_CLIPS.includes(what));
    for (const [name, what] of keys) this.keys.append(make("dt", {}, make("kbd", {}, name)), make("dd", {}, what));
    this.words = make("p", { class: "words", role: "status" });
    this.controls = make("div", { class: "controls" }, this.play, this.place, this.time, this.modes, this.noLoop, this.help);
    this.append(this.lanes, this.controls, this.keys, this.words);
    this.play.addEventListener("click", () => this.toggle());
    this.place.addEventListener("input", () => this.seek(Number(this.place.value)));
    this.modes.addEventListener("change", () => { this.mode = this.modes.value; });
    this.noLoop.addEventListener("click", () => this.setLoop(null));
    this.help.addEventListener("click", () => this.showKeys());
  }

  // Takes the clips of a list; those that were there keep their sound, their lane and their place.
  setClips(list) {
    if (!list) return;
    const { engine, silent } = this;
    const chosen = this.clips[engine.selected];
    const known = new Map(this.clips.map((clip) => [clip.id, clip]));
    const lanes = this.clips.map((clip) => clip.id + clip.withheld).join();
    const next = readClips(list).map((clip) => Object.assign(known.get(clip.id) ?? {}, clip));
    for (const clip of this.clips) if (clip.withheld || !next.includes(clip)) engine.silence(clip);
    const stays = next.includes(chosen) && !chosen.withheld;
    if (this.playing && !stays) this.pause();
    this.clips = next;
    this.full = Math.max(0.001, ...next.map(loudest));
    engine.clips = next;
    engine.selected = Math.max(0, stays ? next.indexOf(chosen) : next.findIndex((clip) => !clip.withheld));
    list.hidden = true;
    if (lanes !== next.map((clip) => clip.id + clip.withheld).join()) this.buildLanes();
    const missing = next.some((clip) => !clip.buffer && !clip.failed && !clip.withheld);
    if (silent && !this.silent) this.say("");
    if ((silent || this.state === "ready") && missing) this.load();
    this.modes.hidden = next.length < 2;
    this.help.hidden = this.dataset.compact !== undefined;
    this.place.max = String(engine.duration || 1);
    this.show();
  }

  // Whether there is nothing to hear, and why is all there is to say.
  get silent() {
    return this.clips.length > 0 && this.clips.every((clip) => clip.withheld);
  }

  // The one reason of a row that is silent; empty where there are several, each with its clip.
  silence() {
    const reasons = new Set(this.clips.map((clip) => clip.withheld));
    if (!this.silent || reasons.size > 1) return "";
    const [reason] = reasons;
    const all = this.clips.length === 2 ? "Both" : `All ${this.clips.length}`;
    return this.clips.length > 1 ? `${all} clips. ${reason}` : reason;
  }

  // A clip that was to be heard until now: it falls silent and says why.
  withdraw(index, reason) {
    const clip = this.clips[index];
    if (!clip) return;
    if (index === this.engine.selected) this.pause();
    this.engine.silence(clip);
    clip.withheld = reason;
    this.settle();
  }

  // After some clips turned out to be withheld, or to be there.
  settle() {
    if (!this.clips[this.engine.selected]?.buffer) {
      this.engine.selected = Math.max(0, this.clips.findIndex((clip) => clip.buffer));
    }
    if (this.clips.some((clip) => clip.withheld)) this.buildLanes();
    this.place.max = String(this.engine.duration || 1);
    this.show();
  }

  // [[from, to], ...] in seconds: what of a clip has sounded on this page.
  heard(index = 0) {
    this.engine.note();
    return this.clips[index]?.heard ?? [];
  }

  buildLanes() {
    const blind = this.dataset.blind !== undefined;
    const drawn = !blind && this.dataset.compact === undefined;
    const shown = this.silence() ? [] : this.clips;
    this.lanes.replaceChildren(...shown.map((clip, index) => {
      const name = blind ? `Clip ${index + 1}` : clip.label;
      const pick = make("button", { type: "button", class: "pick", "aria-pressed": "false" },
        make("kbd", { "aria-hidden": "true" }, String(index + 1)), make("span", {}, name));
      pick.addEventListener("click", () => this.choose(index));
      const lane = make("div", { class: "lane" }, pick);
      if (clip.withheld) {
        pick.disabled = true;
        lane.append(make("p", { class: "why" }, clip.withheld));
      } else if (drawn) {
        clip.canvas = make("canvas", { "aria-hidden": "true" });
        lane.append(clip.canvas);
        this.listen(clip, index);
      }
      clip.pick = pick;
      return lane;
    }));
    this.lanes.hidden = shown.length === 0 || (!drawn && shown.length === 1);
  }

  listen(clip, index) {
    watchPointer(clip.canvas, {
      total: () => this.engine.duration,
      onseek: (at) => { this.choose(index, { at }); },
      ondrag: (loop) => { this.dragged = loop; this.draw(); },
      ondropped: () => {
        const loop = this.dragged;
        this.dragged = null;
        this.setLoop(loop && loop.end - loop.start >= SHORTEST_LOOP ? loop : null);
      },
    });
  }

  // Fetches and decodes every clip before anything may be played.
  async load() {
    const wanted = this.clips.filter((clip) => !clip.buffer && !clip.withheld);
    this.state = "loading";
    let done = 0;
    this.show(`Loading 0 of ${wanted.length}`);
    await Promise.all(wanted.map(async (clip) => {
      await loadClip(clip, audioContext());
      done += 1;
      this.show(`Loading ${done} of ${wanted.length}`);
    }));
    makeRoom(this);
    this.state = this.clips.some((clip) => clip.buffer) ? "ready" : this.silent ? "idle" : "failed";
    this.settle();
    this.dispatchEvent(new CustomEvent("clips-ready", { bubbles: true }));
  }

  // Gives the decoded sound back when other rows need the memory.
  release() {
    for (const clip of this.clips) clip.buffer = null;
    this.state = "idle";
    this.show();
  }

  get playing() {
    return this.engine.playing;
  }

  take() {
    if (current === this || this.silent) return;
    current?.pause();
    current = this;
  }

  // On a narrow screen the controls move to its lower edge: after the click, for a button that moves
  // away under the pointer is not clicked.
  dock() {
    if (docked === this || this.silent) return;
    docked?.controls.classList.remove("dock");
    docked = this;
    this.controls.classList.add("dock");
  }

  async toggle() {
    this.take();
    if (this.playing) this.pause();
    else if (this.state === "ready") await this.begin();
    else if (this.state !== "loading") {
      const begins = this.state === "idle" && this.dataset.preload === "none";
      if (begins) unlock(); // while the click still counts
      await this.load();
      if (begins) await this.begin();
    }
  }

  async begin() {
    if (!(await unlock())) {
      this.say("The browser does not let sound begin yet. Press Play once more.");
      return;
    }
    if (this.state !== "ready" || this.playing) return;
    this.dock();
    for (const audio of document.querySelectorAll("audio")) audio.pause();
    channel?.postMessage("playing");
    this.say("");
    this.engine.start();
    this.show();
    this.tick();
    this.dispatchEvent(new CustomEvent("clips-play", { bubbles: true }));
  }

  pause() {
    if (!this.playing) return;
    this.engine.stop();
    this.show();
    this.keep();
  }

  seek(at) {
    this.engine.seek(at);
    this.show();
    this.keep();
  }

  choose(index, { at } = {}) {
    const clip = this.clips[index];
    if (!clip || clip.withheld) return;
    if (clip.failed) this.say(clip.failed);
    const again = this.mode === "restart" && index !== this.engine.selected && at === undefined;
    this.engine.select(index);
    if (again) this.engine.seek(this.engine.loop?.start ?? 0);
    else if (at !== undefined) this.engine.seek(at);
    this.show();
    this.keep();
  }

  setLoop(loop) {
    this.engine.setLoop(loop);
    this.show();
    this.keep();
  }

  tick() {
    if (!this.playing) return;
    const clip = this.clips[this.engine.selected];
    // Clips that are not aligned end where they end, not where the longest does.
    if (this.mode === "restart" && !this.engine.loop && this.engine.position >= clip.duration) {
      this.engine.finish();
      return;
    }
    this.draw();
    requestAnimationFrame(() => this.tick());
  }

  say(sentence) {
    if (this.words.textContent !== sentence) this.words.textContent = sentence;
  }

  show(label) {
    const { state, silent } = this;
    const first = this.dataset.preload === "none" ? "Play" : "Load";
    const idle = { idle: first, loading: "Loading", failed: "Load again", ready: "Play" }[state];
    this.play.textContent = this.playing ? "Pause" : label ?? idle;
    this.play.disabled = (state === "loading" && !this.playing) || !this.clips.some((clip) => !clip.withheld);
    this.dataset.state = this.playing ? "playing" : silent ? "silent" : state;
    this.controls.hidden = silent;
    this.keys.hidden ||= silent;
    this.noLoop.hidden = !this.engine.loop;
    this.clips.forEach((clip, index) => {
      clip.pick?.setAttribute("aria-pressed", String(index === this.engine.selected));
    });
    const failed = this.clips.find((clip) => clip.failed && !clip.withheld);
    if (silent) this.say(this.silence());
    else if (failed && state !== "loading") this.say(failed.failed);
    this.draw();
  }

  draw() {
    const { engine } = this;
    const position = engine.position;
    const total = engine.duration;
    this.place.value = String(position);
    const text = `${clock(position)} / ${clock(total)}`;
    this.time.textContent = text;
    this.place.setAttribute("aria-valuetext", text);
    this.clips.forEach((clip, index) => {
      if (!clip.canvas?.isConnected) return;
      const active = index === engine.selected;
      drawWave(clip.canvas, { ...clip, full: this.full, total, position, active, loop: this.dragged ?? engine.loop });
    });
  }

  showKeys() {
    this.keys.hidden = !this.keys.hidden;
    this.help.setAttribute("aria-expanded", String(!this.keys.hidden));
  }

  // True if the key was meant for the player.
  press(key) {
    const { engine } = this;
    const hop = (by) => this.seek(engine.position + by);
    const step = (by) => {
      const heard = this.clips.flatMap((clip, index) => (clip.withheld ? [] : [index]));
      const at = heard.indexOf(engine.selected);
      this.choose(heard[(at + by + heard.length) % heard.length]);
    };
    const acts = {
      " ": () => this.toggle(),
      ArrowLeft: () => hop(-0.5),
      ArrowRight: () => hop(0.5),
      ArrowUp: () => step(-1),
      ArrowDown: () => step(1),
      Home: () => this.seek(0),
      "[": () => this.mark({ start: engine.position }),
      "]": () => this.mark({ end: engine.position }),
      Escape: () => this.setLoop(null),
      "?": () => this.showKeys(),
    };
    if (/^[1-9]$/.test(key)) this.choose(Number(key) - 1);
    else if (acts[key]) acts[key]();
    else return false;
    return true;
  }

  mark(edge) {
    const loop = { start: 0, end: this.engine.duration, ...this.engine.loop, ...edge };
    if (loop.end - loop.start >= SHORTEST_LOOP) this.setLoop(loop);
  }

  key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event;
    if (target === this.modes) return;
    // A button keeps its own space bar, except those whose press would start the sound anyway.
    if (event.key === " " && (target === this.help || target === this.noLoop)) return;
    if (this.press(event.key)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  keep() {
    const clip = this.clips[this.engine.selected];
    if (this.dataset.blind !== undefined || !clip) return;
    writeAddress({ player: this.dataset.name, clip: clip.id, at: this.engine.position, loop: this.engine.loop });
  }

  restore() {
    const saved = readAddress();
    if (!saved || saved.player !== this.dataset.name) return;
    const index = this.clips.findIndex((clip) => clip.id === saved.clip);
    if (index >= 0) this.engine.selected = index;
    this.engine.loop = saved.loop;
    this.engine.seek(saved.at);
    current ??= this;
    this.scrollIntoView({ block: "nearest", behavior: "instant" });
    this.show();
  }
}

// Keys reach the player last used, wherever the focus is, unless one is writing or pressing there.
document.addEventListener("keydown", (event) => {
  if (!current?.isConnected || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!/^[1-9 ]$/.test(event.key)) return;
  if (event.target.closest?.("input, textarea, select, button, a, summary, dialog, [contenteditable]")) return;
  if (current.press(event.key)) event.preventDefault();
});

if (!customElements.get("clip-player")) customElements.define("clip-player", ClipPlayer);
watchFragments();
watchForms();
