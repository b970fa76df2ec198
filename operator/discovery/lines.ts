/** Names that a line lists; of more nodes it says how many. */
const MAX_NAMES = 3;

/** Lines `a, b: text`, nodes with equal text together, in order of the first; a large cluster stays readable in a status. */
export function collect(entries: readonly (readonly [node: string, text: string])[]): string[] {
  const byText = Map.groupBy(entries, ([, text]) => text);
  return [...byText].map(([text, members]) => {
    const names = members.slice(0, MAX_NAMES).map(([node]) => node);
    const more = members.length - names.length;
    return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}: ${text}`;
  });
}
