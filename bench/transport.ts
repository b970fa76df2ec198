/**
 * Measures the transport against raw TCP, and a sum over four processes against what raw TCP and memory allow.
 *   npm run bench:transport -- [--rounds N] [--output json]
 * What is compared is measured by turns in one run; ratios are medians of the rounds.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { MIB } from './transport/orders.ts';
import { Team } from './transport/team.ts';
import { quantile } from '../soap/quantile.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, output: { type: 'string', default: 'text' } },
});
const rounds = Number(values.rounds);
const [STREAM_MESSAGES, TRIPS] = [512, 1000];
const [DEVICES, SUM_BYTES] = [4, 100e6];

const median = (numbers: readonly number[]): number => quantile(numbers, 0.5)!;
const gigabytes = (bytes: number, ms: number): number => bytes / ms / 1e6;

/** One process to another in messages of 1 MiB: GB/s. */
async function measureStream(team: Team): Promise<{ raw: number; transport: number; ratio: number }> {
  const pairs: [number, number][] = [];
  for (let round = -1; round < rounds; round++) {
    const raw = await team.slowestMs({ kind: 'stream', messages: STREAM_MESSAGES, over: 'raw' });
    const transport = await team.slowestMs({ kind: 'stream', messages: STREAM_MESSAGES, over: 'transport' });
    if (round >= 0) pairs.push([raw, transport]);
  }
  const rates = (index: 0 | 1): number => median(pairs.map((pair) => gigabytes(STREAM_MESSAGES * MIB, pair[index])));
  return { raw: rates(0), transport: rates(1), ratio: median(pairs.map(([raw, transport]) => raw / transport)) };
}

async function measureLatency(team: Team): Promise<Record<'raw' | 'transport', { medianUs: number; p95Us: number }>> {
  const measure = async (over: 'raw' | 'transport'): Promise<{ medianUs: number; p95Us: number }> => {
    const times: number[] = [];
    for (let round = -1; round < rounds; round++) {
      const [first] = await team.order({ kind: 'ping', trips: TRIPS, over });
      if (round >= 0) times.push(...(first?.timesUs ?? []));
    }
    return { medianUs: median(times) / 2, p95Us: quantile(times, 0.95)! / 2 };
  };
  return { raw: await measure('raw'), transport: await measure('transport') };
}

/**
 * The bound: a ring sends 2 (n - 1) / n of the bytes from each process, adds half of these and copies the other half into place.
 * The first part is measured as raw TCP around the same ring, all at once. An addition moves three bytes of memory for each, a
 * copy two, at the rate at which all processes copy at once. Both parts need the processor's cores, of which there are fewer
 * than processes, so their times add up.
 */
async function measureSum(team: Team): Promise<{ ms: number; tcpMs: number; memoryMs: number; ratio: number }> {
  const sentBytes = (2 * (DEVICES - 1) * SUM_BYTES) / DEVICES;
  const all: { ms: number; tcpMs: number; memoryMs: number }[] = [];
  for (let round = -1; round < rounds; round++) {
    const messages = Math.round(sentBytes / MIB);
    const tcpMs = (await team.slowestMs({ kind: 'ring', messages })) * (sentBytes / (messages * MIB));
    const ms = await team.slowestMs({ kind: 'sum', bytes: SUM_BYTES });
    const copies = await team.order({ kind: 'copy', bytes: 32 * MIB });
    const slowestCopy = Math.min(...copies.map(({ bytesPerMs = NaN }) => bytesPerMs));
    const memoryMs = ((sentBytes / 2) * (3 / 2 + 1)) / slowestCopy;
    if (round >= 0) all.push({ ms, tcpMs, memoryMs });
  }
  const of = (name: 'ms' | 'tcpMs' | 'memoryMs'): number => median(all.map((each) => each[name]));
  const ratio = median(all.map(({ ms, tcpMs, memoryMs }) => (tcpMs + memoryMs) / ms));
  return { ms: of('ms'), tcpMs: of('tcpMs'), memoryMs: of('memoryMs'), ratio };
}

const pair = await Team.start(2);
const stream = await measureStream(pair);
const latency = await measureLatency(pair);
await pair.end();
const four = await Team.start(DEVICES);
const sum = await measureSum(four);
await four.end();

if (values.output === 'json') {
  console.log(JSON.stringify({ cores: availableParallelism(), rounds, stream, latency, sum }));
} else {
  const percent = (ratio: number): string => `${(100 * ratio).toFixed(0)} %`;
  console.log(`${availableParallelism()} cores, ${rounds} rounds
| what | measured | bound | ratio |
| --- | --- | --- | --- |
| 1 MiB messages between two processes | ${stream.transport.toFixed(2)} GB/s | ${stream.raw.toFixed(2)} GB/s (raw TCP) | ${percent(stream.ratio)} |
| sum of 100 MB over four processes | ${sum.ms.toFixed(0)} ms | ${(sum.tcpMs + sum.memoryMs).toFixed(0)} ms (raw TCP ${sum.tcpMs.toFixed(0)}, memory ${sum.memoryMs.toFixed(0)}) | ${percent(sum.ratio)} |
| 4 bytes one way, median | ${latency.transport.medianUs.toFixed(0)} us | ${latency.raw.medianUs.toFixed(0)} us (raw TCP) | |
| 4 bytes one way, 95 % within | ${latency.transport.p95Us.toFixed(0)} us | ${latency.raw.p95Us.toFixed(0)} us (raw TCP) | |`);
}
