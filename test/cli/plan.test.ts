import { createHash } from 'node:crypto';
import { copyFile, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { createCostTable, encodeCostTable } from '../../soap/cost/cost-table.ts';
import type { DeviceMemoryReport } from '../../soap/simulator/memory-report.ts';
import { decodePlan, encodePlan } from '../../soap/plan/plan-file.ts';
import { KERNELS_VERSION } from '../../soap/version.ts';
import { soapstone } from '../support/soapstone.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ALEXNET = ['--model', 'alexnet', '--cluster', 'p100x2', '--proposals', '20'];

test('a plan that does not fit says by how much, and for which ops', async (t) => {
  const { code, stdout } = await soapstone('plan', ...ALEXNET, '--batch', '16384');
  t.is(code, 1);
  t.regex(
    stdout,
    /device +capacity +needed +too much by +live at most +at\n +node0\/gpu\d +17\.2 GB +\d+\.\d GB +\d+\.\d GB/,
  );
  t.regex(
    stdout,
    /what needs most of node0\/gpu\d:\n +op +needed +live at the peak\n( +\w+ +\d+(\.\d+)? [MG]B +\d+(\.\d+)? [MG]?B\n){10}/,
  );
});

test('plan and simulate show the memory where they are asked, and OptCNN among the baselines', async (t) => {
  const directory = await temporaryFolder(t);
  const file = join(directory, 'plan.json');
  const planned = await soapstone('plan', ...ALEXNET, '--batch', '64', '--save', file, '--output', 'json');
  t.is(planned.code, 0);
  const { best, baselines, memory: unasked } = JSON.parse(planned.stdout);
  t.true(best.iterationMs <= baselines.optcnn.iterationMs);
  t.is(unasked, undefined);
  const simulated = await soapstone('simulate', file, '--memory', '--output', 'json');
  t.is(simulated.code, 0);
  const {
    memory,
    peakMemoryBytes,
  }: { memory: { neededBytes: number; missingBytes: number }[]; peakMemoryBytes: number } = JSON.parse(
    simulated.stdout,
  );
  t.is(Math.max(...memory.map(({ neededBytes }) => neededBytes)), peakMemoryBytes);
  t.true(memory.every(({ missingBytes }) => missingBytes === 0));
});

test('memory that was estimated, since a plan surely fits, is exact where it is asked for, and said once', async (t) => {
  const args = ['lenet', '--cluster', 'p100x32', '--proposals', '5', '--memory', '--output', 'json'];
  const { stdout } = await soapstone('plan', ...args);
  const { best, memory }: { best: { peakMemoryBytes: number }; memory: DeviceMemoryReport[] } = JSON.parse(stdout);
  t.is(Math.max(...memory.map(({ neededBytes }) => neededBytes)), best.peakMemoryBytes);
  t.true(memory.every(({ isExact }) => isExact));
});

test('the summary compares with each baseline, says how it was found, and names the ops that take longest', async (t) => {
  const { code, stdout } = await soapstone('plan', ...ALEXNET, '--batch', '64');
  t.is(code, 0);
  t.regex(stdout, /\n +strategy +iteration +samples\/s +transferred +peak memory +plan is faster by\n +found plan /);
  for (const baseline of ['data parallel', 'model parallel', 'expert', 'OptCNN']) {
    t.regex(stdout, new RegExp(`\\n +${baseline} +[\\d.]+ ms +\\d+ +[\\d.]+ \\w+ +[\\d.]+ \\w+ +[\\d.]+x\\n`));
  }
  t.regex(
    stdout,
    /\nseed 1; \d+ proposals, \d+ accepted; stopped because (its proposals were used up|nothing better was found for half of its budget)\n/,
  );
  const [, listed] = stdout.split(/the 10 of \d+ ops that take longest:\n/);
  const times = listed!
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => [...line.matchAll(/([\d.]+) ms/g)].reduce((sum, [, ms]) => sum + Number(ms), 0));
  t.is(times.length, 10);
  t.true(
    times.every((ms, i) => i === 0 || ms <= times[i - 1]! * 1.01),
    'longest first, but for rounding',
  );
});

test('ops are timed over all micro-batches of an iteration, and in the file over one', async (t) => {
  const directory = await temporaryFolder(t);
  const file = join(directory, 'plan.json');
  const args = ['lenet', '--cluster', 'p100x1', '--batch', '64', '--accumulate', '4', '--proposals', '5'];
  const { stdout } = await soapstone('plan', ...args, '--save', file, '--output', 'json');
  const { best, ops }: { best: { computeMs: number }; ops: { name: string; computeMs: number }[] } = JSON.parse(stdout);
  const plan = decodePlan(await readFile(file, 'utf8'));
  for (const { name, computeMs } of ops) {
    const ofOne = plan.ops[name]!.computeMs!;
    t.true(Math.abs(computeMs - 4 * ofOne) < 1e-5 * computeMs, `${name}: ${computeMs} ms of 4 x ${ofOne} ms`);
  }
  const all = Object.values(plan.ops).reduce((sum, { computeMs = 0 }) => sum + 4 * computeMs, 0);
  t.true(all <= best.computeMs && all > best.computeMs / 2, `${all} ms of ${best.computeMs} ms`);
});

