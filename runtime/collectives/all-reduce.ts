import type { CollectiveTask } from '../../soap/tasks/task-graph.ts';
import type { MessageTag, Transport } from '../transport/transport.ts';
import type { WireElements } from '../wire/elements.ts';
import { wireElements } from '../wire/elements.ts';
import { exchange } from './exchange.ts';
import { hierarchical, hierarchicalRounds } from './hierarchical.ts';
import { PieceMessages } from './messages.ts';
import { OWNER_ROUNDS, throughOwner } from './owner.ts';
import { inPipeline, chunkOf, chunksOf } from './pieces.ts';
import { ringAllReduce, ringRounds } from './ring.ts';

/** Which message of which task; the rounds are the collective's own. */
export type CollectiveTag = Pick<MessageTag, 'step' | 'task'>;

/** How a sum is done: an algorithm, the devices in order (equal on all, this one among them), the same by node. */
export type Reduction = Pick<CollectiveTask, 'algorithm' | 'devices' | 'nodes'>;

/** Bytes of one message: a frame. */
const MESSAGE_BYTES = 2 ** 20;

/** Pieces in work at once. */
const PIPELINE_WIDTH = 8;

/** What an algorithm does with one piece. */
interface Procedure {
  /** Runs that a piece is cut into; a message is one of them. */
  readonly runs: number;
  readonly rounds: number;
  readonly run: (messages: PieceMessages, piece: Float32Array[]) => Promise<void>;
}

/**
 * Sums float32 data over devices, in place, ending with the same bits on each. The data goes in pieces, so that sums and
 * messages overlap; the order in which an element is summed does not depend on the pieces.
 */
export function allReduce(
  reduction: Reduction,
  transport: Transport,
  data: Float32Array,
  tag: CollectiveTag,
  elements: WireElements = wireElements('float32'),
): Promise<void> {
  const { runs, rounds, run } = procedureOf(reduction);
  const whole = chunksOf(data, runs);
  const messageElements = MESSAGE_BYTES / elements.bytesPerElement;
  const pieces = Math.max(1, Math.ceil(Math.ceil(data.length / runs) / messageElements));
  return inPipeline(pieces, PIPELINE_WIDTH, (piece) => {
    const messages = new PieceMessages(transport, elements, { ...tag, round: piece * rounds });
    return run(
      messages,
      whole.map((part) => chunkOf(part, piece, pieces)),
    );
  });
}

function procedureOf({ algorithm, devices, nodes }: Reduction): Procedure {
  switch (algorithm) {
    case 'ring':
      return {
        runs: devices.length,
        rounds: 2 * ringRounds(devices),
        run: (messages, piece) => ringAllReduce(messages, devices, piece),
      };
    case 'hierarchical':
      return {
        runs: nodes[0]!.length,
        rounds: hierarchicalRounds(nodes),
        run: (messages, piece) => hierarchical(messages, nodes, piece),
      };
    case 'exchange':
      return { runs: 1, rounds: 1, run: (messages, [piece]) => exchange(messages, devices, piece!) };
    case 'owner':
      return { runs: 1, rounds: OWNER_ROUNDS, run: (messages, [piece]) => throughOwner(messages, nodes, piece!) };
  }
}
