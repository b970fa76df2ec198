/** The controller under load and faults, against the real API server of the tests; see docs/performance/controller.md. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { startControlPlane } from '../test/support/cluster/control-plane.ts';
import { faults } from './operator/faults.ts';
import { generatedObjects } from './operator/generated.ts';
import { generatedWorld } from './operator/generated-world.ts';
import { manyJobs } from './operator/jobs.ts';
import { twoControllers } from './operator/leader.ts';
import { manyNodes } from './operator/nodes.ts';
import { faultRounds } from './operator/rounds.ts';
import type { Row, Server } from './operator/row.ts';

const CRD = new URL('../crds/trainingjobs.yaml', import.meta.url).pathname;

const { values } = parseArgs({
  options: {
    output: { type: 'string', default: 'table' },
    only: { type: 'string', default: 'generated,takeover,faults,rounds,jobs,nodes' },
    nodes: { type: 'string', default: '5000' },
    jobs: { type: 'string', default: '1000' },
    generated: { type: 'string', default: '10000' },
    'fault-seconds': { type: 'string', default: '30' },
    rounds: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '30' },
  },
});

type Run = (server: Server, folder: string) => Row[] | Promise<Row[]>;

const runs: Readonly<Record<string, Run>> = {
  generated: async (server) => [
    generatedObjects(Number(values.generated)),
    ...(await generatedWorld(server, Number(values.generated))),
  ],
  takeover: twoControllers,
  faults: (server, folder) => faults(server, folder, Number(values['fault-seconds'])),
  rounds: (server, folder) => faultRounds(server, folder, Number(values.rounds)),
  jobs: (server) => manyJobs(server, Number(values.jobs)),
  nodes: (server) => manyNodes(server, Number(values.nodes), Number(values.seconds)),
};

// Whoever limits its time ends what it started too.
process.once('SIGTERM', () => process.exit(1));

const folder = await mkdtemp(join(tmpdir(), 'soapstone-bench-'));
try {
  const rows: Row[] = [];
  for (const name of values.only.split(',')) {
    const run = Object.hasOwn(runs, name) ? runs[name] : undefined;
    if (run === undefined) throw new Error(`there is no row '${name}'; expected ${Object.keys(runs).join(', ')}`);
    // Each has a server of its own: objects of one row are not in the way of another.
    const plane = await startControlPlane();
    try {
      await plane.kubectl('apply', '-f', CRD);
      await plane.kubectl('wait', '--for=condition=Established', 'crd/trainingjobs.soapstone.dev', '--timeout=60s');
      for (const row of await run(plane, folder)) {
        rows.push(row);
        if (values.output !== 'json') process.stdout.write(`| ${row.case} | ${row.result} |\n`);
      }
    } finally {
      await plane.stop();
    }
  }
  if (values.output === 'json') process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
