// Who hears what is decided by the subscriber, by the server API and by rights.
import { join, publishTone } from './native.mjs';
import { rooms, run, sleep, tell, until } from './common.mjs';

await run(async () => {
  const alice = await join('choice', 'alice');
  const bob = await join('choice', 'bob', { autoSubscribe: false });
  const tone = await publishTone(alice.room);
  const count = (event) => bob.events.filter((e) => e.event === event).length;
  const heard = () => until('the tone', () => bob.ears.tone > 0.3);
  const change = async (what, event, act) => {
    const before = count(event);
    await act();
    await until(`${what}: ${event}`, () => count(event) > before);
    bob.ears.tone = 0;
  };

  await until('the publication', () => bob.has('trackPublished'));
  await sleep(700);
  tell('not subscribed', { subscriptions: count('trackSubscribed') });
  await change('server subscribes', 'trackSubscribed', () => rooms.updateSubscriptions('choice', 'bob', [tone.sid], true));
  await heard();

  const publication = [...bob.room.remoteParticipants.get('alice').trackPublications.values()][0];
  await change('bob unsubscribes', 'trackUnsubscribed', () => publication.setSubscribed(false));
  await sleep(300);
  await change('bob subscribes', 'trackSubscribed', () => publication.setSubscribed(true));
  await heard();

  await rooms.updateParticipant('choice', 'bob', { permission: { canPublish: true } });
  await sleep(500);
  bob.ears.tone = 0;
  await sleep(500);
  tell('without the right', { tone: bob.ears.tone });
  await rooms.updateParticipant('choice', 'bob', { permission: { canSubscribe: true } });
  await heard();
  tell('heard again');
  await tone.stop();
});
