// The kinds of panels, and what is drawn where nobody says otherwise.

import { Curves } from "./curves.js";

export const KINDS = { curves: Curves };
export const USUAL = { x: "step", log_x: false, log_y: false, smooth: "none", amount: 0.6, group: [], spread: "minmax", clip: false };

/** Kinds that show what was logged on steps beside numbers. */
export const OF_MEDIA = ["media", "histogram"];

/** What is not on most pages is fetched when it is. */
export async function needKinds(specs) {
  if (specs.some(({ kind }) => OF_MEDIA.includes(kind) && !KINDS[kind])) {
    const [{ Media }, { Histogram }] = await Promise.all([import("./media.js"), import("./heat.js")]);
    Object.assign(KINDS, { media: Media, histogram: Histogram });
  }
  if (specs.some(({ kind }) => !KINDS[kind])) {
    const { Bars, Contour, Importance, Parallel, Scatter } = await import("./fields.js");
    Object.assign(KINDS, { scatter: Scatter, contour: Contour, parallel: Parallel, bars: Bars, importance: Importance });
  }
}

/** Only what is set. */
export function known(settings) {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null));
}
