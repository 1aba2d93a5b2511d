// The form of a new run: what is folded is found by a word, and says what was changed in it.

import { reveal } from "./errors.js";

const form = document.querySelector("[data-run-form]");
const settings = form.querySelector("[data-settings]");

/** The first control of a setting. */
const control = (setting) => setting.querySelector("input, select, textarea");

/** Whether it says something else than the recipe's default: 2e-3 is 0.002. */
function isChanged(setting) {
  const input = control(setting);
  const preset = setting.dataset.default.trim();
  if (input.type === "checkbox") return input.checked !== (preset === "on");
  const value = input.value.trim();
  const numbers = value !== "" && preset !== "" && input.inputMode && Number(value) === Number(preset);
  return value !== preset && !numbers;
}

const title = (setting) => setting.querySelector("label").textContent.trim();

/** Say on each folded group what was changed in it. */
function countChanges() {
  for (const group of settings?.querySelectorAll("details") ?? []) {
    const changed = [...group.querySelectorAll("[data-setting]")].filter(isChanged);
    const chip = group.querySelector("[data-changed]");
    chip.hidden = !changed.length;
    chip.textContent = `${changed.length} changed: ${changed.map(title).join(", ")}`;
  }
}

// Which groups were open before somebody looked for a word.
let before = null;

/** Show only the folded settings whose name, title or help has all the words. */
function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (setting) => {
    const said = `${setting.dataset.setting} ${setting.querySelector("label").textContent} ${setting.querySelector(".help")?.textContent}`;
    return words.every((word) => said.toLowerCase().includes(word));
  };
  const groups = [...settings.querySelectorAll("details")];
  before ??= new Map(groups.map((group) => [group, group.open]));
  let count = 0;
  for (const group of groups) {
    const inside = [...group.querySelectorAll("[data-setting]")];
    for (const setting of inside) setting.hidden = !fits(setting);
    const found = inside.filter((setting) => !setting.hidden).length;
    group.hidden = !found;
    group.open = words.length ? found > 0 : before.get(group);
    count += found;
  }
  const above = [...form.querySelectorAll("fieldset [data-setting]")].filter((one) => words.length && fits(one));
  if (!words.length) before = null;
  settings.querySelector("#settings-found").textContent = !words.length ? "" : [
    count ? `${count} found.` : above.length ? "" : `No setting has “${text.trim()}” in its name or explanation.`,
    above.length ? `Above, among those that are changed first: ${above.map(title).join(", ")}.` : "",
  ].filter(Boolean).join(" ");
}

if (settings) {
  const place = settings.querySelector("[data-settings-search]");
  const box = place.querySelector("input");
  place.hidden = false;
  box.addEventListener("input", () => search(box.value));
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      // Enter goes to what was found; it queues nothing.
      event.preventDefault();
      const first = settings.querySelector("[data-setting]:not([hidden])");
      if (box.value.trim() && first && !first.closest("details").hidden) { reveal(first); control(first).focus(); }
    } else if (event.key === "Escape" && box.value) {
      box.value = "";
      search("");
    }
  });
  form.addEventListener("input", countChanges);
  // A browser that goes back gives the form what was typed, after this script has run.
  addEventListener("pageshow", () => { search(box.value); countChanges(); });
}

// Another dataset or model shows what is in it; nothing that was typed is lost, but for the
// settings that the weights of a model prescribe.
for (const choice of form.querySelectorAll("[data-reload]")) {
  choice.addEventListener("change", async () => {
    const answer = await fetch(choice.dataset.reload + encodeURIComponent(choice.value));
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(choice.dataset.card);
    const card = document.getElementById(choice.dataset.card);
    if (!fresh || !card) return;
    card.replaceWith(document.adoptNode(fresh));
    for (const name of (fresh.dataset.shape ?? "").split(" ").filter(Boolean)) {
      const [old, now] = [document, page].map((one) => one.getElementById(`config-${name}`));
      if (old && now) old.value = now.value;
    }
    countChanges();
  });
}
