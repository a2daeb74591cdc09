// What the scripts share. A script and its test speak in lines: the script writes one JSON object a line
// ({"step": name, ...facts}) and, where it has to wait for the test, reads a line.
import readline from 'node:readline';
import { AccessToken, AgentDispatchClient, RoomServiceClient } from 'livekit-server-sdk';

export const url = process.env.LIVEKIT_URL;
const key = process.env.LIVEKIT_API_KEY;
const secret = process.env.LIVEKIT_API_SECRET;
const api = url.replace('ws', 'http');

export const rooms = new RoomServiceClient(api, key, secret);
export const dispatches = new AgentDispatchClient(api, key, secret);

export async function token(room, identity, grant = {}, more = {}) {
  const made = new AccessToken(key, secret, { identity, name: `${identity} name`, ...more });
  made.addGrant({ roomJoin: true, room, canUpdateOwnMetadata: true, ...grant });
  return made.toJwt();
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until a condition holds; the test fails with what was waited for. */
export async function until(what, condition, ms = 15000) {
  const end = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > end) {
      throw new Error(`not within ${ms} ms: ${what}`);
    }
    await sleep(10);
  }
}

export function tell(step, facts = {}) {
  const text = (_, value) => (typeof value === 'bigint' ? String(value) : value);
  process.stdout.write(`${JSON.stringify({ step, ...facts }, text)}\n`);
}

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Tells a step and waits until the test says to go on. */
export async function pause(step, facts) {
  tell(step, facts);
  await lines.next();
}

/** How much of a frequency is in 16-bit samples: 0 to 1. */
export function strength(samples, hertz, rate) {
  const k = 2 * Math.cos((2 * Math.PI * hertz) / rate);
  let [q1, q2] = [0, 0];
  for (const sample of samples) {
    [q1, q2] = [k * q1 - q2 + sample / 32768, q1];
  }
  return (Math.sqrt(Math.max(0, q1 * q1 + q2 * q2 - k * q1 * q2)) / samples.length) * 2;
}

export async function run(main) {
  try {
    await main();
    tell('end');
    process.exit(0);
  } catch (error) {
    tell('failed', { error: String(error?.stack ?? error) });
    process.exit(1);
  }
}
