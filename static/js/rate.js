// Stores an answer the moment it is given. Without this script the form does the same by its button.

import { freshen } from "./token.js";

const form = document.querySelector("form[data-rate]");

async function store(score) {
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
    if (!response.ok) {
      words.textContent = answer.error || "The answer was not stored. Please try again.";
      return;
    }
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

if (form) {
  form.addEventListener("change", (event) => {
    if (event.target.name === "score") store(event.target.value);
  });
  // Before the player sees them: here the digits answer.
  document.addEventListener("keydown", (event) => {
    if (!/^[1-5]$/.test(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    const choice = form.querySelector(`input[value="${event.key}"]`);
    choice.focus();
    choice.click();
    event.preventDefault();
    event.stopPropagation();
  }, true);
}
