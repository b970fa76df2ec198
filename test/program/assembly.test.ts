import test from 'ava';
import type { Region } from '../../soap/region/region.ts';
import type { Assembling, BoxSource } from '../../soap/tasks/assembly.ts';
import { assembling } from '../../soap/tasks/assembly.ts';

const FRAME: Region = [
  [2, 4],
  [0, 6],
];
const HALF: Region = [
  [2, 3],
  [0, 6],
];
const LARGER: Region = [
  [0, 4],
  [0, 6],
];

function local(memory: string, region: Region = FRAME, frame: Region = region): BoxSource<string> {
  return { region, from: { memory, frame } };
}

function message(region: Region = FRAME): BoxSource<string> {
  return { region };
}

const CASES: readonly {
  readonly title: string;
  readonly sources: readonly BoxSource<string>[];
  readonly summed: Assembling<string>;
  /** Where each source fills a place of its own; the same where left out. */
  readonly gathered?: Assembling<string>;
}[] = [
  { title: 'one memory of just the box', sources: [local('a')], summed: { kind: 'shared', memory: 'a' } },
  {
    title: 'several',
    sources: [local('b'), local('a'), local('c')],
    summed: { kind: 'summed', terms: ['b', 'a', 'c'] },
    gathered: { kind: 'filled', copies: ['b', 'a', 'c'], receives: false },
  },
  {
    title: 'one that holds more',
    sources: [local('a', FRAME, LARGER)],
    summed: { kind: 'filled', copies: ['a'], receives: false },
  },
  {
    title: 'one that holds less',
    sources: [local('a', HALF)],
    summed: { kind: 'filled', copies: ['a'], receives: false },
  },
  {
    title: 'several, one of which holds more',
    sources: [local('a'), local('b', FRAME, LARGER)],
    summed: { kind: 'filled', copies: ['a', 'b'], receives: false },
  },
  { title: 'a message', sources: [message()], summed: { kind: 'filled', copies: [], receives: true } },
  {
    title: 'a memory and a message',
    sources: [local('a'), message()],
    summed: { kind: 'filled', copies: ['a'], receives: true },
  },
  { title: 'nothing', sources: [], summed: { kind: 'filled', copies: [], receives: false } },
];

for (const { title, sources, summed, gathered = summed } of CASES) {
  test(`memory comes from ${title}: as planned, so run`, (t) => {
    t.deepEqual(assembling(FRAME, sources, true), summed, 'added up');
    t.deepEqual(assembling(FRAME, sources, false), gathered, 'put side by side');
  });
}
