import type { DecideOptions } from '../../operator/decide/types.ts';

/** When the tests of decisions take place. */
export const NOW: Date = new Date('2026-11-24T12:00:00Z');

/** What the controller decides by, so many seconds after {@link NOW}. */
export function optionsAfter(seconds: number): DecideOptions {
  return {
    now: new Date(NOW.getTime() + 1000 * seconds),
    image: 'soapstone:test',
    placementDeadlineMs: 300_000,
    scraperNamespace: 'monitoring',
    controllerNamespace: 'soapstone-system',
    modelPrivateAddresses: false,
    dnsPorts: [53],
    fixedUser: true,
    hostPathModels: false,
    inspectPods: true,
    profilePods: true,
    profileSeconds: 60,
  };
}
