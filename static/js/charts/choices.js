// Lists of choices in which what a layout says may be missing.

/** Choose an option, which is added if these runs do not have it. */
export function choose(select, value, title) {
  if (![...select.options].some((option) => option.value === value)) select.add(new Option(title, value));
  select.value = value;
}
