/** Preloaded into a server by tests: operations of the kinds that DEADLINES names end after so many ms, and not after ten minutes. `{"configure": 2000}`. */
import { actions } from '../../src/operations/actions.ts'

for (const [action, deadlineMs] of Object.entries(JSON.parse(process.env['DEADLINES']!))) Object.assign(actions[action as keyof typeof actions], { deadlineMs })
