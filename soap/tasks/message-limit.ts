import type { Graph } from '../graph/graph.ts';
import type { TaskGraph, TransferTask } from './task-graph.ts';

/**
 * Most bytes of a message between devices: what the transport takes. Of all messages only transfers can have as many: sums of
 * gradients go in small pieces, and statistics are small. Source: half of what the 32 bits of a header of runtime/wire count.
 */
export const MAX_MESSAGE_BYTES: number = 2 ** 31;

/** What a message of so many bytes has beyond what one may have. */
export function bytesBeyondMessage(bytes: number): number {
  return Math.max(0, bytes - MAX_MESSAGE_BYTES);
}

/** What the messages of an iteration have beyond what one may have, in all; 0 where the task graph can be executed. */
export function oversizedMessageBytes({ tasks }: TaskGraph): number {
  return tasks.reduce((sum, task) => sum + (task.kind === 'transfer' ? bytesBeyondMessage(task.bytes) : 0), 0);
}

/** A sentence about the largest message, where one is too large. */
export function oversizedMessage({ ops, tensors }: Graph, { tasks }: TaskGraph): string | undefined {
  let largest: TransferTask | undefined;
  for (const task of tasks) {
    if (task.kind === 'transfer' && task.bytes > Math.max(MAX_MESSAGE_BYTES, largest?.bytes ?? 0)) largest = task;
  }
  if (largest === undefined) return undefined;
  const { tensor, producer, consumer, bytes } = largest;
  return (
    `a message between devices has ${bytes} bytes, of '${tensors[tensor]!.name}' from '${ops[producer]!.name}' to ` +
    `'${ops[consumer]!.name}'; expected at most ${MAX_MESSAGE_BYTES}: cut these two into more parts, or alike, or lower the batch`
  );
}
