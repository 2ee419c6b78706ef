/** The explorer: lists what /openapi.json describes, and sends it to this very server. */
import { signed } from './sign.js'

const $ = (id) => document.getElementById(id)
const make = (tag, properties = {}, ...children) => { const one = Object.assign(document.createElement(tag), properties); one.append(...children); return one }
const main = document.querySelector('main')

const spec = await (await fetch('openapi.json')).json()
document.querySelector('h1').textContent = document.title = spec.info.title
const operations = Object.entries(spec.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, ...operation })))

$('how').addEventListener('change', () => {
  for (const kind of ['key', 'token']) for (const one of document.querySelectorAll(`label.${kind}`)) one.hidden = $('how').value !== kind
})
$('filter').addEventListener('input', showList)
showList()

function showList() {
  const wanted = $('filter').value.toLowerCase()
  $('list').replaceChildren(...operations.filter(({ method, path, operationId }) => `${method} ${path} ${operationId}`.toLowerCase().includes(wanted)).map((operation) => {
    const button = make('button', { type: 'button' }, make('b', { textContent: operation.method }), make('span', { textContent: operation.operationId }), make('small', { textContent: operation.path }))
    button.addEventListener('click', () => {
      for (const other of $('list').children) other.removeAttribute('aria-current')
      button.setAttribute('aria-current', 'true')
      show(operation)
    })
    return button
  }))
}

function show(operation) {
  const { method, path, parameters, requestBody } = operation
  const field = ({ name }) => make('label', { textContent: name }, make('input', { name, value: name === 'project_id' ? $('project').value : '', spellcheck: false }))
  const places = make('div', {}, ...parameters.filter((one) => one.in === 'path').map(field))
  const queries = make('div', {}, ...parameters.filter((one) => one.in === 'query').map(field))
  const schema = requestBody?.content['application/json'].schema
  const body = schema ? make('textarea', { name: 'body', value: JSON.stringify(example(schema), null, 2), spellcheck: false }) : null
  const answer = make('output', { ariaLive: 'polite' })
  const form = make('form', {}, places, queries, ...body ? [make('label', { textContent: 'Body' }, body)] : [], make('button', { className: 'send', textContent: 'Send' }))
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const pairs = (box) => [...box.querySelectorAll('input')].map((input) => [input.name, input.value.trim()])
    const filled = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(pairs(places).find(([key]) => key === name)[1]))
    void send({ method, path: filled, query: pairs(queries).filter(([, value]) => value !== ''), body: body?.value ?? '' }, answer)
  })
  main.replaceChildren(make('h2', {}, make('b', { textContent: `${method} ` }), path), form, answer)
}

function example(schema) {
  if (schema.type === 'array') return [example(schema.items)]
  if (schema.type === 'object') return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, one]) => [name, example(one)]))
  return { integer: 0, number: 0, boolean: false }[schema.type] ?? ''
}

async function send({ method, path, query, body }, answer) {
  const headers = body === '' ? {} : { 'content-type': 'application/json' }
  if ($('how').value === 'token') headers['x-auth-token'] = $('token').value
  else if ($('accessKey').value) Object.assign(headers, signed({ method, host: location.host, path, query, body, accessKey: $('accessKey').value, secretKey: $('secretKey').value }))
  const text = new URLSearchParams(query).toString()
  try {
    const response = await fetch(text ? `${path}?${text}` : path, { method, headers, ...body === '' ? {} : { body } })
    const said = await response.text()
    let shown = said
    try { shown = JSON.stringify(JSON.parse(said), null, 2) } catch { /* not every answer is JSON */ }
    answer.replaceChildren(make('p', { textContent: `${response.status} ${response.statusText} · request ${response.headers.get('x-request-id') ?? ''}` }), make('pre', { textContent: shown || '(no body)' }))
  } catch (error) { answer.replaceChildren(make('p', { textContent: `Nothing came back: ${error.message}` })) }
}
