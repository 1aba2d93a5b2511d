// What is wrong with a form stands above it, and each line leads to its field.

/** Unfold what is around the field. */
export function reveal(field) {
  for (let around = field.closest("details"); around; around = around.parentElement.closest("details")) {
    around.open = true;
  }
}

/** Read the list first: without a script it stands at the top of the page. */
export function announce(place = document) {
  place.querySelector("[data-errors]")?.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-errors] a[href^='#']");
  if (!link) return;
  const ident = CSS.escape(link.hash.slice(1));
  // Two forms of a page may have fields of the same name: the one that was sent is meant.
  const field = (link.closest("form") ?? document).querySelector(`#${ident}`) ?? document.querySelector(`#${ident}`);
  if (!field) return;
  event.preventDefault();
  reveal(field);
  field.focus({ preventScroll: true });
  field.closest(".field, fieldset")?.scrollIntoView({ block: "center" });
});
