import test from 'ava';
import type { MeasuredProbe } from '../../cli/profile/fit-host.ts';
import { fitToProbes, withHost } from '../../cli/profile/fit-host.ts';
import { probesOf } from '../../cli/profile/probe.ts';
import { jobTarget } from '../../cli/profile/target.ts';
import { costsFor } from '../../cli/machine/costs.ts';
import type { HostCosts } from '../../soap/cost/cost-table.ts';
import { createCostTable } from '../../soap/cost/cost-table.ts';
import { hostWork, hostWorkUs } from '../../soap/simulator/host/predict.ts';
import { hostPrior } from '../../soap/simulator/host/prior.ts';
import { KERNELS_VERSION } from '../../soap/version.ts';

const JOB = new URL('../golden/mlp/job.yaml', import.meta.url).pathname;

test('a fit finds the same costs from iterations beside which others used the cores', async (t) => {
  const target = await jobTarget(JOB, 10);
  const table = createCostTable([
    { deviceType: 'cpu', kernels: KERNELS_VERSION, measured: '2026-11-26', entries: [], messages: [] },
  ]);
  const { costs } = hostPrior({ cores: 2, startUs: 10, messages: [] });
  const truth: HostCosts = { ...costs, kernelUs: 120, messageUs: 50, stepUs: 300 };
  const probes = probesOf(target, 2)
    .filter(({ cluster }) => cluster.devices.length === 2)
    .slice(0, 4);
  const works = probes.map(({ cluster, strategy }) => {
    const known = costsFor(withHost(table, { host: truth, crowdedHost: truth }), cluster, 'sgd');
    return hostWork({ training: target.training, cluster, costs: known }, strategy, truth);
  });
  const measured = (otherCores: number): MeasuredProbe[] =>
    probes.map((probe, i) => {
      const iterationMs = hostWorkUs(works[i]!, truth, otherCores) / 1000;
      return { ...probe, run: { iterationMs, spans: [[], []], otherCores } };
    });
  const [idle, used] = [0, 0.8].map(
    (load) => fitToProbes(target, { table, startUs: 10, messages: [] }, measured(load), 2).host,
  );
  for (const work of works) {
    const [expected, beside] = [0, 0.8].map((load) => hostWorkUs(work, truth, load));
    t.true(beside! > 1.1 * expected!, 'the load tells');
    t.true(Math.abs(hostWorkUs(work, idle!) / hostWorkUs(work, used!) - 1) < 0.05);
  }
});
