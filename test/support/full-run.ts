import process from 'node:process';

/**
 * Whether this is the full run, `npm test`: what some tests need on a machine must be there, else they would be left out, and
 * what is tried at random is tried more often. See docs/testing.md.
 */
export const FULL_RUN: boolean = process.env['SOAPSTONE_TESTS'] === 'full';
