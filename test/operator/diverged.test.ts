import type { V1Pod } from '@kubernetes/client-node';
import test from 'ava';
import { decide } from '../../operator/decide/decide.ts';
import type { Decision } from '../../operator/decide/types.ts';
import { DIVERGED_EXIT_CODE } from '../../soap/job/handoff.ts';
import { attemptPod, planOn } from '../support/attempt.ts';
import { NOW, optionsAfter } from '../support/decide-options.ts';
import { gpuNode, jobResource } from '../support/kubernetes.ts';

const NODES = [gpuNode('a', 1), gpuNode('b', 1)];
const SAID = 'training has diverged: the last loss is no number; lower training.optimizer.learningRate';

type Status = NonNullable<V1Pod['status']>;

function exited(name: string, exitCode: number): Status {
  const terminated = { exitCode, message: `soapstone: ${SAID}\n`, finishedAt: NOW };
  const container = { name, image: '', imageID: '', ready: false, restartCount: 0, state: { terminated } };
  return { phase: 'Failed', containerStatuses: [container] };
}

/** A visit to a job of two pods that may fail three times. */
function visit(first: Status, second: Status): Decision {
  const pods = [first, second].map((status, index) => attemptPod(0, index, 'ab'[index], status));
  const nothing = { search: { kind: 'none' }, applyError: undefined } as const;
  return decide(
    { resource: jobResource({ backoffLimit: 3 }), nodes: NODES, pods, plan: planOn(NODES), ...nothing },
    optionsAfter(1),
  );
}

test('a job whose last loss is no number has failed, and is not started again', (t) => {
  for (const other of [{ phase: 'Succeeded' }, { phase: 'Running' }]) {
    const { status, deletePods } = visit(exited('worker', DIVERGED_EXIT_CODE), other);
    t.deepEqual([status.state, status.reason, status.attempt], ['Failed', 'Diverged', 0]);
    t.is(status.message, `pod job-0-0 on node a ended: ${SAID}`);
    // The one that ended stays for its log.
    t.is(deletePods.length, other.phase === 'Running' ? 1 : 0);
  }
});

test('the same exit code of a container that is not ours is a crash, and so is another code of ours', (t) => {
  for (const end of [exited('sidecar', DIVERGED_EXIT_CODE), exited('worker', 2)]) {
    const { status } = visit(end, { phase: 'Running' });
    t.deepEqual([status.state, status.failures, status.attempt], ['Restarting', { Crashed: 1 }, 1]);
  }
});
