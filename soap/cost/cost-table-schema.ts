/** Version of the form of cost table files. */
export const COST_TABLE_VERSION = 1;

const text = { type: 'string', minLength: 1, maxLength: 4096 };
/** More than any measurement, and few enough that products of several stay finite. */
const maximum = 1e18;
const amount = { type: 'number', minimum: 0, maximum };
const positive = { type: 'number', exclusiveMinimum: 0, maximum };

function record(properties: Readonly<Record<string, object>>, optional: readonly string[] = []): object {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', additionalProperties: false, required, properties };
}

const entry = record({
  signature: text,
  direction: { enum: ['forward', 'backward', 'update'] },
  flops: amount,
  memoryBytes: amount,
  us: positive,
  spread: amount,
});

const host = record(
  {
    cores: { type: 'integer', minimum: 1, maximum: 65536 },
    startUs: amount,
    kernelUs: amount,
    updateUs: amount,
    taskShare: positive,
    messageUs: amount,
    receiveUs: amount,
    messageUsPerMiB: amount,
    receiveUsPerMiB: amount,
    wakeUs: amount,
    copyUsPerMiB: amount,
    sumUsPerMiB: amount,
    copyUsPerRun: amount,
    stepUs: amount,
    crowding: amount,
    rowUs: amount,
    longSumUsPerMiB: amount,
    readUsPerMiB: amount,
    sliceUs: amount,
    switchUs: amount,
    handUs: amount,
    sendUs: amount,
    updateShare: positive,
  },
  ['updateShare', 'handUs', 'sendUs', 'rowUs', 'longSumUsPerMiB', 'readUsPerMiB', 'sliceUs', 'switchUs'],
);

const device = record(
  {
    deviceType: text,
    kernels: text,
    measured: text,
    entries: { type: 'array', maxItems: 1e6, items: entry },
    messages: { type: 'array', maxItems: 64, items: record({ bytes: amount, us: positive }) },
    startUs: amount,
    host,
    crowdedHost: host,
  },
  ['startUs', 'host', 'crowdedHost'],
);

/** JSON schema of a cost table file. */
export const COST_TABLE_SCHEMA: object = record({
  version: { const: COST_TABLE_VERSION },
  soapstone: text,
  devices: { type: 'array', maxItems: 64, items: device },
});
