// A new run: where a number's field has several values, the button says that it is a sweep.

const NUMBER = "[+-]?(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][+-]?\\d+)?";
const LIST = new RegExp(`^\\s*${NUMBER}\\s*(?:[,;]\\s*${NUMBER}\\s*)+,?\\s*$`);
const RANGE = new RegExp(`^\\s*${NUMBER}\\s*(?:\\.\\.|…)\\s*${NUMBER}(?:\\s+(?:log|step\\s+${NUMBER}))?\\s*$`);

/** How many values a text has: 1 for a single one, Infinity for a range. */
export function count(text) {
  if (RANGE.test(text)) return Infinity;
  return LIST.test(text) ? new Set(text.split(/[,;]/).filter((word) => word.trim()).map(Number)).size : 1;
}

// Which numbers a rule of pruning reads.
const READS = { "": [], asha: ["first", "factor"], hyperband: ["first", "factor", "most"], median: ["first", "every"] };

const form = document.querySelector("[data-run-form]");
const button = form?.querySelector("[data-queue]");
const usual = button?.textContent;

function tell() {
  const counts = [...form.querySelectorAll("[data-setting] input[inputmode]")].map((input) => count(input.value)).filter((n) => n > 1);
  const more = form.querySelector("[name='sweep-space']").value.trim();
  if (!counts.length && !more) { button.textContent = usual; return; }
  form.querySelector("[data-sweep]").open = true;
  const runs = counts.reduce((all, n) => all * n, 1);
  button.textContent = Number.isFinite(runs) && !more ? `See the sweep of ${runs} runs` : "See the sweep";
}

const rule = form?.querySelector("[name='sweep-pruning']");

function showRule() {
  for (const name of new Set(Object.values(READS).flat())) {
    const field = form.querySelector(`[name='sweep-${name}']`).closest(".field");
    // One that is wrong stays in sight.
    field.hidden = !READS[rule.value].includes(name) && !field.classList.contains("invalid");
  }
}

if (rule) {
  rule.addEventListener("change", showRule);
  addEventListener("pageshow", showRule);
}

if (button) {
  form.addEventListener("input", tell);
  addEventListener("pageshow", tell);
}
