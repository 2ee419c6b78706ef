/** The command line of the web: log in with the instance's password, run single commands, log out. */
import { bodyOf, idOf, instanceOf, unknown, type Row } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { refusalCode } from './batch.ts'
import { isAbsent, isText, numberIn, type Body } from '../json.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import type { CliRefusal } from '../../core/webcli.ts'
import type { ControlPlane } from '../../core/control-plane.ts'

const path = '/v2/:project_id/instances/:instance_id/webcli'

export const webCliRows: readonly Row[] = [
  ['POST', `${path}/auth`, 'dcs:instance:webcli', login],
  ['POST', `${path}/command`, 'dcs:instance:webcli', run],
  ['POST', `${path}/logout`, 'dcs:instance:webcli', logout],
]

const noSession = refused('DCS.4062', 'client_id', 'there is no such session, or it is over: log in again')

function told(refusal: CliRefusal): Refused {
  switch (refusal.kind) {
    case 'wrong password': return refused('DCS.4080')
    case 'locked': return refused('DCS.4080', undefined, `locked for ${Math.ceil(refusal.forMs / 60_000)} more minutes`)
    case 'no session': return noSession
    case 'silent': return refused('DCS.4027', undefined, refusal.reason)
    case 'unknown': return unknown
    default: return refused(refusalCode('survey', refusal), undefined, refusal.kind === 'unsupported' ? refusal.reason : undefined)
  }
}

async function login(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const [id, body] = [idOf(call), bodyOf(call) as Body | Refused]
  if (isRefused(id)) return id
  if (isRefused(body)) return body
  const password = isAbsent(body['password']) ? '' : body['password']
  if (!isText(password, 256)) return refused('DCS.4845')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const answer = await plane.webcli.login(caller, id, password)
  return 'session' in answer ? ok({ client_id: answer.session, databases: answer.databases }) : told(answer)
}

async function run(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const [id, body] = [idOf(call), bodyOf(call) as Body | Refused]
  if (isRefused(id)) return id
  if (isRefused(body)) return body
  const { client_id: session, command } = body
  if (typeof session !== 'string') return noSession
  const words = isText(command, 65_536) ? split(command) : null
  if (!words || words.length === 0) return refused('DCS.4062', 'command')
  const database = isAbsent(body['database']) ? 0 : numberIn(body['database'], 0, 255)
  if (database === null) return refused('DCS.4062', 'database')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const answer = await plane.webcli.run(caller, id, { session, words, database })
  return 'text' in answer ? ok({ response: answer.text }) : told(answer)
}

async function logout(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const [id, body] = [idOf(call), bodyOf(call) as Body | Refused]
  if (isRefused(id)) return id
  if (isRefused(body)) return body
  const { client_id: session } = body
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  return typeof session === 'string' && await plane.webcli.logout(caller, id, session) === 'ended' ? noContent : noSession
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', a: '\x07' }

/** The words of a line, quoted as for redis-cli; null when a quote does not end, or something follows one. */
function split(line: string): string[] | null {
  const words: string[] = []
  for (let at = 0; ;) {
    while (at < line.length && /\s/.test(line[at]!)) at += 1
    if (at >= line.length) return words
    const quote = line[at] === '"' || line[at] === "'" ? line[at]! : null
    let word = ''
    if (quote) at += 1
    for (; ; at += 1) {
      const next = line[at]
      if (next === undefined) { if (quote) return null; break }
      if (quote ? next === quote : /\s/.test(next)) break
      if (next === '\\' && quote === '"' && line[at + 1] !== undefined) { at += 1; word += escapes[line[at]!] ?? line[at] } else if (next === '\\' && quote === "'" && line[at + 1] === "'") { at += 1; word += "'" } else word += next
    }
    if (quote) at += 1
    if (quote && at < line.length && !/\s/.test(line[at]!)) return null
    words.push(word)
  }
}
