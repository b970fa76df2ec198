import { attachLoss } from '../../soap/training/loss.ts';
import type { ModelParameters } from '../../soap/models/index.ts';
import { builtinModel, findBuiltin } from '../../soap/models/index.ts';
import type { LoadedModel } from '../../runtime/model/load-model.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { texts } from '../command-line/arguments.ts';
import { UsageError } from '../command-line/usage-error.ts';

/**
 * A built-in model with the parameters that `--set` gives it, weights drawn from the seed, and its usual loss.
 * @throws {UsageError} for settings that are no key=value
 * @throws {OpError} for a model or a parameter that is not known, and for values that do not fit
 */
export function loadedBuiltin(name: string, batch: number, seed: number, args: Arguments): LoadedModel {
  const model = builtinModel(name, batch, seed, modelSettings(args));
  return { model, training: attachLoss(model.graph, findBuiltin(name).loss) };
}

/** What `--set` gives. @throws {UsageError} for settings that are no key=value */
export function modelSettings(args: Arguments): ModelParameters {
  const settings = texts(args, 'set').map((setting) => {
    const at = setting.indexOf('=');
    if (at > 0) return [setting.slice(0, at), settingValue(setting.slice(at + 1))] as const;
    throw new UsageError(`--set is '${setting}'; expected key=value, such as layers=24`);
  });
  return Object.fromEntries(settings);
}

/** The value as a TrainingJob would have it in YAML: a number, true or false, or text. */
function settingValue(text: string): number | boolean | string {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}
