import { readFile } from 'node:fs/promises';
import test from 'ava';
import { parse } from 'yaml';
import { jobReference } from '../../crds/job-reference.ts';
import { crdManifest } from '../../operator/api/crd.ts';

test('crds/trainingjobs.yaml is what the schema generates: npm run generate', async (t) => {
  const file: unknown = parse(await readFile(new URL('../../crds/trainingjobs.yaml', import.meta.url), 'utf8'));
  t.deepEqual(file, JSON.parse(JSON.stringify(crdManifest())));
});

test('docs/reference/job.md is what the schema generates: npm run generate', async (t) => {
  t.is(await readFile(new URL('../../docs/reference/job.md', import.meta.url), 'utf8'), jobReference());
});
