import process from 'node:process';
import { exportCheckpoint, findCheckpoint, fixedBatchNotice } from '../../runtime/checkpoint/export-model.ts';
import { readIndex } from '../../runtime/checkpoint/index-file.ts';
import { parseArguments, text, wantsJson } from '../command-line/arguments.ts';
import { checkpointModel } from '../model/checkpoint-model.ts';
import { requireWritable } from '../files/result-file.ts';
import { UsageError } from '../command-line/usage-error.ts';
import type { Command } from '../command-line/command.ts';

const HELP = `soapstone export CHECKPOINT --out FILE.onnx [options]: writes a trained model as an ONNX file

CHECKPOINT is the checkpoint.directory of a job, of which the newest whole checkpoint is taken, or the folder of one. The
file holds the trained weights and takes any batch, unless an op of the model is made for one batch only: then a notice says
so. Any ONNX runtime evaluates it.

  --out FILE       the ONNX file to write
  --model MODEL    the model that was trained: an ONNX file, a TrainingJob or a built-in model; by default what the
                   checkpoint says, looked for in the folders above it
  --output FORM    text (default) or json: step, checkpoint, out, and batch where the file takes one only

example: soapstone export examples/mnist/checkpoints --out trained.onnx
`;

const OPTIONS = { out: { type: 'string' }, model: { type: 'string' }, output: { type: 'string' } } as const;

export const exportCommand: Command = {
  name: 'export',
  summary: 'write a trained model as an ONNX file',
  help: HELP,
  async run(args) {
    const parsed = parseArguments(args, OPTIONS, 'export');
    const [path, ...surplus] = parsed.positionals;
    if (path === undefined || surplus.length > 0) {
      throw new UsageError('export expects one checkpoint: the checkpoint.directory of a job, or a folder in it');
    }
    const out = text(parsed, 'out');
    if (out === undefined) throw new UsageError('export has no --out; expected the ONNX file to write');
    await requireWritable('out', out);
    const { folder, passedOver } = await findCheckpoint(path);
    for (const reason of passedOver) process.stderr.write(`passed over: ${reason}\n`);
    const index = await readIndex(folder);
    const { graph } = await checkpointModel(folder, index, text(parsed, 'model'));
    const batch = await exportCheckpoint(folder, graph, out);
    if (batch !== undefined) process.stderr.write(`${fixedBatchNotice(out, batch)}\n`);
    const { step } = index.metadata;
    const result = wantsJson(parsed)
      ? JSON.stringify({ step, checkpoint: folder, out, batch })
      : `the model after ${step} steps (${folder}) is in ${out}`;
    process.stdout.write(`${result}\n`);
    return 0;
  },
};
