import { readdir, readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { parseYaml } from '../../../cli/files/read-job.ts';
import { parseCluster } from '../../../soap/cluster/cluster-file.ts';
import { presetCluster } from '../../../soap/cluster/presets.ts';
import { FileError } from '../../../soap/schema/check.ts';
import { structuredText } from '../structured/documents.ts';
import type { FuzzTarget } from '../target.ts';

const EXAMPLES = new URL('../../../examples/clusters/', import.meta.url);

/** Cluster files in either form, with the graph of links that they make. */
export const clusterFile: FuzzTarget = {
  name: 'cluster-file',
  share: 20,
  refusals: [FileError],
  async seeds() {
    const written = JSON.stringify(presetCluster('p100x4').description);
    const names = (await readdir(EXAMPLES)).filter((name) => name === 'mixed.yaml' || name === 'h100-rails.yaml');
    const examples = await Promise.all(names.map((name) => readFile(new URL(name, EXAMPLES))));
    return [new TextEncoder().encode(written), ...examples];
  },
  structured: structuredText((text) => parse(text)),
  read(bytes) {
    parseCluster(parseYaml(new TextDecoder().decode(bytes), 'the cluster file', 'a cluster'));
  },
};
