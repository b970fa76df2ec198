import { duration } from '../terminal/format.ts';
import { oneLine } from '../terminal/printable.ts';

/** What a pod's line holds, not checked yet. */
type Fields = Readonly<Record<string, unknown>>;

/** What is said of it; undefined where a field is not what this version writes. */
type Words = (fields: Fields) => string | undefined;

/** A line of a device: its number, and what it tells as JSON. Source: `logEvent` of runtime/worker/pod.ts. */
const DEVICE_LINE = /^device (\d+): (\{.*\})$/;

/** A step of all devices, in words already. Source: as of {@link DEVICE_LINE}. */
const STEP_LINE = /^step \d+: /;

/**
 * A line of a runtime pod as people read it, in the words of `soapstone run`: the device, and what it tells. Undefined for any other
 * line, such as what another program in the image wrote.
 */
export function readableLine(text: string): string | undefined {
  if (STEP_LINE.test(text)) return text;
  const [, device, json = ''] = DEVICE_LINE.exec(text) ?? [];
  const fields = device === undefined ? undefined : parsedFields(json);
  const said = fields === undefined ? undefined : EVENTS.get(fields['type'])?.(fields);
  return said === undefined ? undefined : `device ${device}: ${said}`;
}

function parsedFields(json: string): Fields | undefined {
  try {
    const fields: Fields = Object(JSON.parse(json));
    return fields;
  } catch {
    return undefined;
  }
}

/** What is said of each event of a device, by its type. Source: `DeviceEvent` of runtime/device/events.ts. */
const EVENTS: ReadonlyMap<unknown, Words> = new Map<unknown, Words>([
  ['ready', readyWords],
  ['links', linksWords],
  ['evaluation', evaluationWords],
  ['checkpoint', checkpointWords],
  ['notice', ({ message }) => textOf(message)],
  ['model', ({ path }) => sentence`trained model: ${textOf(path)}`],
  ['failed', ({ message }) => sentence`failed: ${textOf(message)}`],
  ['stopped', ({ step }) => sentence`stopped after step ${numberOf(step)}`],
  ['done', () => 'done'],
]);

function readyWords({ steps, firstStep, predicted }: Fields): string | undefined {
  const { computeSeconds, collectiveSeconds }: Fields = Object(predicted);
  const begins = firstStep === 0 ? 'begins' : sentence`goes on after step ${numberOf(firstStep)}`;
  return sentence`${begins}, ${numberOf(steps)} steps in all; predicted of an iteration: ${time(computeSeconds)} of computing, ${time(collectiveSeconds)} of adding up gradients`;
}

function linksWords({ links }: Fields): string | undefined {
  if (!Array.isArray(links)) return undefined;
  if (links.length === 0) return 'has no links to measure';
  const words = links.map((link: unknown) => {
    const { peer, bytesPerSec, plannedBytesPerSec }: Fields = Object(link);
    return sentence`device ${numberOf(peer)} ${rate(bytesPerSec)} (planned ${rate(plannedBytesPerSec)})`;
  });
  return words.includes(undefined) ? undefined : `measured links: to ${words.join(', to ')}`;
}

function evaluationWords({ step, loss, accuracy }: Fields): string | undefined {
  const share = numberOf(accuracy);
  const end = share === undefined ? '' : `, accuracy ${(100 * share).toFixed(2)}%`;
  return sentence`evaluation after ${numberOf(step)} steps: loss ${numberOf(loss)?.toFixed(4)}${end}`;
}

function checkpointWords({ step, path, seconds }: Fields): string | undefined {
  return sentence`checkpoint after ${numberOf(step)} steps in ${time(seconds)}: ${textOf(path)}`;
}

function time(seconds: unknown): string | undefined {
  const number = numberOf(seconds);
  return number === undefined ? undefined : duration(1000 * number);
}

function rate(bytesPerSec: unknown): string | undefined {
  const number = numberOf(bytesPerSec);
  return number === undefined ? undefined : `${(number / 1e9).toPrecision(2)} GB/s`;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? oneLine(value) : undefined;
}

/** A template that is undefined where a part of it is. */
function sentence(texts: TemplateStringsArray, ...parts: readonly (string | number | undefined)[]): string | undefined {
  if (parts.includes(undefined)) return undefined;
  return texts.map((text, i) => `${text}${parts[i] ?? ''}`).join('');
}
