// The player brings its own look, made of the page's tokens, wherever its module is loaded.

export const styles = new CSSStyleSheet();
styles.replaceSync(`
clip-player { display: flex; flex-direction: column; gap: var(--space-2); min-width: 0; }
clip-player:focus { outline: none; }
clip-player [hidden] { display: none !important; }
clip-player .lanes { display: flex; flex-direction: column; gap: var(--space-1); }
clip-player .lane { display: grid; grid-template-columns: minmax(5rem, 30%) minmax(0, 1fr); gap: var(--space-3);
  align-items: stretch; }
clip-player .pick { display: flex; align-items: center; gap: var(--space-2); min-height: 2.75rem; min-width: 0;
  padding: 0 var(--space-2); text-align: start; color: var(--ink); background: none; cursor: pointer;
  border: 1px solid var(--line); border-inline-start: 3px solid var(--line); border-radius: var(--radius); }
clip-player .pick span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
clip-player .pick:hover:enabled { border-color: var(--edge); }
clip-player .pick[aria-pressed="true"] { border-inline-start-color: var(--accent); font-weight: 650;
  background: var(--accent-wash); }
clip-player .pick:disabled { color: var(--muted); cursor: not-allowed; }
clip-player canvas { width: 100%; height: 2.75rem; touch-action: pan-y; cursor: text;
  background: var(--sunken); border-radius: var(--radius); }
clip-player .lane:only-child:has(canvas) { grid-template-columns: minmax(0, 1fr); }
clip-player .lane:only-child:has(canvas) .pick { display: none; }
clip-player .why { align-self: center; margin: 0; color: var(--warn); font-size: var(--size-1); overflow-wrap: anywhere; }
clip-player .controls { display: flex; flex-wrap: wrap; align-items: center; gap: var(--space-2) var(--space-3); }
clip-player .controls.dock { position: static; padding: 0; border: 0; background: none; }
clip-player .play { min-width: 8.5rem; }
clip-player[data-compact] .controls { flex-wrap: nowrap; }
clip-player[data-compact] .play { min-width: 5.5rem; min-height: 1.75rem; padding: 0 var(--space-2); }
clip-player[data-compact] input[type="range"] { flex: 1 1 4rem; min-width: 4rem; }
clip-player[data-compact] .time { min-width: 7.5em; font-size: var(--size-1); }
clip-player[data-compact] .words:empty { position: absolute; }
clip-player input[type="range"] { flex: 1 1 8rem; min-height: 24px; accent-color: var(--accent); }
clip-player .time { min-width: 8.5em; text-align: start; }
clip-player select { min-height: 2rem; color: var(--ink); background: var(--panel); border: 1px solid var(--edge);
  border-radius: var(--radius); padding: 0 var(--space-2); font-size: var(--size-1); }
clip-player .keys { display: grid; grid-template-columns: max-content 1fr; gap: var(--space-1) var(--space-3);
  font-size: var(--size-1); margin: 0; }
clip-player .keys dd { margin: 0; color: var(--muted); }
clip-player .words { margin: 0; font-size: var(--size-1); color: var(--bad); overflow-wrap: anywhere; }
clip-player[data-state="silent"] :is(.words, .why) { color: var(--muted); }
@media (max-width: 40rem) {
  clip-player .lane { grid-template-columns: minmax(0, 1fr); gap: var(--space-1); }
  clip-player .controls.dock { position: fixed; inset: auto 0 0 0; background: var(--panel);
    border-top: 1px solid var(--ink); padding: var(--space-2) var(--space-4); z-index: 15; }
  clip-player .play { min-width: 6.5rem; }
}
@media (prefers-reduced-motion: reduce) { clip-player * { transition: none !important; } }
`);
