import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { isBuiltin } from '../soap/models/index.ts';
import type { Arguments } from './arguments.ts';
import { text, texts } from './arguments.ts';
import { UsageError } from './usage-error.ts';

/** What a command line says of a model; one of these. */
export interface GivenModel {
  /** A TrainingJob file. */
  readonly job?: string | undefined;
  /** Of a built-in model. */
  readonly name?: string | undefined;
  /** An ONNX file. */
  readonly onnx?: string | undefined;
}

/** What commands of one model call it, in their help, and the options that do. */
export const MODEL_HELP = `MODEL is a TrainingJob, the name of a built-in model, or an ONNX file (.onnx).
`;
export const MODEL_OPTIONS_HELP = `  --model NAME     a built-in model, as MODEL may be
  --onnx FILE      an ONNX file, as MODEL may be
`;

/**
 * The model of a command line, by itself or as an option.
 * @throws {UsageError} for none or several, and for parameters of a model that is not built in
 */
export function givenModel(args: Arguments, command: string): GivenModel {
  const [name, onnx] = [text(args, 'model'), text(args, 'onnx')];
  const given = [...args.positionals, ...[name, onnx].filter((each) => each !== undefined)];
  if (given.length !== 1) {
    const got = given.length === 0 ? '' : `, got ${given.join(' and ')}`;
    throw new UsageError(`${command} expects one of a job file, a built-in model and an ONNX file${got}`);
  }
  const model = modelOf(args.positionals[0]) ?? { name, onnx };
  if (model.name === undefined && texts(args, 'set').length > 0) {
    throw new UsageError(
      `--set gives parameters to a built-in model; expected the name of one in place of ${given.join()}`,
    );
  }
  return model;
}

/** What a model that is given by itself is. */
function modelOf(path: string | undefined): GivenModel | undefined {
  if (path === undefined) return undefined;
  if (extname(path) === '.onnx') return { onnx: path };
  // A word that is no file is a name, of which it is said which one was meant.
  const isWord = /^[\w-]+$/.test(path) && !existsSync(path);
  return isBuiltin(path) || isWord ? { name: path } : { job: path };
}
