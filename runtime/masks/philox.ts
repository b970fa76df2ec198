import type { Code } from './wasm.ts';
import {
  addLanes,
  and,
  everySecond,
  get,
  isAtLeast,
  isZero,
  lanes,
  moduleOf,
  narrowTo16,
  narrowTo8,
  number,
  plus,
  productsHigh,
  productsLow,
  repeatWhileBelow,
  set,
  splat,
  store,
  V128,
  xor,
} from './wasm.ts';

/** Multipliers, steps of the key, and rounds. Source: Salmon et al. 2011, as in {@link philoxModule}; Random123, philox.h. */
const [MULTIPLIER0, MULTIPLIER1, STEP0, STEP1, ROUNDS] = [0xd2511f53, 0xcd9e8d57, 0x9e3779b9, 0xbb67ae85, 10];

/** Elements of a group, the unit in which masks are made. */
export const GROUP = 32;

/** Counters that they come from, of four words each. */
export const GROUP_COUNTERS = 8;

/** Elements of a half, which are made by the lanes of one vector. */
const [HALF, HALF_COUNTERS] = [16, 4];

/** Parameters of the function. */
const [TARGET, END, COUNTER0, COUNTER1, COUNTER2, COUNTER3, KEY0, KEY1, THRESHOLD] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const PARAMETERS = 9;

/** Locals behind them: the threshold in all lanes, keys of rounds, then for each half its words and products. */
const LEAST = PARAMETERS;
const keyOf = (round: number, word: 0 | 1): number => LEAST + 1 + 2 * round + word;
const HALF_LOCALS = 8;
const localsOf = (half: 0 | 1): readonly number[] =>
  Array.from({ length: HALF_LOCALS }, (_, i) => keyOf(ROUNDS, 0) + half * HALF_LOCALS + i);

const same = (value: number): Code => lanes([value, value, value, value]);

/**
 * Philox4x32-10 in WebAssembly: `run(target, end, counter0, ..., counter3, key0, key1, threshold)` writes bytes from `target` to
 * before `end`, {@link GROUP} at a time, that are 1 where a word of 32 bits is at least the threshold and 0 elsewhere. `counter0`
 * is a multiple of 8, and each group takes the next 8 counters: byte 4 w + l of its first half is of word w of counter l, that of
 * its second half of counter 4 + l. A round is a chain of instructions that each wait for the one before, so halves take turns.
 * Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011, section 3.3 and table 2, where
 * it passes all of TestU01.
 */
export function philoxModule(): Uint8Array<ArrayBuffer> {
  const vectors = 1 + 2 * ROUNDS + 2 * HALF_LOCALS;
  const keys = Array.from({ length: ROUNDS }, (_, round) => [
    ...set(keyOf(round, 0), splat(plus(get(KEY0), number(Math.imul(round, STEP0))))),
    ...set(keyOf(round, 1), splat(plus(get(KEY1), number(Math.imul(round, STEP1))))),
  ]);
  const halves = ([0, 1] as const).map((half) => halfCode(localsOf(half), half));
  const body = [
    ...halves.flatMap(({ begin }) => begin),
    ...Array.from({ length: ROUNDS }, (_, round) => inTurns(halves.map(({ rounds }) => rounds[round]!))).flat(),
    ...halves.flatMap(({ end }) => end),
    ...set(TARGET, plus(get(TARGET), number(GROUP))),
    ...set(COUNTER0, plus(get(COUNTER0), number(GROUP_COUNTERS))),
    ...set(COUNTER1, plus(get(COUNTER1), isZero(get(COUNTER0)))),
  ];
  const loop = repeatWhileBelow(get(TARGET), get(END), body);
  const locals = Array<number>(vectors).fill(V128);
  return moduleOf(PARAMETERS, locals, [...keys.flat(), ...set(LEAST, splat(get(THRESHOLD))), ...loop]);
}

/** What is done for half of a group; rounds are lists of steps. */
interface HalfCode {
  readonly begin: Code;
  readonly rounds: readonly (readonly Code[])[];
  readonly end: Code;
}

function halfCode(locals: readonly number[], half: 0 | 1): HalfCode {
  const first = half * HALF_COUNTERS;
  const counters = [COUNTER1, COUNTER2, COUNTER3].map((counter, i) => set(locals[i + 1]!, splat(get(counter))));
  const counter0 = addLanes(splat(get(COUNTER0)), lanes([first, first + 1, first + 2, first + 3]));
  const kept = [0, 1, 2, 3].map((word) => isAtLeast(get(locals[word]!), get(LEAST)));
  const bytes = narrowTo8(narrowTo16(kept[0]!, kept[1]!), narrowTo16(kept[2]!, kept[3]!));
  return {
    begin: [...set(locals[0]!, counter0), ...counters.flat()],
    rounds: Array.from({ length: ROUNDS }, (_, round) => roundCode(locals, round)),
    end: store(plus(get(TARGET), number(half * HALF)), and(bytes, same(0x01010101))),
  };
}

/** (x0, x1, x2, x3) becomes (high(m1 x2) ^ x1 ^ k0, low(m1 x2), high(m0 x0) ^ x3 ^ k1, low(m0 x0)). */
function roundCode([x0, x1, x2, x3, low0, high0, low1, high1]: readonly number[], round: number): Code[] {
  const word = (low: number, high: number, which: 0 | 1): Code => everySecond(get(low), get(high), which);
  return [
    set(low0!, productsLow(get(x0!), same(MULTIPLIER0))),
    set(high0!, productsHigh(get(x0!), same(MULTIPLIER0))),
    set(low1!, productsLow(get(x2!), same(MULTIPLIER1))),
    set(high1!, productsHigh(get(x2!), same(MULTIPLIER1))),
    set(x0!, xor(xor(get(x1!), get(keyOf(round, 0))), word(low1!, high1!, 1))),
    set(x1!, word(low1!, high1!, 0)),
    set(x2!, xor(xor(get(x3!), get(keyOf(round, 1))), word(low0!, high0!, 1))),
    set(x3!, word(low0!, high0!, 0)),
  ];
}

/** Steps of several lists, one of each at a time. */
function inTurns(lists: readonly (readonly Code[])[]): number[] {
  return lists[0]!.flatMap((_, step) => lists.flatMap((list) => list[step]!));
}