test('a model is known by what it is called, without an option; two are refused, and so is one where a job is asked for', async (t) => {
  const onnx = new URL('../golden/mlp/model.onnx', import.meta.url).pathname;
  for (const model of ['lenet', onnx]) {
    const { code, stdout, stderr } = await soapstone('plan', model, '--cluster', 'localx2', '--proposals', '5');
    t.is(code, 0, stderr);
    t.true(stdout.startsWith(`model ${model} on localx2\n`), stdout);
    const run = await soapstone('run', model);
    t.not(run.code, 0);
    t.true(
      run.stderr.startsWith(`soapstone: ${model} is a model; expected a TrainingJob, whose spec.model.`),
      run.stderr,
    );
  }
  const misspelt = await soapstone('plan', 'lennet', '--cluster', 'localx2');
  t.regex(misspelt.stderr, /^soapstone: there is no built-in model 'lennet'; .*: did you mean lenet\?/);
  const twice = await soapstone('plan', 'lenet', '--onnx', onnx, '--cluster', 'localx2');
  t.not(twice.code, 0);
  t.true(
    twice.stderr.includes(`plan expects one of a job file, a built-in model and an ONNX file, got lenet and ${onnx}`),
  );
});

test('a plan for an ONNX file knows where the file was, and is told where it is', async (t) => {
  const directory = await temporaryFolder(t);
  const [file, model, elsewhere] = ['plan.json', 'model.onnx', 'moved.onnx'].map((name) => join(directory, name));
  await copyFile(new URL('../../examples/mnist/model.onnx', import.meta.url), model!);
  const search = ['--cluster', 'p100x2', '--proposals', '20', '--save', file!];
  t.is((await soapstone('plan', '--onnx', model!, ...search)).code, 0);
  const sha256 = createHash('sha256')
    .update(await readFile(model!))
    .digest('hex');
  t.deepEqual(JSON.parse(await readFile(file!, 'utf8')).model.source, { onnx: model, sha256 });
  t.is((await soapstone('simulate', file!)).code, 0);
  await rename(model!, elsewhere!);
  const lost = await soapstone('simulate', file!);
  t.is(lost.code, 2);
  t.regex(lost.stderr, /cannot read model .*model\.onnx: there is no such file; say where it is by --onnx FILE/);
  t.is((await soapstone('simulate', file!, '--onnx', elsewhere!)).code, 0);
});

test('a plan for micro-batches and bfloat16 says so, and is simulated and explained as it was planned', async (t) => {
  const directory = await temporaryFolder(t);
  const file = join(directory, 'plan.json');
  const micro = ['--batch', '64', '--accumulate', '4', '--wire', 'bfloat16'];
  const plan = async (...args: string[]) =>
    soapstone('plan', '--model', 'lenet', '--cluster', 'p100x2', '--proposals', '50', ...args);
  const text = await plan(...micro, '--save', file);
  t.is(text.code, 0, text.stderr);
  t.regex(text.stdout, /one iteration of 64 samples in 4 micro-batches, with bfloat16 between devices:/);
  const { best }: { best: { iterationMs: number } } = JSON.parse((await plan(...micro, '--output', 'json')).stdout);
  const simulated: typeof best = JSON.parse((await soapstone('simulate', file, '--output', 'json')).stdout);
  t.deepEqual(simulated, best);
  const explained = await soapstone('explain', file);
  t.regex(
    explained.stdout,
    /64 samples in 4 micro-batches takes .*\neach of the first 3 micro-batches takes .* the last one/,
  );
  for (const [args, sentence] of [
    [['--batch', '64', '--accumulate', '6'], /64 samples cannot be taken in 6 equal micro-batches; expected .* 4/],
    [['--wire', 'float16'], /--wire is 'float16'; expected float32 or bfloat16/],
  ] as const) {
    const { code, stderr } = await plan(...args);
    t.is(code, 2);
    t.regex(stderr, sentence);
  }
});

test('recurrent layers of an ONNX file are unrolled as asked, and so they are when the plan is simulated', async (t) => {
  const directory = await temporaryFolder(t);
  const file = join(directory, 'plan.json');
  const model = new URL('../golden/lstm/model.onnx', import.meta.url).pathname;
  const search = ['--cluster', 'p100x2', '--batch', '8', '--proposals', '10', '--save', file];
  // Two layers of 20 steps.
  for (const [steps, groups] of [
    ['3', 14],
    ['20', 2],
  ] as const) {
    t.is((await soapstone('plan', '--onnx', model, '--unroll-steps', steps, ...search)).code, 0);
    const { ops }: { ops: Record<string, { kind: string }> } = JSON.parse(await readFile(file, 'utf8'));
    t.is(Object.values(ops).filter(({ kind }) => kind === 'lstm').length, groups);
    t.is((await soapstone('simulate', file)).code, 0);
  }
});

