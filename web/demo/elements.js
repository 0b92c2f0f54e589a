// Small helpers for the document.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** Makes an element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Sets a text only where it differs, so that nothing is laid out or read out again for the same words. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Numbers for people. */
export const count = (value) => value.toLocaleString("en");
export const signed = (value, digits = 3) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
export const percent = (part, digits = 1) => Number.isFinite(part) ? `${(100 * part).toFixed(digits)} %` : "∞";
export const milliseconds = (value) => value < 9.95 ? value.toFixed(1) : Math.round(value).toString();
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Arrow keys, Home and End move the focus along a row of radio-like buttons and choose the one reached. */
export function roving(group, choose) {
  group.addEventListener("keydown", (event) => {
    const items = [...group.querySelectorAll('[role="radio"]')];
    const here = items.indexOf(document.activeElement);
    if (here < 0) return;
    const columns = Math.max(1, items.filter((item) => item.offsetTop === items[0].offsetTop).length);
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    let next = event.key in steps ? here + steps[event.key] : { Home: 0, End: items.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    next = Math.max(0, Math.min(items.length - 1, next));
    items[next].focus();
    choose(next);
  });
}
