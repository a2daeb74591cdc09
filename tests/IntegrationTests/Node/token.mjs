// livekit-client's own way to a token: TokenSource.endpoint against our POST /v1/token.
import { TokenSource } from 'livekit-client';
import { tell } from './common.mjs';

try {
  const source = TokenSource.endpoint(process.env.TOKEN_ENDPOINT, { headers: { 'x-api-key': process.env.TENANT_KEY } });
  const got = await source.fetch({
    roomName: 'from-livekits-client',
    participantIdentity: 'visitor-7',
    participantName: 'Ada',
    agentName: '',
    agentMetadata: JSON.stringify({ assistant_id: process.env.ASSISTANT_ID }),
  });
  tell('token', { serverUrl: got.serverUrl, participantToken: got.participantToken });
} catch (error) {
  tell('failed', { error: String(error?.stack ?? error) });
}