test('a plan that was made by measured costs, and is looked at without them, says so', async (t) => {
  const directory = await temporaryFolder(t);
  const [file, table] = [join(directory, 'plan.json'), join(directory, 'costs.json')];
  await soapstone('plan', ...ALEXNET, '--batch', '64', '--save', file);
  const plan = decodePlan(await readFile(file, 'utf8'));
  const measured = { deviceType: 'cpu', kernels: KERNELS_VERSION, measured: '2026-11-27', entries: [], messages: [] };
  await writeFile(table, encodeCostTable(createCostTable([measured])));
  for (const command of ['explain', 'simulate']) {
    t.is((await soapstone(command, file)).stderr, '', 'made by data sheets');
    await writeFile(file, encodePlan({ ...plan, costs: { measured: 0.75, interpolated: 0, roofline: 0.25 } }));
    const without = await soapstone(command, file);
    t.is(without.code, 0);
    t.regex(without.stderr, /^note: .*measured costs \([\d.]+ \w+ an iteration\).*data sheets; expected --costs FILE/);
    t.is((await soapstone(command, file, '--costs', table)).stderr, '');
    await writeFile(file, encodePlan(plan));
  }
});

test('a plan whose table of costs grew since it was made is told to take another time by now', async (t) => {
  const directory = await temporaryFolder(t);
  const [file, table] = [join(directory, 'plan.json'), join(directory, 'costs.json')];
  const writeCosts = async (...us: number[]): Promise<void> => {
    const work = { direction: 'forward', flops: 1e9, memoryBytes: 1e7, spread: 0.01 } as const;
    const entries = us.map((each, i) => ({ signature: `${['linear', 'conv2d'][i]}(1)`, ...work, us: each }));
    const measured = { deviceType: 'P100', kernels: KERNELS_VERSION, measured: '2026-11-27', entries, messages: [] };
    await writeFile(table, encodeCostTable(createCostTable([measured])));
  };
  await writeCosts(1000);
  await soapstone('plan', ...ALEXNET, '--batch', '64', '--costs', table, '--save', file);
  const notes = async (...args: string[]): Promise<string[]> => [
    (await soapstone('explain', file, ...args)).stderr,
    (await soapstone('simulate', file, ...args)).stderr,
  ];
  t.deepEqual(await notes('--costs', table), ['', '']);
  await writeCosts(1000, 5000);
  for (const note of await notes('--costs', table))
    t.regex(
      note,
      /^note: the plan was made for [\d.]+ m?s an iteration, and what follows is [\d.]+ m?s by the costs that/,
    );
  t.deepEqual(await notes('--costs', table, '--cluster', 'p100x2'), ['', ''], 'another time is what is meant');
  for (const note of await notes()) t.regex(note, /^note: the plan was made by measured costs [^\n]*\n$/, 'one note');
});

test('parameters that a plan without a job freezes are told by it, by the plan file and by its explanation', async (t) => {
  const file = join(await temporaryFolder(t), 'plan.json');
  const lenet = ['--model', 'lenet', '--cluster', 'p100x2', '--proposals', '5'];
  const planned = await soapstone('plan', ...lenet, '--freeze', 'conv*', '--freeze', 'fc1.bias', '--save', file);
  t.is(planned.code, 0);
  t.regex(planned.stdout, /\nfrozen: 5 of 10 parameters, [\d,]+ of [\d,]+ numbers\n/);
  const names = ['conv1.bias', 'conv1.weight', 'conv2.bias', 'conv2.weight', 'fc1.bias'];
  t.deepEqual(decodePlan(await readFile(file, 'utf8'), file).training?.frozen?.toSorted(), names);
  const explained = await soapstone('explain', file, '--output', 'json');
  const { ops }: { ops: { op: string; frozen: string[] }[] } = JSON.parse(explained.stdout);
  t.deepEqual(ops.flatMap(({ frozen }) => frozen).toSorted(), names);
  t.regex((await soapstone('explain', file)).stdout, /, conv1\.weight and conv1\.bias frozen[,;]/);
  const misspelt = await soapstone('plan', ...lenet, '--freeze', 'cnov*');
  t.is(misspelt.code, 2);
  t.regex(misspelt.stderr, /--freeze\[0\]: got 'cnov\*', which matches no parameter of the model/);
  const beside = await soapstone('plan', 'examples/mnist/job.yaml', '--freeze', 'conv*');
  t.is(beside.code, 2);
  t.regex(beside.stderr, /--freeze.* for a model without a job; expected them in the job/);
});
