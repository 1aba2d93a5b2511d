// Stores an answer the moment it is given, and asks for it once the clip was heard. Without this script
// the form stores it by its button.

import { Hearing } from "./hearing.js";
import { freshen } from "./token.js";

const form = document.querySelector("form[data-rate]");

async function store(score, hearing) {
  const words = form.querySelector("[data-stored]");
  words.textContent = "Storing…";
  freshen(form);
  const body = new FormData(form);
  body.set("score", score);
  try {
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    const answer = response.headers.get("Content-Type")?.includes("json") ? await response.json() : {};
    if (response.status === 401) {
      words.textContent = "You are logged out, so the answer is not stored. Log in in another tab and answer again.";
      return;
    }
    if (response.status === 410) gone(answer.error);
    if (response.status === 409) closed(answer.error);
    if (!response.ok) {
      words.textContent = answer.error || "The answer was not stored. Please try again.";
      return;
    }
    hearing.took(body);
    words.textContent = `Stored: ${answer.score}`;
    count();
  } catch {
    words.textContent = "The portal cannot be reached, so the answer is not stored yet. Please try again.";
  }
}

// A first answer moves the bar; a changed one does not.
function count() {
  if (form.dataset.had === "yes") return;
  form.dataset.had = "yes";
  const bar = document.querySelector("[data-done]");
  bar.value += 1;
  document.querySelector("[data-done-words]").textContent = `${bar.value} of ${form.dataset.total} clips rated.`;
}

// The clip was withdrawn while the page was open: it falls silent, and nothing is asked of it.
function gone(sentence) {
  document.querySelector("clip-player")?.withdraw?.(0, sentence);
  form.hidden = true;
  document.querySelector("[data-go-on]").hidden = false;
}

// The test takes no more answers: none is asked for.
function closed(sentence) {
  form.hidden = true;
  const words = document.querySelector("[data-closed]");
  words.textContent = sentence;
  words.classList.add("note");
}

function listenFirst(missing) {
  return `Listen first; ${Math.ceil(missing / 1000)} s to go.`;
}

// The scale is shut until enough was heard; where it opens, a screen reader is told.
function showScale(hearing) {
  const scale = form.querySelector("fieldset");
  const was = scale.disabled;
  const { missing } = hearing;
  scale.disabled = missing > 0;
  form.querySelector("button").disabled = missing > 0;
  const sentence = missing === 0
    ? "You have heard it: answer, or listen again."
    : hearing.muted ? `${listenFirst(missing)} The player is mute, which does not count.` : listenFirst(missing);
  const words = form.querySelector("[data-listen]");
  if (words.textContent !== sentence) words.textContent = sentence;
  if (was && missing === 0) form.querySelector("[data-stored]").textContent = "You can answer now.";
}

if (form) {
  const hearing = new Hearing(form, {
    onchange() { showScale(this); },
    ongone: gone,
    onclosed: closed,
  });
  form.addEventListener("change", (event) => {
    if (event.target.name === "score") store(event.target.value, hearing);
  });
  // The page has one clip: keys are for it before it was ever used.
  const player = document.querySelector("clip-player");
  player.take?.();
  // Before the player sees them: here the digits answer.
  document.addEventListener("keydown", (event) => {
    if (event.key === "?" && player.showKeys && !player.silent) {
      event.preventDefault();
      event.stopPropagation();
      player.showKeys();
      return;
    }
    if (!/^[1-5]$/.test(event.key) || event.ctrlKey || event.metaKey || event.altKey || form.hidden) return;
    event.preventDefault();
    event.stopPropagation();
    if (hearing.missing > 0) {
      form.querySelector("[data-stored]").textContent = listenFirst(hearing.missing);
      return;
    }
    const choice = form.querySelector(`input[value="${event.key}"]`);
    choice.focus();
    choice.click();
  }, true);
}
