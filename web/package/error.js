/** Every error of this package; `kind` says what to do about it. */
export class DynaconvError extends Error {
  constructor(kind, message, options) {
    super(message, options);
    this.name = "DynaconvError";
    this.kind = kind;
  }
}

const KINDS = new Set([
  "no-webgpu", "no-adapter", "limits", "bad-model", "bad-input", "device-lost", "network", "disposed", "device", "internal",
]);

/** Any thrown value as an error of this package: of the kind that the library gave it, or else of `kind`. */
export function typed(thrown, kind = "internal") {
  if (thrown instanceof DynaconvError) return thrown;
  if (thrown instanceof WebAssembly.RuntimeError) {
    const message = `dynaconv broke down, for lack of memory or by a fault of its own, until the page is loaded again: ${thrown.message}`;
    return new DynaconvError("internal", message, { cause: thrown });
  }
  const known = KINDS.has(thrown?.kind) ? thrown.kind : kind;
  return new DynaconvError(known, thrown?.message ?? String(thrown), { cause: thrown });
}

/** Looks at what a page passed: anything, which may throw anything. */
export function look(at) {
  try {
    return at();
  } catch (thrown) {
    throw new DynaconvError("bad-input", textOf(thrown), { cause: thrown });
  }
}

function textOf(thrown) {
  try {
    return String(thrown?.message ?? thrown);
  } catch {
    return "what was passed throws as it is looked at";
  }
}
