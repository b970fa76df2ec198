import type { TrainingJob } from './training-job.ts';

/**
 * What a pod that looks into a job's storage, or measures a device, hands to the controller, as lines of its log: each is a mark, the kind, its number and
 * how many there are, and a piece of base64. Whatever else is in the log is passed over.
 */
export type HandoffKind = 'model' | 'plan' | 'costs';

/** What the pod is to look for. */
export interface InspectionOrder {
  /** Path of the ONNX file in storage; absent where the model is not there. */
  readonly onnx?: string;
  /** Path of the plan file in storage, where the job gives one. */
  readonly plan?: string;
  /** Samples per step. */
  readonly batch: number;
  readonly unrollSteps?: number;
}

/** What a pod that measures a device is to do. */
export interface ProfileOrder {
  readonly job: TrainingJob;
  readonly deviceType: string;
  /** The model's key in tables, see `soap/cost/kept-costs.ts`. */
  readonly model: string;
  /** Splits into at most so many parts. */
  readonly devices: number;
  /** Devices that share the cores of a node, where kernels run on the CPU. */
  readonly devicesPerNode: number;
  /** No kernel is begun after so long. */
  readonly seconds: number;
}

/**
 * Exit code of a pod that found that a file is not in storage: it is looked for again, where any other failure of an inspection is
 * final. Source: EX_NOINPUT of sysexits.h.
 */
export const MISSING_FILE_EXIT_CODE = 66;

/**
 * Exit code of a pod whose devices lost one of another pod, and had no fault of their own. Source: EX_UNAVAILABLE of sysexits.h.
 */
export const LOST_PEER_EXIT_CODE = 69;

/**
 * Exit code of a pod whose job trained all its steps and ended with a loss that is no number: to start it again would end alike. Source:
 * EX_DATAERR of sysexits.h.
 */
export const DIVERGED_EXIT_CODE = 65;

const MARK = 'soapstone-handoff';

/** Characters of base64 in a line. Source: container runtimes cut lines of more than 16 KiB in two (CRI's `P` and `F` tags). */
const LINE_CHARACTERS = 8192;

/** Most characters of a log that the controller reads. */
export const MAX_HANDOFF_CHARACTERS: number = 8 * 2 ** 20;

/** Log lines that hand something over, compressed and in base64. */
export function handoffLines(kind: HandoffKind, base64: string): string[] {
  const count = Math.max(1, Math.ceil(base64.length / LINE_CHARACTERS));
  return Array.from({ length: count }, (_, index) => {
    const piece = base64.slice(index * LINE_CHARACTERS, (index + 1) * LINE_CHARACTERS);
    return `${MARK} ${kind} ${index + 1}/${count} ${piece}`;
  });
}

/**
 * The base64 that a log hands over. The log is a stranger's: it may hold anything.
 * @throws {Error} where a line is missing, twice there, or none there
 */
export function readHandoff(kind: HandoffKind, log: string): string {
  const pattern = new RegExp(`^${MARK} ${kind} (\\d{1,6})/(\\d{1,6}) ([A-Za-z0-9+/=]*)\\r?$`, 'gm');
  let text = '';
  let [next, total] = [1, 1];
  for (const [, index, count, piece = ''] of log.matchAll(pattern)) {
    if (next > 1 && Number(count) !== total) throw new Error(`the lines disagree on how many there are`);
    total = Number(count);
    if (Number(index) !== next) throw new Error(`line ${next} of ${total} is missing`);
    text += piece;
    next += 1;
  }
  if (next === 1) throw new Error('there is no line of it');
  if (next !== total + 1) throw new Error(`${next - 1} of ${total} lines are there`);
  return text;
}
