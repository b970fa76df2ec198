import { open } from 'node:fs/promises';

/** What the kubelet hands on of a container that has ended. Source: Kubernetes, the default of `terminationMessagePath`. */
const TERMINATION_LOG = '/dev/termination-log';

/**
 * Leaves a sentence for whoever looks at the pod once it has ended: the controller, which tells it with the job's end. Elsewhere than in a
 * pod there is no such file, and nothing is left.
 */
export async function leaveLastWords(sentence: string, path: string = TERMINATION_LOG): Promise<void> {
  const file = await open(path, 'r+').catch(() => undefined);
  if (file === undefined) return;
  try {
    await file.truncate();
    await file.writeFile(`${sentence}\n`);
  } finally {
    await file.close();
  }
}
