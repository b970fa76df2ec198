import { readFile } from 'node:fs/promises';
import test from 'ava';
import { parse } from 'yaml';
import { CONDITION_TYPES } from '../../operator/api/resource.ts';
import { REASONS } from '../../operator/decide/reasons.ts';

const DOC = new URL('../../docs/operations.md', import.meta.url);
const CHART = new URL('../../charts/soapstone/', import.meta.url);

/** The table of a section, as its rows of trimmed cells, without the head. */
async function tableOf(heading: string): Promise<string[][]> {
  const section = (await readFile(DOC, 'utf8')).split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test('docs/operations.md has every reason of the code with its cure, and no other', async (t) => {
  const rows = await tableOf('Every reason, and its cure');
  const expected = Object.entries(REASONS).map(([name, { condition, meaning, cure }]) => [
    condition,
    name,
    meaning,
    cure,
  ]);
  t.deepEqual(sorted(rows), sorted(expected));
});

test('docs/operations.md has every condition of the code, in their order', async (t) => {
  const rows = await tableOf('Every condition');
  t.deepEqual(
    rows.map(([condition]) => condition),
    [...CONDITION_TYPES],
  );
});

test('docs/operations.md has every value of the chart with its default and the meaning of the schema', async (t) => {
  const values: unknown = parse(await readFile(new URL('values.yaml', CHART), 'utf8'));
  const schema: Schema = JSON.parse(await readFile(new URL('values.schema.json', CHART), 'utf8'));
  const expected = leaves(values, '').map(([path, value]) => {
    const meaning = describe(schema, path.split('.'), schema);
    t.truthy(meaning, `the schema describes ${path}`);
    return [`\`${path}\``, `\`${JSON.stringify(value)}\``, meaning];
  });
  t.deepEqual(sorted(await tableOf('Every value of the chart')), sorted(expected));
});

interface Schema {
  readonly description?: string;
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly definitions?: Readonly<Record<string, Schema>>;
}

function describe(schema: Schema, [first, ...rest]: readonly string[], root: Schema): string {
  const target = schema.$ref === undefined ? schema : root.definitions?.[schema.$ref.split('/').at(-1) ?? ''];
  if (first === undefined) return schema.description ?? target?.description ?? '';
  return describe(target?.properties?.[first] ?? {}, rest, root);
}

/** Values that are no sections; `resources` is one value of Kubernetes' own. */
function leaves(value: unknown, path: string): [string, unknown][] {
  const isSection =
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
  if (!isSection || path === 'resources') return [[path, value]];
  return Object.entries(value).flatMap(([key, entry]) => leaves(entry, path === '' ? key : `${path}.${key}`));
}

function sorted(rows: readonly (readonly string[])[]): string[] {
  return rows.map((row) => row.join(' | ')).toSorted((a, b) => a.localeCompare(b));
}
