// Scales, ticks and how numbers are written beside them.

const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400,
  172800, 432000, 864000, 2592000, 7776000, 31536000];
const SI = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

/** A scale from values to pixels. */
export function scale({ from, to, start, end, log = false }) {
  const turn = log ? Math.log10 : (value) => value;
  const low = turn(from);
  const factor = (end - start) / (turn(to) - low || 1);
  const pixel = (value) => start + (turn(value) - low) * factor;
  const value = (place) => (log ? 10 ** (low + (place - start) / factor) : low + (place - start) / factor);
  return { pixel, value, from, to, log };
}

/** A number with up to `digits` that matter: 1200 is 1.2k, 0.00001 is 1e-5. */
export function figure(value, digits = 5) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e15) return trimmed(value.toExponential(digits - 1));
  return Number(value.toPrecision(digits)).toLocaleString("en-GB", { maximumSignificantDigits: digits });
}

const trimmed = (text) => text.replace(/\.?0+e/, "e").replace("e+", "e").replace("-", "−").replace("e−", "e-");

function short(value) {
  const size = Math.abs(value);
  for (const [unit, letter] of SI) {
    if (size >= unit * 0.9999999) return `${Number((value / unit).toPrecision(4))}${letter}`.replace("-", "−");
  }
  if (size !== 0 && size < 1e-3) return trimmed(value.toExponential(2));
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

/** Seconds as two units: 3 min 20 s. */
export function seconds(value) {
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  const two = (big, bigUnit, small, smallUnit) => {
    const whole = Math.floor(size / big + 1e-9);
    const rest = Math.round((size - whole * big) / small);
    return `${sign}${whole} ${bigUnit}${rest > 0 && rest < big / small ? ` ${rest} ${smallUnit}` : ""}`;
  };
  if (size < 60) return `${sign}${Number(size.toPrecision(4))} s`;
  if (size < 3600) return two(60, "min", 1, "s");
  if (size < 86400) return two(3600, "h", 60, "min");
  return two(86400, "d", 3600, "h");
}

/** An x as a sentence has it, by the kind of its axis. */
export function said(value, kind) {
  if (kind === "relative") return seconds(value);
  if (kind === "wall") {
    return new Date(value * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
  }
  return figure(value, 8);
}

function linear(from, to, most) {
  const rough = (to - from) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.9999) * power;
  const ticks = [];
  for (let n = Math.ceil(from / step - 1e-9); n * step <= to * (1 + 1e-12) + step * 1e-9; n += 1) ticks.push(n * step);
  return ticks.map((value) => ({ value: Math.abs(value) < step * 1e-9 ? 0 : value, text: short(Math.abs(value) < step * 1e-9 ? 0 : value) }));
}

function logarithmic(from, to, most) {
  const [low, high] = [Math.log10(from), Math.log10(to)];
  if (high - low < 0.7) return linear(from, to, most).filter(({ value }) => value > 0);
  const stride = Math.max(1, Math.ceil((high - low) / Math.max(1, most)));
  const between = stride === 1 && (high - low) * 3 <= most ? [1, 2, 5] : [1];
  const ticks = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power += stride) {
    for (const factor of between) {
      const value = factor * 10 ** power;
      if (value >= from * 0.9999 && value <= to * 1.0001) ticks.push({ value, text: short(value) });
    }
  }
  return ticks;
}

function times(from, to, most, wall) {
  const step = SECONDS.find((size) => (to - from) / size <= most) ?? SECONDS.at(-1);
  if ((to - from) / step < 1.5) return linear(from, to, most).map(({ value }) => ({ value, text: wall ? clock(value, step) : seconds(value) }));
  const shift = wall ? new Date(from * 1000).getTimezoneOffset() * 60 : 0;
  const ticks = [];
  for (let n = Math.ceil((from - shift) / step); n * step + shift <= to; n += 1) {
    const value = n * step + shift;
    ticks.push({ value, text: wall ? clock(value, step) : seconds(value) });
  }
  return ticks;
}

function clock(value, step) {
  const date = new Date(value * 1000);
  if (step >= 86400) return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const time = date.toLocaleTimeString("en-GB", step < 60 ? {} : { hour: "2-digit", minute: "2-digit" });
  return step >= 14400 ? `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}` : time;
}

/** Ticks of an axis: value and text, at most about `most`. */
export function ticks({ from, to, log, kind, most }) {
  if (!(to > from)) return [{ value: from, text: short(from) }];
  if (log) return logarithmic(from, to, most);
  if (kind === "relative" || kind === "wall") return times(from, to, most, kind === "wall");
  return linear(from, to, most);
}

/** The range of values with some room around it. */
export function roomy(low, high, log) {
  if (log) {
    const room = (Math.log10(high) - Math.log10(low)) * 0.05 || 0.1;
    return [low / 10 ** room, high * 10 ** room];
  }
  const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
  return [low - room, high + room];
}
