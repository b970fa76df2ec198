import process from 'node:process';
import { measureForController } from '../../runtime/profile/profile-order.ts';
import type { Command } from '../command-line/command.ts';

const HELP = `soapstone measure: measures what a job's model costs on the device at hand, as the controller's pods do

Everything comes from the environment: SOAPSTONE_STORAGE, a folder; SOAPSTONE_MEASURE, JSON with job (a TrainingJob), deviceType,
model (a key of 16 hexadecimal digits), devices, devicesPerNode and seconds. What was measured goes to standard output,
compressed. On your own machine, soapstone profile measures more and keeps it.

example: SOAPSTONE_NODE=gpu-a soapstone measure
`;

export const measureCommand: Command = {
  name: 'measure',
  summary: 'measure what a model costs on a device (started by the controller)',
  help: HELP,
  async run() {
    const write = (line: string): void => void process.stdout.write(`${line}\n`);
    await measureForController(process.env, write, write);
    return 0;
  },
};
