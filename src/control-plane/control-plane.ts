/** The use cases: create, submit, list, show. Each wish, its generation and its audit row are one transaction. */
import { randomUUID } from 'node:crypto'
import { appendAudit } from '../store/audit.ts'
import { openOperations, operationsOf, projectOperations } from '../store/operations.ts'
import { backups } from './backups.ts'
import { webCli } from './webcli.ts'
import { accounts } from './accounts.ts'
import { certificateAuthority } from '../authority.ts'
import { questions, surveys } from './surveys.ts'
import { changes } from './changes.ts'
import { exceeds, holdings } from './holdings.ts'
import { factsDesk } from './facts.ts'
import { hosts } from './hosts.ts'
import { leavingNodes } from '../operations/shrink.ts'
import { mib, placed, placeEndpoints, placeNodes } from './places.ts'
import { resize } from './resize.ts'
import { acceptedOperation, submit } from './submit.ts'
import { settings } from './settings.ts'
import { instanceFinder } from '../store/listing.ts'
import { holdProject } from '../store/projects.ts'
import { shownById, shownByIds, shownOfProject, type Shown } from '../store/shown.ts'
import { insertInstances, nodesOf, projectInstances, tally } from '../store/instances.ts'
import { takenAddresses } from '../store/places.ts'
import { templates } from '../store/templates.ts'
import { heardHosts } from '../store/control-planes.ts'
import { snapshot, transact, type Database } from '../store/database.ts'
import { statusOf, type Status } from '../core/status.ts'
import type { Vault } from '../core/backups.ts'
import type { Addresses } from '../core/addresses.ts'
import type { ControlPlane, CreateRefusal, CreateWish, TaskView, View } from '../core/control-plane.ts'
import type { Engine, Facts } from '../core/engine.ts'
import { addressesOf, clusterHost, isWithin, type EngineName, type Instance, type NodeRecord, type RuntimeName } from '../core/instance.ts'
import type { Operation } from '../core/operation.ts'
import type { NodeReport, Runtime } from '../core/runtime.ts'
import type { Worker } from '../operations/worker.ts'

export interface PlaneParts {
  readonly db: Database
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly runtimes: Readonly<Record<RuntimeName, Runtime>>
  readonly addresses: Readonly<Record<RuntimeName, Addresses>>
  /** Of new instances. */
  readonly runtime: RuntimeName
  readonly vault: Vault
  /** Called when a survey was accepted. */
  readonly surveyed?: () => void
  readonly host: string
  /** Memory that this machine could give to new processes now, in bytes. */
  readonly available: () => number
  readonly seal: (text: string) => string
  /** The other way; throws when it was sealed with another key. */
  readonly open: (sealed: string) => string
  readonly worker: Pick<Worker, 'nudge' | 'progress' | 'cancel'>
}

