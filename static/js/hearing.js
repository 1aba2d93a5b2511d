// What was heard of the clip on a listener's page: measured while it sounds, reported to the portal.
//
// The portal keeps the union of all visits and tabs (listening/hearing.py, which has the same rules:
// what is heard twice counts once, small gaps are closed). Times are whole milliseconds of the clip.

import { freshen } from "./token.js";

const GAP = 250;
const EVERY = 5000; // between two reports while it sounds
const MOST = 300; // stretches in a report

export function union(stretches) {
  const merged = [];
  for (const [start, end] of [...stretches].sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    const last = merged.at(-1);
    if (last && start - last[1] <= GAP) last[1] = Math.max(last[1], end);
    else merged.push([start, end]);
  }
  return merged;
}

export const lasting = (stretches) => stretches.reduce((sum, [start, end]) => sum + end - start, 0);

const written = (stretches) => stretches.slice(0, MOST).map((pair) => pair.join("-")).join(",");

const read = (text) => (text || "").split(",").filter(Boolean).map((pair) => pair.split("-").map(Number));

const whole = (stretches) => stretches
  .map((pair) => pair.map((seconds) => Math.round(seconds * 1000)))
  .filter(([start, end]) => end > start);

// The browser's own player, where ours did not load: what it plays without sound is not heard.
class Plain {
  constructor(audio, onplay) {
    Object.assign(this, { audio, heard: [], at: null, muted: false });
    audio.addEventListener("play", onplay);
    audio.addEventListener("timeupdate", () => this.note());
    audio.addEventListener("seeking", () => { this.at = null; });
    audio.addEventListener("pause", () => { this.at = null; });
  }

  get playing() { return !this.audio.paused; }

  take() {
    const { heard } = this;
    this.heard = [];
    return heard;
  }

  note() {
    const { currentTime: now, muted, volume } = this.audio;
    const silent = muted || volume === 0;
    if (this.at !== null && now > this.at && silent) this.muted = true;
    if (this.at !== null && now > this.at && !silent) this.heard.push([this.at, now]);
    this.at = this.audio.seeking ? null : now;
  }
}

class Ours {
  constructor(player, onplay) {
    this.player = player;
    this.muted = false;
    player.addEventListener("clips-play", onplay);
  }

  get playing() { return this.player.playing; }

  take() { return this.player.heard(); }
}

export class Hearing {
  constructor(form, { onchange, ongone, onclosed }) {
    Object.assign(this, { form, onchange, ongone, onclosed });
    this.required = Number(form.dataset.required);
    this.known = read(form.dataset.heard); // as the portal has it
    this.visit = []; // as measured here
    this.plays = 0; // not reported yet
    this.reported = "";
    this.mute = "";
    this.sent = 0; // when, by the page's clock
    this.busy = false;
    this.failing = false; // the last report did not arrive
    // What was played just before a reload may reach the portal after the page was made.
    this.asks = performance.getEntriesByType("navigation")[0]?.type !== "navigate";
    this.over = false;
    const player = document.querySelector("clip-player");
    const onplay = () => { this.plays += 1; };
    this.source = typeof player?.heard === "function"
      ? new Ours(player, onplay)
      : new Plain(document.querySelector("audio"), onplay);
    form.addEventListener("formdata", (event) => this.fill(event.formData));
    setInterval(() => this.update(), GAP);
    const leave = () => { this.measure(); this.report(true); };
    addEventListener("pagehide", leave);
    document.addEventListener("visibilitychange", () => { if (document.hidden) leave(); });
    this.onchange();
  }

  // Milliseconds that are still to be heard before the clip may be rated.
  get missing() {
    return Math.max(0, this.required - lasting(union([...this.known, ...this.visit])));
  }

  get muted() { return this.source.muted; }

  measure() {
    this.visit = union([...this.visit, ...whole(this.source.take())]);
  }

  update() {
    this.measure();
    this.onchange();
    const due = performance.now() - this.sent >= EVERY;
    if (this.news() && (due || (this.plays && !this.sent) || !this.source.playing)) this.report();
  }

  news() {
    return this.asks || this.plays > 0 || written(this.visit) !== this.reported || (this.muted && this.mute === "");
  }

  // An answer carries what was heard, and says by it that it was measured.
  fill(data) {
    this.measure();
    data.set("stretches", written(this.visit));
    data.set("plays", String(this.plays));
    if (this.muted) data.set("muted", "yes");
  }

  // What the portal has taken counts no second time.
  took(data) {
    this.plays = Math.max(0, this.plays - Number(data.get("plays")));
    this.reported = data.get("stretches");
    this.mute = data.get("muted") ?? this.mute;
    this.failing = false;
  }

  // `leaving`: the page goes away, and the request is to outlive it.
  async report(leaving = false) {
    if (this.over || !this.news() || (this.busy && !leaving)) return;
    if (this.failing && !leaving && performance.now() - this.sent < EVERY) return;
    freshen(this.form);
    const body = new FormData();
    body.set("csrfmiddlewaretoken", this.form.elements.csrfmiddlewaretoken.value);
    this.fill(body);
    Object.assign(this, { sent: performance.now(), busy: true, failing: true, asks: false });
    try {
      const response = await fetch(this.form.dataset.heardAt, { method: "POST", body, keepalive: leaving });
      if (response.ok) {
        this.known = union([...this.known, ...read((await response.json()).heard)]);
        this.took(body);
      } else if (response.status === 410) {
        this.ongone(await response.text());
      } else if (response.status === 409) {
        this.onclosed((await response.json()).error);
      } else if (response.status === 404) {
        this.onclosed("This test is not open to you any more.");
      }
      // Withdrawn, closed, or not for this person any more: nothing more is asked of it.
      this.over = [403, 404, 409, 410].includes(response.status);
    } catch {
      // Nobody answers: it goes with the next report, or with the answer.
    } finally {
      this.busy = false;
      this.onchange();
    }
  }
}
