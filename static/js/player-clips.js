// A player's clips: read from the page's own list, fetched, decoded, and given up again.

const MEGABYTE = 1_000_000;
// Decoded sound is large (23 MB a minute at 48 kHz); phones have less room for it.
const BUDGET = (matchMedia("(pointer: coarse)").matches ? 60 : 150) * MEGABYTE;
const AT_ONCE = 4;

let running = 0;
const waiting = [];
let loaded = []; // players with decoded sound, the last used at the end

async function turn() {
  if (running >= AT_ONCE) await new Promise((go) => waiting.push(go));
  running += 1;
}

function pass() {
  running -= 1;
  waiting.shift()?.();
}

function peaksOf(text) {
  const numbers = (text || "").split(" ").map(Number);
  const pairs = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) pairs.push([numbers[i], numbers[i + 1]]);
  return pairs;
}

export function readClips(list) {
  return [...list.querySelectorAll(":scope > li")].map(({ dataset }) => ({
    id: dataset.id,
    src: dataset.src,
    label: dataset.label || "Clip",
    gain: Number(dataset.gain) || 0,
    duration: Number(dataset.duration) || 0,
    peaks: peaksOf(dataset.peaks),
    withheld: dataset.withheld || "",
  }));
}

// Leaves `clip.buffer`; or `clip.withheld`, why nobody hears it here; or `clip.failed`, what went wrong
// this time. Both are sentences for the person listening, and only after the last is it tried again.
export async function loadClip(clip, context) {
  await turn();
  try {
    const response = await fetch(clip.src, { credentials: "same-origin" });
    if (!response.ok) {
      Object.assign(clip, { failed: "" }, await refusal(response, clip.label));
      return;
    }
    clip.buffer = await context.decodeAudioData(await response.arrayBuffer());
    clip.duration = clip.buffer.duration;
    clip.failed = "";
  } catch (error) {
    if (error instanceof DOMException) {
      Object.assign(clip, { failed: "", withheld: "This browser cannot decode the clip." });
    } else clip.failed = `${clip.label}: the clip could not be fetched. Is the portal reachable?`;
  } finally {
    pass();
  }
}

const FINAL = {
  403: "This clip is not open to you.",
  404: "This clip is not there, or not for you.",
  410: "This clip is withheld.",
};

async function refusal(response, label) {
  const { status } = response;
  const plain = (response.headers.get("Content-Type") || "").startsWith("text/plain");
  const words = plain ? (await response.text()).slice(0, 500) : "";
  if (FINAL[status]) return { withheld: words || FINAL[status] };
  if (status === 401) return { failed: `${label}: you are logged out. Log in in another tab, then load it again.` };
  return { failed: `${label}: ${words || `the portal answered ${status}. Try again in a moment.`}` };
}

// Keeps all decoded sound within the budget by taking it from the rows used longest ago.
export function makeRoom(player) {
  loaded = [...loaded.filter((other) => other !== player && other.isConnected), player];
  const bytes = (row) => row.clips.reduce(
    (sum, { buffer }) => sum + (buffer ? buffer.length * buffer.numberOfChannels * 4 : 0), 0);
  let total = loaded.reduce((sum, row) => sum + bytes(row), 0);
  for (const row of [...loaded]) {
    if (total <= BUDGET) return;
    if (row === player || row.playing) continue;
    total -= bytes(row);
    loaded = loaded.filter((other) => other !== row);
    row.release();
  }
}
