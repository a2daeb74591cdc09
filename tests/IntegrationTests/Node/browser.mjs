// Serves browser.html to a headless Chromium and passes on what the page tells.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { tell, token, url } from './common.mjs';

const here = path.dirname(new URL(import.meta.url).pathname);
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'voiceplatform-chromium-'));
let chromium;

function end(code) {
  chromium?.once('exit', () => {
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    process.exit(code);
  });
  chromium?.kill();
}

const server = http.createServer(async (request, response) => {
  if (request.url === '/livekit-client.js') {
    response.end(fs.readFileSync(path.join(here, 'node_modules/livekit-client/dist/livekit-client.umd.js')));
  } else if (request.url === '/setup') {
    response.end(JSON.stringify({ url, tokens: [await token('web', 'alice'), await token('web', 'bob')] }));
  } else if (request.url === '/tell') {
    let body = '';
    for await (const part of request) {
      body += part;
    }
    const { step, ...facts } = JSON.parse(body);
    tell(step, facts);
    response.end();
    if (step === 'end' || step === 'failed') {
      end(step === 'end' ? 0 : 1);
    }
  } else {
    response.setHeader('content-type', 'text/html');
    response.end(fs.readFileSync(path.join(here, 'browser.html')));
  }
});

server.listen(0, '127.0.0.1', () => {
  chromium = spawn(process.env.CHROMIUM ?? 'chromium', [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--allow-loopback-in-peer-connection', '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream', '--autoplay-policy=no-user-gesture-required', `--user-data-dir=${profile}`,
    `http://127.0.0.1:${server.address().port}/`,
  ], { stdio: 'ignore' });
  chromium.once('error', (error) => {
    tell('failed', { error: String(error) });
    process.exit(1);
  });
});

// The test closes our input when it gives up.
process.stdin.on('end', () => end(1)).resume();
