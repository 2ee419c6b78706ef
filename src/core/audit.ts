/** The audit trail, as it is read. */

export interface AuditView {
  readonly sequence: number
  /** Epoch ms. */
  readonly at: number
  readonly actor: string
  /** Empty where it is about no project. */
  readonly projectId: string
  readonly action: string
  readonly instanceId: string
  readonly operationId: string
  readonly detail: string
  readonly hash: string
}

export interface AuditFilter {
  /** Absent: all of them, and what is about none. */
  readonly projectId?: string
  readonly actor?: string
  readonly instanceId?: string
  /** A beginning: `restart` finds `restart.accepted` and `restart.done`. */
  readonly action?: string
  /** Epoch ms, both included. */
  readonly from?: number
  readonly to?: number
  /** Only rows before this one. */
  readonly before?: number
  readonly limit: number
}

/** What a look at the whole chain found. */
export interface AuditProof {
  readonly rows: number
  /** The last row's number and hash: who has noted them down can tell later whether the chain was written anew. */
  readonly last: { readonly sequence: number; readonly hash: string } | null
  /** The last row that was dropped when its time was over; the chain begins after it. */
  readonly anchor: { readonly sequence: number; readonly hash: string } | null
  /** The first row that is not as it was written, or is missing; null: all of it holds. */
  readonly broken: { readonly sequence: number; readonly why: string } | null
}

export interface AuditTrail {
  /** Newest first. */
  list(filter: AuditFilter): Promise<readonly AuditView[]>
  /** Reckons every hash anew. */
  verify(): Promise<AuditProof>
}
