// A job queue as its users run it: BullMQ, which is some hundred Lua scripts, in its default settings.
// Usage: node run.js PORT; the last line is OK.
'use strict';

const assert = require('node:assert');
const { FlowProducer, Queue, QueueEvents, Worker } = require('bullmq');

const connection = { host: '127.0.0.1', port: Number(process.argv[2]), maxRetriesPerRequest: null };
const open = [];

function opened(thing) {
  open.push(thing);
  return thing;
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(what, condition) {
  for (let tries = 0; tries < 2000; tries++) {
    if (await condition()) return;
    await sleep(10);
  }
  throw new Error(`waited in vain: ${what}`);
}

async function manyJobsReachTwoWorkersOnceEach() {
  const queue = opened(new Queue('many', { connection }));
  const seen = new Map();
  const work = async (job) => {
    seen.set(job.data.n, (seen.get(job.data.n) ?? 0) + 1);
    return job.data.n * 2;
  };
  const workers = [1, 2].map(() => opened(new Worker('many', work, { connection, concurrency: 5 })));
  const jobs = await queue.addBulk(Array.from({ length: 200 }, (_, n) => ({ name: 'job', data: { n } })));
  await until('all are completed', async () => (await queue.getJobCounts('completed')).completed === 200);
  assert.strictEqual(seen.size, 200);
  assert([...seen.values()].every((times) => times === 1));
  assert.strictEqual((await queue.getJob(jobs[21].id)).returnvalue, 42);
  await Promise.all(workers.map((worker) => worker.close()));
  await queue.clean(0, 0, 'completed');
  assert.strictEqual((await queue.getJobCounts('completed')).completed, 0);
}

async function resultsArriveAsEvents() {
  const queue = opened(new Queue('events', { connection }));
  const events = opened(new QueueEvents('events', { connection }));
  await events.waitUntilReady();
  opened(new Worker('events', async (job) => {
    await job.updateProgress(50);
    await job.log('half of it');
    return 'done';
  }, { connection }));
  const progress = new Promise((resolve) => events.once('progress', resolve));
  const job = await queue.add('job', {});
  assert.strictEqual(await job.waitUntilFinished(events, 20000), 'done');
  assert.strictEqual((await progress).data, 50);
  assert.deepStrictEqual((await queue.getJobLogs(job.id)).logs, ['half of it']);
}

async function failuresAreRetriedAndThenKept() {
  const queue = opened(new Queue('retries', { connection }));
  const attempts = {};
  opened(new Worker('retries', async (job) => {
    attempts[job.name] = (attempts[job.name] ?? 0) + 1;
    if (job.name === 'never' || attempts[job.name] < 3) throw new Error('not yet');
  }, { connection }));
  const backoff = { type: 'exponential', delay: 20 };
  await queue.add('third time', {}, { attempts: 5, backoff });
  await queue.add('never', {}, { attempts: 2, backoff: 10 });
  await until('one succeeded, one failed', async () => {
    const counts = await queue.getJobCounts('completed', 'failed');
    return counts.completed === 1 && counts.failed === 1;
  });
  assert.deepStrictEqual(attempts, { 'third time': 3, never: 2 });
  const [failed] = await queue.getFailed();
  assert.strictEqual(failed.failedReason, 'not yet');
  await failed.retry();
  await until('it failed again', async () => attempts.never === 3);
}

async function delayedJobsComeLater() {
  const queue = opened(new Queue('delayed', { connection }));
  const order = [];
  const start = Date.now();
  await queue.add('late', {}, { delay: 400 });
  await queue.add('soon', {}, { delay: 100 });
  await queue.add('now', {});
  // Only then, or on a busy machine one is due before the next is added.
  opened(new Worker('delayed', async (job) => order.push(job.name), { connection }));
  await until('three have run', async () => order.length === 3);
  assert.deepStrictEqual(order, ['now', 'soon', 'late']);
  assert(Date.now() - start >= 400);
}

async function prioritiesAndLifoDecideTheOrder() {
  const queue = opened(new Queue('priorities', { connection }));
  await queue.pause();
  assert(await queue.isPaused());
  for (const [name, options] of [
    ['p3', { priority: 3 }], ['p1', { priority: 1 }], ['plain', {}], ['lifo', { lifo: true }], ['p2', { priority: 2 }],
  ]) {
    await queue.add(name, {}, options);
  }
  const order = [];
  opened(new Worker('priorities', async (job) => order.push(job.name), { connection }));
  await queue.resume();
  await until('five have run', async () => order.length === 5);
  assert.deepStrictEqual(order, ['lifo', 'plain', 'p1', 'p2', 'p3']);
}

async function schedulersRepeatJobs() {
  const queue = opened(new Queue('repeated', { connection }));
  let runs = 0;
  opened(new Worker('repeated', async () => { runs += 1; }, { connection }));
  await queue.upsertJobScheduler('tick', { every: 100 }, { name: 'tick' });
  await until('it ran three times', async () => runs >= 3);
  assert.strictEqual((await queue.getJobSchedulers()).length, 1);
  assert(await queue.removeJobScheduler('tick'));
  assert.strictEqual((await queue.getJobSchedulers()).length, 0);
}

async function parentsWaitForTheirChildren() {
  const flow = opened(new FlowProducer({ connection }));
  const parents = opened(new Queue('parents', { connection }));
  opened(new Worker('children', async (job) => job.data.n + 1, { connection }));
  opened(new Worker('parents', async (job) => {
    const values = Object.values(await job.getChildrenValues());
    return values.reduce((sum, value) => sum + value, 0);
  }, { connection }));
  const children = [1, 2, 3].map((n) => ({ name: 'child', queueName: 'children', data: { n } }));
  const tree = await flow.add({ name: 'parent', queueName: 'parents', children });
  await until('the parent is completed', () => tree.job.isCompleted());
  assert.strictEqual((await parents.getJob(tree.job.id)).returnvalue, 9);
}

async function limitedQueuesKeepToTheirRate() {
  const queue = opened(new Queue('limited', { connection }));
  const start = Date.now();
  let runs = 0;
  opened(new Worker('limited', async () => { runs += 1; }, { connection, limiter: { max: 2, duration: 300 } }));
  await queue.addBulk(Array.from({ length: 6 }, () => ({ name: 'job', data: {} })));
  await until('six have run', async () => runs === 6);
  assert(Date.now() - start >= 600, `${Date.now() - start} ms`);
}

async function duplicatesAreOneJob() {
  const queue = opened(new Queue('same', { connection }));
  const first = await queue.add('job', {}, { jobId: 'only' });
  const second = await queue.add('job', {}, { jobId: 'only' });
  assert.strictEqual(first.id, second.id);
  await queue.add('job', {}, { deduplication: { id: 'd' } });
  await queue.add('job', {}, { deduplication: { id: 'd' } });
  assert.strictEqual((await queue.getWaiting()).length, 2);
  await queue.drain();
  assert.strictEqual((await queue.getWaiting()).length, 0);
  await queue.obliterate();
}

const cases = [
  manyJobsReachTwoWorkersOnceEach, resultsArriveAsEvents, failuresAreRetriedAndThenKept, delayedJobsComeLater,
  prioritiesAndLifoDecideTheOrder, schedulersRepeatJobs, parentsWaitForTheirChildren, limitedQueuesKeepToTheirRate,
  duplicatesAreOneJob,
];

async function main() {
  for (const run of cases) {
    await run();
    console.log(run.name);
  }
  await Promise.all(open.map((thing) => thing.close()));
  console.log('OK');
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
