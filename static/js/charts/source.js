// Where charts get their curves: requests of one moment become one, and what runs log is added.

import { decode, joined } from "./answer.js";

const AT_ONCE = 40; // metrics of one request
const LIVE_MS = 3000;

const keyOf = ({ x, group, spread, points, range }) => JSON.stringify([x, group, group.length ? spread : "", points, range]);

export class Source {
  constructor({ url, runs }) {
    Object.assign(this, { url, runs, waiting: new Map(), live: new Map() });
    setInterval(() => { if (!document.hidden) this.follow(); }, LIVE_MS);
  }

  /** Curves of names: {lines by name, groups, error by name}. `range` is null or [from, to]. */
  read(names, how) {
    const key = keyOf(how);
    if (!this.waiting.has(key)) {
      this.waiting.set(key, { how, names: new Set(), promise: null });
      const entry = this.waiting.get(key);
      entry.promise = new Promise((done) => { setTimeout(done, 0); }).then(() => {
        this.waiting.delete(key);
        return this.fetchAll([...entry.names], how);
      });
    }
    const entry = this.waiting.get(key);
    names.forEach((name) => entry.names.add(name));
    return entry.promise;
  }

  async fetchAll(names, how) {
    const parts = [];
    for (let i = 0; i < names.length; i += AT_ONCE) parts.push(names.slice(i, i + AT_ONCE));
    const answers = await Promise.all(parts.map((some) => this.fetch(some, how)));
    return {
      lines: answers.flatMap(({ lines }) => lines), groups: answers[0]?.groups ?? null,
      errors: Object.assign({}, ...answers.map(({ errors }) => errors)), points: answers[0]?.points,
    };
  }

  async fetch(names, { x, group, spread, points, range }, { runs = this.runs, after = [] } = {}) {
    const query = new URLSearchParams({ runs: runs.map(({ number }) => number).join(","), points, x });
    for (const name of names) query.append("name", name);
    if (group.length) query.set("group", group.join(","));
    if (group.length) query.set("spread", spread);
    if (range) {
      query.set("from", range[0].toPrecision(12));
      query.set("to", range[1].toPrecision(12));
    }
    for (const state of after) query.append("after", state);
    const answer = await fetch(`${this.url}?${query}`);
    if (!answer.ok) throw new Error(await sentence(answer));
    const found = decode(await answer.arrayBuffer());
    for (const [number, open] of found.runs) {
      const run = this.runs.find((one) => one.number === number);
      if (run) run.open = open;
    }
    // A line says whose it is: a run's number, or the place of a group.
    for (const line of found.lines) line.of = found.groups ? `g${line.who}` : found.runs[line.who][0];
    return found;
  }

  /** Keep what a panel shows up to date: `changed` is called with its new lines. */
  watch(panel, names, how, lines, changed) {
    this.live.set(panel, { names, how, lines, changed });
  }

  unwatch(panel) { this.live.delete(panel); }

  /** Ask what runs that are still open have logged, for all watched panels of one kind at once. */
  async follow() {
    if (this.following || !this.runs.some(({ open }) => open)) return;
    this.following = true;
    try {
      const kinds = new Map();
      for (const watched of this.live.values()) {
        const key = keyOf(watched.how);
        kinds.set(key, [...(kinds.get(key) ?? []), watched]);
      }
      for (const some of kinds.values()) await this.followSome(some);
    } catch {
      // The next time may find the portal again.
    } finally {
      this.following = false;
    }
  }

  async followSome(some) {
    const { how } = some[0];
    const names = [...new Set(some.flatMap((watched) => watched.names))].slice(0, AT_ONCE);
    const adds = !how.group.length && ["step", "relative", "wall"].includes(how.x) && !names.some((name) => name.startsWith("="));
    const runs = adds ? this.runs.filter(({ open }) => open) : this.runs;
    const after = adds ? runs.map(({ number }) => `${number}:${names.map((name) => state(some, number, name)).join(",")}`) : [];
    const found = await this.fetch(names, how, { runs, after });
    for (const watched of some) {
      const own = found.lines.filter(({ name }) => watched.names.includes(name));
      if (!adds || own.length) watched.changed(adds ? merged(watched, own, how.points) : own);
    }
  }
}

/** What is known of a run's curve, as the portal reads it: points and last step. */
function state(some, number, name) {
  for (const { lines } of some) {
    const line = lines.find((one) => one.of === number && one.name === name);
    if (line) return line.stale ? "-" : `${line.total}.${line.last}`;
  }
  return "-";
}

function merged(watched, fresh, points) {
  const lines = [...watched.lines];
  for (const line of fresh) {
    const place = lines.findIndex((one) => one.of === line.of && one.name === line.name);
    if (place < 0) lines.push(line);
    else lines[place] = line.added ? joined(lines[place], line) : line;
    // Grown to twice what was asked for: the next time it is read whole.
    if (place >= 0 && lines[place].x.length > 2 * points) lines[place].stale = true;
  }
  watched.lines = lines;
  return lines;
}

/** What went wrong, in words. */
export async function sentence(answer) {
  const text = answer.headers.get("Content-Type")?.startsWith("text/plain") || answer.status === 400 ? await answer.text() : "";
  if (answer.status === 401) return "You are logged out. Log in in another tab and reload.";
  if (answer.status === 404) return "This is not open to you any more.";
  return text && text.length < 400 && !text.startsWith("<") ? text : `The portal could not answer (error ${answer.status}). Reload to try again.`;
}
