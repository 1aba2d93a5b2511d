// A log-in in another tab changes the token that forms carry: one that was open before still counts.

/** Give the form the token of now. */
export function freshen(form) {
  const field = form.elements?.namedItem("csrfmiddlewaretoken");
  const now = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  if (field && now) field.value = now[1];
}
