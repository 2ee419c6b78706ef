/** The API listeners in front of a control plane of memory: for wire forms only, never for what really happens.
 * Long, for it is one object with every method of the control plane, and most of them are a line. */
import { randomUUID } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { freeBase } from './server.ts'
import { listen, type Listening } from '../../src/api/server.ts'
import { builtInRoles, judge, type Role } from '../../src/core/policy.ts'
import { refusalOf } from '../../src/core/refusal.ts'
import { kafkaEngine } from '../../src/engines/kafka/index.ts'
import { redisEngine } from '../../src/engines/redis/index.ts'
import { planFor } from '../../src/operations/plan.ts'
import { statusOf } from '../../src/core/status.ts'
import type { Answer, ControlPlane, CreateWish, View } from '../../src/core/control-plane.ts'
import type { Engine } from '../../src/core/engine.ts'
import type { EngineName, Instance } from '../../src/core/instance.ts'
import type { Action, Operation } from '../../src/core/operation.ts'
import type { Identity, Project } from '../../src/api/identity.ts'

export const people = { user: 'admin', password: 'Test-Passw0rd', domain: 'sluice', accessKey: 'TESTACCESSKEY', secretKey: 'test-secret', region: 'eu-de' }
export const projectId = 'a'.repeat(32)
export const otherProjectId = 'b'.repeat(32)

export interface Ground {
  readonly listening: Listening
  readonly base: number
  /** Every wish that reached the control plane. */
  readonly wishes: unknown[]
  readonly errors: object[]
  readonly clock: { now: number }
  /** What the one user may do, in every project. */
  readonly may: { roles: readonly Role[] }
  /** An instance as if it had been there before; `open` is its unfinished action. */
  seed(engine: EngineName, more?: { status?: 'createfailed' | 'running' | 'error'; open?: Action; version?: string; project?: string; name?: string; /** Nodes of a replicated Redis, or brokers. */ replicas?: number }): string
  /** Makes every further wish fail like a database that is gone. */
  breakPlane(): void
  token(scope?: object): Promise<string>
  call(service: 'iam' | 'dcs' | 'dms' | 'network' | 'compute' | 'console', method: string, path: string, more?: { body?: string | Buffer; headers?: Record<string, string> }): Promise<Reply>
}
export interface Reply { readonly status: number; readonly headers: Record<string, string | string[] | undefined>; readonly rawHeaders: string[]; readonly text: string; readonly json: any }

/** What an engine says without asking a server. */
const engines: Readonly<Record<EngineName, Engine>> = { redis: redisEngine({ account: () => 'a', customer: () => null, open: (text: string) => text }, async () => '7.0.15'), kafka: kafkaEngine(() => '3.9.1') }

