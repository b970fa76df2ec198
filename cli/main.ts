import { COMMANDS, helpText } from './commands/index.ts';
import { runMain } from './command-line/run-main.ts';

runMain('soapstone', COMMANDS, helpText);
