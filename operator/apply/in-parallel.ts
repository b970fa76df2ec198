/**
 * Does several things at once, and waits for all of them, also where one fails: none is still under way after.
 * @throws the first failure
 */
export async function inParallel(tasks: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(tasks);
  const failed = results.find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}
