/** `sluice user`, `role`, `project`: who may do what, and where. */
import { randomBytes } from 'node:crypto'
import { text as readAll } from 'node:stream/consumers'
import { Option, type Command } from 'commander'
import { Complaint, connect, type Client } from '../client.ts'
import { confirm, print, table } from '../output.ts'

interface Project { readonly id: string; readonly name: string }
interface Held { readonly role: string; readonly project_id: string | null; readonly project: string | null }
interface Member { readonly id: string; readonly name: string; readonly description: string; readonly created_at: number | null; readonly access_keys: number; readonly roles: readonly Held[] }

export function addPeopleCommands(program: Command): void {
  addUserCommands(program.command('user').description('users: who may sign in'))
  addKeyCommands((program.commands.find((command) => command.name() === 'user')!).command('keys').description('access keys, with which a user signs requests'))
  addRoleCommands(program.command('role').description('roles: what their users may do'))
  addProjectCommands(program.command('project').description('projects: tenants, each with its own instances'))
}

function addUserCommands(group: Command): void {
  group.command('list').description('users and their roles').option('--json', 'print JSON').action(async (flags: { json?: boolean }) => {
    const { users } = await (await connect(process.env)).call<{ users: Member[] }>('console', 'GET', '/v1/users')
    if (flags.json) return print(users)
    console.log(table(users.map((user) => ({ ...user, keys: user.access_keys, roles: user.roles.map(told).join(', ') || '-' })), ['name', 'roles', 'keys', 'description', 'id']))
  })
  group.command('show <user>').description('one user').action(async (user: string) => print((await (await connect(process.env)).call('console', 'GET', `/v1/users/${encodeURIComponent(user)}`)).user))
  password(group.command('create <name>').description('a new user; without a role it may do nothing'))
    .option('--role <role>', 'a role, as "sluice role list" shows them; may be said again', (role: string, all: string[]) => [...all, role], [])
    .option('--project <project>', 'where these roles count, by name or id; left out: in all projects')
    .option('--description <text>', 'for people', '')
    .action(async (name: string, flags: { role: string[]; project?: string; description: string; passwordStdin?: boolean }) => {
      const client = await connect(process.env)
      const [projectId, secret] = [await projectOf(client, flags.project), await newPassword(flags)]
      const { user } = await client.call<{ user: Member }>('console', 'POST', '/v1/users', { name, password: secret.text, description: flags.description, roles: flags.role.map((role) => ({ role, project_id: projectId })) })
      console.log(`${user.name}  ${user.roles.map(told).join(', ') || 'no role yet'}  ${user.id}`)
      if (secret.made) console.log(`password: ${secret.text}`)
    })
  password(group.command('set-password <user>').description('another password; every token of the user ends')).action(async (user: string, flags: { passwordStdin?: boolean }) => {
    const client = await connect(process.env)
    const secret = await newPassword(flags)
    await client.call('console', 'PUT', `/v1/users/${encodeURIComponent(user)}/password`, { password: secret.text })
    console.log(secret.made ? `password: ${secret.text}` : `${user} has another password`)
  })
  group.command('grant <user> <role>').description('let a user do what a role allows').option('--project <project>', 'in this project only').action(async (user: string, role: string, flags: { project?: string }) => {
    const client = await connect(process.env)
    await client.call('console', 'POST', `/v1/users/${encodeURIComponent(user)}/roles`, { role, project_id: await projectOf(client, flags.project) })
    console.log(`${user} is ${role} in ${flags.project ?? 'all projects'}`)
  })
  group.command('withdraw <user> <role>').description('take a role back').option('--project <project>', 'the one that it was granted for').action(async (user: string, role: string, flags: { project?: string }) => {
    const client = await connect(process.env)
    const projectId = await projectOf(client, flags.project)
    await client.call('console', 'DELETE', `/v1/users/${encodeURIComponent(user)}/roles/${encodeURIComponent(role)}${projectId === null ? '' : `?project_id=${projectId}`}`)
    console.log(`${user} is no longer ${role} in ${flags.project ?? 'all projects'}`)
  })
  sure(group.command('delete <user>').description('with its tokens, roles and keys')).action(async (user: string, flags: { yes?: boolean }) => {
    const client = await connect(process.env)
    await agreed(`Delete the user ${user}, with tokens, roles and keys?`, flags)
    await client.call('console', 'DELETE', `/v1/users/${encodeURIComponent(user)}`)
    console.log(`${user} is deleted`)
  })
}

function addKeyCommands(group: Command): void {
  group.command('list <user>').description('the keys of a user, without their secrets').option('--json', 'print JSON').action(async (user: string, flags: { json?: boolean }) => {
    const { keys } = await (await connect(process.env)).call<{ keys: { access_key: string; description: string; created_at: number | null }[] }>('console', 'GET', `/v1/users/${encodeURIComponent(user)}/keys`)
    if (flags.json) return print(keys)
    console.log(table(keys.map((key) => ({ ...key, created: key.created_at === null ? '-' : new Date(key.created_at).toISOString() })), ['access_key', 'created', 'description']))
  })
  group.command('create <user>').description('a new key; its secret is told once').option('--description <text>', 'for people', '').action(async (user: string, flags: { description: string }) => {
    const made = await (await connect(process.env)).call<{ access_key: string; secret_key: string }>('console', 'POST', `/v1/users/${encodeURIComponent(user)}/keys`, flags)
    console.log(`access key: ${made.access_key}\nsecret key: ${made.secret_key}`)
  })
  sure(group.command('delete <user> <key>').description('requests that are signed with it are refused at once')).action(async (user: string, key: string, flags: { yes?: boolean }) => {
    const client = await connect(process.env)
    await agreed(`Delete the access key ${key} of ${user}?`, flags)
    await client.call('console', 'DELETE', `/v1/users/${encodeURIComponent(user)}/keys/${encodeURIComponent(key)}`)
    console.log(`${key} is deleted`)
  })
}

