import { setImmediate as turn } from 'node:timers/promises';
import type { Random } from '../../soap/random.ts';
import { createRandom } from '../../soap/random.ts';
import { mutate } from './mutate.ts';
import type { FuzzTarget } from './target.ts';

/** What a reader may take of memory for a small input, beyond what the process has. */
const MAX_GROWTH_BYTES = 1024 * 1024 * 1024;

/** Cases from one look at the memory to the next, which takes as long as many a case. */
const MEMORY_EVERY = 16;

/** Shortest refusal that can say what, got and expected. */
const SHORTEST_SENTENCE = 15;

/** Findings that are kept; the first ones say enough. */
const MAX_FINDINGS = 5;

export interface FuzzResult {
  readonly cases: number;
  /** Inputs that were read in spite of their mutations. */
  readonly accepted: number;
  readonly refused: number;
  readonly seconds: number;
  readonly slowestMs: number;
  /** Inputs that ended in neither: what happened, and the input in base64. */
  readonly findings: readonly { readonly what: string; readonly input: string }[];
}

/** Feeds a target with so many mutated inputs. The seed fixes them all. */
export async function fuzz(target: FuzzTarget, cases: number, seed: number): Promise<FuzzResult> {
  const random = createRandom(seed);
  const seeds = await target.seeds();
  const findings: { what: string; input: string }[] = [];
  let [accepted, slowestMs] = [0, 0];
  const before = process.memoryUsage.rss();
  const start = performance.now();
  for (let i = 0; i < cases && findings.length < MAX_FINDINGS; i++) {
    const input = mutated(target, seeds, random);
    const began = performance.now();
    const what = await outcome(target, input);
    slowestMs = Math.max(slowestMs, performance.now() - began);
    if (what === undefined) accepted++;
    else if (what !== REFUSED) findings.push({ what, input: Buffer.from(input).toString('base64') });
    if (i % MEMORY_EVERY > 0) continue;
    // Until the event loop turns, Node keeps every promise that was rejected.
    await turn();
    const grown = process.memoryUsage.rss() - before;
    if (grown > MAX_GROWTH_BYTES)
      findings.push({ what: `took ${grown} bytes`, input: Buffer.from(input).toString('base64') });
  }
  const seconds = (performance.now() - start) / 1000;
  return { cases, accepted, refused: cases - accepted - findings.length, seconds, slowestMs, findings };
}

function mutated({ structured }: FuzzTarget, seeds: readonly Uint8Array[], random: Random): Uint8Array {
  const seed = pick(seeds, random);
  if (structured !== undefined && random.integer(2) === 0) return structured(seed, random);
  return mutate(seed, random, pick(seeds, random));
}

const REFUSED = 'refused';

/** Undefined where the input was read, {@link REFUSED}, or what is wrong. */
async function outcome(target: FuzzTarget, input: Uint8Array): Promise<string | undefined> {
  try {
    await target.read(input);
    return undefined;
  } catch (error) {
    return isRefusal(target, error) ? REFUSED : `threw ${error instanceof Error ? (error.stack ?? '') : String(error)}`;
  }
}

/** Whether an error is a sentence for the user: of a class made for it, or a plain Error of this project's. */
function isRefusal({ refusals = [] }: FuzzTarget, error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const meant = Object.getPrototypeOf(error) === Error.prototype || refusals.some((type) => error instanceof type);
  return meant && error.message.length >= SHORTEST_SENTENCE && !error.message.startsWith('internal:');
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random.integer(items.length)]!;
}
