// Arithmetic on what a dynamic layer made: norms, differences, names. No drawing, no document.

/** Euclidean norm of a list of numbers. */
export function norm(values) {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}

/** a − b, value by value. */
export function minus(a, b) {
  return a.map((value, index) => value - b[index]);
}

/** ‖a − b‖ / ‖b‖: how far `a` has moved from `b`, as a part of `b`. */
export function relativeDifference(a, b) {
  const size = norm(b);
  const moved = norm(minus(a, b));
  return size > 0 ? moved / size : moved > 0 ? Infinity : 0;
}

/** Root of the mean square. */
export function rms(values) {
  return values.length ? norm(values) / Math.sqrt(values.length) : 0;
}

/** The largest magnitude. */
export function largest(values) {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Least, mean and most of λ. */
export function spread(values) {
  let [least, sum, most] = [Infinity, 0, -Infinity];
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
    sum += value;
  }
  return { least, mean: sum / values.length, most };
}

/** Whether two results come from the same network: same layers of the same sizes. */
export function alike(a, b) {
  return a.length === b.length
    && a.every((layer, index) => layer.name === b[index].name && layer.phi.length === b[index].phi.length
      && layer.lambda.length === b[index].lambda.length);
}

/** A name for people: MobileNetV2's modules by what they do, any other by its own name. */
export function title(name) {
  const block = /^features\.(\d+)\.conv\.(\d+)$/.exec(name);
  if (block) return `Block ${block[1]} ${block[2] === "0" ? "expand" : "project"}`;
  return name.startsWith("classifier") ? "Classifier" : name;
}

/** The same, short enough for a tile. */
export function shortTitle(name) {
  return title(name).replace(/^Block /, "");
}
