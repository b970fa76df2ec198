/**
 * Stands in for the reflection that tsyringe, beneath @peculiar/x509, asks for when it is loaded. What x509 registers there has no
 * injected parameters, so that there is nothing to reflect on; where the real thing is loaded too, it stays.
 */
if (!('getMetadata' in Reflect)) {
  const nothing = (): undefined => undefined;
  Object.assign(Reflect, { getMetadata: nothing, getOwnMetadata: nothing });
}
