import { expect, test } from '@jest/globals';
import { systemClock } from '../src/clock.ts';

test.each(['cancelled', 'needless'] as const)('a sleep ends at once when it is %s', async (which) => {
  const controllers = { cancelled: new AbortController(), needless: new AbortController() };
  const clock = systemClock(controllers.cancelled.signal);
  const sleeping = clock.sleep(3_600_000, controllers.needless.signal);
  controllers[which].abort(new Error('enough'));
  await expect(sleeping).rejects.toThrow('enough');
});
