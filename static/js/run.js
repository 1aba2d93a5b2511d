// A run's page stays true while it is open: by server-sent events, else by asking.

import { adopt, refresh } from "./charts.js";
import { logGrew } from "./run-log.js";
import { freshPage, onTab } from "./run-tabs.js";

const POLL_MS = 3000;
const CURVES_MS = 2000;
const RENEW_MS = 10000;
const now = document.getElementById("run-now");

const set = (name, change) => document.querySelectorAll(`[data-now="${name}"]`).forEach(change);

let lastCurves = 0;
let curvesDue = 0;

function curvesChanged() {
  if (curvesDue) return;
  curvesDue = setTimeout(() => {
    curvesDue = 0;
    lastCurves = Date.now();
    refresh();
    if (Date.now() - renewed > RENEW_MS) renew();
  }, Math.max(0, lastCurves + CURVES_MS - Date.now()));
}

let renewed = Date.now();

/** The rest of the tab as the server writes it now. Charts that are drawn stay as they are. */
async function renew() {
  renewed = Date.now();
  const address = location.pathname + location.search;
  const page = await freshPage(address);
  if (!page || address !== location.pathname + location.search) return;
  countTabs(page);
  for (const fresh of page.querySelectorAll("[data-renewed]")) {
    const old = document.getElementById(fresh.id);
    // Whoever types or chooses in it is not interrupted; it is written anew the next time.
    if (!old || old.querySelector(":is(input, select, textarea):focus:not([data-chart] *)")) continue;
    for (const [n, more] of [...fresh.querySelectorAll("details")].entries()) {
      more.open = old.querySelectorAll("details")[n]?.open ?? more.open;
    }
    for (const chart of fresh.querySelectorAll("[data-chart]")) {
      const drawn = [...old.querySelectorAll("[data-chart]")]
        .find((one) => one.dataset.name === chart.dataset.name);
      if (drawn) chart.replaceWith(drawn);
    }
    old.replaceWith(document.adoptNode(fresh));
    window.htmx?.process(fresh);
    adopt(fresh);
  }
}

/** What stands beside the titles of the tabs. */
function countTabs(page) {
  for (const fresh of page.querySelectorAll("[data-run-tabs] [data-tab-count]")) {
    const tab = document.querySelector(`[data-run-tabs] [data-tab="${CSS.escape(fresh.parentElement.dataset.tab)}"]`);
    const count = tab?.querySelector("[data-tab-count]");
    if (!count) continue;
    count.textContent = fresh.textContent;
    tab.toggleAttribute("data-nothing", !fresh.textContent);
  }
}

function tailChanged(html) {
  const box = document.querySelector("[data-log-text]");
  if (!box) return;
  // Whoever reads further up is left there.
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  // Each line was escaped by the portal; its spans are colours.
  box.innerHTML = html || "Nothing was written yet.";
  if (atEnd) box.scrollTop = box.scrollHeight;
}

let known = {};

function apply(changed) {
  const before = known;
  known = { ...known, ...changed };
  show(changed);
  if ("log" in changed && "log" in before) logGrew();
  if (["curve", "media"].some((name) => name in changed && name in before)) curvesChanged();
  if (("metrics" in changed && changed.metrics !== Number(now.dataset.metrics)) ||
      ("events" in changed && changed.events !== Number(now.dataset.events)) ||
      ("detail" in changed && "detail" in before && known.state === "starting") ||
      ("state" in changed && "state" in before)) {
    now.dataset.metrics = known.metrics;
    now.dataset.events = known.events;
    renew();
  }
  if ("samples" in changed && String(changed.samples) !== now.dataset.samples) {
    now.dataset.samples = changed.samples;
    document.querySelector("[data-samples-box]")?.dispatchEvent(new Event("samples-changed"));
    if ("samples" in before) renew();
  }
}

/** Write what has changed where the page says it. */
function show(changed) {
  if ("words" in changed || "state" in changed) {
    set("words", (place) => { place.textContent = known.words; place.dataset.state = known.state; });
  }
  for (const name of ["warning", "detail"]) {
    if (name in changed) set(name, (place) => { place.textContent = changed[name]; place.hidden = !changed[name]; });
  }
  if ("progress_words" in changed) set("progress_words", (place) => { place.textContent = changed.progress_words; });
  if ("progress" in changed || "open" in changed) {
    set("progress", (place) => {
      place.value = known.progress;
      place.toggleAttribute("data-empty", !known.open || !known.progress);
    });
  }
  if ("state" in changed) {
    for (const form of document.querySelectorAll("[data-shown-while]")) {
      form.hidden = form.dataset.shownWhile === "open"
        ? !known.open || known.state === "stopping"
        : !["failed", "cancelled"].includes(known.state);
    }
  }
  if ("log_html" in changed) tailChanged(changed.log_html);
}

const how = (words) => {
  const place = now.querySelector("[data-live-how]");
  if (place) place.textContent = words;
};

async function poll() {
  try {
    const answer = await fetch(`${now.dataset.runState}?log=${known.log ?? now.dataset.log}`);
    if (answer.ok) {
      apply(await answer.json());
      how("asking every few seconds");
    } else if (answer.status === 401) {
      how("you are logged out; log in in another tab");
    } else if (answer.status === 404) {
      how("not open to you any more");
      return;
    }
  } catch {
    how("the portal does not answer; trying again");
  }
  if (known.open !== false) setTimeout(poll, POLL_MS);
  else end();
}

function end() {
  how("");
  refresh();
  renew();
  logGrew();
}

function listen() {
  let failures = 0;
  const source = new EventSource(now.dataset.runLive);
  source.addEventListener("change", (message) => {
    failures = 0;
    how("live");
    apply(JSON.parse(message.data));
  });
  source.addEventListener("end", () => {
    source.close();
    end();
  });
  source.addEventListener("error", () => {
    failures += 1;
    if (failures < 3 && source.readyState !== EventSource.CLOSED) return;
    source.close();
    poll();
  });
  addEventListener("pagehide", () => source.close());
}

if (now) {
  onTab((place) => {
    adopt(place);
    // The tab was written by the portal just now, the last words of the events may be newer.
    if (known.state) show(known);
    const box = place.querySelector("[data-log-text]");
    if (box) box.scrollTop = box.scrollHeight;
  });
  if (now.dataset.open === "true") {
    if ("EventSource" in window) listen();
    else poll();
  }
}
