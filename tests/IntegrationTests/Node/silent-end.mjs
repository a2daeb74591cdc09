// Joins, publishes, and waits to be killed.
import { join, publishTone } from './native.mjs';
import { pause, run } from './common.mjs';

await run(async () => {
  const doomed = await join('end', 'doomed');
  await publishTone(doomed.room);
  await pause('in');
});
