// LiveKit's own webhook receiver verifies and reads what the server posts.
import http from 'node:http';
import { WebhookReceiver } from 'livekit-server-sdk';
import { tell } from './common.mjs';

const receiver = new WebhookReceiver(process.env.LIVEKIT_API_KEY, process.env.LIVEKIT_API_SECRET);
const server = http.createServer(async (request, response) => {
  let body = '';
  for await (const part of request) {
    body += part;
  }
  try {
    const event = await receiver.receive(body, request.headers.authorization);
    const forged = await receiver.receive(`${body} `, request.headers.authorization).then(() => true, () => false);
    tell('received', { event: event.event, room: event.room.name, forged, type: request.headers['content-type'] });
    response.end();
  } catch (error) {
    tell('failed', { error: String(error) });
    response.statusCode = 401;
    response.end();
  }
});
server.listen(0, '127.0.0.1', () => tell('listening', { port: server.address().port }));
process.stdin.on('end', () => process.exit(0)).resume();
