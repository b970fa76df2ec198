/** What the fields of a job's status say, by path; the CustomResourceDefinition and docs/reference/job.md have them. */
const STATUS_DESCRIPTIONS: Readonly<Record<string, string>> = {
  state: 'What the job is doing, in a word.',
  reason: 'Reason of the condition that explains the state.',
  message: 'Its message: what is so, and what to do about it.',
  startTime: 'When the job started, or went on after a suspension; activeDeadlineSeconds counts from here.',
  restartTime: 'When the last attempt was given up.',
  lastFailure: 'Why the last attempt was given up; absent where the job moved since.',
  restarts:
    'The last attempts that were given up, the newest first; at most five, and of several in a row that lacked the same file or place only the last.',
  'restarts.attempt': 'Which one, counted from 0.',
  'restarts.time': 'When it was given up.',
  'restarts.reason': 'Why, for machines; docs/operations.md has all reasons.',
  'restarts.message': 'Why, for people: which pod, on which node, and what it said last.',
  'restarts.log': 'The last lines of the container that failed, where there were more; its pod is deleted.',
  failures: 'Attempts that ended without success, by why; only Crashed and OutOfMemory count towards backoffLimit.',
  admitted: 'Node labels that a queue admitted the pods to, unlike the plan; the next plan is for such nodes.',
  unplaced:
    'Nodes that did not take pods of the job, each with when; plans leave them out for half an hour, where the others suffice.',
  attempt: 'Counted from 0; each restart of the pods is one more.',
  devices: 'Devices of the plan.',
  iteration: 'Predicted time of an iteration, with its unit; absent until there is a plan.',
  costs: "What the plan's compute time rests on.",
  'costs.measured': 'Share that was measured on such devices, such as 83 %; absent until there is a plan.',
  'costs.interpolated': 'Share that is interpolated from measurements of the same ops.',
  'costs.roofline': 'Share that is from data sheets.',
  'costs.unmeasured':
    'Types of devices that could not be measured, each with the reason; it is not tried again for the job.',
  progress: 'Share of the steps that are done, such as 24 %; absent until one was measured.',
  fixed: 'What cannot change since the job got its pods, by field, with the version that filled in the defaults.',
  measured: 'What the running pods measured, as of the last minute or so.',
  'measured.iteration': 'Time of an iteration, with its unit.',
  'measured.step': 'Steps that are done.',
  'measured.steps': 'Steps in all.',
  'measured.loss': 'Of the newest step.',
  links:
    'Ways between devices that are not as fast as the plan takes them to be, by a fifth; the farthest off first, at most eight.',
  'links.from': 'The device that sends.',
  'links.to': 'The device that receives.',
  'links.measured': 'What large messages reach, with its unit.',
  'links.planned': 'The narrowest link of the way in the plan.',
  move: 'Where moving to better nodes stands; absent without spec.moves.',
  'move.moveTime': 'When the job moved last.',
  'move.searchTime': 'When a search for better nodes began last.',
  'move.rejected': 'Digest of nodes that were searched and did not pay.',
  'move.afterCheckpoint': 'The job moves once it has a checkpoint of more steps than these.',
  observedGeneration: 'The generation of the spec that the status speaks of.',
  topology:
    'What was found in the cluster: sources (every number that the search used, with where it is from), skipped (nodes left out, each with the reason).',
  conditions: 'One of each type, in the order in which a job passes them.',
  'conditions.type': 'Such as Accepted, PlanFound, PodsReady, Complete.',
  'conditions.status': 'Whether it is so.',
  'conditions.reason': 'Why, for machines; docs/operations.md has all of them.',
  'conditions.message': 'Why, for people.',
  'conditions.lastTransitionTime': 'When the condition last changed its status.',
  'conditions.observedGeneration': 'The generation of the spec that the condition speaks of.',
};

/** A schema of the status, as far as descriptions go. */
interface StatusSchema {
  readonly properties?: object;
  readonly items?: object;
}

/** The schema with the description of each field that has one. @param path of the schema's own field, with a dot at its end */
export function describeStatus(schema: StatusSchema, path: string = ''): object {
  const { properties, items } = schema;
  if (items !== undefined) return { ...schema, items: describeStatus(items, path) };
  if (properties === undefined) return schema;
  const fields = Object.entries(properties).map(([name, field]: [string, object]) => {
    const description = STATUS_DESCRIPTIONS[`${path}${name}`];
    const described = describeStatus(field, `${path}${name}.`);
    return [name, description === undefined ? described : { description, ...described }];
  });
  return { ...schema, properties: Object.fromEntries(fields) };
}
