import { setTimeout as sleep } from 'node:timers/promises';
import { StringDecoder } from 'node:string_decoder';
import { ApiException } from '@kubernetes/client-node';
import { ApiStatusError } from '../../operator/watch/api-error.ts';
import { openResponse } from '../../operator/watch/open-response.ts';
import type { Access } from './access.ts';
import { ask, isMissing } from './access.ts';
import type { LogLine } from './log-lines.ts';
import { isAfter, LineSplitter, stampedLines } from './log-lines.ts';
import { messageOf } from '../../soap/message-of.ts';

/** The container of the runtime, as operator/decide/pods.ts names it. */
export const CONTAINER = 'worker';

/** Answers that stay as they are: who asks may not, or there is no such thing. */
const FOR_GOOD: readonly number[] = [401, 403, 404];

/** How often a pod is looked at that has not begun, or whose log broke off. */
const POLL_MS = 500;

/** Failures in a row after which there is no hope: the API server may be restarted meanwhile. */
const MAX_FAILURES = 240;

/** What is done with a log that is followed. */
export interface Followed {
  /** Last lines to begin with; all where undefined. */
  readonly tailLines: number | undefined;
  /** Whose log it is, of the pod's. */
  readonly container: string;
  readonly print: (line: LogLine) => void;
  /** Takes a sentence on what is going on meanwhile. */
  readonly note: (sentence: string) => void;
}

/**
 * Prints what a pod writes, from its start to its end, whatever breaks between: connections that say nothing for hours are cut on their way.
 * @throws {Error} a sentence where the log cannot be had, or not any more
 */
export async function followLog(
  access: Access,
  pod: string,
  { tailLines, container, print, note }: Followed,
): Promise<void> {
  const log = new LogReader(access, pod, container, print);
  for (let failures = 0; failures < MAX_FAILURES;) {
    try {
      const phase = await phaseOf(access, pod);
      if (phase === undefined && log.last !== undefined) return;
      if (phase !== 'Pending') {
        await log.read(tailLines);
        failures = 0;
        if (phase !== 'Running') return;
      }
    } catch (error) {
      if (isForGood(error)) throw error;
      failures += 1;
      const reason = messageOf(error);
      if (failures === 1) note(`the log of pod ${pod} broke off (${reason}); trying again`);
    }
    await sleep(POLL_MS);
  }
  throw new Error(
    `the log of pod ${access.namespace}/${pod} cannot be had any more; see that the API server is reached`,
  );
}

/** A log that is read again from where it broke off. */
class LogReader {
  readonly #access: Access;
  readonly #pod: string;
  readonly #container: string;
  readonly #print: (line: LogLine) => void;
  #last: string | undefined;

  constructor(access: Access, pod: string, container: string, print: (line: LogLine) => void) {
    [this.#access, this.#pod, this.#container, this.#print] = [access, pod, container, print];
  }

  /** When the last line was written; undefined before the first. */
  get last(): string | undefined {
    return this.#last;
  }

  /** Reads on until the log ends. @throws where it breaks off before */
  async read(tailLines: number | undefined): Promise<void> {
    const { config, namespace } = this.#access;
    const since = this.#last;
    const part = since === undefined ? (tailLines === undefined ? {} : { tailLines }) : { sinceTime: since };
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(this.#pod)}/log`;
    const response = await openResponse(config, {
      what: `reading the log of pod ${namespace}/${this.#pod}`,
      path,
      query: { container: this.#container, follow: true, timestamps: true, ...part },
      signal: new AbortController().signal,
    });
    const lines = new LineSplitter((text) => this.#take(text, since));
    const decoder = new StringDecoder('utf8');
    try {
      for await (const chunk of response) lines.add(decoder.write(chunk));
    } finally {
      // Half a line is read again.
      if (response.complete) lines.end();
    }
  }

  /** @param since what was printed before is not printed again: seconds are all that some servers look at */
  #take(text: string, since: string | undefined): void {
    for (const line of stampedLines(this.#pod, text)) {
      // One without a time is the kubelet's own word.
      const hasTime = line.time !== '';
      if (hasTime && since !== undefined && !isAfter(line, since)) continue;
      if (hasTime) this.#last = line.time;
      this.#print(line);
    }
  }
}

/** Undefined where there is no such pod. */
async function phaseOf({ core, namespace }: Access, pod: string): Promise<string | undefined> {
  try {
    const { status } = await ask(`pod ${namespace}/${pod}`, () => core.readNamespacedPod({ name: pod, namespace }));
    return status?.phase;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether asking again would be answered alike. */
function isForGood(error: unknown): boolean {
  if (error instanceof ApiStatusError) return FOR_GOOD.includes(error.status);
  return error instanceof Error && error.cause instanceof ApiException && FOR_GOOD.includes(error.cause.code);
}
