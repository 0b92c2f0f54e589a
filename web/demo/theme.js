// Light or dark: as the system says, until the visitor chooses.

import { byId } from "./elements.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

// As theme.css asks: without it there are the light colours alone.
const both = CSS.supports("color", "light-dark(#000, #fff)");

/** "light" or "dark": the colours that are shown now. */
export function theme() {
  if (!both) return "light";
  return document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
}

/** Calls `listener` whenever the colours change. */
export function onTheme(listener) {
  listeners.add(listener);
}

function changed() {
  byId("theme").setAttribute("aria-pressed", String(theme() === "dark"));
  for (const listener of listeners) listener();
}

function stored() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // storage may be forbidden
  }
}

export function startTheme() {
  byId("theme").hidden = !both;
  const chosen = stored();
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  byId("theme").addEventListener("click", () => {
    const next = theme() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch { /* the choice then lasts for this visit */ }
    changed();
  });
  dark.addEventListener("change", changed);
  changed();
}
