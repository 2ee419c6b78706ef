/** The use cases of looking into instances that serve. */
import type { Survey, SurveyHow, SurveyKind, Session, SlowCall } from './desk.ts'
import type { Caller } from './control-plane.ts'
import type { Refusal } from './refusal.ts'

/** When a survey is made without being asked for: an attribute of the instance, by the name `survey KIND`. */
export interface SurveyPlan {
  readonly enabled: boolean
  /** Times of the day in UTC, "21:00". */
  readonly at?: readonly string[]
  /** Or from an instant on (epoch ms), again after so many seconds; 0: once. */
  readonly first?: number
  readonly intervalS?: number
  readonly how: SurveyHow
  readonly updatedAt: number
}

/** The attribute that holds a plan. */
export const planName = (kind: SurveyKind): string => `survey ${kind}`

export interface SurveyPage { readonly offset: number; readonly limit: number; readonly status?: Survey['status'] }

export interface Surveys {
  /** Accepts one; committed when this returns. `running`: one of its kind is not over yet. */
  start(wish: { readonly caller: Caller; readonly id: string; readonly kind: SurveyKind; readonly how: SurveyHow; readonly dueAt?: number }): Promise<Survey | Refusal | 'running'>
  /** Newest first. */
  list(projectId: string, id: string, kind: SurveyKind, page: SurveyPage): Promise<{ readonly total: number; readonly surveys: readonly Survey[] }>
  /** Of one project; null: there is none such. */
  get(projectId: string, kind: SurveyKind, surveyId: string): Promise<Survey | null>
  /** Drops it, and ends it when it is not over; answers what it was. */
  remove(wish: { readonly caller: Caller; readonly id: string; readonly kind: SurveyKind; readonly surveyId: string }): Promise<Survey | null>
  /** Keeps a plan with the instance. */
  plan(wish: { readonly caller: Caller; readonly id: string; readonly kind: SurveyKind; readonly plan: SurveyPlan }): Promise<Refusal | null>
}

/** Questions that are answered at once. A sentence when the instance cannot be asked from here. */
export interface Questions {
  slowCalls(projectId: string, id: string): Promise<readonly SlowCall[] | Refusal | string>
  sessions(projectId: string, id: string, nodeId: string): Promise<readonly Session[] | Refusal | string>
  /** Hangs up on these; with an audit row. */
  hangUp(wish: { readonly caller: Caller; readonly id: string; readonly nodeId: string; readonly addresses: readonly string[] }): Promise<number | Refusal | string>
}
