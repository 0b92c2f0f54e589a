// The waiting lines of a classifier's calls.

/** Lets so many calls be under way at once; further ones wait for their turn. */
export class Lane {
  #free;
  #waiting = [];

  constructor(most) {
    this.#free = most;
  }

  /** Calls `start`, at once where there is room. */
  async enter(start) {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise((turn) => this.#waiting.push(turn));
    try {
      return await start();
    } finally {
      const turn = this.#waiting.shift();
      if (turn) turn();
      else this.#free += 1;
    }
  }
}
