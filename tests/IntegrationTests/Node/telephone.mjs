// LiveKit's own server SDK and native client with telephones: trunks, rules, dialling, attributes, keys, recording.
import { EgressClient, EncodedFileOutput, EncodedFileType, SipClient } from 'livekit-server-sdk';
import { join, publishTone } from './native.mjs';
import { rooms, tell, until, url } from './common.mjs';

const api = url.replace('ws', 'http');
const keys = [process.env.LIVEKIT_API_KEY, process.env.LIVEKIT_API_SECRET];
const sip = new SipClient(api, ...keys);
const egress = new EgressClient(api, ...keys);
const phone = process.env.PHONE_PORT;

try {
  const out = await sip.createSipOutboundTrunk('out', `127.0.0.1:${phone}`, ['+15550100'], { transport: 1 });
  const inbound = await sip.createSipInboundTrunk('in', ['+15550111'], { allowedAddresses: ['127.0.0.1/32'] });
  const rule = await sip.createSipDispatchRule({ type: 'direct', roomName: 'inbound' }, { name: 'to one room', trunkIds: [inbound.sipTrunkId] });
  const changed = await sip.updateSipOutboundTrunkFields(out.sipTrunkId, { name: 'renamed' });
  tell('configured', {
    out: (await sip.listSipOutboundTrunk()).map((t) => t.name),
    inbound: (await sip.listSipInboundTrunk()).map((t) => t.numbers),
    rules: (await sip.listSipDispatchRule()).map((r) => r.sipDispatchRuleId === rule.sipDispatchRuleId),
    renamed: changed.name,
  });

  const agent = await join('outbound', 'agent');
  const tone = await publishTone(agent.room);
  const dialled = await sip.createSipParticipant(out.sipTrunkId, '+15550177', 'outbound', {
    participantIdentity: 'callee', participantName: 'Callee', waitUntilAnswered: true, ringingTimeout: 20,
  });
  await until('the telephone is active', () => agent.has('participantAttributesChanged', (e) => e.changed['sip.callStatus'] === 'active'));
  await until('the telephone is heard', () => agent.ears.tone > 0.3, 20000);
  const callee = [...agent.room.remoteParticipants.values()].find((p) => p.identity === 'callee');
  tell('talking', { kind: callee.info.kind, status: callee.attributes['sip.callStatus'], sid: dialled.participantId === callee.sid, name: callee.name });

  const file = new EncodedFileOutput({ fileType: EncodedFileType.OGG, filepath: 'sdk.ogg' });
  const recording = await egress.startRoomCompositeEgress('outbound', { file }, { audioOnly: true });
  await until('a second of it', () => new Promise((done) => { setTimeout(() => done(true), 1000); }));
  await egress.stopEgress(recording.egressId);
  await until('the end of the recording', async () => (await egress.listEgress({ egressId: recording.egressId }))[0]?.status === 3);
  const ended = (await egress.listEgress({ egressId: recording.egressId }))[0];
  tell('recorded', { file: ended.fileResults[0].filename, seconds: Number(ended.fileResults[0].duration) / 1e9 });

  let refused = 'no';
  try {
    await sip.transferSipParticipant('outbound', 'callee', 'tel:+15550199');
  } catch (e) {
    refused = e.metadata?.sip_status_code ?? `${e.code}`;
  }
  await rooms.removeParticipant('outbound', 'callee');
  await until('the telephone has left', () => agent.has('participantDisconnected', (e) => e.identity === 'callee'));
  await tone.stop();
  await agent.room.disconnect();
  tell('removed', { refused });

  let busy = {};
  try {
    await sip.createSipParticipant(out.sipTrunkId, 'busy', 'outbound', { waitUntilAnswered: true, ringingTimeout: 5 });
  } catch (e) {
    busy = { code: e.code, status: e.metadata?.sip_status_code };
  }
  await sip.deleteSipTrunk(out.sipTrunkId);
  await sip.deleteSipTrunk(inbound.sipTrunkId);
  await sip.deleteSipDispatchRule(rule.sipDispatchRuleId);
  tell('end', { busy, left: (await sip.listSipOutboundTrunk()).length + (await sip.listSipInboundTrunk()).length + (await sip.listSipDispatchRule()).length });
  process.exit(0);
} catch (e) {
  tell('failed', { error: e.stack });
  process.exit(1);
}
