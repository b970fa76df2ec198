import test from 'ava';
import { readPages } from './pages.ts';
import { needsCluster, skipped } from './skipped.ts';
import { createWorkspace } from './workspace.ts';

for (const { path, commands, files } of await readPages()) {
  const here = commands.filter((command) => !needsCluster(command) && skipped(command) === undefined);
  if (here.length === 0) continue;
  test.serial(`${path}: every command that needs no cluster does its work`, async (t) => {
    const workspace = await createWorkspace();
    t.teardown(() => workspace.remove());
    for (const [name, text] of files) await workspace.save(name, text);
    for (const { place, command } of here) {
      const { code, output } = await workspace.run(command);
      t.is(code, 0, `${place}: ${command}\n${output}`);
    }
  });
}
