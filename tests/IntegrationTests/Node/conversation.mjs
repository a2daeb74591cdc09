// Two participants use everything a conversation needs; the server API acts in between.
import { join, publishTone } from './native.mjs';
import { pause, rooms, run, tell, until } from './common.mjs';

await run(async () => {
  await rooms.createRoom({ name: 'talk', emptyTimeout: 60, metadata: 'a' });
  const alice = await join('talk', 'alice');
  const bob = await join('talk', 'bob');
  await until('alice sees bob', () => alice.has('participantConnected', (e) => e.identity === 'bob'));

  const tone = await publishTone(alice.room);
  await until('bob hears 440 Hz', () => bob.ears.tone > 0.3 && bob.ears.other < 0.1);
  await until('alice is told that she is heard', () => alice.has('localTrackSubscribed'));
  await until('alice counts as a speaker', () => bob.has('activeSpeakersChanged', (e) => e.speakers.includes('alice')));
  tell('heard', { tone: bob.ears.tone, other: bob.ears.other });

  await alice.room.localParticipant.publishData(Buffer.from('sure'), { reliable: true, topic: 't', destination_identities: ['bob'] });
  await alice.room.localParticipant.publishData(Buffer.from('quick'), { reliable: false, topic: 't' });
  await until('both data messages', () => ['sure', 'quick'].every((text) => bob.has('dataReceived', (e) => e.data === text && e.identity === 'alice')));

  const texts = [];
  bob.room.registerTextStreamHandler('chat', async (reader, info) => texts.push([await reader.readAll(), info.identity]));
  const long = 'all of it '.repeat(8000);
  await alice.room.localParticipant.sendText(long, { topic: 'chat' });
  await until('the text', () => texts.length === 1);
  tell('text', { whole: texts[0][0] === long, from: texts[0][1] });

  bob.room.localParticipant.registerRpcMethod('greet', async (call) => `hello ${call.payload} from ${call.callerIdentity}`);
  tell('rpc', { answer: await alice.room.localParticipant.performRpc({ destinationIdentity: 'bob', method: 'greet', payload: 'you' }) });

  await alice.room.localParticipant.setAttributes({ 'lk.agent.state': 'listening' });
  await until('attributes', () => bob.has('participantAttributesChanged', (e) => e.changed['lk.agent.state'] === 'listening'));

  // The server API, on everything above.
  tell('listed', { participants: (await rooms.listParticipants('talk')).map((p) => ({ identity: p.identity, state: p.state, tracks: p.tracks.map((t) => t.mimeType) })) });
  await rooms.mutePublishedTrack('talk', 'alice', tone.sid, true);
  await until('the mute', () => bob.has('trackMuted') && alice.has('trackMuted'));
  await until('silence', () => bob.ears.tone < 0.01);
  tell('remote unmute', { refused: await rooms.mutePublishedTrack('talk', 'alice', tone.sid, false).then(() => 'no', (e) => e.code) });
  await rooms.sendData('talk', Buffer.from('from outside'), 0, { topic: 's', destinationIdentities: ['bob'] });
  await until('data from outside', () => bob.has('dataReceived', (e) => e.data === 'from outside'));
  await rooms.updateRoomMetadata('talk', 'b');
  await until('room metadata', () => bob.has('roomMetadataChanged', (e) => e.metadata === 'b'));
  await pause('server calls bob');

  await rooms.updateParticipant('talk', 'alice', { permission: { canSubscribe: true, canPublishData: true } });
  await until('the track is taken back', () => bob.has('trackUnpublished') && bob.has('trackUnsubscribed'));
  tell('revoked', { refused: await publishTone(alice.room).then(() => 'no', () => 'yes') });

  await rooms.removeParticipant('talk', 'bob');
  await until('bob is out', () => bob.has('disconnected'));
  tell('removed', { reason: bob.events.find((e) => e.event === 'disconnected').reason });
  await tone.stop();
  await alice.room.disconnect();
  await rooms.deleteRoom('talk');
});
