import { COMMANDS, helpText } from './commands/index.ts';
import { runMain } from './run-main.ts';

runMain('soapstone', COMMANDS, helpText);
