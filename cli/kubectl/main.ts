import { runMain } from '../command-line/run-main.ts';
import { KUBECTL_COMMANDS, kubectlHelpText } from './index.ts';

runMain('kubectl soapstone', KUBECTL_COMMANDS, kubectlHelpText);
