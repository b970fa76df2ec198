import { createChecker, FileError } from '../schema/check.ts';
import { PLAN_SCHEMA } from './plan-schema.ts';
import { updatedPlan } from './plan-versions.ts';
import type { Plan } from './plan.ts';
import { messageOf } from '../message-of.ts';

const checker = createChecker<Plan>(PLAN_SCHEMA);

/** The text of a plan file. */
export function encodePlan(plan: Plan): string {
  return `${JSON.stringify(plan, null, 2)}\n`;
}

/**
 * Reads a plan file, of this version's form or an older one.
 * @throws {FileError} with all problems
 */
export function decodePlan(text: string, source: string = 'the plan file'): Plan {
  const value = updatedPlan(parseJson(text, source), source);
  if (!checker.is(value)) throw new FileError(source, checker.problems(value));
  return value;
}

function parseJson(text: string, source: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    const reason = messageOf(error);
    throw new FileError(source, [
      { path: '', message: `is not JSON (${reason}); expected a plan as 'soapstone plan --save' writes it` },
    ]);
  }
}
