import { FileError } from '../schema/check.ts';
import { PLAN_VERSION } from './plan-schema.ts';

/**
 * Brings what a plan file has to the form of this version. Version 1, of Soapstone 0.1.0 alone, did not say where the model
 * comes from and what it is trained with; both stay unknown.
 * @throws {FileError} where its version is not known
 */
export function updatedPlan(value: unknown, source: string): unknown {
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  switch (version) {
    case 1:
      return { ...Object(value), version: PLAN_VERSION, soapstone: '0.1.0' };
    case PLAN_VERSION:
      return value;
    default: {
      const newer = typeof version === 'number' && version > PLAN_VERSION;
      const cure = newer ? 'read it with the version that wrote it, or search again' : 'search again with this version';
      const message = `is ${JSON.stringify(version)}; expected 1 to ${PLAN_VERSION}: ${cure}`;
      throw new FileError(source, [{ path: 'version', message }]);
    }
  }
}
