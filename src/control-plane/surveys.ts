/** The use cases of looking into instances that serve: surveys that take their time, and questions that are answered at once. */
import { randomUUID } from 'node:crypto'
import { appendAudit } from '../store/audit.ts'
import { deleteSurvey, insertSurvey, surveyById, surveysOf } from '../store/surveys.ts'
import { lockedInstances, nodesOf, projectInstances, setSpec } from '../store/instances.ts'
import { openOperationsOf } from '../store/operations.ts'
import { onlyLooking } from '../operations/converge.ts'
import { transact, type Database } from '../store/database.ts'
import { isWithin, type EngineName, type Instance, type NodeRecord, type RuntimeName } from '../core/instance.ts'
import { planName, type Questions, type Surveys } from '../core/surveys.ts'
import { statusOf } from '../core/status.ts'
import type { Desk, Survey, SurveyKind } from '../core/desk.ts'
import type { Engine, World } from '../core/engine.ts'
import type { Operation } from '../core/operation.ts'
import type { Refusal } from '../core/refusal.ts'
import type { Runtime } from '../core/runtime.ts'

export interface SurveyParts {
  readonly db: Database
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly runtimes: Readonly<Record<RuntimeName, Runtime>>
  readonly host: string
  readonly nudge: () => void
}

/** Servers are looked into while they serve; what else is done to the instance then is no hindrance. */
export function stateRefusal(instance: Instance, open: Operation | null): Refusal | null {
  const status = statusOf(instance, open)
  if (status === 'running') return null
  return open ? { kind: 'busy', status, action: open.action } : { kind: 'state', status }
}

export function surveys({ db, engines, nudge }: SurveyParts): Surveys {
  const unsupported = (instance: Instance, kind: SurveyKind): Refusal | null => {
    const { desk } = engines[instance.engine]
    const reason = desk ? desk.unsurveyable(instance, kind) : 'this engine cannot be looked into'
    return reason === null ? null : { kind: 'unsupported', reason }
  }
  return {
    async start({ caller, id, kind, how, dueAt }) {
      const now = Date.now()
      const answer = await transact(db, async (tx): Promise<Survey | Refusal | 'running'> => {
        const [instance] = await lockedInstances(tx, caller.projectId, 'redis', [id])
        if (!instance) return { kind: 'unknown' }
        const refusal = unsupported(instance, kind) ?? stateRefusal(instance, (await openOperationsOf(tx, [id])).get(id) ?? null)
        if (refusal) return refusal
        const survey: Survey = { id: randomUUID(), instanceId: id, kind, how, scan: dueAt === undefined ? 'manual' : 'auto', status: 'waiting', progress: 0, cause: null, result: null, createdAt: now, startedAt: null, finishedAt: null }
        if (!await insertSurvey(tx, survey, caller.projectId, dueAt ?? null)) return 'running'
        await appendAudit(tx, [{ at: now, actor: caller.userName, projectId: caller.projectId, action: `${kind}.accepted`, instanceId: id, operationId: '', detail: survey.id }])
        return survey
      })
      nudge()
      return answer
    },
    async list(projectId, id, kind, page) {
      const [instance] = await projectInstances(db, projectId, 'redis', [id])
      return instance ? surveysOf(db, id, kind, page) : { total: 0, surveys: [] }
    },
    get: (projectId, kind, surveyId) => surveyById(db, projectId, kind, surveyId),
    async remove({ caller, id, kind, surveyId }) {
      return transact(db, async (tx) => {
        const [instance] = await lockedInstances(tx, caller.projectId, 'redis', [id])
        const survey = instance ? await surveyById(tx, caller.projectId, kind, surveyId) : null
        if (!survey || survey.instanceId !== id) return null
        await deleteSurvey(tx, surveyId)
        await appendAudit(tx, [{ at: Date.now(), actor: caller.userName, projectId: caller.projectId, action: `${kind}.deleted`, instanceId: id, operationId: '', detail: surveyId }])
        return survey
      })
    },
    async plan({ caller, id, kind, plan }) {
      return transact(db, async (tx) => {
        const [instance] = await lockedInstances(tx, caller.projectId, 'redis', [id])
        if (!instance) return { kind: 'unknown' }
        const refusal = plan.enabled ? unsupported(instance, kind) : null
        if (refusal) return refusal
        await setSpec(tx, id, { spec: instance.spec, attributes: { ...instance.attributes, [planName(kind)]: plan } }, instance.updatedAt)
        await appendAudit(tx, [{ at: plan.updatedAt, actor: caller.userName, projectId: caller.projectId, action: `${kind}.planned`, instanceId: id, operationId: '', detail: plan.enabled ? JSON.stringify({ at: plan.at, first: plan.first, every: plan.intervalS }) : 'off' }])
        return null
      })
    },
  }
}

export function questions({ db, engines, runtimes, host }: SurveyParts): Questions {
  /** Asks the instance's servers, or says why not. */
  async function ask<T>(projectId: string, id: string, question: (desk: Desk, world: World) => Promise<T>): Promise<T | Refusal | string> {
    const [instance] = await projectInstances(db, projectId, 'redis', [id])
    if (!instance) return { kind: 'unknown' }
    const { desk } = engines[instance.engine]
    if (!desk) return { kind: 'unsupported', reason: 'this engine cannot be asked' }
    const refusal = stateRefusal(instance, (await openOperationsOf(db, [id])).get(id) ?? null)
    if (refusal) return refusal
    if (!isWithin(instance.host, host)) return 'another machine runs this instance: ask the control plane there'
    const world = await onlyLooking(instance, (await nodesOf(db, [id])).get(id) ?? [], runtimes[instance.runtime])
    try { return await question(desk, world) } catch (error) { return `its servers do not answer: ${(error as Error).message}` }
  }
  const nodeOf = (world: World, nodeId: string): NodeRecord => {
    const node = world.nodes.find((one) => one.id === nodeId)
    if (!node) throw new Error('there is no such node any more')
    return node
  }
  return {
    slowCalls: (projectId, id) => ask(projectId, id, (desk, world) => desk.slowCalls(world)),
    sessions: (projectId, id, nodeId) => ask(projectId, id, (desk, world) => desk.sessions(world, nodeOf(world, nodeId))),
    async hangUp({ caller, id, nodeId, addresses }) {
      const answer = await ask(caller.projectId, id, async (desk, world) => {
        // Who wished it is on record before it happens.
        await transact(db, (tx) => appendAudit(tx, [{ at: Date.now(), actor: caller.userName, projectId: caller.projectId, action: 'clients.killed', instanceId: id, operationId: '', detail: `${nodeId} ${addresses.join(' ')}`.slice(0, 1000) }]))
        return desk.hangUp(world, nodeOf(world, nodeId), addresses)
      })
      return answer
    },
  }
}
