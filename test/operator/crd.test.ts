import { readFile } from 'node:fs/promises';
import test from 'ava';
import { parse } from 'yaml';
import { crdManifest } from '../../operator/api/crd.ts';

test('crds/trainingjobs.yaml is what the schema generates: npm run generate', async (t) => {
  const file: unknown = parse(await readFile(new URL('../../crds/trainingjobs.yaml', import.meta.url), 'utf8'));
  t.deepEqual(file, JSON.parse(JSON.stringify(crdManifest())));
});
