import type { Random } from '../../../soap/random.ts';

/** What takes the place of a value: other types, edges of numbers, and words that objects have of their own. */
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  0.5,
  1e308,
  2 ** 31,
  2 ** 53,
  '',
  '0',
  '\u0000',
  '__proto__',
  'constructor',
  'x'.repeat(300),
  [],
  {},
  [[]],
  [null],
  { length: -1 },
];

/** Keys that are added: some are everywhere in JavaScript. */
const KEYS = ['__proto__', 'constructor', 'toString', 'length', '', 'name', '0'];

type Tree = readonly unknown[] | Readonly<Record<string, unknown>>;

/** A document with one to three values changed, left out, doubled or exchanged; what is said by brackets stays whole. */
export function mutateJson(document: unknown, random: Random): unknown {
  let value = document;
  for (let count = 1 + random.integer(3); count > 0; count--) value = mutated(value, random);
  return value;
}

/** Goes down a random way, and changes what is at its end. */
function mutated(value: unknown, random: Random): unknown {
  if (!isTree(value)) return random.integer(4) === 0 ? bent(value, random) : pick(VALUES, random);
  const keys = Object.keys(value);
  if (keys.length === 0 || random.integer(12) === 0) return changedTree(value, keys, random);
  const key = pick(keys, random);
  const child = mutated(childOf(value, key), random);
  return withChild(value, key, child);
}

function changedTree(tree: Tree, keys: readonly string[], random: Random): unknown {
  switch (random.integer(4)) {
    case 0:
      return pick(VALUES, random);
    case 1: {
      const gone = pick(keys, random);
      return isList(tree) ? tree.filter((_, i) => String(i) !== gone) : withoutKey(tree, gone);
    }
    case 2: {
      const doubled = childOf(tree, pick(keys, random));
      return isList(tree) ? [...tree, doubled] : withChild(tree, pick(KEYS, random), doubled);
    }
    default:
      return withChild(tree, pick(keys, random), childOf(tree, pick(keys, random)));
  }
}

/** Numbers and texts near what they were. */
function bent(value: unknown, random: Random): unknown {
  if (typeof value === 'number') return pick([value + 1, value - 1, -value, value * 2, value / 3, value * 1e6], random);
  if (typeof value === 'string') {
    return pick([value.slice(1), `${value}${value}`, value.toUpperCase(), ` ${value}`, `${value}x`], random);
  }
  return value === true ? 'true' : !value;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null;
}

function isList(tree: Tree): tree is readonly unknown[] {
  return Array.isArray(tree);
}

function childOf(tree: Tree, key: string | undefined): unknown {
  return key === undefined ? undefined : Object.entries(tree).find(([name]) => name === key)?.[1];
}

function withChild(tree: Tree, key: string | undefined, child: unknown): Tree {
  if (key === undefined) return tree;
  if (isList(tree)) return tree.map((each, i) => (String(i) === key ? child : each));
  // A key such as __proto__ is to be one, as JSON.parse makes it.
  return Object.defineProperty({ ...tree }, key, {
    value: child,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

function withoutKey(tree: Readonly<Record<string, unknown>>, gone: string | undefined): Tree {
  return Object.fromEntries(Object.entries(tree).filter(([key]) => key !== gone));
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random.integer(items.length)]!;
}
