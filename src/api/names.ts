/** What people may be called, and what a password must be. */
import { isText } from './json.ts'

/** What is wrong with it, as a sentence without its text; null when nothing is. */
export function passwordProblem(value: unknown): string | null {
  return isText(value, 128) && value.length >= 8 && !/\p{Cc}/u.test(value) ? null : 'password must be 8 to 128 characters'
}

/** Users and roles; no mail client, shell or path takes any of these for something else. */
export function nameProblem(value: unknown): string | null {
  return isText(value, 64) && /^[A-Za-z0-9][A-Za-z0-9_.@-]*$/.test(value) ? null : 'name must be 1 to 64 letters, digits, and _ . @ - after the first'
}
