// The sound behind every player: one AudioContext, clips that start together, switching by gain.
//
// All clips of a row start at one context time and run on silently; which one is heard is a
// matter of gains alone, so switching can never lose a sample. Loudness matching is a stored,
// static gain in a node of its own. Position is computed from the context's clock, never from timers.

const FADE = 0.01; // seconds: equal-power cross-fade, and fade at stop
const AHEAD = 0.02;
const LEAD = 0.03; // seconds between asking for a start and the start
const STEPS = 32;
const RISE = Float32Array.from({ length: STEPS }, (_, i) => Math.sin((i / (STEPS - 1)) * Math.PI / 2));
const FALL = Float32Array.from(RISE).reverse();

let shared = null;

export function audioContext() {
  if (shared === null || shared.state === "closed") {
    // 48 kHz everywhere, so that every browser resamples alike; some devices refuse a fixed rate.
    try {
      shared = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
    } catch {
      shared = new AudioContext();
    }
  }
  return shared;
}

// Browsers let sound begin only from a key or a click; resolves to whether it may now.
export async function unlock() {
  const context = audioContext();
  if (context.state === "running") return true;
  const patience = new Promise((done) => setTimeout(done, 1500));
  await Promise.race([context.resume().catch(() => {}), patience]);
  return context.state === "running";
}

// A buffer of at least `frames` frames: silence is added at the end, so that all clips of a row
// have one length and loop together.
export function padded(buffer, frames) {
  if (buffer.length >= frames) return buffer;
  const longer = audioContext().createBuffer(buffer.numberOfChannels, frames, buffer.sampleRate);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    longer.copyToChannel(buffer.getChannelData(channel), channel);
  }
  return longer;
}

// What of a row sounded between two times of the context's clock, as [from, to] in seconds. Loops are
// followed round; `group` says where and when the sound began.
function sounded({ from, since, loop }, start, end) {
  const first = from + Math.max(0, start - since);
  const last = from + Math.max(0, end - since);
  if (!loop || last <= loop.end) return [[first, last]];
  const before = first < loop.end ? [[first, loop.end]] : [];
  const length = loop.end - loop.start;
  const again = Math.max(first, loop.end);
  if (last - again >= length) return [...before, [loop.start, loop.end]];
  const at = loop.start + ((again - loop.start) % length);
  const to = at + last - again;
  return to <= loop.end
    ? [...before, [at, to]]
    : [...before, [at, loop.end], [loop.start, loop.start + to - loop.end]];
}

// The same stretches in order, those that touch as one.
function joined(stretches) {
  const merged = [];
  for (const [from, to] of stretches.sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last && from <= last[1] + 0.001) last[1] = Math.max(last[1], to);
    else if (to > from) merged.push([from, to]);
  }
  return merged;
}

export class Engine {
  constructor({ onended }) {
    this.clips = []; // {id, buffer, duration, gain (dB)}; buffer null where it cannot be heard
    this.selected = 0;
    this.loop = null; // {start, end} in seconds
    this.group = null; // what sounds now
    this.rest = 0; // where the playhead stands while nothing sounds
    this.onended = onended;
  }

  get playing() {
    return this.group !== null;
  }

  get duration() {
    return Math.max(0, ...this.clips.map((clip) => clip.duration));
  }

  get position() {
    if (this.group === null) return this.rest;
    const elapsed = Math.max(0, audioContext().currentTime - this.group.since);
    const reached = this.group.from + elapsed;
    const { loop } = this.group;
    if (loop && reached >= loop.end) {
      return loop.start + ((reached - loop.start) % (loop.end - loop.start));
    }
    return Math.min(reached, this.duration);
  }

