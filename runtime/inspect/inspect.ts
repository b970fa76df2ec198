import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { importOnnx } from '../../soap/conversion/import.ts';
import { structureOf } from '../../soap/conversion/structure.ts';
import type { HandoffKind, InspectionOrder } from '../../soap/job/handoff.ts';
import { handoffLines, MAX_HANDOFF_CHARACTERS } from '../../soap/job/handoff.ts';
import { createChecker, FileError } from '../../soap/schema/check.ts';
import { parseJson } from '../../soap/schema/json.ts';
import { fileReason } from '../storage/file-reason.ts';
import { readFailure } from '../storage/missing-file.ts';
import { storagePath } from '../storage/storage-path.ts';
import { readStoredModel } from '../model/load-model.ts';

const ORDER_VARIABLE = 'SOAPSTONE_INSPECT';
const STORAGE_VARIABLE = 'SOAPSTONE_STORAGE';

/** What messages call the folder: whoever reads them knows the job, not where a pod mounts its storage. */
const STORAGE_FIELD = 'spec.storage';

const orderChecker = createChecker<InspectionOrder>({
  type: 'object',
  required: ['batch'],
  properties: {
    onnx: { type: 'string' },
    plan: { type: 'string' },
    batch: { type: 'integer', minimum: 1 },
    unrollSteps: { type: 'integer', minimum: 1 },
  },
});

/**
 * Looks into a job's storage for the controller: reads the model as training will, and hands over its graph without weights, and
 * the plan that the job gives.
 * @throws {Error} a sentence about what is missing or wrong; `isMissingFile` tells where a file is not there
 */
export async function inspectStorage(env: NodeJS.ProcessEnv, write: (line: string) => void): Promise<void> {
  const { [ORDER_VARIABLE]: text, [STORAGE_VARIABLE]: storage } = env;
  if (!text || !storage)
    throw new Error(`${ORDER_VARIABLE} and ${STORAGE_VARIABLE} must be set; expected an order and a folder`);
  const order = parseJson(text, ORDER_VARIABLE, 'expected the order that the controller gives its pods');
  if (!orderChecker.is(order)) throw new FileError(ORDER_VARIABLE, orderChecker.problems(order));
  const { onnx, plan } = order;
  const lines: string[] = [];
  if (onnx !== undefined) lines.push(...(await handedOver('model', await readStructure(onnx, storage, order))));
  if (plan !== undefined) lines.push(...(await handedOver('plan', await readPlan(plan, storage))));
  // Nothing before all is well: what a pod says last is taken for why it failed.
  lines.forEach((line) => write(line));
}

async function readStructure(
  path: string,
  storage: string,
  { batch, unrollSteps }: InspectionOrder,
): Promise<Uint8Array> {
  const onnx = await readStoredModel(path, storage, STORAGE_FIELD);
  // For its sentences: the controller sees the weights as zeros, and could not say what is wrong with them.
  importOnnx(onnx, { batch, source: path, unrollSteps });
  return structureOf(onnx);
}

async function readPlan(path: string, storage: string): Promise<Uint8Array> {
  return readFile(storagePath(storage, path)).catch((error: unknown) => {
    const message = `cannot read plan '${path}' in ${STORAGE_FIELD}: ${fileReason(error)}; correct spec.plan, or put it there`;
    throw readFailure(message, error);
  });
}

async function handedOver(kind: HandoffKind, content: Uint8Array): Promise<string[]> {
  const base64 = (await promisify(gzip)(content, { level: 9 })).toString('base64');
  const lines = handoffLines(kind, base64);
  const characters = lines.reduce((sum, line) => sum + line.length + 1, 0);
  if (characters > MAX_HANDOFF_CHARACTERS / 2) {
    throw new Error(
      `the ${kind} takes ${characters} characters without weights; expected at most ${MAX_HANDOFF_CHARACTERS / 2}: ` +
        'save large constants as weights, or put it into a ConfigMap',
    );
  }
  return lines;
}
