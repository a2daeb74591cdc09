// Everybody hears everybody, although a client offers only three receiving sections at first; then one leaves and another comes.
import { join, publishTone } from './native.mjs';
import { run, tell, until } from './common.mjs';

await run(async () => {
  const count = 6;
  const crowd = [];
  const enter = async (name) => {
    const one = await join('crowd', name);
    one.tone = await publishTone(one.room);
    crowd.push(one);
  };
  for (let i = 0; i < count; i++) {
    await enter(`p${i}`);
  }
  const complete = () => crowd.every((one) => one.events.filter((e) => e.event === 'trackSubscribed').length
    - one.events.filter((e) => e.event === 'trackUnsubscribed').length === crowd.length - 1);
  await until('all subscriptions', complete, 20000);
  const [gone] = crowd.splice(2, 1);
  await gone.tone.stop();
  await gone.room.disconnect();
  await until('all are rid of who left', complete, 20000);
  await enter('late');
  await until('all hear the late one', complete, 20000);
  await until('tones', () => crowd.every((one) => one.ears.tone > 0.2));
  tell('complete', { participants: crowd.length });
  for (const one of crowd) {
    await one.tone.stop();
    await one.room.disconnect();
  }
});
