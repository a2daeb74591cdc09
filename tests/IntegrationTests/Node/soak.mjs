// Clients that talk, send data, leave in order or simply vanish, and come back, for a while. SOAK_SECONDS says how long.
import { Room, RoomEvent } from '@livekit/rtc-node';
import { publishTone } from './native.mjs';
import { run, sleep, tell, token, url } from './common.mjs';

await run(async () => {
  const end = Date.now() + 1000 * Number(process.env.SOAK_SECONDS ?? 60);
  const told = { joins: 0, data: 0, received: 0, failures: [] };
  const live = async (number) => {
    const name = `soak-${Math.floor(number / 2)}`;
    while (Date.now() < end) {
      const room = new Room();
      room.on(RoomEvent.DataReceived, () => told.received++);
      let tone;
      try {
        await room.connect(url, await token(name, `p${number}`), { autoSubscribe: true, dynacast: false });
        told.joins++;
        tone = await publishTone(room);
        const until = Math.min(end, Date.now() + 1000 + Math.random() * 8000);
        while (Date.now() < until) {
          const size = Math.floor(Math.random() ** 3 * 12000);
          await room.localParticipant.publishData(new Uint8Array(size), { reliable: Math.random() < 0.5 });
          told.data++;
          await sleep(Math.random() * 200);
        }
      } catch (error) {
        told.failures.push(String(error?.message ?? error));
      }
      await tone?.stop();
      await room.disconnect();
    }
  };
  await Promise.all(Array.from({ length: 30 }, async (_, number) => {
    await sleep(number * 50);
    await live(number);
  }));
  tell('soaked', { ...told, failures: told.failures.length, failure: told.failures[0] ?? '' });
});