export async function ground(): Promise<Ground> {
  const instances = new Map<string, { instance: Instance; open: Operation | null; tasks: Operation[] }>()
  const wishes: unknown[] = []
  const errors: object[] = []
  const clock = { now: Date.parse('2026-11-21T09:45:00Z') }
  const may = { roles: builtInRoles.slice(0, 1) }
  let broken = false

  const operationOf = (instance: Instance, action: Action): Operation => ({
    id: randomUUID().replaceAll('-', ''), instanceId: instance.id, projectId: instance.projectId, action, generation: instance.generation, actor: people.user,
    createdAt: clock.now, startedAt: null, nextAt: clock.now, finishedAt: null, outcome: null, cause: null, memo: {}, cancelAt: null, holder: null,
  })
  const viewOf = ({ instance, open }: { instance: Instance; open: Operation | null }): View => {
    const nodes = Array.from({ length: instance.spec.nodeCount }, (_, n) => ({ id: `${instance.id}-${n}`, instanceId: instance.id, ordinal: n, host: 'h', address: `127.83.1.${n + 2}`, ports: { service: instance.engine === 'redis' ? 6379 : 9092 } }))
    return { instance, status: statusOf(instance, open), open, runsOn: instance.engine === 'redis' ? '7.0.15' : '3.9.1', nodes, roles: engines[instance.engine].roles?.(instance, nodes) ?? new Map(), facts: null }
  }
  const add = (wish: Omit<CreateWish, 'names'> & { name: string }, more: Partial<Instance>, open: Action | null): string => {
    const { password, ...spec } = wish.spec
    const instance: Instance = {
      id: randomUUID(), projectId: wish.caller.projectId, name: wish.name, engine: wish.engine, version: wish.version, runtime: 'process', host: 'h',
      spec: { ...spec, sealedPassword: password === null ? null : 'sealed' }, attributes: { ...wish.attributes, userId: wish.caller.userId, userName: wish.caller.userName }, tags: wish.tags,
      endpoints: {}, grants: {}, generation: 1, floor: 1, health: 'unknown', cause: null, readyAt: null, crashes: 0, createdAt: clock.now, updatedAt: clock.now, ...more,
    }
    const operation = open && operationOf(instance, open)
    instances.set(instance.id, { instance, open: operation, tasks: operation ? [operation] : [] })
    return instance.id
  }
  const inProject = (project: string, engine: EngineName) => [...instances.values()].filter((one) => one.instance.projectId === project && one.instance.engine === engine)

  const plane: ControlPlane = {
    async authority() { return 'PEM' },
    async hosts() { return [] }, async forgetHost() { return 'unknown' },
    // What really happens to backups is seen on a real server.
    webcli: { async login() { return { kind: 'no session' } }, async run() { return { kind: 'no session' } }, async logout() { return 'no session' } },
    accounts: { async change(_caller, id) { return { id, refusal: { kind: 'unknown' } } } },
    surveys: { async start() { return { kind: 'unknown' } }, async list() { return { total: 0, surveys: [] } }, async get() { return null }, async remove() { return null }, async plan() { return { kind: 'unknown' } } },
    questions: { async slowCalls() { return [] }, async sessions() { return [] }, async hangUp() { return 0 } },
    backups: {
      away: () => null,
      async backUp() { return { kind: 'unknown' } }, async list() { return { total: 0, backups: [] } }, async get() { return null }, async remove() { return 'unknown' },
      async file() { return null }, async restore() { return { kind: 'unknown' } }, async restores() { return { total: 0, restores: [] } }, async unusable() { return null },
    },
    async operations(project, filter) {
      return [...instances.values()].flatMap((one) => one.tasks).filter((task) => task.projectId === project && (filter.id === undefined || task.id === filter.id)).map((operation) => ({ operation, progress: null, nodes: {} }))
    },
    async logs() { return null },
    async statistics() { return [] },
    async quota(project, engine) { return { limit: null, used: { instances: inProject(project, engine).length, memoryGb: 0 } } },
    async setQuota() {},
    async tag(wish) {
      const one = inProject(wish.caller.projectId, wish.engine).find((each) => each.instance.id === wish.id)
      if (!one) return 'unknown'
      const tags = [...one.instance.tags.filter(({ key }) => !wish.add.some((tag) => tag.key === key) && !wish.remove.some((tag) => tag.key === key)), ...wish.add]
      if (tags.length > 20) return 'too many'
      one.instance = { ...one.instance, tags }
      return 'done'
    },
    async projectTags(project, engine) { return inProject(project, engine).flatMap((one) => one.instance.tags) },
    async projectTasks(project, engine, page) {
      const all = inProject(project, engine).flatMap((one) => one.tasks)
      return { total: all.length, tasks: all.slice(page.offset, page.offset + page.limit).map((operation) => ({ operation, progress: null, nodes: {} })) }
    },
    async dropTask(wish) { return inProject(wish.caller.projectId, wish.engine).some((one) => one.tasks.some((task) => task.id === wish.operationId)) ? 'open' : 'unknown' },
    async create(wish) {
      wishes.push(wish)
      if (broken) throw new Error('disk I/O error')
      return wish.names.map((name) => viewOf(instances.get(add({ ...wish, name }, {}, 'create'))!))
    },
    async submit(wish) {
      if (broken) throw new Error('disk I/O error')
      const found = new Map(inProject(wish.caller.projectId, wish.engine).map((one) => [one.instance.id, one]))
      return wish.ids.map((id): Answer => {
        const one = found.get(id)
        const refusal = one ? refusalOf(wish.action, one.instance, one.open, { flush: one.instance.version !== '3.0', swap: one.instance.spec.replicas > 1 }) : { kind: 'unknown' as const }
        if (refusal) return { id, refusal }
        if (wish.dryRun) return { id, plan: planFor(engines[wish.engine], one!.instance, viewOf(one!).nodes, { action: wish.action, joining: [], leaving: [] }) }
        const operation = operationOf(one!.instance, wish.action)
        wishes.push({ action: wish.action, id })
        one!.open = operation
        one!.tasks.unshift(operation)
        return { id, operation }
      })
    },
    async resize(wish) {
      const one = inProject(wish.caller.projectId, wish.engine).find((each) => each.instance.id === wish.id)
      const action = wish.leaving.length > 0 ? 'shrink' : 'extend'
      const refusal = one ? refusalOf(action, one.instance, one.open, { flush: false, swap: true }) : { kind: 'unknown' as const }
      if (refusal) return { id: wish.id, refusal }
      if (wish.dryRun) return { id: wish.id, plan: planFor(engines[wish.engine], one!.instance, viewOf(one!).nodes, { action, joining: [], leaving: wish.leaving }) }
      wishes.push({ action, id: wish.id, shards: wish.shards, replicas: wish.replicas, leaving: wish.leaving })
      one!.open = operationOf(one!.instance, action)
      one!.tasks.unshift(one!.open)
      return { id: wish.id, operation: one!.open }
    },
    async change(wish) {
      const one = inProject(wish.caller.projectId, wish.engine).find((each) => each.instance.id === wish.id)
      const refusal = one ? refusalOf(wish.action, one.instance, one.open, { flush: false, swap: true }) : { kind: 'unknown' as const }
      if (refusal) return { id: wish.id, refusal }
      if (wish.dryRun) return { id: wish.id, plan: planFor(engines[wish.engine], one!.instance, viewOf(one!).nodes, { action: wish.action, joining: [], leaving: [] }) }
      const { caller: _, ...rest } = wish
      wishes.push(rest)
      one!.open = operationOf(one!.instance, wish.action)
      one!.tasks.unshift(one!.open)
      return { id: wish.id, operation: one!.open }
    },
    async changePassword(wish) { return plane.change({ ...wish, action: 'password', spec: {}, detail: '' }) },
    async ended() { return null },
    templates: { async list() { return [] }, async create() { return randomUUID() }, async update() { return false }, async remove() { return false } },
    async update(wish) { wishes.push({ update: wish.name ?? null, ...wish.attributes }); return null },
    parameters: (engine, of) => engines[engine].parameters?.(of) ?? [],
    async prefer(wish) {
      const one = inProject(wish.caller.projectId, wish.engine).find((each) => each.instance.id === wish.id)!
      const refusal = refusalOf('swap', one.instance, one.open, { flush: false, swap: true })
      if (refusal) return refusal
      const grants = engines[wish.engine].prefer!(one.instance, viewOf(one).nodes, wish.nodeId, wish.priority)
      if (!grants) return 'fewer than two nodes would be left that may be master'
      wishes.push({ prefer: wish.nodeId, priority: wish.priority })
      one.instance = { ...one.instance, grants }
      return null
    },
    async forget(wish) {
      const task = inProject(wish.caller.projectId, wish.engine).flatMap((one) => one.tasks).find((each) => each.id === wish.operationId)
      return task ? 'open' : 'unknown'
    },
    async cancel(_caller, id) { return { '1': 'ended', '2': 'impossible', '3': 'requested' }[id[0]!] as 'requested' | undefined ?? 'unknown' },
    async deleteFailed(wish) {
      const failed = inProject(wish.caller.projectId, wish.engine).filter((one) => viewOf(one).status === 'createfailed')
      return plane.submit({ ...wish, action: 'delete', ids: failed.map((one) => one.instance.id) })
    },
    async list(project, filter) {
      const all = inProject(project, filter.engine).map(viewOf).filter((view) => view.status !== 'deleting' && (filter.includeFailed || view.status !== 'createfailed')
        && (filter.attribute === undefined || view.instance.attributes[filter.attribute.name] === filter.attribute.value)
        && (filter.name === undefined || view.instance.name.includes(filter.name)) && (filter.status === undefined || filter.status === view.status))
      return { total: all.length, views: all.slice(filter.offset, filter.offset + filter.limit) }
    },
    async count(project, engine) {
      return new Map([...Map.groupBy(inProject(project, engine).map(viewOf), (view) => view.status)].map(([status, views]) => [status, views.length]))
    },
    async get(project, engine, id) {
      if (broken) throw new Error('disk I/O error')
      const one = inProject(project, engine).find((each) => each.instance.id === id)
      return one ? viewOf(one) : null
    },
    async tasks(project, engine, id, page) {
      const one = inProject(project, engine).find((each) => each.instance.id === id)
      if (!one) return null
      const all = one.tasks.filter((task) => task.createdAt >= (page.from ?? 0) && task.createdAt <= (page.to ?? Infinity) && (page.id === undefined || task.id === page.id) && (page.action === undefined || task.action === page.action))
      return { total: all.length, tasks: all.slice(page.offset, page.offset + page.limit).map((operation) => ({ operation, progress: null, nodes: {} })) }
    },
    async nodes(project, { engine, instanceId } = {}) {
      const views = [...instances.values()].filter(({ instance }) => instance.projectId === project && instance.engine === (engine ?? instance.engine) && instance.id === (instanceId ?? instance.id)).map(viewOf)
      return views.flatMap((view) => view.nodes.map((node) => ({ view, node, role: view.roles.get(node.id) ?? null, leaving: false, report: { id: node.id, phase: 'running' as const, observedGeneration: 1, identity: { pid: 4711, startedAt: '1' }, logPath: '/log', residentBytes: 1 } })))
    },
  }

  const base = await freeBase()
  const listening = await listen({
    config: { host: '127.0.0.1', port: base, publicHost: '127.0.0.1', tls: null, metricsToken: null, rateLimit: 0, identity: { region: people.region } }, plane, identity: identityOf(may), records: { async known() { return new Map() } } as never,
    log: { info() {}, warn() {}, error(fields) { errors.push(fields) } }, now: () => clock.now, down: () => { wishes.push('down') },
  })
  const offsets = { iam: 0, dcs: 1, dms: 2, network: 3, compute: 4, console: 5 }

  const self: Ground = {
    listening, base, wishes, errors, clock, may,
    seed(engine, { status = 'running', open, version, project = projectId, name = 'seeded', replicas = 1 } = {}) {
      const facts = { readyAt: status === 'createfailed' ? null : clock.now, health: status === 'running' ? 'healthy' as const : 'unhealthy' as const }
      return add({
        caller: { projectId: project, userId: 'u', userName: people.user }, engine, name, version: version ?? (engine === 'redis' ? '7.0' : '2.7'), tags: [],
        spec: { flavor: engine === 'kafka' ? (replicas > 1 ? 'c6.2u4g.cluster' : 'c6.2u4g.single') : replicas > 1 ? `redis.ha.xu1.tiny.r${replicas}.128` : 'redis.single.xu1.tiny.128', memoryBytes: 128 * 1024 ** 2, topology: replicas === 1 ? 'single' : engine === 'kafka' ? 'cluster' : 'ha', shards: 1, replicas, nodeCount: replicas, port: null, parameters: {}, renamedCommands: {}, password: 'x' },
        attributes: { capacity: 0.125, azCodes: ['eu-de-01'], storagePerBroker: 100 },
      }, facts, open ?? null)
    },
    breakPlane() { broken = true },
    async token(scope = { project: { id: projectId } }) {
      const body = JSON.stringify({ auth: { identity: { methods: ['password'], password: { user: { name: people.user, password: people.password, domain: { name: people.domain } } } }, scope } })
      const r = await self.call('iam', 'POST', '/v3/auth/tokens', { body, headers: { 'content-type': 'application/json' } })
      return String(r.headers['x-subject-token'])
    },
    call(service, method, path, { body, headers = {} } = {}) {
      return new Promise((resolve, reject) => {
        const bytes = body === undefined ? undefined : Buffer.from(body)
        const r = httpRequest({ host: '127.0.0.1', port: base + offsets[service], method, path, headers: { ...headers, ...(bytes ? { 'content-length': String(bytes.length) } : {}) } }, (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString()
            let json: unknown
            try { json = JSON.parse(text) } catch { /* some answers are empty */ }
            resolve({ status: response.statusCode!, headers: response.headers, rawHeaders: response.rawHeaders, text, json })
          })
        })
        r.on('error', reject)
        r.end(bytes)
      })
    },
  }
  return self
}

