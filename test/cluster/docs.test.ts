import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { readPages } from '../docs/pages.ts';
import { needsCluster, skipped } from '../docs/skipped.ts';
import { createWorkspace } from '../docs/workspace.ts';
import type { LiveCluster } from '../support/cluster/live-cluster.ts';
import { startLiveCluster } from '../support/cluster/live-cluster.ts';

const pages = await readPages();

let cluster: LiveCluster;
test.before(async () => {
  cluster = await startLiveCluster();
});
test.after.always(() => cluster?.stop());

for (const { path, commands, files } of pages) {
  const here = commands.filter((command) => skipped(command) === undefined);
  if (!here.some(needsCluster)) continue;
  test.serial(`${path}: every command does its work, those for a cluster in one`, async (t) => {
    const workspace = await createWorkspace(cluster.env, cluster.path);
    t.teardown(() => workspace.remove());
    for (const [name, text] of files) await workspace.save(name, text);
    for (const { place, command } of here) {
      const { code, output } = await workspace.run(command);
      t.is(code, 0, `${place}: ${command}\n${output}\n${cluster.logs.slice(-20).join('\n')}`);
    }
    if (path === 'docs/tutorial.md') {
      const trained = join(cluster.agent.claimFolder('default', 'spirals-checkpoints'), 'spirals', 'trained.onnx');
      t.true(existsSync(trained), 'the trained model is on the volume');
    }
    // Volume claims stay until the controller that protects them, which is not here, lets go.
    await cluster.plane.kubectl('delete', 'tj,configmaps,pvc', '--all', '--wait=false');
  });
}
