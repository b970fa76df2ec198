import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { isBuiltin } from '../../soap/models/index.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { text, texts, wholeNumber } from '../command-line/arguments.ts';
import { UsageError } from '../command-line/usage-error.ts';

/** What a command line calls a model; one of these. */
export interface NamedModel {
  /** A TrainingJob file. */
  readonly job?: string | undefined;
  /** Of a built-in model. */
  readonly name?: string | undefined;
  /** An ONNX file. */
  readonly onnx?: string | undefined;
}

/** What a command line says of a model. */
export interface GivenModel extends NamedModel {
  /** Steps of a recurrent layer of the ONNX file that make one op: see `importOnnx`. */
  readonly unrollSteps: number | undefined;
}

/** Options of commands of one model that say which, and how it is read. */
export const MODEL_OPTIONS = {
  model: { type: 'string' },
  onnx: { type: 'string' },
  set: { type: 'string', multiple: true },
  'unroll-steps': { type: 'string' },
} as const;

/** What these commands call a model, in their help, and their options. */
export const MODEL_HELP = `MODEL is a TrainingJob, the name of a built-in model, or an ONNX file (.onnx).
`;
export const MODEL_OPTIONS_HELP = `  --model NAME     a built-in model, as MODEL may be
  --onnx FILE      an ONNX file, as MODEL may be
  --set KEY=VALUE  a parameter of the built-in model, as often as needed; soapstone models lists them
  --unroll-steps N steps of a recurrent layer of the ONNX file that make one op, default 8
`;

/**
 * The model of a command line, by itself or as an option.
 * @throws {UsageError} for none or several, and for options that do not go with the one
 */
export function givenModel(args: Arguments, command: string): GivenModel {
  const [name, onnx] = [text(args, 'model'), text(args, 'onnx')];
  const given = [...args.positionals, ...[name, onnx].filter((each) => each !== undefined)];
  if (given.length !== 1) {
    const got = given.length === 0 ? '' : `, got ${given.join(' and ')}`;
    throw new UsageError(`${command} expects one of a job file, a built-in model and an ONNX file${got}`);
  }
  const [path] = args.positionals;
  const model = path === undefined ? { name, onnx } : namedModel(path);
  if (model.name === undefined && texts(args, 'set').length > 0) {
    throw new UsageError(
      `--set gives parameters to a built-in model; expected the name of one in place of ${given.join()}`,
    );
  }
  const unrollSteps = wholeNumber(args, 'unroll-steps', 1, 65536);
  if (model.onnx === undefined && unrollSteps !== undefined) {
    throw new UsageError(
      '--unroll-steps is for recurrent layers of ONNX files; expected such a file: a job says spec.model.unrollSteps, ' +
        'a built-in model takes --set group=N',
    );
  }
  return { ...model, unrollSteps };
}

/** What a model that is given by one word is. */
export function namedModel(path: string): NamedModel {
  if (extname(path) === '.onnx') return { onnx: path };
  // A word that is no file is a name, of which it is said which one was meant.
  const isWord = /^[\w-]+$/.test(path) && !existsSync(path);
  return isBuiltin(path) || isWord ? { name: path } : { job: path };
}
