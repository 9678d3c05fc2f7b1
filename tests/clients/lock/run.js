// A lock and rate limiters as their users run them: redlock and rate-limiter-flexible over ioredis, default settings.
// Usage: node run.js PORT; the last line is OK.
'use strict';

const assert = require('node:assert');
const Redis = require('ioredis');
const Redlock = require('redlock');
const { BurstyRateLimiter, RateLimiterQueue, RateLimiterRedis } = require('rate-limiter-flexible');

const client = new Redis({ host: '127.0.0.1', port: Number(process.argv[2]) });
const other = new Redis({ host: '127.0.0.1', port: Number(process.argv[2]) });

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function aLockIsHeldExtendedAndReleased() {
  const redlock = new Redlock([client], { retryCount: 0 });
  const lock = await redlock.acquire(['lock:a'], 30000);
  await assert.rejects(redlock.acquire(['lock:a'], 1000));
  assert(await client.pttl('lock:a') <= 30000);
  const longer = await lock.extend(90000);
  assert(await client.pttl('lock:a') > 60000);
  await longer.unlock();
  assert.strictEqual(await client.exists('lock:a'), 0);
  await assert.rejects(longer.unlock());
}

async function aLockOfSeveralResourcesIsAllOrNothing() {
  const redlock = new Redlock([client], { retryCount: 0 });
  const lock = await redlock.acquire(['lock:b', 'lock:c'], 30000);
  await assert.rejects(redlock.acquire(['lock:c', 'lock:d'], 30000));
  assert.strictEqual(await client.exists('lock:d'), 0);
  await lock.unlock();
}

async function anAbandonedLockExpires() {
  const patient = new Redlock([client], { retryCount: 50, retryDelay: 20 });
  const start = Date.now();
  await patient.acquire(['lock:e'], 100);
  const second = await patient.acquire(['lock:e'], 30000);
  assert(Date.now() - start >= 80);
  await second.unlock();
}

async function contendersEnterOneAtATime() {
  let inside = 0;
  let entered = 0;
  const contend = async (connection) => {
    const redlock = new Redlock([connection], { retryCount: 1000, retryDelay: 5, retryJitter: 10 });
    for (let turn = 0; turn < 10; turn++) {
      const lock = await redlock.acquire(['lock:f'], 30000);
      inside += 1;
      assert.strictEqual(inside, 1);
      await sleep(1);
      inside -= 1;
      entered += 1;
      await lock.unlock();
    }
  };
  await Promise.all([client, other, client, other].map(contend));
  assert.strictEqual(entered, 40);
}

async function pointsAreConsumedUntilNoneAreLeft() {
  const limiter = new RateLimiterRedis({ storeClient: client, points: 5, duration: 60 });
  for (let left = 4; left >= 0; left--) {
    assert.strictEqual((await limiter.consume('user')).remainingPoints, left);
  }
  const refused = await limiter.consume('user').catch((reason) => reason);
  assert.strictEqual(refused.remainingPoints, 0);
  assert(refused.msBeforeNext > 0 && refused.msBeforeNext <= 60000);
  await limiter.penalty('user', 2);
  await limiter.reward('user', 1);
  assert.strictEqual((await limiter.get('user')).consumedPoints, 7);
  await limiter.delete('user');
  assert.strictEqual(await limiter.get('user'), null);
}

async function pointsComeBackWithTime() {
  const limiter = new RateLimiterRedis({ storeClient: client, points: 5, duration: 1, keyPrefix: 'brief' });
  await limiter.consume('user');
  await sleep(1100);
  assert.strictEqual((await limiter.consume('user')).remainingPoints, 4);
}

async function whoeverIsBlockedStaysSo() {
  const limiter = new RateLimiterRedis({ storeClient: client, points: 1, duration: 60, blockDuration: 30, keyPrefix: 'b' });
  await limiter.consume('user');
  await assert.rejects(limiter.consume('user'), ({ msBeforeNext }) => msBeforeNext > 20000 && msBeforeNext <= 30000);
  await limiter.block('someone', 60);
  assert(await client.pttl('b:someone') > 50000);
}

async function pointsAreCountedOverConnections() {
  const limiters = [client, other].map(
    (storeClient) => new RateLimiterRedis({ storeClient, points: 50, duration: 60, keyPrefix: 'shared' }),
  );
  const asked = Array.from({ length: 80 }, (_, n) => limiters[n % 2].consume('all').then(() => 1, () => 0));
  const granted = (await Promise.all(asked)).reduce((sum, one) => sum + one, 0);
  assert.strictEqual(granted, 50);
}

async function burstsAndQueues() {
  const slow = new RateLimiterRedis({ storeClient: client, points: 1, duration: 60, keyPrefix: 'slow' });
  const burst = new RateLimiterRedis({ storeClient: client, points: 2, duration: 60, keyPrefix: 'burst' });
  const bursty = new BurstyRateLimiter(slow, burst);
  for (let turn = 0; turn < 3; turn++) await bursty.consume('user');
  await assert.rejects(bursty.consume('user'));
  const queue = new RateLimiterQueue(
    new RateLimiterRedis({ storeClient: client, points: 2, duration: 1, keyPrefix: 'queue' }),
  );
  const start = Date.now();
  for (let turn = 0; turn < 3; turn++) await queue.removeTokens(1);
  assert(Date.now() - start >= 500);
}

const cases = [
  aLockIsHeldExtendedAndReleased, aLockOfSeveralResourcesIsAllOrNothing, anAbandonedLockExpires,
  contendersEnterOneAtATime, pointsAreConsumedUntilNoneAreLeft, pointsComeBackWithTime, whoeverIsBlockedStaysSo,
  pointsAreCountedOverConnections, burstsAndQueues,
];

async function main() {
  for (const run of cases) {
    await run();
    console.log(run.name);
  }
  console.log('OK');
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
