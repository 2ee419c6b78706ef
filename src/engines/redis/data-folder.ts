/** The folder in which a node has its data: another one since something was restored, so that old and new never mix. */
import type { Instance } from '../../core/instance.ts'

/** By which it is kept among the grants. */
export const dataGrant = 'data'
/** What it is when nothing is granted. A cluster's own file stays here. */
export const usualFolder = 'data'

/** By its path in the node's folder. */
export const dataFolder = ({ grants }: Pick<Instance, 'grants'>): string => grants[dataGrant] ?? usualFolder
