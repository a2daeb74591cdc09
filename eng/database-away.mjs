// A tenant's programs under way while the database is away and comes back: what eng/checks/database-away watches.
// Usage: node eng/database-away.mjs URL KEY RECEIVER_PORT; talks by lines: says "stop" and "start" when the database is to go and to come back.
import http from 'node:http';
import readline from 'node:readline';

const [url, key, receiverPort] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let failures = 0;
const check = (good, what) => { console.log(`  ${good ? 'ok  ' : 'FAIL'} ${what}`); if (!good) failures++; };

function send(method, path, body, headers = {}) {
  return new Promise((resolve) => {
    const started = Date.now();
    const request = http.request(url + path, { method, agent, headers: { 'x-api-key': key, 'content-type': 'application/json', ...headers } }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => { text += chunk; });
      answer.on('end', () => resolve({ status: answer.statusCode, retryAfter: answer.headers['retry-after'], body: text ? JSON.parse(text) : null, ms: Date.now() - started }));
    });
    request.on('error', (error) => resolve({ status: 0, error, ms: Date.now() - started }));
    request.end(body ? JSON.stringify(body) : undefined);
  });
}

const received = new Map();
http.createServer((request, response) => {
  let text = '';
  request.on('data', (chunk) => { text += chunk; });
  request.on('end', () => { const event = JSON.parse(text); received.set(event.id, event); response.end(); });
}).listen(+receiverPort, '127.0.0.1');

// One line from whoever drives us answers each thing asked for.
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const ask = async (what) => { console.log(`== ${what}`); await lines.next(); };

const assistant = (await send('POST', '/v1/assistants', { name: 'Load', llm: { model: 'local/script', options: { otherwise: 'Yes.' } } })).body.id;
await send('POST', '/v1/webhooks', { url: `http://127.0.0.1:${receiverPort}/` });

const answers = [];
const accepted = { sessions: new Set(), ended: new Set(), versions: 0 };
let running = true;
let n = 0;
async function client() {
  while (running) {
    const id = ++n;
    const session = await keep(send('POST', '/v1/sessions', { assistant_id: assistant, text_only: true }, { 'idempotency-key': `s${id}` }));
    if (session?.status === 201) {
      accepted.sessions.add(session.body.id);
      const said = await keep(send('POST', `/v1/sessions/${session.body.id}/messages`, { text: 'Hello' }));
      const ended = said && await keep(send('POST', `/v1/sessions/${session.body.id}/end`));
      if (ended?.status === 200) accepted.ended.add(session.body.id);
    }
    await keep(send('GET', `/v1/assistants/${assistant}`));
    await sleep(40);
  }
}
async function keep(asked) { const answer = await asked; answers.push({ at: Date.now(), ...answer }); return answer; }

// A slow machine gets the time for as many as are looked for at the end.
async function acceptedUntil(count) { for (let i = 0; i < 300 && accepted.sessions.size <= count; i++) await sleep(200); }

const clients = Array.from({ length: 8 }, client);
await sleep(4000);
await acceptedUntil(25);
const before = answers.length;
await ask('stop');
await sleep(20000);
const away = answers.slice(before);
await ask('start');
const backAt = Date.now();
let firstGood = 0;
for (let i = 0; i < 100 && !firstGood; i++) { if ((await send('GET', `/v1/assistants/${assistant}`)).status === 200) firstGood = Date.now(); else await sleep(100); }
await sleep(4000);
await acceptedUntil(50);
running = false;
await Promise.all(clients);

const odd = answers.filter((a) => ![200, 201, 503].includes(a.status));
check(answers.slice(0, before).every((a) => a.status < 300), `before: ${before} requests, all answered with success`);
check(odd.length === 0, `nothing but success and 503 was answered (${odd.length ? JSON.stringify(odd.slice(0, 3)) : `${answers.length} requests`})`);
const refused = away.filter((a) => a.status === 503);
check(refused.length > 100 && refused.every((a) => +a.retryAfter > 0 && a.body.code === 'database.unavailable'), `while it was away: ${refused.length} times 503 with Retry-After`);
check(Math.max(...away.map((a) => a.ms)) < 15000, `nobody waited longer than ${Math.max(...away.map((a) => a.ms))} ms`);
check(firstGood > 0, `it works again ${firstGood - backAt} ms after the database is back, without a restart`);

// What was accepted is there; whoever repeats with his key gets his session and no second one.
let missing = 0;
for (const id of accepted.sessions) if ((await send('GET', `/v1/sessions/${id}`)).status !== 200) missing++;
check(missing === 0 && accepted.sessions.size > 50, `all ${accepted.sessions.size} accepted sessions are there`);
const again = await send('POST', '/v1/sessions', { assistant_id: assistant, text_only: true }, { 'idempotency-key': 's1' });
check(again.status === 201 && accepted.sessions.has(again.body.id), 'a repeated request gets the session it got before');
for (let i = 0; i < 300 && [...accepted.ended].some((id) => ![...received.values()].some((e) => e.subject_id === id && e.type === 'session.completed')); i++) await sleep(100);
const told = new Set([...received.values()].filter((e) => e.type === 'session.completed').map((e) => e.subject_id));
check([...accepted.ended].every((id) => told.has(id)), `all ${accepted.ended.size} that ended were told by webhook`);
const events = new Set();
for (let after = 0, more = true; more;) { const page = (await send('GET', `/v1/events?after=${after}`)).body; page.data.forEach((e) => events.add(e.id)); [after, more] = [page.next_cursor, page.has_more]; }
check([...received.keys()].every((id) => events.has(id)), `the event log has all of the ${received.size} webhooks`);
const verified = (await send('GET', '/v1/billing/verify')).body;
check(verified.ok, `the ledger verifies (${verified.transactions} transactions)`);
process.exit(failures ? 1 : 0);
