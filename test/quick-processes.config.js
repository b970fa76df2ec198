import { QUICK } from './quick.config.js';
import { OWN_PROCESS } from './support/own-process.ts';

/** The quick tests that need a process of their own. */
export default { ...QUICK, files: Object.keys(OWN_PROCESS) };
