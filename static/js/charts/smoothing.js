// Smoothing of a curve, over the points that are drawn. Gaps (NaN) stay gaps.

export const METHODS = {
  none: { title: "none", amount: null },
  ema: { title: "exponential moving average", short: "EMA", amount: { min: 0, max: 0.99, step: 0.01, first: 0.6 } },
  mean: { title: "running mean", short: "mean of", amount: { min: 1, max: 101, step: 2, first: 9 } },
  gaussian: { title: "Gaussian", short: "Gauss σ", amount: { min: 0.5, max: 50, step: 0.5, first: 4 } },
};

/** Exponential moving average without the pull to zero at the start. */
function ema(values, weight) {
  const out = new Float64Array(values.length);
  let sum = 0;
  let norm = 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    if (Number.isFinite(value)) {
      sum = sum * weight + (1 - weight) * value;
      norm = norm * weight + (1 - weight);
    }
    out[i] = Number.isFinite(value) ? sum / norm : NaN;
  }
  return out;
}

/** The mean of the points within half of `count` on both sides; fewer at the ends. */
function runningMean(values, count) {
  const half = Math.floor(count / 2);
  const sums = new Float64Array(values.length + 1);
  const counts = new Float64Array(values.length + 1);
  for (let i = 0; i < values.length; i += 1) {
    const there = Number.isFinite(values[i]);
    sums[i + 1] = sums[i] + (there ? values[i] : 0);
    counts[i + 1] = counts[i] + (there ? 1 : 0);
  }
  return Float64Array.from(values, (value, i) => {
    if (!Number.isFinite(value)) return NaN;
    const from = Math.max(0, i - half);
    const to = Math.min(values.length, i + half + 1);
    return (sums[to] - sums[from]) / (counts[to] - counts[from]);
  });
}

/** The mean of the points around, weighted by a bell of `sigma` points. */
function gaussian(values, sigma) {
  const reach = Math.min(Math.ceil(3 * sigma), values.length);
  const weights = Float64Array.from({ length: reach + 1 }, (_, k) => Math.exp((-k * k) / (2 * sigma * sigma)));
  return Float64Array.from(values, (value, i) => {
    if (!Number.isFinite(value)) return NaN;
    let sum = 0;
    let norm = 0;
    for (let k = Math.max(0, i - reach); k <= Math.min(values.length - 1, i + reach); k += 1) {
      if (!Number.isFinite(values[k])) continue;
      const weight = weights[Math.abs(k - i)];
      sum += weight * values[k];
      norm += weight;
    }
    return sum / norm;
  });
}

/** Smooth by a method of METHODS; the same values where it does nothing. */
export function smooth(values, method, amount) {
  if (method === "ema" && amount > 0) return ema(values, Math.min(amount, 0.999));
  if (method === "mean" && amount > 1) return runningMean(values, amount);
  if (method === "gaussian" && amount > 0) return gaussian(values, amount);
  return values;
}

/** The method as a page names it: "EMA 0.6". */
export function named(method, amount) {
  const { short } = METHODS[method] ?? {};
  return short ? `${short} ${amount}` : "";
}