function addRoleCommands(group: Command): void {
  const several = (text: string, all: string[]): string[] => [...all, text]
  group.command('list').description('roles and their rules').option('--json', 'print JSON').action(async (flags: { json?: boolean }) => {
    const { roles } = await (await connect(process.env)).call<{ roles: { name: string; description: string; rules: { effect: string; actions: string[] }[] }[] }>('console', 'GET', '/v1/roles')
    if (flags.json) return print(roles)
    console.log(table(roles.map((role) => ({ ...role, rules: role.rules.map((rule) => `${rule.effect} ${rule.actions.join(' ')}`).join('; ') })), ['name', 'rules', 'description']))
  })
  group.command('actions').description('what rules are about: every action that some route asks for').action(async () => console.log((await (await connect(process.env)).call<{ actions: string[] }>('console', 'GET', '/v1/actions')).actions.join('\n')))
  group.command('write <name>').description('a new role, or other rules for one').option('--allow <action>', 'as dcs:instance:modifyStatus; * stands for any text; may be said again', several, [])
    .option('--deny <action>', 'wins over everything that allows it', several, []).option('--description <text>', 'for people', '')
    .action(async (name: string, flags: { allow: string[]; deny: string[]; description: string }) => {
      const rules = [{ effect: 'allow', actions: flags.allow }, { effect: 'deny', actions: flags.deny }].filter((rule) => rule.actions.length > 0)
      if (rules.length === 0) throw new Complaint('say what the role allows: --allow, --deny', 2)
      await (await connect(process.env)).call('console', 'PUT', `/v1/roles/${encodeURIComponent(name)}`, { description: flags.description, rules })
      console.log(`${name}  ${rules.map((rule) => `${rule.effect} ${rule.actions.join(' ')}`).join('; ')}`)
    })
  sure(group.command('delete <name>').description('a role that nobody has')).action(async (name: string, flags: { yes?: boolean }) => {
    const client = await connect(process.env)
    await agreed(`Delete the role ${name}?`, flags)
    await client.call('console', 'DELETE', `/v1/roles/${encodeURIComponent(name)}`)
    console.log(`${name} is deleted`)
  })
}

function addProjectCommands(group: Command): void {
  const projects = async (client: Client): Promise<Project[]> => (await client.call<{ projects: Project[] }>('console', 'GET', '/v1/projects')).projects
  group.command('list').description('projects in which this user has a role').option('--json', 'print JSON').action(async (flags: { json?: boolean }) => {
    const all = await projects(await connect(process.env))
    if (flags.json) return print(all)
    console.log(table(all.map((project) => ({ ...project })), ['name', 'id']))
  })
  group.command('show <project>').description('one project, by name or id').action(async (project: string) => {
    const client = await connect(process.env)
    const id = await projectOf(client, project)
    print((await projects(client)).find((one) => one.id === id))
  })
  group.command('create <name>').description('a new tenant').action(async (name: string) => {
    const { project } = await (await connect(process.env)).call<{ project: Project }>('console', 'POST', '/v1/projects', { name })
    console.log(`${project.name}  ${project.id}`)
  })
  sure(group.command('delete <project>').description('a project without instances')).action(async (project: string, flags: { yes?: boolean }) => {
    const client = await connect(process.env)
    const id = await projectOf(client, project)
    await agreed(`Delete the project ${project}?`, flags)
    await client.call('console', 'DELETE', `/v1/projects/${id}`)
    console.log(`${project} is deleted`)
  })
}

function told({ role, project, project_id: id }: Held): string { return id === null ? role : `${role} in ${project ?? id}` }

/** The id of a project that is given by its name or id; null when none is given. Throws a Complaint when there is none. */
export async function projectOf(client: Client, given: string | undefined): Promise<string | null> {
  if (given === undefined) return null
  const { projects } = await client.call<{ projects: Project[] }>('console', 'GET', '/v1/projects')
  const project = projects.find((one) => one.name === given || one.id === given)
  if (!project) throw new Complaint(`there is no project ${given}: "sluice project list" shows them`)
  return project.id
}

/** Never from an argument, which every process of the machine can read. */
function password(command: Command): Command {
  return command.addOption(new Option('--password-stdin', 'read the password from standard input; otherwise one is made up and printed'))
}

async function newPassword({ passwordStdin }: { passwordStdin?: boolean }): Promise<{ readonly text: string; readonly made: boolean }> {
  return passwordStdin ? { text: (await readAll(process.stdin)).replace(/\r?\n$/, ''), made: false } : { text: randomBytes(18).toString('base64url'), made: true }
}

function sure(command: Command): Command { return command.option('-y, --yes', 'do not ask') }

async function agreed(question: string, { yes }: { yes?: boolean }): Promise<void> {
  if (!yes && !await confirm(question)) throw new Complaint(process.stdin.isTTY ? 'nothing was done' : 'nothing was done: say --yes without a terminal', 3)
}
