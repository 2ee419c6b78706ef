/** Wrong passwords in a row: how many may be tried, and for how long nobody may then. */

/** `lockedUntil`: epoch ms; 0: it is not. */
export interface Tries { readonly wrong: number; readonly lockedUntil: number }

export const mostTries = 5
const lockedForMs = 5 * 60_000

/** After so many in a row. */
export function afterWrong(wrong: number, now: number): Tries { return wrong >= mostTries ? { wrong: 0, lockedUntil: now + lockedForMs } : { wrong, lockedUntil: 0 } }
