// The frame of every page: menu, theme, keys, and what to say when a request fails.

import { confirmFirst } from "./confirm.js";
import { announce } from "./errors.js";
import "./rows.js";
import { rememberTheme } from "./theme.js";
import { freshen } from "./token.js";

const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || target.matches("input, select, textarea"));

/** Say a sentence where the page's messages stand. */
export function note(sentence, kind = "error") {
  const place = document.getElementById("notes");
  if (!place) return;
  const said = [...place.children].some((line) => line.textContent === sentence);
  if (said) return;
  const line = document.createElement("p");
  line.className = `note ${kind}`;
  line.textContent = sentence;
  place.append(line);
}

// Sound that may not be heard any more says why, in place of a player that does nothing.
document.addEventListener("error", async (event) => {
  const audio = event.target;
  if (!(audio instanceof HTMLAudioElement) || !audio.currentSrc) return;
  const response = await fetch(audio.currentSrc, { headers: { Range: "bytes=0-0" } }).catch(() => null);
  const plain = response?.headers.get("Content-Type")?.startsWith("text/plain");
  if (!plain || ![403, 404, 410].includes(response.status)) return;
  const line = document.createElement("p");
  line.className = "silent";
  line.setAttribute("role", "status");
  line.textContent = (await response.text()).slice(0, 500);
  audio.replaceWith(line);
}, true);

// A menu closes when one clicks elsewhere or presses Escape.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const opener = event.target.closest("[data-keys-open]");
  if (opener) document.getElementById("keys")?.showModal();
});

document.addEventListener("submit", (event) => {
  freshen(event.target);
  if (event.target.matches("[data-themes]") && event.submitter) {
    event.preventDefault();
    rememberTheme(event.submitter.value);
  }
  confirmFirst(event);
});

announce();

const rows = () => [...document.querySelectorAll("[data-rows] > *:not([hidden])")];

/** Move the focus along the rows of the page's list. */
function step(by) {
  const list = rows();
  if (!list.length) return;
  const at = list.findIndex((row) => row.contains(document.activeElement));
  const next = list[Math.min(list.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  const target = next.querySelector("a, input, button") ?? next;
  target.focus();
  next.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  "/": () => document.querySelector("[data-query], input[type=search]")?.focus(),
  "?": () => document.getElementById("keys")?.showModal(),
  j: () => step(1),
  k: () => step(-1),
  x: () => document.activeElement?.closest("[data-rows] > *")?.querySelector("input[type=checkbox]")?.click(),
  c: () => document.querySelector("[data-compare]:not([disabled])")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
  const bare = !event.ctrlKey && !event.metaKey && !event.altKey;
  // A checkbox takes no text, so the letters still mean their keys there.
  const typing = isTyping(event.target) && event.target.type !== "checkbox";
  if (bare && !typing && !event.defaultPrevented && KEYS[event.key] && !document.querySelector("dialog[open]")) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

document.addEventListener("htmx:configRequest", (event) => {
  const now = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  if (now && event.detail.headers["X-CSRFToken"]) event.detail.headers["X-CSRFToken"] = now[1];
});
document.addEventListener("htmx:sendError", () => {
  note("The portal did not answer. What is shown may be old; it will be tried again.", "warn");
});
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  note(
    status === 401
      ? "You are logged out. Log in in another tab and go on here: what you typed stays."
      : status === 403
      ? "This is not open to you, or the page is from before you logged in. Reload it."
      : status === 404
        ? "This is not there any more, or not open to you."
        : `The portal could not do this (error ${status}). Nothing was changed; try again.`,
  );
});
