// A participant loses its signalling and comes back: once as the same participant, once as a new one.
import { join, publishTone } from './native.mjs';
import { pause, run, sleep, tell, until } from './common.mjs';

await run(async () => {
  const bob = await join('cut', 'bob');
  const alice = await join('cut', 'alice');
  const tone = await publishTone(alice.room);
  await until('bob hears alice', () => bob.ears.tone > 0.3);

  for (const kind of ['resume', 'full']) {
    const before = bob.ears.frames;
    const seen = alice.events.length;
    await pause(`cut for ${kind}`, { sid: alice.room.localParticipant.sid });
    await until('alice is back', () => alice.events.slice(seen).some((e) => e.event === 'reconnected'), 30000);
    await alice.room.localParticipant.publishData(Buffer.from(`back by ${kind}`), { reliable: true });
    await until('data after it', () => bob.has('dataReceived', (e) => e.data === `back by ${kind}`));
    bob.ears.tone = 0;
    await until('audio after it', () => bob.ears.tone > 0.3);
    tell(`${kind} done`, {
      sid: alice.room.localParticipant.sid,
      frames: bob.ears.frames - before,
      left: bob.events.filter((e) => e.event === 'participantDisconnected').length,
    });
    await sleep(500);
  }

  await tone.stop();
  await alice.room.disconnect();
  await bob.room.disconnect();
});
