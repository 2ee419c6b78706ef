/**
 * Whether the operation that is being worked on is still ours, asked without waiting directly before each call that changes
 * the world. A control plane that was frozen in the middle of a step finds out here, by its own clock, when it wakes up.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

const checks = new AsyncLocalStorage<() => void>()

/** Runs `work`; `check` throws as soon as it must change nothing any more. */
export function fenced<T>(check: () => void, work: () => Promise<T>): Promise<T> { return checks.run(check, work) }

/** Throws when the world is somebody else's to change by now. Outside of an operation nothing is checked. */
export function fence(): void { checks.getStore()?.() }
