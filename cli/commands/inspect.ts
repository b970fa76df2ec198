import process from 'node:process';
import { inspectStorage } from '../../runtime/inspect/inspect.ts';
import type { Command } from './command.ts';

const HELP = `soapstone inspect: hands the graph of a job's model to the controller, as the controller's pods do

Everything comes from the environment: SOAPSTONE_STORAGE, a folder; SOAPSTONE_INSPECT, JSON with batch, and onnx or plan: paths in
that folder. What is handed over goes to standard output, compressed and without weights.

example: SOAPSTONE_STORAGE=. SOAPSTONE_INSPECT='{"onnx":"model.onnx","batch":8}' soapstone inspect
`;

export const inspectCommand: Command = {
  name: 'inspect',
  summary: "hand a model's graph to the controller (started by the controller)",
  help: HELP,
  async run() {
    await inspectStorage(process.env, (line) => void process.stdout.write(`${line}\n`));
    return 0;
  },
};
