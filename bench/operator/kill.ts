/** Kills the controller at 200 random points of jobs' lives: `node bench/operator/kill.ts [KILLS] [SEED]`. */
import process from 'node:process';
import { killController } from '../../test/support/cluster/kill-controller.ts';

const [kills = '200', seed = '1'] = process.argv.slice(2);
const report = await killController(Number(kills), Number(seed));
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
process.exitCode = report.complete === report.jobs && report.doubled.length + report.orphans.length === 0 ? 0 : 1;
