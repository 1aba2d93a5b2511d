// A run's page stays true while it is open: by server-sent events, else by asking.

import { adopt, refresh } from "./charts.js";

const POLL_MS = 3000;
const CURVES_MS = 2000;
const RENEW_MS = 10000;
const now = document.getElementById("run-now");

const set = (name, change) => {
  const place = now.querySelector(`[data-now="${name}"]`);
  if (place) change(place);
};

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

/** The rest of the page as the server writes it now. Charts that are drawn stay as they are. */
async function renew() {
  renewed = Date.now();
  const answer = await fetch(location.pathname).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const fresh of page.querySelectorAll("[data-renewed]")) {
    const old = document.getElementById(fresh.id);
    for (const [n, more] of [...fresh.querySelectorAll("details")].entries()) {
      more.open = old?.querySelectorAll("details")[n]?.open ?? false;
    }
    for (const chart of fresh.querySelectorAll("[data-chart]")) {
      const drawn = [...(old?.querySelectorAll("[data-chart]") ?? [])]
        .find((one) => one.dataset.name === chart.dataset.name);
      if (drawn) chart.replaceWith(drawn);
    }
    old?.replaceWith(document.adoptNode(fresh));
    adopt(document.getElementById(fresh.id));
  }
}

function logChanged(html) {
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
  if ("words" in changed || "state" in changed) {
    set("words", (place) => { place.textContent = known.words; place.dataset.state = known.state; });
  }
  if ("warning" in changed) {
    set("warning", (place) => { place.textContent = changed.warning; place.hidden = !changed.warning; });
  }
  for (const name of ["detail", "progress_words"]) {
    if (name in changed) set(name, (place) => { place.textContent = changed[name]; });
  }
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
  if ("log_html" in changed) logChanged(changed.log_html);
  if ("curve" in changed && "curve" in before) curvesChanged();
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
  }
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
      how("· asking every few seconds");
    } else if (answer.status === 401) {
      how("· you are logged out; log in in another tab");
    } else if (answer.status === 404) {
      how("· not open to you any more");
      return;
    }
  } catch {
    how("· the portal does not answer; trying again");
  }
  if (known.open !== false) setTimeout(poll, POLL_MS);
  else { how(""); refresh(); renew(); }
}

function listen() {
  let failures = 0;
  const source = new EventSource(now.dataset.runLive);
  source.addEventListener("change", (message) => {
    failures = 0;
    how("· live");
    apply(JSON.parse(message.data));
  });
  source.addEventListener("end", () => {
    source.close();
    how("");
    refresh();
    renew();
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
  const box = document.querySelector("[data-log-text]");
  if (box) box.scrollTop = box.scrollHeight;
  if (now.dataset.open === "true") {
    if ("EventSource" in window) listen();
    else poll();
  }
}
