import { dirname, join } from 'node:path';
import type { Graph } from '../../soap/graph/graph.ts';
import { exportCheckpoint, exportObstacle, fixedBatchNotice } from '../checkpoint/export-model.ts';
import { TRAINED_MODEL } from '../checkpoint/folders.ts';
import type { DeviceEvent } from './events.ts';

/**
 * Writes the trained model beside the checkpoint that it is read from, unless no file of its format holds it.
 * @param folder of the checkpoint
 * @returns what there is to tell: where the model is, and if it takes one batch only, that; or why there is none
 */
export async function saveTrainedModel(folder: string, graph: Graph): Promise<readonly DeviceEvent[]> {
  const obstacle = exportObstacle(graph);
  if (obstacle !== undefined)
    return [
      {
        type: 'notice',
        message: `${TRAINED_MODEL} is not written: ${obstacle}; read the weights from the checkpoint, ${folder}, which is of safetensors files`,
      },
    ];
  const path = join(dirname(folder), TRAINED_MODEL);
  const batch = await exportCheckpoint(folder, graph, path);
  const model = { type: 'model', path } as const;
  return batch === undefined ? [model] : [model, { type: 'notice', message: fixedBatchNotice(TRAINED_MODEL, batch) }];
}