  // Every clip starts at one time, at one offset; only the selected one is open.
  start(position = this.rest) {
    this.stop();
    const context = audioContext();
    const { loop } = this;
    let from = Math.min(Math.max(0, position), this.duration);
    if (loop && (from < loop.start || from >= loop.end)) from = loop.start;
    if (from >= this.duration - 0.005) from = loop ? loop.start : 0;
    const at = context.currentTime + LEAD;
    const master = context.createGain();
    master.connect(context.destination);
    const frames = Math.max(0, ...this.clips.map((clip) => clip.buffer?.length ?? 0));
    const voices = new Map(); // by clip, so that clips may join or leave the row meanwhile
    this.clips.forEach((clip, index) => {
      if (!clip.buffer) return;
      clip.buffer = padded(clip.buffer, frames);
      const source = context.createBufferSource();
      const level = context.createGain();
      const gate = context.createGain();
      source.buffer = clip.buffer;
      level.gain.value = 10 ** (clip.gain / 20);
      gate.gain.value = index === this.selected ? 1 : 0;
      source.connect(level).connect(gate).connect(master);
      if (loop) Object.assign(source, { loop: true, loopStart: loop.start, loopEnd: loop.end });
      voices.set(clip, { source, gate });
    });
    const group = { voices, master, loop, from, since: at, faded: at, begun: at, noted: at };
    // Beginning inside a clip would click; its own beginning must keep its attack.
    if (from > 0) {
      master.gain.setValueAtTime(0, context.currentTime);
      master.gain.setValueCurveAtTime(RISE, at, FADE);
    }
    this.group = group;
    const sounding = [...voices.values()];
    for (const { source } of sounding) source.start(at, from);
    if (sounding.length) {
      sounding[0].source.onended = () => {
        if (this.group === group) this.finish();
      };
    }
  }

  // Notes in the open clip's `heard` what of it has sounded since this was last called: by the
  // clock of the sound, so a hidden tab, a sleeping timer or a stalled device counts neither too much
  // nor too little.
  note() {
    const { group } = this;
    if (group === null) return;
    const now = audioContext().currentTime;
    const clip = this.clips[this.selected];
    if (clip?.buffer && group.voices.has(clip)) {
      const fresh = sounded(group, group.noted, now).map(([from, to]) => [from, Math.min(to, clip.duration)]);
      clip.heard = joined([...(clip.heard ?? []), ...fresh]);
    }
    group.noted = Math.max(group.noted, now);
  }

  finish() {
    this.stop();
    this.rest = this.loop ? this.loop.start : 0;
    this.onended();
  }

  stop() {
    const { group } = this;
    if (group === null) return;
    this.note();
    this.rest = this.position;
    this.group = null;
    const { gain } = group.master;
    // After the last fade has run out, so that no curve overlaps another.
    const at = Math.max(audioContext().currentTime, group.begun + FADE, group.faded);
    gain.setValueAtTime(1, at);
    gain.linearRampToValueAtTime(0, at + FADE);
    for (const { source } of group.voices.values()) source.stop(at + FADE);
  }

  // Opens one clip and closes the other, at the same sample; nothing else changes.
  select(index) {
    const before = this.clips[this.selected];
    const next = this.clips[index];
    this.note();
    this.selected = index;
    const { group } = this;
    if (group === null || before === next) return;
    if (next.buffer && !group.voices.has(next)) {
      this.start(this.position); // it joined the row after this start
      return;
    }
    // Far enough ahead that the sound's own thread has not passed it: a curve that comes too late is
    // put off by the browser, and the next one would lie across it.
    const at = Math.max(audioContext().currentTime + AHEAD, group.faded);
    group.voices.get(before)?.gate.gain.setValueCurveAtTime(FALL, at, FADE);
    group.voices.get(next)?.gate.gain.setValueCurveAtTime(RISE, at, FADE);
    group.faded = at + FADE + 0.001;
  }

  seek(position) {
    const to = Math.min(Math.max(0, position), this.duration);
    if (this.playing) this.start(to);
    else this.rest = to;
  }

  setLoop(loop) {
    const position = this.position;
    this.loop = loop;
    if (!this.playing) {
      if (loop && (position < loop.start || position >= loop.end)) this.rest = loop.start;
      return;
    }
    if (loop && (position < loop.start || position >= loop.end)) {
      this.start(loop.start);
      return;
    }
    // The sources run on; only the clock is counted anew from here.
    this.note();
    Object.assign(this.group, { from: position, since: audioContext().currentTime, loop });
    for (const { source } of this.group.voices.values()) {
      source.loop = loop !== null;
      if (loop) Object.assign(source, { loopStart: loop.start, loopEnd: loop.end });
    }
  }

  // A clip that may no longer be heard falls silent at once.
  silence(clip) {
    this.note();
    clip.buffer = null;
    this.group?.voices.get(clip)?.source.disconnect();
  }
}
