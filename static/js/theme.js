// Light, dark or as the system has it: shown at once, and kept in a cookie that the server reads.

const YEAR = 365 * 24 * 3600;

export function rememberTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.cookie = `theme=${encodeURIComponent(theme)}; path=/; max-age=${YEAR}; samesite=lax`;
  for (const button of document.querySelectorAll("[data-themes] button")) {
    button.setAttribute("aria-pressed", String(button.value === theme));
  }
  // Charts draw with colours they read once: they listen for this and draw again.
  document.dispatchEvent(new CustomEvent("themechange", { detail: theme }));
}