function identityOf(may: Ground['may']): Identity {
  const domain = { id: 'd'.repeat(32), name: people.domain }
  const user = { id: 'c'.repeat(32), name: people.user, domain }
  const projects: Project[] = [{ id: projectId, name: people.region, domainId: domain.id }, { id: otherProjectId, name: 'eu-de_other', domainId: domain.id }, { id: 'e'.repeat(32), name: 'foreign', domainId: 'another' }]
  const of = (domainId: string): Project[] => projects.filter((project) => project.domainId === domainId)
  const key = Buffer.alloc(32, 7)
  const revoked = new Set<string>()
  return {
    tokenKeys: { of: () => key, all: [key] },
    async refresh() {},
    holds: (facts) => !revoked.has(facts.id!),
    async revoke(facts) { revoked.add(facts.id!) },
    epoch: () => 0,
    roles: () => may.roles.map((role) => role.name),
    async authenticate(named, inDomain, password) {
      const right = 'id' in named ? named.id === user.id : named.name === user.name && inDomain !== null && ('id' in inDomain ? inDomain.id === domain.id : inDomain.name === domain.name)
      return right && password === people.password ? user : null
    },
    user: (id) => id === user.id ? user : null,
    accessKey: (id) => id === people.accessKey ? { secret: people.secretKey, user } : null,
    async projects(one) { return of(one.domain.id) },
    async project(id) { return projects.find((project) => project.id === id) ?? null },
    judge: (_userId, _projectId, action) => judge(may.roles, action),
    async createProject({ domain: { id: domainId } }, name) {
      if (of(domainId).some((project) => project.name === name)) return null
      const project = { id: randomUUID().replaceAll('-', ''), name, domainId }
      projects.push(project)
      return project
    },
  }
}
