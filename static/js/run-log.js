// The log of a run as it grows: new lines are fetched from the last finished one on, and whoever
// reads further up is left there.

import { freshPage, onTab } from "./run-tabs.js";

// Lines that stay in the page while one follows; the pages have the others.
const MOST = 5000;
const TELL = 40;

let log = null;
let asking = false;
let again = false;

const atEnd = () => document.documentElement.scrollHeight - scrollY - innerHeight < TELL;

/** Fetch what was written since, if the open tab is a log that follows. */
export async function logGrew() {
  if (!log?.dataset.follow) return;
  if (asking) { again = true; return; }
  asking = true;
  try {
    const list = log;
    const page = await freshPage(`${list.dataset.follow}${list.dataset.last}`);
    const fresh = page?.querySelector("ol[data-log]");
    if (!fresh || list !== log) return;
    const stay = following();
    // What was not finished by a line break comes again, longer.
    for (const line of list.querySelectorAll("[data-unfinished]")) line.remove();
    list.append(...[...fresh.children].map((line) => document.adoptNode(line)));
    list.dataset.last = fresh.dataset.last;
    for (let more = list.children.length - MOST; more > 0; more -= 1) list.firstElementChild.remove();
    document.querySelector("[data-log-empty]")?.toggleAttribute("hidden", list.children.length > 0);
    if (stay) scrollTo({ top: document.documentElement.scrollHeight });
    again ||= fresh.hasAttribute("data-more");
  } finally {
    asking = false;
    if (again) { again = false; logGrew(); }
  }
}

const box = () => document.querySelector("[data-log-following]");
const following = () => box()?.checked ?? false;

onTab((place) => {
  log = place.querySelector("ol[data-log]");
  const wanted = location.hash.match(/^#L(\d+)$/)?.[1];
  if (log && wanted && !document.getElementById(`L${wanted}`)) {
    const address = new URL(location.href);
    if (address.searchParams.get("line") !== wanted) {
      address.searchParams.set("line", wanted);
      location.replace(address);
      return;
    }
  }
  const follows = box();
  if (!log?.dataset.follow || !follows) return;
  follows.closest("[hidden]")?.removeAttribute("hidden");
  follows.checked = !wanted && !location.search.includes("line=");
  follows.addEventListener("change", () => {
    if (follows.checked) scrollTo({ top: document.documentElement.scrollHeight });
  });
  if (follows.checked) scrollTo({ top: document.documentElement.scrollHeight });
});

// Scrolling up ends following, and the end takes it up again.
let last = scrollY;
addEventListener("scroll", () => {
  const follows = box();
  if (follows && log?.dataset.follow) {
    if (scrollY < last - 2 && !atEnd()) follows.checked = false;
    else if (atEnd()) follows.checked = true;
  }
  last = scrollY;
}, { passive: true });
