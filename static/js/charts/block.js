// A panel as a block of a report, in plain text (experiments/reports/chart_blocks.py reads it).

const BANDS = { minmax: "min and max", std: "standard deviation", interval: "95 % interval" };
const NAMES = { scatter: ["x", "y", "colour"], contour: ["x", "y", "colour"], bars: ["y"], importance: ["y"] };

/** The lines of a panel as it is drawn now, over the runs that the page's address names. */
export function blockOf(panel) {
  const { spec } = panel;
  const set = (name) => panel.setting(name);
  const lines = [];
  const line = (key, value) => { if (value) lines.push(`${key}: ${value}`); };
  line("title", spec.title);
  if (spec.kind !== "curves") line("kind", spec.kind);
  const query = new URLSearchParams(location.search);
  if (query.get("runs")) line("runs", query.get("runs"));
  else line("query", query.get("q")?.trim());
  if (spec.kind === "curves") {
    for (const name of spec.names) line("y", name);
    if (set("x") !== "step") line("x", set("x"));
    if (set("smooth") !== "none") line("smooth", `${set("smooth")} ${set("amount")}`);
    if (set("clip")) line("outliers", "no");
  } else if (spec.kind === "parallel") {
    line("fields", spec.fields.join(", "));
  } else {
    NAMES[spec.kind].forEach((key, place) => line(key, spec.fields[place]));
  }
  if (["curves", "bars"].includes(spec.kind) && set("group")?.length) {
    line("group", set("group").join(", "));
    if (spec.kind === "curves") line("band", BANDS[set("spread")]);
  }
  const logs = ["x", "y"].filter((axis) => !["bars", "importance"].includes(spec.kind) && set(`log_${axis}`));
  line("log", logs.join(", "));
  return `\`\`\`chart\n${lines.join("\n")}\n\`\`\`\n`;
}

/** Put it where the next paste comes from, and say so. */
export async function copyBlock(panel) {
  try {
    await navigator.clipboard.writeText(blockOf(panel));
    panel.foot.textContent = "Copied as a block: paste it into a report.";
  } catch {
    panel.say(blockOf(panel));
    panel.foot.textContent = "The browser does not let this page copy. Take the text above.";
  }
}
