import test from 'ava';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { DOMAINS } from '../../runtime/kernels/reference/program.ts';
import { coveredOps, kernelContract } from './contract.ts';

kernelContract(createReferenceEngine);

test('every node that the reference knows has a case in the contract', (t) => {
  const known = [...DOMAINS].flatMap(([domain, table]) => Object.keys(table).map((op) => `${domain}:${op}`));
  t.deepEqual([...coveredOps()].sort(), known.sort());
});
