// How long to wait before dialling again. Pure: chance comes in.

const FIRST_MIN_MS = 100;
const FIRST_MAX_MS = 600;
const STEP_MS = 500;
const CAP_MS = 30000;

/**
 * Say how long to wait before one more attempt.
 *
 * The first wait is short, because most drops are a blink of the network; the later ones double up to a cap.
 * All are random, so that the pages of a restarted server do not come back in one crowd.
 *
 * @param {number} attempt how many waits there were since the connection was last good, >= 0
 * @param {() => number} random a number in [0, 1)
 * @returns {number} milliseconds
 */
export function retryDelay(attempt, random) {
  if (attempt === 0) {
    return FIRST_MIN_MS + random() * (FIRST_MAX_MS - FIRST_MIN_MS);
  }
  return (0.5 + random() / 2) * Math.min(CAP_MS, STEP_MS * 2 ** attempt);
}
