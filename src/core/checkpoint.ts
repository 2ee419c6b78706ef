/**
 * Names the instants at which a crash of the control plane is most interesting: after each durable write and each
 * call that changes the world. Nobody listens in production; the crash tests subscribe and end the process there.
 */
import { channel } from 'node:diagnostics_channel'

const passed = channel('sluice:checkpoint')

export function checkpoint(name: string): void {
  if (passed.hasSubscribers) passed.publish(name)
}
