/**
 * Whether a glob is a name: `*` stands for any characters, none among them; every other character for itself. It takes at most the
 * product of the lengths, whatever a stranger wrote, as a regular expression would not.
 */
export function matchesGlob(name: string, glob: string): boolean {
  let [at, position] = [0, 0];
  /** The last `*`, and where in the name what comes after it was last tried. */
  let [star, tried] = [-1, 0];
  while (at < name.length) {
    if (glob[position] === '*') [star, tried, position] = [position, at, position + 1];
    else if (position < glob.length && glob[position] === name[at]) [at, position] = [at + 1, position + 1];
    else if (star < 0) return false;
    else [tried, at, position] = [tried + 1, tried + 1, star + 1];
  }
  while (glob[position] === '*') position += 1;
  return position === glob.length;
}