export function controlPlane({ db, engines, runtimes, addresses, runtime, vault, host, available, seal, open, worker, surveyed = () => {} }: PlaneParts): ControlPlane {
  /**
   * Addresses are looked for before the transaction, which awaits nothing else; whoever places takes turns so that two
   * never find the same. Another control plane of this host may, and the one whose commit comes later looks again.
   */
  let placing: Promise<unknown> = Promise.resolve()
  const desk = factsDesk({ engines, runtimes })
  const findInstances = instanceFinder()
  const authority = certificateAuthority({ db, seal, open })
  const isOurs = (place: string): boolean => isWithin(place, host)
  function inTurn<T>(place: () => Promise<T>): Promise<T> {
    const turn = placing.then(() => placed(place))
    placing = turn.catch(() => {})
    return turn
  }

  async function create(wish: CreateWish): Promise<View[] | CreateRefusal> {
    const now = Date.now()
    const taken = await takenAddresses(db, host)
    const made: { instance: Instance; nodes: NodeRecord[]; operationId: string }[] = []
    const { password, ...spec } = wish.spec
    const never = wish.tls ? runtimes[runtime].cannot?.('ssl') ?? null : null
    if (never !== null) return { kind: 'no tls', reason: never }
    // What is not installed at all, or cannot run, is for the creation to find out and to tell.
    const version = await engines[wish.engine].runsOn(wish.version, runtime).catch(() => undefined)
    if (version === null) return { kind: 'no version', reason: `the installed ${wish.engine} cannot stand in for version ${wish.version}` }
    // A flavor is a ceiling, so what counts is what the engine needs to start at all.
    const needed = engines[wish.engine].leastMemoryBytes * spec.nodeCount * wish.names.length
    // A cluster's scheduler knows its machines, and we do not.
    if (runtime === 'process' && needed > available()) return { kind: 'no room', reason: `${mib(needed)} MiB of memory are needed to start and ${mib(available())} MiB are available: ${mib(needed - available())} MiB are missing` }
    const sealedPassword = password === null ? null : seal(password)
    for (const name of wish.names) {
      const id = randomUUID()
      const placing = { engine: engines[wish.engine], addresses: addresses[runtime], host: hostOf(runtime, host), taken }
      const endpoints = await placeEndpoints(placing, spec, wish.address)
      if (typeof endpoints === 'string') return { kind: wish.address === undefined ? 'no room' : 'address', reason: endpoints }
      const nodes = await placeNodes(placing, id, spec, Array.from({ length: spec.nodeCount }, (_, n) => n), Object.keys(endpoints).length === 0 ? wish.address : undefined)
      if (typeof nodes === 'string') return { kind: wish.address === undefined ? 'no room' : 'address', reason: nodes }
      const instance: Instance = {
        id, projectId: wish.caller.projectId, name, engine: wish.engine, version: wish.version, runtime, host: hostOf(runtime, host),
        spec: { ...spec, sealedPassword, ...wish.tls ? { tls: await authority.issue(id, addressesOf({ endpoints }, nodes)) } : {} }, endpoints, grants: {}, attributes: { ...wish.attributes, userId: wish.caller.userId, userName: wish.caller.userName }, tags: wish.tags,
        generation: 1, floor: 1, health: 'unknown', cause: null, readyAt: null, crashes: 0, createdAt: now, updatedAt: now,
      }
      made.push({ instance, nodes, operationId: newId() })
    }
    const capacity = Number(wish.attributes['capacity'] ?? 0)
    const excess = await transact(db, async (tx) => {
      // Deleted since the caller was let in: an instance of no project would be nobody's to delete.
      if (!await holdProject(tx, wish.caller.projectId)) throw new Error(`the project ${wish.caller.projectId} was deleted`)
      const tooMuch = await exceeds(tx, wish.engine, wish.caller.projectId, { instances: made.length, memoryGb: capacity * made.length })
      if (tooMuch) return tooMuch
      await insertInstances(tx, made.map((m) => m.instance), made.flatMap((m) => m.nodes))
      await openOperations(tx, made.map((m) => ({ id: m.operationId, instance: m.instance, action: 'create', generation: 1, actor: wish.caller.userName, at: now })))
      await appendAudit(tx, made.map((m) => ({ at: now, actor: wish.caller.userName, projectId: wish.caller.projectId, action: 'create.accepted', instanceId: m.instance.id, operationId: m.operationId, detail: `${wish.engine} ${wish.version} ${spec.flavor}` })))
      return null
    })
    if (excess) return excess
    worker.nudge()
    const ids = made.map((m) => m.instance.id)
    const all = new Map((await views(await shownByIds(db, ids))).map((view) => [view.instance.id, view]))
    return ids.flatMap((id) => all.get(id) ?? [])
  }

  async function accept(wish: Parameters<ControlPlane['submit']>[0]): ReturnType<ControlPlane['submit']> {
    const answers = await submit({ db, engines, newId }, wish)
    if (!wish.dryRun) worker.nudge()
    return answers
  }

  async function views(found: readonly Shown[]): Promise<View[]> {
    // This host is heard of: we are on it.
    const heard = found.some(({ instance }) => !isOurs(instance.host)) ? await heardHosts(db, Date.now()) : new Set<string>()
    // A server that cannot be found is told by the creation that needs it, not by everything that shows an instance.
    const runsOn = new Map<string, Promise<string | null>>()
    return Promise.all(found.map(async ({ instance, open, nodes }) => {
      const key = `${instance.engine} ${instance.version} ${instance.runtime}`
      if (!runsOn.has(key)) runsOn.set(key, engines[instance.engine].runsOn(instance.version, instance.runtime).catch(() => null))
      return viewOf(engines[instance.engine], instance, open, nodes, await runsOn.get(key)!, !isOurs(instance.host) && !heard.has(instance.host), desk.last(instance.id))
    }))
  }

  function taskView(operation: Operation): TaskView {
    const running = operation.finishedAt === null ? worker.progress(operation.id) : null
    const holder = operation.finishedAt === null && !running ? operation.holder : null
    // Where it stands is known to whoever works on it; that somebody does is known to all.
    const elsewhere = holder && holder.until >= Date.now() ? `the control plane ${holder.owner.split(':', 2).join(':')} works on it` : null
    return { operation, progress: running?.text || elsewhere, nodes: running?.nodes ?? {} }
  }

  const measure = async (instance: Instance, nodes: readonly NodeRecord[]): Promise<Facts | null> => isOurs(instance.host) ? (await desk.ask([{ instance, nodes }])).get(instance.id) ?? null : null

  return {
    create: (wish) => inTurn(() => create(wish)),
    submit: accept,
    resize(wish) {
      return inTurn(async () => {
        const answer = await resize({ db, authority, engine: engines[wish.engine], addresses, host, available, accepted: acceptedOperation, newId, measure }, wish)
        worker.nudge()
        return answer
      })
    },
    ...settings({
      db, authority, engines, runtimes, addresses, host, seal, open, worker, measure,
      accepted: acceptedOperation, newId,
    }),
    templates: templates(db),
    ...changes({ db, engines, worker }),
    ...holdings({ db, taskView }),
    ...hosts({ db, host }),
    surveys: surveys({ db, engines, runtimes, host, nudge: surveyed }),
    questions: questions({ db, engines, runtimes, host, nudge: surveyed }),
    accounts: accounts({ db, engine: engines.redis, seal, open, accepted: acceptedOperation, newId, nudge: worker.nudge }),
    webcli: webCli({ db, engines, runtimes, host }),
    authority: () => authority.certificate(),
    backups: backups({ db, engines, vault, host, nudge: worker.nudge }),
    async deleteFailed({ caller, engine, dryRun = false }) {
      const failed = (await views(await shownOfProject(db, caller.projectId, engine))).filter((view) => view.status === 'createfailed')
      return failed.length === 0 ? [] : accept({ caller, engine, action: 'delete', ids: failed.map((view) => view.instance.id), dryRun })
    },
    async list(projectId, filter) {
      const { total, found } = await snapshot(db, async (tx) => findInstances(tx, projectId, filter, [host, clusterHost, ...await heardHosts(tx, Date.now())]))
      return { total, views: await views(found) }
    },
    async count(projectId, engine) {
      const counts = new Map<Status, number>()
      for (const group of await tally(db, projectId, engine, [host, clusterHost, ...await heardHosts(db, Date.now())])) {
        const status = statusOf(group, group.open && { action: group.open }, group.silent)
        counts.set(status, (counts.get(status) ?? 0) + group.count)
      }
      return counts
    },
    async get(projectId, engine, id) {
      const found = await shownById(db, id)
      if (found?.instance.projectId !== projectId || found.instance.engine !== engine) return null
      const [view] = await views([found])
      return !view || view.status !== 'running' || !isOurs(view.instance.host) ? view ?? null : { ...view, facts: await desk.recall(view) }
    },
    async statistics(projectId, engine) {
      const running = (await views(await shownOfProject(db, projectId, engine))).filter((view) => view.status === 'running' && isOurs(view.instance.host))
      const found = await desk.ask(running)
      return running.flatMap((view) => found.has(view.instance.id) ? [{ view, facts: found.get(view.instance.id)! }] : [])
    },
    async tasks(projectId, engine, id, page) {
      const [instance] = await projectInstances(db, projectId, engine, [id])
      if (!instance) return null
      const { total, operations } = await operationsOf(db, id, page)
      return { total, tasks: operations.map(taskView) }
    },
    async operations(projectId, filter) {
      const operations = await projectOperations(db, projectId, filter)
      return operations.map(taskView)
    },
    async logs(projectId, id, how, nodeId) {
      const [instance] = await projectInstances(db, projectId, null, [id])
      if (!instance) return null
      if (!isOurs(instance.host)) return 'elsewhere'
      const nodes = (await nodesOf(db, [id])).get(id) ?? []
      const node = nodeId === undefined ? nodes[0] : nodes.find((one) => one.id === nodeId)
      return node ? runtimes[instance.runtime].logs(node.id, how) : null
    },
    async nodes(projectId, { engine, instanceId } = {}) {
      const found = instanceId === undefined ? await shownOfProject(db, projectId, engine ?? null) : [await shownById(db, instanceId)].filter((one) => one !== null)
      const all = await views(found.filter(({ instance }) => instance.projectId === projectId && (!engine || instance.engine === engine)))
      return Promise.all(all.flatMap((view) => {
        const leaving = view.open ? leavingNodes(view.open.memo) : []
        return view.nodes.map(async (node) => ({ view, node, role: view.roles.get(node.id) ?? null, leaving: leaving.includes(node.id), report: isOurs(node.host) ? await runtimes[view.instance.runtime].report(view.instance.id, node.id) : notHere(node.id) }))
      }))
    },
  }
}

function viewOf(engine: Engine, instance: Instance, open: Operation | null, nodes: readonly NodeRecord[], runsOn: string | null, hostIsSilent: boolean, facts: Facts | null): View {
  return { instance, status: statusOf(instance, open, hostIsSilent), nodes, roles: engine.roles?.(instance, nodes) ?? new Map(), open, runsOn, facts }
}

/** Where the nodes of a new instance belong. */
export function hostOf(runtime: RuntimeName, host: string): string { return runtime === 'kubernetes' ? clusterHost : host }

function notHere(id: string): NodeReport { return { id, phase: 'unknown', observedGeneration: null, identity: null, logPath: null, residentBytes: null } }

function newId(): string { return randomUUID().replaceAll('-', '') }
