// The tabs of a run's page: each has an address and works as a page of its own. Here a tab is shown
// in place of the last one, so that the header stays, and what listens to the run goes on listening.

const nav = document.querySelector("[data-run-tabs]");
const listeners = [];
let current = location.pathname;

/** Call it for each tab that is shown, with the element that holds it; now for the open one. */
export function onTab(act) {
  listeners.push(act);
  const place = document.getElementById("run-tab");
  if (place) act(place);
}

/** The page at an address of this portal as a document; null if it cannot be had. */
export async function freshPage(address) {
  const answer = await fetch(address, { headers: { Accept: "text/html" } }).catch(() => null);
  // After a redirect (to the log-in) it is another page.
  if (!answer?.ok || answer.redirected) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/** Scripts that the new tab needs and this page has not loaded: a script that is moved never runs. */
function loadScripts(page) {
  const have = new Set([...document.scripts].map((script) => script.src));
  const waits = [];
  for (const wanted of page.querySelectorAll("script[src]")) {
    const source = new URL(wanted.getAttribute("src"), location.href).href;
    if (have.has(source)) continue;
    const script = document.createElement("script");
    if (wanted.type) script.type = wanted.type;
    script.src = source;
    waits.push(new Promise((done) => { script.onload = script.onerror = done; }));
    document.body.append(script);
  }
  return Promise.all(waits);
}

/** Show the tab at `address` in place of the open one; false if that needs a whole page. */
async function show(address) {
  nav.setAttribute("aria-busy", "true");
  const page = await freshPage(address);
  nav.removeAttribute("aria-busy");
  const fresh = page?.getElementById("run-tab");
  const links = page?.querySelector("[data-run-tabs]");
  if (!fresh || !links) return false;
  await loadScripts(page);
  document.title = page.title;
  const key = links.querySelector("[aria-current]")?.dataset.tab;
  for (const link of nav.querySelectorAll("a")) {
    if (link.dataset.tab === key) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  document.getElementById("run-tab").replaceWith(document.adoptNode(fresh));
  window.htmx?.process(fresh);
  for (const act of listeners) act(fresh);
  return true;
}

let newest = 0;

async function go(address, { push }) {
  newest += 1;
  const mine = newest;
  if (push) history.pushState({ tab: true }, "", address);
  current = location.pathname;
  const top = document.getElementById("run-now")?.offsetHeight ?? 0;
  if (!(await show(address))) {
    if (mine === newest) location.assign(address);
    return;
  }
  if (push && scrollY > top) scrollTo({ top: 0 });
}

nav?.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-tab]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (link.pathname + link.search !== location.pathname + location.search) go(link.href, { push: true });
});

if (nav) {
  addEventListener("popstate", () => {
    // A change of the hash alone stays within the tab.
    if (location.pathname !== current) go(location.href, { push: false });
  });
}

// Parts of the one long page that this was have tabs now: links to them still arrive.
const FORMER = { samples: "samples", metrics: "charts", machine: "system", log: "log", config: "config",
  credits: "data", cleared: "data", attempts: "attempts", history: "attempts", checkpoints: "checkpoints" };
const former = FORMER[location.hash.slice(1)];
const open = nav?.querySelector("[aria-current]")?.dataset.tab;
if (open === "overview" && former) {
  const link = nav.querySelector(`[data-tab="${former}"]`);
  if (link) location.replace(link.href);
}
