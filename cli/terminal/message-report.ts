import type { NetworkProblem } from '../../soap/simulator/delta/network.ts';
import { messageProblem } from '../../soap/simulator/message-report.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { oneLine } from './printable.ts';

/** A line about the message of a strategy that is larger than messages may be; nothing where none is. */
export function messageText(problem: NetworkProblem, strategy: Strategy): string {
  const sentence = messageProblem(problem, strategy);
  return sentence === undefined ? '' : `cannot be executed: ${oneLine(sentence)}\n`;
}
