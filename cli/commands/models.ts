import process from 'node:process';
import type { BuiltinModel } from '../../soap/models/index.ts';
import { BUILTIN_MODELS, findBuiltin } from '../../soap/models/index.ts';
import { parseArguments, wantsJson } from '../command-line/arguments.ts';
import { UsageError } from '../command-line/usage-error.ts';
import type { Command } from '../command-line/command.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

const HELP = `soapstone models [NAME] [--output json]: the built-in models, or one of them with its parameters

  --output FORM    text (default) or json

Parameters are given by --set key=value to soapstone plan, and beside the name of a job's spec.model.builtin.
example: soapstone models gpt
`;

export const modelsCommand: Command = {
  name: 'models',
  summary: 'list the built-in models and their parameters',
  help: HELP,
  run(args) {
    const parsed = parseArguments(args, { output: { type: 'string' } }, 'models');
    const [name, ...surplus] = parsed.positionals;
    if (surplus.length > 0) throw new UsageError('models expects at most one name: soapstone models [NAME]');
    const models = name === undefined ? BUILTIN_MODELS : [findBuiltin(name)];
    if (wantsJson(parsed)) process.stdout.write(`${JSON.stringify({ models })}\n`);
    else if (name === undefined) process.stdout.write(overview(models));
    else process.stdout.write(models.map(details).join('\n'));
    return Promise.resolve(0);
  },
};

/** One line for each model, with the names of its parameters below. */
function overview(models: readonly BuiltinModel[]): string {
  const width = Math.max(...models.map(({ name }) => name.length)) + 2;
  const lines = models.flatMap(({ name, summary, parameters }) => [
    `${name.padEnd(width)}${summary}`,
    `${' '.repeat(width)}${parameters.map((each) => each.name).join(', ')}`,
  ]);
  return `${lines.join('\n')}\n\nsoapstone models NAME tells what the parameters mean\n`;
}

/** A model with what it reads and gives, and a line for each parameter. */
function details(model: BuiltinModel): string {
  const rows = model.parameters.map((each) => [`${each.name}=${shorten(String(each.default))}`, each.meaning] as const);
  const width = Math.max(...rows.map(([setting]) => setting.length)) + 2;
  const lines = rows.map(([setting, meaning]) => `  ${setting.padEnd(width)}${meaning}`);
  return `${model.name}: ${model.summary}\n${sizes(model)}\n\n${lines.join('\n')}\n`;
}

/** Inputs, results and size of a model with its defaults. */
function sizes(model: BuiltinModel): string {
  const { tensors, ops, inputs, outputs } = model.build(1, {});
  const shapeOf = (id: number): string => `[${['N', ...tensors[id]!.shape.slice(1)].join(', ')}]`;
  const read = inputs.map((id) => `${tensors[id]!.name} ${tensors[id]!.dtype} ${shapeOf(id)}`);
  const given = outputs.length === 1 ? shapeOf(outputs[0]!) : `${outputs.length} pieces ${shapeOf(outputs[0]!)}`;
  const trained = tensors
    .filter(({ role }) => role === 'parameter')
    .reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return (
    `reads ${read.join(' and ')}, gives ${given}; its loss is ${model.loss}\n` +
    `${ops.length} ops, ${trained.toLocaleString('en-US')} trained numbers`
  );
}

/** Defaults that are long lists are cut. */
function shorten(text: string): string {
  return text.length > 24 ? `${text.slice(0, 21)}...` : text;
}
