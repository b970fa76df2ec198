import test from 'ava';
import * as fc from 'fast-check';
import { graphFingerprint } from '../../soap/graph/fingerprint.ts';
import { freeze, freezeNamed, frozenNames } from '../../soap/graph/freeze.ts';
import { matchesGlob } from '../../soap/graph/glob.ts';
import { inputGradients } from '../../soap/graph/input-gradients.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { FileError } from '../../soap/schema/check.ts';

const lenet = builtinGraph('lenet', 4);
const NAMES = lenet.tensors.flatMap(({ name, role }) => (role === 'parameter' ? [name] : []));

test('globs freeze the parameters whose names they match, and no other tensor', (t) => {
  const frozen = freeze(lenet, ['conv*', 'fc1.bias']);
  const expected = NAMES.filter((name) => name.startsWith('conv') || name === 'fc1.bias');
  t.deepEqual(frozenNames(frozen), expected);
  t.true(expected.length > 2 && expected.length < NAMES.length);
  t.deepEqual(
    frozen.tensors,
    lenet.tensors.map((tensor) => (expected.includes(tensor.name) ? { ...tensor, frozen: true } : tensor)),
  );
  t.is(freeze(lenet, []), lenet);
  t.deepEqual(frozenNames(freezeNamed(lenet, new Set(['fc1.weight', 'nothing']))), ['fc1.weight']);
});

test('a glob matches as the regular expression of it does', (t) => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 });
  const globs = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 6 });
  fc.assert(
    fc.property(letters, globs, (name, glob) => {
      const pattern = glob.split('*').map((part) => part.replaceAll('.', String.raw`\.`));
      t.is(matchesGlob(name, glob), new RegExp(`^${pattern.join('.*')}$`).test(name), `${name} by ${glob}`);
    }),
    { numRuns: 2000 },
  );
  // A regular expression would take hours.
  t.false(matchesGlob('a'.repeat(2000), `${'*a'.repeat(200)}*b`));
});

test('all globs that match nothing are told, with the name or folder that is near', (t) => {
  const error = t.throws(() => freeze(lenet, ['fc1.wieght', 'cnv1.*', 'conv1.weight', 'backbone']), {
    instanceOf: FileError,
  });
  t.deepEqual(
    error.problems.map(({ path }) => path),
    ['spec.training.frozen[0]', 'spec.training.frozen[1]', 'spec.training.frozen[3]'],
  );
  const [weight, folder, unknown] = error.problems.map(({ message }) => message);
  t.regex(weight!, /got 'fc1\.wieght', which matches no parameter.*conv1\.weight.*did you mean 'fc1\.weight'\?/);
  t.regex(folder!, /did you mean 'conv1\.\*'\?/);
  t.regex(unknown!, /expected a name or glob of .*conv1\.weight/);
  t.notRegex(unknown!, /did you mean/);
});

test('a model of which nothing is left to train is refused', (t) => {
  const error = t.throws(() => freeze(lenet, ['conv*', 'fc*']), { instanceOf: FileError });
  t.is(error.problems.length, 1);
  t.is(error.problems[0]!.path, 'spec.training.frozen');
  t.regex(error.problems[0]!.message, new RegExp(`matches all ${NAMES.length} parameters of 'lenet'.*remove a name`));
});

test('no gradient is wanted of frozen parameters, nor of what only they and the batch are before', (t) => {
  const { graph } = attachLoss(freeze(lenet, ['conv*', 'fc1.bias']), 'crossEntropy');
  const wanted = inputGradients(graph);
  for (const op of graph.ops) {
    const names = op.inputs.map((id) => graph.tensors[id]!.name);
    if (op.kind === 'conv2d') t.false(wanted[op.id]!.includes(true), op.name);
    if (op.name === 'fc1') t.deepEqual(wanted[op.id], [false, true, false], names.join());
    if (op.name === 'fc2') t.deepEqual(wanted[op.id], [true, true, true], names.join());
  }
  t.true(graph.ops.some(({ kind }) => kind === 'conv2d'));
  // Frozen in the middle, a layer still hands the gradient of what it reads on.
  const middle = attachLoss(freeze(lenet, ['fc1.*']), 'crossEntropy').graph;
  const fc1 = middle.ops.find(({ name }) => name === 'fc1')!;
  t.deepEqual(inputGradients(middle)[fc1.id], [true, false, false]);
});

test('a graph has another fingerprint for each set of frozen parameters', (t) => {
  const prints = [[], ['conv1.*'], ['conv2.*'], ['conv*']].map((globs) => graphFingerprint(freeze(lenet, globs)));
  t.is(new Set(prints).size, prints.length);
});
